//! What a shell offers where Tab is pressed: sweeps, trials, states, metrics, settings, files. It is asked in
//! the middle of somebody's line, so it is quick, silent, changes nothing, and asks no scheduler.

mod known;
mod line;

use std::ffi::OsStr;

use clap::{Arg, Command};
use clap_complete::CompleteEnv;
use clap_complete::engine::{
    ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter,
};

use super::overview;
use known::Known;

/// Set by the shell's side while it asks.
pub(super) const VARIABLE: &str = "REGATTA_COMPLETE";

/// Answers a shell; says whether one asked.
#[expect(clippy::disallowed_methods, reason = "the door reads the environment")]
pub(super) fn answer() -> bool {
    if std::env::var_os(VARIABLE).is_none_or(|shell| shell.is_empty()) {
        return false;
    }
    // Whatever goes wrong, nothing is written into somebody's prompt.
    std::panic::set_hook(Box::new(|_| {}));
    let here = std::env::current_dir().ok();
    let all = CompleteEnv::with_factory(|| offering(overview::command()));
    let _ = all.var(VARIABLE).bin("regatta").try_complete(std::env::args_os(), here.as_deref());
    true
}

/// Tells each argument of a command and its verbs what it may be.
fn offering(command: Command) -> Command {
    let offer = |arg: Arg| match Offer::of(&arg) {
        Some(offer) => arg.add(ArgValueCompleter::new(offer)),
        None => arg,
    };
    command.mut_args(offer).mut_subcommands(offering)
}

/// What an argument may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Offer {
    Sweeps,
    Trials,
    SweepsAndTrials,
    /// Trials as A,B,C, and files: the shell's side does not tell which word of several it is.
    TrialsAndFiles,
    States,
    Condition,
    Metrics,
    Settings,
    Names,
    SweepFile,
    Folder,
}

impl Offer {
    /// Follows from how its value is called in help, so that it is the same for every verb.
    fn of(arg: &Arg) -> Option<Self> {
        let name = arg.get_value_names().and_then(|names| names.first()).map(|name| name.as_str());
        Some(match (name?, arg.get_id().as_str()) {
            ("SWEEP", _) => Self::Sweeps,
            ("TRIAL", _) => Self::Trials,
            ("SWEEP|TRIAL", _) => Self::SweepsAndTrials,
            ("TRIAL|IMAGE" | "TRIAL|DATA", _) => Self::TrialsAndFiles,
            ("STATE", _) => Self::States,
            ("CONDITION", _) => Self::Condition,
            ("NAME", "metric") => Self::Metrics,
            ("PATH", "group_by") => Self::Settings,
            ("NAMES", _) => Self::Names,
            ("SWEEP.yaml", _) => Self::SweepFile,
            ("DIR", _) => Self::Folder,
            _ => return None,
        })
    }
}

impl ValueCompleter for Offer {
    fn complete(&self, typed: &OsStr) -> Vec<CompletionCandidate> {
        let Some(text) = typed.to_str() else { return Vec::new() };
        let known = || Known::here();
        let yaml = || sweep_files(typed);
        match self {
            Self::Sweeps => or(known().sweeps(text), yaml),
            Self::Trials => known().trials(text),
            Self::SweepsAndTrials => {
                let mut known = known();
                let mut all = known.sweeps(text);
                all.extend(known.trials(text));
                or(all, yaml)
            }
            Self::TrialsAndFiles => {
                let at = text.rfind(',').map_or(0, |comma| comma + 1);
                let (before, last) = text.split_at(at);
                let mut all = match line::has("--top") {
                    true => Vec::new(),
                    false => known().trials(last),
                };
                all = all.into_iter().map(|trial| trial.add_prefix(before)).collect();
                all.extend(PathCompleter::any().complete(typed));
                all
            }
            Self::States => known::states(text),
            Self::Condition => known().condition(text),
            Self::Metrics => known().metrics(text),
            Self::Settings => known().settings(text),
            Self::Names => match text.strip_prefix('-') {
                Some(rest) => {
                    known().names(rest).into_iter().map(|name| name.add_prefix("-")).collect()
                }
                None => known().names(text),
            },
            Self::SweepFile => yaml(),
            Self::Folder => PathCompleter::dir().complete(typed),
        }
    }
}

/// Others, where there are none.
fn or(
    all: Vec<CompletionCandidate>,
    others: impl FnOnce() -> Vec<CompletionCandidate>,
) -> Vec<CompletionCandidate> {
    if all.is_empty() { others() } else { all }
}

fn sweep_files(typed: &OsStr) -> Vec<CompletionCandidate> {
    let is_sweep =
        |path: &std::path::Path| path.extension().is_some_and(|end| end == "yaml" || end == "yml");
    PathCompleter::file().filter(is_sweep).complete(typed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values that nobody can guess, or that the command line itself knows.
    const NONE: [&str; 22] = [
        "CONDITION",
        "FILE",
        "FORMAT",
        "IMAGE",
        "N",
        "NAME",
        "OLD=NEW",
        "P|val",
        "PATH",
        "PIXELS",
        "SECONDS",
        "SHELL",
        "SPLIT",
        "STATEMENT",
        "TIME",
        "VERB",
        "WHEN",
        "WHICH",
        "WORD",
        "CHECKPOINT",
        "SLOTS",
        "DIRECTION",
    ];

    #[test]
    fn every_argument_has_an_offer_or_is_known_to_have_none() {
        for verb in overview::command().get_subcommands().filter(|verb| !verb.is_hide_set()) {
            for arg in verb.get_arguments().filter(|arg| arg.get_action().takes_values()) {
                let name = arg.get_value_names().and_then(|names| names.first());
                let name = name.map_or("", |name| name.as_str());
                let is_known = Offer::of(arg).is_some() || NONE.contains(&name);
                assert!(is_known, "{} {}: {name}", verb.get_name(), arg.get_id());
            }
        }
    }
}
