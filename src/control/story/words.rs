//! What happened, in words.

use std::collections::BTreeMap;

use crate::event::{Act, Decision, Event, Outcome, StopReason};
use crate::id::{Token, TrialId};

/// Tells what the controller's journal says of one trial.
pub(super) struct Teller<'a> {
    trial: &'a TrialId,
    /// Its submissions: scheduler and number of its task.
    held: BTreeMap<Token, (String, usize)>,
    planned: bool,
}

impl<'a> Teller<'a> {
    pub(super) fn new(trial: &'a TrialId) -> Self {
        Self { trial, held: BTreeMap::new(), planned: false }
    }

    /// Who tells what; nothing of what is not about the trial.
    pub(super) fn tell(&mut self, act: &Act) -> Option<(String, String)> {
        let by_controller = |what: String| Some(("controller".to_owned(), what));
        match act {
            Act::Planned { trials, .. } if !self.planned => {
                self.planned = true;
                by_controller(format!("the sweep was planned with {trials} trials"))
            }
            Act::Intent { token, scheduler, decision, trials } => {
                let task = trials.iter().position(|trial| trial == self.trial)?;
                self.held.insert(*token, (scheduler.clone(), task));
                by_controller(format!(
                    "about to {} with {scheduler}, task {task} of {} (token {token})",
                    decision_words(*decision),
                    trials.len()
                ))
            }
            Act::Accepted { token, job } => {
                let (scheduler, task) = self.held.get(token)?;
                Some((scheduler.clone(), format!("accepted it as job {job}_{task}")))
            }
            Act::Refused { token, error, limit, absent } => {
                let (scheduler, _) = self.held.get(token)?;
                let what = match (limit, absent) {
                    (true, true) => format!("not tried, as a limit of the site stands: {error}"),
                    (true, false) => format!("not let in for a limit of the site: {error}"),
                    (false, true) => format!("never arrived: {error}"),
                    (false, false) => format!("refused: {error}"),
                };
                Some((scheduler.clone(), what))
            }
            Act::Decided { after, number, of, changes, trials, .. } => {
                trials.contains(self.trial).then_some(())?;
                let changes = match changes.is_empty() {
                    true => String::new(),
                    false => format!("; with {}", changes.join(", ")),
                };
                by_controller(match of {
                    Some(of) => {
                        format!("policy: submission {number} of {of} after {after}{changes}")
                    }
                    None if after == "planned" => {
                        format!("what was wanted is submitted after all{changes}")
                    }
                    None => format!("somebody asked for it again, after {after}{changes}"),
                })
            }
            Act::Cancelled { trials, by } => {
                trials.contains(self.trial).then_some(())?;
                by_controller(format!("{by} cancelled it (regatta cancel)"))
            }
            Act::Lost { trial, evidence, node, .. } => {
                (trial == self.trial).then_some(())?;
                let node = node.as_ref().map_or(String::new(), |n| format!(", last seen on {n}"));
                by_controller(format!("it is lost{node}: {evidence}"))
            }
            Act::TaskEnded { trial, token, state, node, exit, judged } => {
                (trial == self.trial).then_some(())?;
                let (scheduler, _) = self.held.get(token)?;
                let mut what = format!("the task ended: {state}");
                if let Some(exit) = exit {
                    what.push_str(&format!(", exit code {exit}"));
                }
                if let Some(node) = node {
                    what.push_str(&format!(", on {node}"));
                }
                if let Some(judged) = judged {
                    what.push_str(&format!("; the trial was then {judged}"));
                }
                Some((scheduler.clone(), what))
            }
            _ => None,
        }
    }
}

fn decision_words(decision: Decision) -> &'static str {
    match decision {
        Decision::Submit => "submit",
        Decision::Resume => "submit again",
        Decision::Retry => "submit again on wish",
    }
}

/// What an attempt tells, where it belongs to the story.
pub(super) fn of_attempt(event: &Event) -> Option<String> {
    Some(match event {
        Event::Header { host, origin, pid, .. } => {
            format!("began on {host} ({origin}, process {pid})")
        }
        Event::Started { cursor, resumed_from, device, .. } => match resumed_from {
            Some(checkpoint) => {
                format!("trains on {device} from {cursor}, resumed from {checkpoint}")
            }
            None => format!("trains on {device} from the beginning"),
        },
        Event::CheckpointWritten { name, cursor, .. } => {
            format!("saved the checkpoint {name} at {cursor}")
        }
        Event::CheckpointFailed { cursor, error, .. } => {
            format!("could not save a checkpoint at {cursor}: {error}")
        }
        Event::Warning { text } => format!("warning: {text}"),
        Event::RolledBack { .. } | Event::EndedEarly { .. } => event.words(),
        Event::StopRequested { reason, cursor, time_left, .. } => {
            let left = time_left.map_or(String::new(), |left| format!(", {left:.0} s left"));
            format!("asked to stop at {cursor}: {}{left}", reason_words(*reason))
        }
        Event::Ended { outcome, cursor, error, .. } => {
            let error = error.as_ref().map_or(String::new(), |error| format!(": {error}"));
            let word = format!("{outcome:?}").to_lowercase();
            let place = match outcome {
                // The cursor stands behind the last epoch.
                Outcome::Finished => format!("after epoch {}", cursor.epoch.saturating_sub(1)),
                _ => format!("at {cursor}"),
            };
            format!("last word: {word} {place}{error}")
        }
        _ => return None,
    })
}

fn reason_words(reason: StopReason) -> &'static str {
    match reason {
        StopReason::TimeBudget => "its time is nearly used up",
        StopReason::TrainTime => "max_train_time is used up",
        StopReason::Warned => "the scheduler's warning (USR1, USR2)",
        StopReason::Terminated => "told to terminate (TERM)",
        StopReason::Interrupted => "interrupted (INT, Ctrl-C)",
        StopReason::Cancelled => "a cancel mark",
        StopReason::Superseded => "a newer attempt took over",
        StopReason::Collapsed => "the network collapsed",
        StopReason::Diverged => "training diverged",
    }
}
