//! Many trials in a row of an answer. SQLite works on a thread of its own, and each value that goes from there to
//! us costs more than to find it: trials are packed into texts of JSON, hundreds of them in each.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use sqlx::sqlite::SqliteArguments;
use sqlx::{AssertSqlSafe, SqliteConnection};

use crate::store::StoreError;
use crate::store::rows::Rows;

/// Trials in a text.
const TRIALS: u32 = 500;

/// SQL that packs `columns` of the rows of `from`, a clause with its conditions; rows whose `number` is near to each
/// other stand together.
pub(super) fn sql(columns: &str, from: &str, number: &str) -> String {
    format!(
        "select json_group_array(json_array({columns})) from {from} group by {number} / {TRIALS}"
    )
}

/// SQL of a number with all of its digits: JSON of SQLite has fifteen. Below 1e-15 and above 1e15 the last bit may be
/// another one.
pub(super) fn exact(number: &str) -> String {
    format!("iif({number} is null, null, format('%!.17g', {number}))")
}

/// Reads what [`exact`] writes.
pub(super) fn number<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    let text: Option<&str> = Deserialize::deserialize(from)?;
    text.map(str::parse).transpose().map_err(serde::de::Error::custom)
}

/// Reads a truth value of SQLite.
pub(super) fn flag<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    Ok(u8::deserialize(from)? != 0)
}

/// Hands every row of a packed query to `take`; the fields of `T` are its columns, in order.
pub(super) async fn each<T: DeserializeOwned>(
    db: &mut SqliteConnection,
    sql: String,
    arguments: SqliteArguments,
    mut take: impl FnMut(T) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let query = sqlx::query_scalar_with::<_, String, _>(AssertSqlSafe(sql), arguments);
    let mut rows = Rows::new(query.fetch(db));
    while let Some(text) = rows.next().await? {
        let some: Vec<T> = serde_json::from_str(&text).map_err(unpacked)?;
        some.into_iter().try_for_each(&mut take)?;
    }
    Ok(())
}

fn unpacked(error: serde_json::Error) -> sqlx::Error {
    sqlx::Error::Decode(error.into())
}

#[cfg(test)]
mod tests {
    use sqlx::Connection;

    use super::*;

    #[derive(Deserialize)]
    struct One(i64, #[serde(deserialize_with = "number")] Option<f64>);

    #[tokio::test]
    async fn numbers_come_back_with_every_bit() {
        let mut db = SqliteConnection::connect("sqlite::memory:").await.expect("a database");
        sqlx::query("create table given (id integer primary key, value real)")
            .execute(&mut db)
            .await
            .expect("a table");
        let shares = (0..5000_u32).map(|n| f64::from(n) / 4999.0);
        let roots = (1..5000_u32).map(|n| f64::from(n).sqrt() * 1e3);
        let small = (1..15).map(|n| 10_f64.powi(-n) / 3.0);
        let large = (1..15).map(|n| -(10_f64.powi(n)) / 7.0);
        let given: Vec<f64> = shares.chain(roots).chain(small).chain(large).collect();
        for value in &given {
            sqlx::query("insert into given (value) values (?)")
                .bind(value)
                .execute(&mut db)
                .await
                .expect("a row");
        }
        sqlx::query("insert into given (value) values (null)")
            .execute(&mut db)
            .await
            .expect("a row");
        let text = sql(&format!("id, {}", exact("value")), "given", "id");
        let mut found = Vec::new();
        let take = |One(id, value): One| {
            found.push((id, value));
            Ok(())
        };
        each(&mut db, text, SqliteArguments::default(), take).await.expect("rows");
        found.sort_by_key(|(id, _)| *id);
        let found: Vec<Option<f64>> = found.into_iter().map(|(_, value)| value).collect();
        let given: Vec<Option<f64>> = given.into_iter().map(Some).chain([None]).collect();
        let pairs = found.iter().zip(&given).filter(|(found, given)| found != given);
        let other: Vec<_> = pairs.collect();
        assert!(found.len() == given.len() && other.is_empty(), "{other:?}");
    }
}
