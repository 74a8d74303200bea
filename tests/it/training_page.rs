//! docs/training.md is written by hand, but for what stands between its marks: tables of settings with
//! their sources, and the list of networks. `REGATTA_BLESS=1` writes these anew.

use std::fmt::Write as _;
use std::path::Path;

use regatta::setting::Field;
use regatta::setting::table::{SECTIONS, TOP};

use crate::settings_page::default;

const END: &str = "<!-- end -->";

#[test]
fn the_tables_of_the_page_on_training_are_what_the_source_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/training.md");
    let written = std::fs::read_to_string(&path).expect("docs/training.md");
    let made = filled(&written);
    if std::env::var_os("REGATTA_BLESS").is_some() {
        std::fs::write(&path, &made).expect("write");
        return;
    }
    assert!(
        written == made,
        "docs/training.md is not what the source says; REGATTA_BLESS=1 writes it"
    );
    for section in SECTIONS {
        assert!(made.contains(&format!("<!-- section: {} -->", section.name)), "{}", section.name);
    }
}

/// Each source that the tables name stands in the list at the end.
#[test]
fn every_source_of_a_setting_is_listed() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/training.md");
    let page = std::fs::read_to_string(path).expect("docs/training.md");
    let (_, sources) = page.split_once("## Sources").expect("a list of sources");
    let fields = SECTIONS.iter().flat_map(|section| {
        section.fields.iter().chain(section.variants.iter().flat_map(|variant| variant.fields))
    });
    let named: Vec<&str> = fields.filter_map(|field| field.source).collect();
    assert!(named.len() > 30, "{named:?}");
    for source in named {
        // Of "PyTorch manual, `OneCycleLR`" the manual, of "Liu et al. 2022" all.
        let short = source.split(',').next().unwrap_or(source);
        assert!(sources.contains(&format!("* {short}:")), "{source} is not listed");
    }
}

/// The page with what stands between the marks made anew.
fn filled(page: &str) -> String {
    let mut filled = String::new();
    let mut rest = page;
    while let Some(at) = rest.find("<!-- ") {
        let mark = rest[at..].lines().next().expect("a line");
        let Some(table) = between(mark) else {
            filled.push_str(&rest[..at + mark.len()]);
            rest = &rest[at + mark.len()..];
            continue;
        };
        let end = at + rest[at..].find(END).expect("an end of each mark");
        let table = table.unwrap_or_else(|| rest[at + mark.len()..end].trim().to_owned());
        let table = if table.is_empty() { table } else { format!("\n{}\n\n", table.trim()) };
        let _ = write!(filled, "{}{mark}\n{table}{END}", &rest[..at]);
        rest = &rest[end + END.len()..];
    }
    filled + rest
}

/// What belongs after a mark; inner none: it is left as it is. None: this is no mark.
fn between(mark: &str) -> Option<Option<String>> {
    let name = mark.strip_prefix("<!-- ")?.strip_suffix("-->")?.trim();
    if name == "models" {
        return Some(networks());
    }
    let name = name.strip_prefix("section:")?.trim();
    if name.is_empty() {
        return Some(Some(table(TOP.iter())));
    }
    let section = SECTIONS.iter().find(|section| section.name == name).expect("a section");
    let mut text = String::new();
    if !section.fields.is_empty() {
        text = table(section.fields.iter());
    }
    for variant in section.variants.iter().filter(|variant| variant.name != "toy") {
        let _ = write!(text, "\n**`name: {}`**: {}.\n", variant.name, variant.doc);
        if !variant.fields.is_empty() {
            let _ = write!(text, "\n{}", table(variant.fields.iter()));
        }
    }
    Some(Some(text))
}

fn table<'a>(fields: impl Iterator<Item = &'a Field>) -> String {
    let mut text = "| setting | definition | default | source |\n|---|---|---|---|\n".to_owned();
    for field in fields {
        let (default, source) = (default(field.default), field.source.unwrap_or("–"));
        let _ = writeln!(text, "| `{}` | {} | {default} | {source} |", field.name, field.doc);
    }
    text
}

#[cfg(feature = "train")]
fn networks() -> Option<String> {
    let number = |number: Option<u64>| number.map_or("–".to_owned(), |number| number.to_string());
    let mut text =
        "| network | parameters | as Keras counts | reported by the earlier system | note |\n\
                    |---|---|---|---|---|\n"
            .to_owned();
    for entry in regatta::train::model::catalogue::entries().expect("networks") {
        let keras = number(Some(entry.keras_parameters.unwrap_or(entry.parameters)));
        let _ = writeln!(
            text,
            "| `{}` | {} | {keras} | {} | {} |",
            entry.settings,
            entry.parameters,
            number(entry.reference_parameters),
            entry.note
        );
    }
    Some(text)
}

#[cfg(not(feature = "train"))]
fn networks() -> Option<String> {
    None
}
