//! Durations as people write them: `120s`, `10min`, `22h`, `1d`, `04:00:00`, or plain seconds.

/// Reads a duration in seconds: `120s`, `10min`, `22h`, `1d`, `04:00:00`, or plain seconds.
#[must_use]
pub fn seconds(text: &str) -> Option<f64> {
    let text = text.trim();
    if text.contains(':') {
        return clock(text);
    }
    let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: f64 = number.trim().parse().ok()?;
    let unit = match unit {
        "" | "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
        "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
        "h" | "hour" | "hours" => 3600.0,
        "d" | "day" | "days" => 86_400.0,
        _ => return None,
    };
    (number.is_finite() && number >= 0.0).then_some(number * unit)
}

/// `HH:MM:SS` or `D-HH:MM:SS`.
fn clock(text: &str) -> Option<f64> {
    let (days, rest) =
        text.split_once('-').map_or(Some((0, text)), |(d, rest)| Some((d.parse().ok()?, rest)))?;
    let parts = rest.split(':').map(|part| part.parse::<u32>().ok()).collect::<Option<Vec<_>>>()?;
    let &[hours, minutes, seconds] = parts.as_slice() else { return None };
    (minutes < 60 && seconds < 60)
        .then(|| {
            f64::from(days) * 86_400.0
                + f64::from(hours) * 3600.0
                + f64::from(minutes * 60 + seconds)
        })
        .filter(|_: &f64| days < 100_000)
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn people_write_durations_in_many_ways() {
        let cases = [
            ("120s", 120.0),
            ("10min", 600.0),
            ("22h", 79_200.0),
            ("1.5 h", 5400.0),
            ("90", 90.0),
            ("04:00:00", 14_400.0),
            ("1-00:00:00", 86_400.0),
        ];
        for (text, expected) in cases {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
        for bad in ["", "h", "-5s", "4 o'clock", "1:2", "1:70:00", "inf", "nan"] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }
}
