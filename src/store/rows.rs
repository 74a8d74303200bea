//! Rows of a large answer, many at a time.
//!
//! SQLite works on a thread of its own, and a reader who waits for each row is woken for each: two changes of the
//! thread a row, which cost several times what the row does. After the first rows the reader therefore sleeps a
//! moment instead of waiting to be woken, and finds many.

use std::time::Duration;

use futures_util::{FutureExt, TryStream, TryStreamExt};

/// Rows that are waited for one by one: most answers have no more.
const FEW: u32 = 32;

/// How long it sleeps; hundreds of rows come meanwhile.
const MOMENT: Duration = Duration::from_millis(1);

/// What a statement returns, row by row.
#[derive(Debug)]
pub(super) struct Rows<S> {
    stream: S,
    taken: u32,
}

impl<S: TryStream + Unpin> Rows<S> {
    /// Reads from a stream of rows.
    pub(super) fn new(stream: S) -> Self {
        Self { stream, taken: 0 }
    }

    /// Returns the next row; `None` after the last.
    pub(super) async fn next(&mut self) -> Result<Option<S::Ok>, S::Error> {
        if self.taken < FEW {
            self.taken += 1;
            return self.stream.try_next().await;
        }
        loop {
            match self.stream.try_next().now_or_never() {
                Some(next) => return next,
                None => tokio::time::sleep(MOMENT).await,
            }
        }
    }

    /// Returns all rows that are left.
    pub(super) async fn all(mut self) -> Result<Vec<S::Ok>, S::Error> {
        let mut all = Vec::new();
        while let Some(row) = self.next().await? {
            all.push(row);
        }
        Ok(all)
    }
}
