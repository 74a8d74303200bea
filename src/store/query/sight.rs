//! Whether the networks of many trials told foreground from background: from the table `summary`, and from
//! single epochs where that cannot tell.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::BestRow;
use super::analyses::standing;
use super::packed::{self, flag};
use super::terms::Terms;
use crate::analysis::{Standing, epochs_to_judge};
use crate::event::WORDS_OF_A_LEAK;
use crate::metric::{LARGEST_COVERAGE, LEARNT, LEAST_RECALL, Metrics, Sight};
use crate::store::rows::Rows;
use crate::store::{Store, StoreError, TrialState, int, uint};

/// Why a value is not what it looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Doubt {
    /// Neighbours of its validation patches were trained on.
    Leaky,
    /// Its worker measured that copying the nearest training mask scores high on its validation split.
    SplitLeaks,
    /// The network never told foreground from background.
    NeverLearnt,
    /// In the epoch of the value it took nearly all for foreground.
    TakesAll,
    /// It had learnt, and is blind at the end.
    Collapsed,
    /// Training diverged.
    Diverged,
}

impl Doubt {
    /// Returns it as people say it.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Leaky => "leaky",
            Self::SplitLeaks => "split leaks",
            Self::NeverLearnt => "never learnt",
            Self::TakesAll => "takes all for foreground",
            Self::Collapsed => "collapsed later",
            Self::Diverged => "diverged",
        }
    }
}

/// What the epochs of a trial show.
#[derive(Debug)]
pub(super) struct Seen {
    trial: i64,
    standing: Standing,
    has_jaccard: bool,
    has_learnt: bool,
    /// Whether its best Jaccard index is that of a blind epoch, so that others must be looked at.
    is_open: bool,
    is_blind_at_end: bool,
    epochs_done: u64,
    at_value: Option<Sight>,
}

/// The columns of [`Raw`] as one, for a packed query over `trial`; `epoch` is that of a trial's value. Only where
/// some epoch is blind are single epochs looked at.
pub(super) fn columns(epoch: &str) -> String {
    let is_blind_once = format!(
        "(coalesce(recall.minimum, 0) < {LEAST_RECALL} or coverage.maximum > {LARGEST_COVERAGE})"
    );
    let metrics = |epoch: &str| {
        format!(
            "case when {is_blind_once} then (select metrics from epoch
                 where epoch.trial_id = trial.trial_id and epoch.epoch = {epoch}) end"
        )
    };
    let (at_best, at_value) = (metrics("jaccard.maximum_epoch"), metrics(epoch));
    format!(
        "json_array(trial.trial_id, trial.state,
             (select reason from attempt where attempt.trial_id = trial.trial_id
                  and reason is not null order by number desc limit 1),
             jaccard.trial_id is not null, jaccard.maximum, jaccard.last, jaccard.last_epoch,
             recall.trial_id is not null, recall.last, coverage.last, {at_best}, {at_value})"
    )
}

/// A trial's columns; of its values fifteen digits, which is enough for a look at a threshold.
#[derive(Debug, Deserialize)]
pub(super) struct Raw {
    trial: i64,
    state: String,
    reason: Option<String>,
    #[serde(deserialize_with = "flag")]
    has_jaccard: bool,
    best_jaccard: Option<f64>,
    jaccard: Option<f64>,
    jaccard_epochs: Option<i64>,
    #[serde(deserialize_with = "flag")]
    has_recall: bool,
    recall: Option<f64>,
    coverage: Option<f64>,
    at_best: Option<String>,
    at_value: Option<String>,
}

impl Raw {
    /// The state of the trial, in its word.
    pub(super) fn state(&self) -> &str {
        &self.state
    }
}

/// The tables of these columns.
pub(super) const JOINS: &str = "
    left join summary jaccard on jaccard.trial_id = trial.trial_id and jaccard.metric = 'val/jaccard'
    left join summary recall on recall.trial_id = trial.trial_id and recall.metric = 'val/recall'
    left join summary coverage
        on coverage.trial_id = trial.trial_id and coverage.metric = 'val/coverage'";

impl Seen {
    /// Reads the columns.
    pub(super) fn of(raw: &Raw) -> Self {
        let metrics = |text: &Option<String>| {
            text.as_ref().and_then(|text| serde_json::from_str::<Metrics>(text).ok())
        };
        let scores = raw.best_jaccard.is_some_and(|best| best >= LEARNT);
        let is_blind_at_best = metrics(&raw.at_best).is_some_and(|m| m.is_blind() == Some(true));
        Self {
            trial: raw.trial,
            standing: standing(&TrialState::from(raw.state.clone()), raw.reason.as_deref()),
            has_jaccard: raw.has_jaccard,
            has_learnt: scores && !is_blind_at_best,
            is_open: scores && is_blind_at_best,
            is_blind_at_end: last(raw).is_blind() == Some(true),
            epochs_done: raw.jaccard_epochs.map_or(0, uint),
            at_value: metrics(&raw.at_value).and_then(|metrics| metrics.sight()),
        }
    }

