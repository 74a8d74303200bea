//! Examples of the worker's verbs, as their help shows them.

use crate::help::Example;

pub(super) const RUN: &[Example] = &[
    ("a trial that was staged or begun", "regatta-worker run --trial runs/toy/c3ca3a40591abe1b"),
    (
        "as a job script does: the first line of a job file",
        "regatta-worker run --job runs/toy/jobs/TOKEN.jsonl --index 0 --time-left 3600",
    ),
];

pub(super) const CHECK: &[Example] = &[(
    "the settings of a trial, in its folder",
    "regatta-worker check --settings \"$(jq -c .trial.settings trial.json)\"",
)];

pub(super) const VERIFY_RESUME: &[Example] = &[
    (
        "a trial of yours, in which nothing is changed",
        "regatta-worker verify-resume --trial runs/lr-batch/1021e0496a515bba",
    ),
    (
        "settings that are in no sweep yet",
        "regatta-worker verify-resume --settings '{\"model\": {\"name\": \"toy\"}}' --cuts 8",
    ),
];

pub(super) const PREDICT: &[Example] = &[
    (
        "all images of its own data",
        "regatta-worker predict --trial runs/lr-batch/1021e0496a515bba --split all -o masks",
    ),
    (
        "other images",
        "regatta-worker predict --trial runs/lr-batch/1021e0496a515bba stack.tif -o masks",
    ),
];

pub(super) const EVALUATE: &[Example] = &[(
    "another volume",
    "regatta-worker evaluate --trial runs/lr-batch/1021e0496a515bba data/other",
)];

pub(super) const EXPORT: &[Example] =
    &[("the best epoch", "regatta-worker export --trial runs/lr-batch/1021e0496a515bba -o model")];

pub(super) const MODELS: &[Example] = &[("all networks", "regatta-worker models")];

pub(super) const SYNTH: &[Example] = &[(
    "twelve slices of 256 × 256 pixels",
    "regatta-worker synth data/em-synth --slices 12 --seed 1",
)];

pub(super) const MAN: &[Example] =
    &[("where man(1) looks", "regatta-worker man -o ~/.local/share/man/man1")];

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use crate::help::shown;
    use crate::worker::command::Cli;

    #[test]
    fn every_verb_has_examples_and_each_of_them_is_a_command() {
        for verb in Cli::command().get_subcommands() {
            let name = verb.get_name();
            let help = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
            let all: Vec<&str> = shown(&help).collect();
            assert!((1..=4).contains(&all.len()), "{name} has {} examples", all.len());
            for line in all {
                // What a shell would put there.
                let settings = "{\"model\": {\"name\": \"toy\"}}";
                let (before, after) = line.split_once("\"$(").unwrap_or((line, ""));
                let mut words = shlex::split(before).expect(line);
                words.extend((!after.is_empty()).then(|| settings.to_owned()));
                assert_eq!(words[1], name, "{line}");
                let parsed = Cli::try_parse_from(&words);
                // Settings must be complete there, which is no matter of the command line.
                let is_good = parsed.is_ok() || (!after.is_empty() && words[2] == "--settings");
                assert!(is_good, "{line}: {parsed:?}");
            }
        }
    }
}
