use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use ratatui::crossterm::event::KeyEvent;
use serde_json::{Map, json};

use super::*;
use crate::cli::watch::filter::Sort;
use crate::cli::watch::seen::{Chosen, Kept, Log};
use crate::metric::{Direction, Objective};
use crate::store::{SweepStatus, TrialDetail, TrialRow, TrialState};

pub(in crate::cli::watch) fn row(number: u64, state: TrialState, value: Option<f64>) -> TrialRow {
    let parameters = json!({ "optimizer.lr": 0.1, "batch_size": number });
    TrialRow {
        sweep: "lr-batch".to_owned(),
        trial: format!("{number:08x}00000000").parse().expect("id"),
        why: format!("it is {state}"),
        state,
        seed: 0,
        repeat: 0,
        parameters: parameters.as_object().expect("object").clone(),
        attempts: 1,
        elapsed: None,
        heard_at: None,
        epochs_done: number % 9,
        epochs: Some(8),
        value,
        epoch: value.map(|_| 2),
    }
}

pub(in crate::cli::watch) fn status(sweep: &str, states: &[(TrialState, u64)]) -> SweepStatus {
    SweepStatus {
        sweep: sweep.to_owned(),
        objective: Objective { metric: "val/jaccard".to_owned(), direction: Direction::Maximize },
        trials: states.iter().map(|(_, count)| count).sum(),
        states: states.to_vec(),
        progress: Vec::new(),
        best: Some(0.9),
        as_of: None,
    }
}

pub(in crate::cli::watch) fn seen(rows: Vec<TrialRow>) -> Seen {
    let done = status("done", &[(TrialState::Finished, 3)]);
    let open = status("lr-batch", &[(TrialState::Running, rows.len() as u64)]);
    Seen {
        sweeps: vec![done, open],
        sweep: Some("lr-batch".to_owned()),
        trials: Arc::new(rows),
        progress: Arc::new(HashMap::new()),
        ..Seen::default()
    }
}

pub(in crate::cli::watch) fn model(rows: Vec<TrialRow>) -> Model {
    let mut model = Model::new("runs".to_owned(), (80, 24), Timestamp::UNIX_EPOCH);
    hear(&mut model, Message::Seen(Box::new(seen(rows))));
    model
}

pub(in crate::cli::watch) fn hear(model: &mut Model, message: Message) -> Option<Effect> {
    update(model, message, Timestamp::UNIX_EPOCH)
}

pub(in crate::cli::watch) fn key(model: &mut Model, code: KeyCode) -> Option<Effect> {
    hear(model, Message::Key(KeyEvent::new(code, KeyModifiers::NONE)))
}

pub(in crate::cli::watch) fn keys(model: &mut Model, text: &str) -> Option<Effect> {
    text.chars().fold(None, |_, c| key(model, KeyCode::Char(c)))
}

fn many(count: u64) -> Vec<TrialRow> {
    #[expect(clippy::cast_precision_loss, reason = "small")]
    let value = |number: u64| number.is_multiple_of(2).then_some(number as f64 / 1000.0);
    (0..count).map(|number| row(number, TrialState::Running, value(number))).collect()
}

#[test]
fn what_is_under_way_is_chosen_first() {
    let model = model(many(3));
    assert_eq!(model.sweep.as_deref(), Some("lr-batch"));
    assert_eq!(model.sweeps()[0].sweep, "lr-batch");
    assert_eq!(model.chosen().map(|row| row.epochs_done), Some(0));
}

#[test]
fn keys_walk_and_stop_at_both_ends() {
    let mut model = model(many(100));
    let page = usize::from(model.places().trial_rows());
    for (pressed, at) in [
        (KeyCode::Up, 0),
        (KeyCode::Down, 1),
        (KeyCode::Char('j'), 2),
        (KeyCode::Char('k'), 1),
        (KeyCode::PageDown, 1 + page),
        (KeyCode::End, 99),
        (KeyCode::PageDown, 99),
        (KeyCode::PageUp, 99 - page),
        (KeyCode::Home, 0),
        (KeyCode::Char('G'), 99),
        (KeyCode::Char('g'), 0),
    ] {
        assert_eq!(key(&mut model, pressed), None);
        assert_eq!(model.at, at, "{pressed:?}");
    }
}

