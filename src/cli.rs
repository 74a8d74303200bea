//! The front rooms: one file a verb. The only place that prints, reads the environment, and turns
//! errors into advice and exit codes.

mod analysis;
mod ask;
mod best;
mod cancel;
mod check;
mod compare;
mod complete;
mod completions;
mod doctor;
mod evaluate;
mod explain;
mod export;
mod failure;
mod gate;
mod import;
mod init;
mod logs;
mod looking;
mod man;
mod members;
mod output;
mod overview;
mod parquet;
mod plan;
mod predict;
mod preflight;
mod progress;
mod question;
mod rebuild;
mod report;
mod resume;
mod schema;
mod screen;
mod select;
mod serve;
mod sheet;
mod show;
mod sql;
mod status;
mod step;
mod submit;
mod supervisor;
mod sweep_file;
mod table;
mod tick;
mod trials;
mod wait;
mod watch;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, FromArgMatches, Parser, Subcommand, ValueEnum};

pub use failure::{Failure, Kind};
pub use screen::Screen;

use crate::clock::SystemClock;
use crate::help::examples;
use crate::layout::{self, Root};

/// Exit code: some trials are not finished.
pub const UNFINISHED: u8 = 3;

/// Heading of [`Global`] in help texts.
const EVERY: &str = "Options of every command";

/// Race hyperparameter trials on a SLURM cluster, lose nothing, ask for the best.
#[derive(Debug, Parser)]
#[command(name = "regatta", version, max_term_width = 100, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

/// Options of every verb.
#[derive(Debug, Args)]
struct Global {
    /// Folder that holds all sweeps and their results
    #[arg(long, global = true, help_heading = EVERY, env = "REGATTA_ROOT", default_value = "runs", value_name = "DIR")]
    root: PathBuf,
    /// Print one JSON value instead of text
    #[arg(long, global = true, help_heading = EVERY)]
    json: bool,
    /// Say more about what is done (-vv: everything)
    #[arg(short, long, global = true, help_heading = EVERY, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Leave out notes: only answers, warnings and errors
    #[arg(short, long, global = true, help_heading = EVERY)]
    quiet: bool,
    /// When to use colours
    #[arg(long, global = true, help_heading = EVERY, value_enum, default_value = "auto", value_name = "WHEN")]
    color: Color,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Init(init::Args),
    Check(check::Args),
    Plan(plan::Args),
    Submit(Box<submit::Args>),
    Status(status::Args),
    Watch(watch::Args),
    Best(best::Args),
    Trials(trials::Args),
    Compare(compare::Args),
    Sql(sql::Args),
    Report(report::Args),
    Serve(serve::Args),
    Show(show::Args),
    Explain(explain::Args),
    Logs(logs::Args),
    Cancel(cancel::Args),
    Resume(resume::Args),
    /// Submit again what failed, diverged or ran out of memory
    ///
    /// When the cause is mended. A trial that has a checkpoint goes on from it.
    #[command(after_help = examples(resume::RETRY_EXAMPLES))]
    Retry(resume::Args),
    Tick(tick::Args),
    Predict(predict::Args),
    Evaluate(evaluate::Args),
    Doctor(doctor::Args),
    Export(export::Args),
    Import(import::Args),
    Rebuild(rebuild::Args),
    Schema(schema::Args),
    Completions(completions::Args),
    Man(man::Args),
    #[command(hide = true)]
    LocalSupervisor(supervisor::Args),
}

/// What every verb gets.
#[derive(Debug)]
pub struct Context {
    /// The folder of all sweeps.
    pub root: Root,
    /// Where answers and notes go.
    pub screen: Screen,
    /// Time.
    pub clock: SystemClock,
    /// `--root DIR ` where it was given, for commands in advice.
    root_option: String,
}

impl Context {
    /// Returns a command as the user would type it here.
    fn command(&self, words: &str) -> String {
        format!("`regatta {}{words}`", self.root_option)
    }

    /// The same for verbs that this one calls, and what they say, which is not printed.
    fn aside(&self) -> (Self, screen::Aside) {
        let said = screen::Aside::default();
        let ctx = Self {
            root: self.root.clone(),
            screen: self.screen.aside(said.clone()),
            clock: SystemClock::new(),
            root_option: self.root_option.clone(),
        };
        (ctx, said)
    }
}

