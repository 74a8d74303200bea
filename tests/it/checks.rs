//! What `regatta check` says of the time to leave: the cluster's, a checkpoint's; and of memory.

#![expect(clippy::disallowed_methods, reason = "tests read the environment")]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::cluster::Cluster;
use crate::home::{Home, QUICK_TOY};
use crate::stage::skip;

/// A home with SLURM as files answer for it, and a worker that tells what it is told to.
fn home(sweep: &str, worker_says: &str) -> Home {
    let mut home = Home::new();
    let fakes = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fake-slurm");
    let path = std::env::var("PATH").expect("PATH");
    home.set("PATH", format!("{}:{path}", fakes.display()));
    home.set("FAKE_SLURM", home.at("slurm").display().to_string());
    // The fakes run no jobs.
    home.set("REGATTA_SCHEDULER", "local");
    home.write("sweep.yaml", format!("{QUICK_TOY}{sweep}"));
    home.write(
        "slurm/scontrol-config.out",
        "KillWait                = 20 sec\nSLURM_VERSION = 22.05.8\n",
    );
    let partition = |name: &str, default: &str, grace: u32| {
        format!("PartitionName={name} Default={default} GraceTime={grace} Hidden=NO\n")
    };
    home.write("slurm/scontrol-low.out", partition("low", "NO", 5));
    let all = partition("low", "NO", 5) + &partition("usual", "YES", 0);
    home.write("slurm/scontrol-partition.out", all);
    home.write(
        "bin/worker",
        format!(
            "#!/bin/sh\necho \"$*\" >>\"{}\"\necho '{worker_says}'\n",
            home.at("asked").display()
        ),
    );
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(home.at("bin/worker"), mode).expect("mode");
    home.set("REGATTA_WORKER", home.at("bin/worker").display().to_string());
    home
}

/// The result and the text of a line.
fn line(home: &Home, check: &str) -> (String, String) {
    let found = home.json(&["check", "sweep.yaml"]);
    let lines = found["checks"].as_array().expect("lines");
    let line = lines.iter().find(|line| line["check"] == check);
    let line = line.unwrap_or_else(|| panic!("no line {check}: {found:#}"));
    let text = |key: &str| line[key].as_str().expect("text").to_owned();
    (text("result"), text("text"))
}

#[test]
fn the_clusters_grace_is_told_and_compared() {
    let usual = home("budget: { grace: 20s }\n", "{}");
    let (result, text) = line(&usual, "grace");
    assert_eq!(result, "ok", "{text}");
    assert_eq!(
        text,
        "a job gets 20 s between TERM and KILL at a time limit, 0 + 20 s at a preemption (partition usual)"
    );
    // 30 s, the default, is more than this cluster gives.
    let named = home("resources: { partition: low }\n", "{}");
    let (result, text) = line(&named, "grace");
    assert_eq!(result, "warning", "{text}");
    assert!(
        text.contains("5 + 20 s at a preemption (partition low); `budget.grace` is 30 s"),
        "{text}"
    );
    named.write("slurm/scontrol.rc", "1");
    let (result, text) = line(&named, "grace");
    assert_eq!(
        (result.as_str(), text.as_str()),
        ("not checked", "no answer from SLURM; `budget.grace` is 30 s")
    );
}

