//! The worker's door: the only place that knows which learners exist, and that hears signals.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is a door: it prints")]

#[cfg(feature = "train")]
#[path = "worker/net.rs"]
mod net;
#[cfg(not(feature = "train"))]
#[path = "worker/without.rs"]
mod net;
#[cfg(feature = "train")]
#[path = "worker/predict.rs"]
mod using;
#[cfg(not(feature = "train"))]
use net as using;

use std::error::Error;
use std::io::{IsTerminal, Write, stderr, stdin, stdout};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use nix::sys::signal::Signal;
use regatta::clock::{Clock, SystemClock};
use regatta::event::{Outcome, StopReason};
use regatta::layout;
use regatta::setting::{Model, Settings};
use regatta::sweep::CheckSaid;
use regatta::worker::attempt::{self, Request};
use regatta::worker::claim::Process;
use regatta::worker::command::{Check, Cli, Command, Run, VerifyResume};
use regatta::worker::learner::{Description, Learner, LearnerError, state_bytes};
use regatta::worker::progress::LogFile;
use regatta::worker::stop::StopFlag;
use regatta::worker::surroundings::{self, Program};
use regatta::worker::toy::ToyLearner;
use regatta::worker::verify;
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
    // Each of the trials of `verify-resume` would tell of itself.
    let is_quiet = matches!(command, Command::VerifyResume(_));
    start_logging(&log, if is_quiet { LevelFilter::OFF } else { LevelFilter::INFO });
    if let Err(error) = arm_faults() {
        tracing::error!("{error}");
        return USAGE.into();
    }
    match command {
        Command::Run(run) => train(&run, log, clock).into(),
        Command::Check(check) => done(look(&check, &clock).map(told)),
        Command::VerifyResume(what) => alone(move |stop| prove(&what, &clock, stop)).into(),
        Command::Predict(predict) => alone(move |stop| using::predict(&predict, stop)).into(),
        Command::Evaluate(what) => alone(move |stop| using::evaluate(&what, stop)).into(),
        Command::Export(export) => done(net::export(&export)),
        Command::Models(models) => done(net::models(&models)),
        Command::Synth(synth) => done(net::synth(&synth)),
        Command::Man(man) => done(man.write(clock.now())),
    }
}

/// Prints what was found, or what went wrong and what to do.
fn done(result: Result<String, Box<dyn Error>>) -> ExitCode {
    match result {
        Ok(text) => {
            say(&text);
            ExitCode::SUCCESS
        }
        Err(error) => fail(&*error).into(),
    }
}

/// Prints an answer.
fn say(text: &str) {
    // Whoever reads may have read enough (`| head`).
    let _ = writeln!(stdout(), "{}", text.trim_end());
}

