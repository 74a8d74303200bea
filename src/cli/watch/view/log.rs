//! The end of what the chosen trial said. It follows, unless somebody scrolled back.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::Scene;
use crate::cli::watch::act::DIGITS;
use crate::cli::watch::model::Pane;

pub(super) fn draw(frame: &mut Frame<'_>, scene: Scene<'_>, area: Rect) {
    if area.height == 0 {
        return;
    }
    let Scene { model, theme } = scene;
    let trial = model.trial.as_ref().map(|trial| &trial.as_str()[..DIGITS]);
    let title = trial.map_or("LOG".to_owned(), |trial| format!("LOG of {trial}"));
    let chosen = model.of_sweep().and_then(|seen| seen.chosen.as_ref());
    let chosen = chosen.filter(|chosen| Some(&chosen.detail.row.trial) == model.trial.as_ref());
    let Some(log) = chosen.map(|chosen| &chosen.log) else {
        let lines = vec![scene.title(Some(Pane::Log), &title, "", area.width)];
        frame.render_widget(Paragraph::new(lines), area);
        return;
    };
    let (rows, width) = room(area);
    let note = match (model.back, log.is_cut) {
        (0, false) => String::new(),
        (0, true) => format!("its end; all of it: regatta logs {}", trial.unwrap_or_default()),
        (back, _) => format!("{back} lines back, End follows"),
    };
    let mut lines = vec![scene.title(Some(Pane::Log), &title, &note, area.width)];
    if let Some(missing) = &log.missing {
        lines.push(Line::styled(format!(" {}", theme.text(missing)), theme.faint()));
    }
    let end = log.lines.len().saturating_sub(model.back);
    // Long lines go on in the next one: from the end back until the place is full.
    let mut shown: Vec<String> = Vec::new();
    for line in log.lines[..end].iter().rev() {
        if shown.len() >= rows {
            break;
        }
        shown.extend(wrapped(&theme.text(line), width).into_iter().rev());
    }
    shown.truncate(rows);
    lines.extend(shown.into_iter().rev().map(|text| Line::raw(format!(" {text}"))));
    frame.render_widget(Paragraph::new(lines), area);
}

/// Lines that one can go back at most: then the first ones are shown whole.
pub(in crate::cli::watch) fn furthest_back(lines: &[String], area: Rect) -> usize {
    let (rows, width) = room(area);
    let (mut used, mut shown) = (0, 0);
    for line in lines {
        used += wrapped(line, width).len();
        if shown > 0 && used > rows {
            break;
        }
        shown += 1;
    }
    lines.len() - shown
}

/// Rows for lines, and columns for their words.
fn room(area: Rect) -> (usize, usize) {
    let rows = usize::from(area.height.saturating_sub(1));
    (rows, usize::from(area.width).saturating_sub(2).max(1))
}

/// A line in pieces that are at most so wide.
pub(super) fn wrapped(line: &str, width: usize) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut used = 0;
    for c in line.chars() {
        let wide = Span::raw(c.to_string()).width();
        if used + wide > width {
            pieces.push(String::new());
            used = 0;
        }
        used += wide;
        if let Some(piece) = pieces.last_mut() {
            piece.push(c);
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_go_on_below() {
        assert_eq!(wrapped("abcdef", 4), ["abcd", "ef"]);
        assert_eq!(wrapped("ミトコ", 4), ["ミト", "コ"]);
        assert_eq!(wrapped("", 4), [""]);
    }

    #[test]
    fn one_can_go_back_to_the_first_line_though_lines_are_long() {
        let area = Rect { x: 0, y: 0, width: 6, height: 4 };
        let lines = ["abcdef", "gh", "ijklmn", "op"].map(str::to_owned);
        assert_eq!(furthest_back(&lines, area), 2);
        assert_eq!(furthest_back(&lines[..2], area), 0);
        assert_eq!(furthest_back(&["a".repeat(99)], area), 0);
        assert_eq!(furthest_back(&[], area), 0);
    }
}
