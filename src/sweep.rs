//! From the YAML document to trials. Pure: documents come as text from a [`Loader`].
//!
//! ```text
//! text ─ place ─ source (includes merged) ─ document (strict shape) ─ axis ─ expand ─ Vec<Trial>
//! ```

mod axis;
mod complaint;
mod document;
mod duration;
mod expand;
mod identity;
mod place;
mod policy;
mod schema;
mod source;
mod trial;

use serde_json::{Map, Value};

pub use complaint::{Complaint, SweepError};
pub use document::{Notify, name_complaint};
pub use duration::seconds as duration_seconds;
pub use identity::identify;
pub use place::{Place, Step};
pub use policy::{Action, Breaker, EndKind, Policy};
pub use schema::{SCHEMA_ID, schema};
pub use source::{Loaded, Loader};
pub use trial::{Assignment, Budget, CheckSaid, Trial};

use crate::metric::Objective;

/// Trials that a sweep may have unless told otherwise.
pub const MAX_TRIALS: u64 = 10_000;

/// A sweep: what the YAML document says, expanded and checked.
#[derive(Debug)]
pub struct Sweep {
    /// Its name, also of its folder.
    pub name: String,
    /// What is good.
    pub objective: Objective,
    /// Its trials in the order of submission.
    pub trials: Vec<Trial>,
    /// Resources of every job, as written.
    pub resources: Map<String, Value>,
    /// Resources of some.
    pub overrides: Vec<Override>,
    /// Tasks that may be in flight at the same time.
    pub max_in_flight: Option<u32>,
    /// Time limits.
    pub budget: Budget,
    /// What to do after each kind of end.
    pub policy: Policy,
    /// What to do when it ends.
    pub notify: Option<Notify>,
    /// Absolute path of its own template.
    pub template: Option<String>,
    /// Folder of the sweep file, absolute.
    pub folder: String,
    /// Things worth telling: an axis that hides a fixed value.
    pub notes: Vec<String>,
    /// The text of the file (without its includes).
    pub text: String,
    source: source::Source,
}

/// Resources for the trials that match.
#[derive(Clone, Debug, PartialEq)]
pub struct Override {
    /// Settings by dotted path, and the values that they must have.
    pub when: Map<String, Value>,
    /// Resources laid over the others.
    pub resources: Map<String, Value>,
}

impl Sweep {
    /// Reads and expands a sweep file.
    ///
    /// # Errors
    /// Everything that is wrong with it, with places and hints.
    pub fn read(loader: &dyn Loader, name: &str, max_trials: u64) -> Result<Self, SweepError> {
        let source = source::Source::read(loader, name)?;
        let document = document::read(&source)?;
        let budget = document::budget(&source, &document)?;
        let dimensions = axis::dimensions(&source, &document, max_trials)?;
        let trials = expand::expand(&source, &document, &dimensions, max_trials)?;
        let resources =
            document::json_map(&source, &[document::key("resources")], &document.resources)?;
        let overrides = read_overrides(&source, &document)?;
        Ok(Self {
            notes: hidden(&document, &dimensions),
            name: document.name,
            objective: document.objective,
            trials,
            resources,
            overrides,
            max_in_flight: document.max_in_flight,
            budget,
            policy: document.policy,
            notify: document.notify,
            template: document.template,
            folder: source.folder.clone(),
            text: source.text.clone(),
            source,
        })
    }

    /// Returns the line that sets a setting (`data.patch`): its axis, or its place under `fixed:`, or
    /// that of what is around it.
    #[must_use]
    pub fn place_of(&self, setting: &str) -> Option<Place> {
        let section = setting.split('.').next().unwrap_or_default();
        let axis = |words: &[&str]| words.iter().copied().map(document::key).collect::<Vec<_>>();
        let axes = [
            axis(&["grid", setting]),
            axis(&["random", "axes", setting]),
            axis(&["grid", section]),
            axis(&["random", "axes", section]),
        ];
        let fixed: Vec<Step> =
            std::iter::once("fixed").chain(setting.split('.')).map(document::key).collect();
        let stands = axes.iter().find(|path| self.source.has(path));
        self.source.place(stands.unwrap_or(&fixed))
    }

    /// Makes a complaint about a path of the document, with its place.
    #[must_use]
    pub fn complain(
        &self,
        path: &[Step],
        what: impl Into<String>,
        hint: Option<String>,
    ) -> SweepError {
        self.source.complain(path, what, hint)
    }
}

fn read_overrides(
    source: &source::Source,
    document: &document::Document,
) -> Result<Vec<Override>, SweepError> {
    let known: Vec<String> = crate::setting::known_paths().collect();
    let mut found = Vec::new();
    for (index, raw) in document.overrides.iter().enumerate() {
        let at =
            |word: &str| vec![document::key("overrides"), Step::Index(index), document::key(word)];
        let when = document::json_map(source, &at("when"), &raw.when)?;
        if let Some(unknown) = when.keys().find(|path| !known.contains(path)) {
            let mut path = at("when");
            path.push(document::key(unknown));
            let near = crate::setting::nearest(unknown, known.iter().map(String::as_str));
            let hint = near.map(|near| format!("did you mean `{near}`?"));
            return Err(source.complain(&path, format!("unknown setting `{unknown}`"), hint));
        }
        found.push(Override {
            when,
            resources: document::json_map(source, &at("resources"), &raw.resources)?,
        });
    }
    Ok(found)
}

/// Finds axes over keys that `fixed` has too; the axis wins.
fn hidden(document: &document::Document, dimensions: &[axis::Dimension]) -> Vec<String> {
    let axes = dimensions.iter().flat_map(|dimension| &dimension.axes);
    let hides = |target: &str| {
        let mut parts = target.split('.');
        let first = parts.next().and_then(|part| document.fixed.get(part));
        parts.try_fold(first?, |node, part| node.get(part)).map(|_| ())
    };
    let dropped = |target: &str| {
        let section = target.strip_suffix(".name").filter(|section| *section != "data")?;
        let fixed = document.fixed.get(section)?;
        let keys = fixed.as_mapping()?.keys().filter_map(serde_yaml::Value::as_str);
        let keys: Vec<_> = keys.filter(|key| *key != "name").collect();
        (!keys.is_empty()).then(|| {
            format!(
                "the axis `{target}` drops `{}` of `fixed.{section}` where the name is another: to keep \
                 them, let the axis be `{section}` with whole mappings",
                keys.join("`, `")
            )
        })
    };
    let hidden = axes.filter(|axis| hides(&axis.target).is_some());
    hidden
        .flat_map(|axis| {
            let wins = format!("the axis `{}` wins over the value under `fixed:`", axis.target);
            std::iter::once(wins).chain(dropped(&axis.target))
        })
        .collect()
}
