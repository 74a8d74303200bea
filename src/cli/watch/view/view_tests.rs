use std::collections::HashMap;

use jiff::Timestamp;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::KeyCode;
use ratatui::style::Color;

use super::*;
use crate::cli::watch::seen::{Message, Seen, Told};
use crate::cli::watch::update::tests::{hear, key, keys, model, row, seen};
use crate::cli::watch::update::{Effect, tick, update};

const BARE: Theme = Theme { color: false, unicode: false };
const FULL: Theme = Theme { color: true, unicode: true };

/// What is on the screen, without blanks at the ends of lines; and whether anything is coloured.
fn drawn(model: &Model, theme: Theme) -> (String, bool) {
    let mut terminal =
        Terminal::new(TestBackend::new(model.size.0, model.size.1)).expect("terminal");
    terminal.draw(|frame| draw(frame, model, theme)).expect("drawn");
    let buffer = terminal.backend().buffer();
    let is_colored =
        buffer.content.iter().any(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset);
    let line = |y: u16| {
        let cells = (0..model.size.0).map(|x| buffer[(x, y)].symbol().to_owned());
        cells.collect::<String>().trim_end().to_owned()
    };
    ((0..model.size.1).map(line).collect::<Vec<_>>().join("\n"), is_colored)
}

fn scene() -> Model {
    let rows = vec![
        row(3, TrialState::Running, Some(0.8123)),
        row(8, TrialState::Finished, Some(0.9)),
        row(2, TrialState::OutOfMemory, None),
    ];
    let mut model = model(rows.clone());
    let mut now = seen(rows.clone());
    now.curves = HashMap::from([(rows[0].trial.clone(), vec![0.1, 0.5, 0.8, 0.7])]);
    hear(&mut model, Message::Seen(Box::new(now)));
    model
}

#[test]
fn the_view_in_80_columns() {
    insta::assert_snapshot!(drawn(&scene(), BARE).0);
}

#[test]
fn the_view_in_160_columns() {
    let mut model = scene();
    hear(&mut model, Message::Size(160, 40));
    insta::assert_snapshot!(drawn(&model, FULL).0);
}

#[test]
fn nothing_is_told_by_colour_alone() {
    let model = scene();
    assert!(drawn(&model, FULL).1);
    let (text, is_colored) = drawn(&model, BARE);
    assert!(!is_colored);
    assert!(text.is_ascii(), "{text}");
    for word in ["> running", "+ finished", "x out_of_memory"] {
        assert!(text.contains(word), "{word}\n{text}");
    }
}

/// Everything at every size: nothing panics, and below the least size it says so.
#[test]
fn every_size_can_be_drawn() {
    let mut model = scene();
    for over in ["", "?", "x/a", "", "c", "nm"] {
        keys(&mut model, over);
        for (width, height) in
            (1..=130).step_by(7).flat_map(|w| (1..=50).step_by(3).map(move |h| (w, h)))
        {
            hear(&mut model, Message::Size(width, height));
            for zoomed in [false, true] {
                model.is_zoomed = zoomed;
                let (text, _) = drawn(&model, FULL);
                let is_small = width < LEAST.0 || height < LEAST.1;
                assert_eq!(
                    text.contains("too small"),
                    is_small && width > 21,
                    "{width} x {height}"
                );
            }
        }
        key(&mut model, KeyCode::Esc);
    }
}

#[test]
fn who_has_nothing_is_told_what_to_do() {
    let mut model = Model::new("runs".to_owned(), (80, 24), Timestamp::UNIX_EPOCH);
    assert!(drawn(&model, BARE).0.contains("Reading the journals"));
    hear(&mut model, Message::Seen(Box::default()));
    assert!(drawn(&model, BARE).0.contains("regatta submit SWEEP.yaml"));
    let empty = Seen { sweeps: seen(Vec::new()).sweeps, ..Seen::default() };
    hear(&mut model, Message::Seen(Box::new(empty)));
    assert!(drawn(&model, BARE).0.contains("reading ..."));
}

