//! `regatta explain`: why a trial stands as it does, with the evidence and the story.

use std::process::ExitCode;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::ask::{ask, from_store, span};
use super::{Context, Failure};
use crate::clock::Clock;
use crate::control::{self, Next, Story};
use crate::help::{Example, examples};
use crate::store::{Evidence, Sight, TrialRow, TrialState, Verdict, derive};

/// Shown at the end of its help.
const EXAMPLES: &[Example] = &[("why it is lost, failed or waiting", "regatta explain 3fa9")];

/// Explain why a trial stands as it does, and what comes next
///
/// The rule that decided, the evidence, its story from all journals. Asks nobody: it tells what the journals
/// and the newest answers of the scheduler say. docs/states.md has all states.
#[derive(Debug, clap::Args)]
#[command(after_help = examples(EXAMPLES))]
pub(super) struct Args {
    /// The first digits of its id, as many as tell it from others, or SWEEP/ID
    #[arg(value_name = "TRIAL")]
    trial: String,
}

/// Everything that is told.
struct Explained {
    row: TrialRow,
    verdict: Verdict,
    /// What the scheduler said when it was last asked.
    asked: Option<(String, Timestamp)>,
    /// Evidence that was seen and not believed.
    ignored: Vec<String>,
    next: Option<Next>,
    command: String,
    story: Story,
}

pub(super) async fn run(ctx: &Context, args: &Args) -> Result<ExitCode, Failure> {
    let sweep = args.trial.rsplit_once('/').map(|(sweep, _)| sweep.to_owned());
    let mut asked = ask(ctx, sweep.as_slice()).await?;
    let key = asked.store.resolve_trial(&args.trial).await.map_err(from_store)?;
    let row = asked.store.show(&key).await.map_err(from_store)?.row;
    let now = ctx.clock.now();
    let Some(evidence) = asked.store.evidence_of(&key, now).await.map_err(from_store)? else {
        return Err(Failure::user(format!("nothing is known of {}", row.trial)));
    };
    let mut ahead = asked.store.clocks(&key).await.map_err(from_store)?;
    let newest = evidence.attempt.as_ref();
    if let Some((number, by)) = newest.and_then(|a| Some((a.number, a.clock_ahead(&evidence)?))) {
        ahead.insert(number, by);
    }
    let folder = ctx.root.sweep(&key.sweep);
    let read = |error| Failure::file("read the journals of", folder.path(), &error);
    let story = Story::read(&folder, &key.trial, &ahead).map_err(read)?;
    let next = control::next(&folder, &row, now).map_err(read)?;
    let verdict = derive(&evidence);
    let explained = Explained {
        command: command(ctx, &row, next.as_ref()),
        asked: last_answer(&evidence),
        ignored: ignored(&evidence),
        row,
        verdict,
        next,
        story,
    };
    if ctx.screen.is_json() {
        ctx.screen.json(&as_json(&explained));
    } else {
        ctx.screen.answer(as_text(&explained));
    }
    Ok(ExitCode::SUCCESS)
}

fn as_text(explained: &Explained) -> String {
    let Explained { row, verdict, asked, ignored, next, command, story } = explained;
    let mut lines = vec![
        ("trial", row.trial.to_string()),
        ("sweep", row.sweep.clone()),
        ("state", verdict.state.to_string()),
        ("why", named(&verdict.why)),
        ("rule", format!("{}: {}", verdict.rule.name(), verdict.rule.meaning())),
    ];
    if let Some((words, at)) = asked {
        lines.push(("asked", format!("{at:.0}: {}", named(words))));
    }
    lines.extend(ignored.iter().map(|words| ("ignored", words.clone())));
    if let Some(next) = next {
        lines.push(("next", next_words(next)));
    }
    lines.push(("do", command.clone()));
    let mut text: Vec<String> =
        lines.iter().map(|(name, words)| format!("{name:<9}{words}")).collect();
    text.push("\nSTORY".to_owned());
    let width = story.happenings.iter().map(|h| h.who.len()).max().unwrap_or(0);
    for happening in &story.happenings {
        let (at, who) = (happening.at, &happening.who);
        text.push(format!("{at:.0}  {who:<width$}  {}", named(&happening.what)));
    }
    if story.bad_lines > 0 {
        text.push(format!("({} damaged lines of its journals were skipped)", story.bad_lines));
    }
    text.join("\n")
}

