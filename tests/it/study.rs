//! `scripts/study`: sweeps are packed, unpacked in another place, trained there in slices, carried on to a
//! third place, and end as an uncut training does.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use regatta::clock::{Clock, SystemClock};
use regatta::id::TrialId;
use regatta::layout::{self, Root, SweepFolder};
use regatta::worker::record::TrialResult;

use crate::home::{Home, controller};
use crate::stage::skip;

/// Trials that sleep for eight seconds each, longer than it takes to stop them.
const TOY: &str = "\
name: quick
fixed:
  model: { name: toy, steps_per_epoch: 40, step_seconds: 0.02 }
  epochs: 10
grid:
  optimizer.lr: [1e-2, 1e-1]
budget: { checkpoint_every: 0.2 }
";

/// What a command of the study said.
struct Said {
    code: i32,
    err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        Self { code: output.status.code().unwrap_or(-1), err }
    }
}

fn study(program: &Path, folder: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(words).current_dir(folder).env("OMP_NUM_THREADS", "1");
    for name in ["REGATTA_ROOT", "REGATTA_SCHEDULER", "REGATTA_TEMPLATE", "REGATTA_FAULTS"] {
        command.env_remove(name);
    }
    command
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/study")
}

/// What the study is packed with, and the libtorch of the worker, where it has one.
struct Programs {
    bin: PathBuf,
    torch: Option<String>,
}

impl Programs {
    /// None where a program that packing needs is missing.
    fn find(home: &Home, test: &str) -> Option<Self> {
        let is_there = |program: &str| Command::new(program).arg("--version").output().is_ok();
        if let Some(missing) = ["python3", "tar", "ldd"].into_iter().find(|name| !is_there(name)) {
            skip(test, &format!("tools: {missing} is missing"));
            return None;
        }
        let bin = home.at("bin");
        let worker = Path::new(env!("CARGO_BIN_EXE_regatta-worker"));
        std::fs::create_dir(&bin).expect("a folder");
        for (name, program) in [("regatta", controller().as_path()), ("regatta-worker", worker)] {
            std::os::unix::fs::symlink(program, bin.join(name)).expect("a link");
        }
        let links = Command::new("ldd").arg(worker).output().expect("ldd").stdout;
        let links = String::from_utf8_lossy(&links).into_owned();
        let torch = links.lines().find_map(|line| {
            let (name, rest) = line.trim().split_once(" => ")?;
            let path = rest.split(" (").next()?;
            let lib = Path::new(path).parent()?;
            (name == "libtorch_cpu.so")
                .then(|| lib.parent().map(|dir| dir.display().to_string()))?
        });
        Some(Self { bin, torch })
    }

    /// Packs a sweep and unpacks it in two places.
    fn carried(&self, home: &Home, words: &[&str]) -> [PathBuf; 2] {
        let bin = self.bin.display().to_string();
        let words = [&["pack"], words, &["--bin", &bin, "--out", "it.tar"]].concat();
        let said = Said::from(study(&script(), home.path(), &words).output().expect("bash"));
        assert_eq!(said.code, 0, "{}", said.err);
        ["here", "there"].map(|name| {
            let place = home.at(name);
            std::fs::create_dir(&place).expect("a folder");
            let mut tar = Command::new("tar");
            tar.arg("-xf").arg(home.at("it.tar")).current_dir(&place);
            assert!(tar.status().expect("tar").success());
            place.join("study")
        })
    }

    /// Trains until a checkpoint is there, and then is asked to stop, as at the end of a slice. Slices of a
    /// fixed time would hold nothing on a busy machine, and all on a fast one.
    fn cut(&self, place: &Path, sweep: &str, words: &[&str]) -> Said {
        let folder = Root::new(place.join("runs")).sweep(sweep);
        let is_saved = |id: &TrialId| {
            let names = folder.trial(id).checkpoints().names();
            names.is_ok_and(|names| !names.is_empty())
        };
        let mut command = self.command(place, words);
        let running = command.stderr(Stdio::piped()).spawn().expect("bash");
        let clock = SystemClock::new();
        while !ids(&folder).iter().any(is_saved) {
            assert!(clock.monotonic() < Duration::from_secs(120), "no checkpoint is written");
            clock.sleep(Duration::from_millis(20));
        }
        let process = Pid::from_raw(running.id().try_into().expect("a process"));
        kill(process, Signal::SIGTERM).expect("it runs");
        let said = Said::from(running.wait_with_output().expect("an end"));
        assert_eq!(said.code, 3, "{}", said.err);
        said
    }

    fn command(&self, place: &Path, words: &[&str]) -> Command {
        let torch: Vec<&str> =
            self.torch.iter().flat_map(|dir| ["--torch", dir, "--cpu"]).collect();
        study(&place.join("study"), place, &[&["run"], &torch[..], words].concat())
    }

