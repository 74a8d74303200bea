//! The thread that asks schedulers and acts. It locks a sweep only while it does so, and does nothing twice
//! at a time.

use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;

use super::Args;
use super::act::Act;
use super::looker::Looker;
use super::seen::Message;
use super::thread::Thread;
use crate::cli::screen::Aside;
use crate::cli::{Context, Failure};
use crate::clock::Clock;

/// Between two looks at which sweeps there are.
const ROUND: Duration = Duration::from_secs(1);

/// Begins to look at these sweeps, all for none. Wishes are acts.
pub(super) fn start(
    (ctx, said): (Context, Aside),
    args: &Args,
    sweeps: Vec<String>,
    news: UnboundedSender<Message>,
) -> Result<Thread<Act>, Failure> {
    let looker = Looker::new(&ctx, args, sweeps)?;
    let mut hand = Hand { ctx, said, looker, news };
    Thread::start("hand", move |runtime, wishes| {
        let mut wait = ROUND;
        while let Ok(act) = wishes.next(wait) {
            let done = runtime.block_on(async {
                match act {
                    Some(act) => hand.perform(act).await,
                    None => hand.look().await,
                }
            });
            // Between two looks it does what was wished for.
            wait = match done {
                Ok(true) => Duration::ZERO,
                Ok(false) => ROUND,
                Err(Unheard) => return,
            };
        }
    })
}

/// Nobody hears of it any more.
struct Unheard;

struct Hand {
    ctx: Context,
    said: Aside,
    looker: Looker,
    news: UnboundedSender<Message>,
}

impl Hand {
    fn tell(&self, message: Message) -> Result<(), Unheard> {
        self.news.send(message).map_err(|_| Unheard)
    }

    /// Looks at a sweep whose time has come. Says whether there was one.
    async fn look(&mut self) -> Result<bool, Unheard> {
        let Some(sweep) = self.looker.next(&self.ctx) else {
            return if self.news.is_closed() { Err(Unheard) } else { Ok(false) };
        };
        let since = self.ctx.clock.now();
        self.tell(Message::Asking { sweep: sweep.clone(), since })?;
        let told = self.looker.look(&self.ctx, &self.said, &sweep).await;
        self.tell(Message::Asked(told))?;
        Ok(true)
    }

    /// Does what was wished for, and looks at all sweeps after it.
    async fn perform(&mut self, act: Act) -> Result<bool, Unheard> {
        self.looker.hurry();
        self.said.take();
        self.tell(Message::Begun(act.clone()))?;
        let Self { ctx, said, looker, .. } = self;
        let outcome = act.perform(ctx, &looker.args.way.gate).await;
        let mut words = said.take();
        let is_well = outcome.is_ok();
        if let Err(failure) = outcome {
            let failure = failure.at(&ctx.root_option);
            words.push(format!("error: {failure}"));
            words.extend(failure.hints.iter().map(|hint| format!("hint: {hint}")));
        }
        self.tell(Message::Done { words, is_well })?;
        Ok(true)
    }
}
