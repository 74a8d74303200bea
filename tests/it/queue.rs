//! One question a minute: what all terminals of a user together ask of squeue.

use std::process::Stdio;

use crate::home::Home;

/// A home on a cluster of which answers stand in files, with a sweep that was submitted there.
struct Site {
    home: Home,
}

impl Site {
    fn new() -> Self {
        let mut home = Home::on_fake_slurm();
        home.set("REGATTA_MAX_AGE", "60");
        home.ok(&["submit", "sweep.yaml"]);
        Self { home }
    }

    /// Calls of a program since the last time.
    fn calls(&self, program: &str) -> usize {
        let count = self.home.calls(program);
        self.home.write("answers/calls", "");
        count
    }

    fn counts(&self) -> serde_json::Value {
        self.home.json(&["status", "quick"])["sweeps"][0]["states"].clone()
    }
}

#[test]
fn many_terminals_ask_once() {
    let site = Site::new();
    site.home.queue(&["RUNNING", "PENDING", "PENDING", "PENDING"]);
    site.calls("squeue");
    let look =
        || site.home.command(&["status"]).stderr(Stdio::null()).stdout(Stdio::null()).spawn();
    let looks: Vec<_> = (0..6).map(|_| look().expect("start")).collect();
    for mut one in looks {
        assert!(one.wait().expect("end").success());
    }
    for words in [&["status", "quick"][..], &["tick"], &["trials", "quick"], &["tick", "quick"]] {
        site.home.ok(words);
    }
    assert_eq!(site.calls("squeue"), 1);
    assert_eq!(site.counts(), serde_json::json!({ "running": 1, "submitted": 3 }));
    // Another one is asked for when the first is too old.
    site.home.queue(&["RUNNING"; 4]);
    assert_eq!(site.counts()["running"], 1);
    let now = site.home.command(&["status", "--max-age", "0"]).output().expect("status");
    assert!(now.status.success());
    assert_eq!((site.calls("squeue"), site.counts()["running"].clone()), (1, 4.into()));
}

#[test]
fn an_answer_from_before_a_submission_says_nothing_about_it() {
    let site = Site::new();
    site.home.queue(&["RUNNING"; 4]);
    site.home.ok(&["status"]);
    let text = crate::home::QUICK_TOY.replace("name: quick", "name: second");
    site.home.write("second.yaml", text);
    site.home.write("answers/sbatch.out", "78\n");
    site.home.ok(&["submit", "second.yaml"]);
    let status = site.home.json(&["status", "second"]);
    assert_eq!(status["sweeps"][0]["states"], serde_json::json!({ "submitted": 4 }));
    assert_eq!(site.calls("squeue"), 1);
}

#[test]
fn while_slurm_is_down_the_journals_answer_and_nobody_hammers_it() {
    let site = Site::new();
    site.home.queue(&["RUNNING"; 4]);
    site.home.ok(&["status"]);
    site.home.write("answers/squeue.rc", "1").write(
        "answers/squeue.err",
        "slurm_load_jobs error: Unable to contact slurm controller (connect failure)\n",
    );
    site.calls("squeue");
    let first = site.home.ok(&["status", "--max-age", "0"]);
    for text in ["Unable to contact slurm controller", "this is what the journals tell"] {
        assert!(first.err.contains(text), "{}", first.err);
    }
    assert!(first.out.contains("4 trials"), "{}", first.out);
    for words in [&["status"][..], &["tick"], &["trials", "quick"], &["status", "quick"]] {
        site.home.ok(words);
    }
    let told = site.home.json(&["status"]);
    let silent = told["sweeps"][0]["scheduler"]["silent"].as_str().expect("silent");
    assert!(silent.contains("asked at"), "{silent}");
    let calls = site.home.at("answers/calls");
    let text = std::fs::read_to_string(calls).expect("calls");
    // Nor is it asked for its limits, nor sent anything.
    assert_eq!(text.lines().count(), 1, "{text}");
}

#[test]
fn looking_moves_things_on_once() {
    let site = Site::new();
    site.home.queue(&["PREEMPTED", "RUNNING", "PREEMPTED", "RUNNING"]);
    site.home.write("answers/sbatch.out", "78\n");
    site.calls("sbatch");
    site.home.ok(&["status", "--only-look"]);
    assert_eq!(site.counts()["submitted"], 2);
    assert_eq!(site.calls("sbatch"), 1, "once by the second look, which submits");
    site.home.ok(&["status"]);
    site.home.ok(&["tick"]);
    assert_eq!((site.calls("sbatch"), site.calls("squeue")), (0, 0));
    assert_eq!(site.counts(), serde_json::json!({ "running": 2, "submitted": 2 }));
}
