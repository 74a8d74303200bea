//! Who judges what happens: callbacks see every event and wish; the loop takes the strongest wish.

use crate::event::{Event, Pace, StopReason};

/// What a callback wants the loop to do. The maximum of all wishes is done, so that the order of
/// callbacks cannot matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wish {
    /// Go on.
    #[default]
    Continue,
    /// Save, then go on.
    Checkpoint,
    /// Save where that makes sense, then leave.
    Stop(StopReason),
}

/// What a callback foresees; it explains a stop in the journal.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Outlook {
    /// Seconds that the next unit of work with a checkpoint would take.
    pub predicted: Option<f64>,
    /// Seconds that a checkpoint would take.
    pub predicted_save: Option<f64>,
    /// Seconds left for this attempt.
    pub time_left: Option<f64>,
    /// How long work takes.
    pub pace: Option<Pace>,
    /// Whether records wait in memory since the disk does not take them.
    pub journal_fails: bool,
}

/// Judges events.
pub trait Callback {
    /// Sees an event and wishes.
    fn on(&mut self, event: &Event) -> Wish;

    /// Wishes in the middle of a long unit of work, where nothing has happened yet.
    fn poll(&mut self) -> Wish {
        Wish::Continue
    }

    /// Gives what should stand in the journal as a warning, once.
    fn remark(&mut self) -> Option<String> {
        None
    }

    /// Tells what it foresees, if it foresees anything.
    fn outlook(&self) -> Outlook {
        Outlook::default()
    }
}

/// All callbacks of an attempt.
#[derive(Default)]
pub struct Callbacks(Vec<Box<dyn Callback>>);

impl Callbacks {
    /// Adds one.
    pub fn add(&mut self, callback: impl Callback + 'static) {
        self.0.push(Box::new(callback));
    }

    /// Shows all of them an event, and each other's remarks; returns the strongest wish.
    pub fn on(&mut self, event: &Event) -> Wish {
        let mut wish = self.show(event);
        let remarks: Vec<_> = self.0.iter_mut().filter_map(|callback| callback.remark()).collect();
        for text in remarks {
            wish = wish.max(self.show(&Event::Warning { text }));
        }
        wish
    }

    fn show(&mut self, event: &Event) -> Wish {
        self.0.iter_mut().map(|callback| callback.on(event)).max().unwrap_or_default()
    }

    /// Asks all of them in the middle of a unit.
    pub fn poll(&mut self) -> Wish {
        self.0.iter_mut().map(|callback| callback.poll()).max().unwrap_or_default()
    }

    /// Returns what is foreseen by those who foresee something.
    #[must_use]
    pub fn outlook(&self) -> Outlook {
        self.0.iter().map(|callback| callback.outlook()).fold(Outlook::default(), |all, one| {
            Outlook {
                predicted: all.predicted.or(one.predicted),
                predicted_save: all.predicted_save.or(one.predicted_save),
                time_left: all.time_left.or(one.time_left),
                pace: all.pace.or(one.pace),
                journal_fails: all.journal_fails || one.journal_fails,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Wants(Wish);

    impl Callback for Wants {
        fn on(&mut self, _: &Event) -> Wish {
            self.0
        }
    }

    #[test]
    fn the_order_of_callbacks_does_not_matter() {
        let wishes = [
            Wish::Stop(StopReason::Terminated),
            Wish::Checkpoint,
            Wish::Stop(StopReason::Superseded),
            Wish::Continue,
        ];
        for turn in 0..wishes.len() {
            let mut callbacks = Callbacks::default();
            for index in 0..wishes.len() {
                callbacks.add(Wants(wishes[(index + turn) % wishes.len()]));
            }
            let event = Event::Warning { text: String::new() };
            assert_eq!(callbacks.on(&event), Wish::Stop(StopReason::Superseded));
        }
        assert_eq!(Callbacks::default().poll(), Wish::Continue);
    }
}