#[test]
fn the_chosen_trial_stays_chosen_when_the_list_changes() {
    let mut model = model(many(10));
    keys(&mut model, "jjjj");
    let chosen = model.trial.clone();
    keys(&mut model, "s");
    assert_eq!(model.sort, Sort::Value);
    assert_eq!(model.trial, chosen);
    assert_ne!(model.at, 4);
    let first = model.row(0).and_then(|row| row.value);
    assert_eq!(first, Some(0.008));
    keys(&mut model, "S");
    assert_eq!(model.row(9).and_then(|row| row.value), Some(0.008));
    let mut rows = many(10);
    rows.truncate(2);
    hear(&mut model, Message::Seen(Box::new(seen(rows))));
    assert_eq!(model.at, 1, "what is gone leaves the last one");
}

#[test]
fn words_filter_while_they_are_typed_and_escape_brings_all_back() {
    let mut model = model(many(20));
    keys(&mut model, "/batch_size");
    assert_eq!(model.listed.len(), 20);
    // It may become a condition: that is asked when it is whole.
    keys(&mut model, "=7");
    assert_eq!((model.listed.len(), model.in_force.as_str()), (20, ""));
    key(&mut model, KeyCode::Enter);
    assert_eq!(model.wanted().condition.as_deref(), Some("batch_size=7"));
    let mut answer = seen(many(20));
    let trials = HashSet::from([answer.trials[7].trial.clone()]);
    answer.kept = Some(Kept {
        condition: "batch_size=7".to_owned(),
        sweep: "lr-batch".to_owned(),
        trials: Ok(trials),
    });
    hear(&mut model, Message::Seen(Box::new(answer)));
    assert_eq!(model.listed, [7]);
    key(&mut model, KeyCode::Esc);
    assert_eq!((model.listed.len(), model.wanted().condition), (20, None));
    keys(&mut model, "/0000000300");
    assert_eq!(model.listed, [3]);
    key(&mut model, KeyCode::Esc);
    assert_eq!(model.listed.len(), 20);
}

#[test]
fn nothing_is_done_without_a_yes() {
    let mut model = model(many(3));
    for no in [KeyCode::Enter, KeyCode::Char('x'), KeyCode::Esc, KeyCode::Char('n')] {
        keys(&mut model, "c");
        assert_eq!(key(&mut model, no), None, "{no:?}");
    }
    let trial = model.trial.clone();
    keys(&mut model, "c");
    let act = Act { verb: Verb::Cancel, sweep: "lr-batch".to_owned(), trial };
    assert_eq!(keys(&mut model, "y"), Some(Effect::Do(act.clone())));
    assert_eq!(act.words(), "cancel lr-batch/0000000000000000");
    // One thing at a time; and leaving waits for it, unless it is wanted twice.
    keys(&mut model, "r");
    assert_eq!(model.over, Over::Nothing);
    assert_eq!(keys(&mut model, "q"), None);
    assert!(model.is_leaving);
    let words = vec!["cancelled 1 trial".to_owned()];
    let done = Message::Done { words, is_well: true };
    assert_eq!(hear(&mut model, done), Some(Effect::Leave));
    assert_eq!(model.parting, ["cancelled 1 trial"]);
    assert_eq!(keys(&mut model, "q"), Some(Effect::Leave));
}

#[test]
fn an_act_is_wished_for_before_it_begins() {
    let mut model = model(many(1));
    keys(&mut model, "c");
    let Some(Effect::Do(act)) = keys(&mut model, "y") else { panic!("nothing is done") };
    let acting = |model: &Model| model.acting.clone().expect("an act");
    assert!(!acting(&model).has_begun);
    assert_eq!(model.fresh, None, "the status line tells of the act itself");
    let later = Timestamp::from_second(9).expect("a moment");
    update(&mut model, Message::Begun(act.clone()), later);
    assert_eq!(acting(&model), Acting { act, since: later, has_begun: true });
}

