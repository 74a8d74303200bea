//! The thread that asks schedulers and acts. It locks a sweep only while it does so, and does nothing twice
//! at a time.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;

use super::Args;
use super::act::Act;
use super::pace::{Pace, between_looks};
use super::seen::{Message, Told};
use crate::cli::ask::from_store;
use crate::cli::gate::absolute;
use crate::cli::looking::look_at;
use crate::cli::screen::Aside;
use crate::cli::submit::open_store;
use crate::cli::{Context, Failure};
use crate::clock::Clock;
use crate::layout::Root;
use crate::store::StoreError;

/// Between two looks at which sweeps there are.
const ROUND: Duration = Duration::from_secs(1);

/// The acting thread, as others see it.
#[derive(Debug)]
pub(super) struct Hand {
    acts: Sender<Act>,
    thread: JoinHandle<()>,
}

impl Hand {
    /// Begins to look at these sweeps, all for none.
    pub(super) fn start(
        (ctx, said): (Context, Aside),
        args: &Args,
        sweeps: Vec<String>,
        news: UnboundedSender<Message>,
    ) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Failure::internal)?;
        let root = Root::new(absolute(ctx.root.path())?);
        let mut looker = Looker { args: args.clone(), root, sweeps, paces: HashMap::new() };
        let (acts, wishes) = channel();
        let work = move || {
            while let Ok(act) = next(&wishes) {
                let is_heard = runtime.block_on(async {
                    let Some(act) = act else { return looker.round(&ctx, &said, &news).await };
                    looker.hurry();
                    perform(&ctx, &said, &looker.args, act, &news).await
                });
                if !is_heard {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("hand".to_owned()).spawn(work);
        Ok(Self { acts, thread: thread.map_err(Failure::internal)? })
    }

    /// Says whether it has died.
    pub(super) fn is_over(&self) -> bool {
        self.thread.is_finished()
    }

    /// Has something done.
    pub(super) fn act(&self, act: Act) {
        let _ = self.acts.send(act);
    }
}

/// Waits for an act, or until it is time to look; an error when the view is over.
fn next(wishes: &Receiver<Act>) -> Result<Option<Act>, ()> {
    match wishes.recv_timeout(ROUND) {
        Ok(act) => Ok(Some(act)),
        Err(RecvTimeoutError::Timeout) => Ok(None),
        Err(RecvTimeoutError::Disconnected) => Err(()),
    }
}

async fn perform(
    ctx: &Context,
    said: &Aside,
    args: &Args,
    act: Act,
    news: &UnboundedSender<Message>,
) -> bool {
    said.take();
    if news.send(Message::Begun(act.clone())).is_err() {
        return false;
    }
    let outcome = act.perform(ctx, &args.way.gate).await;
    let mut words = said.take();
    let is_well = outcome.is_ok();
    if let Err(failure) = outcome {
        let failure = failure.at(&ctx.root_option);
        words.push(format!("error: {failure}"));
        words.extend(failure.hints.iter().map(|hint| format!("hint: {hint}")));
    }
    news.send(Message::Done { words, is_well }).is_ok()
}

/// What looks at sweeps, each at its own pace.
pub(super) struct Looker {
    pub(super) args: Args,
    pub(super) root: Root,
    /// Names; none means all.
    pub(super) sweeps: Vec<String>,
    pub(super) paces: HashMap<String, Pace>,
}

impl Looker {
    /// All sweeps are looked at again at once.
    fn hurry(&mut self) {
        self.paces.values_mut().for_each(Pace::hurry);
    }

    /// Looks at the sweeps whose time has come. Says whether anybody hears of it.
    async fn round(
        &mut self,
        ctx: &Context,
        said: &Aside,
        news: &UnboundedSender<Message>,
    ) -> bool {
        if self.args.way.offline {
            return !news.is_closed();
        }
        let names = match self.sweeps.is_empty() {
            true => self.root.sweeps().unwrap_or_default(),
            false => self.sweeps.clone(),
        };
        for sweep in names {
            let began = ctx.clock.monotonic();
            if !self.paces.entry(sweep.clone()).or_default().is_due(began) {
                continue;
            }
            let asking = Message::Asking { sweep: sweep.clone(), since: ctx.clock.now() };
            if news.send(asking).is_err() {
                return false;
            }
            let told = self.look(ctx, said, &sweep).await;
            if news.send(Message::Asked(told)).is_err() {
                return false;
            }
        }
        !news.is_closed()
    }

    /// Looks at one sweep, and says when it is to be looked at again.
    pub(super) async fn look(&mut self, ctx: &Context, said: &Aside, sweep: &str) -> Told {
        let began = ctx.clock.monotonic();
        said.take();
        let looked = self.look_if_it_moves(ctx, sweep).await;
        let mut told = Told { sweep: sweep.to_owned(), words: said.take(), ..Told::default() };
        match looked {
            Ok(Some(asked)) => {
                told = Told {
                    scheduler: asked.scheduler,
                    at: asked.at,
                    silent: asked.silent,
                    goes_on: asked.goes_on,
                    ..told
                };
            }
            Ok(None) => {}
            Err(failure) => told.silent = Some(failure.message),
        }
        let pause = between_looks(&self.args.way.gate, told.scheduler);
        let pace = self.paces.entry(sweep.to_owned()).or_default();
        pace.done(began, ctx.clock.monotonic(), pause);
        told
    }

    async fn look_if_it_moves(
        &self,
        ctx: &Context,
        sweep: &str,
    ) -> Result<Option<crate::cli::looking::Asked>, Failure> {
        let mut store = open_store(&self.root).await?;
        let may_move = match store.may_move(sweep).await {
            // Nobody has collected it yet.
            Err(StoreError::NoSweep { .. }) => false,
            other => other.map_err(from_store)?,
        };
        if !may_move {
            return Ok(None);
        }
        look_at(ctx, &self.args.way, &mut store, &self.root, sweep).await.map(Some)
    }
}