    fn run(&self, place: &Path, words: &[&str]) -> Said {
        self.command(place, words).output().expect("bash").into()
    }
}

/// Trials of a sweep that have a folder.
fn ids(folder: &SweepFolder) -> Vec<TrialId> {
    let names = layout::list(folder.path()).unwrap_or_default();
    names.iter().filter_map(|name| name.parse().ok()).collect()
}

/// What the trials of a sweep came to, and how many attempts they took.
fn essence(root: &Root, sweep: &str) -> (BTreeMap<String, String>, usize) {
    let sweep = root.sweep(sweep);
    let (mut told, mut attempts) = (BTreeMap::new(), 0);
    for id in ids(&sweep) {
        let folder = sweep.trial(&id);
        let result = TrialResult::read(&folder).expect("result");
        let TrialResult { outcome, metrics, weights_sha256, best_value, best_epoch, .. } = result;
        let text =
            format!("{outcome:?} {metrics:?} {weights_sha256:?} {best_value:?} {best_epoch:?}");
        told.insert(id.to_string(), text);
        attempts += folder.attempts().expect("attempts").len();
    }
    (told, attempts)
}

fn states(place: &Path, sweep: &str) -> Vec<String> {
    let text = std::fs::read_to_string(place.join(format!("results/{sweep}.trials.csv")));
    let text = text.expect("a table of trials");
    text.lines().skip(1).map(|line| line.split(',').nth(2).expect("a state").to_owned()).collect()
}

#[test]
fn a_study_in_slices_in_two_places_ends_as_an_uncut_one() {
    let mut home = Home::new();
    let test = "a_study_in_slices_in_two_places_ends_as_an_uncut_one";
    let Some(programs) = Programs::find(&home, test) else { return };
    home.write("toy.yaml", "include: [base/toy.yaml]\nname: quick\n");
    home.write("base/toy.yaml", TOY);
    let [here, there] = programs.carried(&home, &["toy.yaml"]);
    let Said { err, .. } = programs.cut(&here, "quick", &["--at-once", "2"]);
    assert_eq!(states(&here, "quick"), ["cancelled", "cancelled"], "{err}");
    let bundle = here.join("results/quick.tar").display().to_string();
    let again = programs.run(&there, &["--from", &bundle, "--at-once", "2"]);
    assert_eq!(again.code, 0, "{}", again.err);
    assert_eq!(states(&there, "quick"), ["finished", "finished"]);
    for name in ["best.txt", "best.json", "trials.json", "tar"] {
        let path = there.join(format!("results/quick.{name}"));
        assert!(path.metadata().expect("a result").len() > 0, "{name}");
    }
    let (cut, attempts) = essence(&Root::new(there.join("runs")), "quick");
    assert!(attempts > 2, "nothing was cut");
    home.set("REGATTA_SLOTS", "2");
    home.ok(&["submit", "toy.yaml", "--scheduler", "local", "--wait", "--poll", "0.1"]);
    assert_eq!(cut, essence(&home.root(), "quick").0);
    // A bundle of a sweep that is here would be passed over without a word.
    let twice = programs.run(&there, &["--from", &bundle]);
    assert_eq!(twice.code, 1);
    assert!(twice.err.contains("quick is here already"), "{}", twice.err);
}

#[test]
fn a_slice_ends_in_its_time_with_checkpoints() {
    let home = Home::new();
    let test = "a_slice_ends_in_its_time_with_checkpoints";
    let Some(programs) = Programs::find(&home, test) else { return };
    home.write("endless.yaml", TOY.replace("epochs: 10", "epochs: 100000"));
    let [here, _] = programs.carried(&home, &["endless.yaml"]);
    let folder = Root::new(here.join("runs")).sweep("quick");
    let clock = SystemClock::new();
    // On a busy machine the first ones may be over before anything has begun.
    for seconds in [6, 12, 24, 48] {
        let began = clock.monotonic();
        let said = programs.run(&here, &["--slice", &format!("{seconds}s"), "--at-once", "2"]);
        assert_eq!(said.code, 3, "{}", said.err);
        let took = clock.monotonic() - began;
        if said.err.contains("the slice is over: what runs saves and stops")
            && ids(&folder).iter().any(|id| {
                let names = folder.trial(id).checkpoints().names();
                names.is_ok_and(|names| !names.is_empty())
            })
        {
            assert!(took < Duration::from_secs(seconds + 30), "{took:?}: {}", said.err);
            assert_eq!(states(&here, "quick"), ["cancelled", "cancelled"], "{}", said.err);
            return;
        }
    }
    panic!("nothing was trained in any slice");
}

