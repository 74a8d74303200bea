//! Sees divergence.

use crate::event::{Event, StopReason};

use super::callback::{Callback, Wish};

/// Stops training when a loss is not a number, infinite, or above a limit.
#[derive(Debug)]
pub struct Guard {
    max_loss: f64,
}

impl Guard {
    /// Guards with the limit of the settings (`guards.max_loss`).
    #[must_use]
    pub fn new(max_loss: f64) -> Self {
        Self { max_loss }
    }
}

impl Callback for Guard {
    fn on(&mut self, event: &Event) -> Wish {
        match event {
            Event::StepEnded { loss, .. } if !loss.is_finite() || *loss > self.max_loss => {
                Wish::Stop(StopReason::Diverged)
            }
            _ => Wish::Continue,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Cursor;

    #[test]
    fn only_a_loss_beyond_reason_is_divergence() {
        let mut guard = Guard::new(10.0);
        let mut judge =
            |loss| guard.on(&Event::StepEnded { cursor: Cursor::START, loss, seconds: 0.0 });
        assert_eq!(judge(10.0), Wish::Continue);
        assert_eq!(judge(-3.0), Wish::Continue);
        for loss in [10.5, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(judge(loss), Wish::Stop(StopReason::Diverged), "{loss}");
        }
    }
}
