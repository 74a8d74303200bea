//! The doors through which tests push texts that nobody wrote: one function for each kind of input
//! that comes from outside. Each returns, for whatever bytes, and what it asserts holds. They are
//! called by the targets in `fuzz/` and by a test that replays the inputs kept there.

use std::io::{Cursor, Write as _};
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::control::Ledger;
use crate::event::{Act, Event};
use crate::id::{Token, hex};
use crate::journal::{self, Mark, Record};
use crate::layout::{
    Bundle, CheckpointName, Root, SweepFolder, TemporaryFolder, list, write_atomic,
};
use crate::plan::{Limits, Plan};
use crate::script::{self, JobScript, TemplateSource};
use crate::sweep::{Assignment, Loaded, Loader, Sweep};
use crate::worker::checkpoint;
use crate::{metric, scheduler};

/// Begins a line that names the next file of an input.
const NEXT_FILE: &str = "%%% ";

/// A function that takes an input.
pub type Door = fn(&[u8]);

/// All doors by the names of their targets.
pub const DOORS: [(&str, Door); 5] = [
    ("sweep", sweep),
    ("journal", journal),
    ("slurm", slurm),
    ("manifest", manifest),
    ("bundle", bundle),
];

/// Files in memory: the first is the sweep, the others are named by lines that begin with `%%%`.
struct Files(Vec<(String, Vec<u8>)>);

impl Files {
    fn read(input: &[u8]) -> Self {
        let mut files = vec![("sweep.yaml".to_owned(), Vec::new())];
        for line in input.split_inclusive(|byte| *byte == b'\n') {
            let name = std::str::from_utf8(line).ok().and_then(|l| l.strip_prefix(NEXT_FILE));
            match (name, files.last_mut()) {
                (Some(name), _) => files.push((name.trim().to_owned(), Vec::new())),
                (None, Some((_, bytes))) => bytes.extend_from_slice(line),
                (None, None) => {}
            }
        }
        Self(files)
    }

    fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, bytes)| bytes.as_slice())
    }
}

impl Loader for Files {
    fn load(&self, _: Option<&str>, name: &str) -> Result<Loaded, String> {
        let bytes = self.get(name).ok_or_else(|| format!("there is no file {name}"))?.to_vec();
        let (folder, identity) = ("/w".to_owned(), name.to_owned());
        Ok(Loaded { name: name.to_owned(), folder, identity, bytes })
    }
}

/// A sweep file with what it includes, up to its scripts and job files.
pub fn sweep(input: &[u8]) {
    let files = Files::read(input);
    if let Some(template) = files.get("template").and_then(|text| std::str::from_utf8(text).ok()) {
        let _ = script::audit(template);
    }
    let sweep = match Sweep::read(&files, "sweep.yaml", 200) {
        Ok(sweep) => sweep,
        Err(error) => {
            assert!(!error.to_string().is_empty(), "an error says something");
            return;
        }
    };
    let Ok(plan) = Plan::new(&sweep) else { return };
    for trial in &plan.trials {
        let assignment = plan.assignment(trial, Token::placeholder());
        let line = serde_json::to_string(&assignment).unwrap_or_default();
        assert!(!line.contains('\n'), "a trial is one line of a job file");
        let again = serde_json::from_str::<Assignment>(&line).ok();
        assert_eq!(again.as_ref(), Some(&assignment), "a trial is read as it was written");
    }
    for job in plan.all_jobs(Limits::default()) {
        let job = JobScript {
            token: Token::placeholder(),
            folder: Root::new("/runs").sweep(&plan.sweep),
            worker: "/bin/regatta-worker".into(),
            tasks: u32::try_from(job.trials.len()).unwrap_or(u32::MAX),
            throttle: job.throttle,
            warn_before: job.warn_before(plan.budget.margin),
            restart_limit: crate::plan::restart_limit(&plan.policy),
            resources: job.resources,
        };
        check_script(&job);
    }
}

