//! Writing on a thread of its own, so that training pauses for a copy in memory only.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::clock::Clock;
use crate::layout::Faults;

use super::{NotSaved, Saver, Snapshot, Written};

/// What came of a snapshot.
#[derive(Debug)]
pub struct Done {
    /// What came of it.
    pub result: Result<Written, NotSaved>,
    /// When it was over, on the monotonic clock.
    pub at: Duration,
}

/// Takes snapshots, one at a time, and says what came of them.
#[derive(Debug)]
pub enum Writing {
    /// Writes while the caller waits: for a clock that does not move by itself.
    OnTheSpot {
        /// Who writes.
        saver: Box<Saver>,
        /// What came of the last one.
        done: Option<Done>,
    },
    /// Writes on a thread.
    Behind(Thread),
}

/// The writing thread.
#[derive(Debug)]
pub struct Thread {
    snapshots: Option<Sender<Snapshot>>,
    done: Receiver<Done>,
    handle: Option<JoinHandle<()>>,
}

impl Writing {
    /// Writes on a thread; on the spot where none can be started.
    #[must_use]
    pub fn behind(saver: Saver, clock: &Arc<dyn Clock>) -> Self {
        let (snapshots, to_write) = channel::<Snapshot>();
        let (tell, done) = channel();
        let (time, faults) = (Arc::clone(clock), Faults::here());
        let saver = Arc::new(Mutex::new(saver));
        let mine = Arc::clone(&saver);
        let work = move || {
            faults.adopt();
            let mut saver = mine.lock().unwrap_or_else(PoisonError::into_inner);
            for snapshot in to_write {
                let result = catch_unwind(AssertUnwindSafe(|| saver.save(&snapshot)));
                let result = result.unwrap_or_else(|_| {
                    Err(NotSaved { error: "panicked while writing".to_owned(), weights: None })
                });
                if tell.send(Done { result, at: time.monotonic() }).is_err() {
                    return;
                }
            }
        };
        match std::thread::Builder::new().name("checkpoint".to_owned()).spawn(work) {
            Ok(handle) => {
                Self::Behind(Thread { snapshots: Some(snapshots), done, handle: Some(handle) })
            }
            Err(error) => {
                tracing::warn!("no thread for writing checkpoints ({error}): training waits");
                let saver = Arc::into_inner(saver).map(Mutex::into_inner);
                match saver.map(|saver| saver.unwrap_or_else(PoisonError::into_inner)) {
                    Some(saver) => Self::on_the_spot(saver),
                    None => Self::Behind(Thread { snapshots: None, done, handle: None }),
                }
            }
        }
    }

    /// Writes while the caller waits.
    #[must_use]
    pub fn on_the_spot(saver: Saver) -> Self {
        Self::OnTheSpot { saver: Box::new(saver), done: None }
    }

    /// Begins to write. What came of the one before must have been asked for.
    pub fn begin(&mut self, snapshot: Snapshot, clock: &dyn Clock) {
        match self {
            Self::OnTheSpot { saver, done } => {
                let result = saver.save(&snapshot);
                *done = Some(Done { result, at: clock.monotonic() });
            }
            Self::Behind(thread) => {
                if let Some(snapshots) = &thread.snapshots {
                    let _ = snapshots.send(snapshot);
                }
            }
        }
    }

    /// Says what came of the snapshot, if that is known by now.
    pub fn poll(&mut self) -> Option<Done> {
        match self {
            Self::OnTheSpot { done, .. } => done.take(),
            Self::Behind(thread) => thread.done.try_recv().ok(),
        }
    }

    /// Waits for what comes of the snapshot.
    pub fn wait(&mut self, clock: &dyn Clock) -> Done {
        let done = match self {
            Self::OnTheSpot { done, .. } => done.take(),
            Self::Behind(thread) => thread.done.recv().ok(),
        };
        done.unwrap_or_else(|| {
            let error = "there is no thread that writes".to_owned();
            Done { result: Err(NotSaved { error, weights: None }), at: clock.monotonic() }
        })
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        // What is being written is written to its end.
        self.snapshots.take();
        if let Some(handle) = self.handle.take() {
            let _ = handle.join();
        }
    }
}
