//! What lies over the panes: help, messages, the question before something is done.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::symbols::border;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Padding, Paragraph};

use super::Scene;
use super::log::wrapped;
use crate::cli::watch::act::{Act, DIGITS};
use crate::cli::watch::model::Over;
use crate::cli::watch::theme::Theme;

/// Widest boxes of messages, of keys, and of a question whose command is short.
const MESSAGES: u16 = 100;
const HELP: u16 = 78;
const QUESTION: u16 = 64;

/// All keys.
const KEYS: [(&str, &str); 17] = [
    ("up down  k j", "one up or down"),
    ("PgUp PgDn Space", "a page up or down"),
    ("Home End  g G", "the first, the last; at its end the log follows"),
    ("Tab  left right  h l", "another pane: sweeps, trials, log"),
    ("Enter", "into the trials of a sweep, the log of a trial"),
    ("z", "the pane takes the whole screen, and back"),
    ("/", "filter: words, or optimizer.lr >= 0.1 and the like"),
    ("Esc", "back from zoom, then without filter"),
    ("s S", "another order of the trials; the other way round"),
    ("", ""),
    ("c", "cancel the trial, or the sweep in the upper pane"),
    ("r", "resume it: what stopped goes on where it was"),
    ("t", "retry it: what failed is submitted again"),
    ("", "each asks first, and does what the command does"),
    ("m", "messages so far"),
    ("Ctrl-Z", "to the background; `fg` comes back"),
    ("q  Ctrl-C", "leave; jobs go on"),
];

pub(super) fn draw(frame: &mut Frame<'_>, scene: Scene<'_>) {
    let model = scene.model;
    match &model.over {
        Over::Nothing | Over::Filter(_) => {}
        Over::Help(from) => help(frame, scene, *from),
        Over::Confirm(act) => confirm(frame, scene, act),
        Over::Messages(back) => messages(frame, scene, *back),
    }
}

fn help(frame: &mut Frame<'_>, scene: Scene<'_>, from: usize) {
    let size = scene.model.size;
    let lines = keys(scene.theme, size.0);
    let (all, rows, most) = (lines.len(), room(size.1), furthest_down(size));
    let from = from.min(most);
    let title = match most {
        0 => "Keys".to_owned(),
        _ => format!("Keys: {} to {} of {all}", from + 1, all.min(from + rows)),
    };
    let shown = lines.into_iter().skip(from).take(rows).collect();
    panel(frame, scene, &title, shown, HELP);
}

/// Lines that one can go down in the keys at most: then the last ones are shown.
pub(in crate::cli::watch) fn furthest_down((width, height): (u16, u16)) -> usize {
    let plain = Theme { color: false, unicode: false };
    keys(plain, width).len().saturating_sub(room(height))
}

/// The lines of all keys.
fn keys(theme: Theme, width: u16) -> Vec<Line<'static>> {
    let line = |(key, words): &(&str, &str)| {
        Line::from(vec![
            Span::styled(format!("{key:21} "), theme.focus()),
            Span::raw((*words).to_owned()),
        ])
    };
    let inner = inner(width, HELP);
    KEYS.iter().map(line).flat_map(|line| flowed(line, inner)).collect()
}

/// Rows within the highest box.
fn room(height: u16) -> usize {
    usize::from(height.saturating_sub(4)).max(1)
}

fn confirm(frame: &mut Frame<'_>, scene: Scene<'_>, act: &Act) {
    let Scene { model, theme } = scene;
    let what = match &act.trial {
        None => {
            let it = model.sweeps().iter().find(|status| status.sweep == act.sweep);
            let all = it.map_or(0, |status| status.trials);
            format!("The whole sweep {} ({all} trials).", act.sweep)
        }
        Some(trial) => {
            // Another one may be chosen by now: the list goes on while one thinks.
            let rows = model.of_sweep().map_or(&[][..], |seen| &seen.trials[..]);
            let row = rows.iter().find(|row| row.trial == *trial);
            let state = row.map_or(String::new(), |row| format!(", {}", row.state));
            format!("Trial {} of {}{state}.", &trial.as_str()[..DIGITS], act.sweep)
        }
    };
    let command = format!("As `{}`", model.command(act));
    // In one line where there is room, so that it can be copied.
    let needed = u16::try_from(Span::raw(command.as_str()).width() + 4).unwrap_or(u16::MAX);
    let widest = QUESTION.max(needed);
    let mut lines = vec![
        Line::styled(theme.text(&what), theme.strong()),
        Line::default(),
        Line::raw(act.meaning()),
        Line::styled(theme.text(&command), theme.faint()),
        Line::default(),
        Line::from(vec![
            Span::styled("y", theme.focus()),
            Span::raw(" yes    "),
            Span::styled("n", theme.focus()),
            Span::raw(" no"),
        ]),
    ];
    let verb = act.verb.word();
    let title = format!("{}{}?", verb[..1].to_uppercase(), &verb[1..]);
    let (width, height) = model.size;
    let inner = inner(width, widest);
    let rows: usize = lines.iter().map(|line| flowed(line.clone(), inner).len()).sum();
    if rows > room(height) {
        lines.retain(|line| line.width() > 0);
    }
    panel(frame, scene, &title, lines, widest);
}

