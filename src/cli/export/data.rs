//! `regatta export --data`: trials with their settings and metrics, as a table for other programs.

use std::path::Path;

use serde_json::json;

use crate::cli::ask::{ask, from_store, plural};
use crate::cli::output::{Answer, Format, by_name, deliver};
use crate::cli::question::{Question, Understood};
use crate::cli::trials::told;
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
    let (rows, _) = asked.store.trials_of(&selector).await.map_err(from_store)?;
    if columns.is_empty() {
        let words = asked.store.vocabulary().await.map_err(from_store)?;
        columns = everything(&words);
    }
    let ids: Vec<_> = rows.iter().map(|row| (row.sweep.clone(), row.trial.clone())).collect();
    let mut sheet = told(&mut asked.store, &ids, &columns).await?;
    if !question.has_columns() {
        sheet.drop_empty();
    }
    deliver(
        ctx,
        format,
        Some(file),
        &Answer {
            table: &|| sheet.table(),
            json: &|| {
                let rows: Vec<_> = (0..sheet.rows.len()).map(|at| sheet.object(at)).collect();
                json!({ "schema_version": 1, "rows": rows })
            },
            sheet: &|| sheet.clone(),
        },
    )?;
    ctx.screen.note(format!("note: {}", plural(rows.len() as u64, "trial")));
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
