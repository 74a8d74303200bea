//! Preemption on a real SLURM, in every way that a site may have it: no trial loses what it saved,
//! none is left behind, and all end with the weights of an undisturbed one.

#![expect(clippy::disallowed_methods, reason = "tests start processes and read the environment")]

use std::process::Stdio;

use regatta::event::StopReason;

use crate::cluster::Cluster;
use crate::situation::{BARE, Plan, Situation, Story, Weights, side_by_side, undisturbed};
use crate::stage::skip;

#[test]
fn preempted_trials_lose_nothing() {
    if std::env::var("REGATTA_TEST_SLURM").as_deref() != Ok("1") {
        return skip("preempted_trials_lose_nothing", "slurm: REGATTA_TEST_SLURM is not 1");
    }
    let partition = |name, mode, grace| {
        format!(
            "PartitionName={name} Nodes=ALL PriorityTier=1 PreemptMode={mode} GraceTime={grace}"
        )
    };
    let (long, none) = (partition("long", "REQUEUE", 30), partition("none", "REQUEUE", 0));
    let (brief, lethal) = (partition("brief", "REQUEUE", 2), partition("lethal", "CANCEL", 0));
    let trio = "PartitionName=trio Nodes=n[1-3] PriorityTier=1 PreemptMode=REQUEUE GraceTime=5";
    let cluster = Cluster::start(&[
        "--nodes", "14", "--cpus", "1", "--gpus", "0", "--conf", &long, "--conf", &none, "--conf",
        &brief, "--conf", &lethal, "--conf", trio,
    ]);
    let (cluster, calm) = (&cluster, &undisturbed());
    let told = side_by_side(vec![
        Box::new(|| one_of_an_array_three_times_in_a_row(cluster, calm)),
        Box::new(|| in_the_shells_place_it_hears_the_end_of_the_grace_time(cluster, calm)),
        Box::new(|| where_preemption_cancels_the_controller_submits_again(cluster, calm)),
        Box::new(|| a_warning_comes_before_the_end(cluster, calm)),
        Box::new(|| a_checkpoint_that_fits_the_grace_time_is_written(cluster, calm, "long", 6.0)),
        Box::new(|| a_checkpoint_that_fits_the_grace_time_is_written(cluster, calm, "brief", 0.5)),
        Box::new(|| one_that_does_not_fit_leaves_the_older_one_whole(cluster, calm)),
        Box::new(|| through_a_container_under_srun(cluster, calm)),
        Box::new(|| through_a_container_in_the_shells_place(cluster, calm)),
        Box::new(|| a_refused_requeue_is_the_controllers_to_mend(cluster, calm)),
        Box::new(|| without_scontrol_the_controller_submits_again(cluster, calm)),
        Box::new(|| preempted_before_the_worker_listens_it_comes_back(cluster, calm)),
    ]);
    told.iter().for_each(|line| println!("{line}"));
}

/// Preempts the only trial while it trains, and waits until it has finished.
fn preempted(situation: &Situation<'_>, node: &str) -> Story {
    situation.wait("training", |story| story.trains(1));
    situation.preempt(node);
    situation.wait("finished", Story::finished)
}

fn one_of_an_array_three_times_in_a_row(cluster: &Cluster, calm: &Weights) -> String {
    let rates = "[1e-2, 3e-2, 1e-1]";
    let plan = Plan { rates, step: 0.5, place: "partition: trio, time: '00:05:00'", ..Plan::USUAL };
    let sweep = Situation::new(cluster, "thrice", plan).submitted();
    let trains = |stories: &[Story]| stories.len() == 3 && stories.iter().all(|s| s.trains(1));
    let mut stories = sweep.wait_all("all three train", trains);
    for attempt in 2..=4 {
        let (_, node) = sweep.place(&stories[0]);
        sweep.preempt(&node);
        stories = sweep.wait_all("the first one is back", |stories| stories[0].trains(attempt));
    }
    let stories = sweep.wait_all("all finish", |stories| stories.iter().all(Story::finished));
    let attempts: Vec<_> = stories.iter().map(|story| story.attempts.len()).collect();
    assert_eq!(attempts, [4, 1, 1], "{}", sweep.logs());
    assert_eq!(stories[0].redone(), [0, 0, 0], "{}", sweep.logs());
    sweep.same(calm);
    sweep.told("one task of an array preempted three times in a row, the others undisturbed")
}

