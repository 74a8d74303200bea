//! What docs/sweep.schema.json says of settings: every one of the table is tried with good and bad values, fixed
//! and as an axis, and the schema says of each what the program says.

use regatta::setting::table::{SECTIONS, TOP};
use regatta::setting::{Bound, Default, Field, Kind, resolve};
use serde_json::{Map, Value, json};

use crate::sweep_schema::{Case, case, is_good, judge};

#[test]
fn every_setting_is_judged_as_the_program_judges_it() {
    let mut cases = Vec::new();
    for field in TOP {
        try_out(&mut cases, None, None, field);
    }
    for section in SECTIONS {
        for field in section.fields {
            let name = section.variants.first().map(|variant| variant.name);
            try_out(&mut cases, Some(section.name), name, field);
        }
        for variant in section.variants {
            for field in variant.fields {
                try_out(&mut cases, Some(section.name), Some(variant.name), field);
            }
            // What belongs to another kind, and what nobody knows.
            for other in section.variants.iter().flat_map(|other| other.fields) {
                if variant.fields.iter().all(|own| own.name != other.name) {
                    let own = json!({ "name": variant.name, other.name: good(other)[0] });
                    let what = format!("{}.{} of {}", section.name, other.name, variant.name);
                    let document = json!({ "name": "x", "fixed": { section.name: own } });
                    assert!(!is_good(&document), "{what}");
                    cases.push(case(what, document, false));
                }
            }
        }
        let unknown = json!({ "name": "x", "fixed": { "model": { "name": "unet" }, "data": { "path": "d" }, section.name: { "nobody": 1 } } });
        assert!(!is_good(&unknown));
        cases.push(case(section.name, unknown, false));
    }
    assert!(cases.len() > 1000, "{}", cases.len());
    judge("every_setting_is_judged_as_the_program_judges_it", &cases);
}

/// Tries values of a setting: fixed, as an axis by its path, as an axis of its whole section, sampled.
fn try_out(cases: &mut Vec<Case>, section: Option<&str>, name: Option<&str>, field: &Field) {
    let path = section.map_or(field.name.to_owned(), |section| format!("{section}.{}", field.name));
    let goods = good(field).into_iter().map(|value| (value, true));
    for (value, is_good) in goods.chain(bad(field).into_iter().map(|value| (value, false))) {
        let mut own = Map::from_iter([(field.name.to_owned(), value.clone())]);
        own.extend(name.map(|name| ("name".to_owned(), name.into())));
        let fixed = match section {
            Some(section) => json!({ section: own }),
            None => json!({ field.name: value }),
        };
        assert_eq!(taken(&fixed, &path), is_good, "the program: {path} = {value}");
        let what = format!("{path} = {value}");
        let mut documents = vec![
            json!({ "fixed": fixed }),
            json!({ "random": { "count": 1, "axes": { path.as_str(): { "choice": [value] } } } }),
            json!({ "zip": [{ path.as_str(): [value] }] }),
        ];
        // Of several kinds one may take what another does not: by the path alone nobody can tell.
        if section.is_some_and(|section| shares(section, field)) && !is_good {
            documents.truncate(1);
        }
        if let Some(section) = section {
            documents.push(json!({ "grid": { section: [own] } }));
        }
        for mut document in documents {
            document["name"] = "x".into();
            cases.push(case(&what, document, is_good));
        }
    }
}

fn shares(section: &str, field: &Field) -> bool {
    let section = SECTIONS.iter().find(|known| known.name == section).expect("a section");
    let all = section.variants.iter().flat_map(|variant| variant.fields);
    all.filter(|other| other.name == field.name)
        .any(|other| json!(format!("{:?}", other.kind)) != json!(format!("{:?}", field.kind)))
}

/// Says whether the program takes a value for itself, whatever it says of values together.
fn taken(fixed: &Value, path: &str) -> bool {
    let mut given = json!({ "model": { "name": "unet" }, "data": { "path": "/d" } });
    for (key, value) in fixed.as_object().expect("a mapping") {
        match (given.get_mut(key), value) {
            (Some(Value::Object(known)), Value::Object(own)) => known.extend(own.clone()),
            _ => given[key] = value.clone(),
        }
    }
    // Where something is wrong already, nobody asks what values mean together.
    given[if path == "epochs" { "batch_size" } else { "epochs" }] = "wrong".into();
    let problems = resolve(given.as_object().expect("a mapping")).expect_err("one is wrong");
    !problems
        .iter()
        .any(|problem| problem.path == path || problem.path.starts_with(&format!("{path}.")))
}

fn good(field: &Field) -> Vec<Value> {
    let mut values = match field.kind {
        Kind::Bool => vec![json!(true), json!(false)],
        Kind::Int { min, max } => vec![json!(min), json!(max), json!(min as f64)],
        Kind::Float { min, zero, max } => {
            let least =
                if zero == Bound::Inclusive { min } else { min + (max - min).min(1.0) / 1e3 };
            vec![json!(least), json!(max), json!((least + max) / 2.0)]
        }
        Kind::Ints { min, max, least, most } => {
            vec![json!(vec![min; least]), json!(vec![max; most])]
        }
        Kind::Text => vec![json!("a text")],
        Kind::Word(known) => known.iter().map(|word| json!(word)).collect(),
        Kind::Metric => vec![json!("val/loss"), json!("val/jaccard")],
        Kind::Split => vec![
            json!("file"),
            json!("split.csv"),
            json!({ "by": "stratified" }),
            json!({ "by": "blocks", "gap": 3 }),
            json!({ "by": "folds", "folds": 4, "fold": 1 }),
        ],
    };
    if matches!(field.default, Default::Absent) {
        values.push(Value::Null);
    }
    values
}

fn bad(field: &Field) -> Vec<Value> {
    let mut values = match field.kind {
        Kind::Bool => vec![json!("yes"), json!(1)],
        Kind::Int { min, max } => {
            vec![json!(min - 1), json!(max + 1), json!("3"), json!(min as f64 + 0.5)]
        }
        Kind::Float { min, zero, max } => {
            let mut bad =
                vec![json!(min - 1.0), json!("1e-4"), json!(max * 1.01 + 1.0), json!(true)];
            bad.extend((zero == Bound::Exclusive).then(|| json!(min)));
            bad
        }
        Kind::Ints { min, max, least, most } => vec![
            json!(vec![min; least - 1]),
            json!(vec![max; most + 1]),
            json!(vec![min - 1; least]),
            json!(vec![max + 1; least]),
            json!(min),
        ],
        Kind::Text => vec![json!(1), json!(["a"])],
        Kind::Word(_) | Kind::Metric => vec![json!("nonsense"), json!(1)],
        Kind::Split => vec![
            json!("half"),
            json!({ "by": "blocks", "folds": 3 }),
            json!({ "gap": 3 }),
            json!({ "by": "folds", "folds": 1 }),
            json!({ "by": "blocks", "gap": -1 }),
            json!(0.2),
        ],
    };
    values.push(json!({ "nobody": 1 }));
    if !matches!(field.default, Default::Absent) {
        values.push(Value::Null);
    }
    values
}
