//! A thread of the view with a runtime of its own: it gets wishes, and sends news.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use crate::cli::Failure;

/// A thread, as others see it.
#[derive(Debug)]
pub(super) struct Thread<W> {
    wishes: Sender<W>,
    handle: JoinHandle<()>,
}

impl<W: Send + 'static> Thread<W> {
    /// Begins to work. Journals and locks block: nobody else is to wait for them.
    pub(super) fn start(
        name: &str,
        work: impl FnOnce(&Runtime, &Wishes<W>) + Send + 'static,
    ) -> Result<Self, Failure> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(Failure::internal)?;
        let (wishes, heard) = channel();
        let thread = std::thread::Builder::new().name(name.to_owned());
        let handle = thread.spawn(move || work(&runtime, &Wishes(heard)));
        Ok(Self { wishes, handle: handle.map_err(Failure::internal)? })
    }

    /// Says whether it has died.
    pub(super) fn is_over(&self) -> bool {
        self.handle.is_finished()
    }

    /// Wishes for something.
    pub(super) fn wish(&self, wish: W) {
        let _ = self.wishes.send(wish);
    }
}

/// What was wished for and not taken up yet.
#[derive(Debug)]
pub(super) struct Wishes<W>(Receiver<W>);

/// The view is over: nobody wishes for anything any more.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Over;

impl<W> Wishes<W> {
    /// Waits for the next one, for so long; nothing when that time is over.
    pub(super) fn next(&self, wait: Duration) -> Result<Option<W>, Over> {
        match self.0.recv_timeout(wait) {
            Ok(wish) => Ok(Some(wish)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(Over),
        }
    }

    /// The same where of several the last one counts.
    pub(super) fn last(&self, wait: Duration) -> Result<Option<W>, Over> {
        let next = self.next(wait)?;
        Ok(self.0.try_iter().last().or(next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT_ONCE: Duration = Duration::ZERO;

    #[test]
    fn wishes_come_in_order_and_end_with_the_view() {
        let (send, heard) = channel();
        let wishes = Wishes(heard);
        (1..=5).for_each(|wish| send.send(wish).expect("heard"));
        assert_eq!(wishes.next(AT_ONCE), Ok(Some(1)));
        assert_eq!(wishes.last(AT_ONCE), Ok(Some(5)));
        assert_eq!((wishes.next(AT_ONCE), wishes.last(AT_ONCE)), (Ok(None), Ok(None)));
        drop(send);
        assert_eq!((wishes.next(AT_ONCE), wishes.last(AT_ONCE)), (Err(Over), Err(Over)));
    }

    #[test]
    fn a_thread_does_what_is_wished_and_ends_when_nobody_wishes() {
        let (send, done) = channel();
        let thread = Thread::start("test", move |_, wishes| {
            while let Ok(wish) = wishes.next(Duration::from_secs(60)) {
                let _ = send.send(wish);
            }
        })
        .expect("a thread");
        thread.wish(7);
        assert_eq!(done.recv(), Ok(Some(7)));
        assert!(!thread.is_over());
        let Thread { wishes, handle } = thread;
        drop(wishes);
        handle.join().expect("it ended well");
    }
}
