//! What storms found, distilled: each of these did harm once.

use regatta::layout;
use regatta::scheduler::Fate;

use crate::storm::rage;
use crate::storm_scene::{Blow, Damage, Mishap, Order, Scene, Strike};

fn act(order: Order) -> Scene {
    Scene::Act(order, Mishap::default())
}

fn lied_to(order: Order, fates: &[Fate]) -> Scene {
    Scene::Act(order, Mishap { fates: fates.to_vec(), ..Mishap::default() })
}

fn killed_at(order: Order, point: &str) -> Scene {
    Scene::Act(order, Mishap { faults: format!("{point}=dead"), ..Mishap::default() })
}

/// A task that waits, the one at place `pick`; at step `at` the rest happens.
fn while_it_works(pick: usize, at: u64, meanwhile: Vec<Scene>) -> Scene {
    Scene::Work(vec![Strike { pick, at, blow: Blow::None, meanwhile, ahead: 0 }])
}

fn unharmed(scenes: &[Scene]) {
    let after = rage(scenes);
    assert!(after.wrong.is_empty(), "{:#?}\n{}", after.wrong, after.story.join("\n"));
}

#[test]
fn an_answer_without_a_task_that_waits_sends_no_other_beside_it() {
    unharmed(&[act(Order::Submit), Scene::Pass(1000), lied_to(Order::Tick, &[Fate::LeaveOut(1)])]);
}

#[test]
fn an_old_answer_sends_no_trial_again_whose_job_lives() {
    let hours = vec![Scene::Pass(20_000), lied_to(Order::Tick, &[Fate::Stale])];
    unharmed(&[act(Order::Submit), while_it_works(2, 5, vec![while_it_works(2, 3, hours)])]);
}

#[test]
fn a_foreign_line_behind_the_end_of_an_attempt_makes_no_other_database() {
    unharmed(&[
        act(Order::Submit),
        while_it_works(1, 4, Vec::new()),
        while_it_works(0, 2, vec![act(Order::Tick), Scene::Damage(Damage::Foreign(3))]),
    ]);
}

#[test]
fn who_cannot_read_what_was_submitted_last_submits_nothing() {
    let blind = Mishap { rival: true, ..Mishap::default() };
    unharmed(&[
        killed_at(Order::Submit, "submit.after_accepted:1"),
        Scene::Act(Order::Submit, blind),
    ]);
}

#[test]
fn a_controller_that_was_killed_anywhere_in_its_first_submission_does_no_harm() {
    for point in crate::storm_scene::KILLS {
        for skip in 0..3 {
            unharmed(&[killed_at(Order::Submit, &format!("{point}:{skip}"))]);
        }
    }
    assert!(!layout::is_dead());
}
