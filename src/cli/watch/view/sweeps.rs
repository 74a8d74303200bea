//! The list of sweeps: how many trials stand how, and the best value.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::Scene;
use crate::cli::ask::metric;
use crate::cli::watch::model::{Pane, first_shown};
use crate::store::{SweepStatus, TrialState};

/// Widest name of a sweep, and width of its bar.
const NAME: usize = 28;
const BAR: usize = 10;

pub(super) fn draw(frame: &mut Frame<'_>, scene: Scene<'_>, area: Rect) {
    if area.height == 0 {
        return;
    }
    let model = scene.model;
    let (all, at) = (model.sweeps(), model.sweep_at());
    let rows = usize::from(area.height) - 1;
    let first = first_shown(at, all.len(), rows);
    let note = match all.len() > rows {
        true => format!("{} of {}", at + 1, all.len()),
        false => String::new(),
    };
    let shown = &all[first..all.len().min(first + rows)];
    let widest = shown.iter().map(|status| status.sweep.chars().count()).max().unwrap_or(0);
    let name = widest.min(NAME).min(usize::from(area.width) / 3);
    let digits = shown.iter().map(|status| status.trials.to_string().len()).max().unwrap_or(1);
    let mut lines = vec![scene.title(Some(Pane::Sweeps), "SWEEPS", &note, area.width)];
    for (number, status) in (first..).zip(shown) {
        lines.push(line(scene, status, number == at, (name, digits), usize::from(area.width)));
    }
    frame.render_widget(Paragraph::new(lines), area);
}

fn line(
    scene: Scene<'_>,
    status: &SweepStatus,
    is_chosen: bool,
    (name, digits): (usize, usize),
    width: usize,
) -> Line<'static> {
    let theme = scene.theme;
    let finished = count(status, &TrialState::Finished);
    let pointer = if is_chosen { theme.pointer() } else { ' ' };
    let style = if is_chosen { theme.strong() } else { ratatui::style::Style::new() };
    #[expect(clippy::cast_precision_loss, reason = "numbers of trials are small")]
    let part = finished as f64 / status.trials.max(1) as f64;
    let done = theme.right(&finished.to_string(), digits);
    let mut spans = vec![
        Span::styled(pointer.to_string(), theme.focus()),
        Span::styled(format!("{}  ", theme.pad(&status.sweep, name)), style),
        Span::styled(theme.bar(part, BAR), theme.of_state(&TrialState::Finished)),
        Span::styled(format!(" {done}/{}", theme.pad(&status.trials.to_string(), digits)), style),
    ];
    let best = match status.best {
        None => String::new(),
        best => format!("best {} ", metric(best)),
    };
    let used = Line::from(spans.clone()).width();
    let mut left = width.saturating_sub(used + best.chars().count());
    let more = if theme.unicode { "  …" } else { "  ~" };
    for (state, count) in ordered(status) {
        let text = format!("{count} {state}");
        // What follows it may need the sign that there is more.
        if text.len() + 4 + 5 > left {
            spans.push(Span::raw(more));
            left = left.saturating_sub(3);
            break;
        }
        left -= text.len() + 4;
        spans.push(Span::styled(format!("  {} ", theme.sign(state)), theme.of_state(state)));
        spans.push(Span::styled(text, theme.of_state(state)));
    }
    spans.push(Span::raw(" ".repeat(left)));
    spans.push(Span::raw(best));
    Line::from(spans)
}

fn count(status: &SweepStatus, state: &TrialState) -> u64 {
    status.states.iter().find(|(other, _)| other == state).map_or(0, |(_, count)| *count)
}

/// States with what people look for first: what runs, what went wrong, what waits.
fn ordered(status: &SweepStatus) -> Vec<(&TrialState, u64)> {
    let weight = |state: &TrialState| match state {
        TrialState::Running => 0,
        TrialState::Waiting => 2,
        TrialState::Submitted => 3,
        TrialState::Planned => 4,
        TrialState::Finished => 5,
        _ => 1,
    };
    let mut states: Vec<_> = status.states.iter().map(|(state, count)| (state, *count)).collect();
    states.sort_by_key(|(state, _)| weight(state));
    states
}
