//! `regatta serve`: the page of `regatta report`, live, for its owner alone. It is no daemon: it ends with its
//! terminal, with Ctrl-C, and by itself.

mod door;
mod edition;
mod keeper;
mod listen;
mod shelf;
mod token;
mod words;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use self::door::Door;
use self::keeper::Watch;
use self::shelf::Shelf;
use self::token::{Token, chance};
use super::ask::{plural, span};
use super::report::read_predictions;
use super::{Context, Failure};
use crate::clock::Clock;
use crate::help::{Example, examples};
use crate::sweep::duration_seconds;

/// Shown at the end of its help.
const EXAMPLES: &[Example] = &[
    ("one sweep", "regatta serve lr-batch"),
    ("all of them, for a night", "regatta serve --for 14h --every 30s"),
];

/// Show the report of sweeps in a browser, live: new epochs appear as they are trained
///
/// The page is that of `regatta report`. It is served at 127.0.0.1 alone, to whoever has the token that is
/// printed, until Ctrl-C or --for. Nothing can be changed through it. The scheduler is not asked: it shows
/// what journals tell, and what other commands heard. docs/serve.md tells how to reach it from a laptop.
#[derive(Debug, clap::Args)]
#[command(after_help = examples(EXAMPLES))]
pub(super) struct Args {
    /// Names or files of sweeps [default: all]
    #[arg(value_name = "SWEEP")]
    sweeps: Vec<String>,
    /// The port of 127.0.0.1 [default: always the same for you, if it is free]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// Rank and draw by this metric [default: the objective]
    #[arg(long, value_name = "NAME")]
    metric: Option<String>,
    /// Show overlays from this folder of `regatta predict`; may be given several times
    #[arg(long, value_name = "DIR")]
    predictions: Vec<PathBuf>,
    /// Read journals so often while somebody watches, such as 30s; less often where reading takes long
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = pace)]
    every: Duration,
    /// End after so long
    #[arg(long = "for", value_name = "TIME", default_value = "8h", value_parser = duration)]
    until: Duration,
}

pub(super) async fn run(ctx: &Context, args: &Args) -> Result<ExitCode, Failure> {
    let watch = Watch {
        sweeps: args.sweeps.clone(),
        metric: args.metric.clone(),
        predictions: read_predictions(&args.predictions)?,
        every: args.every,
        series: chance::<6>()?,
    };
    let listener = listen::bind(args.port).await?;
    let port = listener.local_addr().map_err(|error| Failure::site(error.to_string()))?.port();
    // What is wrong with the question is told here, and not to a browser.
    let (edition, as_of) = watch.look(ctx, 0).await?;
    let shelf = Arc::new(Shelf::new(edition, as_of));
    watch.keep(ctx, shelf.clone())?;
    let door = Arc::new(Door::new(Token::draw()?, chance::<12>()?, shelf));
    let mut end = End::new(args.until)?;
    tell(ctx, args, &door, port);
    let why = tokio::select! {
        () = listen::answer(listener, door) => "nobody can be answered any more",
        why = end.comes() => why,
    };
    ctx.screen.note(format!("ended: {why}; the page tells that the connection is lost"));
    Ok(ExitCode::SUCCESS)
}

/// Prints the address, and how to get there.
fn tell(ctx: &Context, args: &Args, door: &Door, port: u16) {
    let address = door.address(port);
    let host = nix::unistd::gethostname().unwrap_or_default().to_string_lossy().into_owned();
    let user = nix::unistd::User::from_uid(nix::unistd::getuid()).ok().flatten();
    let at = user.map_or(host.clone(), |user| format!("{}@{host}", user.name));
    let forward = format!("ssh -N -C -L {port}:127.0.0.1:{port} {at}");
    let ends = ctx.clock.now().checked_add(args.until);
    if ctx.screen.is_json() {
        ctx.screen.json(&json!({
            "schema_version": 1, "url": address, "port": port, "forward": forward,
            "ends_at": ends.ok().map(|at| format!("{at:.0}")), "pid": std::process::id(),
        }));
        return;
    }
    ctx.screen.answer(format!(
        "open        {address}\n\
         from afar   {forward}\n            \
         in a terminal of your laptop, which it keeps; then open the same address there"
    ));
    let what = match args.sweeps.len() {
        0 => "all sweeps".to_owned(),
        1 => args.sweeps[0].clone(),
        n => plural(n as u64, "sweep"),
    };
    ctx.screen.note(format!(
        "{what}, for whoever has this address: keep it to yourself; Ctrl-C ends it, or {} from now",
        span(args.until.as_secs_f64())
    ));
}

/// What may end it.
struct End {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
    until: Duration,
}

impl End {
    fn new(until: Duration) -> Result<Self, Failure> {
        let on = |kind| {
            signal(kind)
                .map_err(|error| Failure::site(format!("failed to wait for signals: {error}")))
        };
        Ok(Self {
            interrupt: on(SignalKind::interrupt())?,
            terminate: on(SignalKind::terminate())?,
            hangup: on(SignalKind::hangup())?,
            until,
        })
    }

    async fn comes(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "Ctrl-C",
            _ = self.terminate.recv() => "it was told to",
            _ = self.hangup.recv() => "its terminal is gone",
            () = tokio::time::sleep(self.until) => "its time (--for) is over",
        }
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let seconds = duration_seconds(text).and_then(|s| Duration::try_from_secs_f64(s).ok());
    let most = Duration::from_secs(7 * 86_400);
    match seconds {
        None => Err("no time; write it as 8h, 30min or 02:00:00".to_owned()),
        Some(time) if time.is_zero() || time > most => {
            Err("a time between a second and a week is wanted: this is no daemon".to_owned())
        }
        Some(time) => Ok(time),
    }
}

fn pace(text: &str) -> Result<Duration, String> {
    let time = duration(text)?;
    let (least, most) = (Duration::from_secs(1), Duration::from_secs(3600));
    match (least..=most).contains(&time) {
        true => Ok(time),
        false => Err("a time between 1s and 1h is wanted".to_owned()),
    }
}
