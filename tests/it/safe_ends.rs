//! Ends other than preemption on a real SLURM: the time limit, a dead node, a cancel, a requeue by
//! hand, and a site that sends nothing but TERM. What was trained stays, and a wish stays a wish.

#![expect(clippy::disallowed_methods, reason = "tests start processes and read the environment")]

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use regatta::event::{Event, Outcome, StopReason};

use crate::cluster::Cluster;
use crate::situation::{BARE, Plan, Situation, Story, Weights, side_by_side, undisturbed};
use crate::stage::skip;

#[test]
fn trials_that_end_early_go_on_where_they_were_or_stay_cancelled() {
    let name = "trials_that_end_early_go_on_where_they_were_or_stay_cancelled";
    if std::env::var("REGATTA_TEST_SLURM").as_deref() != Ok("1") {
        return skip(name, "slurm: REGATTA_TEST_SLURM is not 1");
    }
    let none = "PartitionName=none Nodes=ALL PriorityTier=1 PreemptMode=REQUEUE GraceTime=0";
    let fleet = "PartitionName=fleet Nodes=n[1-4] PriorityTier=1 PreemptMode=REQUEUE GraceTime=0";
    // No preempt_send_user_signal: a later line replaces the sandbox's own.
    let silent = "SlurmctldParameters=idle_on_node_suspend";
    let cluster = Cluster::start(&[
        "--nodes", "12", "--cpus", "1", "--gpus", "0", "--conf", none, "--conf", fleet, "--conf",
        silent,
    ]);
    let (cluster, calm) = (&cluster, &undisturbed());
    let told = side_by_side(vec![
        Box::new(|| two_of_a_dead_nodes_processes_live_on_and_do_no_harm(cluster, calm)),
        Box::new(|| nothing_but_term(cluster, calm, "term", "n5", "")),
        Box::new(|| nothing_but_term(cluster, calm, "bareterm", "n6", BARE)),
        Box::new(|| the_limit_is_known_and_never_reached(cluster, calm)),
        Box::new(|| the_limit_comes_without_the_worker_knowing(cluster, calm)),
        Box::new(|| the_limit_comes_while_checkpoints_take_too_long(cluster, calm)),
        Box::new(|| a_scancel_stays(cluster)),
        Box::new(|| a_cancel_saves_first_and_resume_goes_on_from_there(cluster, calm)),
        Box::new(|| a_requeue_by_hand_resumes(cluster, calm)),
    ]);
    told.iter().for_each(|line| println!("{line}"));
}

fn two_of_a_dead_nodes_processes_live_on_and_do_no_harm(
    cluster: &Cluster,
    calm: &Weights,
) -> String {
    let plan = Plan {
        rates: "[1e-2, 3e-2]",
        step: 0.5,
        every: 2,
        place: "partition: fleet, time: '00:05:00'",
        ..Plan::USUAL
    };
    let fleet = Situation::new(cluster, "fleet", plan).submitted();
    let both = |attempt: usize, saves: usize| {
        move |stories: &[Story]| {
            stories.len() == 2 && stories.iter().all(|story| story.saved(attempt) >= saves)
        }
    };
    let stories = fleet.wait_all("both have saved", both(1, 2));
    // One of the old processes sleeps until the new one is far ahead, as in a machine that hangs.
    let pids: Vec<Pid> = stories.iter().map(pid).collect();
    kill(pids[0], Signal::SIGSTOP).expect("stop");
    for story in &stories {
        let (_, node) = fleet.place(story);
        kill(cluster.daemon(&node), Signal::SIGKILL).expect("kill -9");
        // As SLURM itself would, when the node has not answered for SlurmdTimeout.
        let name = format!("NodeName={node}");
        cluster.say("scontrol", &["update", &name, "State=DOWN", "Reason=dead"]);
    }
    fleet.wait_all("both run elsewhere", both(2, 3));
    kill(pids[0], Signal::SIGCONT).expect("continue");
    let over = |stories: &[Story]| stories.iter().all(|s| s.finished() && s.end(1).is_some());
    let stories = fleet.wait_all("all old ones gave up, all new ones finish", over);
    for story in &stories {
        assert_eq!(story.attempts.len(), 2, "{}", fleet.logs());
        let end = Some((Outcome::Superseded, Some(StopReason::Superseded)));
        assert_eq!(story.end(1), end, "{}", fleet.logs());
        assert!(story.redone()[0] <= 40, "{:?}", story.redone());
        let newest = story.folder.checkpoints().names().expect("checkpoints");
        assert_eq!(newest.last().map(|name| name.attempt), Some(2), "{newest:?}");
    }
    fleet.same(calm);
    fleet.told("two nodes declared down while their processes lived on: the old ones gave up")
}

/// The worker's process on this machine.
fn pid(story: &Story) -> Pid {
    let pid = story.attempts[0].iter().find_map(|event| match event {
        Event::Header { pid, .. } => Some(*pid),
        _ => None,
    });
    Pid::from_raw(i32::try_from(pid.expect("a header")).expect("a pid"))
}

fn nothing_but_term(
    cluster: &Cluster,
    calm: &Weights,
    name: &'static str,
    node: &str,
    template: &str,
) -> String {
    let place = format!("partition: none, nodelist: [{node}], time: '00:05:00'");
    let plan = Plan { place: &place, template, ..Plan::USUAL };
    let term = Situation::new(cluster, name, plan).bare(&["srun", "scontrol"]).submitted();
    term.wait("training", |story| story.trains(1));
    term.preempt(node);
    let story = term.wait("finished", Story::finished);
    term.lost_nothing(&story, StopReason::Terminated);
    let scripts = term.home.json(&["plan", "sweep.yaml", "--scripts"]).to_string();
    assert!(scripts.contains("#SBATCH --requeue") && !scripts.contains("--signal"), "{scripts}");
    term.same(calm);
    let how = if template.is_empty() { "under srun" } else { "without srun" };
    term.told(&format!("no warning and no grace time, TERM and 2 s later KILL, {how}"))
}

