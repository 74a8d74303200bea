//! Answers in files: JSON as its schema says, CSV with types for pandas, Parquet for pyarrow and DuckDB,
//! whole or not at all.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Map, Value, json};

use crate::answers::{regatta, said};
use crate::compare::ends;
use crate::home::controller;
use crate::runs::{Runs, id};
use crate::stage::skip;

pub(crate) fn schema() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/answers.schema.json");
    serde_json::from_str(&std::fs::read_to_string(path).expect("schema")).expect("json")
}

/// What of a value is not as a schema says; only the keywords that this schema has are known.
pub(crate) fn faults(root: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
    let mut found = Vec::new();
    let keywords = schema.as_object().expect("a schema");
    for (keyword, said) in keywords {
        let inner = |schema: &Value, value: &Value, at: &str| faults(root, schema, value, at);
        let is_type = |name: &str| match name {
            "null" => value.is_null(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            other => panic!("type {other}"),
        };
        let holds = match keyword.as_str() {
            "description" | "title" | "$schema" | "$id" | "$defs" => true,
            "$ref" => {
                let target = root.pointer(said.as_str().expect("ref").trim_start_matches('#'));
                found.extend(inner(target.expect("a definition"), value, at));
                true
            }
            "oneOf" => {
                let all = said.as_array().expect("list").iter();
                all.filter(|one| inner(one, value, at).is_empty()).count() == 1
            }
            "type" => match said {
                Value::String(name) => is_type(name),
                list => list
                    .as_array()
                    .expect("types")
                    .iter()
                    .any(|n| is_type(n.as_str().expect("type"))),
            },
            "const" => said == value,
            "enum" => said.as_array().expect("list").contains(value),
            "minimum" => {
                value.as_f64().is_none_or(|number| number >= said.as_f64().expect("number"))
            }
            "minItems" => {
                value.as_array().is_none_or(|list| list.len() as u64 >= said.as_u64().expect("n"))
            }
            "maxItems" => {
                value.as_array().is_none_or(|list| list.len() as u64 <= said.as_u64().expect("n"))
            }
            "pattern" => {
                assert_eq!(said, "^[0-9a-f]{16}$", "the one pattern");
                value.as_str().is_none_or(|text| {
                    text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit())
                })
            }
            "required" => value.as_object().is_none_or(|object| {
                said.as_array()
                    .expect("list")
                    .iter()
                    .all(|key| object.contains_key(key.as_str().expect("key")))
            }),
            "properties" | "additionalProperties" => {
                let none = Map::new();
                let known = keywords.get("properties").and_then(Value::as_object).unwrap_or(&none);
                for (key, own) in value.as_object().into_iter().flatten() {
                    let at = format!("{at}.{key}");
                    match (known.get(key), keyword.as_str(), said) {
                        (Some(schema), "properties", _) => found.extend(inner(schema, own, &at)),
                        (None, "additionalProperties", Value::Bool(false)) => {
                            found.push(format!("{at} is unknown"))
                        }
                        (None, "additionalProperties", schema) if schema.is_object() => {
                            found.extend(inner(schema, own, &at))
                        }
                        _ => {}
                    }
                }
                true
            }
            "items" => {
                for (number, own) in value.as_array().into_iter().flatten().enumerate() {
                    found.extend(inner(said, own, &format!("{at}[{number}]")));
                }
                true
            }
            other => panic!("the test does not know the keyword {other}"),
        };
        if !holds {
            found.push(format!("{at}: {keyword} {said} does not hold of {value}"));
        }
    }
    found
}

#[test]
fn every_answer_in_json_is_as_its_schema_says() {
    let runs = ends();
    let root = schema();
    let (one, two) = (id(1).to_string(), id(4).to_string());
    let data = runs.root().path().join("data.json");
    let data = data.to_str().expect("a path");
    for (name, words) in [
        ("best", &["best"][..]),
        ("best", &["best", "--columns", "*", "--metric", "val/loss"]),
        ("trials", &["trials", "--analysis"]),
        ("trials", &["trials", "--columns", "seed,val/*@last"]),
        ("groups", &["compare"]),
        ("groups", &["compare", "--by", "optimizer.lr,data.split", "--last"]),
        ("groups", &["best", "--by", "model.name", "--at", "2"]),
        ("groups", &["trials", "--by", "batch_size"]),
        ("side_by_side", &["compare", &one, &two]),
        ("sql", &["sql", "select * from trials"]),
        ("sql", &["sql", "select * from attempts"]),
        ("data", &["export", "--data", data]),
        ("error", &["best", "--where", "x = 1"]),
        ("error", &["sql", "drop table trial"]),
    ] {
        let with_json: Vec<&str> = words.iter().copied().chain(["--json"]).collect();
        let mut answer = regatta(&runs, &with_json).stdout;
        if words.contains(&"export") {
            answer = std::fs::read(data).expect("data");
        }
        let value: Value = serde_json::from_slice(&answer).expect("one value");
        let own = faults(&root, &root["$defs"][name], &value, name);
        assert!(own.is_empty(), "{words:?}\n{}", own.join("\n"));
        assert!(faults(&root, &root, &value, "").is_empty(), "{words:?} is none of them, or two");
    }
    // The schema refuses what it should.
    let wrong = json!({ "schema_version": 1, "trials": [{ "trial": "x" }] });
    assert!(!faults(&root, &root["$defs"]["trials"], &wrong, "").is_empty());
}

