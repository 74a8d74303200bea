//! The cellar over real journals in a real folder.

use std::path::Path;

use regatta::event::{Act, Outcome, StopReason};
use regatta::id::{Token, TrialId};
use regatta::layout;
use regatta::metric::{Direction, Objective};
use regatta::scheduler::{Reports, TaskEnd, TaskRef, TaskReport, TaskState};
use regatta::store::{Aggregate, Mode, Selector, Store, StoreError, TrialState};
use regatta::sweep::{Assignment, Budget};

use crate::runs::{Runs, at, id, life, trial};

fn append(path: &Path, bytes: &[u8]) {
    use std::io::Write;
    layout::open_append(path).expect("open").write_all(bytes).expect("append");
}

#[tokio::test]
async fn a_database_is_made_from_nothing_and_a_newer_one_is_refused() {
    let runs = Runs::new(1);
    let path = runs.root().database();
    assert!(matches!(Store::open(&path, Mode::ReadOnly).await, Err(StoreError::Open { .. })));
    let mut store = runs.store().await;
    assert_eq!(store.sweep_names().await.expect("names"), Vec::<String>::new());
    sqlx::query("update _sqlx_migrations set version = 7000 where version = (select max(version) from _sqlx_migrations)")
        .execute(store.connection())
        .await
        .expect("update");
    drop(store);
    let error = Store::open(&path, Mode::ReadWrite).await.expect_err("newer");
    assert!(matches!(error, StoreError::Newer { found: 7000, .. }), "{error}");
    assert!(error.hint().is_some());
}

#[tokio::test]
async fn ingesting_twice_is_ingesting_once() {
    let runs = Runs::new(3);
    life(&runs);
    let mut store = runs.store().await;
    let first = store.collect(&runs.root(), "lr-batch", at(500)).await.expect("first");
    assert_eq!((first.records, first.from_cache), (3 + 4 + 4 + 2, false));
    let hash = store.content_hash().await.expect("hash");
    let second = store.collect(&runs.root(), "lr-batch", at(501)).await.expect("second");
    assert_eq!((second.records, second.bad_lines), (0, 0));
    assert_eq!(store.content_hash().await.expect("hash"), hash);
}

#[tokio::test]
async fn collected_bit_by_bit_or_rebuilt_the_content_is_the_same() {
    let runs = Runs::new(4);
    let mut store = runs.store().await;
    let root = runs.root();
    store.collect(&root, "lr-batch", at(5)).await.expect("plan only");
    let token = runs.submit(10, &[0, 1, 3]);
    let folder = root.sweep("lr-batch");
    std::fs::create_dir_all(folder.jobs()).expect("jobs");
    let lines: String = [0, 1, 3].map(|number| assignment(number, token)).concat();
    layout::write_atomic(&folder.job_file(token), lines.as_bytes()).expect("job file");
    let mut first = runs.attempt(0, 1);
    first.header(Some(token)).epoch(1, &[("val/jaccard", 0.5)]);
    store.collect(&root, "lr-batch", at(200)).await.expect("begun");
    first.epoch(2, &[("val/jaccard", f64::NAN)]).end(Outcome::Stopped, Some(StopReason::Warned));
    runs.attempt(0, 2).header(Some(token)).epoch(2, &[("val/jaccard", 0.7)]);
    store.collect(&root, "lr-batch", at(300)).await.expect("resumed");
    // The sweep is edited: trial 2 was never touched, trial 3 was submitted.
    runs.plan(Objective::default(), &[trial(0), trial(1), trial(9)]);
    runs.act(310, &Act::Cancelled { trials: vec![id(3)], by: "ada".to_owned() });
    runs.attempt(1, 1).header(Some(token)).end(Outcome::Failed, None);
    store.collect(&root, "lr-batch", at(400)).await.expect("edited");
    let (hash, trials) = (store.content_hash().await.expect("hash"), states(&mut store).await);
    store.rebuild(&root, at(400)).await.expect("rebuild");
    assert_eq!(store.content_hash().await.expect("hash"), hash);
    assert_eq!(states(&mut store).await, trials);
    let mut fresh = Store::in_memory().await.expect("memory");
    fresh.collect_all(&root, at(400)).await.expect("collect");
    assert_eq!(fresh.content_hash().await.expect("hash"), hash);
    let ids: Vec<_> = trials.into_iter().map(|(id, _)| id).collect();
    assert!(ids.contains(&id(3)) && ids.contains(&id(9)) && !ids.contains(&id(2)), "{ids:?}");
}

