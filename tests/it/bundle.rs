//! A sweep is carried to another root, where it goes on; and bundles that nobody should believe.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use regatta::event::Act;
use regatta::journal;
use regatta::layout::{self, BundleManifest, Root};
use tar::{Archive, Builder, EntryType, Header};

use crate::home::{Home, SUBMIT};

const SLOW_TOY: &str = "\
name: quick
fixed:
  model: { name: toy, steps_per_epoch: 20, step_seconds: 0.02 }
  epochs: 6
grid:
  optimizer.lr: [1e-2, 1e-1]
budget: { checkpoint_every: 0.2 }
";

const LOCAL: [&str; 7] = ["--scheduler", "local", "--slots", "4", "--wait", "--poll", "0.05"];

/// A home whose sweep lies under another root.
fn essence_of(home: &Home, root: &str) -> Vec<String> {
    let sweep = Root::new(home.at(root)).sweep("quick");
    let names = layout::list(sweep.path()).expect("list");
    let ids = names.iter().filter_map(|name| name.parse().ok());
    let tell = |id: regatta::id::TrialId| {
        let result = regatta::worker::record::TrialResult::read(&sweep.trial(&id)).expect("result");
        format!("{id} {:?} {:?} {:?}", result.outcome, result.metrics, result.weights_sha256)
    };
    ids.map(tell).collect()
}

fn undisturbed() -> Vec<String> {
    let home = Home::new();
    home.write("sweep.yaml", SLOW_TOY);
    home.ok(&SUBMIT);
    essence_of(&home, "runs")
}

#[test]
fn a_sweep_that_was_packed_on_its_way_goes_on_elsewhere_bit_by_bit() {
    let home = Home::new();
    home.write("sweep.yaml", SLOW_TOY);
    home.ok(&["submit", "sweep.yaml", "--scheduler", "local", "--slots", "4"]);
    home.wait_until("checkpoints of both trials", |home| {
        let trials = home.trials("quick");
        trials.len() == 2
            && trials.values().all(|t| !t.checkpoints().names().unwrap_or_default().is_empty())
    });
    let answer = home.ok(&["export", "quick", "--bundle", "quick.tar"]);
    assert!(answer.err.contains("2 trials of quick in flight"), "{}", answer.err);
    let answer = home.ok(&["--root", "there", "import", "quick.tar"]);
    assert!(answer.out.contains("2 trials, 2 begun"), "{}", answer.out);
    let there = Root::new(home.at("there")).sweep("quick");
    let acts = journal::replay::<Act>(&there.controller_journal()).expect("journal");
    let last = acts.records.last().map(|record| record.body.clone());
    let Some(Act::Imported { from, .. }) = last else { panic!("{last:?}") };
    assert_eq!(from, home.root().sweep("quick").path());
    // Nothing is in flight here, though the same jobs run at this moment under the other root.
    let trials = home.json(&["--root", "there", "trials", "quick"]);
    for row in trials["trials"].as_array().expect("rows") {
        assert_eq!(row["state"], "lost", "{row}");
        assert!(row["why"].as_str().expect("why").contains("moved here"), "{row}");
    }
    let begun: Vec<u64> = checkpoints(&there);
    let resume = ["--root", "there", "resume", "quick"];
    home.ok(&[&resume[..], &LOCAL].concat());
    assert_eq!(essence_of(&home, "there"), undisturbed());
    for (attempt, kept) in attempts(&there).into_iter().zip(begun) {
        assert_eq!(attempt, 2, "one attempt there, one here");
        assert!(kept > 0, "it began anew");
    }
    let (collected, rebuilt) = (hash(&home, "there"), home.json(&["--root", "there", "rebuild"]));
    assert_eq!(rebuilt["content_hash"], collected);
    // Those of the old root end too, and are another's business.
    home.wait_until("the end under the old root", |home| {
        home.states("quick").iter().all(|state| state == "finished")
    });
}

fn hash(home: &Home, root: &str) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("runtime").block_on(async {
        let database = Root::new(home.at(root)).database();
        let store = regatta::store::Store::open(&database, regatta::store::Mode::ReadWrite).await;
        store.expect("store").content_hash().await.expect("hash")
    })
}

fn each_trial(sweep: &layout::SweepFolder) -> Vec<layout::TrialFolder> {
    let names = layout::list(sweep.path()).expect("list");
    names.iter().filter_map(|name| name.parse().ok()).map(|id| sweep.trial(&id)).collect()
}

fn checkpoints(sweep: &layout::SweepFolder) -> Vec<u64> {
    let count = |t: layout::TrialFolder| t.checkpoints().names().expect("names").len() as u64;
    each_trial(sweep).into_iter().map(count).collect()
}

