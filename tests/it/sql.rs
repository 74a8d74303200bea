//! `regatta sql`: the views are as documented, and nothing but reading is done.

use std::path::Path;

use regatta::store::{Mode, Store};
use serde_json::{Value, json};

use crate::answers::{regatta, said};
use crate::compare::ends;
use crate::runs::{Runs, at, life};

/// A list without reasons: they tell of ages.
const UNCHANGING: [&str; 4] =
    ["trials", "--columns", "sweep,state,seed,value,epochs_done", "--csv"];

#[test]
fn the_views_are_those_of_the_page() {
    let runs = ends();
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/sql.md");
    let page = std::fs::read_to_string(page).expect("docs/sql.md");
    let mut views = 0;
    for part in page.split("\n### ").skip(1) {
        let (name, rest) = part.split_once('\n').expect("a name");
        let name = name.trim_matches('`');
        let rows = rest.lines().filter(|line| line.starts_with("| `"));
        let cells = rows.map(|line| line.split('|').nth(1).expect("a cell"));
        let told: Vec<&str> = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
        let statement = format!("select * from {name} limit 0");
        let found = regatta(&runs, &["sql", &statement, "--json"]);
        let found: Value = serde_json::from_slice(&found.stdout).expect("one value");
        assert_eq!(found["columns"], json!(told), "{name}");
        views += 1;
    }
    assert_eq!(views, 6);
}

#[test]
fn questions_in_sql_are_answered() {
    let runs = ends();
    insta::assert_snapshot!(said(&runs, &["sql", "select state, count(*) as n, max(value) as best from trials group by state"]), @r"
    0
    STATE     N  BEST
    failed    1  0.6
    finished  8  0.94
    running   1  0.6
    --
    ");
    insta::assert_snapshot!(said(&runs, &["sql", "select epoch, value, null as none, x'ff' as bytes from epochs where trial like '0123%' and metric = 'val/jaccard'", "--format", "csv"]), @r"
    0
    epoch,value,none,bytes
    1,0.5,,ff
    2,0.7,,ff
    3,0.8,,ff
    4,0.81,,ff
    --
    ");
    let cut = said(&runs, &["sql", "select trial from trials order by trial", "--top", "2"]);
    assert!(cut.contains("note: 2 rows shown, there are more"), "{cut}");
    let whole = said(
        &runs,
        &[
            "sql",
            "with recursive n(i) as (select 1 union all select i + 1 from n where i < 1500) select i from n",
        ],
    );
    assert!(whole.contains("note: 1000 rows shown"), "{whole}");
    let whole = said(
        &runs,
        &[
            "sql",
            "with recursive n(i) as (select 1 union all select i + 1 from n where i < 1500) select i from n",
            "--csv",
        ],
    );
    assert!(whole.lines().count() > 1500 && !whole.contains("note"), "{whole}");
}

#[test]
fn nothing_but_one_question_is_let_through() {
    let runs = Runs::new(3);
    life(&runs);
    said(&runs, &["trials"]);
    let copy = runs.root().path().join("copy.db");
    let vacuum = format!("vacuum into '{}'", copy.display());
    let attach = format!("attach '{}' as other", copy.display());
    let hidden = format!("select 1; attach '{}' as other", copy.display());
    let before = said(&runs, &UNCHANGING);
    for (statement, so) in [
        ("delete from trial", "does not read"),
        ("select 1; delete from trial", "more than one statement"),
        ("with x as (select 1) delete from trial", "readonly"),
        ("with x as (select 1) insert into warning select 1, 1, 1, 1", "readonly"),
        ("pragma query_only = off", "does not read"),
        (&vacuum, "does not read"),
        (&attach, "does not read"),
        (&hidden, "more than one statement"),
        ("select nope from trials", "no such column"),
        ("select * from trails", "no such table"),
        ("select load_extension('x')", "not authorized"),
        ("select", "incomplete"),
        ("", "no statement"),
    ] {
        let told = said(&runs, &["sql", statement]);
        assert!(told.starts_with('1') && told.contains(so), "{statement}\n{told}");
        assert!(told.contains("docs/sql.md"), "{told}");
    }
    assert_eq!(said(&runs, &UNCHANGING), before);
    assert!(!copy.exists());
}

#[tokio::test]
async fn a_question_is_answered_from_memory_too() {
    let runs = Runs::new(3);
    life(&runs);
    let mut store = Store::in_memory().await.expect("memory");
    store.collect_all(&runs.root(), at(300)).await.expect("collect");
    let table = store.sql("select count(*) from trials", None).await.expect("answer");
    assert_eq!(table.rows, [[json!(3)]]);
    let error = store.sql("with x as (select 1) delete from trial", None).await.expect_err("no");
    assert!(error.to_string().contains("readonly"), "{error}");
    let read_only = Store::open(&runs.root().database(), Mode::ReadOnly).await;
    assert!(read_only.is_err(), "no database was made");
}
