//! Unpacking a bundle: the sweep appears whole or not at all, and what was under way elsewhere is
//! history here.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value};

use super::export::Step;
use super::ledger::Ledger;
use super::{ControlError, desk};
use crate::clock::Clock;
use crate::event::Act;
use crate::id::TrialId;
use crate::layout::{
    self, Bundle, BundleError, BundleManifest, CheckpointName, Limit, LockError, Part, Root,
    SweepFolder, TemporaryFolder,
};
use crate::plan::{self, Plan};
use crate::setting::SETTINGS_VERSION;
use crate::sweep::{Assignment, Trial};

/// What was imported.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// What the bundle said.
    pub manifest: BundleManifest,
    /// The plan, as it stands here.
    pub plan: Plan,
    /// Trials that were begun there.
    pub begun: u64,
    /// Data paths of the plan that were rewritten, and how many trials have each.
    pub rewritten: u64,
}

/// A prefix of data paths, and what takes its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPath {
    /// As the plan has it.
    pub old: String,
    /// As it is here.
    pub new: String,
}

impl NewPath {
    fn apply(&self, path: &str) -> Option<String> {
        let rest = path.strip_prefix(self.old.trim_end_matches('/'))?;
        let new = self.new.trim_end_matches('/');
        (rest.is_empty() || rest.starts_with('/')).then(|| format!("{new}{rest}"))
    }
}

/// Unpacks a bundle under `root`.
///
/// # Errors
/// When it is damaged or was changed, the sweep is there already, the disk has no room or refuses, or
/// another import goes on for longer than `patience`. Nothing of it is left behind then.
pub fn import(
    root: &Root,
    file: &Path,
    paths: &[NewPath],
    clock: &dyn Clock,
    patience: Duration,
    progress: &mut dyn FnMut(Step),
) -> Result<Imported, ControlError> {
    let bundle = Bundle::open(file)?;
    let manifest = bundle.manifest();
    let refused = |what: String| BundleError::Refused { path: file.to_owned(), what };
    if manifest.plan_format > plan::FORMAT || manifest.settings_version > SETTINGS_VERSION {
        let version = &manifest.version;
        return Err(
            refused(format!("regatta {version} packed it, which is newer: use that")).into()
        );
    }
    let name = manifest.sweep.clone();
    let final_folder = root.sweep(&name);
    if final_folder.path().symlink_metadata().is_ok() {
        return Err(ControlError::Exists { name, path: final_folder.path().to_owned() });
    }
    layout::create_private_folder(root.path()).map_err(ControlError::folder(root.path()))?;
    let needed = manifest.bytes();
    if layout::free_bytes(root.path()).is_ok_and(|free| free < needed) {
        let source = std::io::ErrorKind::StorageFull.into();
        return Err(ControlError::Folder { path: root.path().to_owned(), source });
    }
    let _lock = layout::lock(&root.import_lock(), patience).map_err(|error| match error {
        LockError::Held { .. } => ControlError::Busy { sweep: name.clone(), source: error },
        LockError::Io { path, source } => ControlError::Folder { path, source },
    })?;
    for left in root.import_litter().map_err(ControlError::folder(root.path()))? {
        layout::remove_folder(&left).map_err(ControlError::folder(&left))?;
    }
    let temporary = TemporaryFolder::create(root.path(), &Root::import_folder_name(&name))
        .map_err(ControlError::folder(root.path()))?;
    progress(Step::Total(needed));
    let manifest = bundle.unpack(temporary.path(), &mut |bytes| progress(Step::Moved(bytes)))?;
    let folder = SweepFolder::new(temporary.path());
    for made in [folder.jobs(), folder.logs()] {
        layout::create_private_folder(&made).map_err(ControlError::folder(&made))?;
    }
    let (plan, rewritten) = settle_plan(&folder, &manifest, paths)?;
    let begun = settle_trials(&folder, &manifest, paths)?;
    let now = clock.now();
    {
        let journal = folder.controller_journal();
        let failed = ControlError::folder(&journal);
        let mut ledger =
            Ledger::open(&folder, &name, now).map_err(ControlError::folder(&journal))?;
        let from = manifest.from.clone();
        let (exported_at, version) = (manifest.exported_at, manifest.version.clone());
        ledger
            .append(now, &Act::Imported { from, exported_at, version })
            .and_then(|()| match rewritten {
                0 => Ok(()),
                _ => {
                    let bytes = layout::read_limited(&folder.plan(), Limit::PLAN)?;
                    let plan_sha256 = desk::plan_sha256(&bytes);
                    let trials = plan.trials.len() as u64;
                    ledger.append(now, &Act::Planned { plan_sha256, trials })
                }
            })
            .map_err(failed)?;
    }
    layout::sync_all(folder.path()).map_err(ControlError::folder(folder.path()))?;
    layout::move_folder(folder.path(), final_folder.path()).map_err(|source| {
        let path = final_folder.path().to_owned();
        match source.kind() {
            std::io::ErrorKind::AlreadyExists => ControlError::Exists { name, path },
            _ => ControlError::Folder { path, source },
        }
    })?;
    Ok(Imported { manifest, plan, begun, rewritten })
}