/// Runs the controller on the words of a command line.
#[must_use]
pub fn main(words: impl IntoIterator<Item = OsString>) -> ExitCode {
    if complete::answer() {
        return ExitCode::SUCCESS;
    }
    let typed: Vec<OsString> = words.into_iter().collect();
    let parsed = overview::command().try_get_matches_from(&typed);
    let cli = match parsed.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(mut error) => {
            overview::mend_tips(&mut error, &typed);
            let _ = error.print();
            overview::show_an_example(&error, &typed);
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let color = color_wanted(cli.global.color);
    let screen = Screen::new(cli.global.json, cli.global.quiet, color);
    log_to_stderr(cli.global.verbose, color);
    if let Err(failure) = arm_faults() {
        return screen.fail(&failure);
    }
    let root_option = root_option(&cli.global.root);
    let root = Root::new(cli.global.root);
    let context = Context { root, screen, clock: SystemClock::new(), root_option };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return context.screen.fail(&Failure::internal(error)),
    };
    match runtime.block_on(dispatch(&context, cli.verb)) {
        Ok(code) => code,
        Err(failure) => {
            let failure = failure.at(&context.root_option);
            context.screen.fail(&failure)
        }
    }
}

async fn dispatch(ctx: &Context, verb: Verb) -> Result<ExitCode, Failure> {
    match verb {
        Verb::Init(args) => init::run(ctx, &args),
        Verb::Check(args) => check::run(ctx, &args).await,
        Verb::Plan(args) => plan::run(ctx, &args),
        Verb::Submit(args) => submit::run(ctx, &args).await,
        Verb::Status(args) => status::run(ctx, &args).await,
        Verb::Watch(args) => watch::run(ctx, &args).await,
        Verb::Best(args) => best::run(ctx, &args).await,
        Verb::Trials(args) => trials::run(ctx, &args).await,
        Verb::Compare(args) => compare::run(ctx, &args).await,
        Verb::Sql(args) => sql::run(ctx, &args).await,
        Verb::Report(args) => report::run(ctx, &args).await,
        Verb::Serve(args) => serve::run(ctx, &args).await,
        Verb::Show(args) => show::run(ctx, &args).await,
        Verb::Explain(args) => explain::run(ctx, &args).await,
        Verb::Logs(args) => logs::run(ctx, &args).await,
        Verb::Cancel(args) => cancel::run(ctx, &args).await,
        Verb::Resume(args) => resume::run(ctx, &args, resume::Ends::Stopped).await,
        Verb::Retry(args) => resume::run(ctx, &args, resume::Ends::Failed).await,
        Verb::Tick(args) => tick::run(ctx, &args).await,
        Verb::Predict(args) => predict::run(ctx, &args).await,
        Verb::Evaluate(args) => evaluate::run(ctx, &args).await,
        Verb::Doctor(args) => doctor::run(ctx, &args).await,
        Verb::Export(args) => export::run(ctx, &args).await,
        Verb::Import(args) => import::run(ctx, &args).await,
        Verb::Rebuild(args) => rebuild::run(ctx, &args).await,
        Verb::Schema(args) => schema::run(ctx, &args),
        Verb::Completions(args) => completions::run(ctx, &args),
        Verb::Man(args) => man::run(ctx, &args).await,
        Verb::LocalSupervisor(args) => supervisor::run(ctx, &args).await,
    }
}

#[expect(clippy::disallowed_methods, reason = "the door reads the environment")]
fn color_wanted(wish: Color) -> bool {
    use std::io::IsTerminal;
    match wish {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => std::env::var_os("NO_COLOR").is_none() && std::io::stdout().is_terminal(),
    }
}

/// What must be typed to mean the same folder again.
#[expect(clippy::disallowed_methods, reason = "the door reads the environment")]
fn root_option(root: &std::path::Path) -> String {
    let usual = std::env::var_os("REGATTA_ROOT").map_or_else(|| "runs".into(), PathBuf::from);
    if root == usual { String::new() } else { format!("--root {} ", init::quoted(root)) }
}

/// Logs never carry data: they go to stderr, and say nothing unless asked.
#[expect(clippy::disallowed_methods, reason = "the door reads the environment")]
fn log_to_stderr(verbose: u8, color: bool) {
    use tracing_subscriber::EnvFilter;
    let default = match verbose {
        0 => "warn",
        1 => "regatta=info",
        2 => "regatta=debug",
        _ => "trace",
    };
    let filter = std::env::var("RUST_LOG").ok().and_then(|words| EnvFilter::try_new(words).ok());
    let filter = filter.unwrap_or_else(|| EnvFilter::new(default));
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(screen::logs)
        .with_ansi(color)
        .without_time()
        .with_target(false)
        .try_init();
}

#[expect(clippy::disallowed_methods, reason = "the door reads the environment")]
fn arm_faults() -> Result<(), Failure> {
    match std::env::var("REGATTA_FAULTS") {
        Ok(rules) => layout::arm_faults(&rules).map_err(Failure::usage),
        Err(_) => Ok(()),
    }
}