fn in_the_shells_place_it_hears_the_end_of_the_grace_time(
    cluster: &Cluster,
    calm: &Weights,
) -> String {
    let place = "partition: low, nodelist: [n4], time: '00:20:00'";
    // The end of a grace time may come late: 20 s were seen for 2.
    let plan = Plan { place, step: 0.6, template: BARE, ..Plan::USUAL };
    let bare = Situation::new(cluster, "nosrun", plan).bare(&["srun", "scontrol"]).submitted();
    let story = preempted(&bare, "n4");
    bare.lost_nothing(&story, StopReason::Terminated);
    bare.same(calm);
    bare.told("no srun on the node: TERM at the end of the grace time, SLURM starts it again")
}

fn where_preemption_cancels_the_controller_submits_again(
    cluster: &Cluster,
    calm: &Weights,
) -> String {
    let place = "partition: lethal, nodelist: [n5], time: '00:05:00'";
    let plan = Plan { place, template: BARE, ..Plan::USUAL };
    let bare = Situation::new(cluster, "lethal", plan).bare(&["srun", "scontrol"]);
    let mut controller = bare.waiting();
    let story = preempted(&bare, "n5");
    assert_eq!(controller.wait().expect("the end").code(), Some(0), "{}", bare.logs());
    bare.lost_nothing(&story, StopReason::Terminated);
    bare.same(calm);
    bare.told("no srun, and preemption cancels: the controller submits it again")
}

fn a_warning_comes_before_the_end(cluster: &Cluster, calm: &Weights) -> String {
    let place = "partition: low, nodelist: [n6], time: '00:20:00'";
    let warned = Situation::new(cluster, "warned", Plan { place, ..Plan::USUAL }).submitted();
    let story = preempted(&warned, "n6");
    warned.lost_nothing(&story, StopReason::Warned);
    warned.same(calm);
    warned.told("preempt_send_user_signal: warned at the start of the grace time")
}

fn a_checkpoint_that_fits_the_grace_time_is_written(
    cluster: &Cluster,
    calm: &Weights,
    partition: &'static str,
    save: f64,
) -> String {
    let node = if partition == "long" { "n7" } else { "n8" };
    let place = format!("partition: {partition}, nodelist: [{node}], time: '00:05:00'");
    let plan = Plan { place: &place, save, ..Plan::USUAL };
    let fits = Situation::new(cluster, partition, plan).submitted();
    let story = preempted(&fits, node);
    fits.lost_nothing(&story, StopReason::Terminated);
    fits.same(calm);
    fits.told(&format!("a checkpoint of {save} s fits the grace time"))
}

fn one_that_does_not_fit_leaves_the_older_one_whole(cluster: &Cluster, calm: &Weights) -> String {
    let place = "partition: none, nodelist: [n9], time: '00:05:00'";
    let plan = Plan { place, step: 0.3, save: 12.0, ..Plan::USUAL };
    let slow = Situation::new(cluster, "slow", plan).submitted();
    slow.wait("the first epoch saved", |story| story.saved(1) == 1);
    slow.preempt("n9");
    let story = slow.wait("finished", Story::finished);
    assert_eq!(story.attempts.len(), 2, "{}", slow.logs());
    assert_eq!((story.asked(1), story.end(1)), (Some(StopReason::Terminated), None));
    // It goes on from the end of the first epoch.
    assert!(story.redone()[0] > 0 && story.redone()[0] < 40, "{:?}", story.redone());
    slow.same(calm);
    slow.told("killed 2 to 7 s after TERM while saving for 12 s: on from the older checkpoint")
}

/// The first of these ways into a container without an image that this machine allows.
fn container<'a>(known: &[&'a str]) -> Option<&'a str> {
    let works = |words: &&&str| {
        let mut shell = std::process::Command::new("sh");
        let status = shell.args(["-c", &format!("{words} true")]).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    };
    known.iter().find(works).copied()
}

// What is in them ends with them, as it does where SLURM tracks processes by cgroups.
const UNSHARE: &str = "unshare --mount --pid --fork --kill-child";
const UNSHARE_AS_USER: &str = "unshare --map-root-user --mount --pid --fork --kill-child";
const BUBBLEWRAP: &str = "bwrap --dev-bind / / --unshare-pid --die-with-parent";

fn through_a_container_under_srun(cluster: &Cluster, calm: &Weights) -> String {
    // USR2 is the signal that these programs are not prepared for.
    let words = container(&[UNSHARE, UNSHARE_AS_USER, BUBBLEWRAP]);
    boxed(cluster, calm, ("boxed", "n10"), words, StopReason::Warned)
}

