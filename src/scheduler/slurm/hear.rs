//! All that is read of what SLURM's programs print, at once: for texts that they never printed.

use super::call::{self, Answer};
use super::parse::{self, Limits};

/// Reads a text as the answer of every program. Whatever it is, that ends and takes little memory.
#[doc(hidden)]
#[must_use]
pub fn hear(text: &str) -> usize {
    let rows: Vec<_> = parse::squeue(text).into_iter().chain(parse::sacct(text)).collect();
    for row in &rows {
        assert!(!row.job.is_empty() && row.job.bytes().all(|byte| byte.is_ascii_digit()));
    }
    let id = parse::job_id(text);
    assert!(id.is_none_or(|id| id.bytes().all(|byte| byte.is_ascii_digit())));
    let _ = Limits::parse(text).tasks_per_array();
    let (output, errors) = (String::new(), text.to_owned());
    let answer = Answer { code: Some(1), output, errors };
    let error = call::complaint("squeue", &answer);
    let _ = call::hint(&error.to_string());
    rows.iter().map(|row| row.tasks.len()).sum()
}
