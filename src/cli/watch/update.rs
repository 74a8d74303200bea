//! What keys and news change. Pure: what is to be done beside that is returned.

use jiff::{SignedDuration, Timestamp};
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::act::{Act, Verb};
use super::filter::is_condition;
use super::model::{Acting, Model, Over, Pane};
use super::seen::{Message, Seen, Told};
use super::view::furthest_down;
use super::walk::{step, walk};
use crate::cli::progress::Seeds;
use crate::cli::table::Parameters;

/// How long a message stands in the status line.
const FRESH: SignedDuration = SignedDuration::from_secs(12);

/// What is to be done beside changing the model.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Leave,
    Suspend,
    Do(Act),
}

/// Takes in what happened.
pub(super) fn update(model: &mut Model, message: Message, now: Timestamp) -> Option<Effect> {
    model.now = now;
    match message {
        Message::Key(key) => return press(model, key),
        Message::Pasted(text) => paste(model, &text),
        Message::Size(width, height) => model.size = (width, height),
        Message::Seen(seen) => take_in(model, *seen),
        Message::Asking { sweep, since } => model.asking = Some((sweep, since)),
        Message::Asked(told) => heard(model, told),
        Message::Begun(act) => {
            model.acting = Some(Acting { act, since: now, has_begun: true });
        }
        Message::Done { words, is_well } => return done(model, &words, is_well),
        Message::Leave => return Some(Effect::Leave),
    }
    None
}

/// Lets time pass.
pub(super) fn tick(model: &mut Model, now: Timestamp) {
    model.now = now;
    if model.fresh.as_ref().is_some_and(|(at, _)| now.duration_since(*at) >= FRESH) {
        model.fresh = None;
    }
}

fn take_in(model: &mut Model, mut seen: Seen) {
    // What is under way is what people look for.
    seen.sweeps.sort_by_key(|status| {
        let moves = status.states.iter().any(|(state, _)| state.is_in_flight());
        (!moves, status.sweep.clone())
    });
    model.columns = Parameters::new(seen.trials.iter().map(|row| &row.parameters));
    model.seeds = Seeds::of(seen.trials.iter());
    let is_known = |name: &String| seen.sweeps.iter().any(|status| status.sweep == *name);
    let is_gone = !model.sweep.as_ref().is_some_and(is_known);
    let error = model.filter_error().map(str::to_owned);
    if model.back > 0 {
        // Who scrolled back goes on reading the same lines.
        model.back += said_since(model.seen.as_ref(), &seen);
    }
    model.seen = Some(seen);
    let new = model.filter_error().map(str::to_owned);
    if let Some(new) = new.filter(|new| Some(new) != error.as_ref()) {
        // There it stands whole, however long it is.
        model.say(format!("filter: {new}"));
        model.fresh = None;
    }
    if is_gone {
        model.sweep = None;
        model.choose_sweep(0);
    }
    model.list();
}

/// Lines that the log of the chosen trial has got since.
fn said_since(before: Option<&Seen>, now: &Seen) -> usize {
    let before = before.and_then(|seen| seen.chosen.as_ref());
    let (Some(before), Some(now)) = (before, now.chosen.as_ref()) else { return 0 };
    let Some(last) = before.log.lines.last() else { return 0 };
    if before.detail.row.trial != now.detail.row.trial {
        return 0;
    }
    let lines = &now.log.lines;
    lines.iter().rposition(|line| line == last).map_or(0, |at| lines.len() - 1 - at)
}

fn heard(model: &mut Model, told: Told) {
    model.asking = None;
    for words in &told.words {
        model.say(words.clone());
    }
    let is_new = |silent: &String| {
        let before = model.told.get(&told.sweep).and_then(|before| before.silent.as_ref());
        before != Some(silent)
    };
    if let Some(silent) = told.silent.clone().filter(is_new) {
        model.say(format!("{}: {silent}; asking again later", told.sweep));
    }
    // A look at which nobody was asked takes nothing away.
    match model.told.get_mut(&told.sweep).filter(|_| told.at.is_none() && told.silent.is_none()) {
        Some(before) => before.goes_on = told.goes_on.or(before.goes_on),
        None => drop(model.told.insert(told.sweep.clone(), told)),
    }
}

fn done(model: &mut Model, words: &[String], is_well: bool) -> Option<Effect> {
    model.acting = None;
    let lines: Vec<&str> = words.iter().flat_map(|text| text.lines()).map(str::trim).collect();
    for line in lines.iter().copied().chain(lines.is_empty().then_some("done")) {
        model.say(line);
    }
    // The first line says what happened; what follows explains it.
    if let Some(first) = lines.first() {
        model.fresh = Some((model.now, (*first).to_owned()));
    }
    if !is_well && lines.len() > 1 && model.over == Over::Nothing {
        model.over = Over::Messages(0);
    }
    if !model.is_leaving {
        return None;
    }
    model.parting = words.to_vec();
    Some(Effect::Leave)
}

