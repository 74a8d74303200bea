//! What each sweep came to, below a comparison.

use serde_json::{Value, json};

use crate::analysis::{Analysis, Fate, Member, median};
use crate::cli::Failure;
use crate::cli::analysis::time;
use crate::cli::ask::{from_store, metric, unique_length};
use crate::cli::table;
use crate::store::{Rivals, Store};

/// A sweep in one row.
#[derive(Debug)]
pub(super) struct Summary {
    sweep: String,
    trials: usize,
    done: usize,
    lost: usize,
    open: usize,
    collapsed: usize,
    never_learnt: usize,
    seconds: f64,
    median_seconds: Option<f64>,
    /// The trial with the best value, and its analysis.
    best: Option<(Member, Analysis)>,
}

/// Counts the trials of each sweep, and analyses its best one.
pub(super) async fn summaries(store: &mut Store, rivals: &Rivals) -> Result<Vec<Summary>, Failure> {
    let mut summaries = Vec::new();
    for sweep in &rivals.sweeps {
        let own: Vec<&Member> = rivals.members.iter().filter(|one| one.sweep == *sweep).collect();
        let count = |is: fn(&Member) -> bool| own.iter().filter(|one| is(one)).count();
        let valued = own.iter().filter(|one| one.value.is_some());
        let best = valued.min_by(|a, b| {
            let rank = rivals.objective.direction.rank(a.value, b.value);
            rank.then_with(|| a.epoch.cmp(&b.epoch)).then_with(|| a.trial.cmp(&b.trial))
        });
        let mut analysed = None;
        if let Some(best) = best {
            let key = [(sweep.clone(), best.trial.clone())];
            let found = store.analyses(&key, Some(&rivals.objective)).await.map_err(from_store)?;
            analysed = found.into_iter().next().map(|analysis| ((*best).clone(), analysis));
        }
        let seconds = own.iter().filter_map(|one| one.seconds);
        summaries.push(Summary {
            sweep: sweep.clone(),
            trials: own.len(),
            done: count(|one| one.fate == Fate::Done),
            lost: count(|one| matches!(one.fate, Fate::Lost(_))),
            open: count(|one| one.fate == Fate::Open),
            collapsed: count(|one| one.is_collapsed),
            never_learnt: count(|one| one.never_learnt),
            seconds: seconds.clone().sum(),
            median_seconds: median(seconds),
            best: analysed,
        });
    }
    Ok(summaries)
}

pub(super) fn as_table(summaries: &[Summary]) -> String {
    let best = summaries.iter().filter_map(|summary| summary.best.as_ref());
    let length = unique_length(best.map(|(member, _)| member.trial.as_str()));
    let mut shown = table::new();
    shown.set_header([
        "SWEEP",
        "TRIALS",
        "DONE",
        "LOST",
        "OPEN",
        "COLLAPSED",
        "NEVER LEARNT",
        "TIME IN ALL",
        "BEST",
        "TRIAL",
        "GAP",
        "STABILITY",
        "VERDICT",
    ]);
    for one in summaries {
        let (member, analysis) = one.best.as_ref().map(|(m, a)| (m, a)).unzip();
        shown.add_row([
            one.sweep.clone(),
            one.trials.to_string(),
            one.done.to_string(),
            one.lost.to_string(),
            one.open.to_string(),
            one.collapsed.to_string(),
            one.never_learnt.to_string(),
            time(Some(one.seconds)),
            metric(member.and_then(|member| member.value)),
            member.map_or("-".to_owned(), |member| member.trial.as_str()[..length].to_owned()),
            metric(analysis.and_then(|analysis| analysis.gap)),
            metric(analysis.and_then(|analysis| analysis.stability)),
            analysis.map_or("-".to_owned(), |analysis| analysis.verdict.clone()),
        ]);
    }
    table::text(&shown)
}

pub(super) fn as_json(summary: &Summary) -> Value {
    json!({
        "sweep": summary.sweep, "trials": summary.trials, "done": summary.done, "lost": summary.lost,
        "open": summary.open, "collapsed": summary.collapsed, "never_learnt": summary.never_learnt,
        "training_seconds": summary.seconds, "median_seconds": summary.median_seconds,
        "best": summary.best.as_ref().map(|(member, analysis)| json!({
            "trial": member.trial, "value": member.value, "epoch": member.epoch, "analysis": analysis,
        })),
    })
}