#[test]
fn the_keys_are_scrolled_where_they_do_not_fit() {
    let mut model = model(many(1));
    keys(&mut model, "?j");
    assert_eq!(model.over, Over::Nothing, "all are there: any key goes back");
    model.size = (80, 12);
    keys(&mut model, "?");
    for (pressed, from) in [
        (KeyCode::Down, 1),
        (KeyCode::Char('j'), 2),
        (KeyCode::Char('k'), 1),
        (KeyCode::PageDown, 7),
        (KeyCode::PageDown, 9),
        (KeyCode::Down, 9),
        (KeyCode::Home, 0),
        (KeyCode::Up, 0),
        (KeyCode::End, 9),
    ] {
        key(&mut model, pressed);
        assert_eq!(model.over, Over::Help(from), "{pressed:?}");
    }
    keys(&mut model, "x");
    assert_eq!(model.over, Over::Nothing);
}

#[test]
fn in_the_pane_of_sweeps_verbs_are_about_the_sweep() {
    let mut model = model(many(3));
    keys(&mut model, "h");
    assert_eq!(model.pane, Pane::Sweeps);
    keys(&mut model, "t");
    let act = Act { verb: Verb::Retry, sweep: "lr-batch".to_owned(), trial: None };
    assert_eq!(keys(&mut model, "y"), Some(Effect::Do(act)));
    let ctrl_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(hear(&mut model, Message::Key(ctrl_c)), None);
    assert_eq!(hear(&mut model, Message::Key(ctrl_c)), Some(Effect::Leave));
}

#[test]
fn a_failed_act_is_told_whole() {
    let mut model = model(many(1));
    let words = vec!["error: sbatch is not here".to_owned(), "hint: load a module".to_owned()];
    hear(&mut model, Message::Done { words, is_well: false });
    assert_eq!(model.over, Over::Messages(0));
    let fresh = model.fresh.as_ref().map(|(_, text)| text.as_str());
    assert_eq!(fresh, Some("error: sbatch is not here"));
}

#[test]
fn who_scrolled_back_goes_on_reading_the_same_lines() {
    let log = |count: usize| {
        let mut now = seen(many(1));
        let detail = TrialDetail {
            row: now.trials[0].clone(),
            objective: now.sweeps[0].objective.clone(),
            settings: Map::new(),
            attempts_made: Vec::new(),
            history: Vec::new(),
            warnings: Vec::new(),
        };
        let lines = (0..count).map(|number| format!("line {number}")).collect();
        let log = Log { lines, ..Log::default() };
        now.chosen = Some(Chosen { detail, samples: Vec::new(), log });
        Message::Seen(Box::new(now))
    };
    let mut model = model(many(1));
    hear(&mut model, log(50));
    model.pane = Pane::Log;
    keys(&mut model, "kkk");
    assert_eq!(model.back, 3);
    hear(&mut model, log(60));
    assert_eq!(model.back, 13);
    key(&mut model, KeyCode::End);
    hear(&mut model, log(70));
    assert_eq!(model.back, 0, "it follows");
}

#[test]
fn ten_thousand_trials_are_listed_and_walked_at_once() {
    use crate::clock::Clock;
    let clock = crate::clock::SystemClock::new();
    let mut model = model(many(10_000));
    let start = clock.monotonic();
    for _ in 0..50 {
        keys(&mut model, "j");
        assert!(model.wanted().visible.len() < 24);
    }
    keys(&mut model, "sG");
    let took = clock.monotonic() - start;
    assert!(took < std::time::Duration::from_secs(2), "52 keys took {took:?}");
}

#[test]
fn what_is_pasted_is_text_for_the_filter_and_no_keys() {
    let mut model = model(many(3));
    hear(&mut model, Message::Pasted("accuracy".to_owned()));
    assert_eq!((&model.over, &model.acting), (&Over::Nothing, &None));
    key(&mut model, KeyCode::Char('/'));
    hear(&mut model, Message::Pasted("fini\nshed".to_owned()));
    assert_eq!(model.filter, "finished");
}

#[test]
fn a_look_at_which_nobody_was_asked_takes_no_alarm_away() {
    let mut model = model(many(1));
    let sweep = model.sweep.clone().expect("a sweep");
    let told = |silent: Option<&str>| Told {
        sweep: sweep.clone(),
        silent: silent.map(str::to_owned),
        ..Told::default()
    };
    hear(&mut model, Message::Asked(told(Some("squeue is silent"))));
    hear(&mut model, Message::Asked(told(None)));
    assert_eq!(model.told[&sweep].silent.as_deref(), Some("squeue is silent"));
}