#[test]
fn a_checkpoint_that_does_not_fit_into_the_grace_is_told() {
    let report = r#"{"parameters":3,"device":"cpu","steps_per_epoch":5,"state_bytes":240}"#;
    let fits = home("", report);
    let (result, text) = line(&fits, "saving");
    assert_eq!(result, "ok", "{text}");
    assert!(text.starts_with("a checkpoint of 240 B takes about"), "{text}");
    assert!(!fits.at("runs").exists() && !fits.files().iter().any(|name| name.contains("probe")));
    assert_eq!(line(&fits, "worker").1, "toy: 3 parameters on cpu; 5 steps an epoch");
    let asked = std::fs::read_to_string(fits.at("asked")).expect("asked");
    assert!(asked.lines().all(|line| line.ends_with("--json")), "{asked}");
    // A petabyte takes a while anywhere; 64 MiB of it are written.
    let large = r#"{"parameters":3,"device":"cpu","state_bytes":1000000000000000}"#;
    let (result, text) = line(&home("budget: { grace: 2s }\n", large), "saving");
    assert_eq!(result, "warning", "{text}");
    assert!(text.starts_with("a checkpoint of 1000000.0 GB takes about"), "{text}");
    assert!(
        text.contains("more than the grace of 2 s") && text.contains("checkpoint_every"),
        "{text}"
    );
    // A worker that does not know the size, and a folder that refuses.
    assert_eq!(line(&home("", "{}"), "saving").0, "not checked");
    let mut full = home("", report);
    full.set("REGATTA_FAULTS", "write.content=full");
    let (result, text) = line(&full, "saving");
    assert_eq!(result, "failed", "{text}");
    assert_eq!(full.type_in(&["check", "sweep.yaml"]).code, 1);
}

#[test]
fn a_trial_that_needs_more_memory_than_its_job_asks_for_is_told() {
    let report = r#"{"parameters":3,"device":"cpu","memory_bytes":1073741824}"#;
    let (result, text) = line(&home("resources: { mem: 1000M }\n", report), "memory");
    assert_eq!(result, "warning", "{text}");
    assert!(text.starts_with("about 1024 MiB are needed, more than the 1000 MiB"), "{text}");
    for enough in ["resources: { mem: 1G }\n", ""] {
        let found = home(enough, report).json(&["check", "sweep.yaml"]);
        let lines = found["checks"].as_array().expect("lines");
        assert!(!lines.iter().any(|line| line["check"] == "memory"), "{enough}{found:#}");
    }
}

#[test]
fn a_real_cluster_tells_its_grace_and_the_worker_looks_on_a_node() {
    const NAME: &str = "a_real_cluster_tells_its_grace_and_the_worker_looks_on_a_node";
    if std::env::var("REGATTA_TEST_SLURM").as_deref() != Ok("1") {
        return skip(NAME, "slurm: REGATTA_TEST_SLURM is not 1");
    }
    let cluster = Cluster::start(&["--grace", "7"]);
    let mut home = Home::new();
    home.write("sweep.yaml", format!("{QUICK_TOY}budget: {{ grace: 2s }}\n"));
    home.set("SLURM_CONF", cluster.conf().display().to_string());
    let (result, text) = line(&home, "grace");
    assert_eq!(result, "ok", "{text}");
    assert!(
        text.contains("gets 2 s between")
            && text.contains("7 + 2 s at a preemption (partition low)"),
        "{text}"
    );
    let (result, text) = line(&home, "worker");
    assert_eq!(result, "ok", "{text}");
    let node = text.strip_prefix("on ").and_then(|text| text.split_once(": "));
    assert!(
        node.is_some_and(|(_, found)| found.starts_with("toy: 10 parameters on cpu")),
        "{text}"
    );
    assert!(!home.at("runs").exists(), "check left something behind");

    // A job that cannot be, and one that ends before its worker is started.
    let with = |rest: &str| home.write("sweep.yaml", format!("{QUICK_TOY}{rest}\n"));
    let failure = |home: &Home| {
        let answer = home.type_in(&["check", "sweep.yaml"]);
        assert_eq!(answer.code, 1, "{}", answer.out);
        answer.out
    };
    with("resources: { partition: nowhere }");
    assert!(failure(&home).contains("invalid partition"), "{}", failure(&home));
    home.write(
        "early.tera",
        "{% extends \"job.sh.tera\" %}{% block before %}echo no such module; exit 3{% endblock before %}",
    );
    with("template: early.tera");
    let said = failure(&home);
    assert!(said.contains("ended before its worker said a word: no such module"), "{said}");
    // A queue that does not move: the job is taken back.
    with("resources: { partition: low, extra: [\"--begin=now+1hour\"] }");
    let answer = home.type_in(&["check", "sweep.yaml", "--patience", "4"]);
    assert!(
        answer.out.contains("did not answer within 4 s (pending: BeginTime)"),
        "{}",
        answer.out
    );
    assert_eq!(cluster.say("squeue", &["-h", "-t", "PENDING,RUNNING"]), "");
    assert!(!home.at("runs").exists(), "check left something behind");
}

