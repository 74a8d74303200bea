//! The view's own loop: draw, hear what happened, change, do what follows.

use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::model::Model;
use super::seen::{Message, Wanted};
use super::terminal::{Taken, listen};
use super::theme::Theme;
use super::update::{Effect, tick, update};
use super::{Args, feed, hand, view};
use crate::cli::screen::Aside;
use crate::cli::{Context, Failure};
use crate::clock::Clock;

/// Between two looks at the journals.
const EVERY: Duration = Duration::from_secs(1);

/// Times in the view are told in seconds.
const TICK: Duration = Duration::from_secs(1);

/// What SIGTERM, SIGHUP and SIGINT leave behind: 128 and the number of the first.
const TERMINATED: u8 = 143;

/// What happens while one waits.
enum Heard {
    News(Message),
    Tick,
    Ended,
}

/// Shows the view until the user leaves it.
pub(super) async fn run(
    ctx: &Context,
    args: &Args,
    sweeps: Vec<String>,
) -> Result<ExitCode, Failure> {
    let theme = Theme { color: ctx.screen.is_colored(), unicode: has_unicode() };
    let (news, mut heard) = unbounded_channel();
    let aside = || {
        let (ctx, said): (Context, Aside) = ctx.aside();
        (Context { screen: ctx.screen.uncolored(), ..ctx }, said)
    };
    let feed = feed::start(aside(), sweeps.clone(), args.every.unwrap_or(EVERY), news.clone())?;
    let hand = hand::start(aside(), args, sweeps, news.clone())?;
    let mut signals = Signals::new()?;
    let mut terminal = Taken::take()?;
    listen(news)?;
    let root = ctx.root.path().display().to_string();
    let mut model = Model::new(root, terminal.size()?, ctx.clock.now());
    model.root_option.clone_from(&ctx.root_option);
    model.is_offline = args.way.offline;
    let mut wanted = Wanted::default();
    loop {
        if feed.is_over() || hand.is_over() {
            return Err(gone());
        }
        // A terminal that was made smaller while nobody looked.
        model.size = terminal.size()?;
        let now_wanted = model.wanted();
        if now_wanted != wanted {
            wanted = now_wanted.clone();
            feed.wish(now_wanted);
        }
        terminal.draw(|frame| view::draw(frame, &model, theme))?;
        let first = match wait(&mut heard, &mut signals).await {
            Heard::Ended => return Ok(ExitCode::from(TERMINATED)),
            Heard::Tick => {
                tick(&mut model, ctx.clock.now());
                continue;
            }
            Heard::News(message) => message,
        };
        // All that is there already is taken in before the next picture.
        let mut next = Some(first);
        while let Some(message) = next {
            let effect = update(&mut model, message, ctx.clock.now());
            match effect {
                None => {}
                Some(Effect::Leave) => {
                    drop(terminal);
                    model.parting.iter().for_each(|words| ctx.screen.tell(words));
                    return Ok(ExitCode::SUCCESS);
                }
                Some(Effect::Suspend) => terminal.suspend()?,
                Some(Effect::Do(act)) => hand.wish(act),
            }
            next = heard.try_recv().ok();
        }
        tick(&mut model, ctx.clock.now());
    }
}

async fn wait(heard: &mut UnboundedReceiver<Message>, signals: &mut Signals) -> Heard {
    tokio::select! {
        message = heard.recv() => message.map_or(Heard::Ended, Heard::News),
        () = tokio::time::sleep(TICK) => Heard::Tick,
        () = signals.end() => Heard::Ended,
    }
}

/// Signals that end the program, which gives the terminal back before.
struct Signals {
    terminate: Signal,
    hang_up: Signal,
    /// Ctrl-C is a key here; this one comes from elsewhere.
    interrupt: Signal,
}

impl Signals {
    fn new() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(Failure::internal);
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            hang_up: listen(SignalKind::hangup())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    async fn end(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

fn gone() -> Failure {
    Failure::site("a part of this program has died")
        .hint("this is a defect of regatta: please report it; the jobs go on")
}

/// Says whether the terminal's language has all of Unicode, as the environment tells: the first of these that
/// is set counts (locale(7)).
#[expect(clippy::disallowed_methods, reason = "a front room reads the environment")]
fn has_unicode() -> bool {
    let set = |name: &&str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(set).unwrap_or_default();
    let locale = locale.to_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}
