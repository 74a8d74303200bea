//! `report`: its numbers are those of the other commands, and nothing in a name gets out of its place.

use std::path::PathBuf;

use regatta::event::{Event, Outcome, StopReason};
use regatta::metric::{Metrics, Objective};
use serde_json::{Value, json};

use crate::answers::{regatta, said};
use crate::compare::{ends, epochs, trial};
use crate::runs::{Runs, id};

/// Writes a report and reads it.
fn written(runs: &Runs, name: &str, words: &[&str]) -> String {
    let file = path(runs, name);
    let file_text = file.to_string_lossy();
    let words: Vec<&str> = ["report", "-o", &file_text].iter().chain(words).copied().collect();
    let output = regatta(runs, &words);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::read_to_string(file).expect("a report")
}

fn path(runs: &Runs, name: &str) -> PathBuf {
    runs.root().path().join(name)
}

fn document(runs: &Runs) -> Value {
    serde_json::from_str(&written(runs, "report.json", &[])).expect("json")
}

fn asked(runs: &Runs, words: &[&str]) -> Value {
    let words: Vec<&str> = words.iter().chain(&["--json"]).copied().collect();
    serde_json::from_slice(&regatta(runs, &words).stdout).expect("json")
}

fn kinds(document: &Value) -> Vec<&str> {
    let flags = document["flags"].as_array().expect("flags");
    flags.iter().map(|flag| flag["kind"].as_str().expect("a kind")).collect()
}

/// Why a trial stands as it does, without how old its last record is, which differs from command to command.
fn ageless(row: &Value) -> Option<String> {
    let why = row["why"].as_str()?;
    let Some((before, after)) = why.split_once("last record is ") else {
        return Some(why.to_owned());
    };
    let (_, after) = after.split_once(" old").expect("an age");
    Some(format!("{before}{after}"))
}

#[test]
fn its_numbers_are_those_of_best_trials_and_compare() {
    let runs = ends();
    let told = document(&runs);
    assert_eq!(told["schema_version"], 1);
    let best = asked(&runs, &["best"]);
    let trials = asked(&runs, &["trials", "--analysis"]);
    let lines = told["trials"].as_array().expect("trials");
    assert_eq!(lines.len(), best["trials"].as_array().expect("trials").len());
    for (line, ranked) in lines.iter().zip(best["trials"].as_array().expect("trials")) {
        for name in ["trial", "value", "epoch", "seed", "state", "parameters"] {
            assert_eq!(line[name], ranked[name], "{name} of {ranked}");
        }
        let listed = trials["trials"].as_array().expect("trials").iter();
        let listed = listed.clone().find(|row| row["trial"] == line["trial"]).expect("listed");
        for name in ["analysis", "epochs_done", "epochs", "attempts"] {
            assert_eq!(line[name], listed[name], "{name} of {ranked}");
        }
        assert_eq!(ageless(line), ageless(listed), "why of {ranked}");
    }
    assert_eq!(told["compare"], asked(&runs, &["compare"]));
    // Each curve is what `show` tells.
    let metrics = told["curves"]["metrics"].as_array().expect("metrics");
    for (line, curve) in lines.iter().zip(told["curves"]["trials"].as_array().expect("curves")) {
        let shown = asked(&runs, &["show", line["trial"].as_str().expect("id")]);
        let history = shown["history"].as_array().expect("history");
        for (metric, values) in metrics.iter().zip(curve["values"].as_array().expect("values")) {
            let of = |epoch: &Value| epoch["metrics"][metric.as_str().expect("name")].clone();
            let expected: Vec<Value> = history.iter().map(of).collect();
            assert_eq!(values, &Value::from(expected), "{metric} of {line}");
        }
    }
}