fn assignment(number: u64, token: Token) -> String {
    let assignment = Assignment {
        trial: trial(number),
        sweep: "lr-batch".to_owned(),
        settings_version: 1,
        objective: Objective::default(),
        budget: Budget::default(),
        token: Some(token),
        only_check: false,
    };
    format!("{}\n", serde_json::to_string(&assignment).expect("json"))
}

async fn states(store: &mut Store) -> Vec<(TrialId, TrialState)> {
    let mut rows: Vec<_> = store
        .trials(&[])
        .await
        .expect("trials")
        .into_iter()
        .map(|row| (row.trial, row.state))
        .collect();
    rows.sort();
    rows
}

#[tokio::test]
async fn torn_and_foreign_lines_cost_only_themselves() {
    let runs = Runs::new(1);
    let token = runs.submit(10, &[0]);
    let mut attempt = runs.attempt(0, 1);
    attempt.header(Some(token)).epoch(1, &[("val/jaccard", 0.5)]);
    append(&attempt.path, b"deadbeef {\"not\":\"ours\"}\n\xff\xfe\n1234");
    let mut store = runs.store().await;
    let found = store.collect(&runs.root(), "lr-batch", at(200)).await.expect("collect");
    assert_eq!(found.bad_lines, 2);
    // The writer comes back and closes the torn line.
    attempt.epoch(2, &[("val/jaccard", 0.6)]);
    let found = store.collect(&runs.root(), "lr-batch", at(210)).await.expect("collect");
    assert_eq!((found.records, found.bad_lines), (1, 3));
    let best = store.best(&Selector::default()).await.expect("best");
    assert_eq!((best.rows[0].value, best.rows[0].epoch), (Some(0.6), Some(2)));
}

#[tokio::test]
async fn one_process_collects_the_others_answer_from_the_database() {
    let runs = Runs::new(1);
    let mut store = runs.store().await;
    store.collect(&runs.root(), "lr-batch", at(100)).await.expect("first");
    let _held = layout::lock(&runs.root().collect_lock(), std::time::Duration::ZERO).expect("lock");
    let found = store.collect(&runs.root(), "lr-batch", at(200)).await.expect("second");
    assert!(found.from_cache);
    assert_eq!(found.as_of, Some(at(100)));
}

/// Trials with these values: NaN is recorded, `None` has no epoch.
async fn ranked(values: &[Option<f64>], selector: &Selector) -> Vec<(TrialId, Option<f64>)> {
    let runs = Runs::new(values.len() as u64);
    for (number, value) in (0..).zip(values) {
        if let Some(value) = value {
            runs.attempt(number, 1).header(None).epoch(1, &[("val/jaccard", *value)]);
        }
    }
    let mut store = runs.store().await;
    store.collect(&runs.root(), "lr-batch", at(200)).await.expect("collect");
    let ranking = store.best(selector).await.expect("best");
    assert_eq!(ranking.trials, values.len() as u64);
    ranking.rows.into_iter().map(|row| (row.trial, row.value)).collect()
}

#[tokio::test]
async fn ties_nan_and_missing_values_rank_sensibly_in_both_directions() {
    let values = [None, Some(0.5), Some(f64::NAN), Some(0.9), Some(0.5), Some(-0.1)];
    for (direction, order) in
        [(Direction::Maximize, [3, 1, 4, 5, 0, 2]), (Direction::Minimize, [5, 1, 4, 3, 0, 2])]
    {
        let mut selector = Selector { direction: Some(direction), ..Selector::default() };
        let all = ranked(&values, &selector).await;
        let found: Vec<_> = all.iter().map(|(trial, _)| trial.clone()).collect();
        assert_eq!(found, order.map(id), "{direction}");
        assert_eq!(all[4].1.or(all[5].1), None);
        for top in [1, 3, 5] {
            selector.top = Some(top);
            assert_eq!(ranked(&values, &selector).await, all[..top as usize], "{direction} {top}");
        }
    }
}

