//! Wall-clock limits in SLURM's spellings.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::value::ResourceError;

/// A wall-clock limit in one of SLURM's spellings (`man sbatch`, `--time`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TimeLimit {
    /// Whole seconds.
    Seconds(u64),
    /// None.
    Unlimited,
}

impl TimeLimit {
    /// Returns the limit, if it is one.
    #[must_use]
    pub fn duration(self) -> Option<Duration> {
        match self {
            Self::Seconds(seconds) => Some(Duration::from_secs(seconds)),
            Self::Unlimited => None,
        }
    }

    /// Returns a limit of so many whole seconds.
    #[must_use]
    pub fn of(limit: Duration) -> Self {
        Self::Seconds(limit.as_secs())
    }

    /// Returns this limit times a factor, in whole minutes as SLURM counts.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "seconds stay far below 2^53, factors are from 1 to 100"
    )]
    pub fn scaled(self, factor: f64) -> Self {
        match self {
            Self::Seconds(seconds) if factor > 1.0 => {
                Self::Seconds((seconds as f64 * factor / 60.0).ceil() as u64 * 60)
            }
            other => other,
        }
    }

    fn seconds_of(text: &str) -> Option<u64> {
        let number = |part: &str| {
            part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse::<u64>().ok()).flatten()
        };
        let (days, clock) = match text.split_once('-') {
            Some((days, clock)) => (Some(number(days)?), clock),
            None => (None, text),
        };
        let parts = clock.split(':').map(number).collect::<Option<Vec<u64>>>()?;
        let (hours, minutes, seconds) = match (days, parts.as_slice()) {
            (None, [minutes]) => (0, *minutes, 0),
            (None, [minutes, seconds]) => (0, *minutes, *seconds),
            (Some(_), [hours]) => (*hours, 0, 0),
            (Some(_), [hours, minutes]) => (*hours, *minutes, 0),
            (_, [hours, minutes, seconds]) => (*hours, *minutes, *seconds),
            _ => return None,
        };
        let last = parts.len() > 1 && seconds > 59 || parts.len() > 2 && minutes > 59;
        let hours = days.unwrap_or(0).checked_mul(24)?.checked_add(hours)?;
        let total =
            hours.checked_mul(60)?.checked_add(minutes)?.checked_mul(60)?.checked_add(seconds)?;
        // SLURM takes 0 for "no limit"; whoever means that can say so.
        (total > 0 && !last).then_some(total)
    }
}

impl FromStr for TimeLimit {
    type Err = ResourceError;

    fn from_str(text: &str) -> Result<Self, ResourceError> {
        if ["UNLIMITED", "INFINITE"].iter().any(|word| text.eq_ignore_ascii_case(word)) {
            return Ok(Self::Unlimited);
        }
        let wrong = || ResourceError::Time { text: text.to_owned() };
        Self::seconds_of(text).map(Self::Seconds).ok_or_else(wrong)
    }
}

impl fmt::Display for TimeLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Seconds(all) = self else { return f.write_str("UNLIMITED") };
        let (days, hours, minutes, seconds) =
            (all / 86_400, all / 3600 % 24, all / 60 % 60, all % 60);
        if days > 0 {
            write!(f, "{days}-")?;
        }
        write!(f, "{hours:02}:{minutes:02}:{seconds:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(text: &str) -> Option<u64> {
        text.parse::<TimeLimit>().ok().and_then(TimeLimit::duration).map(|d| d.as_secs())
    }

    #[test]
    fn times_mean_what_slurm_says_they_mean() {
        let cases = [
            ("30", 1800),
            ("30:15", 1815),
            ("04:00:00", 14_400),
            ("1-12", 129_600),
            ("1-12:30", 131_400),
            ("1-12:30:05", 131_405),
            ("100:00:00", 360_000),
        ];
        for (text, expected) in cases {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
        assert_eq!("unlimited".parse(), Ok(TimeLimit::Unlimited));
        for bad in
            ["4 hours", "", "0", "00:00:00", "1:2:3:4", "-1", "1.5", "4h", "10:99", "1-", "+5"]
        {
            assert!(bad.parse::<TimeLimit>().is_err(), "{bad}");
        }
    }

    #[test]
    fn times_are_written_so_that_they_are_read_the_same() {
        for text in ["00:30:00", "04:00:00", "1-12:30:05", "4-04:00:00", "UNLIMITED"] {
            assert_eq!(text.parse::<TimeLimit>().expect("good").to_string(), text);
        }
    }

    #[test]
    fn a_scaled_limit_is_in_whole_minutes() {
        let scaled = |text: &str, factor| {
            text.parse::<TimeLimit>().expect("good").scaled(factor).to_string()
        };
        assert_eq!(scaled("04:00:00", 2.0), "08:00:00");
        assert_eq!(scaled("00:00:50", 1.5), "00:02:00");
        assert_eq!(scaled("00:00:50", 1.0), "00:00:50");
        assert_eq!(scaled("UNLIMITED", 2.0), "UNLIMITED");
    }
}
