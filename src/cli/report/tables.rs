//! The groups of a comparison as tables for a paper.

use serde::Serialize;
use serde_json::Value;

use crate::cli::ask::metric;
use crate::cli::table;

/// Rows that a table has at most: more belong into no paper.
const MOST_ROWS: usize = 50;

/// Heads the column of data sets and splits; no setting is called so.
const DATA: &str = "data";

/// The same table in two languages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Tables {
    /// GitHub's Markdown.
    pub(super) markdown: String,
    /// LaTeX with booktabs.
    pub(super) latex: String,
}

impl Tables {
    /// From what `compare --json` prints.
    pub(super) fn of(compare: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut paths: Vec<String> =
            compare["by"].as_array().into_iter().flatten().map(text).collect();
        // Values on different data stand in one table, and are told apart.
        let several = compare["families"].as_array().is_some_and(|families| families.len() > 1);
        paths.extend(several.then(|| DATA.to_owned()));
        let groups = compare["groups"].as_array().map_or(&[][..], Vec::as_slice);
        let shown = &groups[..groups.len().min(MOST_ROWS)];
        let rows: Vec<Row> = shown.iter().map(|group| Row::of(group, &paths)).collect();
        let metric = text(&compare["metric"]);
        let more = match groups.len() - shown.len() {
            0 => String::new(),
            more => format!(" {more} more groups are left out."),
        };
        let legend = format!(
            "{metric} ({}), mean and standard deviation over n trials; p after Holm of Welch's test against \
             the first row{}.{more}",
            text(&compare["direction"]),
            if several { " on the same data" } else { "" },
        );
        Self {
            markdown: markdown(&paths, &metric, &rows, &legend),
            latex: latex(&paths, &metric, &rows, &legend),
        }
    }
}

/// A group in words.
struct Row {
    values: Vec<String>,
    mean: Option<f64>,
    deviation: Option<f64>,
    n: String,
    best: Option<f64>,
    chance: String,
}

impl Row {
    fn of(group: &Value, paths: &[String]) -> Self {
        let value = |path: &String| match path.as_str() {
            DATA => table::value(&group["data"][0]),
            path => group["by"].get(path).map_or("-".to_owned(), table::value),
        };
        let n = group["n"].to_string();
        let all = group["trials"].to_string();
        Self {
            values: paths.iter().map(value).collect(),
            mean: group["mean"].as_f64(),
            deviation: group["sd"].as_f64(),
            n: if n == all { n } else { format!("{n}/{all}") },
            best: group["best"]["value"].as_f64(),
            chance: match group["p_holm"].as_f64() {
                Some(p) if p < 0.001 => "< 0.001".to_owned(),
                Some(p) => format!("{p:.3}"),
                None if group["verdict"] == "never_learnt" => "never learnt".to_owned(),
                None => "-".to_owned(),
            },
        }
    }
}

fn markdown(paths: &[String], name: &str, rows: &[Row], legend: &str) -> String {
    let escaped =
        |text: &str| text.replace('\\', "\\\\").replace('|', "\\|").replace(['\n', '\r'], " ");
    let line = |cells: Vec<String>| {
        format!("| {} |\n", cells.iter().map(|cell| escaped(cell)).collect::<Vec<_>>().join(" | "))
    };
    let fixed =
        [name.to_owned(), "±".to_owned(), "n".to_owned(), "best".to_owned(), "p".to_owned()];
    let head: Vec<String> = paths.iter().cloned().chain(fixed).collect();
    let mut text = String::from("<!-- regatta report -->\n");
    text += &line(head.clone());
    text += &format!("|{}\n", "---|".repeat(head.len()));
    for row in rows {
        let fixed = [
            metric(row.mean),
            metric(row.deviation),
            row.n.clone(),
            metric(row.best),
            row.chance.clone(),
        ];
        text += &line(row.values.iter().cloned().chain(fixed).collect());
    }
    text + &format!("\n{}\n", escaped(legend))
}

