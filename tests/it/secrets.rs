//! Secrets of the environment and of the workspace, over a whole sweep: nowhere below the root.

#![expect(clippy::disallowed_methods, reason = "tests start processes and write files")]

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::home::{Home, QUICK_TOY};

/// Part of every planted value.
const SECRET: &str = "s3cr3t-that-nobody-may-see";

/// Variables with a secret: by name, by value, or of no concern to anybody.
const VARIABLES: [(&str, &str); 16] = [
    ("AWS_SECRET_ACCESS_KEY", ""),
    ("WANDB_API_KEY", ""),
    ("HF_TOKEN", ""),
    ("SLURM_JWT", ""),
    ("REGATTA_API_KEY", ""),
    ("CONDA_AUTH", ""),
    ("TORCH_PASSWORD", ""),
    ("NVIDIA_TOKEN", ""),
    ("SINGULARITY_DOCKER_PASSWORD", ""),
    ("DATABASE_URL", "postgres://me:"),
    ("PIP_INDEX_URL", "https://me:"),
    ("CONDA_CHANNEL_ALIAS", "https://me:"),
    ("OMP_PROXY", "http://u:"),
    ("SSH_AUTH_SOCK", "/tmp/"),
    ("MY_DIARY", ""),
    ("APPTAINERENV_MINE", ""),
];

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("entry").path();
            if path.is_dir() { open.push(path) } else { found.push(path) }
        }
    }
    found
}

fn holds(path: &Path, text: &str) -> bool {
    let bytes = std::fs::read(path).expect("file");
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

fn git(home: &Home, words: &[&str]) {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]);
    let done = command.args(words).current_dir(home.path()).env("GIT_CONFIG_GLOBAL", "/dev/null");
    assert!(done.output().expect("git").status.success(), "{words:?}");
}

#[test]
fn a_secret_of_the_environment_or_the_workspace_is_nowhere_in_the_root() {
    let mut home = Home::with_quick_toy();
    for (name, before) in VARIABLES {
        let after = if before.contains("://") { "@host/x" } else { "" };
        home.set(name, format!("{before}{SECRET}{after}"));
    }
    // What shall be found, so that the search is known to see anything.
    home.set("OMP_DISPLAY_ENV", "what-is-to-be-seen").set("RUST_LOG", "trace");
    for file in [".env", "conf/prod.env", "key.pem", "my_secrets.yaml", "train.py"] {
        home.write(file, "first\n");
    }
    home.write(".gitignore", "runs\n");
    git(&home, &["init", "-q"]);
    git(&home, &["add", "-A"]);
    git(&home, &["commit", "-q", "-m", "first"]);
    for file in [".env", "conf/prod.env", "key.pem", "my_secrets.yaml"] {
        home.write(file, format!("API={SECRET}\n"));
    }
    home.write("train.py", "what-is-to-be-seen\n").write("new.py", SECRET);
    let said = home.ok(&[
        "-vv",
        "submit",
        "sweep.yaml",
        "--scheduler",
        "local",
        "--wait",
        "--poll",
        "0.05",
    ]);
    for words in
        [&["-vv", "status"][..], &["-vv", "best", "quick"], &["-vv", "rebuild"], &["-vv", "doctor"]]
    {
        let answer = home.ok(words);
        assert!(!answer.out.contains(SECRET) && !answer.err.contains(SECRET), "{words:?}");
    }
    assert!(!said.out.contains(SECRET) && !said.err.contains(SECRET), "the terminal");
    let files = files(&home.at("runs"));
    for path in &files {
        assert!(!holds(path, SECRET), "{} holds a secret", path.display());
    }
    let seen = |ending: &str| {
        files.iter().any(|path| {
            path.to_string_lossy().ends_with(ending) && holds(path, "what-is-to-be-seen")
        })
    };
    for ending in ["1.journal", ".diff", "regatta.db"] {
        assert!(seen(ending), "the search saw nothing in {ending}");
    }
    let diff = files.iter().find(|path| path.extension().is_some_and(|end| end == "diff"));
    let diff = std::fs::read_to_string(diff.expect("a diff")).expect("text");
    for name in [".env", "conf/prod.env", "key.pem", "my_secrets.yaml"] {
        assert!(diff.contains(&format!("# changed, content not kept: {name}\n")), "{diff}");
    }
}

#[test]
fn a_job_around_the_submitter_leaves_no_trace() {
    let mut home = Home::new();
    home.write("sweep.yaml", QUICK_TOY.replace("[4, 8]", "[4]"));
    for name in
        ["SLURM_JOB_ID", "SLURM_CPU_BIND", "SLURM_ARRAY_TASK_ID", "SBATCH_PARTITION", "SRUN_DEBUG"]
    {
        home.set(name, "of-another-job");
    }
    home.ok(&["submit", "sweep.yaml", "--scheduler", "local", "--wait", "--poll", "0.05"]);
    let trials = home.trials("quick");
    assert_eq!(trials.len(), 2);
    for folder in trials.values() {
        assert!(!holds(&folder.journal(1), "of-another-job"));
    }
}
