//! The end of what a trial said, fit to be shown.

use jiff::Timestamp;

use crate::cli::logs;
use crate::cli::watch::seen::Log;
use crate::id::TrialId;
use crate::layout::{self, Limit, SweepFolder};

/// Bytes that are read from the end of a log.
const TAIL: u64 = 64 << 10;

/// Reads the end of the log of a trial's newest attempt.
pub(super) fn tail(sweep: &SweepFolder, trial: &TrialId) -> Log {
    let missing = |words: String| Log { missing: Some(words), ..Log::default() };
    let path = match logs::path_of(sweep, trial, None) {
        Ok(path) => path,
        Err(failure) => return missing(failure.message),
    };
    let size = match layout::open_plain(&path) {
        Ok(Some((_, size))) => size,
        Ok(None) => return missing("nothing was said yet".to_owned()),
        Err(error) => return missing(error.to_string()),
    };
    let start = size.saturating_sub(TAIL);
    match layout::read_piece(&path, start, Limit::LOG_PIECE) {
        Ok(bytes) => lines(&bytes, start > 0),
        Err(error) => missing(error.to_string()),
    }
}

/// The lines of a piece; the first is left out where it is only the end of one.
fn lines(bytes: &[u8], is_cut: bool) -> Log {
    let text = String::from_utf8_lossy(bytes);
    // One that is longer than the piece is shown all the same.
    let skip = usize::from(is_cut && text.contains('\n'));
    let lines: Vec<String> = text.lines().skip(skip).map(|line| short(&shown(line))).collect();
    let missing = lines.is_empty().then(|| "nothing was said yet".to_owned());
    Log { lines, is_cut, missing }
}

/// A line of a worker with the time of day alone, and without the word of what is usual.
fn short(line: &str) -> String {
    let Some((time, rest)) = line.split_once(' ') else { return line.to_owned() };
    match time.parse::<Timestamp>() {
        Err(_) => line.to_owned(),
        Ok(at) => {
            let rest = rest.trim_start();
            let rest = rest.strip_prefix("INFO ").unwrap_or(rest);
            format!("{} {rest}", at.strftime("%H:%M:%S"))
        }
    }
}

/// A line as it can be shown: of what was overwritten by carriage returns the last, without escape
/// sequences and control characters.
fn shown(line: &str) -> String {
    let last = line.trim_end_matches('\r').rsplit('\r').next().unwrap_or_default();
    let mut text = String::with_capacity(last.len());
    let mut chars = last.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\t' => text.push_str("    "),
            '\u{1b}' if chars.next_if_eq(&'[').is_some() => {
                // A control sequence ends with a letter or one of `@[\]^_{|}~`.
                while chars.next_if(|c| !('@'..='~').contains(c)).is_some() {}
                chars.next();
            }
            c if c.is_control() => {}
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_a_cursor_is_not_shown() {
        assert_eq!(shown("\u{1b}[1;31mred\u{1b}[0m\tand\u{7} plain"), "red    and plain");
        assert_eq!(shown(" 10 %\r 20 %\r"), " 20 %");
        assert_eq!(shown("\u{1b}]0;title\u{7}x"), "]0;titlex");
        assert_eq!(shown("\u{1b}[2J\u{1b}[H"), "");
    }

    #[test]
    fn times_are_short() {
        let line = "2026-11-30T22:45:27.610515Z  INFO epoch 1/8: val/jaccard 0.8409";
        assert_eq!(short(line), "22:45:27 epoch 1/8: val/jaccard 0.8409");
        let line = "2026-11-30T22:45:27.610515Z  WARN slow disk";
        assert_eq!(short(line), "22:45:27 WARN slow disk");
        assert_eq!(short("Traceback (most recent call last)"), "Traceback (most recent call last)");
    }

    #[test]
    fn a_torn_first_line_is_left_out() {
        assert_eq!(lines(b"rn\nwhole\n", true).lines, ["whole"]);
        assert_eq!(lines(b"first\nsecond", false).lines, ["first", "second"]);
        assert!(lines(b"", false).missing.is_some());
    }
}
