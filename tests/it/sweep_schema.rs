//! docs/sweep.schema.json is what `regatta schema` prints, and it says of a sweep what the program says: every
//! sweep of the repository is shown to it, and what stands beside settings is tried. `REGATTA_BLESS=1` writes it
//! anew.

use std::path::{Path, PathBuf};
use std::process::Command;

use regatta::sweep::{Loaded, Loader, Sweep};
use serde_json::{Value, json};

use crate::home::Home;
use crate::stage::skip;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_page_of_the_schema_is_what_the_program_prints() {
    let home = Home::new();
    let printed = home.ok(&["schema"]).out;
    let path = repository().join("docs/sweep.schema.json");
    if std::env::var_os("REGATTA_BLESS").is_some() {
        std::fs::write(&path, &printed).expect("write");
    }
    let written = std::fs::read_to_string(&path).expect("docs/sweep.schema.json");
    assert!(written == printed, "docs/sweep.schema.json is old; write it with REGATTA_BLESS=1");
    home.ok(&["schema", "-o", "sweep.schema.json"]);
    home.ok(&["schema", "-o", "sweep.schema.json"]);
    assert_eq!(std::fs::read_to_string(home.at("sweep.schema.json")).expect("file"), printed);
    home.write("mine.json", "{}");
    let refused = home.type_in(&["schema", "-o", "mine.json"]);
    assert_eq!(refused.code, 1, "{}", refused.err);
    assert_eq!(std::fs::read_to_string(home.at("mine.json")).expect("file"), "{}");
}

/// A sweep, and whether it is good.
pub(crate) struct Case {
    what: String,
    document: Value,
    is_good: bool,
}

pub(crate) fn case(what: impl Into<String>, document: Value, is_good: bool) -> Case {
    Case { what: what.into(), document, is_good }
}

/// Has a validator that others wrote judge; tells what it says otherwise.
pub(crate) fn judge(test: &str, cases: &[Case]) {
    let python = std::env::var_os("REGATTA_TEST_PYTHON").map_or("python3".into(), PathBuf::from);
    let is_there = Command::new(&python).args(["-c", "import jsonschema"]).output();
    if !is_there.is_ok_and(|output| output.status.success()) {
        skip(test, "python: jsonschema is missing (REGATTA_TEST_PYTHON)");
        return;
    }
    let home = Home::new();
    let all: Vec<Value> = cases
        .iter()
        .map(|case| json!({ "what": case.what, "document": case.document, "good": case.is_good }))
        .collect();
    home.write("cases.json", serde_json::to_vec(&all).expect("json"));
    let script = "
import json, sys, jsonschema
schema, cases = (json.load(open(path)) for path in sys.argv[1:3])
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
for case in cases:
    error = next(iter(validator.iter_errors(case['document'])), None)
    if (error is None) != case['good']:
        print(case['what'], json.dumps(case['document'])[:300], '->', 'taken' if error is None else error.message[:300])
print(len(cases), 'cases')
";
    let output = Command::new(python)
        .args(["-c", script])
        .arg(repository().join("docs/sweep.schema.json"))
        .arg(home.at("cases.json"))
        .output()
        .expect("python");
    let (said, errors) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(said.trim(), format!("{} cases", cases.len()), "{errors}");
}

/// Files that are read as they lie, and one that stands for the sweep.
struct One(String);

impl Loader for One {
    fn load(&self, _: Option<&str>, name: &str) -> Result<Loaded, String> {
        let (name, folder, bytes) = (name.to_owned(), "/w".to_owned(), self.0.clone().into_bytes());
        Ok(Loaded { identity: name.clone(), name, folder, bytes })
    }
}

/// What the program says of a sweep.
pub(crate) fn is_good(document: &Value) -> bool {
    // JSON is YAML.
    Sweep::read(&One(document.to_string()), "s.yaml", 100_000).is_ok()
}

