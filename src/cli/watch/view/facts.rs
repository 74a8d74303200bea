//! What is known of the chosen trial: how far it is, where it runs, what it uses.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::Scene;
use crate::cli::ask::{metric, span};
use crate::cli::watch::act::DIGITS;
use crate::cli::watch::seen::Chosen;
use crate::store::{Progress, TrialRow};

pub(super) fn draw(frame: &mut Frame<'_>, scene: Scene<'_>, area: Rect, is_wide: bool) {
    if area.height == 0 {
        return;
    }
    let Scene { model, theme } = scene;
    let Some(row) = model.chosen() else {
        frame.render_widget(scene.title(None, "TRIAL", "none is chosen", area.width), area);
        return;
    };
    let title = format!("TRIAL {}", &row.trial.as_str()[..DIGITS]);
    let seen = model.of_sweep();
    let progress = seen.and_then(|seen| seen.progress.get(&row.trial));
    let chosen = seen.and_then(|seen| seen.chosen.as_ref());
    let chosen = chosen.filter(|chosen| chosen.detail.row.trial == row.trial);
    let settings = model.seeds.name(row);
    let mut lines = vec![scene.title(None, &title, &settings, area.width)];
    let width = usize::from(area.width).saturating_sub(2);
    let push = |lines: &mut Vec<Line<'static>>, text: String| {
        lines.push(Line::raw(format!(" {}", theme.cut(&text, width))));
    };
    let state = format!("{} {}", theme.sign(&row.state), row.state);
    let why = format!("{}{}", theme.dot(), row.why);
    let room = width.saturating_sub(state.chars().count());
    lines.push(Line::from(vec![
        Span::styled(format!(" {state}"), theme.of_state(&row.state)),
        Span::raw(theme.cut(&why, room)),
    ]));
    push(&mut lines, time(scene, row, progress, chosen).join(theme.dot()));
    let usage = usage(scene, chosen);
    if is_wide {
        push(&mut lines, place(row, progress, chosen).join(theme.dot()));
        push(&mut lines, usage);
        if let Some(warning) = chosen.and_then(|chosen| chosen.detail.warnings.last()) {
            let text = format!(" ! {}", warning.text);
            lines.push(Line::styled(theme.cut(&text, width + 1), theme.alarm()));
        }
    } else {
        lines.push(value_and_usage(scene, row, chosen, &usage, width));
    }
    lines.truncate(usize::from(area.height));
    frame.render_widget(Paragraph::new(lines), area);
}

/// How far it is, and how long it takes.
fn time(
    scene: Scene<'_>,
    row: &TrialRow,
    progress: Option<&Progress>,
    chosen: Option<&Chosen>,
) -> Vec<String> {
    let mut facts = vec![match row.epochs {
        Some(all) => format!("epoch {} of {all}", row.epochs_done),
        None => format!("epoch {}", row.epochs_done),
    }];
    let now = scene.model.now;
    if let Some(Progress { seconds_per_epoch, remaining, attempt_ends_at, seen_at, .. }) = progress
    {
        facts.extend(seconds_per_epoch.map(|seconds| format!("{} each", short(seconds))));
        facts.extend(remaining.map(|seconds| format!("{} left", span(seconds))));
        let until = |at: jiff::Timestamp| span(at.duration_since(now).as_secs_f64().max(0.0));
        facts.extend(attempt_ends_at.map(|at| format!("job has {} left", until(at))));
        let since = |at: jiff::Timestamp| span(now.duration_since(at).as_secs_f64().max(0.0));
        facts.extend(seen_at.map(|at| format!("heard {} ago", since(at))));
    } else if let Some(elapsed) = row.elapsed {
        facts.push(format!("trained for {}", span(elapsed)));
    }
    let attempts = chosen.map_or(row.attempts as usize, |chosen| chosen.detail.attempts_made.len());
    match attempts {
        0 => facts.push("no attempt yet".to_owned()),
        1 => {}
        many => facts.push(format!("{many} attempts")),
    }
    facts
}

