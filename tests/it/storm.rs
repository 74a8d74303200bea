//! Random storms over a sweep, in one process on a virtual clock: controllers killed at any point, disks
//! that refuse, a cluster that lies, workers struck in every way. Afterwards each trial is finished
//! once, nothing that was acknowledged is lost, and the results are those of calm weather.
//!
//! `REGATTA_STORM_SEED=N` repeats one storm and tells its story.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "tests read the environment; documents cite what this one prints"
)]

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::chaos_cut::quiet_kills;
use crate::storm_distil::distil;
use crate::storm_end;
use crate::storm_scene::{Draw, Scene};
use crate::storm_world::{Tally, World};

/// The words of a panic.
pub(crate) fn words_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}

/// What came of a storm.
pub(crate) struct Aftermath {
    pub(crate) wrong: Vec<String>,
    pub(crate) story: Vec<String>,
    pub(crate) tally: Tally,
}

/// Lets a storm rage.
pub(crate) fn rage(scenes: &[Scene]) -> Aftermath {
    quiet_kills();
    let world = World::new();
    let all = || {
        scenes.iter().for_each(|scene| world.play(scene));
        storm_end::check(&world);
    };
    if let Err(panic) = catch_unwind(AssertUnwindSafe(all)) {
        world.accuse(words_of(&*panic));
    }
    Aftermath { wrong: world.wrong.take(), story: world.story.take(), tally: world.tally.take() }
}

fn rage_all(seeds: &[u64]) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let share = seeds.len().div_ceil(cores).max(1);
    let parts: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            seeds.chunks(share).map(|some| scope.spawn(|| rage_each(some))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a thread")).collect()
    });
    let mut tally = Tally::from([("storms".to_owned(), seeds.len() as u64)]);
    let mut failed = Vec::new();
    for (counts, harm) in parts {
        counts.into_iter().for_each(|(what, count)| *tally.entry(what).or_default() += count);
        failed.extend(harm);
    }
    println!("Storms {tally:?}");
    let Some((seed, _)) = failed.first() else { return };
    let scenes = distil(Draw::storm(*seed), &|scenes| !rage(scenes).wrong.is_empty());
    let after = rage(&scenes);
    let firsts = failed.iter().take(10).map(|(seed, wrong)| format!("seed {seed}: {}", wrong[0]));
    panic!(
        "{} storms did harm; REGATTA_STORM_SEED=N repeats one\n{}\nseed {seed} distilled:\n{}\n{}\n{}",
        failed.len(),
        firsts.collect::<Vec<_>>().join("\n"),
        scenes.iter().map(|scene| format!("{scene:?}")).collect::<Vec<_>>().join("\n"),
        after.wrong.join("\n"),
        after.story.join("\n")
    );
}

/// What happened in these storms, and which did harm.
fn rage_each(seeds: &[u64]) -> (Tally, Vec<(u64, Vec<String>)>) {
    let mut tally = Tally::new();
    let mut failed = Vec::new();
    for seed in seeds {
        let after = rage(&Draw::storm(*seed));
        after.tally.into_iter().for_each(|(what, count)| *tally.entry(what).or_default() += count);
        if !after.wrong.is_empty() {
            failed.push((*seed, after.wrong));
        }
    }
    (tally, failed)
}

fn seeds(count: u64) -> Vec<u64> {
    match std::env::var("REGATTA_STORM_SEED") {
        Ok(seed) => vec![seed.parse().expect("a number")],
        Err(_) => (0..count).collect(),
    }
}

#[test]
fn whatever_befalls_a_sweep_it_ends_as_if_nothing_had() {
    rage_all(&seeds(500));
}

#[test]
#[ignore = "long"]
fn whatever_befalls_ten_thousand_sweeps_they_end_as_if_nothing_had() {
    rage_all(&seeds(10_000));
}