#[tokio::test]
async fn of_an_epoch_done_twice_the_newest_attempt_counts() {
    let runs = Runs::new(3);
    life(&runs);
    let mut store = runs.store().await;
    store.collect(&runs.root(), "lr-batch", at(300)).await.expect("collect");
    let ranking = store.best(&Selector::default()).await.expect("best");
    let values: Vec<_> = ranking.rows.iter().map(|row| (row.value, row.epoch)).collect();
    assert_eq!(values, [(Some(0.6), Some(2)), (Some(0.4), Some(1)), (None, None)]);
    assert_eq!((ranking.trials, ranking.unfinished), (3, 2));
    assert_eq!(ranking.versions, ["0.1", "0.2"]);
    assert_eq!(ranking.rows[0].parameters["batch_size"], 0);
    let last = Selector {
        metric: Some("val/loss".to_owned()),
        aggregate: Aggregate::Last,
        top: Some(1),
        ..Selector::default()
    };
    let ranking = store.best(&last).await.expect("best");
    assert_eq!((ranking.direction, ranking.rows[0].value), (Direction::Minimize, Some(0.2)));
    let typo = Selector { metric: Some("val/jacard".to_owned()), ..Selector::default() };
    let error = store.best(&typo).await.expect_err("typo");
    assert_eq!(error.hint().as_deref(), Some("did you mean `val/jaccard`?"));
}

#[tokio::test]
async fn a_trial_is_found_by_a_unique_prefix() {
    let runs = Runs::new(3);
    life(&runs);
    let mut store = runs.store().await;
    store.collect(&runs.root(), "lr-batch", at(300)).await.expect("collect");
    let key = store.resolve_trial("012").await.expect("one");
    assert_eq!((key.trial.clone(), key.sweep.as_str()), (id(1), "lr-batch"));
    assert_eq!(store.resolve_trial("lr-batch/0123").await.expect("one"), key);
    let detail = store.show(&key).await.expect("show");
    assert_eq!((detail.attempts_made.len(), detail.history.len()), (2, 1));
    assert_eq!(detail.warnings[0].text, "slow disk");
    assert_eq!(detail.attempts_made[0].reason.as_deref(), Some("warned"));
    let error = store.resolve_trial("0").await.expect_err("three");
    assert!(matches!(&error, StoreError::Ambiguous { candidates, .. } if candidates.len() == 3));
    for none in ["", "ffff", "xyz", "lr-batch/", "%"] {
        let error = store.resolve_trial(none).await.expect_err("none");
        assert!(matches!(error, StoreError::NoTrial { .. }), "{none}: {error}");
    }
    let error = store.status(&["lr-bach".to_owned()]).await.expect_err("typo");
    assert_eq!(
        error.hint().as_deref(),
        Some("did you mean `lr-batch`? `regatta status` lists the sweeps")
    );
}

#[tokio::test]
async fn an_end_that_only_follows_from_silence_counts_when_two_answers_say_so() {
    let runs = Runs::new(1);
    let token = runs.submit(10, &[0]);
    let mut store = runs.store().await;
    store.collect(&runs.root(), "lr-batch", at(20)).await.expect("collect");
    let (jobs, task) = ([runs.job(token)], TaskRef { job: runs.job(token), index: 0 });
    let report = TaskReport {
        state: TaskState::Ended(TaskEnd::Cancelled),
        word: "CANCELLED".to_owned(),
        restarts: 0,
        node: None,
        exit: None,
        inferred: true,
    };
    let said: Reports = [(task, report)].into();
    let (waits, cancelled) = (TrialState::Submitted, TrialState::Cancelled);
    // The same answer, shared by two commands, is one.
    for (moment, state) in [(30, &waits), (30, &waits), (90, &cancelled), (150, &cancelled)] {
        store.record_reports("lr-batch", &jobs, &said, at(moment)).await.expect("reports");
        assert_eq!(states(&mut store).await[0].1, *state, "{moment}");
    }
}

