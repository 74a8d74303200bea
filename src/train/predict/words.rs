//! A report as people read it.

use std::fmt::Write as _;

use crate::metric::Metrics;

use super::report::Report;

/// The metrics of the table.
const COLUMNS: [&str; 5] = ["jaccard", "dice", "precision", "recall", "loss"];

impl Report {
    /// Words for what `predict` wrote, a line each.
    #[must_use]
    pub fn predicted(&self, folder: &std::path::Path) -> String {
        let from = match &self.members[..] {
            [one] => {
                let epoch = one.epoch.map_or(String::new(), |epoch| format!(" (epoch {epoch})"));
                format!("checkpoint {}{epoch}", one.checkpoint)
            }
            several => format!("the mean logit of {} networks", several.len()),
        };
        let masks = if self.images.len() == 1 { "mask" } else { "masks" };
        let mut text =
            format!("{} {masks} in {} from {from}\n", self.images.len(), folder.display());
        if self.members.len() > 1 {
            for member in &self.members {
                let epoch = member.epoch.map_or(String::new(), |epoch| format!(", epoch {epoch}"));
                let _ = writeln!(
                    text,
                    "  {}/{}  checkpoint {}{epoch}",
                    member.sweep, member.trial, member.checkpoint
                );
            }
        }
        text.push_str(&self.threshold_words());
        for (name, value) in self.metrics.iter() {
            let at_half = self.metrics_at_half.as_ref().and_then(|half| half.get(name));
            let at_half = at_half.map_or(String::new(), |half| format!("   at 0.5 {half:.6}"));
            let _ = writeln!(text, "{name:<16} {}{at_half}", number(value, 6));
        }
        text
    }

    /// The table of `evaluate`: each network, all together, and how values of single images spread.
    #[must_use]
    pub fn evaluated(&self) -> String {
        let mut text = self.threshold_words();
        let width = self.members.iter().map(|m| m.sweep.len() + m.trial.len() + 1).max();
        let width = width.unwrap_or_default().max("ensemble of 99".len());
        let _ = write!(text, "{:<width$}  EPOCH", "TRIAL");
        for column in COLUMNS {
            let _ = write!(text, "  {:>9}", column.to_uppercase());
        }
        text.push('\n');
        let word = self.options.images;
        let mut row = |name: &str, epoch: &str, metrics: &Metrics| {
            let _ = write!(text, "{name:<width$}  {epoch:>5}");
            for column in COLUMNS {
                let value = metrics.get(&format!("{word}/{column}"));
                let _ = write!(text, "  {:>9}", number(value, 4));
            }
            text.push('\n');
        };
        let is_alone = self.members.len() == 1;
        for member in &self.members {
            let name = format!("{}/{}", member.sweep, member.trial);
            let epoch = member.epoch.map_or("-".to_owned(), |epoch| epoch.to_string());
            let metrics = member.metrics.as_ref().filter(|_| !is_alone).unwrap_or(&self.metrics);
            row(&name, &epoch, metrics);
        }
        if !is_alone {
            row(&format!("ensemble of {}", self.members.len()), "", &self.metrics);
        }
        if let Some(half) = &self.metrics_at_half {
            row("  at 0.5", "", half);
            if !is_alone {
                text.push_str(
                    "each trial is counted at the threshold that was chosen for all together\n",
                );
            }
        }
        let _ = writeln!(
            text,
            "\n{:<10}  {:>4}  {:>7}  {:>7}  {:>7}  {:>7}  {:>7}  WORST",
            "PER IMAGE", "N", "MEAN", "SD", "MIN", "MEDIAN", "MAX"
        );
        for column in COLUMNS {
            let Some(spread) = self.spread.get(column) else { continue };
            let _ = writeln!(
                text,
                "{column:<10}  {:>4}  {:>7.4}  {:>7}  {:>7.4}  {:>7.4}  {:>7.4}  {}",
                spread.n,
                spread.mean,
                number(spread.sd, 4),
                spread.min,
                spread.median,
                spread.max,
                spread.min_name
            );
        }
        text
    }

    /// Nothing where the threshold is the usual one.
    fn threshold_words(&self) -> String {
        let threshold = &self.threshold;
        if threshold.val.is_none() && threshold.logit == 0.0 {
            return String::new();
        }
        format!("threshold {:.4}: {}\n", threshold.probability, threshold.words)
    }
}

fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
}
