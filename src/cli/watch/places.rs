//! Where the parts of the view lie, which follows from the size of the terminal alone and from what there is
//! to show. Pure.

use ratatui::layout::Rect;

use super::model::{Model, Pane};

/// Below this nothing sensible can be shown.
pub(super) const LEAST: (u16, u16) = (40, 10);

/// From here on there is room for two columns.
const WIDE: (u16, u16) = (120, 24);

/// Rectangles of the parts; those without room have no height.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Places {
    pub(super) header: Rect,
    pub(super) sweeps: Rect,
    pub(super) trials: Rect,
    /// What is known of the chosen trial.
    pub(super) facts: Rect,
    /// Its curve, where it has a place of its own.
    pub(super) curve: Rect,
    pub(super) log: Rect,
    pub(super) status: Rect,
    pub(super) keys: Rect,
    pub(super) is_wide: bool,
}

impl Places {
    pub(super) fn of(model: &Model) -> Self {
        let (width, height) = model.size;
        let line = |y: u16| Rect { x: 0, y, width, height: 1.min(height) };
        let bottom = height.saturating_sub(2);
        let frame = Self {
            header: line(0),
            status: line(bottom),
            keys: line(height.saturating_sub(1)),
            is_wide: width >= WIDE.0 && height >= WIDE.1,
            ..Self::default()
        };
        let body = Rect { x: 0, y: 1, width, height: bottom.saturating_sub(1) };
        if model.is_zoomed {
            return match model.pane {
                Pane::Sweeps => Self { sweeps: body, ..frame },
                Pane::Trials => Self { trials: body, ..frame },
                Pane::Log => Self { log: body, ..frame },
            };
        }
        let sweeps = u16::try_from(model.sweeps().len().max(1)).unwrap_or(u16::MAX);
        if frame.is_wide { frame.wide(body, sweeps) } else { frame.narrow(body, sweeps) }
    }

    /// One column: sweeps, trials, the chosen trial, its log. What there is no room for is left out from
    /// the bottom.
    fn narrow(self, body: Rect, sweeps: u16) -> Self {
        let sweeps = 1 + sweeps.min(if body.height >= 26 { 6 } else { 3 });
        let sweeps = sweeps.min(body.height / 4).max(2);
        let facts = if body.height >= 14 { 4 } else { 0 };
        let log = match body.height {
            0..=16 => 0,
            17..=25 => 5,
            more => more / 3,
        };
        let trials = body.height.saturating_sub(sweeps + facts + log);
        let [sweeps, trials, facts, log] = stack(body, [sweeps, trials, facts, log]);
        Self { sweeps, trials, facts, log, ..self }
    }

    /// Two columns: sweeps and trials; the chosen trial with its curve and log.
    fn wide(self, body: Rect, sweeps: u16) -> Self {
        let left = Rect { width: body.width / 2, ..body };
        let x = left.width + 2;
        let right = Rect { x, width: body.width.saturating_sub(x), ..body };
        let sweeps = 1 + sweeps.min(body.height / 4);
        let [sweeps, trials] = stack(left, [sweeps, body.height - sweeps]);
        let curve = (body.height / 4).clamp(5, 12);
        let facts = 8;
        let log = body.height.saturating_sub(facts + curve);
        let [facts, curve, log] = stack(right, [facts, curve, log]);
        Self { sweeps, trials, facts, curve, log, ..self }
    }

    /// Rows for trials: without the title and the head of the table.
    pub(super) fn trial_rows(&self) -> u16 {
        self.trials.height.saturating_sub(2)
    }

    /// Rows for sweeps.
    pub(super) fn sweep_rows(&self) -> u16 {
        self.sweeps.height.saturating_sub(1)
    }

    /// Rows for the log.
    pub(super) fn log_rows(&self) -> u16 {
        self.log.height.saturating_sub(1)
    }
}

/// Lays areas of these heights below each other.
fn stack<const N: usize>(within: Rect, heights: [u16; N]) -> [Rect; N] {
    let mut y = within.y;
    heights.map(|height| {
        let height = height.min(within.bottom().saturating_sub(y));
        let area = Rect { y, height, ..within };
        y += height;
        area
    })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    /// Every part lies on the screen, and none lies over another.
    #[test]
    fn parts_fill_the_screen_and_never_overlap() {
        for width in LEAST.0..=220 {
            for height in LEAST.1..=70 {
                let model = Model::new("runs".to_owned(), (width, height), Timestamp::UNIX_EPOCH);
                let p = Places::of(&model);
                let all = [p.header, p.sweeps, p.trials, p.facts, p.curve, p.log, p.status, p.keys];
                let screen = Rect { x: 0, y: 0, width, height };
                let used: Vec<Rect> = all.into_iter().filter(|area| area.area() > 0).collect();
                for (at, area) in used.iter().enumerate() {
                    assert!(screen.union(*area) == screen, "{width} x {height}: {area:?}");
                    let is_apart = |other: &Rect| !area.intersects(*other);
                    assert!(used[at + 1..].iter().all(is_apart), "{width} x {height}: {area:?}");
                }
                assert!(p.trial_rows() >= 2 && p.sweep_rows() >= 1, "{width} x {height}: {p:?}");
            }
        }
    }
}