/// What a sweep asks for changes header lines and numbers of a script, and nothing else in it.
fn check_script(job: &JobScript) {
    let Ok(text) = script::render(&TemplateSource::default(), job) else { return };
    let plain = JobScript {
        throttle: None,
        warn_before: Duration::ZERO,
        resources: script::Resources::default(),
        ..job.clone()
    };
    let plain = script::render(&TemplateSource::default(), &plain).unwrap_or_default();
    let numbers = ["time_limit=", "cpus="];
    let is_fixed = |line: &&str| {
        !line.starts_with("#SBATCH --") && !numbers.iter().any(|name| line.starts_with(name))
    };
    assert!(text.lines().filter(is_fixed).eq(plain.lines().filter(is_fixed)), "{text}");
    for line in text.lines().filter(|line| numbers.iter().any(|name| line.starts_with(name))) {
        let value = line.split_once('=').map_or("", |(_, value)| value);
        let word = value.split(' ').next().unwrap_or_default();
        let number = word.trim_matches('\'');
        assert!(!number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()), "{line}");
    }
}

/// A journal of an attempt, or of the controller. A line that begins with `{` gets the checksum that
/// it needs to be looked at.
pub fn journal(input: &[u8]) {
    let mut bytes = Vec::with_capacity(input.len());
    for line in input.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(b"{") {
            let json = line.strip_suffix(b"\n").unwrap_or(line);
            bytes.extend_from_slice(format!("{:08x} ", crc32c::crc32c(json)).as_bytes());
        }
        bytes.extend_from_slice(line);
    }
    let Some(home) = home() else { return };
    let folder = SweepFolder::new(home.path());
    let path = folder.controller_journal();
    replayed::<Event>(&path, &bytes, |event| {
        let _ = (event.words(), event.is_recorded(), event.is_durable());
    });
    replayed::<Act>(&path, &bytes, |_| ());
    // It goes on behind whatever stands there, and then finds what it wrote.
    let now = Timestamp::UNIX_EPOCH;
    let Ok(mut ledger) = Ledger::open(&folder, "fuzzing", now) else { return };
    let act = Act::Planned { plan_sha256: "of the last act".to_owned(), trials: 1 };
    if ledger.append(now, &act).is_ok() {
        let again = journal::replay::<Act>(&path).map(|found| found.records.last().cloned());
        let last = again.ok().flatten().map(|record| record.body);
        assert_eq!(last, Some(act), "what is written behind it is read");
    }
}

/// A folder to work in, or none.
fn home() -> Option<TemporaryFolder> {
    let name = format!("regatta-fuzzing-{}-{:?}", std::process::id(), std::thread::current().id());
    TemporaryFolder::create(&std::env::temp_dir(), &name).ok()
}

/// Reading in two parts gives what reading at once does, and what is written again is the same.
fn replayed<T>(path: &Path, bytes: &[u8], look: impl Fn(&T))
where
    T: serde::Serialize + serde::de::DeserializeOwned,
{
    let read = |bytes: &[u8], mark: Mark| {
        write_atomic(path, bytes).ok().and_then(|()| journal::replay_from::<T>(path, mark).ok())
    };
    let Some(first) = read(&bytes[..bytes.len() / 2], Mark::default()) else { return };
    let Some(rest) = read(bytes, first.mark) else { return };
    let Some(whole) = read(bytes, Mark::default()) else { return };
    assert!(whole.mark.offset <= bytes.len() as u64);
    assert_eq!(first.records.len() + rest.records.len(), whole.records.len());
    assert_eq!((first.bad + rest.bad, rest.mark), (whole.bad, whole.mark));
    for record in &whole.records {
        look(&record.body);
        same_again(record);
    }
}

fn same_again<T>(record: &Record<T>)
where
    T: serde::Serialize + serde::de::DeserializeOwned,
{
    // A kind that is not known cannot be written.
    let Ok(line) = journal::encode(record) else { return };
    let line = line.trim_end_matches('\n').as_bytes();
    let again = journal::decode::<T>(line).map(|again| journal::encode(&again).ok());
    let again = again.flatten().unwrap_or_default();
    assert_eq!(again.trim_end_matches('\n').as_bytes(), line, "a record is read as it was written");
}

/// What a program of SLURM printed.
pub fn slurm(input: &[u8]) {
    let tasks = scheduler::hear(&String::from_utf8_lossy(input));
    // A few bytes may mean a whole array, but never more than a few.
    assert!(tasks <= 32_000_000, "{tasks} tasks");
}