#[test]
fn means_of_cells_and_levels_are_those_of_trials_that_count() {
    let told = document(&ends());
    let lines = told["trials"].as_array().expect("trials");
    let mut seen = 0;
    for map in told["maps"].as_array().expect("maps") {
        for cell in map["cells"].as_array().expect("cells") {
            let of = |at: &Value| &lines[usize::try_from(at.as_u64().expect("n")).expect("n")];
            let own = cell["trials"].as_array().expect("trials").iter().map(of);
            let values: Vec<f64> = own
                .filter(|line| line["counts"] == true)
                .filter_map(|l| l["value"].as_f64())
                .collect();
            assert_eq!(cell["n"], json!(values.len()));
            if let Some(mean) = cell["mean"].as_f64() {
                #[expect(clippy::cast_precision_loss, reason = "small numbers")]
                let expected = values.iter().sum::<f64>() / values.len() as f64;
                assert!((mean - expected).abs() < 1e-12, "{cell}");
                seen += 1;
            }
        }
    }
    assert!(seen >= 3, "{seen} cells");
    let parameters = told["parameters"].as_array().expect("parameters");
    let paths: Vec<&Value> = parameters.iter().map(|parameter| &parameter["path"]).collect();
    // A split is a setting like others.
    assert_eq!(paths, ["data.split", "model.name", "optimizer.lr"]);
}

#[test]
fn several_data_sets_are_kept_apart_and_a_condition_takes_one() {
    let runs = ends();
    let told = document(&runs);
    let data = told["data"].as_array().expect("data");
    assert_eq!(data.len(), 2);
    assert_eq!(data[0], told["compare"]["groups"][0]["data"][0], "that of the first group first");
    let lines = told["trials"].as_array().expect("trials");
    let split = |line: &Value| line["values"][0].as_str().expect("words").to_owned();
    for line in lines {
        let name =
            data[usize::try_from(line["data"].as_u64().expect("data")).expect("small")].as_str();
        assert!(name.expect("words").contains(&split(line)), "{line:#}");
    }
    let of_first = lines.iter().filter(|line| line["data"] == 0).count();
    let file = runs.root().path().join("one.json");
    let condition =
        format!("data.split = \"{}\"", split(&lines[0]).split(';').next().expect("words"));
    let words = ["report", "--where", &condition, "-o", &file.to_string_lossy()];
    let said = said(&runs, &words);
    assert!(said.starts_with('0'), "{condition}: {said}");
    let one: Value = serde_json::from_slice(&std::fs::read(file).expect("a report")).expect("json");
    let all = one["trials"].as_array().expect("trials").len();
    assert!(all < lines.len() && (all == of_first || all == lines.len() - of_first), "{all}");
    assert_eq!(
        (one["data"].as_array().map(Vec::len), &one["conditions"]),
        (Some(1), &json!([condition]))
    );
    assert!(!kinds(&one).contains(&"mixed"), "{:#}", one["flags"]);
    assert!(one["summary"].to_string().contains("Only trials with"), "{:#}", one["summary"]);
}

#[test]
fn flags_tell_what_weakens_the_numbers() {
    let runs = ends();
    let told = document(&runs);
    let found = kinds(&told);
    assert_eq!(
        found,
        ["leaky", "mixed", "collapsed", "lost", "single_seed", "unfinished", "fell", "chosen"],
        "{:#}",
        told["flags"]
    );
    insta::assert_snapshot!(told["flags"][0]["text"].as_str().expect("text"), @"2 of 10 trials were validated on leaky_random_patches: neighbours of the validation patches were trained on, and such values say nothing about new images.");
    assert_eq!(told["flags"][0]["trials"].as_array().map(Vec::len), Some(2));
    insta::assert_snapshot!(told["summary"][0].as_str().expect("text"), @"lr-batch: 10 trials of 4 settings over data.split, model.name, optimizer.lr, 2 to 3 trials each; 8 finished, 1 failed, 1 running.");
    // Settings have their paths everywhere on the page.
    let summary = told["summary"].to_string();
    assert!(summary.contains("optimizer.lr=") && !summary.contains(" lr="), "{summary}");
    let single = Runs::new(3);
    crate::runs::life(&single);
    assert!(kinds(&document(&single)).contains(&"single_seed"));
}

