//! How things look: colours where they are wanted, signs that this terminal has. Colour says nothing that
//! words and signs do not say as well.

use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Span;

use crate::store::TrialState;

/// Eighths of a cell, the smallest first.
const EIGHTHS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The same in ASCII, by the height at which their ink lies.
const ASCII: [char; 8] = ['_', '_', '.', '-', '-', '=', '*', '#'];

/// What the terminal can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Theme {
    pub(super) color: bool,
    pub(super) unicode: bool,
}

impl Theme {
    /// A style with a colour, where colours are wanted.
    fn tint(self, color: Color) -> Style {
        if self.color { Style::new().fg(color) } else { Style::new() }
    }

    /// Titles and what is chosen.
    pub(super) fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// What is less important.
    pub(super) fn faint(self) -> Style {
        if self.color { Style::new().add_modifier(Modifier::DIM) } else { Style::new() }
    }

    /// The title of the pane that keys are about.
    pub(super) fn focus(self) -> Style {
        self.tint(Color::Cyan).add_modifier(Modifier::BOLD)
    }

    /// What needs attention.
    pub(super) fn alarm(self) -> Style {
        self.tint(Color::Red).add_modifier(Modifier::BOLD)
    }

    /// A curve.
    pub(super) fn curve(self) -> Style {
        self.tint(Color::Cyan)
    }

    pub(super) fn of_state(self, state: &TrialState) -> Style {
        use TrialState as S;
        match state {
            S::Finished => self.tint(Color::Green),
            S::Running => self.tint(Color::Cyan),
            S::Planned | S::Submitted => self.faint(),
            S::Waiting | S::Unknown(_) => self.tint(Color::Yellow),
            S::Cancelled => self.tint(Color::Magenta),
            _ => self.tint(Color::Red),
        }
    }

    /// A sign for a state, one cell wide.
    pub(super) fn sign(self, state: &TrialState) -> char {
        use TrialState as S;
        let (sign, ascii) = match state {
            S::Planned => ('·', '.'),
            S::Submitted => ('○', 'o'),
            S::Running => ('▸', '>'),
            S::Waiting => ('↻', '~'),
            S::Finished => ('✓', '+'),
            S::Cancelled => ('⊘', '-'),
            S::Unknown(_) => ('?', '?'),
            _ => ('✗', 'x'),
        };
        if self.unicode { sign } else { ascii }
    }

    /// The sign before what is chosen.
    pub(super) fn pointer(self) -> char {
        if self.unicode { '▌' } else { '>' }
    }

