//! A comparison in sentences.

use super::view::{View, families};
use crate::analysis::{Against, Group};
use crate::metric::Objective;
use crate::query::Aggregate;

/// The plain verdict on the two best groups of each family, where they cannot be told apart.
pub(super) fn plain_verdicts(view: &View) -> Vec<String> {
    let verdict = |family: Vec<&Group>| match family.as_slice() {
        [first, second, ..] if matches!(second.against, Against::NotSeparable(..)) => {
            Some(format!(
                "not separable: with these seeds nobody can tell {} from {}",
                view.label(first),
                view.label(second)
            ))
        }
        _ => None,
    };
    ranked(view).into_iter().filter_map(verdict).collect()
}

/// The better of the groups of each family, a sentence each.
pub(super) fn leads(view: &View) -> Vec<String> {
    let families = ranked(view);
    let several = families.len() > 1;
    families.into_iter().filter_map(|family| lead(view, &family, several)).collect()
}

/// Families with their groups as they rank, however they are shown.
fn ranked(view: &View) -> Vec<Vec<&Group>> {
    let mut families = families(&view.comparison.groups);
    families.sort_by_key(|family| (family[0].family.is_none(), family[0].family));
    for family in &mut families {
        family.sort_by_key(|group| (group.name.len(), &group.name));
    }
    families
}

fn lead(view: &View, family: &[&Group], several: bool) -> Option<String> {
    let data = &family[0].dataset;
    family[0].family?;
    let Some(first) = family.iter().find(|group| group.against == Against::First) else {
        let blind = family.iter().filter(|group| group.is_blind()).count();
        return (blind > 0).then(|| format!("no group has learnt ({data})"));
    };
    let others: Vec<&&Group> =
        family.iter().filter(|group| group.against != Against::First).collect();
    if others.is_empty() {
        return Some(match several {
            true => format!("{} is alone on {data}: nothing to test it against", view.label(first)),
            false => "there is one group: nothing to test it against".to_owned(),
        });
    }
    let count = |is: fn(&Against) -> bool| others.iter().filter(|g| is(&g.against)).count();
    let parts = [
        (count(|a| matches!(a, Against::Separable(..))), "separable from"),
        (count(|a| matches!(a, Against::NotSeparable(..))), "not separable from"),
        (count(|a| matches!(a, Against::OneSeed)), "with one seed, cannot be told from"),
        (count(|a| matches!(a, Against::NoSpread)), "without spread, cannot be told from"),
        (count(|a| matches!(a, Against::NeverLearnt)), "not tested against what never learnt,"),
        (count(|a| matches!(a, Against::NoValue)), "nothing to compare with in"),
    ];
    let told = parts.iter().filter(|(count, _)| *count > 0);
    let told: Vec<_> = told.map(|(count, words)| format!("{words} {count}")).collect();
    let noun = if others.len() == 1 { "other" } else { "others" };
    let on = if several { format!(" on {data}") } else { String::new() };
    Some(format!(
        "{} has the best mean{on}; of {} {noun}: {}",
        view.label(first),
        others.len(),
        told.join(", ")
    ))
}

/// How the values were taken and tested.
pub(super) fn method(view: &View) -> String {
    let Objective { metric, direction } = &view.objective;
    let epoch = match view.aggregate {
        Aggregate::Best | Aggregate::Last => format!("the {} epoch", view.epoch()),
        Aggregate::Max => "the epoch with its largest value".to_owned(),
        Aggregate::Min => "the epoch with its smallest value".to_owned(),
        Aggregate::BestVal => "the epoch with the best objective".to_owned(),
        Aggregate::Epoch(number) => format!("epoch {number}"),
    };
    let all = &view.comparison.tests;
    let first = if all.len() > 1 { "the first group on the same data" } else { "the first group" };
    let made: Vec<String> = all.iter().filter(|n| **n > 0).map(usize::to_string).collect();
    let test = match all.iter().max() {
        None | Some(0) => String::new(),
        Some(1) if made.len() == 1 => format!("; Welch's t-test against {first} at 5 %, one test"),
        Some(_) => format!(
            "; Welch's t-test against {first} at 5 %, corrected after Holm for {} tests",
            made.join(" and ")
        ),
    };
    format!("{metric} ({direction}) of {epoch} of each trial{test}")
}
