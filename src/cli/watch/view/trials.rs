//! The table of trials. Only the rows on the screen are made.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::Scene;
use crate::cli::ask::{metric, span};
use crate::cli::trials::epochs;
use crate::cli::watch::act::DIGITS;
use crate::cli::watch::filter::{Sort, share};
use crate::cli::watch::model::{Pane, first_shown};
use crate::store::TrialRow;

/// Widest column of a setting.
const SETTING: usize = 16;

/// A column: its head, its cells, and whether they stand at the right.
struct Column {
    head: String,
    cells: Vec<(String, Style)>,
    is_right: bool,
}

pub(super) fn draw(frame: &mut Frame<'_>, scene: Scene<'_>, area: Rect) {
    if area.height == 0 {
        return;
    }
    let Scene { model, theme } = scene;
    let rows = usize::from(model.places().trial_rows());
    let first = first_shown(model.at, model.listed.len(), rows);
    let shown: Vec<&TrialRow> =
        (first..model.listed.len().min(first + rows)).filter_map(|at| model.row(at)).collect();
    let (words, note) = title(scene);
    let mut lines = vec![scene.title(Some(Pane::Trials), &words, &note, area.width)];
    if shown.is_empty() {
        let all = model.of_sweep().map_or(0, |seen| seen.trials.len());
        let words = match (model.of_sweep().is_some(), all) {
            (false, _) => "  reading ...",
            (true, 0) => "  This sweep has no trials.",
            (true, _) => "  No trial fits the filter. Esc takes it away.",
        };
        lines.push(Line::styled(words, theme.faint()));
        frame.render_widget(Paragraph::new(lines), area);
        return;
    }
    let columns = columns(scene, &shown, usize::from(area.width));
    lines.extend(table(scene, &columns, shown.len(), first, usize::from(area.width)));
    frame.render_widget(Paragraph::new(lines), area);
}

fn title(scene: Scene<'_>) -> (String, String) {
    let Scene { model, theme } = scene;
    let name = model.sweep.as_deref().unwrap_or_default();
    let all = model.of_sweep().map_or(0, |seen| seen.trials.len());
    let mut notes = Vec::new();
    if !model.in_force.is_empty() && model.filter_error().is_none() {
        notes.push(format!("{} of {all} with /{}", model.listed.len(), model.in_force));
    } else if model.listed.len() > usize::from(model.places().trial_rows()) {
        notes.push(format!("{} of {all}", model.at + 1));
    }
    if model.sort != Sort::Plan || model.is_reversed {
        let way = if model.is_reversed { ", reversed" } else { "" };
        notes.push(format!("{}{way}", model.sort.words()));
    }
    (format!("TRIALS of {name}"), notes.join(theme.dot()))
}

/// The columns that there is room for, the more important ones first.
fn columns(scene: Scene<'_>, shown: &[&TrialRow], width: usize) -> Vec<Column> {
    let Scene { model, theme } = scene;
    let Some(seen) = model.of_sweep() else { return Vec::new() };
    let none = || ("-".to_owned(), theme.faint());
    let some = |text: String| (text, Style::new());
    let column = |head: &str, is_right: bool, cell: &dyn Fn(&TrialRow) -> (String, Style)| {
        let cells = shown.iter().map(|row| cell(row)).collect();
        Column { head: head.to_owned(), cells, is_right }
    };
    let left = |row: &TrialRow| {
        let seconds = seen.progress.get(&row.trial).and_then(|one| one.remaining);
        let is_open = row.state.is_in_flight();
        seconds.filter(|_| is_open).map_or_else(none, |seconds| some(span(seconds)))
    };
    let value = |row: &TrialRow| match row.value {
        None => none(),
        value => some(metric(value)),
    };
    let is_roomy = width >= 96;
    let curve = if is_roomy { 16 } else { 8 };
    let spark = |row: &TrialRow| {
        let curve = seen.curves.get(&row.trial).map(|values| theme.spark(values, curve));
        curve.map_or_else(none, |curve| (curve, theme.curve()))
    };
    let state = |row: &TrialRow| {
        (format!("{} {}", theme.sign(&row.state), row.state), theme.of_state(&row.state))
    };
    let mut columns = vec![
        column("TRIAL", false, &|row| some(row.trial.as_str()[..DIGITS].to_owned())),
        column("STATE", false, &state),
        column("EPOCH", true, &|row| some(epochs(row.epochs_done, row.epochs))),
        column("LEFT", true, &left),
        column("BEST", true, &value),
        column("CURVE", false, &spark),
    ];
    if is_roomy {
        let bar = |row: &TrialRow| (theme.bar(share(row), 10), theme.of_state(&row.state));
        columns.insert(3, column("PROGRESS", false, &bar));
    }
    if model.seeds.differ_in(model.sweep.as_deref().unwrap_or_default()) {
        columns.push(column("SEED", true, &|row| some(row.seed.to_string())));
    }
    let cells: Vec<Vec<String>> =
        shown.iter().map(|row| model.columns.cells(&row.parameters).collect()).collect();
    for (at, head) in model.columns.headers().enumerate() {
        let cells = cells.iter().map(|cells| some(theme.cut(&cells[at], SETTING))).collect();
        columns.push(Column { head: theme.cut(&head, SETTING), cells, is_right: false });
    }
    columns
}

/// Head and rows, in the width that there is: columns that do not fit whole are left out.
fn table(
    scene: Scene<'_>,
    columns: &[Column],
    rows: usize,
    first: usize,
    width: usize,
) -> Vec<Line<'static>> {
    let Scene { model, theme } = scene;
    let widths: Vec<usize> = columns.iter().map(Column::width).collect();
    let mut fits = 0;
    let mut used = 1;
    while fits < columns.len() {
        // The last one may end at the edge; behind others there is room for the sign that more follow.
        let sign = if fits + 1 < columns.len() { 3 } else { 0 };
        if used + widths[fits] + sign > width {
            break;
        }
        used += widths[fits] + 2;
        fits += 1;
    }
    let more = if fits < columns.len() { theme.cut("…", 1) } else { String::new() };
    let place = |column: &Column, text: &str, width: usize| match column.is_right {
        true => theme.right(text, width),
        false => theme.pad(text, width),
    };
    let heads = columns[..fits].iter().zip(&widths);
    let heads = heads.map(|(column, width)| place(column, &column.head, *width) + "  ");
    let head = format!(" {}{more}", heads.collect::<String>().trim_end().to_owned() + "  ");
    let mut lines = vec![Line::styled(head.trim_end().to_owned(), theme.faint())];
    for row in 0..rows {
        let is_chosen = first + row == model.at;
        let mut spans = vec![match is_chosen {
            true => Span::styled(theme.pointer().to_string(), theme.focus()),
            false => Span::raw(" "),
        }];
        for (column, width) in columns[..fits].iter().zip(&widths) {
            let (text, style) = &column.cells[row];
            spans.push(Span::styled(place(column, text, *width), *style));
            spans.push(Span::raw("  "));
        }
        let used = Line::from(spans.clone()).width();
        spans.push(Span::raw(" ".repeat(width.saturating_sub(used))));
        let line = Line::from(spans);
        lines.push(match is_chosen {
            true if model.pane == Pane::Trials => {
                line.patch_style(Style::new().add_modifier(Modifier::REVERSED))
            }
            true => line.patch_style(theme.strong()),
            false => line,
        });
    }
    lines
}

impl Column {
    fn width(&self) -> usize {
        let cells = self.cells.iter().map(|(text, _)| Span::raw(text.as_str()).width());
        cells.chain([self.head.chars().count()]).max().unwrap_or(0)
    }
}
