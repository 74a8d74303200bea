//! Trials that a few typed letters may mean, for a shell that completes them: fast, however many there are.

use serde_json::{Map, Value};
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Row};

use super::object;
use crate::store::{Store, StoreError};

/// Trials that are told of each next digit.
const EACH: usize = 40;

/// Digits of an identity.
const DIGITS: &str = "0123456789abcdef";

/// A trial that may be meant.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// Its sweep.
    pub sweep: String,
    /// Its identity.
    pub trial: String,
    /// How it stands, as a word.
    pub state: String,
    /// Best value of the objective.
    pub value: Option<f64>,
    /// What its sweep varies, by dotted path.
    pub parameters: Map<String, Value>,
}

impl Store {
    /// Says whether there are more trials than this.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn has_more_trials_than(&mut self, most: u32) -> Result<bool, StoreError> {
        let next = sqlx::query_scalar::<_, i64>("select trial_id from trial limit 1 offset ?")
            .bind(most)
            .fetch_optional(&mut self.connection)
            .await?;
        Ok(next.is_some())
    }

    /// Lists trials whose identity begins like this, of one sweep or of all. Of many only some are told, but of
    /// each digit that may come next, so that what all of them have in common is what all trials have.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn candidates(
        &mut self,
        sweep: Option<&str>,
        typed: &str,
    ) -> Result<Vec<Candidate>, StoreError> {
        let mut prefix = typed.to_lowercase();
        if !prefix.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Ok(Vec::new());
        }
        loop {
            let mut found = Vec::new();
            let mut digits = 0;
            let mut only = None;
            for digit in DIGITS.chars() {
                let rows = self.beginning(sweep, &format!("{prefix}{digit}")).await?;
                if !rows.is_empty() {
                    digits += 1;
                    only = (rows.len() == EACH).then_some(digit);
                }
                found.extend(rows);
            }
            match only {
                // Those that are left out may differ in the next digit.
                Some(digit) if digits == 1 => prefix.push(digit),
                _ => return Ok(found),
            }
        }
    }

    async fn beginning(
        &mut self,
        sweep: Option<&str>,
        prefix: &str,
    ) -> Result<Vec<Candidate>, StoreError> {
        // A range, so that the index is used; `g` follows the last hex digit.
        let rows = sqlx::query(AssertSqlSafe(format!(
            "select sweep.name, identity, state, parameters,
                    iif(sweep.direction = 'minimize', summary.minimum, summary.maximum) as value
             from trial indexed by trial_identity join sweep using (sweep_id)
             left join summary on summary.trial_id = trial.trial_id and summary.metric = sweep.metric
             where identity >= ?1 and identity < ?1 || 'g' and (?2 is null or sweep.name = ?2)
             order by identity, sweep.name limit {EACH}"
        )))
        .bind(prefix)
        .bind(sweep)
        .fetch_all(&mut self.connection)
        .await?;
        rows.iter().map(candidate).collect()
    }
}

fn candidate(row: &SqliteRow) -> Result<Candidate, StoreError> {
    Ok(Candidate {
        sweep: row.try_get("name")?,
        trial: row.try_get("identity")?,
        state: row.try_get("state")?,
        value: row.try_get("value")?,
        parameters: object(row.try_get("parameters")?),
    })
}