#[tokio::test]
async fn the_schedulers_words_are_kept_and_change_states() {
    let runs = Runs::new(2);
    let token = runs.submit(10, &[0, 1]);
    runs.attempt(0, 1).header(Some(token));
    let mut store = runs.store().await;
    store.collect(&runs.root(), "lr-batch", at(150)).await.expect("collect");
    let jobs = store.open_jobs(&runs.root(), "lr-batch").await.expect("jobs");
    assert_eq!(jobs["slurm"], [runs.job(token)]);
    let report = |index, state| {
        let task = TaskRef { job: runs.job(token), index };
        (
            task,
            TaskReport {
                state,
                word: "WORD".to_owned(),
                restarts: 1,
                node: None,
                exit: None,
                inferred: false,
            },
        )
    };
    let said: Reports = [
        report(0, TaskState::Ended(TaskEnd::NodeFailed)),
        report(1, TaskState::Pending("Priority".to_owned())),
    ]
    .into();
    store.record_reports("lr-batch", &jobs["slurm"], &said, at(160)).await.expect("reports");
    let expected = [TrialState::NodeFailed, TrialState::Submitted];
    let now: Vec<_> = states(&mut store).await.into_iter().map(|(_, state)| state).collect();
    assert_eq!(now, expected);
    // Later the scheduler has forgotten both: what it said of an end stays. That a task is not there
    // is believed when two answers say so.
    let none = Reports::new();
    for (moment, state) in
        [(5000, TrialState::Submitted), (5000, TrialState::Submitted), (5060, TrialState::Lost)]
    {
        let of = at(moment);
        store.record_reports("lr-batch", &jobs["slurm"], &none, of).await.expect("reports");
        assert_eq!(states(&mut store).await[1].1, state, "{moment}");
    }
    let now: Vec<_> = states(&mut store).await.into_iter().map(|(_, state)| state).collect();
    assert_eq!(now, [TrialState::NodeFailed, TrialState::Lost]);
}

#[tokio::test]
async fn a_settled_trial_that_is_submitted_again_is_read_again() {
    let runs = Runs::new(1);
    let token = runs.submit(10, &[0]);
    runs.attempt(0, 1).header(Some(token)).end(Outcome::Failed, None);
    let mut store = runs.store().await;
    store.collect(&runs.root(), "lr-batch", at(150)).await.expect("collect");
    assert_eq!(states(&mut store).await[0].1, TrialState::Failed);
    let again = runs.submit(200, &[0]);
    store.collect(&runs.root(), "lr-batch", at(210)).await.expect("collect");
    assert_eq!(states(&mut store).await[0].1, TrialState::Submitted);
    runs.attempt(0, 2).header(Some(again)).end(Outcome::Finished, None);
    store.collect(&runs.root(), "lr-batch", at(220)).await.expect("collect");
    assert_eq!(states(&mut store).await[0].1, TrialState::Finished);
}

#[tokio::test]
async fn a_job_that_failed_before_its_worker_wrote_may_still_come_back() {
    let runs = Runs::new(1);
    let token = runs.submit(10, &[0]);
    let mut store = runs.store().await;
    store.collect(&runs.root(), "lr-batch", at(20)).await.expect("collect");
    runs.act(
        30,
        &Act::TaskEnded {
            trial: id(0),
            token,
            state: "FAILED".to_owned(),
            node: None,
            exit: None,
            judged: None,
        },
    );
    store.collect(&runs.root(), "lr-batch", at(40)).await.expect("collect");
    assert_eq!(states(&mut store).await[0].1, TrialState::Failed);
    // Somebody requeued it by hand.
    runs.attempt(0, 1).header(Some(token)).end(Outcome::Finished, None);
    store.collect(&runs.root(), "lr-batch", at(400)).await.expect("collect");
    assert_eq!(states(&mut store).await[0].1, TrialState::Finished);
}