#[test]
fn every_sweep_of_the_repository_is_good() {
    let mut cases = Vec::new();
    let mut open = vec![repository().join("sweeps")];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|end| end == "yaml") {
                let text = std::fs::read_to_string(&path).expect("text");
                let document: Value = serde_yaml::from_str(&text).expect("yaml");
                // Parts are included by others, and have no name.
                let is_part = path.components().any(|part| part.as_os_str() == "parts");
                cases.push(case(path.display().to_string(), document, !is_part));
            }
        }
    }
    assert!(cases.len() > 15, "{}", cases.len());
    let page = std::fs::read_to_string(repository().join("docs/sweep-file.md")).expect("page");
    let before = cases.len();
    for block in page.split("```yaml\n").skip(1) {
        let text = block.split("```").next().expect("an end");
        let mut document: Value = serde_yaml::from_str(text).expect("yaml");
        document["name"] = "x".into();
        cases.push(case(text, document, true));
    }
    assert!(cases.len() > before + 5, "the page has examples");
    judge("every_sweep_of_the_repository_is_good", &cases);
}

#[test]
fn what_stands_beside_settings_is_judged_as_the_program_judges_it() {
    let with = |key: &str, value: Value| {
        let mut document = json!({ "name": "x", "fixed": { "model": { "name": "toy" } } });
        document[key] = value;
        document
    };
    let good = [
        ("name", json!("lr-batch.2_a")),
        ("objective", json!({ "metric": "val/loss" })),
        ("objective", json!({ "metric": "val/dice", "direction": "maximize" })),
        ("grid", Value::Null),
        ("grid", json!({ "optimizer.lr": [1e-4, 1e-3], "batch_size": [4, 8] })),
        ("grid", json!({ "optimizer": [{ "name": "sgd", "lr": 0.1 }, { "name": "adamw" }] })),
        ("zip", json!([{ "batch_size": [4, 8], "optimizer.lr": [1e-4, 2e-4] }])),
        (
            "random",
            json!({ "count": 2, "seed": 3, "axes": { "optimizer.lr": { "log_uniform": [1e-5, 1e-2] }, "batch_size": { "int": [2, 8] } } }),
        ),
        (
            "random",
            json!({ "count": 1, "axes": { "optimizer.weight_decay": { "uniform": [0, 0.1] } } }),
        ),
        ("repeats", json!(3)),
        ("seed", json!(7)),
        ("max_in_flight", json!(4)),
        (
            "resources",
            json!({ "time": "04:00:00", "cpus": 4, "mem": "16G", "gpus": "a100:1", "exclude": ["n1", "n[2-3]"], "extra": ["--nice=10"] }),
        ),
        ("resources", json!({ "time": 90, "cpus": "2", "mem": 500 })),
        ("overrides", json!([{ "when": { "batch_size": 8 }, "resources": { "mem": "32G" } }])),
        (
            "budget",
            json!({ "margin": "120s", "checkpoint_every": "10min", "grace": 30, "max_train_time": "1-00:00:00", "max_attempt_time": null }),
        ),
        (
            "policy",
            json!({ "preempted": "requeue", "failed": "stop", "lost": { "retry": 3, "backoff": "5min", "mem": "x1.5" }, "breaker": "off" }),
        ),
        ("policy", json!({ "breaker": { "failures": 3, "for": "24h" } })),
        ("notify", json!({ "command": "mail -s regatta me" })),
        ("include", Value::Null),
    ];
    let bad = [
        ("name", json!("../x")),
        ("name", json!("regatta.db")),
        ("name", json!("")),
        ("name", Value::Null),
        ("resurces", json!({})),
        ("objective", json!({ "metric": "val/jacard" })),
        ("objective", json!({ "direction": "maximize" })),
        ("objective", json!({ "metric": "val/loss", "direction": "up" })),
        ("fixed", json!({ "optimizer.lr": 1e-3 })),
        ("fixed", json!({ "model": { "name": "toy" }, "epoch": 3 })),
        ("fixed", json!({ "model": { "name": "toy" }, "epochs": null })),
        ("fixed", json!({ "model": { "name": "toy" }, "optimizer": { "lr": null } })),
        ("grid", json!({ "optimiser.lr": [1e-3] })),
        ("grid", json!({ "batch_size": 4 })),
        ("grid", json!({ "batch_size": [] })),
        ("grid", json!({ "seed": [1, 2] })),
        ("grid", json!({ "optimizer.lr": ["1e-4"] })),
        ("zip", json!({ "batch_size": [4] })),
        ("zip", json!([{}])),
        ("random", json!({ "count": 0, "axes": { "batch_size": { "int": [2, 8] } } })),
        ("random", json!({ "count": 2, "axes": {} })),
        ("random", json!({ "count": 2, "axes": { "batch_size": { "int": [2] } } })),
        ("random", json!({ "count": 2, "axes": { "optimizer.lr": { "normal": [0, 1] } } })),
        ("random", json!({ "count": 2, "axes": { "optimizer.lr": { "log_uniform": [0, 1] } } })),
        ("random", json!({ "count": 2, "axes": { "batch_size": { "uniform": [2, 8] } } })),
        ("repeats", json!(0)),
        ("repeats", json!("2")),
        ("seed", json!(-1)),
        ("max_in_flight", json!(0)),
        ("overrides", json!([{ "when": { "batch": 8 }, "resources": {} }])),
        ("overrides", json!([{ "when": { "batch_size": 8 } }])),
        ("budget", json!({ "margin": "soon" })),
        ("budget", json!({ "margn": "1s" })),
        ("policy", json!({ "timed_out": { "retires": 3 } })),
        ("policy", json!({ "timed_out": "again" })),
        ("policy", json!({ "lost": { "mem": 2 } })),
        ("policy", json!({ "crashed": "stop" })),
        ("policy", json!({ "lost": { "mem": "x0.5" } })),
        ("policy", json!({ "lost": { "mem": "x200" } })),
        ("policy", json!({ "lost": null })),
        ("random", json!({ "count": 2 })),
        ("grid", json!({ "batch_size": null })),
        ("zip", json!([{ "batch_size": null }])),
        ("notify", json!("mail")),
        ("include", json!("base.yaml")),
    ];
    let mut cases = Vec::new();
    for (all, wanted) in [(&good[..], true), (&bad[..], false)] {
        for (key, value) in all {
            let document = with(key, value.clone());
            assert_eq!(is_good(&document), wanted, "the program: {document}");
            cases.push(case(*key, document, wanted));
        }
    }
    // Of resources the controller judges, with the site: `plan` does.
    let home = Home::new();
    for (resources, wanted) in [
        (json!({ "partition": "gpu,long", "nodelist": ["n1"] }), true),
        (json!({ "time": "UNLIMITED" }), true),
        (json!({ "time": "4 hours" }), false),
        (json!({ "time": "00:70:00" }), false),
        (json!({ "cpus": 0 }), false),
        (json!({ "cpus": 1.5 }), false),
        (json!({ "mem": null, "partition": null }), true),
        (json!({ "exclude": null }), false),
        (json!({ "mem": "16B" }), false),
        (json!({ "mem": "lots" }), false),
        (json!({ "mem": "1.5G" }), false),
        (json!({ "gpus": "two" }), false),
        (json!({ "partition": "my gpu" }), false),
        (json!({ "tiem": "1" }), false),
        (json!({ "extra": ["nice=10"] }), false),
    ] {
        let document = with("resources", resources);
        home.write("s.yaml", document.to_string());
        assert_eq!(home.type_in(&["plan", "s.yaml"]).code == 0, wanted, "the program: {document}");
        cases.push(case("resources", document, wanted));
    }
    // Over a file that is included a part is enough, and null takes away.
    home.write(
        "base.yaml",
        "fixed: { model: { name: toy } }\n\
         grid: { optimizer.lr: [1e-3, 1e-2], batch_size: [4, 8] }\n\
         random: { count: 2, axes: { optimizer.weight_decay: { uniform: [0, 0.1] } } }\n\
         resources: { account: lab, exclude: [n1] }\n\
         policy: { lost: { retry: 3, mem: x2 } }\n\
         objective: { metric: val/loss, direction: maximize }\n",
    );
    for over in [
        json!({ "grid": { "batch_size": null } }),
        json!({ "random": { "count": 3 } }),
        json!({ "random": null }),
        json!({ "resources": { "account": null, "exclude": null } }),
        json!({ "policy": { "lost": null } }),
        json!({ "policy": { "lost": { "mem": null } } }),
        json!({ "objective": { "direction": "minimize" } }),
    ] {
        let mut document = over;
        document["name"] = "x".into();
        document["include"] = json!(["base.yaml"]);
        home.write("s.yaml", document.to_string());
        assert_eq!(home.type_in(&["plan", "s.yaml"]).code, 0, "the program: {document}");
        cases.push(case("over a file that is included", document, true));
    }
    judge("what_stands_beside_settings_is_judged_as_the_program_judges_it", &cases);
}
