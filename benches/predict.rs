//! A network's use on one image: seconds of each call, plain and with normalisations in the kernels, as
//! JSON. `scripts/bench-predict` runs it beside PyTorch.
//!
//! Arguments: settings of the model as JSON, height, width, calls.
#![expect(clippy::print_stdout, reason = "its answer")]

use std::error::Error;

use regatta::clock::{Clock, SystemClock};
use regatta::setting::{self, Settings};
use regatta::train::model::{self, Pass};
use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, height, width, calls, ..] = arguments.as_slice() else {
        return Err("give the model as JSON, height, width, calls".into());
    };
    let (height, width, calls): (i64, i64, u64) = (height.parse()?, width.parse()?, calls.parse()?);
    let model: Value = serde_json::from_str(model)?;
    let given = json!({ "model": model, "data": { "path": "/" } });
    let resolved = setting::resolve(given.as_object().ok_or("no settings")?)
        .map_err(|problems| format!("{problems:?}"))?;
    let settings = Settings::from_resolved(&resolved)?;

    tch::set_num_threads(1);
    tch::manual_seed(1);
    let (network, parameters) = model::build(&settings.model, 256, 1, Device::Cpu)?;
    let channels = settings.model.channels().unwrap_or(1);
    let images = Tensor::f_randn([1, channels, height, width], (Kind::Float, Device::Cpu))?;
    let _guard = tch::no_grad_guard();
    let clock = SystemClock::new();
    let mut seconds = [Vec::new(), Vec::new()];
    for _ in 0..calls {
        for (pass, seconds) in [Pass::Evaluate, Pass::Fused].into_iter().zip(&mut seconds) {
            let began = clock.monotonic();
            let logits = network.forward(&images, pass)?;
            logits.f_select(0, 0)?.f_max()?.f_double_value(&[])?;
            seconds.push(clock.monotonic().saturating_sub(began).as_secs_f64());
        }
    }
    let [plain, fused] = seconds;
    let answer = json!({
        "plain": plain,
        "fused": fused,
        "parameters": parameters.count(),
        "model": serde_json::to_value(&settings.model)?,
    });
    println!("{answer}");
    Ok(())
}
