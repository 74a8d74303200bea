//! What must be known before a comparison is believed, in sentences.

use std::collections::BTreeSet;

use super::compare::{Comparison, Fate, Group, Member};

/// Groups named in one sentence.
const NAMED: usize = 5;

/// Training times that differ by more than this factor are told.
const MUCH_LONGER: f64 = 2.0;

/// Tells what weakens a comparison, of groups by their names; `is_last` says whether the values are those of
/// the last epochs.
#[must_use]
pub fn notes(comparison: &Comparison, is_last: bool) -> Vec<String> {
    let told = Told { groups: &comparison.groups };
    let mut notes = Vec::new();
    let lost = told.each(
        |group| group.lost_trials() > 0,
        |group| {
            let words = group.lost.iter().map(|(word, count)| format!("{count} {word}"));
            let words = words.collect::<Vec<_>>().join(", ");
            format!("{} of {} ({words})", group.lost_trials(), group.members.len())
        },
    );
    notes.extend(lost.map(|list| {
        format!("trials were lost, and means are over the others, which may flatter: {list}")
    }));
    let open = told.each(
        |group| group.open_trials() > 0,
        |group| format!("{} of {}", group.open_trials(), group.members.len()),
    );
    notes.extend(open.map(|list| format!("trials are not finished and do not count yet: {list}")));
    let blind = told.each(Group::is_blind, |group| match group.takes_all() {
        true => "takes all for foreground".to_owned(),
        false => "no trial that counts learnt".to_owned(),
    });
    notes.extend(blind.map(|list| {
        format!(
            "groups that never learnt stand last and are not tested, whatever their means: {list}"
        )
    }));
    let collapsed = |member: &Member| member.is_collapsed && member.fate == Fate::Done;
    let collapses = told.each(
        |group| group.count(collapsed) > 0,
        |group| format!("{} of {}", group.count(collapsed), group.members.len()),
    );
    let what = if is_last { "as they ended" } else { "with the value of an earlier epoch" };
    notes.extend(collapses.map(|list| format!("trials ended collapsed and count {what}: {list}")));
    let silent = told.each(
        |group| group.count(|member| member.never_learnt) > 0 && !group.is_blind(),
        |group| format!("{} of {}", group.count(|member| member.never_learnt), group.members.len()),
    );
    notes.extend(silent.map(|list| format!("trials never learnt: {list}")));
    notes.extend(told.about_data());
    notes.extend(told.about_budgets());
    let several = told.each(|group| group.points > 1, |group| format!("{} settings", group.points));
    notes.extend(several.map(|list| {
        format!("spread and mean are over settings as well as seeds: {list}; `--by` names what to tell apart")
    }));
    if comparison.twins > 0 {
        notes.push(format!(
            "{} of the trials are the same as others, by settings and seed; each counts once",
            comparison.twins
        ));
    }
    notes
}

struct Told<'a> {
    groups: &'a [Group],
}

impl Told<'_> {
    /// `A: words; B: words`, of the groups concerned; none where there are none.
    fn each(
        &self,
        is: impl Fn(&Group) -> bool,
        words: impl Fn(&Group) -> String,
    ) -> Option<String> {
        let concerned: Vec<&Group> = self.groups.iter().filter(|group| is(group)).collect();
        let mut list: Vec<String> = concerned
            .iter()
            .take(NAMED)
            .map(|group| format!("{}: {}", group.name, words(group)))
            .collect();
        if concerned.len() > NAMED {
            list.push(format!("and {} more groups", concerned.len() - NAMED));
        }
        (!list.is_empty()).then(|| list.join("; "))
    }

    fn about_data(&self) -> Vec<String> {
        let of = |group: &Group| group.dataset.clone();
        let mixed = self.each(Group::is_mixed, of);
        let mut notes = Vec::from_iter(mixed.as_ref().map(|list| {
            format!("values on different files (data_sha256) are mixed, and not comparable: {list}")
        }));
        let families: BTreeSet<usize> = self.groups.iter().filter_map(|g| g.family).collect();
        let datasets: BTreeSet<&str> =
            self.groups.iter().map(|group| group.dataset.as_str()).collect();
        if families.len() > datasets.len() {
            let text = "groups whose files for validation differ (data_sha256) are not comparable, though \
                        data set and split have the same names";
            notes.push(text.to_owned());
        }
        if families.len() > 1 {
            let text = "values on different data or splits are not comparable: each has a best group, and \
                        tests, of its own";
            notes.push(text.to_owned());
        } else if mixed.is_none() && self.differ_in_training() {
            let text =
                "trials were trained on different files (data_sha256), and validated on the same";
            notes.push(text.to_owned());
        }
        notes
    }

    fn differ_in_training(&self) -> bool {
        self.groups.iter().flat_map(|group| &group.all_files).collect::<BTreeSet<_>>().len() > 1
    }

    fn about_budgets(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let numbers = |group: &Group, of: fn(&Member) -> Option<u64>| {
            group.members.iter().filter_map(of).collect::<BTreeSet<u64>>()
        };
        let list = |numbers: BTreeSet<u64>| {
            numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(" or ")
        };
        let to_do = |group: &Group| numbers(group, |member| member.epochs);
        let differ = |of: &dyn Fn(&Group) -> BTreeSet<u64>| {
            self.groups.iter().flat_map(of).collect::<BTreeSet<u64>>().len() > 1
        };
        if differ(&to_do) {
            let told = self.each(|_| true, |group| list(to_do(group)));
            notes.extend(told.map(|told| format!("numbers of epochs differ: {told}")));
        } else if differ(&|group| numbers(group, done)) {
            let told = self.each(
                |group| !numbers(group, done).is_empty(),
                |group| {
                    let own = numbers(group, done);
                    match (own.first(), own.last()) {
                        (Some(least), Some(most)) if least != most => format!("{least} to {most}"),
                        _ => list(own),
                    }
                },
            );
            notes.extend(told.map(|told| format!("epochs that were done differ: {told}")));
        }
        let samples: BTreeSet<Option<u64>> =
            self.groups.iter().flat_map(|group| group.samples.iter().copied()).collect();
        if samples.len() > 1 {
            notes.push("samples_per_epoch differs between the trials".to_owned());
        }
        let spent = self.each(
            |group| group.count(|member| member.is_spent) > 0,
            |group| format!("{} of {}", group.count(|member| member.is_spent), group.members.len()),
        );
        notes.extend(spent.map(|list| format!("trials ended by max_train_time: {list}")));
        let times = self.groups.iter().filter_map(|group| group.median_seconds);
        let least = times.clone().fold(f64::INFINITY, f64::min);
        if times.fold(0.0, f64::max) > MUCH_LONGER * least.max(1.0) {
            notes.push("median training times differ by more than a factor of 2".to_owned());
        }
        notes
    }
}

/// Epochs of a trial that counts.
fn done(member: &Member) -> Option<u64> {
    member.epochs_done.filter(|_| member.fate == Fate::Done)
}
