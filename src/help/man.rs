//! Pages for man(1): one a program, one a verb, from what the command line knows of itself.

use clap::{Arg, Command};
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, roman};

use super::{HEADING, shown};

/// A page of the manual.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Name of its file: `regatta-best.1`.
    pub file: String,
    /// Its text, for man(1).
    pub text: String,
}

/// What a command line does not know of itself.
#[derive(Clone, Copy, Debug)]
pub struct Words {
    /// Exit codes and what they mean.
    pub exit_status: &'static [(&'static str, &'static str)],
    /// Variables of the environment that belong to no option.
    pub environment: &'static [(&'static str, &'static str)],
    /// Files and what they hold.
    pub files: &'static [(&'static str, &'static str)],
    /// Other pages, such as `sbatch(1)`.
    pub see_also: &'static [&'static str],
}

/// Makes the pages of a program and of its verbs, each with sections for examples, exit codes,
/// environment, files, and other pages. `day` is the one on which they are written: `2026-11-30`.
///
/// # Errors
/// In words, when a page cannot be written.
pub fn pages(command: Command, words: &Words, day: &str) -> Result<Vec<Page>, String> {
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let verbs: Vec<&Command> =
        command.get_subcommands().filter(|verb| !verb.is_hide_set()).collect();
    let program = command.get_name();
    let mut others: Vec<String> =
        verbs.iter().map(|verb| format!("{program}-{}(1)", verb.get_name())).collect();
    others.extend(words.see_also.iter().map(ToString::to_string));
    let mut made = vec![page(&command, words, day, &others)?];
    let mut others = vec![format!("{program}(1)")];
    others.extend(words.see_also.iter().map(ToString::to_string));
    for verb in verbs {
        made.push(page(verb, words, day, &others)?);
    }
    Ok(made)
}

fn page(command: &Command, words: &Words, day: &str, others: &[String]) -> Result<Page, String> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    let man = Man::new(command.clone())
        .title(name.to_uppercase())
        .date(day)
        .source(format!("regatta {}", env!("CARGO_PKG_VERSION")))
        .manual("Regatta");
    let mut text = Vec::new();
    let said = |error: &dyn std::fmt::Display| format!("{name}: {error}");
    man.render_title(&mut text).map_err(|error| said(&error))?;
    man.render_name_section(&mut text).map_err(|error| said(&error))?;
    man.render_synopsis_section(&mut text).map_err(|error| said(&error))?;
    man.render_description_section(&mut text).map_err(|error| said(&error))?;
    man.render_options_section(&mut text).map_err(|error| said(&error))?;
    if command.get_subcommands().any(|verb| !verb.is_hide_set()) {
        man.render_subcommands_section(&mut text).map_err(|error| said(&error))?;
    }
    let mut roff = Roff::new();
    examples(&mut roff, command);
    table(&mut roff, "EXIT STATUS", words.exit_status.iter().map(own));
    table(&mut roff, "ENVIRONMENT", variables(command).chain(words.environment.iter().map(own)));
    table(&mut roff, "FILES", words.files.iter().map(own));
    roff.control("SH", ["SEE ALSO"]);
    roff.text([roman(others.join(", "))]);
    roff.to_writer(&mut text).map_err(|error| said(&error))?;
    // A break around an empty line is one too many for mandoc.
    let text = String::from_utf8(text).map_err(|error| said(&error))?;
    let text = text.replace(".br\n\n.br\n", ".sp\n");
    Ok(Page { file: format!("{name}.1"), text })
}

fn own((word, meaning): &(&str, &str)) -> (String, String) {
    ((*word).to_owned(), (*meaning).to_owned())
}

/// Variables that stand for options.
fn variables(command: &Command) -> impl Iterator<Item = (String, String)> {
    let all = command.get_arguments().filter(|arg| !arg.is_hide_set());
    all.filter_map(|arg: &Arg| {
        let variable = arg.get_env()?.to_string_lossy().into_owned();
        Some((variable, format!("Stands for --{}.", arg.get_long()?)))
    })
}

fn examples(roff: &mut Roff, command: &Command) {
    let Some(help) = command.get_after_long_help().or_else(|| command.get_after_help()) else {
        return;
    };
    let help = help.to_string();
    if shown(&help).next().is_none() {
        return;
    }
    roff.control("SH", ["EXAMPLES"]);
    roff.control("nf", []);
    let at = help.find(HEADING).map_or(0, |at| at + HEADING.len());
    for line in help[at..].lines().map(str::trim).filter(|line| !line.is_empty()) {
        let line: Inline = if line.starts_with('#') { roman(line) } else { bold(line) };
        roff.text([line]);
    }
    roff.control("fi", []);
}

fn table(roff: &mut Roff, heading: &str, rows: impl Iterator<Item = (String, String)>) {
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        return;
    }
    roff.control("SH", [heading]);
    for (word, meaning) in rows {
        roff.control("TP", []);
        roff.text([bold(word)]);
        roff.text([roman(meaning)]);
    }
}
