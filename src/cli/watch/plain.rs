//! The same for screen readers, files and programs: a line for each change, and nothing that moves a cursor.

mod round;

use std::collections::{BTreeMap, HashMap};
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use super::Args;
use crate::cli::ask::{metric, plural};
use crate::cli::progress::Seeds;
use crate::cli::{Context, Failure, UNFINISHED, screen};
use crate::clock::Clock;
use crate::id::TrialId;
use crate::store::{TrialRow, TrialState};
use round::Round;

/// Between two looks at the journals.
const EVERY: Duration = Duration::from_secs(5);

/// Prints changes until nothing is in flight.
pub(super) async fn run(
    ctx: &Context,
    args: &Args,
    sweeps: &[String],
) -> Result<ExitCode, Failure> {
    let mut teller = Teller::new(ctx);
    let mut round = Round::new(ctx, args, sweeps)?;
    let pause = args.every.unwrap_or(EVERY);
    // Heard of from here on: what comes while nobody listens for it is lost.
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::internal)?;
    loop {
        let looked = tokio::select! {
            looked = round.look() => looked,
            _ = interrupt.recv() => return Ok(leave(ctx)),
        };
        for words in round.troubles() {
            teller.warn(&words);
        }
        for words in round.words() {
            teller.note(&words);
        }
        match looked {
            Ok(rows) => {
                teller.tell(&rows);
                if !round.goes_on(&rows) {
                    return Ok(teller.end(&rows));
                }
                if !screen::has_reader() {
                    return Ok(ExitCode::from(UNFINISHED));
                }
            }
            // The database is busy, or the disk full: that may pass.
            Err(failure) => teller.note(&format!("{failure}; looking again")),
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = interrupt.recv() => return Ok(leave(ctx)),
        }
    }
}

fn leave(ctx: &Context) -> ExitCode {
    ctx.screen.note("the jobs go on");
    ExitCode::from(UNFINISHED)
}

/// What prints changes.
struct Teller<'a> {
    ctx: &'a Context,
    /// What was last told of each trial: its state and the tenth of its epochs.
    told: HashMap<(String, TrialId), (TrialState, u64)>,
    noted: Option<String>,
    /// Whether anything was told but the first look.
    has_changed: bool,
}

impl<'a> Teller<'a> {
    fn new(ctx: &'a Context) -> Self {
        Self { ctx, told: HashMap::new(), noted: None, has_changed: false }
    }

    /// Tells of each sweep at the beginning, then of each trial that changed.
    fn tell(&mut self, rows: &[TrialRow]) {
        if self.told.is_empty() {
            self.sum_up(rows);
        }
        let is_first = self.told.is_empty();
        let seeds = Seeds::of(rows);
        for row in rows {
            let tenth = match row.state {
                TrialState::Running => row.epochs_done * 10 / row.epochs.unwrap_or(10).max(1),
                _ => 0,
            };
            let mark = (row.state.clone(), tenth);
            let key = (row.sweep.clone(), row.trial.clone());
            let before = self.told.insert(key, mark.clone());
            // A trial that is new later belongs to a sweep that has grown or is new.
            if before.as_ref() != Some(&mark) && !(is_first && before.is_none()) {
                self.change(row, &seeds);
                self.has_changed = true;
            }
        }
    }

    fn change(&self, row: &TrialRow, seeds: &Seeds) {
        if self.ctx.screen.is_json() {
            let value = json!({
                "change": "trial", "sweep": row.sweep, "trial": row.trial, "state": row.state,
                "why": row.why, "epochs_done": row.epochs_done, "epochs": row.epochs,
                "value": row.value, "epoch": row.epoch, "attempts": row.attempts,
                "seed": row.seed, "parameters": row.parameters,
            });
            return self.line(value, "");
        }
        let epochs = match row.state {
            TrialState::Running | TrialState::Finished => {
                format!("  epoch {}", crate::cli::trials::epochs(row.epochs_done, row.epochs))
            }
            _ => String::new(),
        };
        let value = row.value.map_or(String::new(), |_| format!("  best {}", metric(row.value)));
        let name = seeds.name(row);
        let text = format!("{}  {}  {}{epochs}{value}  {name}", row.sweep, row.trial, row.state);
        self.line(Value::Null, text.trim_end());
    }

    /// How each sweep stands.
    fn sum_up(&self, rows: &[TrialRow]) {
        let mut sweeps: BTreeMap<&str, BTreeMap<&TrialState, u64>> = BTreeMap::new();
        for row in rows {
            *sweeps.entry(&row.sweep).or_default().entry(&row.state).or_default() += 1;
        }
        for (sweep, states) in sweeps {
            let trials: u64 = states.values().sum();
            if self.ctx.screen.is_json() {
                let states: serde_json::Map<_, _> =
                    states.iter().map(|(state, count)| (state.word(), json!(count))).collect();
                let value = json!({
                    "change": "sweep", "sweep": sweep, "trials": trials, "states": states,
                });
                self.line(value, "");
                continue;
            }
            let words: Vec<_> =
                states.iter().map(|(state, count)| format!("{count} {state}")).collect();
            let trials = plural(trials, "trial");
            self.line(Value::Null, &format!("{sweep}  {trials}: {}", words.join(", ")));
        }
    }

    /// Prints a line with its time, as JSON where that is wanted.
    fn line(&self, mut value: Value, text: &str) {
        let now = format!("{:.0}", self.ctx.clock.now());
        if self.ctx.screen.is_json() {
            value["schema_version"] = json!(1);
            value["at"] = json!(now);
            self.ctx.screen.answer(value.to_string());
        } else {
            self.ctx.screen.answer(format!("{now}  {}", table_text(text)));
        }
    }

    /// Tells what is wrong, in the words of `status`.
    fn warn(&self, text: &str) {
        match text.starts_with("note: ") {
            true => self.ctx.screen.note(text),
            false => self.ctx.screen.tell(text),
        }
    }

    /// Tells something beside, once.
    fn note(&mut self, text: &str) {
        if self.noted.as_deref() != Some(text) {
            self.ctx.screen.note(format!("note: {text}"));
            self.noted = Some(text.to_owned());
        }
    }

    /// Sums up at the end, and returns the exit code.
    fn end(&self, rows: &[TrialRow]) -> ExitCode {
        if rows.is_empty() {
            self.ctx.screen.note("note: there are no sweeps yet");
            return ExitCode::SUCCESS;
        }
        if self.has_changed {
            self.sum_up(rows);
        }
        let is_over = |row: &TrialRow| row.state == TrialState::Finished;
        match rows.iter().all(is_over) {
            true => ExitCode::SUCCESS,
            false => ExitCode::from(UNFINISHED),
        }
    }
}

/// A text without what would break the line.
fn table_text(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}
