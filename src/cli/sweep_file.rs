//! Reading sweep files and templates from the disk for the study, which may not.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::{Context, Failure};
use crate::layout::{self, Limit};
use crate::plan::Plan;
use crate::sweep::{Loaded, Loader, MAX_TRIALS, Sweep, SweepError};

/// A sweep file on the command line.
#[derive(Debug, clap::Args)]
pub(super) struct SweepFile {
    /// The sweep file
    #[arg(value_name = "SWEEP.yaml")]
    pub(super) path: PathBuf,
    /// Refuse a sweep with more trials than this
    #[arg(long, default_value_t = MAX_TRIALS, value_name = "N")]
    pub(super) max_trials: u64,
}

impl SweepFile {
    /// Reads, expands and checks the file, and tells its notes.
    pub(super) fn read(&self, ctx: &Context) -> Result<(Sweep, Plan), Failure> {
        if self.path.symlink_metadata().is_err() {
            let what = format!("there is no file {}", self.path.display());
            return Err(Failure::user(what)
                .hint("a sweep file is needed; `regatta init` writes some to start from"));
        }
        let name = self.path.to_string_lossy();
        let sweep =
            Sweep::read(&Disk, &name, self.max_trials).map_err(|error| from_sweep(&error))?;
        let mut plan = Plan::new(&sweep).map_err(|error| from_sweep(&error))?;
        plan.site_template = site_template()?;
        plan.sweep_template = sweep.template.as_deref().map(template).transpose()?;
        for note in &sweep.notes {
            ctx.screen.note(format!("note: {note}"));
        }
        Ok((sweep, plan))
    }

    /// The folder that the file really lies in.
    pub(super) fn workspace(&self) -> Option<PathBuf> {
        self.path.canonicalize().ok()?.parent().map(Path::to_owned)
    }
}

/// Tells everything that is wrong with a sweep, each with its advice.
fn from_sweep(error: &SweepError) -> Failure {
    let mut text = String::new();
    for (index, complaint) in error.complaints.iter().enumerate() {
        if index > 0 {
            text.push('\n');
        }
        let _ = write!(text, "{complaint}");
        if let (Some(hint), true) = (&complaint.hint, error.complaints.len() > 1) {
            let _ = write!(text, "\n       ({hint})");
        }
    }
    let failure = Failure::user(text);
    match error.complaints.as_slice() {
        [only] => only.hint.iter().fold(failure, |failure, hint| failure.hint(hint)),
        _ => failure,
    }
}

/// Loads files from the disk.
#[derive(Debug)]
struct Disk;

impl Loader for Disk {
    fn load(&self, folder: Option<&str>, name: &str) -> Result<Loaded, String> {
        let path =
            folder.map_or_else(|| PathBuf::from(name), |folder| Path::new(folder).join(name));
        let failed = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::NotFound => format!("there is no file {}", path.display()),
            _ => format!("failed to read {}: {error}", path.display()),
        };
        if path.is_dir() {
            return Err(format!("{} is a folder, a sweep file is needed", path.display()));
        }
        let bytes = layout::read_named(&path, Limit::SWEEP).map_err(failed)?;
        let whole = path.canonicalize().map_err(failed)?;
        let folder = whole.parent().unwrap_or(Path::new("/"));
        let text = |path: &Path| {
            path.to_str()
                .map(str::to_owned)
                .ok_or_else(|| format!("{} is no UTF-8 path", path.display()))
        };
        let shown = name.strip_prefix("./").unwrap_or(name);
        Ok(Loaded { name: shown.to_owned(), folder: text(folder)?, identity: text(&whole)?, bytes })
    }
}

fn template(path: &str) -> Result<String, Failure> {
    layout::read_named_text(Path::new(path), Limit::TEMPLATE).map_err(|error| {
        Failure::user(format!("failed to read the template {path}: {error}"))
            .hint("`template:` in a sweep is relative to the sweep file")
    })
}

/// Returns the site's template: `$XDG_CONFIG_HOME/regatta/job.sh.tera`, or what
/// `REGATTA_TEMPLATE` names.
#[expect(clippy::disallowed_methods, reason = "a front room reads the environment")]
fn site_template() -> Result<Option<String>, Failure> {
    if let Some(path) = std::env::var_os("REGATTA_TEMPLATE").filter(|path| !path.is_empty()) {
        return template(&path.to_string_lossy()).map(Some);
    }
    let config = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
    let config =
        config.or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".config")));
    let path = config.map(|config| config.join("regatta").join("job.sh.tera"));
    path.filter(|path| path.is_file()).map(|path| template(&path.to_string_lossy())).transpose()
}
