//! One network's training steps on random images: seconds of each and the peak of memory, as JSON.
//! `scripts/bench-nets` runs it beside PyTorch.
//!
//! Arguments: settings of the model as JSON, samples of a minibatch, edge of a patch, steps.
#![expect(clippy::print_stdout, reason = "its answer")]

use std::error::Error;

use regatta::clock::{Clock, SystemClock};
use regatta::setting::{self, Settings};
use regatta::train::loss::loss;
use regatta::train::model::{self, Pass};
use regatta::train::optim::Optimizer;
use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, samples, edge, steps, ..] = arguments.as_slice() else {
        return Err("give the model as JSON, samples, edge, steps".into());
    };
    let (samples, edge, steps): (i64, i64, u64) = (samples.parse()?, edge.parse()?, steps.parse()?);
    let model: Value = serde_json::from_str(model)?;
    let given = json!({ "model": model, "data": { "path": "/", "patch": edge } });
    let resolved = setting::resolve(given.as_object().ok_or("no settings")?)
        .map_err(|problems| format!("{problems:?}"))?;
    let settings = Settings::from_resolved(&resolved)?;
    let weights = settings.loss.as_ref().ok_or("no loss")?;

    tch::set_num_threads(1);
    tch::manual_seed(1);
    let (network, mut parameters) = model::build(&settings.model, edge, 1, Device::Cpu)?;
    let mut optimizer = Optimizer::new(&settings.optimizer, &parameters)?;
    let channels = settings.model.channels().unwrap_or(1);
    let images = Tensor::f_randn([samples, channels, edge, edge], (Kind::Float, Device::Cpu))?;
    let truth = images.f_narrow(1, 0, 1)?.f_gt(1.0)?.f_to_kind(Kind::Float)?;
    let clock = SystemClock::new();
    let mut seconds = Vec::new();
    for step in 0..steps {
        let began = clock.monotonic();
        let logits = network.forward(&images, Pass::Train { seed: 1, epoch: 1, step })?;
        let lost = loss(&logits, &truth, weights)?;
        lost.f_backward()?;
        optimizer.step(&mut parameters, 1e-3)?;
        lost.f_double_value(&[])?;
        seconds.push(clock.monotonic().saturating_sub(began).as_secs_f64());
    }
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak: u64 = peak.and_then(|text| text.split_whitespace().next()).unwrap_or("0").parse()?;
    let answer = json!({
        "seconds": seconds,
        "peak_mib": peak / 1024,
        "parameters": parameters.count(),
        "model": serde_json::to_value(&settings.model)?,
    });
    println!("{answer}");
    Ok(())
}
