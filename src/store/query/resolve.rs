//! What somebody typed → a sweep or a trial.

use super::{TrialKey, identity};
use crate::setting::nearest;
use crate::store::{Store, StoreError};

/// Candidates named in the error for an ambiguous prefix.
const SHOWN: usize = 8;

impl Store {
    /// Returns the names of all sweeps, sorted.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sweep_names(&mut self) -> Result<Vec<String>, StoreError> {
        Ok(sqlx::query_scalar("select name from sweep order by name")
            .fetch_all(&mut self.connection)
            .await?)
    }

    /// Returns the key of a sweep.
    pub(in crate::store) async fn sweep(&mut self, name: &str) -> Result<i64, StoreError> {
        let found = sqlx::query_scalar("select sweep_id from sweep where name = ?")
            .bind(name)
            .fetch_optional(&mut self.connection)
            .await?;
        match found {
            Some(found) => Ok(found),
            None => {
                let names = self.sweep_names().await?;
                let nearest = nearest(name, names.iter().map(String::as_str)).map(str::to_owned);
                Err(StoreError::NoSweep { name: name.to_owned(), nearest })
            }
        }
    }

    /// Returns the keys of the sweeps named, of all for none.
    pub(super) async fn sweeps(&mut self, names: &[String]) -> Result<Vec<i64>, StoreError> {
        if names.is_empty() {
            return Ok(sqlx::query_scalar("select sweep_id from sweep order by name")
                .fetch_all(&mut self.connection)
                .await?);
        }
        let mut found = Vec::new();
        for name in names {
            found.push(self.sweep(name).await?);
        }
        Ok(found)
    }

    /// Finds the one trial that a unique prefix of its identity names, or `sweep/prefix`.
    ///
    /// # Errors
    /// When there is none, or several begin like this.
    pub async fn resolve_trial(&mut self, typed: &str) -> Result<TrialKey, StoreError> {
        let (sweep, prefix) = match typed.rsplit_once('/') {
            Some((sweep, prefix)) => (Some(sweep), prefix),
            None => (None, typed),
        };
        if let Some(sweep) = sweep {
            self.sweep(sweep).await?;
        }
        let none = || StoreError::NoTrial { prefix: typed.to_owned() };
        let prefix = prefix.to_lowercase();
        if sweep.is_none() && self.sweep_names().await?.iter().any(|name| name == typed) {
            return Err(StoreError::SweepForTrial { name: typed.to_owned() });
        }
        if prefix.is_empty() || !prefix.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(none());
        }
        // A range, so that the index is used; `g` follows the last hex digit.
        let rows: Vec<(i64, i64, String, String)> = sqlx::query_as(
            "select trial_id, sweep_id, sweep.name, identity from trial join sweep using (sweep_id)
             where identity >= ?1 and identity < ?1 || 'g' and (?2 is null or sweep.name = ?2)
             order by identity, sweep.name limit ?3",
        )
        .bind(&prefix)
        .bind(sweep)
        .bind(SHOWN as i64 + 1)
        .fetch_all(&mut self.connection)
        .await?;
        match rows.as_slice() {
            [] => Err(none()),
            [(row, sweep_row, sweep, trial)] => Ok(TrialKey {
                sweep: sweep.clone(),
                trial: identity(trial)?,
                row: *row,
                sweep_row: *sweep_row,
            }),
            several => Err(StoreError::Ambiguous {
                prefix: typed.to_owned(),
                candidates: several
                    .iter()
                    .take(SHOWN)
                    .map(|(_, _, sweep, trial)| format!("{sweep}/{trial}"))
                    .chain((several.len() > SHOWN).then(|| "…".to_owned()))
                    .collect(),
            }),
        }
    }
}
