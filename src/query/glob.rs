//! Patterns with `*`, `?` and `[abc]`, as SQLite's `glob` has them.

/// Says whether a text has signs of a pattern.
#[must_use]
pub fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// Says whether a whole text fits a pattern: `*` stands for any signs, `?` for one, `[a-c]` for one of
/// these, `[^a-c]` for one of the others.
#[must_use]
pub fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // Where to go on when what follows the newest `*` does not fit: that star, and what it has taken.
    let mut star = None;
    while t < text.len() {
        if pattern.get(p) == Some(&'*') {
            star = Some((p, t));
            p += 1;
            continue;
        }
        if let Some(next) = one(&pattern, p, text[t]) {
            (p, t) = (next, t + 1);
            continue;
        }
        let Some((at, taken)) = star else { return false };
        star = Some((at, taken + 1));
        (p, t) = (at + 1, taken + 1);
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// The place behind what fits one sign; none where it does not.
fn one(pattern: &[char], at: usize, sign: char) -> Option<usize> {
    match pattern.get(at)? {
        '?' => Some(at + 1),
        '[' => {
            let is_negated = pattern.get(at + 1) == Some(&'^');
            let first = at + 1 + usize::from(is_negated);
            // A bracket right behind the opening is one of the set.
            let length = pattern.get(first + 1..)?.iter().position(|c| *c == ']')?;
            let set = &pattern[first..=first + length];
            (contains(set, sign) != is_negated).then_some(first + length + 2)
        }
        other => (*other == sign).then_some(at + 1),
    }
}

fn contains(set: &[char], sign: char) -> bool {
    let mut rest = set;
    while let [first, tail @ ..] = rest {
        if let ['-', last, behind @ ..] = tail {
            if (*first..=*last).contains(&sign) {
                return true;
            }
            rest = behind;
        } else {
            if *first == sign {
                return true;
            }
            rest = tail;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_whole_texts() {
        for (pattern, text, fits) in [
            ("lr-*", "lr-batch", true),
            ("lr-*", "a-lr-batch", false),
            ("*batch", "lr-batch", true),
            ("*a*b*", "xaxxb", true),
            ("*a*b", "xaxxbx", false),
            ("unet?", "unet", false),
            ("unet?", "unet2", true),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("[]]", "]", true),
            ("[ab", "a", false),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("é?", "éa", true),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
        assert!(is_pattern("a*") && !is_pattern("lr-batch"));
    }
}
