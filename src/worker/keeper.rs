//! Takes copies of the training state and has them written, while training goes on.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::event::Event;

use super::checkpoint::{Done, LoopState, Place, Snapshot, Worked, Writing};
use super::learner::State;

/// Has snapshots written, one at a time, and tells as events what came of them.
///
/// A best epoch that comes while another snapshot is being written waits in memory; a newer best one
/// takes its place.
pub struct Keeper {
    writing: Writing,
    clock: Arc<dyn Clock>,
    generation: u32,
    under_way: Option<Copy>,
    waiting: Option<(Snapshot, Copy)>,
    /// The place of the newest checkpoint.
    saved: Option<Place>,
    /// The place of weights that were saved alone.
    weights: Option<Place>,
}

/// A copy in memory, and when and how long it was taken.
#[derive(Clone, Copy, Debug)]
struct Copy {
    place: Place,
    /// When writing began, on the monotonic clock.
    began: Duration,
    /// Seconds that copying took.
    pause: f64,
}

/// What is to be saved.
#[derive(Debug)]
pub struct Content {
    /// The learner's arrays.
    pub arrays: Arc<State>,
    /// The loop's state.
    pub state: LoopState,
    /// Time worked.
    pub worked: Worked,
    /// Seconds that training stood still for the copy.
    pub pause: f64,
    /// Ends of epochs that stand in no journal yet.
    pub unrecorded: Vec<Event>,
}

impl Keeper {
    /// Begins with a trial whose newest checkpoint is at `saved`.
    #[must_use]
    pub fn new(writing: Writing, clock: Arc<dyn Clock>, saved: Option<Place>) -> Self {
        Self { writing, clock, generation: 0, under_way: None, waiting: None, saved, weights: None }
    }

    /// Says whether a snapshot is being written.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.under_way.is_some()
    }

    /// Says whether the state at `place` is on disk. The very beginning needs no checkpoint.
    #[must_use]
    pub fn has(&self, place: Place) -> bool {
        self.saved.unwrap_or(Place::START) == place
    }

    /// Says whether at least the weights at `place` are on disk.
    #[must_use]
    pub fn has_weights(&self, place: Place) -> bool {
        self.has(place) || self.weights == Some(place)
    }

    /// Has a snapshot written, now or when the one under way is done.
    pub fn keep(&mut self, content: Content) -> Vec<Event> {
        self.generation = self.generation.saturating_add(1);
        let Content { arrays, state, worked, pause, unrecorded } = content;
        let copy = Copy { place: state.place(), began: Duration::ZERO, pause };
        let at = self.clock.now();
        let generation = self.generation;
        let snapshot = Snapshot { generation, arrays, state, worked, at, unrecorded };
        if self.waiting.as_ref().is_some_and(|(waits, _)| waits.state.place() == copy.place) {
            self.waiting = None;
        }
        if self.is_busy() {
            self.waiting = Some((snapshot, copy));
            return Vec::new();
        }
        let mut events = vec![self.begin(snapshot, copy)];
        events.extend(self.poll());
        events
    }

    fn begin(&mut self, snapshot: Snapshot, copy: Copy) -> Event {
        let copy = Copy { began: self.clock.monotonic(), ..copy };
        self.under_way = Some(copy);
        self.writing.begin(snapshot, self.clock.as_ref());
        Event::CheckpointBegun { cursor: copy.place.cursor }
    }

    /// Tells what has become of snapshots since the last time.
    pub fn poll(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(copy) = self.under_way {
            let Some(done) = self.writing.poll() else { break };
            events.extend(self.note(copy, done));
            if let Some((snapshot, copy)) = self.waiting.take() {
                events.push(self.begin(snapshot, copy));
            }
        }
        events
    }

    /// Waits for the snapshot under way; one that waits is left waiting.
    pub fn settle(&mut self) -> Vec<Event> {
        let Some(copy) = self.under_way else { return Vec::new() };
        let done = self.writing.wait(self.clock.as_ref());
        self.note(copy, done)
    }

    /// Waits until everything is written.
    pub fn finish(&mut self) -> Vec<Event> {
        let mut events = self.settle();
        if let Some((snapshot, copy)) = self.waiting.take() {
            events.push(self.begin(snapshot, copy));
            events.extend(self.settle());
        }
        events
    }

    fn note(&mut self, copy: Copy, done: Done) -> Vec<Event> {
        self.under_way = None;
        let (place, cursor) = (copy.place, copy.place.cursor);
        let written = match done.result {
            Ok(written) => written,
            Err(failed) => {
                let (error, weights) = (failed.error, failed.weights);
                if weights.is_some() {
                    self.weights = Some(place);
                }
                return vec![Event::CheckpointFailed { cursor, error, weights }];
            }
        };
        // A best epoch that waited is older than what was saved meanwhile.
        self.saved = self.saved.max(Some(place));
        let text = written.refused.zip(written.elsewhere.as_ref()).map(|(error, folder)| {
            format!(
                "the trial's folder refused a checkpoint ({error}); it is in {} on this node",
                folder.display()
            )
        });
        let event = Event::CheckpointWritten {
            name: format!("{}.json", written.name),
            cursor,
            seconds: copy.pause + done.at.saturating_sub(copy.began).as_secs_f64(),
            pause: copy.pause,
            bytes: written.bytes,
            folder: written.elsewhere,
        };
        text.map(|text| Event::Warning { text }).into_iter().chain([event]).collect()
    }
}
