//! `regatta export --data`: trials with their settings and metrics, as a table for other programs.

use std::path::Path;

use crate::cli::ask::{ask, from_store, plural};
use crate::cli::output::{Format, by_name, deliver_rows};
use crate::cli::question::{Question, Understood};
use crate::cli::trials::list;
use crate::cli::{Context, Failure, compare};
use crate::query::{Aggregate, Field, Name, Vocabulary};

/// Writes what is asked of trials, of everything for no columns, into a file.
pub(super) async fn run(
    ctx: &Context,
    sweeps: &[String],
    file: &Path,
    question: &Question,
    format: Option<Format>,
) -> Result<(), Failure> {
    let format = format.or_else(|| by_name(file)).ok_or_else(|| {
        Failure::usage(format!("{} does not tell its format", file.display()))
            .hint("end its name in .csv, .json, .jsonl or .parquet, or give --format")
    })?;
    let mut asked = ask(ctx, sweeps).await?;
    if !question.group_by.is_empty() {
        let way = crate::cli::output::Output::to(format, file);
        compare::groups(ctx, question, &way, asked, false).await?;
        return Ok(());
    }
    let Understood { selector, mut columns } = question.understand(&mut asked, None).await?;
    if columns.is_empty() {
        let words = asked.store.vocabulary().await.map_err(from_store)?;
        columns = everything(&words);
    }
    let (mut sheet, _) = list(&mut asked.store, &selector, &columns).await?;
    if !question.has_columns() {
        sheet.drop_empty();
    }
    deliver_rows(ctx, format, Some(file), &sheet)?;
    ctx.screen.note(format!("note: {}", plural(sheet.rows.len() as u64, "trial")));
    Ok(())
}

/// All fields, all settings that there are, and of each metric the best and the last value, and that of
/// the epoch in which the objective was best.
fn everything(words: &Vocabulary) -> Vec<Name> {
    let fields = Field::ALL.into_iter().map(Name::Field);
    let settings = words.settings().map(Name::Setting);
    let metrics = words.metrics.iter().flat_map(|metric| {
        [Aggregate::Best, Aggregate::Last, Aggregate::BestVal]
            .map(|aggregate| Name::Metric(metric.clone(), aggregate))
    });
    fields.chain(settings).chain(metrics).collect()
}
