//! Rendered scripts: how they look, and what they do when bash runs them.

#![expect(
    clippy::disallowed_methods,
    reason = "tests start processes, write files and look at clocks"
)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use regatta::id::Token;
use regatta::layout::SweepFolder;
use regatta::script::{BUILT_IN, JobScript, Resources, TemplateSource, audit, render};

use crate::stage::{Stage, folder_of, read, skip, trial};

fn job(resources: &str) -> JobScript {
    JobScript {
        token: Token::placeholder(),
        folder: SweepFolder::new("/scratch/ada/runs/lr-batch"),
        worker: "/opt/regatta/regatta-worker".into(),
        tasks: 4,
        throttle: None,
        warn_before: Duration::from_secs(120),
        restart_limit: 10,
        resources: serde_yaml::from_str(resources).expect("resources"),
    }
}

fn full() -> JobScript {
    let resources = "{ partition: gpu, time: '04:00:00', cpus: 4, mem: 16G, gpus: a100:1, account: lab, qos: normal, \
                     constraint: 'a100|h100', reservation: course, nodelist: [n1, 'n[3-5]'], exclude: [n7], extra: [--nice=10, --exclusive] }";
    JobScript { throttle: Some(2), ..job(resources) }
}

fn site() -> TemplateSource {
    let text = "{% extends \"job.sh.tera\" %}\n\
                {% block modules %}module load cuda/12{% endblock modules %}\n\
                {% block environment %}export REGATTA_TASKS={{ tasks }}{% endblock environment %}\n\
                {% block container %}  apptainer exec --nv {{ folder }}/image.sif{% endblock container %}\n\
                {% block before %}nvidia-smi || true{% endblock before %}\n\
                {% block after %}echo \"ended with $code\"{% endblock after %}\n";
    TemplateSource { site: Some(text.to_owned()), sweep: None }
}

fn all() -> Vec<(&'static str, String)> {
    let plain = TemplateSource::default();
    vec![
        ("plain", render(&plain, &job("{}")).expect("script")),
        ("full", render(&plain, &full()).expect("script")),
        ("site", render(&site(), &full()).expect("script")),
    ]
}

#[test]
fn scripts_look_like_this() {
    let all = all();
    insta::assert_snapshot!("plain", all[0].1);
    // The rest differs in few lines.
    let lines = |text: &str| -> String {
        let old: Vec<&str> = all[0].1.lines().collect();
        text.lines().filter(|line| !old.contains(line)).map(|line| format!("{line}\n")).collect()
    };
    insta::assert_snapshot!("full", lines(&all[1].1));
    insta::assert_snapshot!("site", lines(&all[2].1));
}

#[test]
fn bash_and_shellcheck_have_no_complaints() {
    let folder = tempfile::tempdir().expect("folder");
    let mut checked = true;
    for (name, text) in all() {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("script");
        let bash = Command::new("bash").arg("-n").arg(&path).output().expect("bash");
        assert!(bash.status.success() && bash.stderr.is_empty(), "{name}: {bash:?}");
        match Command::new("shellcheck").arg("--shell=bash").arg(&path).output() {
            Ok(output) => assert!(
                output.status.success(),
                "{name}: {}",
                String::from_utf8_lossy(&output.stdout)
            ),
            Err(_) => checked = false,
        }
    }
    if !checked {
        skip("bash_and_shellcheck_have_no_complaints", "shellcheck is not installed");
    }
}

