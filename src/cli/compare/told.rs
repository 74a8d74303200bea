//! A comparison of sweeps for a page that shows it among other things.

use serde_json::Value;

use super::view::View;
use super::{groups, sweeps, words};
use crate::analysis::notes;
use crate::cli::Failure;
use crate::query::Aggregate;
use crate::store::{Rivals, Store};

/// What a comparison tells.
#[derive(Debug)]
pub(in crate::cli) struct Told {
    /// What `compare --json` prints.
    pub(in crate::cli) json: Value,
    /// The better of the groups on each data set and split, in a sentence.
    pub(in crate::cli) lead: Option<String>,
    /// How the values were taken and tested.
    pub(in crate::cli) method: String,
}

/// Compares as `regatta compare` does without options.
pub(in crate::cli) async fn told(store: &mut Store, rivals: Rivals) -> Result<Told, Failure> {
    let summaries = sweeps::summaries(store, &rivals).await?;
    let mut view = View::new(rivals, &[], Aggregate::default());
    view.is_dotted = true;
    let notes = notes(&view.comparison, false);
    let json = groups::as_json(&view, usize::MAX, &notes, Some(&summaries));
    let leads = words::leads(&view);
    let lead = (!leads.is_empty()).then(|| leads.join("; "));
    Ok(Told { json, lead, method: words::method(&view) })
}