/// A sweep over images, of which nothing is decoded here.
const IMAGES: &str = "
name: images
fixed:
  model: { name: unet, base: 2, depth: 1 }
  data: { path: PATH, patch: 16 }
  epochs: 1
";

#[test]
fn a_data_folder_is_judged_once_and_what_to_set_is_named() {
    let home = home("", r"{}");
    let refusing = "#!/bin/sh\necho \"error: $HOME/data: worker's words\" >&2\nexit 2\n";
    home.write("bin/worker", refusing.replace("$HOME", &home.path().display().to_string()));
    for name in ["a", "b"] {
        home.write(&format!("data/images/{name}.png"), "");
        home.write(&format!("data/masks/{name}_seg.png"), "");
    }
    home.write("sweep.yaml", IMAGES.replace("PATH", "data"));
    let found = home.type_in(&["check", "sweep.yaml"]);
    let text = found.out;
    assert!(text.contains("set data.mask_suffix: _seg"), "{text}");
    assert!(text.contains("its data cannot be used, see above"), "{text}");
    assert!(!text.contains("worker's words"), "{text}");

    home.write("data/split.csv", "name,split\na,train\nb,val\n");
    home.write("sweep.yaml", IMAGES.replace("PATH", "data, mask_suffix: _seg"));
    let (result, text) = line(&home, "worker");
    assert!(result == "failed" && text.contains("worker's words"), "{result}: {text}");
    let said = home.type_in(&["check", "sweep.yaml"]);
    let said = said.out;
    assert!(said.contains("split.csv only `test` is heeded, as data.split is file"), "{said}");
    home.write("sweep.yaml", IMAGES.replace("PATH", "data, mask_suffix: _seg, split: split.csv"));
    let said = home.type_in(&["check", "sweep.yaml"]);
    assert!(!said.out.contains("heeded"), "{}", said.out);

    home.write("sweep.yaml", IMAGES.replace("PATH", "~/data"));
    let (_, text) = line(&home, "data");
    assert!(text.contains("`~` is taken as the name of a folder"), "{text}");
}

#[test]
fn of_images_and_masks_in_one_folder_is_said_what_to_set() {
    let home = home("", r"{}");
    for name in ["z1", "z2", "z10"] {
        home.write(&format!("data/{name}.png"), "").write(&format!("data/{name}_seg.png"), "");
    }
    let told = |data: &str| {
        home.write("sweep.yaml", IMAGES.replace("PATH", data));
        line(&home, "data")
    };
    let (result, text) = told("data, mask_suffix: _seg");
    assert!(result == "failed" && text.contains("set data.images: ."), "{text}");
    let flat = "data, images: ., masks: .";
    let (result, text) = told(flat);
    assert!(result == "failed" && text.contains("images and masks lie in one folder"), "{text}");
    let (result, text) = told(&format!("{flat}, mask_suffix: _mask"));
    assert!(result == "failed" && text.contains("set data.mask_suffix: _seg"), "{text}");
    let (result, text) = told(&format!("{flat}, mask_suffix: _seg"));
    assert!(result == "ok" && text.ends_with("3 pairs of image and mask"), "{text}");
    std::fs::remove_file(home.at("data/z2_seg.png")).expect("removed");
    let (result, text) = told(&format!("{flat}, mask_suffix: _seg"));
    assert!(result == "failed" && text.contains("the mask of z2 is z2_seg"), "{text}");
}
