//! The first page of help: what one may want to do, and the three journeys.

use std::ffi::OsString;

use clap::CommandFactory as _;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::Cli;
use crate::help::{self, Example, Group, Words, examples};
use crate::setting::nearest;

/// Verbs by what one wants to do.
const GROUPS: &[Group] = &[
    ("Begin", &["init", "schema", "check", "plan"]),
    ("Submit", &["submit", "tick"]),
    ("See", &["status", "watch", "serve", "show", "logs", "explain"]),
    ("Ask", &["best", "trials", "compare", "report", "sql"]),
    ("Mend", &["resume", "retry", "cancel", "rebuild"]),
    ("Use networks, carry sweeps", &["predict", "evaluate", "export", "import"]),
    ("This site, this terminal", &["doctor", "completions", "man"]),
];

/// What everything is for.
const JOURNEYS: &[Example] = &[
    (
        "submit: hand a sweep over, and stay until its trials ended",
        "regatta submit sweeps/lr-batch.yaml --wait",
    ),
    ("resume: what stopped goes on from its checkpoints", "regatta resume lr-batch"),
    ("ask: which trial is the best?", "regatta best lr-batch --metric val/jaccard"),
    ("more of one verb, with examples", "regatta help best"),
];

/// What stands in pages of manual beside the command line.
pub(super) const WORDS: Words = Words {
    exit_status: &[
        ("0", "What was asked for is done."),
        ("1", "It failed; the message says what to do."),
        ("2", "The command line is wrong."),
        ("3", "Some trials are not finished (--wait, watch --plain, best --fail-if-unfinished)."),
    ],
    environment: &[
        ("REGATTA_WORKER", "The worker program; otherwise regatta-worker beside regatta."),
        (
            "REGATTA_TEMPLATE",
            "The site's template for job scripts; otherwise job.sh.tera in the folder of settings.",
        ),
        ("NO_COLOR", "No colours, unless --color asks for them."),
        ("RUST_LOG", "What is told on stderr of what is done, such as regatta=debug."),
    ],
    files: &[
        ("runs/", "The folder of all sweeps; --root or REGATTA_ROOT names another one."),
        ("runs/regatta.db", "The database, made from the journals; it can be deleted."),
        ("runs/SWEEP/TRIAL/", "A trial: its journals, logs and checkpoints."),
        ("~/.config/regatta/job.sh.tera", "The site's template for job scripts."),
    ],
    see_also: &["regatta-worker(1)", "sbatch(1)", "squeue(1)", "scancel(1)", "sqlite3(1)"],
};

/// The command line, with its first page.
pub(super) fn command() -> clap::Command {
    help::overview(Cli::command().after_help(examples(JOURNEYS)), GROUPS)
}

/// The verb of a command line that has a mistake somewhere.
fn verb(typed: &[OsString]) -> Option<clap::Command> {
    let mut command = command();
    // What is wrong is passed over: the first word that names a verb may be the value of an option.
    let understood = command.clone().ignore_errors(true).try_get_matches_from(typed).ok()?;
    // With the options that all verbs have, and a usage that begins with the program.
    command.build();
    let verb = command.find_subcommand(understood.subcommand_name()?)?.clone();
    (!verb.is_hide_set()).then_some(verb)
}

/// Of an option that is not there: the nearest one by letters that were missed or exchanged, or none. What clap
/// offers is often far from it, and nobody means an option as a value.
pub(super) fn mend_tips(error: &mut clap::Error, typed: &[OsString]) {
    let Some(ContextValue::String(wrong)) = error.get(ContextKind::InvalidArg) else { return };
    if error.kind() != ErrorKind::UnknownArgument || !wrong.starts_with('-') {
        return;
    }
    let wrong = wrong.clone();
    let Some(mut verb) = verb(typed) else { return };
    let long = |one: &clap::Arg| Some(format!("--{}", one.get_long()?));
    let known: Vec<String> = verb.get_arguments().filter_map(long).collect();
    error.remove(ContextKind::Suggested);
    error.remove(ContextKind::SuggestedArg);
    if let Some(near) = nearest(&wrong, known.iter().map(String::as_str)) {
        error.insert(ContextKind::SuggestedArg, ContextValue::String(near.to_owned()));
    }
    error.insert(ContextKind::Usage, ContextValue::StyledStr(verb.render_usage()));
}

/// After a mistake on the command line: a command of that verb that is right.
#[expect(clippy::print_stderr, reason = "there is no screen yet")]
pub(super) fn show_an_example(error: &clap::Error, typed: &[OsString]) {
    if !error.use_stderr() || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return;
    }
    if let Some(verb) = verb(typed) {
        let help = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
        if let Some(example) = help::shown(&help).next() {
            eprintln!("\nExample: {example}\nMore: regatta help {}", verb.get_name());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::FromArgMatches as _;

    use super::*;
    use crate::help::shown;

    /// Parses a line of a help text as the program would.
    fn parse(line: &str) -> Result<Cli, clap::Error> {
        let at = line.find("regatta ").unwrap_or_default();
        // Pipes, redirections and substitutions are the shell's.
        let own = &line[at..];
        let own = [")\"", ")"].iter().find_map(|end| own.strip_suffix(end)).unwrap_or(own);
        let words = shlex::split(own).expect(line).into_iter();
        let words = words.take_while(|word| !["<", "|", ">"].contains(&word.as_str()));
        let matches = command().try_get_matches_from(words)?;
        Cli::from_arg_matches(&matches)
    }

    #[test]
    fn every_verb_has_examples_and_each_of_them_is_a_command() {
        // Its own `help` verb is clap's.
        let mut command = command().disable_help_subcommand(true);
        command.build();
        for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
            let name = verb.get_name();
            let help = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
            let all: Vec<&str> = shown(&help).collect();
            assert!((1..=4).contains(&all.len()), "{name} has {} examples", all.len());
            for line in all {
                if let Err(error) = parse(line) {
                    panic!("{name}: {line}: {error}");
                }
                let is_of_the_verb = line.split([' ', ')']).any(|word| word == name);
                assert!(is_of_the_verb, "{name}: {line} is about something else");
            }
            let long = verb.clone().render_long_help().to_string();
            let about = long.lines().take_while(|line| !line.starts_with("Usage")).count();
            assert!(about >= 3, "{name} does not say when it is used");
        }
        for (_, line) in JOURNEYS.iter().filter(|(_, line)| !line.contains(" help ")) {
            assert!(parse(line).is_ok(), "{line}");
        }
        assert!(parse("regatta best --no-such-option").is_err());
    }

    #[test]
    fn every_verb_stands_in_one_group_and_fits_a_line() {
        let command = command();
        let visible: BTreeSet<&str> = command
            .get_subcommands()
            .filter(|verb| !verb.is_hide_set())
            .map(clap::Command::get_name)
            .collect();
        let grouped: Vec<&str> =
            GROUPS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        assert_eq!(
            grouped.len(),
            grouped.iter().collect::<BTreeSet<_>>().len(),
            "one stands twice"
        );
        assert_eq!(visible, grouped.into_iter().collect());
        for line in super::command().render_help().to_string().lines() {
            assert!(line.chars().count() <= 100, "{line}");
        }
    }

    #[test]
    fn the_command_line_is_sound() {
        command().debug_assert();
    }
}