fn attempts(sweep: &layout::SweepFolder) -> Vec<usize> {
    each_trial(sweep).into_iter().map(|t| t.attempts().expect("claims").len()).collect()
}

/// A home with a finished sweep and its bundle.
fn packed() -> (Home, PathBuf) {
    let home = Home::with_quick_toy();
    home.ok(&SUBMIT);
    home.ok(&["export", "quick", "--bundle", "quick.tar"]);
    let path = home.at("quick.tar");
    (home, path)
}

#[test]
fn a_finished_sweep_answers_the_same_elsewhere() {
    let (home, _) = packed();
    home.ok(&["--root", "there", "import", "quick.tar"]);
    let best = |root: &str| home.ok(&["--root", root, "best", "quick"]).out;
    assert_eq!(best("there"), best("runs"));
    assert!(best("there").contains("finished"));
    let status = home.ok(&["--root", "there", "status"]).out;
    assert!(status.contains("4 finished"), "{status}");
    // It is there now; whoever imports it again is told what to do.
    let again = home.type_in(&["--root", "there", "import", "quick.tar"]);
    assert_eq!(again.code, 1);
    assert!(again.err.contains("already") && again.err.contains("another root"), "{}", again.err);
    let over = home.type_in(&["export", "quick", "--bundle", "quick.tar"]);
    assert!(over.err.contains("--force"), "{}", over.err);
    home.ok(&["export", "quick", "--bundle", "quick.tar", "--force", "--no-checkpoints"]);
    let names = names(&home.at("quick.tar"));
    assert!(names.iter().any(|name| name.ends_with("1.journal")));
    assert!(!names.iter().any(|name| name.contains("checkpoint")), "{names:?}");
}

#[test]
fn the_newest_and_the_best_checkpoint_travel_or_all() {
    let (home, _) = packed();
    let sweep = home.root().sweep("quick");
    let all: usize =
        each_trial(&sweep).iter().map(|t| t.checkpoints().names().expect("names").len()).sum();
    let count = |home: &Home| {
        let names = names(&home.at("quick.tar"));
        names.iter().filter(|name| name.contains("checkpoint") && name.ends_with(".json")).count()
    };
    assert!((4..=all).contains(&count(&home)), "{} of {all}", count(&home));
    home.ok(&["export", "quick", "--bundle", "quick.tar", "--force", "--all-checkpoints"]);
    assert_eq!(count(&home), all);
    // Without a best one the newest of each of the four trials is all there is to take.
    for trial in each_trial(&sweep) {
        layout::remove(&trial.checkpoints().link("best")).expect("removed");
    }
    home.ok(&["export", "quick", "--bundle", "quick.tar", "--force"]);
    assert_eq!(count(&home), 4);
    // A newest one that is damaged is passed over by a resume: the one before it travels too.
    let trial = &each_trial(&sweep)[0].checkpoints();
    let newest = *trial.names().expect("names").last().expect("one");
    home.write(
        trial.tensors(newest).strip_prefix(home.path()).expect("inside").to_str().expect("text"),
        b"damaged",
    );
    home.ok(&["export", "quick", "--bundle", "quick.tar", "--force"]);
    assert_eq!(count(&home), 5);
}

#[test]
fn data_that_lie_elsewhere_are_found_by_their_new_path() {
    let home = Home::new();
    for path in ["data/images/1.png", "data/masks/1.png"] {
        home.write(path, b"not looked at");
    }
    home.write(
        "sweep.yaml",
        "name: nets\nfixed: { model: { name: unet }, data: { path: data }, epochs: 1 }\ngrid: { batch_size: [1, 2] }\n",
    );
    home.ok(&["submit", "sweep.yaml", "--stage-only", "--scheduler", "local"]);
    home.ok(&["export", "nets", "--bundle", "nets.tar"]);
    std::fs::rename(home.at("data"), home.at("images of the new place")).expect("moved");
    let without = home.ok(&["--root", "one", "import", "nets.tar"]);
    assert!(without.err.contains("there is no data folder"), "{}", without.err);
    let (old, new) = (home.at("data"), home.at("images of the new place"));
    let moved = format!("{}={}", old.display(), new.display());
    let with = home.ok(&["--root", "two", "import", "nets.tar", "--path", &moved]);
    assert!(!with.err.contains("warning"), "{}", with.err);
    let trials = home.json(&["--root", "two", "trials", "nets"]);
    let id = trials["trials"][0]["trial"].as_str().expect("id");
    let shown = home.json(&["--root", "two", "show", id]);
    assert_eq!(shown["settings"]["data"]["path"], "HOME/images of the new place");
    // The same trial: its identity does not hold the path.
    let before = home.json(&["trials", "nets"]);
    assert_eq!(before["trials"][0]["trial"], id);
}