fn messages(frame: &mut Frame<'_>, scene: Scene<'_>, back: usize) {
    let Scene { model, theme } = scene;
    let rows = usize::from(model.size.1).saturating_sub(6);
    let end = model.messages.len().saturating_sub(back);
    let line = |(at, text): &(jiff::Timestamp, String)| {
        Line::from(vec![
            Span::styled(format!("{}  ", at.strftime("%H:%M:%S")), theme.faint()),
            Span::raw(theme.text(text)),
        ])
    };
    let shown = model.messages.iter().take(end).skip(end.saturating_sub(rows));
    let width = inner(model.size.0, MESSAGES);
    let mut lines: Vec<_> = shown.map(line).flat_map(|line| flowed(line, width)).collect();
    if lines.is_empty() {
        lines.push(Line::raw("Nothing was said yet."));
    }
    // Long ones take several rows: the newest, below, are shown in any case.
    let lines = lines.split_off(lines.len().saturating_sub(rows.max(1)));
    panel(frame, scene, "Messages (UTC)", lines, MESSAGES);
}

/// A box in the middle, as high as what is in it.
fn panel(
    frame: &mut Frame<'_>,
    scene: Scene<'_>,
    title: &str,
    lines: Vec<Line<'static>>,
    widest: u16,
) {
    let Scene { model, theme } = scene;
    let (width, height) = model.size;
    let wide = widest.min(width.saturating_sub(2));
    let inner = inner(width, widest);
    let lines: Vec<Line<'static>> =
        lines.into_iter().flat_map(|line| flowed(line, inner)).collect();
    let rows = u16::try_from(lines.len()).unwrap_or(u16::MAX);
    let high = rows.saturating_add(2).min(height.saturating_sub(2));
    let area = Rect { x: (width - wide) / 2, y: (height - high) / 2, width: wide, height: high };
    let set = if theme.unicode { border::ROUNDED } else { ASCII };
    let block = Block::bordered()
        .border_set(set)
        .border_style(theme.focus())
        .padding(Padding::horizontal(1))
        .title(Span::styled(format!(" {title} "), theme.focus()));
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

/// Columns within a box that is at most so wide.
fn inner(width: u16, widest: u16) -> usize {
    let wide = widest.min(width.saturating_sub(2));
    usize::from(wide.saturating_sub(4)).max(1)
}

/// A line as it is, or in several where it is too wide: between words, and in those that are too wide themselves.
fn flowed(line: Line<'static>, width: usize) -> Vec<Line<'static>> {
    if line.width() <= width {
        return vec![line];
    }
    let mut lines = vec![String::new()];
    let words = line.spans.iter().flat_map(|span| span.content.split_whitespace());
    for word in words.flat_map(|word| wrapped(word, width)) {
        let used = lines.last().map_or(0, |last| last.chars().count());
        match lines.last_mut() {
            Some(last) if used == 0 => last.push_str(&word),
            Some(last) if used + 1 + word.chars().count() <= width => {
                last.push(' ');
                last.push_str(&word);
            }
            _ => lines.push(word),
        }
    }
    lines.into_iter().map(|text| Line::styled(text, line.style)).collect()
}

/// A frame that every terminal has.
const ASCII: border::Set<'static> = border::Set {
    top_left: "+",
    top_right: "+",
    bottom_left: "+",
    bottom_right: "+",
    vertical_left: "|",
    vertical_right: "|",
    horizontal_top: "-",
    horizontal_bottom: "-",
};
