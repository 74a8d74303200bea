//! docs/settings.md is made from the table of settings. `REGATTA_BLESS=1` writes it anew.

use std::fmt::Write as _;
use std::path::Path;

use regatta::setting::table::{SECTIONS, Section, TOP};
use regatta::setting::{Bound, Default, Field, Kind};

const HEAD: &str = "# Settings of a trial

<!-- Made from src/setting/table.rs: REGATTA_BLESS=1 cargo test --test it settings_page -->

What may stand under `fixed:`, and what an axis may name by its dotted path (`optimizer.lr`).
A value outside its range is refused before anything is written. All settings with their defaults
are part of a trial's identity, but for `data.path` and for defaults of settings that older versions
did not have.
";

#[test]
fn the_page_of_settings_is_what_the_table_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/settings.md");
    let made = page();
    if std::env::var_os("REGATTA_BLESS").is_some() {
        std::fs::write(&path, &made).expect("write");
    }
    let written = std::fs::read_to_string(&path).expect("docs/settings.md");
    assert!(
        written == made,
        "docs/settings.md is not what the table says; write it with REGATTA_BLESS=1"
    );
}

fn page() -> String {
    let mut page = HEAD.to_owned();
    page.push_str("\n## Without a section\n\n");
    page.push_str(&table("", TOP.iter()));
    for section in SECTIONS {
        page.push_str(&part(section));
    }
    page
}

fn part(section: &Section) -> String {
    let mut text = format!("\n## {}\n\n{}.", section.name, sentence(section.doc));
    if section.images_only {
        text.push_str(" The toy learner has no such section.");
    }
    let _ = writeln!(text, "\n\n```yaml\n{}: {}\n```", section.name, section.example);
    if !section.fields.is_empty() {
        let _ = write!(text, "\n{}", table(section.name, section.fields.iter()));
    }
    for variant in section.variants {
        let is_default = section.default_variant == Some(variant.name);
        let word = if is_default { " (the default)" } else { "" };
        let _ = writeln!(text, "\n**`name: {}`**{word}: {}.", variant.name, variant.doc);
        if !variant.fields.is_empty() {
            let _ = write!(text, "\n{}", table(section.name, variant.fields.iter()));
        }
    }
    text
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

fn table<'a>(section: &str, fields: impl Iterator<Item = &'a Field>) -> String {
    let mut text = "| setting | values | default | |\n|---|---|---|---|\n".to_owned();
    for field in fields {
        let dot = if section.is_empty() { "" } else { "." };
        let _ = writeln!(
            text,
            "| `{section}{dot}{}` | {} | {} | {} |",
            field.name,
            values(field.kind),
            default(field.default),
            field.doc
        );
    }
    text
}

pub(crate) fn values(kind: Kind) -> String {
    match kind {
        Kind::Bool => "true or false".to_owned(),
        Kind::Int { min, max } => format!("whole, {min} to {max}"),
        Kind::Float { min, zero: Bound::Inclusive, max } => {
            format!("{} to {}", number(min), number(max))
        }
        Kind::Float { min, zero: Bound::Exclusive, max } => {
            format!("above {}, to {}", number(min), number(max))
        }
        Kind::Ints { min, max, least, most } => {
            format!("a list of {least} to {most} whole numbers, {min} to {max}")
        }
        Kind::Word(known) => {
            known.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
        }
        Kind::Text => "text".to_owned(),
        Kind::Metric => "a metric, such as `val/loss`".to_owned(),
        Kind::Split => "`file`, `split.csv`, `stratified`, `{ by: blocks, gap: N }`, \
             `{ by: folds, folds: K, fold: I, gap: N }`, `leaky_random_patches`"
            .to_owned(),
    }
}

pub(crate) fn default(default: Default) -> String {
    match default {
        Default::Required => "must be given".to_owned(),
        Default::Absent => "none".to_owned(),
        Default::Bool(value) => format!("`{value}`"),
        Default::Int(value) => format!("`{value}`"),
        Default::Ints(values) => format!("`{values:?}`"),
        Default::Float(value) => format!("`{}`", number(value)),
        Default::Text(value) => format!("`{value:?}`"),
        Default::FolderName => "the folder's name".to_owned(),
    }
}

/// A number as a sweep file would spell it.
fn number(value: f64) -> String {
    if value != 0.0 && !(1e-3..1e6).contains(&value.abs()) {
        format!("{value:e}")
    } else {
        value.to_string()
    }
}
