//! The thread that collects and reads. It holds nothing while it sleeps: the database is opened for each
//! round, and no sweep is locked.

mod log;
mod round;

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;

use super::seen::{Message, Wanted};
use crate::cli::screen::Aside;
use crate::cli::{Context, Failure};
use crate::clock::Clock;
use round::Reader;

/// The reading thread, as others see it.
#[derive(Debug)]
pub(super) struct Feed {
    wanted: Sender<Wanted>,
    thread: JoinHandle<()>,
}

impl Feed {
    /// Begins to read these sweeps, all for none, every `pause`.
    pub(super) fn start(
        (ctx, said): (Context, Aside),
        sweeps: Vec<String>,
        pause: Duration,
        news: UnboundedSender<Message>,
    ) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Failure::internal)?;
        let (wanted, wishes) = channel();
        let read = move || {
            let mut reader = Reader::new(ctx, said, sweeps, pause);
            while let Some(wanted) = next(&wishes, &reader) {
                let seen = runtime.block_on(reader.read(wanted));
                if news.send(Message::Seen(Box::new(seen))).is_err() {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("feed".to_owned()).spawn(read);
        Ok(Self { wanted, thread: thread.map_err(Failure::internal)? })
    }

    /// Says whether it has died.
    pub(super) fn is_over(&self) -> bool {
        self.thread.is_finished()
    }

    /// Says what the view is about now.
    pub(super) fn want(&self, wanted: Wanted) {
        let _ = self.wanted.send(wanted);
    }
}

/// Waits until something is to be read, and returns what is wanted; nothing when the view is over.
fn next(wishes: &Receiver<Wanted>, reader: &Reader) -> Option<Option<Wanted>> {
    let wait = reader.pace.wait(reader.ctx.clock.monotonic());
    let mut newest = match wishes.recv_timeout(wait) {
        Ok(wanted) => Some(wanted),
        Err(RecvTimeoutError::Timeout) => None,
        Err(RecvTimeoutError::Disconnected) => return None,
    };
    // Of several the last one counts.
    newest = wishes.try_iter().last().or(newest);
    Some(newest)
}