fn through_a_container_in_the_shells_place(cluster: &Cluster, calm: &Weights) -> String {
    let words = container(&[BUBBLEWRAP, UNSHARE, UNSHARE_AS_USER]);
    boxed(cluster, calm, ("bareboxed", "n11"), words, StopReason::Terminated)
}

fn boxed(
    cluster: &Cluster,
    calm: &Weights,
    (name, node): (&'static str, &str),
    words: Option<&str>,
    reason: StopReason,
) -> String {
    let Some(words) = words else {
        skip(name, "container: neither bwrap nor unshare works here");
        return format!("safe: {name}: skipped");
    };
    let environment = if reason == StopReason::Terminated { BARE } else { "" };
    let template =
        format!("{environment}\n{{% block container %}}{words}{{% endblock container %}}");
    let place = format!("partition: low, nodelist: [{node}], time: '00:20:00'");
    // Saving takes a while: a container that ends before is noticed.
    let step = if environment.is_empty() { 0.2 } else { 0.5 };
    let plan = Plan { place: &place, step, save: 3.0, template: &template, ..Plan::USUAL };
    let boxed = Situation::new(cluster, name, plan).bare(&["srun", "scontrol"]).submitted();
    let story = preempted(&boxed, node);
    boxed.lost_nothing(&story, reason);
    boxed.same(calm);
    boxed.told(&format!("in a container ({words}): {reason:?}"))
}

fn a_refused_requeue_is_the_controllers_to_mend(cluster: &Cluster, calm: &Weights) -> String {
    let place = "partition: low, nodelist: [n12], time: '00:05:00'";
    let template = "{% block before %}\nexport PATH=HOME/bin:$PATH\n{% endblock before %}";
    let more = "policy: { preempted: { retry: 1 } }";
    let plan = Plan { place, template, more, ..Plan::USUAL };
    let refused = Situation::new(cluster, "refused", plan);
    refused.program("bin/scontrol", "#!/bin/sh\necho 'Access/permission denied' >&2\nexit 1\n");
    let mut controller = refused.waiting();
    for attempt in 1..=2 {
        refused.wait("training", |story| story.trains(attempt));
        refused.preempt("n12");
    }
    // Policy allows one submission more, and no other.
    assert_eq!(controller.wait().expect("the end").code(), Some(3), "{}", refused.logs());
    assert_eq!(refused.home.states("refused"), ["preempted"], "{}", refused.logs());
    refused.home.ok(&["resume", "refused"]);
    let story = refused.wait("finished", Story::finished);
    assert_eq!((story.attempts.len(), story.redone()), (3, vec![0, 0]), "{}", refused.logs());
    assert!(refused.logs().contains("permission denied"), "{}", refused.logs());
    refused.same(calm);
    refused.told("scontrol refuses: submitted again as often as policy allows, then by resume")
}

fn without_scontrol_the_controller_submits_again(cluster: &Cluster, calm: &Weights) -> String {
    let place = "partition: low, nodelist: [n13], time: '00:05:00'";
    let plan = Plan { place, template: BARE, ..Plan::USUAL };
    let bare = Situation::new(cluster, "noscontrol", plan).bare(&["scontrol"]);
    let mut controller = bare.waiting();
    let story = preempted(&bare, "n13");
    assert_eq!(controller.wait().expect("the end").code(), Some(0), "{}", bare.logs());
    bare.lost_nothing(&story, StopReason::Terminated);
    bare.same(calm);
    bare.told("no scontrol on the node: the controller submits it again")
}

fn preempted_before_the_worker_listens_it_comes_back(cluster: &Cluster, calm: &Weights) -> String {
    let place = "partition: low, nodelist: [n14], time: '00:05:00'";
    let mut early = Situation::new(cluster, "early", Plan { place, step: 0.1, ..Plan::USUAL });
    // A worker that needs a while to be loaded, the first time.
    let text = "#!/bin/bash\n((SLURM_RESTART_COUNT > 0)) || { touch HOME/loading; sleep 60; }\nexec WORKER \"$@\"\n";
    let text = text.replace("HOME", &early.home.path().display().to_string());
    early.program("worker", &text.replace("WORKER", env!("CARGO_BIN_EXE_regatta-worker")));
    let worker = early.home.at("worker").display().to_string();
    early.home.set("REGATTA_WORKER", worker);
    let early = early.submitted();
    early.wait_all("loading", |_| early.home.at("loading").exists());
    early.preempt("n14");
    let story = early.wait("finished", Story::finished);
    assert_eq!(story.attempts.len(), 1, "{}", early.logs());
    early.same(calm);
    early.told("preempted while the worker was being loaded: started again")
}