fn latex(paths: &[String], name: &str, rows: &[Row], legend: &str) -> String {
    let line = |cells: Vec<String>| format!("    {} \\\\\n", cells.join(" & "));
    let head = paths.iter().map(|path| escaped(path));
    let head = head.chain([escaped(name), "$n$".to_owned(), "best".to_owned(), "$p$".to_owned()]);
    let columns = format!("{}rrrr", "l".repeat(paths.len()));
    let mut text = format!(
        "% regatta report; needs \\usepackage{{booktabs}}\n\\begin{{table}}\n  \\centering\n  \
         \\begin{{tabular}}{{{columns}}}\n    \\toprule\n"
    );
    text += &line(head.collect());
    text += "    \\midrule\n";
    for row in rows {
        let mean = match row.deviation {
            Some(_) => format!("${} \\pm {}$", metric(row.mean), metric(row.deviation)),
            None => format!("${}$", metric(row.mean)),
        };
        let cells = row.values.iter().map(|value| escaped(value));
        let chance = match row.chance.as_str() {
            "-" => "--".to_owned(),
            words @ "never learnt" => words.to_owned(),
            chance => format!("${chance}$"),
        };
        let fixed = [mean, row.n.clone(), format!("${}$", metric(row.best)), chance];
        text += &line(cells.chain(fixed).collect());
    }
    text + &format!(
        "    \\bottomrule\n  \\end{{tabular}}\n  \\caption{{{}}}\n\\end{{table}}\n",
        escaped(legend)
    )
}

/// Text that LaTeX prints as it stands.
fn escaped(text: &str) -> String {
    let mut found = String::new();
    for c in text.chars() {
        match c {
            '\\' => found += "\\textbackslash{}",
            '~' => found += "\\textasciitilde{}",
            '^' => found += "\\textasciicircum{}",
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => {
                found.push('\\');
                found.push(c);
            }
            c if c.is_control() => found.push(' '),
            c => found.push(c),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn tables_have_every_group_and_escape_what_names_hold() {
        let group = |name: &str, mean: f64, sd: Option<f64>, p: Option<f64>| {
            json!({
                "by": { "model.name": name, "batch_size": 4 }, "trials": 3, "n": 2, "mean": mean, "sd": sd,
                "best": { "value": 0.95 }, "p_holm": p,
            })
        };
        let compare = json!({
            "by": ["model.name", "batch_size"], "metric": "val/jaccard", "direction": "maximize",
            "groups": [group("u_net|{a}\\", 0.9, Some(0.01), None), group("b", 0.5, None, Some(0.0001))],
        });
        let tables = Tables::of(&compare);
        insta::assert_snapshot!(tables.markdown, @r"
        <!-- regatta report -->
        | model.name | batch_size | val/jaccard | ± | n | best | p |
        |---|---|---|---|---|---|---|
        | u_net\|{a}\\ | 4 | 0.9000 | 0.0100 | 2/3 | 0.9500 | - |
        | b | 4 | 0.5000 | - | 2/3 | 0.9500 | < 0.001 |

        val/jaccard (maximize), mean and standard deviation over n trials; p after Holm of Welch's test against the first row.
        ");
        insta::assert_snapshot!(tables.latex, @r"
        % regatta report; needs \usepackage{booktabs}
        \begin{table}
          \centering
          \begin{tabular}{llrrrr}
            \toprule
            model.name & batch\_size & val/jaccard & $n$ & best & $p$ \\
            \midrule
            u\_net|\{a\}\textbackslash{} & 4 & $0.9000 \pm 0.0100$ & 2/3 & $0.9500$ & -- \\
            b & 4 & $0.5000$ & 2/3 & $0.9500$ & $< 0.001$ \\
            \bottomrule
          \end{tabular}
          \caption{val/jaccard (maximize), mean and standard deviation over n trials; p after Holm of Welch's test against the first row.}
        \end{table}
        ");
        assert!(Tables::of(&json!({})).markdown.contains("| n |"));
    }
}