fn press(model: &mut Model, key: KeyEvent) -> Option<Effect> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return match key.code {
            KeyCode::Char('c' | 'd') => leave(model),
            KeyCode::Char('z') => Some(Effect::Suspend),
            _ => None,
        };
    }
    match &mut model.over {
        Over::Nothing => panes(model, key.code),
        Over::Filter(_) => {
            type_filter(model, key.code);
            None
        }
        Over::Confirm(act) => {
            let act = act.clone();
            match key.code {
                KeyCode::Char('y' | 'Y') => {
                    model.over = Over::Nothing;
                    model.note(format!("{}: to be done", model.command(&act)));
                    model.fresh = None;
                    let since = model.now;
                    model.acting = Some(Acting { act: act.clone(), since, has_begun: false });
                    return Some(Effect::Do(act));
                }
                KeyCode::Char('n' | 'N' | 'q') | KeyCode::Esc => model.over = Over::Nothing,
                // Enter, too, is no yes: it is pressed too easily.
                _ => {}
            }
            None
        }
        Over::Messages(back) => {
            match key.code {
                KeyCode::Up | KeyCode::Char('k') => {
                    *back = (*back + 1).min(model.messages.len().saturating_sub(1));
                }
                KeyCode::Down | KeyCode::Char('j') => *back = back.saturating_sub(1),
                _ => model.over = Over::Nothing,
            }
            None
        }
        Over::Help(from) => {
            let (from, most) = (*from, furthest_down(model.size));
            let step = step(key.code).filter(|_| most > 0);
            model.over = step.map_or(Over::Nothing, |step| {
                // A terminal that was made larger shows more.
                Over::Help(step.along(from.min(most), model.size.1 / 2).min(most))
            });
            None
        }
    }
}

fn leave(model: &mut Model) -> Option<Effect> {
    if model.acting.is_some() && !model.is_leaving {
        model.is_leaving = true;
        model.say("leaving when this is done; the same key again leaves at once");
        return None;
    }
    Some(Effect::Leave)
}

fn panes(model: &mut Model, code: KeyCode) -> Option<Effect> {
    match code {
        KeyCode::Char('q') => return leave(model),
        KeyCode::Char('?') => model.over = Over::Help(0),
        KeyCode::Char('m') => model.over = Over::Messages(0),
        KeyCode::Tab => model.pane = next(model.pane),
        KeyCode::BackTab => model.pane = next(next(model.pane)),
        KeyCode::Right | KeyCode::Char('l') | KeyCode::Enter => model.pane = deeper(model.pane),
        KeyCode::Left | KeyCode::Char('h') => model.pane = higher(model.pane),
        KeyCode::Char('z') => model.is_zoomed = !model.is_zoomed,
        KeyCode::Esc => back_out(model),
        KeyCode::Char('/') => {
            model.over = Over::Filter(model.filter.clone());
            model.pane = Pane::Trials;
        }
        KeyCode::Char('s') => {
            model.sort = model.sort.next();
            model.is_reversed = false;
            model.list();
        }
        KeyCode::Char('S') => {
            model.is_reversed = !model.is_reversed;
            model.list();
        }
        KeyCode::Char('c') => ask(model, Verb::Cancel),
        KeyCode::Char('r') => ask(model, Verb::Resume),
        KeyCode::Char('t') => ask(model, Verb::Retry),
        other => {
            if let Some(step) = step(other) {
                walk(model, step);
            }
        }
    }
    None
}

fn next(pane: Pane) -> Pane {
    match pane {
        Pane::Sweeps => Pane::Trials,
        Pane::Trials => Pane::Log,
        Pane::Log => Pane::Sweeps,
    }
}

fn deeper(pane: Pane) -> Pane {
    if pane == Pane::Sweeps { Pane::Trials } else { Pane::Log }
}

fn higher(pane: Pane) -> Pane {
    if pane == Pane::Log { Pane::Trials } else { Pane::Sweeps }
}

/// Takes back the last narrowing: the zoom, then the filter.
fn back_out(model: &mut Model) {
    if model.is_zoomed {
        model.is_zoomed = false;
    } else if !model.filter.is_empty() {
        model.filter.clear();
        model.in_force.clear();
        model.list();
    }
}

/// Asks whether something is really to be done.
fn ask(model: &mut Model, verb: Verb) {
    if let Some(acting) = &model.acting {
        let command = model.command(&acting.act);
        return model.say(format!("still at `{command}`"));
    }
    let Some(sweep) = model.sweep.clone() else { return };
    let trial = match model.pane {
        Pane::Sweeps => None,
        Pane::Trials | Pane::Log => match &model.trial {
            Some(trial) => Some(trial.clone()),
            None => return model.say("no trial is chosen"),
        },
    };
    model.over = Over::Confirm(Act { verb, sweep, trial });
}

fn type_filter(model: &mut Model, code: KeyCode) {
    match code {
        KeyCode::Enter => {
            model.over = Over::Nothing;
            model.filter = model.filter.trim().to_owned();
            model.in_force = model.filter.clone();
        }
        KeyCode::Esc => {
            if let Over::Filter(before) = std::mem::take(&mut model.over) {
                model.filter = before;
                model.in_force = model.filter.clone();
            }
        }
        KeyCode::Backspace => {
            model.filter.pop();
        }
        KeyCode::Char(c) => model.filter.push(c),
        _ => {}
    }
    // Words act while they are typed; a condition makes no sense before it is whole.
    if matches!(model.over, Over::Filter(_)) {
        model.in_force = match is_condition(&model.filter) {
            true => String::new(),
            false => model.filter.clone(),
        };
    }
    model.list();
}

/// Text is for the filter while that is typed, and means nothing elsewhere.
fn paste(model: &mut Model, text: &str) {
    if matches!(model.over, Over::Filter(_)) {
        for c in text.chars().filter(|c| !c.is_control()) {
            type_filter(model, KeyCode::Char(c));
        }
    }
}

#[cfg(test)]
#[path = "update_tests.rs"]
pub(in crate::cli::watch) mod tests;
