//! What is doubtful about a trained network, told to whoever exports it or predicts with it.

use serde::Serialize;

use super::Trained;
use crate::event::Outcome;
use crate::setting::{Split, SplitBy};

/// Something to be careful about.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Flag {
    /// A word for programs.
    pub flag: &'static str,
    /// A sentence for people.
    pub text: String,
}

impl Trained {
    /// What one should know before one trusts it.
    #[must_use]
    pub fn flags(&self) -> Vec<Flag> {
        let mut flags = Vec::new();
        let mut add = |flag, text: String| flags.push(Flag { flag, text });
        let Self { settings, manifest, outcome, .. } = self;
        let split = settings.data.as_ref().map(|data| &data.split);
        if split == Some(&Split::Word(SplitBy::LeakyRandomPatches)) {
            let text = "training and validation share images (`leaky_random_patches`): the metrics say \
                    little about new images";
            add("leaky_split", text.to_owned());
        }
        let unfinished = match outcome {
            Some(Outcome::Finished) => None,
            None | Some(Outcome::Superseded) => Some("the trial has not ended"),
            Some(Outcome::Stopped) => Some("the trial was stopped before its end"),
            Some(Outcome::Spent) => Some("the trial used up its time before its end"),
            Some(Outcome::Diverged) => Some("training diverged; these weights are from before"),
            Some(Outcome::Failed) => Some("the trial failed; these weights are from before"),
        };
        if let Some(text) = unfinished {
            add("unfinished", text.to_owned());
        }
        let Some(manifest) = manifest else {
            let text = "only weights could be saved: epoch and metrics are not known";
            add("weights_alone", text.to_owned());
            return flags;
        };
        if !self.is_best() {
            add("not_best_epoch", "these are not the weights of the best epoch".to_owned());
        }
        let health = manifest.state.health;
        if health.blind > 0 {
            let text = "in this epoch the network told no foreground from background";
            add("collapsed", text.to_owned());
        }
        if !health.has_learnt {
            add(
                "has_not_learnt",
                "it never told foreground from background with a val/jaccard of 0.1".to_owned(),
            );
        }
        if health.rollbacks > 0 {
            let text = format!("training was rolled back, {} time(s)", health.rollbacks);
            add("rolled_back", text);
        }
        flags
    }
}