/// Seconds of an epoch, with a decimal where they are few.
fn short(seconds: f64) -> String {
    if seconds < 10.0 { format!("{seconds:.1}s") } else { span(seconds) }
}

/// Where it runs, or ran last.
fn place(row: &TrialRow, progress: Option<&Progress>, chosen: Option<&Chosen>) -> Vec<String> {
    let attempt = chosen.and_then(|chosen| chosen.detail.attempts_made.last());
    let host = attempt.and_then(|attempt| attempt.host.clone());
    let host = host.or_else(|| progress.and_then(|progress| progress.host.clone()));
    let mut facts: Vec<String> = host.map(|host| format!("on {host}")).into_iter().collect();
    if let Some(attempt) = attempt {
        facts.extend(attempt.device.clone());
        facts.extend(attempt.origin.clone());
        let saved = attempt.checkpoints;
        facts.push(format!("{saved} checkpoint{}", if saved == 1 { "" } else { "s" }));
    }
    if facts.is_empty() {
        facts.push(format!("seed {}", row.seed));
    }
    facts
}

/// The best value with its curve, and what is used of the machine, in one line.
fn value_and_usage(
    scene: Scene<'_>,
    row: &TrialRow,
    chosen: Option<&Chosen>,
    usage: &str,
    width: usize,
) -> Line<'static> {
    let theme = scene.theme;
    let values = chosen.map_or(Vec::new(), curve);
    let best = best(scene, row);
    let room = width.saturating_sub(best.chars().count() + usage.chars().count() + 5);
    let spark = theme.spark(&values, room.clamp(8, 24));
    let spark = if spark.is_empty() { spark } else { format!(" {spark}") };
    let left = width.saturating_sub(best.chars().count() + spark.chars().count());
    Line::from(vec![
        Span::raw(format!(" {best}")),
        Span::styled(spark, theme.curve()),
        Span::raw(theme.cut(&format!("{}{usage}", theme.dot()), left)),
    ])
}

/// The best value of the objective, in words.
pub(super) fn best(scene: Scene<'_>, row: &TrialRow) -> String {
    let objective = scene.model.status().map_or("", |status| &status.objective.metric);
    match (row.value, row.epoch) {
        (None, _) => format!("no {objective} yet"),
        (value, Some(epoch)) => format!("{objective} {} at epoch {epoch}", metric(value)),
        (value, None) => format!("{objective} {}", metric(value)),
    }
}

/// The objective over the epochs.
fn curve(chosen: &Chosen) -> Vec<f64> {
    let objective = &chosen.detail.objective.metric;
    chosen.detail.history.iter().filter_map(|epoch| epoch.metrics.get(objective)).collect()
}

/// What the newest sample tells of GPU and memory, or why nothing is known.
fn usage(scene: Scene<'_>, chosen: Option<&Chosen>) -> String {
    let theme = scene.theme;
    let samples = chosen.map_or(&[][..], |chosen| &chosen.samples);
    let Some(newest) = samples.last() else { return "no look at GPU and memory yet".to_owned() };
    let get = |name: &str| newest.metrics.get(name);
    let mut facts = Vec::new();
    match get("gpu/utilisation") {
        Some(percent) => {
            let all: Vec<f64> =
                samples.iter().filter_map(|one| one.metrics.get("gpu/utilisation")).collect();
            facts.push(format!("GPU {percent:.0} % {}", theme.spark(&all, 12)));
            facts.extend(get("gpu/memory").map(|bytes| format!("GPU memory {}", size(bytes))));
            facts.extend(get("gpu/power").map(|watts| format!("{watts:.0} W")));
            facts.extend(get("gpu/temperature").map(|degrees| format!("{degrees:.0} C")));
        }
        None => facts.push("no GPU".to_owned()),
    }
    let memory = get("process/memory").map(|bytes| format!("memory {}", size(bytes)));
    facts.extend(memory);
    facts.join(theme.dot())
}

/// Bytes as people say them.
fn size(bytes: f64) -> String {
    match bytes {
        giga if giga >= 1e9 => format!("{:.1} GB", giga / 1e9),
        mega => format!("{:.0} MB", mega / 1e6),
    }
}
