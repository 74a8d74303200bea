//! Which nodes are left out, and why: policy after an end, and the breaker.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::ledger::Ledger;
use crate::id::TrialId;
use crate::sweep::{Breaker, EndKind, Policy};

/// Nodes that the breaker leaves out of all submissions, with the number of ends that speak against
/// each.
///
/// Node failures, losses and failures count. Failures only where the sweep works in principle (`works`:
/// some trial has done an epoch): an error in the sweep itself is no node's fault.
#[must_use]
pub(super) fn tripped(
    ledger: &Ledger,
    breaker: Breaker,
    works: bool,
    now: Timestamp,
) -> BTreeMap<String, u32> {
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    if breaker.is_off() {
        return counts;
    }
    let period = SignedDuration::try_from_secs_f64(breaker.period).unwrap_or(SignedDuration::MAX);
    for (_, history) in ledger.histories() {
        for end in history.ends() {
            let bad = match end.kind {
                Some(EndKind::NodeFailed | EndKind::Lost) => true,
                Some(EndKind::Failed) => works,
                _ => false,
            };
            if let Some(node) = &end.node
                && bad
                && now.duration_since(end.at) <= period
            {
                *counts.entry(node.clone()).or_default() += 1;
            }
        }
    }
    counts.retain(|_, count| *count >= breaker.failures);
    counts
}

/// Nodes that a trial does not go to again, as policy says of how it ended there.
#[must_use]
pub(super) fn avoided(ledger: &Ledger, policy: &Policy, trial: &TrialId) -> BTreeSet<String> {
    let ends = ledger.history(trial).map_or(&[][..], |history| history.ends());
    let exclude = |kind: EndKind| policy.of(kind).exclude_node;
    let avoided = ends.iter().filter(|end| end.kind.is_some_and(exclude));
    avoided.filter_map(|end| end.node.clone()).collect()
}

/// Says whether words of a refusal may be about nodes that were left out.
#[must_use]
pub(super) fn may_be_the_cause(words: &str) -> bool {
    // slurm_errno.c: ESLURM_REQUESTED_NODE_CONFIG_UNAVAILABLE, ESLURM_INVALID_NODE_NAME and kin.
    ["node configuration is not available", "Invalid node name", "nodes are busy", "--exclude"]
        .iter()
        .any(|part| words.contains(part))
}