#[test]
fn costs_and_the_gpu_are_what_attempts_told() {
    let runs = Runs::new(1);
    let token = runs.submit(10, &[0]);
    let mut sample = Metrics::default();
    let seen = [("gpu/utilisation", 80.0), ("gpu/memory", 3e9), ("gpu/power", 200.0)];
    seen.iter().for_each(|(name, value)| sample.set(*name, *value));
    let mut first = runs.attempt(0, 1);
    epochs(first.header(Some(token)), &[0.5]);
    first.write(&Event::Sample { metrics: sample.clone() });
    first.end(Outcome::Stopped, Some(StopReason::Terminated));
    sample.set("gpu/utilisation", 60.0);
    let mut second = runs.attempt(0, 2);
    second.header(Some(token)).write(&Event::Sample { metrics: sample });
    epochs(&mut second, &[0.6, 0.7]).end(Outcome::Finished, None);
    let told = document(&runs);
    let line = &told["trials"][0];
    assert_eq!(line["gpu"]["utilisation"], 70.0);
    assert_eq!((&line["gpu"]["samples"], &line["gpu"]["memory"]), (&json!(2), &json!(3e9)));
    let toll = &line["cost"]["interruptions"]["signal"];
    assert_eq!((&toll["count"], &toll["waiting"]), (&json!(1), &line["cost"]["waiting"]));
    assert_eq!((&line["cost"]["attempts"], &line["cost"]["counted"]), (&json!(2), &json!(8.0)));
    assert_eq!(told["cost"], line["cost"]);
}

