//! Networks on libtorch through the whole loop: whatever is trained, and however a trial is cut, it
//! ends bit for bit as an uncut one. Real programs that are killed: `resume_net_process`.
#![expect(clippy::print_stdout, reason = "a failure shows the seed that repeats it")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use regatta::clock::{Clock, SystemClock};
use regatta::event::{Cursor, Event, Outcome, StopReason};
use regatta::journal;
use regatta::layout::TrialFolder;
use regatta::metric::Objective;
use regatta::setting::{self, Settings};
use regatta::sweep::{Assignment, Budget, Trial};
use regatta::train::NetLearner;
use regatta::train::synth::{self, Spec};
use regatta::worker::attempt::{self, Request};
use regatta::worker::checkpoint::sha256_hex;
use regatta::worker::past::NO_PROGRESS;
use regatta::worker::record::TrialResult;
use regatta::worker::stop::StopFlag;
use serde_json::json;

use crate::resume_net_rows::{Row, few_rows, many_rows};
use crate::toy_trial::virtual_clock;
use crate::watched::{Moment, Watched};

/// Seconds between checkpoints, where a step takes one.
const INTERVAL: u64 = 3;

/// A random number below `limit`, from a seed that moves on (SplitMix64).
pub(crate) fn below(seed: &mut u64, limit: u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *seed;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) % limit
}

/// A seed that is another one each time; `REGATTA_TEST_SEED` repeats a test.
pub(crate) fn some_seed() -> u64 {
    let told = std::env::var("REGATTA_TEST_SEED").ok().and_then(|text| text.parse().ok());
    let seed =
        told.unwrap_or_else(|| SystemClock::new().now().subsec_nanosecond().unsigned_abs().into());
    println!("repeat with REGATTA_TEST_SEED={seed}");
    seed
}

/// Draws the data that all rows train on: grids of four patches a slice.
pub(crate) fn drawn(folder: &Path) {
    synth::write(&Spec { slices: 5, size: 64, seed: 1 }, folder).expect("written");
}

/// A trial on these data; `settings` go over what all have in common.
pub(crate) fn assignment(data: &Path, settings: &Row) -> Assignment {
    let mut given = json!({
        "data": { "path": data, "patch": 32, "name": "drawn" }, "epochs": 3, "batch_size": 2,
    });
    for (name, value) in settings {
        given[name] = value.clone();
    }
    let resolved = setting::resolve(given.as_object().expect("object")).expect("resolved");
    let id = regatta::sweep::identify(&resolved, 3);
    let (parameters, settings) = (Arc::default(), resolved.into());
    let every = Duration::from_secs(INTERVAL).as_secs_f64();
    Assignment {
        trial: Trial { id, seed: 3, repeat: 0, parameters, settings },
        sweep: "net".to_owned(),
        settings_version: setting::SETTINGS_VERSION,
        objective: Objective::default(),
        budget: Budget { margin: 1.0, checkpoint_every: every, ..Budget::default() },
        token: None,
        only_check: false,
    }
}

/// All events of an attempt.
pub(crate) fn events(folder: &TrialFolder, attempt: u32) -> Vec<Event> {
    let replay = journal::replay::<Event>(&folder.journal(attempt)).expect("journal");
    replay.records.into_iter().map(|record| record.body).collect()
}

/// What must be the same: the values of all epochs, the result, the last checkpoint's tensors.
pub(crate) fn essence(folder: &TrialFolder) -> String {
    let mut epochs = BTreeMap::new();
    for attempt in folder.attempts().expect("attempts") {
        for event in events(folder, attempt) {
            let Event::EpochEnded { epoch, metrics, weights_sha256, is_best, .. } = event else {
                continue;
            };
            let bits: Vec<_> =
                metrics.iter().map(|(name, v)| (name.to_owned(), v.map(f64::to_bits))).collect();
            let line = format!("{bits:?} {weights_sha256} {is_best}");
            let before = epochs.insert(epoch, line.clone());
            assert!(before.is_none_or(|before| before == line), "epoch {epoch} was done twice");
        }
    }
    let result = TrialResult::read(folder).expect("result");
    let checkpoints = folder.checkpoints();
    let last = *checkpoints.names().expect("names").last().expect("a checkpoint");
    let tensors = sha256_hex(&std::fs::read(checkpoints.tensors(last)).expect("tensors"));
    let (outcome, best) = (result.outcome, (result.best_value, result.best_epoch));
    format!("{outcome:?} {best:?} {:?} {tensors}\n{epochs:#?}", result.weights_sha256)
}

/// Says whether the last attempt did not begin since two before it had saved nothing. The next one
/// does, as after `regatta retry`.
pub(crate) fn gave_up(folder: &TrialFolder) -> bool {
    let error = TrialResult::read(folder).and_then(|result| result.error);
    error.is_some_and(|error| error.starts_with(NO_PROGRESS))
}

/// How an attempt is cut, and after how many steps or seconds.
#[derive(Clone, Copy, Debug)]
enum Cut {
    Signal(u64),
    Crash(u64),
    Time(u64),
}