/// Prints what went wrong and what to do; returns the exit code.
fn fail(error: &(dyn Error + 'static)) -> u8 {
    eprintln!("error: {error}");
    if let Some(LearnerError::Data { hint: Some(hint), .. }) = error.downcast_ref::<LearnerError>()
    {
        eprintln!("hint: {hint}");
    }
    Outcome::Failed.exit_code()
}

/// Says whether a trial with these settings could start.
fn look(check: &Check, clock: &Arc<dyn Clock>) -> Result<Looked, Box<dyn Error>> {
    if !matches!(check.settings.model, Model::Toy(_)) {
        return net::check(check);
    }
    let learner = ToyLearner::new(&check.settings, 0, Arc::clone(clock))?;
    let (toy, state_bytes) = (learner.describe(), state_bytes(&learner.state()?));
    if check.json {
        let found = serde_json::json!({
            "parameters": toy.parameters,
            "device": toy.device,
            "steps_per_epoch": toy.steps_per_epoch,
            "state_bytes": state_bytes,
        });
        return Ok(found.to_string().into());
    }
    let Description { library, parameters, device, steps_per_epoch, .. } = toy;
    let text =
        format!("{library}: {parameters} parameters on {device}, {steps_per_epoch} steps an epoch");
    Ok(text.into())
}

/// Says the same in a file, for the controller that sent this job to see whether others could start.
fn look_in_a_job(request: &Request, clock: &Arc<dyn Clock>) -> u8 {
    let settings = Settings::from_resolved(&request.assignment.trial.settings);
    let found = settings
        .map_err(Box::<dyn Error>::from)
        .and_then(|settings| look(&Check { settings: Box::new(settings), json: true }, clock));
    let (exit_code, output, errors) = match found {
        Ok(Looked { text, warnings }) => (0, text, warnings.join("\n")),
        Err(error) => (Outcome::Failed.exit_code(), String::new(), in_full(&*error)),
    };
    let said = CheckSaid { exit_code, output, errors, host: Some(surroundings::host()) };
    let path = request.folder.check_said();
    let written = layout::create_folder(request.folder.path())
        .and_then(|()| layout::write_atomic(&path, &serde_json::to_vec(&said)?));
    if let Err(error) = written {
        tracing::error!("failed to write {}: {error}", path.display());
        return Outcome::Failed.exit_code();
    }
    exit_code
}

/// An error with what to do about it.
fn in_full(error: &(dyn Error + 'static)) -> String {
    match error.downcast_ref::<LearnerError>() {
        Some(LearnerError::Data { hint: Some(hint), .. }) => format!("{error} ({hint})"),
        _ => error.to_string(),
    }
}

/// What a look found.
struct Looked {
    text: String,
    warnings: Vec<String>,
}

impl From<String> for Looked {
    fn from(text: String) -> Self {
        Self { text, warnings: Vec::new() }
    }
}

/// Prints the warnings; the text is left to print.
fn told(looked: Looked) -> String {
    for warning in &looked.warnings {
        eprintln!("warning: {warning}");
    }
    looked.text
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
        _ => net::build(settings, seed),
    }
}

/// Trains a trial.
fn train(run: &Run, log: LogFile, clock: Arc<dyn Clock>) -> u8 {
    let request = match run.request() {
        Ok(request) if request.assignment.only_check => return look_in_a_job(&request, &clock),
        Ok(request) => Request { log, ..request },
        Err(error) => {
            tracing::error!("{error}");
            return USAGE;
        }
    };
    alone(move |stop| {
        // The checksum of the program takes a moment, in which signals are heard already.
        let request = Request { program: program(), ..request };
        // Time began when the process was started, not with its first line.
        let age = Process::age().unwrap_or_default();
        let time_left = request.time_left.map(|left| left.saturating_sub(age));
        let request = Request { time_left, ..request };
        attempt::run(&request, &clock, stop, &build_learner).exit_code()
    })
}

/// Tries whether a trial can be resumed; returns the exit code.
fn prove(what: &VerifyResume, clock: &Arc<dyn Clock>, stop: &StopFlag) -> u8 {
    let tell: verify::Tell = Arc::new(|line| eprintln!("{line}"));
    let proved = what
        .request()
        .map_err(Box::<dyn Error>::from)
        .and_then(|request| Ok(verify::verify(&request, clock, stop, &build_learner, &tell)?));
    let report = match proved {
        Ok(report) => report,
        Err(error) => {
            eprintln!("error: {error}");
            return Outcome::Failed.exit_code();
        }
    };
    if what.json {
        println!("{}", serde_json::json!(report));
    } else {
        println!("{report}");
    }
    u8::from(!report.equal)
}

/// Hears signals here while work is done on a thread of its own.
fn alone(work: impl FnOnce(&StopFlag) -> u8 + Send + 'static) -> u8 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let listened = runtime.map(|runtime| runtime.block_on(listen(work)));
    listened.and_then(|code| code).unwrap_or_else(|error| {
        tracing::error!("failed to listen to signals: {error}");
        Outcome::Failed.exit_code()
    })
}

/// What stands in the record of how this program was started.
fn program() -> Program {
    let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    let environment = std::env::vars_os().map(|(name, value)| (text(name), text(value)));
    let binary = std::env::current_exe().ok();
    Program {
        binary_sha256: binary.and_then(|path| surroundings::file_sha256(&path)),
        command: std::env::args_os().map(text).collect(),
        folder: std::env::current_dir().unwrap_or_default(),
        environment: environment
            .filter(|(name, value)| surroundings::kept(name) && !surroundings::has_password(value))
            .collect(),
    }
}

async fn listen(work: impl FnOnce(&StopFlag) -> u8 + Send + 'static) -> std::io::Result<u8> {
    let mut usr1 = signal(SignalKind::user_defined1())?;
    let mut usr2 = signal(SignalKind::user_defined2())?;
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    // Listened to so that it does not kill: the write that is too long for `ulimit -f` fails instead.
    let _too_long = signal(SignalKind::from_raw(Signal::SIGXFSZ as i32))?;
    let stop = StopFlag::default();
    let (tell, mut ended) = tokio::sync::oneshot::channel();
    let flag = stop.clone();
    std::thread::Builder::new().name("training".to_owned()).spawn(move || {
        let _ = tell.send(work(&flag));
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
fn start_logging(log: &LogFile, usual: LevelFilter) {
    let filter = EnvFilter::builder().with_default_directive(usual.into()).from_env_lossy();
    let format = tracing_subscriber::fmt::layer().with_target(false);
    let console = format.with_ansi(stderr().is_terminal()).with_writer(std::io::stderr);
    let file = tracing_subscriber::fmt::layer().with_target(false).with_ansi(false);
    tracing_subscriber::registry()
        .with(filter)
        .with(console)
        .with(file.with_writer(log.clone()))
        .init();
}