fn names(bundle: &Path) -> Vec<String> {
    read(bundle).into_iter().map(|(name, _)| name).collect()
}

/// Entries of a bundle: name and content.
fn read(bundle: &Path) -> Vec<(String, Vec<u8>)> {
    let mut archive = Archive::new(std::fs::File::open(bundle).expect("open"));
    let entries = archive.entries().expect("entries").map(|entry| {
        let mut entry = entry.expect("entry");
        let name = entry.path().expect("path").display().to_string();
        let mut content = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut content).expect("content");
        (name, content)
    });
    entries.collect()
}

/// An entry of a bundle that somebody forged.
struct Forged {
    name: Vec<u8>,
    kind: EntryType,
    link: &'static str,
    content: Vec<u8>,
}

impl Forged {
    fn file((name, content): &(String, Vec<u8>)) -> Self {
        let name = name.clone().into_bytes();
        Self { name, kind: EntryType::Regular, link: "", content: content.clone() }
    }
}

fn write(path: &Path, entries: &[Forged]) {
    let mut archive = Builder::new(std::fs::File::create(path).expect("create"));
    for entry in entries {
        let mut header = Header::new_gnu();
        // The library refuses to write such names.
        header.as_old_mut().name[..entry.name.len()].copy_from_slice(&entry.name);
        header.set_entry_type(entry.kind);
        if !entry.link.is_empty() {
            header.set_link_name_literal(entry.link).expect("link");
        }
        header.set_mode(0o4777);
        header.set_size(entry.content.len() as u64);
        header.set_cksum();
        archive.append(&header, entry.content.as_slice()).expect("append");
    }
    archive.finish().expect("finish");
}

type Forge = fn(&mut Vec<Forged>, &mut BundleManifest);

/// Makes the manifest say of entry `index` what it is.
fn admit(entries: &[Forged], manifest: &mut BundleManifest, index: usize) {
    let entry = &entries[index];
    let file = &mut manifest.files[index - 1];
    file.path = String::from_utf8_lossy(&entry.name).into_owned();
    file.size = entry.content.len() as u64;
    file.sha256 = regatta::worker::checkpoint::sha256_hex(&entry.content);
}

fn rename(entries: &mut [Forged], manifest: &mut BundleManifest, name: &str) {
    entries[1].name = name.as_bytes().to_vec();
    admit(entries, manifest, 1);
}

const FORGED: [(&str, Forge); 26] = [
    ("no file of a sweep", |e, m| rename(e, m, "../escaped")),
    ("no file of a sweep", |e, m| rename(e, m, "/tmp/regatta-escaped")),
    ("no file of a sweep", |e, m| rename(e, m, "jobs/../../escaped")),
    ("no file of a sweep", |e, m| rename(e, m, "0123456789abcdef/../../escaped")),
    ("no file of a sweep", |e, m| rename(e, m, "0123456789abcdef/claims/../../../escaped")),
    ("no file of a sweep", |e, m| rename(e, m, "./sweep.yaml")),
    ("no file of a sweep", |e, m| rename(e, m, "controller.lock")),
    ("no file of a sweep", |e, m| rename(e, m, "0123456789abcdef/checkpoint/last.safetensors")),
    ("in its place stands", |e, _| e[1].name = b"../escaped".to_vec()),
    ("in its place stands", |e, _| e[1].name = vec![b'x'; 100]),
    ("in its place stands", |e, _| e.swap(1, 2)),
    ("no plain file", |e, _| (e[1].kind, e[1].link) = (EntryType::Symlink, "/etc/passwd")),
    ("no plain file", |e, _| (e[1].kind, e[1].link) = (EntryType::Link, "../../escaped")),
    ("no plain file", |e, _| e[1].kind = EntryType::Char),
    ("no plain file", |e, _| e[1].kind = EntryType::Fifo),
    ("no plain file", |e, _| e[1].kind = EntryType::Directory),
    ("no plain file", |e, _| e[1].kind = EntryType::GNULongName),
    ("in it twice", |e, m| {
        let (name, again) = (e[1].name.clone(), m.files[0].clone());
        let content = e[1].content.clone();
        e.push(Forged { name, kind: EntryType::Regular, link: "", content });
        m.files.push(again);
    }),
    ("which the manifest does not tell", |e, _| {
        e.push(Forged {
            name: b"../x".to_vec(),
            kind: EntryType::Regular,
            link: "",
            content: vec![1],
        });
    }),
    ("bytes, not", |e, _| e[1].content.extend_from_slice(b"more")),
    ("bytes, not", |e, _| e[1].content.clear()),
    ("its checksum does not hold", |e, _| e[1].content[0] ^= 1),
    ("too many", |_, m| m.files[0].size = u64::MAX),
    ("is missing", |e, m| {
        e.remove(1);
        m.files.remove(0);
    }),
    ("no name of a sweep", |_, m| m.sweep = "../quick".to_owned()),
    ("it is the plan of the sweep", |_, m| m.sweep = "slow".to_owned()),
];