#[test]
fn no_template_lets_values_out_of_their_quotes() {
    let templates = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
    let mut seen = 0;
    for entry in std::fs::read_dir(templates).expect("templates") {
        let path = entry.expect("entry").path();
        if path.is_dir() {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("template");
        assert_eq!(audit(&text), Ok(()), "{}", path.display());
        seen += 1;
    }
    assert!(seen > 0 && BUILT_IN.contains("{{ worker }}"));
}

/// A script on its way, in SLURM's environment but with programs that the test controls.
struct Act {
    stage: Stage,
    answers: PathBuf,
}

impl Act {
    fn new(worker: &str) -> Self {
        let stage = Stage::with(2, worker, "{ time: '01:00:00' }", |job| job.restart_limit = 2);
        let answers = stage.out("answers");
        std::fs::create_dir_all(&answers).expect("answers");
        let act = Self { stage, answers };
        act.answer("squeue-L.out", "1-00:00:10\n");
        act.answer("squeue-StateRestartCnt.out", "RUNNING|0|\n");
        act
    }

    fn answer(&self, name: &str, text: &str) {
        std::fs::write(self.answers.join(name), text).expect("answer");
    }

    fn command(&self, path: &str) -> Command {
        let mut command = Command::new("bash");
        command.arg(folder_of(&self.stage).script(self.stage.job.token));
        command.env("PATH", path).env("FAKE_SLURM", &self.answers);
        command.env_remove("REGATTA_TASK").env_remove("SLURM_JOB_END_TIME");
        command
            .env("SLURM_ARRAY_JOB_ID", "12")
            .env("SLURM_ARRAY_TASK_ID", "1")
            .env("SLURM_JOB_ID", "12");
        command.env("SLURM_CPUS_PER_TASK", "3").stdin(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn start(&self) -> Child {
        self.command(&fake_path()).spawn().expect("bash")
    }

    fn code(&self) -> Option<i32> {
        self.start().wait().expect("wait").code()
    }

    fn calls(&self) -> String {
        read(&self.answers.join("calls"))
    }
}

fn fake_path() -> String {
    let fakes = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fake-slurm");
    format!("{}:{}", fakes.display(), std::env::var("PATH").expect("PATH"))
}

/// A PATH with nothing of SLURM's, not even a real one.
fn bare_path(act: &Act) -> String {
    let bin = act.stage.out("bin");
    std::fs::create_dir_all(&bin).expect("bin");
    for name in ["bash", "sed", "date", "sleep", "cat", "env"] {
        let found = Command::new("which").arg(name).output().expect("which");
        let target = String::from_utf8(found.stdout).expect("path");
        std::os::unix::fs::symlink(target.trim(), bin.join(name)).expect("link");
    }
    bin.display().to_string()
}

fn wait_until(what: &str, mut good: impl FnMut() -> bool) {
    let start = Instant::now();
    while !good() {
        assert!(start.elapsed() < Duration::from_secs(10), "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn signal(child: &Child, signal: Signal) {
    let _ = kill(Pid::from_raw(i32::try_from(child.id()).expect("pid")), signal);
}

#[test]
fn the_worker_gets_what_it_needs() {
    let act = Act::new(
        "echo \"$index|$left|$origin|$OMP_NUM_THREADS|$SRUN_CPUS_PER_TASK|$PWD|$trial\" >\"$out/seen\"",
    );
    assert_eq!(act.code(), Some(0));
    let folder = folder_of(&act.stage).path().display().to_string();
    let line = format!("{{\"trial\":\"{}\",\"seed\":1}}", trial(1));
    assert_eq!(act.stage.said("seen"), format!("1|86410|slurm:12_1:0|3|3|{folder}|{line}"));
    assert_eq!(act.calls(), "squeue -h -j 12_1 -o %L");
}

#[test]
fn the_time_left_is_read_in_all_its_forms() {
    let act = Act::new("echo \"left=$left\" >\"$out/seen\"");
    let cases = [
        ("59:08\n", "3548"),
        ("08:09:09", "29349"),
        ("2-01:02:03", "176523"),
        ("0:30", "30"),
        ("UNLIMITED", ""),
        ("INVALID", ""),
        ("NOT_SET", ""),
    ];
    for (answer, expected) in cases {
        act.answer("squeue-L.out", answer);
        assert_eq!(act.code(), Some(0));
        assert_eq!(act.stage.said("seen"), format!("left={expected}"), "{answer}");
    }
    // Nobody answers: the limit that was asked for.
    act.answer("squeue-L.out", "");
    act.answer("squeue.rc", "1");
    assert_eq!(act.code(), Some(0));
    let left: u64 = act.stage.said("seen")[5..].parse().expect("number");
    assert!((3590..=3600).contains(&left), "{left}");
    let end =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("now").as_secs()
            + 500;
    let mut command = act.command(&fake_path());
    assert!(command.env("SLURM_JOB_END_TIME", end.to_string()).status().expect("bash").success());
    let left: u64 = act.stage.said("seen")[5..].parse().expect("number");
    assert!((490..=500).contains(&left), "{left}");
}

#[test]
fn exit_codes_are_the_workers() {
    for code in [0, 1, 2, 65, 127, 137] {
        let act = Act::new(&format!("exit {code}"));
        assert_eq!(act.code(), Some(code));
    }
    let act = Act::new("kill -KILL $$");
    assert_eq!(act.code(), Some(137), "a killed worker");
}

#[test]
fn signals_do_not_change_the_exit_code() {
    // The worker ends by itself at a moment when signals rain on the shell.
    for round in 0..20 {
        let act =
            Act::new("touch \"$out/on\"; while [[ ! -e $out/end ]]; do sleep 0.01; done; exit 3");
        let mut script = act.start();
        wait_until("the worker begins", || act.stage.out("on").exists());
        let rain = [Signal::SIGTERM, Signal::SIGUSR1, Signal::SIGUSR2, Signal::SIGINT];
        let mut drops = 0;
        let code = loop {
            signal(&script, rain[drops % 4]);
            drops += 1;
            if drops == 5 {
                std::fs::write(act.stage.out("end"), "").expect("end");
            }
            std::thread::sleep(Duration::from_micros(500 + 300 * round));
            if let Some(status) = script.try_wait().expect("wait") {
                break status.code();
            }
        };
        assert_eq!(code, Some(3), "round {round} after {drops} signals");
    }
}

#[test]
fn a_signal_to_all_lets_the_worker_finish_in_peace() {
    let act = Act::new(
        "trap 'sleep 0.3; touch \"$out/saved\"; exit 65' TERM; touch \"$out/on\"; for n in {1..500}; do sleep 0.02; done",
    );
    let mut command = act.command(&fake_path());
    let mut script =
        std::os::unix::process::CommandExt::process_group(&mut command, 0).spawn().expect("bash");
    wait_until("the worker begins", || act.stage.out("on").exists());
    let group = Pid::from_raw(i32::try_from(script.id()).expect("pid"));
    for _ in 0..3 {
        let _ = nix::sys::signal::killpg(group, Signal::SIGTERM);
        std::thread::sleep(Duration::from_millis(30));
    }
    assert_eq!(script.wait().expect("wait").code(), Some(65));
    assert!(act.stage.out("saved").exists());
}

#[test]
fn a_stopped_task_asks_to_be_started_again_and_stays() {
    let act = Act::new("exit 75");
    let mut script = act.start();
    wait_until("the restart is asked for", || act.calls().contains("scontrol"));
    std::thread::sleep(Duration::from_millis(200));
    signal(&script, Signal::SIGTERM);
    std::thread::sleep(Duration::from_millis(200));
    assert!(script.try_wait().expect("wait").is_none(), "it waits for its end");
    signal(&script, Signal::SIGKILL);
    script.wait().expect("killed");
    // Not `12`, which is the whole array.
    assert_eq!(act.calls().lines().last(), Some("scontrol requeue 12_1"));
}

#[test]
fn a_stopped_task_does_not_ask_where_it_should_not() {
    let not = |why: &str, prepare: &dyn Fn(&Act), change: &dyn Fn(&mut Command)| {
        let act = Act::new("exit 75");
        prepare(&act);
        let mut command = act.command(&fake_path());
        change(&mut command);
        assert_eq!(command.status().expect("bash").code(), Some(75), "{why}");
        assert!(!act.calls().contains("scontrol"), "{why}: {}", act.calls());
    };
    let nothing = |_: &mut Command| {};
    let says = |act: &Act, words: &str| act.answer("squeue-StateRestartCnt.out", words);
    not("after a scancel", &|act| says(act, "COMPLETING|0|\n"), &nothing);
    not("a later start runs elsewhere", &|act| says(act, "RUNNING|1|\n"), &nothing);
    not(
        "squeue does not answer",
        &|act| {
            act.answer("squeue.rc", "1");
            says(act, "");
        },
        &nothing,
    );
    not(
        "a mark",
        &|act| {
            std::fs::write(folder_of(&act.stage).trial(&trial(1)).cancel_mark(), "").expect("mark")
        },
        &nothing,
    );
    not(
        "a strange job file",
        &|act| {
            std::fs::write(
                folder_of(&act.stage).job_file(act.stage.job.token),
                "x\n{\"trial\":\"../../x\"}\n",
            )
            .expect("job")
        },
        &nothing,
    );
    not("the limit", &|_| {}, &|command| {
        command.env("SLURM_RESTART_COUNT", "2");
    });
    not("the local scheduler", &|_| {}, &|command| {
        command.env("REGATTA_TASK", "1");
    });
}

#[test]
fn a_worker_that_a_signal_met_before_it_listened_is_started_again() {
    for signal in ["TERM", "USR1", "USR2"] {
        let act = Act::new(&format!("kill -{signal} $$"));
        let mut script = act.start();
        wait_until("the restart is asked for", || act.calls().contains("scontrol"));
        self::signal(&script, Signal::SIGKILL);
        script.wait().expect("killed");
    }
    assert_eq!(Act::new("kill -KILL $$").code(), Some(137), "what it was killed of is final");
}

#[test]
fn another_trials_mark_does_not_count() {
    let act = Act::new("exit 75");
    std::fs::write(folder_of(&act.stage).trial(&trial(0)).cancel_mark(), "").expect("mark");
    let mut script = act.start();
    wait_until("the restart is asked for", || act.calls().contains("scontrol"));
    signal(&script, Signal::SIGKILL);
    script.wait().expect("killed");
}

#[test]
fn without_slurms_programs_the_worker_takes_the_shells_place() {
    let act = Act::new("echo $PPID >\"$out/parent\"; exit 75");
    let mut command = act.command(&bare_path(&act));
    assert_eq!(command.status().expect("bash").code(), Some(75));
    assert_eq!(act.stage.said("parent"), std::process::id().to_string());
}

#[test]
fn strange_paths_arrive_unchanged() {
    let base = tempfile::tempdir().expect("folder");
    let name = "it's $(touch pwned) & é; {x} *";
    let folder = SweepFolder::new(base.path().join(name));
    std::fs::create_dir_all(folder.jobs()).expect("jobs");
    let worker = folder.path().join("wor ker");
    std::fs::write(&worker, "#!/bin/bash\nprintf '%s\\n' \"$@\" >seen\n").expect("worker");
    std::fs::set_permissions(&worker, std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .expect("mode");
    let token = Token::placeholder();
    let description =
        JobScript { folder: folder.clone(), worker, resources: Resources::default(), ..job("{}") };
    let text = render(&TemplateSource::default(), &description).expect("script");
    std::fs::write(folder.script(token), text).expect("script");
    let status = Command::new("bash").arg(folder.script(token)).env("REGATTA_TASK", "0").status();
    assert!(status.expect("bash").success());
    let seen = read(&folder.path().join("seen"));
    assert_eq!(seen.lines().nth(2), folder.job_file(token).to_str());
    assert!(!folder.path().join("pwned").exists() && !Path::new("pwned").exists());
}
