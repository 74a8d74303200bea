//! Groups in families that were validated on the same, and in each whether the first can be told from the
//! others.

use super::compare::{Against, Group};
use super::statistics::{LEVEL, holm, welch};
use crate::metric::Direction;

/// Orders groups, names them, and tests the first of each family against its others. Returns them with the
/// number of tests in each family.
pub(super) fn arrange(mut groups: Vec<Group>, good: Direction) -> (Vec<Group>, Vec<usize>) {
    groups.sort_by(|a, b| {
        let place = |group: &Group| (group.is_leaky, group.sample.n == 0, group.is_blind());
        place(a)
            .cmp(&place(b))
            .then_with(|| good.rank(a.sample.mean, b.sample.mean))
            .then_with(|| b.sample.n.cmp(&a.sample.n))
    });
    let families = found(&mut groups);
    groups.sort_by_key(|group| (group.family.is_none(), group.family));
    for (at, group) in groups.iter_mut().enumerate() {
        group.name = letters(at);
        group.against = match group.sample.n {
            0 => Against::NoValue,
            _ => Against::NotComparable,
        };
    }
    let of = |family| move |group: &&mut Group| group.family == Some(family);
    let tests = (0..families).map(|family| test(groups.iter_mut().filter(of(family)))).collect();
    (groups, tests)
}

/// Gives each group the first family with which it can be compared; returns the number of families.
fn found(groups: &mut [Group]) -> usize {
    let mut firsts: Vec<usize> = Vec::new();
    for at in 0..groups.len() {
        if groups[at].is_mixed() {
            continue;
        }
        let known = firsts.iter().position(|first| groups[*first].is_comparable(&groups[at]));
        if known.is_none() {
            firsts.push(at);
        }
        groups[at].family = Some(known.unwrap_or(firsts.len() - 1));
    }
    firsts.len()
}

/// Tests the first group of a family against each other one; returns the number of tests.
fn test<'a>(family: impl Iterator<Item = &'a mut Group>) -> usize {
    let mut first: Option<&Group> = None;
    let (mut tested, mut chances) = (Vec::new(), Vec::new());
    for group in family {
        if group.sample.n == 0 {
            group.against = Against::NoValue;
            continue;
        }
        if group.is_blind() {
            group.against = Against::NeverLearnt;
            continue;
        }
        let Some(first) = first else {
            group.against = Against::First;
            first = Some(group);
            continue;
        };
        if first.sample.n < 2 || group.sample.n < 2 {
            group.against = Against::OneSeed;
        } else if let Some(welch) = welch(&first.sample, &group.sample) {
            chances.push(welch.p);
            tested.push(group);
        } else {
            group.against = Against::NoSpread;
        }
    }
    for ((group, p), adjusted) in tested.iter_mut().zip(&chances).zip(holm(&chances)) {
        group.against = if adjusted <= LEVEL {
            Against::Separable(*p, adjusted)
        } else {
            Against::NotSeparable(*p, adjusted)
        };
    }
    chances.len()
}

/// `A` to `Z`, `AA`, `AB`, …
fn letters(at: usize) -> String {
    let rest = if at < 26 { String::new() } else { letters(at / 26 - 1) };
    let last = u8::try_from(at % 26).map_or('?', |number| char::from(b'A' + number));
    rest + &last.to_string()
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_are_letters_that_do_not_end() {
        let names = [0, 1, 25, 26, 27, 51, 52, 701, 702].map(super::letters);
        assert_eq!(names, ["A", "B", "Z", "AA", "AB", "AZ", "BA", "ZZ", "AAA"]);
    }
}