fn as_json(explained: &Explained) -> Value {
    let Explained { row, verdict, asked, ignored, next, command, story } = explained;
    let happening = |h: &control::Happening| json!({ "at": h.at, "who": h.who, "what": h.what });
    json!({
        "schema_version": 1, "sweep": row.sweep, "trial": row.trial, "state": verdict.state,
        "why": verdict.why,
        "rule": { "name": verdict.rule, "meaning": verdict.rule.meaning() },
        "asked": asked.as_ref().map(|(words, at)| json!({ "at": at, "words": words })),
        "ignored": ignored,
        "next": next.as_ref().map(next_json), "command": command,
        "story": story.happenings.iter().map(happening).collect::<Vec<_>>(),
        "bad_lines": story.bad_lines,
    })
}

fn next_json(next: &Next) -> Value {
    let (word, until) = match next {
        Next::Submit(_) => ("submit", None),
        Next::Wait { until, .. } => ("wait", Some(until)),
        Next::Leave { .. } => ("leave", None),
    };
    json!({ "do": word, "until": until, "why": next_words(next) })
}

fn next_words(next: &Next) -> String {
    match next {
        Next::Submit(again) => match again.of {
            Some(of) => format!(
                "policy submits it again: submission {} of {of} after {}",
                again.number, again.after
            ),
            None => "it is still to be submitted".to_owned(),
        },
        Next::Wait { until, why } => format!("not before {until:.0}: {why}"),
        Next::Leave { why } => format!("nothing by itself: {why}"),
    }
}

/// The command that moves the trial on, or tells more.
fn command(ctx: &Context, row: &TrialRow, next: Option<&Next>) -> String {
    use TrialState as S;
    // Another sweep may have the same trial.
    let (sweep, trial) = (&row.sweep, format!("{}/{}", row.sweep, row.trial));
    if let Some(Next::Submit(_) | Next::Wait { .. }) = next {
        let tick = ctx.command(&format!("tick {sweep}"));
        return format!("{tick}, where no `submit --wait` stays");
    }
    match &row.state {
        S::Finished => ctx.command(&format!("show {trial}")),
        S::Submitted | S::Running | S::Waiting | S::Unknown(_) => {
            ctx.command(&format!("status {sweep}"))
        }
        S::Failed | S::Diverged | S::OutOfMemory => {
            let retry = ctx.command(&format!("retry {trial}"));
            format!("{}, then {retry}", ctx.command(&format!("logs {trial}")))
        }
        _ => ctx.command(&format!("resume {trial}")),
    }
}

/// What the scheduler said when it was last asked.
fn last_answer(evidence: &Evidence) -> Option<(String, Timestamp)> {
    let submission = evidence.submission.as_ref()?;
    let seen = submission.seen.as_ref()?;
    let words = match &seen.sight {
        Sight::Absent => format!("{} does not know the task", submission.scheduler),
        Sight::Seen(report) => {
            let exit = report.exit.map_or(String::new(), |exit| format!(", exit code {exit}"));
            let node = report.node.as_ref().map_or(String::new(), |node| format!(", on {node}"));
            let restarts = match report.restarts {
                0 => String::new(),
                count => format!(", restarted {count} times"),
            };
            format!("{} said {}{exit}{node}{restarts}", submission.scheduler, report.word)
        }
    };
    Some((words, seen.at))
}

fn ignored(evidence: &Evidence) -> Vec<String> {
    let foreign = evidence.submission.as_ref().and_then(|submission| submission.foreign.clone());
    let clock = evidence.attempt.as_ref().and_then(|attempt| {
        let ahead = attempt.clock_ahead(evidence)?;
        let host = attempt.host.as_deref().unwrap_or("its node");
        let side = if ahead > 0.0 { "ahead" } else { "behind" };
        Some(format!(
            "the clock of {host} is at least {} {side}: times of attempt {} are shown corrected by \
             that, and its silence counts by the controller's clock",
            span(ahead.abs()),
            attempt.number
        ))
    });
    foreign.into_iter().chain(clock).collect()
}

/// Adds the login name to what SLURM says of a user's number.
fn named(words: &str) -> String {
    let Some((before, rest)) = words.split_once("CANCELLED by ") else { return words.to_owned() };
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    let user = digits.parse().ok().and_then(|uid| {
        nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(uid)).ok().flatten()
    });
    match user {
        Some(user) => {
            let after = &rest[digits.len()..];
            format!("{before}CANCELLED by {digits} ({}){after}", user.name)
        }
        None => words.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_users_number_gets_its_name() {
        assert_eq!(named("it says CANCELLED by 0, on n1"), "it says CANCELLED by 0 (root), on n1");
        for same in ["CANCELLED", "CANCELLED by somebody", "CANCELLED by 4294967294"] {
            assert_eq!(named(same), same);
        }
    }
}