#[test]
fn a_forged_bundle_is_refused_and_leaves_nothing_behind() {
    let (home, path) = packed();
    let whole = read(&path);
    std::fs::create_dir(home.at("there")).expect("root");
    let before = home.files();
    let check = |what: &str, wanted: &str| {
        let answer = home.type_in(&["--root", "there", "import", "quick.tar"]);
        assert_eq!(answer.code, 1, "{what}: {}", answer.out);
        assert!(answer.err.contains(wanted), "{what}: {}", answer.err);
        let litter: Vec<_> = home
            .files()
            .into_iter()
            .filter(|f| !before.contains(f) && !f.starts_with("runs/"))
            .collect();
        assert!(litter.iter().all(|f| f == "there/.import.lock"), "{what}: {litter:?}");
        assert!(!Path::new("/tmp/regatta-escaped").exists());
    };
    for (index, (wanted, forge)) in FORGED.iter().enumerate() {
        let mut entries: Vec<_> = whole.iter().map(Forged::file).collect();
        let mut manifest = serde_json::from_slice(&entries[0].content).expect("manifest");
        forge(&mut entries, &mut manifest);
        entries[0].content = serde_json::to_vec(&manifest).expect("json");
        write(&path, &entries);
        check(&format!("forgery {index}"), wanted);
    }
    // A newer form, something else, nothing.
    let mut entries: Vec<_> = whole.iter().map(Forged::file).collect();
    let text = String::from_utf8(entries[0].content.clone()).expect("text");
    entries[0].content = text.replace("\"format\":1,", "\"format\":2,\"new\":1,").into_bytes();
    write(&path, &entries);
    check("newer", "has the form 2");
    for (bytes, wanted) in [
        (b"name: quick\n".repeat(100), "it is no bundle"),
        (Vec::new(), "it is no bundle"),
        (vec![0; 10_240], "it is no bundle"),
    ] {
        std::fs::write(&path, bytes).expect("write");
        check("no bundle", wanted);
    }
}

#[test]
fn a_bundle_that_is_cut_off_or_has_a_tail_is_refused_and_a_whole_one_is_taken() {
    let (home, path) = packed();
    let whole = std::fs::read(&path).expect("read");
    let import = |bytes: &[u8]| {
        std::fs::write(&path, bytes).expect("write");
        home.type_in(&["--root", "there", "import", "quick.tar"])
    };
    for part in 0..16 {
        // The zeros at the end tell nothing.
        let length = (whole.len() - 2048) * part / 16;
        let answer = import(&whole[..length]);
        assert_eq!(answer.code, 1, "{length} of {} bytes", whole.len());
        assert!(!home.at("there/quick").exists());
    }
    let mut longer = whole.clone();
    longer.write_all(b"and more").expect("memory");
    assert!(import(&longer).err.contains("after its end"));
    assert_eq!(import(&whole).code, 0);
}

#[test]
fn an_import_that_dies_or_has_no_room_leaves_no_sweep_and_the_next_one_goes_well() {
    let (home, _) = packed();
    let import = |faults: &str| {
        let mut command = home.command(&["--root", "there", "import", "quick.tar"]);
        command.env("REGATTA_FAULTS", faults).output().expect("controller")
    };
    for faults in [
        "bundle.create:3=full",
        "bundle.content:5=io",
        "bundle.sync=io",
        "bundle.rename=readonly",
        "journal.sync=full",
    ] {
        let output = import(faults);
        assert_eq!(output.status.code(), Some(1), "{faults}");
        assert!(!home.at("there/quick").exists(), "{faults}");
        let left = layout::list(&home.at("there")).expect("list");
        assert!(left.iter().all(|name| !name.starts_with(".import-")), "{faults}: {left:?}");
    }
    for faults in ["bundle.content:7=kill", "journal.append=kill", "bundle.rename=kill"] {
        assert_eq!(import(faults).status.code(), None, "{faults}");
        // What it left is no sweep.
        let sweeps = home.json(&["--root", "there", "status"]);
        assert_eq!(sweeps["sweeps"], serde_json::json!([]), "{faults}");
    }
    home.ok(&["--root", "there", "import", "quick.tar"]);
    let left = layout::list(&home.at("there")).expect("list");
    assert!(left.iter().all(|name| !name.starts_with(".import-")), "{left:?}");
    assert!(home.ok(&["--root", "there", "status"]).out.contains("4 finished"));
}
