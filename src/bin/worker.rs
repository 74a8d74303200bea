//! The worker's door: the only place that knows which learners exist, and that hears signals.

use std::io::{IsTerminal, stderr, stdin};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use regatta::clock::{Clock, SystemClock};
use regatta::event::{Outcome, StopReason};
use regatta::layout;
use regatta::setting::{Model, Settings};
use regatta::worker::attempt::{self, Request};
use regatta::worker::command::{Cli, Command, Run};
use regatta::worker::learner::{Learner, LearnerError};
use regatta::worker::progress::LogFile;
use regatta::worker::stop::StopFlag;
use regatta::worker::toy::ToyLearner;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::{EnvFilter, LevelFilter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Exit code of wrong usage, and of a second Ctrl-C (128 + SIGINT).
const USAGE: u8 = 2;
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let command = Cli::parse().command;
    let log = LogFile::default();
    start_logging(&log);
    if let Err(error) = arm_faults() {
        tracing::error!("{error}");
        return USAGE.into();
    }
    match command {
        Command::Run(run) => train(&run, log, clock).into(),
        // The annex takes these: `regatta::train::{check, predict, synth}`.
        Command::Check(_) | Command::Predict(_) | Command::Synth(_) => {
            tracing::error!("this worker was built without libtorch: cargo build --features train");
            Outcome::Failed.exit_code().into()
        }
    }
}

/// Tests tell through the environment where the disk refuses or the process dies.
#[expect(clippy::disallowed_methods, reason = "this is a door: it reads the environment")]
fn arm_faults() -> Result<(), String> {
    std::env::var("REGATTA_FAULTS").map_or(Ok(()), |faults| layout::arm_faults(&faults))
}

/// Makes the learner that the settings name.
fn build_learner(
    settings: &Settings,
    seed: u64,
    clock: &Arc<dyn Clock>,
) -> Result<Box<dyn Learner>, LearnerError> {
    match &settings.model {
        Model::Toy(_) => Ok(Box::new(ToyLearner::new(settings, seed, Arc::clone(clock))?)),
        Model::Unet(_) => Err(LearnerError::Setting {
            setting: "model.name".to_owned(),
            what: "this worker was built without libtorch and knows the toy only: \
                   cargo build --features train"
                .to_owned(),
        }),
    }
}

/// Hears signals here while the loop runs on a thread of its own.
fn train(run: &Run, log: LogFile, clock: Arc<dyn Clock>) -> u8 {
    let request = match run.request() {
        Ok(request) => Request { log, ..request },
        Err(error) => {
            tracing::error!("{error}");
            return USAGE;
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let listened = runtime.map(|runtime| runtime.block_on(listen(request, clock)));
    listened.and_then(|code| code).unwrap_or_else(|error| {
        tracing::error!("failed to listen to signals: {error}");
        Outcome::Failed.exit_code()
    })
}

async fn listen(request: Request, clock: Arc<dyn Clock>) -> std::io::Result<u8> {
    let mut usr1 = signal(SignalKind::user_defined1())?;
    let mut usr2 = signal(SignalKind::user_defined2())?;
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    let stop = StopFlag::default();
    let (tell, mut ended) = tokio::sync::oneshot::channel();
    let flag = stop.clone();
    std::thread::Builder::new().name("training".to_owned()).spawn(move || {
        let _ = tell.send(attempt::run(&request, &clock, &flag, &build_learner).exit_code());
    })?;
    let mut interrupts = 0;
    loop {
        let reason = tokio::select! {
            code = &mut ended => return Ok(code.unwrap_or(Outcome::Failed.exit_code())),
            _ = usr1.recv() => StopReason::Warned,
            _ = usr2.recv() => StopReason::Warned,
            _ = term.recv() => StopReason::Terminated,
            _ = int.recv() => StopReason::Interrupted,
        };
        interrupts += u32::from(reason == StopReason::Interrupted);
        // Schedulers send a signal several times; a person who presses Ctrl-C twice means it.
        if interrupts > 1 && reason == StopReason::Interrupted && stdin().is_terminal() {
            return Ok(INTERRUPTED);
        }
        stop.raise(reason);
    }
}

/// Reports go to stderr and to the attempt's log file; `RUST_LOG` says how much.
fn start_logging(log: &LogFile) {
    let filter =
        EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).from_env_lossy();
    let format = tracing_subscriber::fmt::layer().with_target(false);
    let console = format.with_ansi(stderr().is_terminal()).with_writer(std::io::stderr);
    let file = tracing_subscriber::fmt::layer().with_target(false).with_ansi(false);
    tracing_subscriber::registry()
        .with(filter)
        .with(console)
        .with(file.with_writer(log.clone()))
        .init();
}