#[test]
fn a_trial_that_used_up_its_training_time_is_done_and_one_that_failed_is_told() {
    let home = Home::new();
    let test = "a_trial_that_used_up_its_training_time_is_done_and_one_that_failed_is_told";
    let Some(programs) = Programs::find(&home, test) else { return };
    let spent = "name: spent\nfixed:\n  model: { name: toy, steps_per_epoch: 40, step_seconds: 0.02 }\n  \
         epochs: 500\nbudget: { max_train_time: 1s }\n";
    let failing =
        "name: failing\nfixed: { model: { name: toy, fail_at: 3 } }\npolicy: { breaker: off }\n";
    home.write("spent.yaml", spent).write("failing.yaml", failing);
    let [here, _] = programs.carried(&home, &["spent.yaml"]);
    let said = programs.run(&here, &["--no-bundle"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(states(&here, "spent"), ["timed_out"]);
    assert!(!here.join("results/spent.tar").exists());
    for place in ["here", "there"] {
        std::fs::remove_dir_all(home.at(place)).expect("removed");
    }
    let [here, _] = programs.carried(&home, &["failing.yaml"]);
    let said = programs.run(&here, &[]);
    assert_eq!(said.code, 1, "{}", said.err);
    assert_eq!(states(&here, "failing"), ["failed"]);
    assert!(said.err.contains("0 trials go on with the next slice, 1 failed"), "{}", said.err);
}

#[test]
fn what_cannot_be_packed_or_run_says_why() {
    let home = Home::new();
    let Some(programs) = Programs::find(&home, "what_cannot_be_packed_or_run_says_why") else {
        return;
    };
    home.write("toy.yaml", TOY).write("wrong.yaml", TOY.replace("epochs", "epoch"));
    let bin = programs.bin.display().to_string();
    let pack = |words: &[&str]| {
        let all = [&["pack"], words, &["--bin", &bin, "--out", "it.tar"]].concat();
        let said = Said::from(study(&script(), home.path(), &all).output().expect("bash"));
        assert!(!home.at("it.tar").exists(), "{words:?} left an archive");
        (said.code, said.err)
    };
    for (words, code, part) in [
        (&[][..], 2, "name a sweep file"),
        (&["none.yaml"], 1, "there is no sweep file none.yaml"),
        (&["wrong.yaml"], 1, "unknown key `epoch`"),
        (&["toy.yaml", "toy.yaml"], 1, "two sweeps have the name quick"),
        (&["--data", "none", "toy.yaml"], 1, "there is no data folder none"),
        (&["--fast", "toy.yaml"], 2, "unknown option --fast"),
    ] {
        let (found, err) = pack(words);
        assert_eq!(found, code, "{words:?}: {err}");
        assert!(err.contains(part), "{words:?}: {err}");
    }
    let [here, _] = programs.carried(&home, &["toy.yaml"]);
    for (words, code, part) in [
        (&["--slice", "soon"][..], 2, "`soon` is no time"),
        (&["--slice", "9s", "--reserve", "9s"], 2, "leaves nothing"),
        (&["--at-once", "0"], 2, "--at-once needs a number"),
        (&["--from", "none.tar"], 1, "there is no bundle none.tar"),
    ] {
        let said = programs.run(&here, words);
        assert_eq!(said.code, code, "{words:?}: {}", said.err);
        assert!(said.err.contains(part), "{words:?}: {}", said.err);
    }
}

/// With images, whose place changes with each unpacking, and a network.
#[cfg(feature = "train")]
#[test]
fn a_network_goes_on_in_another_place_bit_by_bit() {
    use regatta::train::synth::{self, Spec};

    let home = Home::new();
    let test = "a_network_goes_on_in_another_place_bit_by_bit";
    let Some(programs) = Programs::find(&home, test) else { return };
    synth::write(&Spec { slices: 6, size: 96, seed: 1 }, &home.at("a volume")).expect("written");
    home.write("a volume/split.csv", "name,split\nslice_000,test\n");
    home.write(
        "net.yaml",
        "name: net\nfixed:\n  model: { name: unet, base: 4, depth: 2 }\n  data: { path: not/here, patch: 32 }\n  \
         epochs: 100\nresources: { cpus: 1 }\nbudget: { checkpoint_every: 1s }\n",
    );
    let [here, there] = programs.carried(&home, &["--data", "a volume", "net.yaml"]);
    for part in ["images/slice_005.png", "masks/slice_005.png", "split.csv"] {
        assert!(here.join("data/a volume").join(part).is_file(), "{part} was not packed");
    }
    programs.cut(&here, "net", &[]);
    let bundle = here.join("results/net.tar").display().to_string();
    let said = programs.run(&there, &["--from", &bundle]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.err.contains("trains on cpu"), "{}", said.err);
    let (cut, attempts) = essence(&Root::new(there.join("runs")), "net");
    assert!(attempts > 1, "nothing was cut");
    std::fs::rename(there.join("runs"), there.join("cut")).expect("moved away");
    assert_eq!(programs.run(&there, &["--out", "uncut"]).code, 0);
    let (uncut, attempts) = essence(&Root::new(there.join("runs")), "net");
    assert_eq!((uncut, attempts), (cut, 1));
}