#[test]
fn nothing_in_a_name_gets_out_of_its_place() {
    const EVIL: &str = "</script><script>alert(1)</script><!--<img src=x onerror=alert(2)>&\"'";
    let runs = Runs::new(0);
    let evil = trial(1, EVIL, 0.1, "file", 1);
    runs.plan(Objective::default(), &[evil, trial(2, "unet", 0.1, "file", 1)]);
    let token = runs.submit(10, &[1, 2]);
    for number in [1, 2] {
        epochs(runs.attempt(number, 1).header(Some(token)), &[0.5, 0.6])
            .end(Outcome::Finished, None);
    }
    let page = written(&runs, "report.html", &[]);
    assert!(!page.contains("</script><script>alert") && !page.contains("<img src=x"));
    assert_eq!(page.matches("<script").count(), page.matches("</script>").count());
    let data = page.split(r#"<script type="application/json" id="data">"#).nth(1).expect("data");
    let data: Value =
        serde_json::from_str(data.split("</script>").next().expect("an end")).expect("json");
    let names: Vec<&Value> = data["trials"].as_array().expect("trials").iter().collect();
    assert!(names.iter().any(|line| line["parameters"]["model.name"] == EVIL));
    assert!(written(&runs, "t.md", &[]).contains("| val/jaccard |"));
    assert!(written(&runs, "t.tex", &[]).contains("\\toprule"));
}

#[test]
fn the_page_asks_nothing_of_a_network() {
    let page = written(&ends(), "report.html", &[]);
    assert!(page.contains("default-src 'none'") && page.contains("script-src 'sha256-"));
    let policy =
        page.split("content=\"").find(|part| part.starts_with("default-src")).expect("one");
    let policy = policy.split('"').next().expect("an end");
    assert!(!policy.contains("http") && !policy.contains('*') && !policy.contains("connect"));
    for tag in ["<link", "<iframe", "<base", " src=\"http", "@import"] {
        assert!(!page.contains(tag), "{tag}");
    }
    assert!(page.contains("Licensed under the Apache License") || page.contains("Apache License"));
}

#[test]
fn a_file_that_is_no_report_stays() {
    let runs = ends();
    let file = path(&runs, "mine.html");
    std::fs::write(&file, "my words").expect("write");
    let file = file.to_string_lossy().into_owned();
    let told = said(&runs, &["report", "-o", &file]);
    insta::assert_snapshot!(told, @r"
    1
    --
    error: ROOT/mine.html is there already, and is no report
     hint: give another name, or --force to write over it
    ");
    assert_eq!(std::fs::read_to_string(&file).expect("read"), "my words");
    assert!(regatta(&runs, &["report", "-o", &file, "--force"]).status.success());
    // An earlier report may be written over.
    assert!(regatta(&runs, &["report", "-o", &file]).status.success());
    insta::assert_snapshot!(said(&runs, &["report", "-o", "report.pdf"]), @r"
    2
    --
    error: report.pdf: nobody can tell what to write
     hint: end the name in .html for the page, .json for its data, .md or .tex for a table
    ");
}

#[test]
fn sample_predictions_are_embedded_and_what_cannot_be_is_told() {
    let runs = ends();
    let folder = path(&runs, "masks");
    std::fs::create_dir_all(folder.join("overlay")).expect("folder");
    let image = |name: &str, jaccard: f64| json!({ "name": name, "file": format!("{name}.png"), "jaccard": jaccard });
    let report = json!({
        "schema_version": 1, "complete": true, "warnings": ["look"], "options": { "images": "val" },
        "members": [{ "sweep": "lr-batch", "trial": id(1), "epoch": 3 }],
        "metrics": { "val/jaccard": 0.7 }, "images": [image("a", 0.9), image("b", 0.2), image("../c", 0.5)],
    });
    std::fs::write(folder.join("metrics.json"), report.to_string()).expect("write");
    let png = b"\x89PNG\r\n\x1a\nrest";
    for name in ["a", "b"] {
        std::fs::write(folder.join(format!("overlay/{name}.png")), png).expect("write");
    }
    let folder = folder.to_string_lossy().into_owned();
    let text = written(&runs, "p.json", &["--predictions", &folder]);
    let told: Value = serde_json::from_str(&text).expect("json");
    let prediction = &told["predictions"][0];
    let places: Vec<&Value> =
        prediction["images"].as_array().expect("images").iter().map(|i| &i["name"]).collect();
    assert_eq!(places, ["b", "a"]);
    assert_eq!(prediction["images"][0]["url"], "data:image/png;base64,iVBORw0KGgpyZXN0");
    assert_eq!(prediction["left_out"].as_array().map(Vec::len), Some(1));
    let nothing = said(&runs, &["report", "-o", "x.html", "--predictions", "ROOT"]);
    assert!(nothing.starts_with('1') && nothing.contains("`predict -o`"), "{nothing}");
}

#[test]
fn a_split_that_leaks_a_value_that_fell_and_the_data_are_told() {
    let runs = Runs::new(2);
    for number in [0, 1] {
        let mut attempt = runs.attempt(number, 1);
        attempt.header(None);
        if number == 0 {
            let text = format!(
                "{}a Jaccard of 0.440 on the validation split",
                regatta::event::WORDS_OF_A_LEAK
            );
            attempt.write(&Event::Warning { text });
        }
        for (epoch, value) in [(1, 0.1), (2, 0.7), (3, 0.3)] {
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            attempt.epoch(epoch, &[("val/jaccard", value - number as f64 / 100.0)]);
        }
        attempt.end(Outcome::Finished, None);
    }
    let told = document(&runs);
    let flags = kinds(&told);
    assert!(flags.contains(&"leak") && flags.contains(&"fell"), "{flags:?}");
    let leak = told["flags"].as_array().expect("flags").iter().find(|flag| flag["kind"] == "leak");
    assert_eq!(leak.expect("a flag")["trials"], json!([0]));
    let summary = told["summary"].to_string();
    assert!(summary.contains("Validated on "), "{summary}");
}