/// Reads the plan, and writes it anew where paths change.
fn settle_plan(
    folder: &SweepFolder,
    manifest: &BundleManifest,
    paths: &[NewPath],
) -> Result<(Plan, u64), ControlError> {
    let path = folder.plan();
    let damaged =
        |what: String| ControlError::Damaged { path: PathBuf::from(Part::Plan.path()), what };
    let bytes = layout::read_limited(&path, Limit::PLAN).map_err(ControlError::folder(&path))?;
    let mut plan: Plan = serde_json::from_slice(&bytes).map_err(|e| damaged(e.to_string()))?;
    if plan.sweep != manifest.sweep {
        return Err(damaged(format!("it is the plan of the sweep {:?}", plan.sweep)));
    }
    if plan.asks.len() != plan.trials.len()
        || plan.asks.iter().any(|ask| *ask >= plan.resources.len())
    {
        return Err(damaged("trials and resources do not fit".to_owned()));
    }
    let mut rewritten = 0;
    for trial in &mut plan.trials {
        rewritten += u64::from(rewrite(trial, paths));
    }
    if rewritten > 0 {
        let bytes = serde_json::to_vec(&plan).map_err(|e| damaged(e.to_string()))?;
        layout::write_atomic(&path, &bytes).map_err(ControlError::folder(&path))?;
    }
    Ok((plan, rewritten))
}

/// Makes what was unpacked of each trial usable here; returns the number of trials.
fn settle_trials(
    folder: &SweepFolder,
    manifest: &BundleManifest,
    paths: &[NewPath],
) -> Result<u64, ControlError> {
    let mut begun: Option<TrialId> = None;
    let mut count = 0;
    for part in manifest.files.iter().filter_map(|file| Part::parse(&file.path)) {
        let place = part.place(folder);
        let trial = match &part {
            // No heart beats for it here: it must not look as if one did a moment ago.
            Part::Claim(trial, _) => {
                layout::make_old(&place).map_err(ControlError::folder(&place))?;
                trial
            }
            Part::Assignment(trial) => {
                if !paths.is_empty() {
                    rewrite_assignment(&place, paths).map_err(ControlError::folder(&place))?;
                }
                trial
            }
            Part::Journal(trial, _) => trial,
            _ => continue,
        };
        if begun.as_ref() != Some(trial) {
            count += 1;
            link(folder, trial);
            begun = Some(trial.clone());
        }
    }
    Ok(count)
}

/// The links for people to the newest checkpoint and the best; where they cannot be made there are
/// none.
fn link(folder: &SweepFolder, trial: &TrialId) {
    let shelf = folder.trial(trial).checkpoints();
    let names = shelf.names().unwrap_or_default();
    let at_best = |name: &&CheckpointName| {
        let text =
            layout::read_limited(&shelf.manifest(**name), Limit::MANIFEST).unwrap_or_default();
        let told: Value = serde_json::from_slice(&text).unwrap_or_default();
        let epoch = told["cursor"]["epoch"].as_u64().and_then(|epoch| epoch.checked_sub(1));
        epoch.is_some() && epoch == told["best"]["epoch"].as_u64() && told["cursor"]["step"] == 0
    };
    for (link, name) in [("last", names.last()), ("best", names.iter().rev().find(at_best))] {
        let made = name.map(|name| layout::link_latest(&shelf.link(link), &shelf.tensors(*name)));
        if let Some(Err(error)) = made {
            tracing::warn!("failed to link the {link} checkpoint of {trial}: {error}");
        }
    }
}

fn rewrite_assignment(path: &Path, paths: &[NewPath]) -> std::io::Result<()> {
    let bytes = layout::read_limited(path, Limit::TRIAL)?;
    // A file that makes no sense is replaced by the next attempt.
    let Ok(mut assignment) = serde_json::from_slice::<Assignment>(&bytes) else { return Ok(()) };
    if rewrite(&mut assignment.trial, paths) {
        layout::write_atomic(path, &serde_json::to_vec_pretty(&assignment)?)?;
    }
    Ok(())
}

/// Rewrites the data path of a trial, where it begins with one of those that moved. Its identity does
/// not hold the path.
fn rewrite(trial: &mut Trial, paths: &[NewPath]) -> bool {
    let new = |path: &str| paths.iter().find_map(|moved| moved.apply(path));
    let mut is_new = false;
    let mut put = |value: Option<&mut Value>| {
        if let Some(value) = value
            && let Some(path) = value.as_str().and_then(new)
        {
            *value = Value::from(path);
            is_new = true;
        }
    };
    let needs =
        |map: &Map<String, Value>| map.contains_key("data") || map.contains_key("data.path");
    for map in [&mut trial.settings, &mut trial.parameters] {
        if needs(map) && !paths.is_empty() {
            let map = std::sync::Arc::make_mut(map);
            put(map.get_mut("data").and_then(|data| data.get_mut("path")));
            put(map.get_mut("data.path"));
        }
    }
    is_new
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn whole_parts_of_data_paths_are_rewritten_and_nothing_else() {
        let trial = |path: &str| -> Trial {
            serde_json::from_value(json!({
                "trial": "0123456789abcdef", "seed": 1, "repeat": 0,
                "parameters": { "data.path": path, "model.name": path },
                "settings": { "data": { "path": path, "name": path }, "path": path },
            }))
            .expect("trial")
        };
        let moved = |old: &str, new: &str| NewPath { old: old.to_owned(), new: new.to_owned() };
        let paths = [moved("/old/data/", "/new"), moved("/old", "/older")];
        for (path, wanted) in [
            ("/old/data", "/new"),
            ("/old/data/em", "/new/em"),
            ("/old/database", "/older/database"),
            ("/oldest", "/oldest"),
        ] {
            let mut trial = trial(path);
            assert_eq!(rewrite(&mut trial, &paths), path != wanted, "{path}");
            let value = serde_json::to_value(&trial).expect("json");
            assert_eq!(value["settings"]["data"]["path"], wanted);
            assert_eq!(value["parameters"]["data.path"], wanted);
            for kept in ["/settings/path", "/settings/data/name", "/parameters/model.name"] {
                assert_eq!(value.pointer(kept).expect("there"), path, "{kept}");
            }
        }
    }
}