    /// The line of a title, of the pane that keys are about or of another one.
    pub(super) fn rule(self, is_focused: bool) -> &'static str {
        match (self.unicode, is_focused) {
            (true, true) => "━",
            (true, false) => "─",
            (false, true) => "=",
            (false, false) => "-",
        }
    }

    /// What stands between facts.
    pub(super) fn dot(self) -> &'static str {
        if self.unicode { " · " } else { " | " }
    }

    /// A text as this terminal can show it, at most so wide; what is cut ends in a sign.
    pub(super) fn cut(self, text: &str, width: usize) -> String {
        let text = self.text(text);
        if Span::raw(text.as_str()).width() <= width {
            return text;
        }
        let end = if self.unicode { '…' } else { '~' };
        let mut cut = String::new();
        let mut used = 0;
        for c in text.chars() {
            used += cell_width(c);
            if used >= width {
                break;
            }
            cut.push(c);
        }
        if width > 0 {
            cut.push(end);
        }
        cut
    }

    /// The same, filled up to the width.
    pub(super) fn pad(self, text: &str, width: usize) -> String {
        let mut text = self.cut(text, width);
        let used = Span::raw(text.as_str()).width();
        text.extend(std::iter::repeat_n(' ', width.saturating_sub(used)));
        text
    }

    /// The same, filled up from the left.
    pub(super) fn right(self, text: &str, width: usize) -> String {
        let text = self.cut(text, width);
        let used = Span::raw(text.as_str()).width();
        " ".repeat(width.saturating_sub(used)) + &text
    }

    /// A text without what this terminal cannot show.
    pub(super) fn text(self, text: &str) -> String {
        let shown = |c: char| match c {
            '…' if !self.unicode => '~',
            c if !self.unicode && !c.is_ascii() => '?',
            c => c,
        };
        text.chars().filter(|c| !c.is_control()).map(shown).collect()
    }

    /// A bar of a part from 0 to 1.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "widths of terminals are small"
    )]
    pub(super) fn bar(self, part: f64, width: usize) -> String {
        let full = (part.clamp(0.0, 1.0) * width as f64).floor() as usize;
        let (done, open) = if self.unicode { ("█", "░") } else { ("#", ".") };
        done.repeat(full) + &open.repeat(width - full)
    }

    /// A curve as lines of text, the upper one first. Each column is the mean of its part of the values; what
    /// is constant lies in the middle.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "sizes of terminals are small"
    )]
    pub(super) fn curve_lines(self, values: &[f64], width: usize, height: usize) -> Vec<String> {
        let columns = thinned(values, width);
        let low = columns.iter().copied().fold(f64::INFINITY, f64::min);
        let high = columns.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let eighths = height * 8;
        let level = |value: f64| match high > low {
            true => 1 + ((value - low) / (high - low) * (eighths - 1) as f64).round() as usize,
            false => eighths / 2,
        };
        let levels: Vec<usize> = columns.into_iter().map(level).collect();
        let signs = if self.unicode { EIGHTHS } else { ASCII };
        let line = |row: usize| {
            let below = (height - 1 - row) * 8;
            let cell = |level: &usize| match level.saturating_sub(below).min(8) {
                0 => ' ',
                eighths => signs[eighths - 1],
            };
            levels.iter().map(cell).collect()
        };
        (0..height).map(line).collect()
    }

    /// A curve in one line.
    pub(super) fn spark(self, values: &[f64], width: usize) -> String {
        self.curve_lines(values, width, 1).pop().unwrap_or_default()
    }
}

fn cell_width(c: char) -> usize {
    Span::raw(c.to_string()).width()
}

/// At most so many values: means of equal parts.
#[expect(clippy::cast_precision_loss, reason = "numbers of epochs are small")]
fn thinned(values: &[f64], most: usize) -> Vec<f64> {
    if values.len() <= most {
        return values.to_vec();
    }
    let part = |at: usize| &values[at * values.len() / most..(at + 1) * values.len() / most];
    (0..most).map(part).map(|part| part.iter().sum::<f64>() / part.len() as f64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: Theme = Theme { color: true, unicode: true };
    const BARE: Theme = Theme { color: false, unicode: false };

    #[test]
    fn curves_rise_and_fall_with_their_values() {
        assert_eq!(FULL.spark(&[0.0, 0.5, 1.0], 10), "▁▅█");
        assert_eq!(FULL.spark(&[0.7, 0.7], 10), "▄▄");
        assert_eq!(FULL.spark(&[], 10), "");
        assert_eq!(FULL.curve_lines(&[0.0, 1.0], 10, 2), [" █", "▁█"]);
        assert_eq!(BARE.spark(&[0.0, 0.5, 1.0], 10), "_-#");
        let many: Vec<f64> = (0..100).map(f64::from).collect();
        assert_eq!(FULL.spark(&many, 8), "▁▂▃▄▅▆▇█");
    }

    #[test]
    fn texts_are_cut_at_their_width_on_screen() {
        assert_eq!(FULL.cut("learning_rate", 8), "learnin…");
        assert_eq!(BARE.cut("learning_rate", 8), "learnin~");
        assert_eq!(FULL.cut("ミトコンドリア", 5), "ミト…");
        assert_eq!(BARE.cut("µ\u{1b}[31m", 9), "?[31m");
        assert_eq!(FULL.pad("ab", 4), "ab  ");
        assert_eq!(FULL.right("ab", 4), "  ab");
        assert_eq!(FULL.cut("abc", 0), "");
    }

    #[test]
    fn every_state_has_a_sign_of_one_cell() {
        for state in TrialState::ALL {
            assert_eq!(cell_width(FULL.sign(&state)), 1, "{state}");
            assert!(BARE.sign(&state).is_ascii(), "{state}");
        }
    }
}
