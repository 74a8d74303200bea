//! The first page of help: verbs by what one wants to do.

use std::fmt::Write as _;

use clap::Command;
use clap::builder::Styles;

/// Verbs that serve one purpose: a heading, and their names.
pub type Group = (&'static str, &'static [&'static str]);

/// Heading of verbs that stand in no group.
const OTHERS: &str = "More";

/// Gives a program's first page of help groups of verbs instead of one long list. A verb that stands in
/// none is shown all the same, at the end.
#[must_use]
pub fn overview(command: Command, groups: &[Group]) -> Command {
    let visible: Vec<&Command> =
        command.get_subcommands().filter(|verb| !verb.is_hide_set()).collect();
    let width = visible.iter().map(|verb| verb.get_name().len()).max().unwrap_or(0);
    let styles = Styles::styled();
    let (head, word) = (styles.get_header(), styles.get_literal());
    let mut text = String::new();
    let mut part = |heading: &str, verbs: &[&Command]| {
        if verbs.is_empty() {
            return;
        }
        // Writing into a text never fails.
        let _ = write!(text, "\n{head}{heading}:{head:#}\n");
        for verb in verbs {
            let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
            let _ = writeln!(text, "  {word}{:width$}{word:#}  {about}", verb.get_name());
        }
    };
    let of = |name: &&str| visible.iter().find(|verb| verb.get_name() == *name).copied();
    for (heading, names) in groups {
        part(heading, &names.iter().filter_map(of).collect::<Vec<_>>());
    }
    let is_grouped =
        |verb: &&Command| groups.iter().any(|(_, names)| names.contains(&verb.get_name()));
    part(OTHERS, &visible.iter().copied().filter(|verb| !is_grouped(verb)).collect::<Vec<_>>());
    let template = format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n{text}\n{head}Options:{head:#}\n{{options}}{{after-help}}"
    );
    command.help_template(template)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_visible_verb_is_shown_once() {
        let verb = |name: &'static str| Command::new(name).about(format!("about {name}"));
        let all = ["ask", "mend", "new"].map(verb);
        let hidden = verb("inner").hide(true);
        let command = Command::new("p").about("A program").subcommands(all).subcommand(hidden);
        let groups: [Group; 2] = [("Ask", &["ask"]), ("Mend", &["mend", "none"])];
        let help = overview(command, &groups).render_help().to_string();
        assert_eq!(
            help.split("Options:").next(),
            Some(
                "A program\n\nUsage: p [COMMAND]\n\nAsk:\n  ask   about ask\n\nMend:\n  mend  about mend\n\nMore:\n  \
                 new   about new\n\n"
            )
        );
    }
}