impl Cut {
    fn some(seed: &mut u64) -> Self {
        match below(seed, 3) {
            0 => Self::Signal(1 + below(seed, 5)),
            1 => Self::Crash(1 + below(seed, 6)),
            _ => Self::Time(4 + below(seed, 6)),
        }
    }
}

/// One attempt: how it ended, and the steps it did.
fn run(request: &Request, cut: Option<Cut>) -> (Outcome, Vec<Cursor>) {
    let clock: Arc<dyn Clock> = Arc::new(virtual_clock());
    let (stop, done) = (StopFlag::default(), Rc::<RefCell<Vec<Cursor>>>::default());
    let time_left = match cut {
        Some(Cut::Time(seconds)) => Some(Duration::from_secs(seconds)),
        _ => None,
    };
    let build = |settings: &Settings, seed, clock: &Arc<dyn Clock>| {
        let net = NetLearner::build(settings, seed, 1)?;
        let (clock, stop, done) = (Arc::clone(clock), stop.clone(), Rc::clone(&done));
        Ok(Watched::boxed(net, move |moment| {
            if let Moment::Step(cursor) = moment {
                let here = done.borrow().len() as u64 + 1;
                match cut {
                    Some(Cut::Crash(steps)) => assert!(here <= steps, "the node is gone"),
                    Some(Cut::Signal(steps)) if steps == here => stop.raise(StopReason::Terminated),
                    _ => {}
                }
                done.borrow_mut().push(cursor);
            }
            clock.sleep(Duration::from_secs(1));
        }))
    };
    // Nobody pushes a virtual clock while a thread writes; real programs do write behind.
    let request = Request { time_left, write_behind: false, ..request.clone() };
    let outcome = attempt::run(&request, &clock, &stop, &build);
    (outcome, done.take())
}

/// What the cuts of all rows came to.
#[derive(Debug, Default)]
struct Tally {
    cuts: u32,
    between: u32,
    crashes: u32,
    redone: usize,
}

/// Whether the last checkpoint before an attempt's end is of another place than that end.
fn is_between(folder: &TrialFolder, attempt: u32, done: &[Cursor]) -> bool {
    let Some(last) = done.last() else { return false };
    let mut saved = None;
    for event in events(folder, attempt) {
        match event {
            Event::CheckpointWritten { cursor, .. } | Event::Started { cursor, .. } => {
                saved = Some(cursor);
            }
            Event::StopRequested { .. } => break,
            _ => {}
        }
    }
    saved.is_some_and(|saved| saved.epoch == last.epoch && saved.step <= last.step)
}

/// Trains a row uncut and cut, and compares.
fn check_row(data: &Path, row: &Row, seed: &mut u64, tally: &mut Tally) {
    let home = tempfile::tempdir().expect("folder");
    let assignment = assignment(data, row);
    let request =
        |name: &str| Request::new(assignment.clone(), TrialFolder::new(home.path().join(name)));
    let uncut = request("uncut");
    let (outcome, steps) = run(&uncut, None);
    assert_eq!(outcome, Outcome::Finished, "{row:?}: {:?}", TrialResult::read(&uncut.folder));

    let cut = request("cut");
    let cuts: Vec<Cut> = (0..4).map(|_| Cut::some(seed)).collect();
    let mut done: Vec<Cursor> = Vec::new();
    let mut crashes = 0;
    for (attempt, how) in (1..).zip(cuts.iter().copied().map(Some).chain([None; 2])) {
        let (outcome, here) = run(&cut, how);
        let result = TrialResult::read(&cut.folder).expect("result");
        if gave_up(&cut.folder) {
            continue;
        }
        let crashed = outcome == Outcome::Failed;
        assert!(!crashed || matches!(how, Some(Cut::Crash(_))), "{row:?} {cuts:?}: {result:?}");
        if outcome != Outcome::Finished {
            tally.cuts += 1;
            tally.between += u32::from(is_between(&cut.folder, attempt, &here));
            crashes += u32::from(crashed);
        }
        done.extend(here);
        if outcome == Outcome::Finished {
            break;
        }
    }
    let redone = done.len() - steps.len();
    let most = usize::try_from(INTERVAL + 1).expect("small") * crashes as usize;
    assert!(redone <= most, "{redone} steps redone after {crashes} crashes: {row:?} {cuts:?}");
    tally.crashes += crashes;
    tally.redone += redone;
    assert_eq!(essence(&cut.folder), essence(&uncut.folder), "{row:?} {cuts:?}");
}

fn check_rows(rows: &[Row]) {
    let data = tempfile::tempdir().expect("folder");
    drawn(data.path());
    let (mut seed, mut tally) = (some_seed(), Tally::default());
    for row in rows {
        check_row(data.path(), row, &mut seed, &mut tally);
    }
    println!("{} rows: {tally:?}", rows.len());
    assert!(3 * tally.between >= tally.cuts && tally.cuts as usize >= rows.len(), "{tally:?}");
}

#[test]
fn every_pair_of_settings_is_bit_equal_however_it_is_cut() {
    check_rows(&few_rows());
}

#[test]
#[ignore = "every pair of a network and all else too: minutes"]
fn every_pair_with_a_network_is_bit_equal_however_it_is_cut() {
    check_rows(&many_rows());
}
