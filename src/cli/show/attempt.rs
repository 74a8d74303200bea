//! One attempt for people: where it ran, with what, from where on, how it ended, what that cost.

use serde_json::Value;

use super::super::ask::{plural, span};
use crate::store::{AttemptRow, WorkspaceRow};

/// Digits of a commit or a hash that are enough for people.
const SHORT_COMMIT: usize = 7;
const SHORT_HASH: usize = 12;

/// A block of lines; what is not known has none.
pub(super) fn as_text(attempt: &AttemptRow) -> String {
    let mut text = format!("ATTEMPT {}", attempt.number);
    if let Some(from) = attempt.started_at {
        let to = attempt.ended_at.map_or(String::new(), |at| format!(" to {at:.0}"));
        text.push_str(&format!("  {from:.0}{to}"));
    }
    let lines = [
        ("host", host(attempt)),
        ("device", device(attempt)),
        ("worker", worker(attempt)),
        ("commit", attempt.workspace.as_ref().map(commit)),
        ("from", attempt.library.is_some().then(|| from(attempt))),
        ("end", Some(end(attempt))),
        ("leaving", leaving(attempt)),
        ("saved", saved(attempt)),
    ];
    for (name, words) in lines {
        if let Some(words) = words {
            text.push_str(&format!("\n  {name:<9}{words}"));
        }
    }
    text
}

fn host(attempt: &AttemptRow) -> Option<String> {
    let mut words = attempt.host.clone()?;
    if let Some(origin) = &attempt.origin {
        words.push_str(&format!(", {origin}"));
    }
    if let Some(restarts) = attempt.restarts.filter(|restarts| *restarts > 0) {
        words.push_str(&format!(" (restart {restarts})"));
    }
    Some(words)
}

fn device(attempt: &AttemptRow) -> Option<String> {
    let of = |name: &str| surrounding(attempt, name);
    let device = attempt.device.clone().or_else(|| of("gpu"))?;
    let mut words = vec![device.clone()];
    if device == "cpu" {
        words.extend(of("cpu"));
    }
    words.extend(of("gpu").filter(|gpu| *gpu != device));
    words.extend(of("driver").map(|driver| format!("driver {driver}")));
    words.extend(attempt.threads.map(|threads| plural(u64::from(threads), "thread")));
    Some(words.join(", "))
}

fn worker(attempt: &AttemptRow) -> Option<String> {
    let mut words = attempt.worker_version.clone()?;
    if let Some(hash) = surrounding(attempt, "binary_sha256") {
        words.push_str(&format!(" (binary {})", cut(&hash, SHORT_HASH)));
    }
    if let Some(library) = &attempt.library {
        words.push_str(&format!(", {library}"));
    }
    Some(words)
}

fn commit(workspace: &WorkspaceRow) -> String {
    let dirty = if workspace.dirty { " (dirty)" } else { "" };
    format!("{}{dirty}", cut(&workspace.commit, SHORT_COMMIT))
}

fn from(attempt: &AttemptRow) -> String {
    let mut words = match &attempt.resumed_from {
        Some(checkpoint) => format!("checkpoint {checkpoint}"),
        None => "the beginning".to_owned(),
    };
    if !attempt.differs.is_empty() {
        words.push_str(&format!("; not as it was: {}", attempt.differs.join("; ")));
    }
    words
}

fn end(attempt: &AttemptRow) -> String {
    match (&attempt.outcome, &attempt.reason, &attempt.error) {
        (None, ..) => match attempt.seen_at {
            Some(at) => format!("no last word; seen {at:.0}"),
            None => "no journal yet".to_owned(),
        },
        (Some(outcome), Some(reason), None) => format!("{outcome} ({reason})"),
        (Some(outcome), _, Some(error)) => format!("{outcome}: {error}"),
        (Some(outcome), None, None) => outcome.clone(),
    }
}

/// What the loop foresaw when it was asked to stop, and what came of it.
fn leaving(attempt: &AttemptRow) -> Option<String> {
    let mut words = Vec::new();
    if let Some(took) = attempt.seconds_to_leave {
        words.push(format!("took {took:.1} s"));
    }
    if let Some(predicted) = attempt.predicted_save {
        words.push(format!("{predicted:.1} s predicted for the checkpoint"));
    }
    if let Some(left) = attempt.time_left_unused {
        let of = attempt.time_given.map_or(String::new(), |all| format!(" of {}", span(all)));
        words.push(if left < 0.0 {
            format!("{}{of} too late", span(-left))
        } else {
            format!("{}{of} left unused", span(left))
        });
    }
    (!words.is_empty()).then(|| words.join(", "))
}

fn saved(attempt: &AttemptRow) -> Option<String> {
    if attempt.checkpoints == 0 {
        return None;
    }
    let mut words = vec![plural(attempt.checkpoints, "checkpoint")];
    words.extend(attempt.checkpoint_bytes.map(|bytes| format!("the newest of {}", size(bytes))));
    let trained = attempt.elapsed.zip(attempt.elapsed_before).map(|(all, before)| all - before);
    words.push(match trained.filter(|seconds| *seconds > 0.0) {
        Some(seconds) => {
            let share = 100.0 * attempt.checkpoint_pause / seconds;
            format!("training stood still {share:.2} % of the time")
        }
        None => format!("training stood still for {:.1} s", attempt.checkpoint_pause),
    });
    Some(words.join(", "))
}

/// Bytes as people say them.
pub(in crate::cli) fn size(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let bytes = bytes as f64;
    match bytes {
        ..1e3 => format!("{bytes:.0} B"),
        ..1e6 => format!("{:.1} kB", bytes / 1e3),
        ..1e9 => format!("{:.0} MB", bytes / 1e6),
        _ => format!("{:.1} GB", bytes / 1e9),
    }
}

fn surrounding(attempt: &AttemptRow, name: &str) -> Option<String> {
    attempt.surroundings.as_ref()?.get(name).and_then(Value::as_str).map(str::to_owned)
}

fn cut(text: &str, length: usize) -> &str {
    text.get(..length).unwrap_or(text)
}