/// A checkpoint's manifest; behind a line `%%%` its tensors.
pub fn manifest(input: &[u8]) {
    let mut parts = Files::read(input).0.into_iter().map(|(_, bytes)| bytes);
    let text = parts.next().unwrap_or_default();
    if let Ok(manifest) = checkpoint::parse_manifest(&text) {
        let written = serde_json::to_vec(&manifest).unwrap_or_default();
        let again = checkpoint::parse_manifest(&written).ok();
        let again = again.and_then(|again| serde_json::to_vec(&again).ok());
        assert_eq!(again.as_deref(), Some(written.as_slice()));
        let _ = manifest.state.is_best();
    }
    if let Some(tensors) = parts.next() {
        let bytes = checkpoint::parse_tensors(&tensors).unwrap_or(0);
        assert!(bytes <= tensors.len(), "tensors are no more than their file");
    }
    if let Ok(name) = std::str::from_utf8(&text)
        && let Some(name) = CheckpointName::parse(name)
    {
        let shown = name.to_string();
        assert_eq!(CheckpointName::parse(&shown), Some(name));
        assert!(shown.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-'), "{shown}");
    }
    let _ = serde_json::from_slice::<metric::Metrics>(&text);
}

/// A bundle: bytes as they are; or, where they begin with `{`, a manifest and behind lines `%%%` its
/// files, made into an archive whose checksums hold where the manifest leaves them empty.
pub fn bundle(input: &[u8]) {
    let bytes = if input.starts_with(b"{") { archive(input) } else { Some(input.to_vec()) };
    let Some(bytes) = bytes else { return };
    let Ok(bundle) = Bundle::read(Path::new("bundle.tar"), Cursor::new(bytes)) else { return };
    let Some(home) = home() else { return };
    let told = bundle.manifest().bytes();
    let mut written = 0;
    let _ = bundle.unpack(&home.path().join("in"), &mut |bytes| written += bytes);
    assert!(written <= told, "no more is written than the manifest tells");
    let around = list(home.path()).unwrap_or_default();
    assert!(around.iter().all(|name| name == "in"), "nothing is written elsewhere: {around:?}");
}

fn archive(input: &[u8]) -> Option<Vec<u8>> {
    let mut parts = Files::read(input).0.into_iter();
    let (_, text) = parts.next()?;
    let contents: Vec<(String, Vec<u8>)> = parts.collect();
    let mut manifest: serde_json::Value = serde_json::from_slice(&text).ok()?;
    for file in manifest.get_mut("files")?.as_array_mut()? {
        let name = file.get("path")?.as_str()?;
        let Some((_, content)) = contents.iter().find(|(other, _)| other == name) else { continue };
        let hash = hex(&Sha256::digest(content));
        let object = file.as_object_mut()?;
        if object.get("sha256").is_none_or(|sum| sum == "") {
            object.insert("sha256".to_owned(), hash.into());
            object.insert("size".to_owned(), content.len().into());
        }
    }
    let mut bytes = Vec::new();
    entry(&mut bytes, "regatta-bundle.json", &serde_json::to_vec(&manifest).ok()?)?;
    for (name, content) in &contents {
        entry(&mut bytes, name, content)?;
    }
    bytes.extend_from_slice(&[0; 1024]);
    Some(bytes)
}

/// An entry of a tar archive, under whatever name; `*` at its end makes it a link.
fn entry(to: &mut Vec<u8>, name: &str, content: &[u8]) -> Option<()> {
    let mut header = tar::Header::new_ustar();
    let place = header.as_old_mut().name.get_mut(..name.len())?;
    place.copy_from_slice(name.as_bytes());
    header.set_size(content.len() as u64);
    header.set_entry_type(tar::EntryType::Regular);
    if name.ends_with('*') {
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_link_name("/etc/passwd").ok()?;
    }
    header.set_mode(0o7777);
    header.set_cksum();
    to.write_all(header.as_bytes()).ok()?;
    to.write_all(content).ok()?;
    to.resize(to.len().next_multiple_of(512), 0);
    Some(())
}
