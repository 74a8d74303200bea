//! The one who looks: reads what is new in the journals while somebody watches, on a thread of its own, so
//! that nobody waits for a slow file server.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::edition::Edition;
use super::shelf::Shelf;
use crate::cli::report::{Prediction, document};
use crate::cli::screen::Aside;
use crate::cli::{Context, Failure};
use crate::clock::{Clock, SystemClock};

/// Looking takes at most one part in so many of a core: a login node is shared.
const SHARE: u32 = 10;

/// Seconds after which an answer is not taken for fresh; another regatta that reads takes less.
const OLD: f64 = 60.0;

const NOT_READ: &str =
    "journals are not read (the folder cannot be written, or another regatta is at it)";

/// What is looked at, and how often.
#[derive(Debug)]
pub(super) struct Watch {
    /// Names, patterns or files; none means all.
    pub(super) sweeps: Vec<String>,
    pub(super) metric: Option<String>,
    pub(super) predictions: Vec<Prediction>,
    pub(super) every: Duration,
    /// The beginning of the names of editions: those of another start are not known.
    pub(super) series: String,
}

impl Watch {
    /// Looks once.
    pub(super) async fn look(
        &self,
        ctx: &Context,
        number: u64,
    ) -> Result<(Edition, Timestamp), Failure> {
        let predictions = self.predictions.clone();
        let document =
            document(ctx, &self.sweeps, self.metric.as_deref(), &[], predictions).await?;
        let name = format!("{}-{number}", self.series);
        let edition = Edition::of(&document, name, self.every.as_secs_f64());
        Ok((edition.map_err(Failure::internal)?, document.as_of))
    }

    /// Looks for as long as the program runs.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn keep(self, ctx: &Context, shelf: Arc<Shelf>) -> Result<(), Failure> {
        let said = Aside::default();
        let own = Context {
            root: ctx.root.clone(),
            screen: ctx.screen.aside(said.clone()),
            clock: SystemClock::new(),
            root_option: ctx.root_option.clone(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(Failure::internal)?;
        let thread = std::thread::Builder::new().name("looks".to_owned());
        thread.spawn(move || runtime.block_on(self.work(&own, &shelf, &said))).map_err(
            |error| Failure::site(format!("the system gives no thread to read with: {error}")),
        )?;
        Ok(())
    }

    async fn work(&self, ctx: &Context, shelf: &Shelf, said: &Aside) {
        let mut number = 1;
        loop {
            shelf.asked().await;
            let begin = ctx.clock.monotonic();
            match self.look(ctx, number).await {
                Ok((edition, as_of)) => {
                    number += 1;
                    shelf.put(edition, as_of);
                    if ctx.clock.now().duration_since(as_of).as_secs_f64() > OLD {
                        shelf.fail(NOT_READ.to_owned());
                    }
                }
                Err(failure) => shelf.fail(failure.message),
            }
            // The terminal was told once, at the start.
            for words in said.take() {
                tracing::debug!("{words}");
            }
            let took = ctx.clock.monotonic().saturating_sub(begin);
            tokio::time::sleep(self.every.max(took * (SHARE - 1))).await;
        }
    }
}
