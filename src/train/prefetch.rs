//! Minibatches ahead of time: threads cut the next ones while the network computes.
//!
//! A minibatch is a function of (seed, epoch, samples), so that one cut ahead has the same bits as one
//! cut when it is asked for, and nothing need be remembered across a checkpoint.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use crate::worker::learner::LearnerError;

/// Threads that cut at most.
const MOST: usize = 4;

/// Minibatches that wait at most, for [`MOST`] threads.
pub(super) const MOST_AHEAD: u64 = MOST as u64 + 1;

/// Returns how many threads should cut beside a computation on `busy` threads: what is left of the
/// processors, at least 1 and at most 4.
pub(super) fn threads_beside(busy: usize) -> usize {
    let all = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    all.saturating_sub(busy).clamp(1, MOST)
}

/// The samples `first..last` of an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Counts from 1.
    pub(super) epoch: u64,
    pub(super) first: u64,
    pub(super) last: u64,
}

/// Which minibatch follows which.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    /// Samples of a minibatch; the last one of an epoch may have fewer.
    pub(super) batch_size: u64,
    /// Samples of an epoch.
    pub(super) samples: u64,
    /// Epochs of the trial: after the last nothing follows.
    pub(super) epochs: u64,
}

impl Order {
    /// Returns the minibatch that begins at `first`.
    pub(super) fn at(&self, epoch: u64, first: u64) -> Place {
        Place { epoch, first, last: (first + self.batch_size).min(self.samples) }
    }

    fn after(&self, place: Place) -> Option<Place> {
        if place.last < self.samples {
            Some(self.at(place.epoch, place.last))
        } else {
            (place.epoch < self.epochs).then(|| self.at(place.epoch + 1, 0))
        }
    }
}

/// What cuts: each thread has one of its own.
pub(super) type Cutter<T> = Box<dyn FnMut(Place) -> Result<T, LearnerError> + Send>;

/// What comes of a cut: a panic is carried to who asked.
type Outcome<T> = std::thread::Result<Result<T, LearnerError>>;

struct Job<T> {
    place: Place,
    generation: u64,
    answer: SyncSender<Outcome<T>>,
}

/// Cuts ahead along an [`Order`], wherever that is entered. Dropped, it waits for its threads; each
/// ends after what it is cutting.
pub(super) struct Prefetch<T> {
    order: Order,
    /// Used where there are no threads.
    own: Cutter<T>,
    threads: Vec<JoinHandle<()>>,
    /// None where there are no threads.
    jobs: Option<Sender<Job<T>>>,
    /// What was asked for, in order.
    ahead: VecDeque<(Place, Receiver<Outcome<T>>)>,
    /// Jobs of older generations are not wanted any more.
    generation: Arc<AtomicU64>,
}

impl<T: Send + 'static> Prefetch<T> {
    /// Starts up to `threads` threads; with 0, or where the system gives none, [`Self::take`] cuts by
    /// itself. At most one minibatch more than there are threads is held.
    pub(super) fn start(
        order: Order,
        threads: usize,
        mut cutter: impl FnMut() -> Cutter<T>,
    ) -> Self {
        let (jobs, inbox) = channel::<Job<T>>();
        let inbox = Arc::new(Mutex::new(inbox));
        let generation = Arc::new(AtomicU64::new(0));
        let mut running = Vec::new();
        for _ in 0..threads.min(MOST) {
            let (inbox, current, cut) = (inbox.clone(), generation.clone(), cutter());
            let thread = Builder::new().name("minibatches".to_owned());
            let Ok(thread) = thread.spawn(move || work(&inbox, &current, cut)) else { break };
            running.push(thread);
        }
        let jobs = (!running.is_empty()).then_some(jobs);
        let (own, ahead) = (cutter(), VecDeque::new());
        Self { order, own, threads: running, jobs, ahead, generation }
    }

    /// Returns the minibatch at a place and has the next ones cut meanwhile.
    ///
    /// # Errors
    /// What cutting it gave. A panic in a thread goes on here.
    pub(super) fn take(&mut self, place: Place) -> Result<T, LearnerError> {
        if self.jobs.is_none() {
            return (self.own)(place);
        }
        if self.ahead.front().is_none_or(|(first, _)| *first != place) {
            // Somebody jumped: a resumed trial, or the first step.
            self.generation.fetch_add(1, Ordering::Relaxed);
            self.ahead.clear();
        }
        let mut next = self.ahead.back().map_or(Some(place), |(last, _)| self.order.after(*last));
        while let Some(wanted) = next.filter(|_| self.ahead.len() <= self.threads.len() + 1) {
            self.ask(wanted);
            next = self.order.after(wanted);
        }
        let gone = || LearnerError::Library { what: "no thread cuts minibatches".to_owned() };
        let (_, answer) = self.ahead.pop_front().ok_or_else(gone)?;
        match answer.recv() {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => resume_unwind(panic),
            Err(_) => Err(gone()),
        }
    }

    fn ask(&mut self, place: Place) {
        let (answer, outcome) = sync_channel(1);
        let generation = self.generation.load(Ordering::Relaxed);
        if let Some(jobs) = &self.jobs {
            // Nobody there to hear: then the answer's other end is gone too, which `take` tells.
            let _ = jobs.send(Job { place, generation, answer });
        }
        self.ahead.push_back((place, outcome));
    }
}

/// Cuts what is asked for until nobody asks any more.
fn work<T>(inbox: &Mutex<Receiver<Job<T>>>, current: &AtomicU64, mut cut: Cutter<T>) {
    loop {
        let job = inbox.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { place, generation, answer }) = job else { return };
        if generation == current.load(Ordering::Relaxed) {
            let outcome = catch_unwind(AssertUnwindSafe(|| cut(place)));
            // Who asked may have gone on elsewhere.
            let _ = answer.send(outcome);
        }
    }
}

impl<T> Drop for Prefetch<T> {
    fn drop(&mut self) {
        self.generation.fetch_add(1, Ordering::Relaxed);
        self.jobs = None;
        for thread in self.threads.drain(..) {
            // Its panics were caught.
            let _ = thread.join();
        }
    }
}

impl<T> std::fmt::Debug for Prefetch<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let places: Vec<_> = self.ahead.iter().map(|(place, _)| place).collect();
        f.debug_struct("Prefetch").field("order", &self.order).field("ahead", &places).finish()
    }
}

#[cfg(test)]
mod tests;