#[tokio::test]
async fn the_view_reads_naturally_and_status_counts() {
    let runs = Runs::new(3);
    life(&runs);
    let mut store = runs.store().await;
    store.collect(&runs.root(), "lr-batch", at(160)).await.expect("collect");
    let rows: Vec<(String, i64, String, Option<f64>, f64, i64)> =
        sqlx::query_as("select trial, rank, state, value, lr, batch_size from trial_best")
            .fetch_all(store.connection())
            .await
            .expect("view");
    let read: Vec<_> = rows.iter().map(|(_, rank, state, ..)| (*rank, state.as_str())).collect();
    assert_eq!(read, [(1, "finished"), (2, "running"), (3, "planned")]);
    assert_eq!((rows[1].4, rows[1].5), (0.001, 1));
    let status = store.status(&[]).await.expect("status").remove(0);
    assert_eq!((status.trials, status.best, status.progress.len()), (3, Some(0.6), 1));
    let running = &status.progress[0];
    assert_eq!((running.epochs_done, running.epochs, running.remaining), (1, Some(3), Some(8.0)));
}

#[tokio::test]
async fn best_of_many_trials_reads_an_index_and_sorts_nothing_large() {
    let mut store = Store::in_memory().await.expect("memory");
    let fill = [
        "insert into sweep (sweep_id, name) values (1, 'large')",
        "insert into trial (trial_id, sweep_id, identity)
         with recursive n(i) as (select 1 union all select i + 1 from n where i < 100000)
         select i, 1, printf('%016x', i) from n",
        "insert into summary (trial_id, metric, sweep_id, maximum, maximum_epoch, minimum,
             minimum_epoch, last, last_epoch)
         select trial_id, 'val/jaccard', 1, (trial_id % 9973) / 9973.0, 1, 0.0, 1, 0.0, 1
         from trial",
    ];
    for sql in fill {
        sqlx::query(sql).execute(store.connection()).await.expect("fill");
    }
    let top = Selector { top: Some(10), ..Selector::default() };
    let ranking = store.best(&top).await.expect("best");
    assert_eq!((ranking.trials, ranking.rows.len()), (100_000, 10));
    assert_eq!(ranking.rows[0].trial.as_str(), format!("{:016x}", 9972));
    for direction in [Direction::Maximize, Direction::Minimize] {
        let sql = regatta::store::ranking_sql(Aggregate::Best, direction);
        let plan = plan(&mut store, &sql).await;
        let index = format!("INDEX summary_{direction}").replace("ize", "um");
        assert!(plan.contains(&index), "{plan}");
        assert!(!plan.contains("SCAN") && !plan.contains("FOR ORDER BY"), "{plan}");
    }
    // What every question asks first walks along no finished trials.
    let plan = plan(&mut store, regatta::store::CANDIDATES).await;
    for range in ["(sweep_id=? AND state<?)", "(sweep_id=? AND state>?)"] {
        let index = format!("USING COVERING INDEX trial_open {range}");
        assert!(plan.contains(&index), "{index}\n{plan}");
    }
    let few = ["SCAN open", "SCAN moving", "INDEX attempt_live", "INDEX attempt_unread"];
    let is_few = |line: &str| few.iter().any(|end| line.ends_with(end));
    assert!(plan.lines().all(|line| !line.starts_with("SCAN") || is_few(line)), "{plan}");
    assert!(!plan.contains("trial USING INDEX sqlite_autoindex"), "{plan}");
}

/// How SQLite would answer a statement.
async fn plan(store: &mut Store, sql: &str) -> String {
    let sql = format!("explain query plan {sql}");
    let steps: Vec<(i64, i64, i64, String)> =
        sqlx::query_as(sqlx::AssertSqlSafe(sql)).fetch_all(store.connection()).await.expect("plan");
    steps.into_iter().map(|(.., detail)| detail).collect::<Vec<_>>().join("\n")
}
