//! The page: a template, its style and programs, the plotting library and the document in one file.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

const TEMPLATE: &str = include_str!("../../../templates/report/page.html");
const STYLE: &str = include_str!("../../../templates/report/style.css");
const LIBRARY: &str = include_str!("../../../templates/report/echarts.min.js");

/// The page's own programs, in their order.
const PROGRAMS: [&str; 16] = [
    include_str!("../../../templates/report/base.js"),
    include_str!("../../../templates/report/scale.js"),
    include_str!("../../../templates/report/state.js"),
    include_str!("../../../templates/report/figure.js"),
    include_str!("../../../templates/report/print.js"),
    include_str!("../../../templates/report/sheet.js"),
    include_str!("../../../templates/report/board.js"),
    include_str!("../../../templates/report/groups.js"),
    include_str!("../../../templates/report/heat.js"),
    include_str!("../../../templates/report/curves.js"),
    include_str!("../../../templates/report/parallel.js"),
    include_str!("../../../templates/report/effects.js"),
    include_str!("../../../templates/report/health.js"),
    include_str!("../../../templates/report/costs.js"),
    include_str!("../../../templates/report/samples.js"),
    include_str!("../../../templates/report/main.js"),
];

/// What asks for news, on a page that is served.
const LIVE: &str = include_str!("../../../templates/report/live.js");

/// A page that is served, and goes on.
#[derive(Clone, Copy, Debug)]
pub(in crate::cli) struct Live<'a> {
    /// The name of what it shows first.
    pub(in crate::cli) edition: &'a str,
    /// Seconds between two questions for news.
    pub(in crate::cli) every: f64,
}

/// Writes the page; `data` is the document as JSON.
pub(in crate::cli) fn html(sweeps: &[String], data: &str, live: Option<Live<'_>>) -> String {
    let title = format!("{} – Regatta", sweeps.join(", "));
    let attributes = live.map_or(String::new(), |Live { edition, every }| {
        format!(" data-edition=\"{}\" data-every=\"{every}\"", escaped(edition))
    });
    let policy = policy(live.is_some());
    let parts = [
        ("POLICY", policy.as_str()),
        ("TITLE", &escaped(&title)),
        ("STYLE", STYLE),
        ("LIVE", &attributes),
        ("DATA", &harmless(data)),
        ("LIBRARY", LIBRARY),
        ("PROGRAM", &program(live.is_some())),
    ];
    filled(TEMPLATE, &parts)
}

/// What the page may do: run its own two programs, and ask nobody; one that is served asks where it came from.
pub(in crate::cli) fn policy(is_live: bool) -> String {
    let program = program(is_live);
    let hashes: Vec<String> = [LIBRARY, &program].map(source).into();
    let connect = if is_live { "connect-src 'self'; " } else { "" };
    format!(
        "default-src 'none'; script-src {}; {connect}style-src 'unsafe-inline'; img-src data: blob:; \
         base-uri 'none'; form-action 'none'",
        hashes.join(" ")
    )
}

fn program(is_live: bool) -> String {
    let live = if is_live { LIVE } else { "" };
    format!("'use strict';\n(() => {{\n{}\n{live}}})();\n", PROGRAMS.join("\n"))
}

/// Puts each part in the place of its mark `@@NAME@@`; what stands in a part is no mark.
fn filled(template: &str, parts: &[(&str, &str)]) -> String {
    let size = template.len() + parts.iter().map(|(_, part)| part.len()).sum::<usize>();
    let mut page = String::with_capacity(size);
    for (at, piece) in template.split("@@").enumerate() {
        let part = parts.iter().find(|(name, _)| at % 2 == 1 && *name == piece);
        page.push_str(part.map_or(piece, |(_, part)| part));
    }
    page
}

/// A script's source for the policy.
fn source(script: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(script)))
}

/// JSON that cannot end the element it stands in, nor begin a comment there: `<` occurs in strings only.
fn harmless(json: &str) -> String {
    json.replace('<', "\\u003c")
}

fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_into_their_places_and_cannot_bring_marks() {
        let parts = [("A", "@@B@@"), ("B", "b")];
        assert_eq!(filled("x @@A@@ y @@B@@ z", &parts), "x @@B@@ y b z");
    }

    #[test]
    fn nothing_in_the_data_ends_its_element() {
        let json = serde_json::json!({ "note": "</script><!-- <b>" }).to_string();
        let safe = harmless(&json);
        assert!(!safe.contains('<'));
        let back: serde_json::Value = serde_json::from_str(&safe).expect("json");
        assert_eq!(back["note"], "</script><!-- <b>");
        assert_eq!(escaped("<a \"b\" & c>"), "&lt;a &quot;b&quot; &amp; c&gt;");
    }

    #[test]
    fn the_page_has_every_place_and_no_script_ends_early() {
        for name in ["POLICY", "TITLE", "STYLE", "LIVE", "DATA", "LIBRARY", "PROGRAM"] {
            assert_eq!(TEMPLATE.matches(&format!("@@{name}@@")).count(), 1, "{name}");
        }
        for script in PROGRAMS.iter().chain([&LIBRARY, &LIVE]) {
            assert!(!script.to_lowercase().contains("</script") && !script.contains("<!--"));
        }
    }
}