    /// Says whether it had learnt, and is blind at the end.
    pub(super) fn is_collapsed(&self) -> bool {
        self.has_learnt && self.is_blind_at_end
    }

    /// Says whether it never learnt, as the analysis does.
    pub(super) fn never_learnt(&self) -> bool {
        let enough = epochs_to_judge(self.standing, self.is_blind_at_end);
        let had_time = usize::try_from(self.epochs_done).is_ok_and(|done| done >= enough);
        self.has_jaccard && !self.has_learnt && had_time
    }

    /// Says whether it took nearly all for foreground in the epoch of its value.
    pub(super) fn takes_all(&self) -> bool {
        self.at_value == Some(Sight::All)
    }

    fn doubts(&self, row: &BestRow, split_leaks: bool) -> Vec<Doubt> {
        let has_value = row.value.is_some();
        let known = [
            (row.is_leaky, Doubt::Leaky),
            (split_leaks && !row.is_leaky, Doubt::SplitLeaks),
            (self.never_learnt(), Doubt::NeverLearnt),
            (has_value && self.takes_all(), Doubt::TakesAll),
            (self.is_collapsed(), Doubt::Collapsed),
            (self.standing == Standing::Diverged, Doubt::Diverged),
        ];
        known.into_iter().filter(|(holds, _)| *holds).map(|(_, doubt)| doubt).collect()
    }
}

/// Those metrics of the last epoch that tell whether anything is found.
fn last(raw: &Raw) -> Metrics {
    let mut last = Metrics::default();
    let or_none = |value: Option<f64>| value.unwrap_or(f64::NAN);
    if raw.has_jaccard {
        last.set("val/jaccard", or_none(raw.jaccard));
    }
    if raw.has_recall {
        last.set("val/recall", or_none(raw.recall));
    }
    last.set("val/coverage", or_none(raw.coverage));
    last
}

impl Store {
    /// Looks at all epochs of those trials of which the best one does not tell whether they learnt.
    pub(super) async fn look_closer(&mut self, seen: &mut [Seen]) -> Result<(), StoreError> {
        let open: Vec<i64> = seen.iter().filter(|one| one.is_open).map(|one| one.trial).collect();
        if open.is_empty() {
            return Ok(());
        }
        let rows = sqlx::query_as::<_, (i64, String)>(
            "select trial_id, metrics from json_each(?) wanted
                 cross join epoch on epoch.trial_id = wanted.value",
        )
        .bind(serde_json::Value::from(open).to_string())
        .fetch(&mut self.connection);
        let mut rows = Rows::new(rows);
        let mut learnt: HashSet<i64> = HashSet::new();
        while let Some((trial, metrics)) = rows.next().await? {
            let has_learnt = |text| {
                serde_json::from_str::<Metrics>(text).ok().and_then(|metrics| metrics.has_learnt())
            };
            if !learnt.contains(&trial) && has_learnt(&metrics) == Some(true) {
                learnt.insert(trial);
            }
        }
        seen.iter_mut().for_each(|one| one.has_learnt |= learnt.contains(&one.trial));
        Ok(())
    }

    /// Notes of ranked trials why their values are not what they look like.
    pub(super) async fn note_doubts(&mut self, ranked: &mut [BestRow]) -> Result<(), StoreError> {
        let wanted: Vec<(&str, &str, i64)> = ranked
            .iter()
            .map(|row| (row.sweep.as_str(), row.trial.as_str(), row.epoch.map_or(-1, int)))
            .collect();
        let wanted = serde_json::json!(wanted).to_string();
        let columns = format!(
            "wanted.key, exists (select 1 from attempt join warning using (attempt_id)
                 where attempt.trial_id = trial.trial_id and instr(warning.text, ?2) = 1), {}",
            columns("wanted.value ->> 2")
        );
        let from = format!(
            "json_each(?1) wanted
                 cross join sweep on sweep.name = wanted.value ->> 0
                 cross join trial on trial.sweep_id = sweep.sweep_id
                     and trial.identity = wanted.value ->> 1 {JOINS}"
        );
        let mut terms = Terms::new();
        terms.bind(wanted);
        terms.bind(WORDS_OF_A_LEAK.to_owned());
        let sql = packed::sql(&columns, &from, "wanted.key");
        let (mut places, mut seen) = (Vec::new(), Vec::new());
        let take = |(place, leaks, raw): (usize, u8, Raw)| {
            places.push((place, leaks != 0));
            seen.push(Seen::of(&raw));
            Ok(())
        };
        packed::each(&mut self.connection, sql, terms.bound(), take).await?;
        self.look_closer(&mut seen).await?;
        for ((place, split_leaks), seen) in places.into_iter().zip(&seen) {
            if let Some(row) = ranked.get_mut(place) {
                row.flags = seen.doubts(row, split_leaks);
            }
        }
        Ok(())
    }
}
