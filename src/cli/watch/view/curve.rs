//! The objective over the epochs of the chosen trial, large: the whole width stands for all epochs.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Color;
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use ratatui::widgets::canvas::{self, Canvas};

use super::Scene;
use super::facts::best;
use crate::cli::ask::metric;

/// Columns for the values at the left, and the blanks around them.
const LABELS: u16 = 11;

pub(super) fn draw(frame: &mut Frame<'_>, scene: Scene<'_>, area: Rect) {
    if area.height < 3 {
        return;
    }
    let Scene { model, theme } = scene;
    let chosen = model.of_sweep().and_then(|seen| seen.chosen.as_ref());
    let chosen = chosen.filter(|chosen| Some(&chosen.detail.row.trial) == model.trial.as_ref());
    let title = match (model.chosen(), chosen) {
        (Some(row), Some(_)) => best(scene, row),
        _ => String::new(),
    };
    let title = scene.title(None, "CURVE", &title, area.width);
    frame.render_widget(title, Rect { height: 1, ..area });
    let points = chosen.map_or(Vec::new(), |chosen| {
        let objective = &chosen.detail.objective.metric;
        let value = |epoch: &crate::store::EpochRow| {
            epoch.metrics.get(objective).map(|value| (epoch.epoch, value))
        };
        chosen.detail.history.iter().filter_map(value).collect()
    });
    let below = Rect { y: area.y + 1, height: area.height - 1, ..area };
    let (Some((first, _)), Some((last, _))) = (points.first(), points.last()) else {
        let words = Line::styled(" No epoch has ended yet.", theme.faint());
        frame.render_widget(words, Rect { height: 1, ..below });
        return;
    };
    let last = model.chosen().and_then(|row| row.epochs).unwrap_or(*last).max(first + 1);
    let height = below.height - 1;
    let low = points.iter().map(|(_, value)| *value).fold(f64::INFINITY, f64::min);
    let high = points.iter().map(|(_, value)| *value).fold(f64::NEG_INFINITY, f64::max);
    let mut labels = vec![Line::default(); usize::from(height)];
    let label = |value: f64| {
        Line::styled(format!(" {} ", theme.right(&metric(Some(value)), 9)), theme.faint())
    };
    if let Some(line) = labels.first_mut() {
        *line = label(high);
    }
    if let Some(line) = labels.last_mut().filter(|_| high > low) {
        *line = label(low);
    }
    labels.push(Line::styled(
        format!("{} epoch {first} to {last}", " ".repeat(usize::from(LABELS) - 1)),
        theme.faint(),
    ));
    frame.render_widget(Paragraph::new(labels), below);
    let plot = Rect {
        x: below.x + LABELS,
        width: below.width.saturating_sub(LABELS + 1),
        height,
        ..below
    };
    if theme.unicode {
        line(frame, scene, plot, &points, (*first, last), (low, high));
    } else {
        bars(frame, scene, plot, &points, (*first, last));
    }
}

/// A line of dots, eight to a cell.
#[expect(clippy::cast_precision_loss, reason = "numbers of epochs are small")]
fn line(
    frame: &mut Frame<'_>,
    scene: Scene<'_>,
    area: Rect,
    points: &[(u64, f64)],
    (first, last): (u64, u64),
    (low, high): (f64, f64),
) {
    let color = scene.theme.curve().fg.unwrap_or(Color::Reset);
    // What is constant lies in the middle.
    let (low, high) = if high > low { (low, high) } else { (low - 1.0, high + 1.0) };
    let canvas = Canvas::default()
        .marker(Marker::Braille)
        .x_bounds([first as f64, last as f64])
        .y_bounds([low, high])
        .paint(|context| {
            let lone = points.windows(2).map(|pair| (pair[0], pair[1]));
            // One point alone is a line to itself.
            let start = points.first().map(|point| (*point, *point));
            for ((x1, y1), (x2, y2)) in start.into_iter().chain(lone) {
                let (x1, x2) = (x1 as f64, x2 as f64);
                context.draw(&canvas::Line { x1, y1, x2, y2, color });
            }
        });
    frame.render_widget(canvas, area);
}

/// Bars, where there are no dots.
fn bars(
    frame: &mut Frame<'_>,
    scene: Scene<'_>,
    area: Rect,
    points: &[(u64, f64)],
    (first, last): (u64, u64),
) {
    let theme = scene.theme;
    let width = usize::from(area.width);
    let all = usize::try_from(last - first + 1).unwrap_or(usize::MAX);
    let values: Vec<f64> = points.iter().map(|(_, value)| *value).collect();
    // The part of the width that these epochs have.
    let part = (width * values.len() / all.max(1)).max(1);
    // Of fewer epochs than columns each has several, so that together they fill their part.
    let columns = part.max(values.len());
    let wide: Vec<f64> =
        (0..columns).map(|column| values[column * values.len() / columns]).collect();
    let lines = theme.curve_lines(&wide, part, usize::from(area.height));
    let lines: Vec<_> =
        lines.into_iter().map(|text| Line::from(Span::styled(text, theme.curve()))).collect();
    frame.render_widget(Paragraph::new(lines), area);
}