#[test]
fn trouble_and_silence_are_in_the_status_line() {
    let mut model = scene();
    let mut now = seen(vec![row(1, TrialState::Running, None)]);
    now.troubles = vec!["the database failed: it is locked".to_owned()];
    hear(&mut model, Message::Seen(Box::new(now)));
    assert!(drawn(&model, BARE).0.contains("! the database failed: it is locked"));
    let silent = Some("squeue did not answer: timed out".to_owned());
    let told = Told { sweep: "lr-batch".to_owned(), silent, ..Told::default() };
    hear(&mut model, Message::Asked(told));
    assert!(drawn(&model, BARE).0.contains("squeue did not answer"));
}

#[test]
fn all_keys_can_be_read_in_every_terminal() {
    for size in [(80, 24), (80, 12), (40, 10)] {
        let mut model = scene();
        hear(&mut model, Message::Size(size.0, size.1));
        keys(&mut model, "?");
        let first = drawn(&model, BARE).0;
        assert!(first.contains("one up or down"), "{first}");
        let is_whole = first.contains("jobs go on");
        assert_eq!(is_whole, size.1 == 24, "{first}");
        assert_eq!(first.contains("Keys: 1 to "), !is_whole, "it says that there is more\n{first}");
        assert_eq!(first.contains("scroll"), !is_whole, "and how it is seen\n{first}");
        if !is_whole {
            key(&mut model, KeyCode::End);
            let last = drawn(&model, BARE).0;
            assert!(last.contains("jobs go on") && !last.contains("one up or down"), "{last}");
        }
    }
}

#[test]
fn the_status_line_says_what_an_act_waits_for() {
    let at = |second| Timestamp::from_second(second).expect("a moment");
    let says = |model: &Model, words: &str| {
        let text = drawn(model, BARE).0;
        assert!(text.contains(words), "{words}\n{text}");
    };
    let mut model = scene();
    let since = Timestamp::UNIX_EPOCH;
    hear(&mut model, Message::Asking { sweep: "lr-batch".to_owned(), since });
    keys(&mut model, "c");
    let Some(Effect::Do(act)) = keys(&mut model, "y") else { panic!("nothing is done") };
    tick(&mut model, at(12));
    says(&model, "cancel of lr-batch/00000003: waits for the scheduler's answer (12s)");
    model.asking = Some(("done".to_owned(), at(2)));
    says(&model, "cancel of lr-batch/00000003: waits for the scheduler's answer about done (10s)");
    let words = vec!["submitted 2 trials of done".to_owned()];
    let told = Told { sweep: "done".to_owned(), words, ..Told::default() };
    update(&mut model, Message::Asked(told), at(13));
    says(&model, "submitted 2 trials of done");
    update(&mut model, Message::Begun(act), at(14));
    tick(&mut model, at(17));
    says(&model, "cancel of lr-batch/00000003: at it for 3s (scheduler or another regatta slow)");
    update(&mut model, Message::Done { words: Vec::new(), is_well: true }, at(18));
    assert!(!drawn(&model, BARE).0.contains("cancel of"), "it is over");
}

#[test]
fn the_command_in_a_question_means_the_folder_that_is_shown() {
    let mut model = scene();
    model.root_option = "--root 'my runs' ".to_owned();
    keys(&mut model, "c");
    let text = drawn(&model, BARE).0;
    let command = "As `regatta --root 'my runs' cancel lr-batch/0000000300000000`";
    assert!(text.contains(command), "{text}");
}

#[test]
fn seeds_are_shown_where_trials_differ_by_nothing_else() {
    let mut rows = vec![row(3, TrialState::Running, None), row(3, TrialState::Running, None)];
    assert!(!drawn(&model(rows.clone()), BARE).0.contains("SEED"));
    rows[1].trial = "0000000400000000".parse().expect("id");
    rows[1].seed = 17;
    let text = drawn(&model(rows), BARE).0;
    let head = text.lines().find(|line| line.contains("SEED")).expect("a column");
    assert!(head.find("SEED") < head.find("BATCH_SIZE"), "before what may be cut\n{text}");
    assert!(text.contains("seed=0 batch_size=3 lr=0.1"), "{text}");
    assert!(text.lines().any(|line| line.contains("00000004") && line.contains(" 17 ")), "{text}");
}
