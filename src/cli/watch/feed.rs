//! The thread that collects and reads. It holds nothing while it sleeps: the database is opened for each
//! round, and no sweep is locked.

mod log;
mod round;

use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;

use super::seen::{Message, Wanted};
use super::thread::Thread;
use crate::cli::screen::Aside;
use crate::cli::{Context, Failure};
use crate::clock::Clock;
use round::Reader;

/// Begins to read these sweeps, all for none, every `pause`. Wishes say what the view is about.
pub(super) fn start(
    (ctx, said): (Context, Aside),
    sweeps: Vec<String>,
    pause: Duration,
    news: UnboundedSender<Message>,
) -> Result<Thread<Wanted>, Failure> {
    Thread::start("feed", move |runtime, wishes| {
        let mut reader = Reader::new(ctx, said, sweeps, pause);
        while let Ok(wanted) = wishes.last(reader.pace.wait(reader.ctx.clock.monotonic())) {
            let seen = runtime.block_on(reader.read(wanted));
            if news.send(Message::Seen(Box::new(seen))).is_err() {
                return;
            }
        }
    })
}
