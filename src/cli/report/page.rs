//! The page: a template, its style and programs, the plotting library and the document in one file.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::document::Document;

const TEMPLATE: &str = include_str!("../../../templates/report/page.html");
const STYLE: &str = include_str!("../../../templates/report/style.css");
const LIBRARY: &str = include_str!("../../../templates/report/echarts.min.js");

/// The page's own programs, in their order.
const PROGRAMS: [&str; 10] = [
    include_str!("../../../templates/report/base.js"),
    include_str!("../../../templates/report/state.js"),
    include_str!("../../../templates/report/figure.js"),
    include_str!("../../../templates/report/board.js"),
    include_str!("../../../templates/report/heat.js"),
    include_str!("../../../templates/report/curves.js"),
    include_str!("../../../templates/report/settings.js"),
    include_str!("../../../templates/report/costs.js"),
    include_str!("../../../templates/report/samples.js"),
    include_str!("../../../templates/report/main.js"),
];

/// Writes the page.
///
/// # Errors
/// When the document cannot be written as JSON.
pub(super) fn html(document: &Document) -> serde_json::Result<String> {
    let data = serde_json::to_string(document)?;
    let program = format!("'use strict';\n(() => {{\n{}\n}})();\n", PROGRAMS.join("\n"));
    let hashes: Vec<String> = [LIBRARY, &program].map(source).into();
    let policy = format!(
        "default-src 'none'; script-src {}; style-src 'unsafe-inline'; img-src data: blob:; \
         base-uri 'none'; form-action 'none'",
        hashes.join(" ")
    );
    let title = format!("{} – Regatta", document.sweeps.join(", "));
    let parts = [
        ("POLICY", policy.as_str()),
        ("TITLE", &escaped(&title)),
        ("STYLE", STYLE),
        ("DATA", &harmless(&data)),
        ("LIBRARY", LIBRARY),
        ("PROGRAM", &program),
    ];
    Ok(filled(TEMPLATE, &parts))
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
        for name in ["POLICY", "TITLE", "STYLE", "DATA", "LIBRARY", "PROGRAM"] {
            assert_eq!(TEMPLATE.matches(&format!("@@{name}@@")).count(), 1, "{name}");
        }
        for script in PROGRAMS.iter().chain([&LIBRARY]) {
            assert!(!script.to_lowercase().contains("</script") && !script.contains("<!--"));
        }
    }
}