fn the_limit_is_known_and_never_reached(cluster: &Cluster, calm: &Weights) -> String {
    let place = "partition: low, nodelist: [n7], time: '00:01:00'";
    let known = Situation::new(cluster, "known", Plan { place, step: 0.7, ..Plan::USUAL });
    let known = known.submitted();
    let story = known.wait("finished", Story::finished);
    known.lost_nothing(&story, StopReason::TimeBudget);
    known.same(calm);
    known.told("a limit of 60 s that the worker knows: it left in time and was started again")
}

/// Ends a job's time in 3 s, which the worker was not told; SLURM looks every 30 s.
fn end_time(situation: &Situation<'_>, story: &Story) {
    let (task, _) = situation.place(story);
    let id = format!("JobId={task}");
    situation.cluster.say("scontrol", &["update", &id, "EndTime=now+3"]);
}

fn the_limit_comes_without_the_worker_knowing(cluster: &Cluster, calm: &Weights) -> String {
    let place = "partition: low, nodelist: [n8], time: '00:05:00'";
    let unknown = Situation::new(cluster, "unknown", Plan { place, step: 0.6, ..Plan::USUAL });
    let mut controller = unknown.waiting();
    let story = unknown.wait("training", |story| story.trains(1));
    end_time(&unknown, &story);
    assert_eq!(controller.wait().expect("the end").code(), Some(0), "{}", unknown.logs());
    let story = unknown.wait("finished", Story::finished);
    unknown.lost_nothing(&story, StopReason::Terminated);
    unknown.same(calm);
    unknown.told("a limit that the worker does not know: TERM, and the controller submits again")
}

fn the_limit_comes_while_checkpoints_take_too_long(cluster: &Cluster, calm: &Weights) -> String {
    let place = "partition: low, nodelist: [n9], time: '00:05:00'";
    let plan = Plan { place, step: 0.25, save: 8.0, every: 5, ..Plan::USUAL };
    let late = Situation::new(cluster, "late", plan);
    let mut controller = late.waiting();
    let story = late.wait("training", |story| story.trains(1));
    end_time(&late, &story);
    assert_eq!(controller.wait().expect("the end").code(), Some(0), "{}", late.logs());
    let story = late.wait("finished", Story::finished);
    assert_eq!(story.attempts.len(), 2, "{}", late.logs());
    // 5 s are 20 steps.
    assert!(story.redone()[0] <= 21, "{:?}", story.redone());
    late.same(calm);
    late.told("the limit comes unknown, checkpoints take 8 s, KILL comes 2 to 7 s after TERM")
}

fn cancelled(situation: &Situation<'_>) {
    // Nobody brings it back: not SLURM, not the controller.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(12);
    while std::time::Instant::now() < deadline {
        situation.home.ok(&["tick"]);
        std::thread::sleep(std::time::Duration::from_secs(2));
    }
    assert_eq!(situation.home.states(situation.name), ["cancelled"], "{}", situation.logs());
    assert_eq!(situation.stories()[0].attempts.len(), 1, "{}", situation.logs());
}

fn a_scancel_stays(cluster: &Cluster) -> String {
    let place = "partition: low, nodelist: [n10], time: '00:05:00'";
    let scancel = Situation::new(cluster, "scancel", Plan { place, ..Plan::USUAL }).submitted();
    let story = scancel.wait("training", |story| story.trains(1));
    cluster.say("scancel", &[&scancel.place(&story).0]);
    let story = scancel.wait("its end", |story| story.end(1).is_some());
    assert_eq!(story.end(1), Some((Outcome::Stopped, Some(StopReason::Terminated))));
    assert_eq!(story.saved(1), 1, "{}", scancel.logs());
    cancelled(&scancel);
    scancel.told("scancel by hand: saved, and stays cancelled")
}

fn a_cancel_saves_first_and_resume_goes_on_from_there(cluster: &Cluster, calm: &Weights) -> String {
    let place = "partition: low, nodelist: [n11], time: '00:05:00'";
    let cancel = Situation::new(cluster, "cancel", Plan { place, ..Plan::USUAL }).submitted();
    cancel.wait("training", |story| story.trains(1));
    cancel.home.ok(&["cancel", "cancel"]);
    let story = cancel.wait("its end", |story| story.end(1).is_some());
    assert_eq!(story.end(1), Some((Outcome::Stopped, Some(StopReason::Cancelled))));
    assert_eq!(story.saved(1), 1, "{}", cancel.logs());
    cancelled(&cancel);
    cancel.home.ok(&["resume", "cancel", "--state", "cancelled"]);
    let story = cancel.wait("finished", Story::finished);
    cancel.lost_nothing(&story, StopReason::Cancelled);
    cancel.same(calm);
    cancel.told("regatta cancel: saved, stayed cancelled until regatta resume --state cancelled")
}

fn a_requeue_by_hand_resumes(cluster: &Cluster, calm: &Weights) -> String {
    let place = "partition: low, nodelist: [n12], time: '00:05:00'";
    let requeue = Situation::new(cluster, "requeue", Plan { place, ..Plan::USUAL }).submitted();
    let story = requeue.wait("training", |story| story.trains(1));
    cluster.say("scontrol", &["requeue", &requeue.place(&story).0]);
    let story = requeue.wait("finished", Story::finished);
    requeue.lost_nothing(&story, StopReason::Terminated);
    requeue.same(calm);
    requeue.told("scontrol requeue by hand: attempt 2 goes on")
}