#[test]
fn a_file_is_written_whole_or_not_at_all() {
    let runs = ends();
    let path = runs.root().path().join("best.csv");
    let file = path.to_str().expect("a path");
    std::fs::write(&path, "old").expect("old");
    for point in ["write.create", "write.content", "write.sync", "write.rename"] {
        let output = Command::new(controller())
            .arg("--root")
            .arg(runs.root().path())
            .args(["best", "-o", file])
            .env("REGATTA_FAULTS", format!("{point}=full"))
            .env("NO_COLOR", "1")
            .output()
            .expect("regatta");
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains("failed to write") && told.contains("nothing was written"), "{told}");
        assert_eq!(std::fs::read_to_string(&path).expect("file"), "old", "{point}");
    }
    let told = said(&runs, &["best", "-o", file, "-q"]);
    assert_eq!(told.lines().next(), Some("0"), "{told}");
    let csv = std::fs::read_to_string(&path).expect("file");
    assert_eq!(csv, String::from_utf8(regatta(&runs, &["best", "--csv"]).stdout).expect("text"));
    assert_eq!(csv.lines().count(), 11);
    let lines = String::from_utf8(regatta(&runs, &["best", "--format", "jsonl"]).stdout);
    let lines: Vec<Value> = lines
        .expect("text")
        .lines()
        .map(|line| serde_json::from_str(line).expect("json"))
        .collect();
    assert_eq!((lines.len(), &lines[0]["optimizer.lr"]), (10, &json!(0.001)));
}

#[test]
fn an_answer_that_a_full_disk_cuts_is_a_failure_and_a_reader_that_goes_is_none() {
    let runs = ends();
    let into = |file: &str, words: &[&str]| {
        let full = std::fs::File::options().write(true).open(file).expect(file);
        Command::new(controller())
            .arg("--root")
            .arg(runs.root().path())
            .args(words)
            .env("NO_COLOR", "1")
            .stdout(full)
            .output()
            .expect("regatta")
    };
    for words in [&["best"][..], &["trials", "--csv"], &["sql", "select 1", "--json"]] {
        let output = into("/dev/full", words);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{words:?}\n{told}");
        assert!(told.contains("failed to write the answer: No space left"), "{told}");
        assert!(into("/dev/null", words).status.success());
    }
    let command = format!(
        "'{}' --root '{}' trials --csv | true; exit ${{PIPESTATUS[0]}}",
        controller().display(),
        runs.root().path().display()
    );
    let output = Command::new("bash").args(["-c", &command]).output().expect("bash");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A Python with pandas, pyarrow, DuckDB and jsonschema, if there is one.
fn python(test: &str) -> Option<PathBuf> {
    let python = std::env::var_os("REGATTA_TEST_PYTHON").map_or("python3".into(), PathBuf::from);
    let needed = "import pandas, pyarrow.parquet, duckdb, jsonschema";
    match Command::new(&python).args(["-c", needed]).output() {
        Ok(output) if output.status.success() => Some(python),
        _ => {
            skip(
                test,
                "python: pandas, pyarrow, duckdb or jsonschema is missing (REGATTA_TEST_PYTHON)",
            );
            None
        }
    }
}

/// All forms of all trials, of none, and of groups.
fn write_all(runs: &Runs) -> PathBuf {
    let folder = runs.root().path().join("written");
    std::fs::create_dir(&folder).expect("folder");
    for end in ["csv", "json", "jsonl", "parquet"] {
        let at = |name: &str| folder.join(format!("{name}.{end}")).display().to_string();
        for (name, words) in [
            ("trials", &["export", "--data"][..]),
            ("none", &["trials", "--where", "seed = 99", "-o"]),
            ("groups", &["best", "--by", "optimizer.lr", "-o"]),
        ] {
            let file = at(name);
            let words: Vec<&str> = words.iter().copied().chain([file.as_str()]).collect();
            let told = said(runs, &words);
            assert!(told.starts_with('0'), "{words:?}\n{told}");
        }
    }
    folder
}

#[test]
fn pandas_pyarrow_and_duckdb_read_what_is_written() {
    let Some(python) = python("pandas_pyarrow_and_duckdb_read_what_is_written") else { return };
    let runs = ends();
    let folder = write_all(&runs);
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(python)
        .arg(here.join("tests/it/asked_formats.py"))
        .arg(&folder)
        .arg(here.join("docs/answers.schema.json"))
        .output()
        .expect("python");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "read 10 trials");
}
