//! After a storm: the weather is calm, people do what they would, and everything is where it belongs.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::OnceLock;
use std::time::Duration;

use regatta::clock::Clock;
use regatta::event::{Event, Outcome};
use regatta::id::TrialId;
use regatta::journal;
use regatta::store::{Mode, Store, TrialState};

use crate::storm_scene::{Blow, Mishap, Order, Scene, Strike};
use crate::storm_world::World;

/// Rounds after which something is stuck.
const ROUNDS: u32 = 60;

fn undisturbed_task() -> Scene {
    let blow = Blow::None;
    Scene::Work(vec![Strike { pick: 0, at: 0, blow, meanwhile: Vec::new(), ahead: 0 }])
}

/// The results of a sweep in calm weather.
fn undisturbed() -> &'static [String] {
    static ESSENCE: OnceLock<Vec<String>> = OnceLock::new();
    ESSENCE.get_or_init(|| {
        let world = World::new();
        world.play(&Scene::Act(Order::Submit, Mishap::default()));
        settle(&world);
        check_found(&world);
        assert_eq!(*world.wrong.borrow(), Vec::<String>::new());
        assert_eq!(world.cluster.submissions(), 2, "two jobs");
        essence(&world)
    })
}

/// What must not depend on what befell the trials on their way, as the journals tell: a worker that was
/// killed behind its last record leaves the `result.json` of the attempt before.
fn essence(world: &World) -> Vec<String> {
    let folder = world.root().sweep("storm");
    let tell = |trial: &TrialId| {
        let folder = folder.trial(trial);
        let (mut outcome, mut epochs) = (None, BTreeMap::new());
        for attempt in folder.attempts().expect("attempts") {
            let path = folder.journal(attempt);
            for record in journal::replay::<Event>(&path).expect("journal").records {
                match record.body {
                    Event::EpochEnded { epoch, metrics, weights_sha256, is_best, .. } => {
                        let told = format!("{metrics:?} {weights_sha256} {is_best}");
                        epochs.insert(epoch, told);
                    }
                    Event::Ended { outcome: Outcome::Superseded, .. } => {}
                    Event::Ended { outcome: ended, .. } => outcome = Some(ended),
                    _ => {}
                }
            }
        }
        format!("{outcome:?} {epochs:?}")
    };
    world.trials.iter().map(tell).collect()
}

/// Commands and jobs take turns in calm weather until all is finished.
fn settle(world: &Rc<World>) {
    world.tell("the storm is over".to_owned());
    let calm = Mishap::default();
    let mut sight = None;
    for round in 0..ROUNDS {
        // Who cares gives the commands that the tool names.
        let orders: &[Order] = match round % 3 {
            _ if round == 0 => &[Order::Submit],
            0 => &[Order::Resume, Order::Retry, Order::ResumeCancelled],
            _ => &[Order::Tick],
        };
        for order in orders {
            sight = world.act(*order, &calm);
        }
        let all = |sight: &regatta::control::Sight| {
            sight.trials.iter().all(|row| row.state == TrialState::Finished)
        };
        if sight.as_ref().is_some_and(all) && world.cluster.live().is_empty() {
            return;
        }
        while !world.cluster.waiting().is_empty() && world.wrong.borrow().len() < 5 {
            world.play(&undisturbed_task());
        }
        world.clock.advance(Duration::from_secs(if round < 20 { 300 } else { 3600 }));
    }
    world.accuse("it never ends".to_owned());
}

/// Everything is where it belongs, once.
fn check_found(world: &Rc<World>) {
    let folder = world.root().sweep("storm");
    for trial in &world.trials {
        let folder = folder.trial(trial);
        let finished = |attempt: &u32| {
            let found = journal::replay::<Event>(&folder.journal(*attempt));
            let is_end =
                |event: &Event| matches!(event, Event::Ended { outcome: Outcome::Finished, .. });
            found.expect("journal").records.iter().any(|record| is_end(&record.body))
        };
        let attempts = folder.attempts().expect("attempts");
        let count = attempts.iter().filter(|attempt| finished(attempt)).count();
        if count != 1 {
            world.accuse(format!("{trial} was finished {count} times"));
        }
        world.count("attempts", attempts.len() as u64);
    }
    world.check_kept();
    let sent = world.cluster.submissions();
    for order in [Order::Submit, Order::Tick, Order::Resume, Order::Retry] {
        let _ = world.act(order, &Mishap::default());
    }
    if world.cluster.submissions() != sent {
        world.accuse("something was submitted after the end".to_owned());
    }
    world.count("submissions", sent as u64);
    let collected = world.block_on(async {
        let mut store = Store::open(&world.root().database(), Mode::ReadWrite).await?;
        store.content_hash().await
    });
    let rebuilt = world.block_on(world.rebuild(&world.root()));
    let anew = world.block_on(async {
        let mut store = Store::in_memory().await?;
        store.collect(&world.root(), "storm", world.clock.now()).await?;
        store.content_hash().await
    });
    match (collected, rebuilt, anew) {
        (Ok(collected), Ok(rebuilt), Ok(anew)) if collected == rebuilt && collected == anew => {}
        other => world.accuse(format!("a rebuild differs from what was collected: {other:?}")),
    }
    let sight = world.act(Order::Status, &Mishap::default());
    let states = sight.map(|sight| sight.trials.into_iter().map(|row| row.state));
    let states: Vec<_> = states.into_iter().flatten().collect();
    if states != [const { TrialState::Finished }; 4] {
        world.accuse(format!("after a rebuild: {states:?}"));
    }
}

/// Lets it become calm and looks at what is there.
pub(crate) fn check(world: &Rc<World>) {
    settle(world);
    check_found(world);
    let (seen, expected) = (essence(world), undisturbed());
    if seen != expected {
        world.accuse(format!("other results: {seen:#?} instead of {expected:#?}"));
    }
}
