//! Ways through lists, and the keys for them. Pure.

use ratatui::crossterm::event::KeyCode;

use super::model::{Model, Pane};
use super::view::furthest_back;

/// A way through a list.
#[derive(Clone, Copy)]
pub(super) enum Step {
    Up,
    Down,
    PageUp,
    PageDown,
    First,
    Last,
}

impl Step {
    /// Where it leads from a place, with pages of so many lines.
    pub(super) fn along(self, at: usize, page: u16) -> usize {
        let page = usize::from(page).max(1);
        match self {
            Self::Up => at.saturating_sub(1),
            Self::Down => at.saturating_add(1),
            Self::PageUp => at.saturating_sub(page),
            Self::PageDown => at.saturating_add(page),
            Self::First => 0,
            Self::Last => usize::MAX,
        }
    }
}

/// The way that a key means.
pub(super) fn step(code: KeyCode) -> Option<Step> {
    Some(match code {
        KeyCode::Up | KeyCode::Char('k') => Step::Up,
        KeyCode::Down | KeyCode::Char('j') => Step::Down,
        KeyCode::PageUp => Step::PageUp,
        KeyCode::PageDown | KeyCode::Char(' ') => Step::PageDown,
        KeyCode::Home | KeyCode::Char('g') => Step::First,
        KeyCode::End | KeyCode::Char('G') => Step::Last,
        _ => return None,
    })
}

/// Goes that way in the pane that keys are about.
pub(super) fn walk(model: &mut Model, step: Step) {
    let places = model.places();
    match model.pane {
        Pane::Sweeps => model.choose_sweep(step.along(model.sweep_at(), places.sweep_rows())),
        Pane::Trials => model.choose(step.along(model.at, places.trial_rows())),
        Pane::Log => {
            // Lines are counted back from the end: 0 follows.
            let lines = model.of_sweep().and_then(|seen| seen.chosen.as_ref());
            let lines = lines.map_or(&[][..], |chosen| &chosen.log.lines);
            let most = furthest_back(lines, places.log);
            let at = most.saturating_sub(model.back);
            model.back = most - step.along(at, places.log_rows()).min(most);
        }
    }
}
