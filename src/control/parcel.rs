//! How many tasks to submit at once where the site may not let all in.
//!
//! A refused array is halved until it goes or one task is too many. Where nothing went the last time,
//! one task is tried first, then twice as many each time: a full queue costs one call.

use std::collections::VecDeque;

use crate::plan::JobSpec;

/// Jobs on their way to the scheduler.
#[derive(Debug)]
pub(super) struct Parcels {
    jobs: VecDeque<JobSpec>,
    /// Tasks at once; none: all of a job.
    size: Option<usize>,
    /// Whether to try more after what was let in.
    grows: bool,
}

impl Parcels {
    /// Takes jobs; `careful` where the site let nothing in the last time.
    pub(super) fn new(jobs: Vec<JobSpec>, careful: bool) -> Self {
        Self { jobs: jobs.into(), size: careful.then_some(1), grows: careful }
    }

    /// Returns what to submit next.
    pub(super) fn next(&mut self) -> Option<JobSpec> {
        let mut job = self.jobs.pop_front()?;
        if let Some(size) = self.size.filter(|size| *size < job.trials.len()) {
            let rest = split(&mut job, size);
            self.jobs.push_front(rest);
        }
        Some(job)
    }

    /// What was returned last was let in.
    pub(super) fn accepted(&mut self) {
        if self.grows {
            self.size = self.size.map(|size| size.saturating_mul(2));
        }
    }

    /// What was returned last was too much. Returns whether there is less to try.
    pub(super) fn too_many(&mut self, job: JobSpec) -> bool {
        let half = job.trials.len() / 2;
        self.jobs.push_front(job);
        self.grows = false;
        self.size = Some(half.max(1));
        half > 0
    }

    /// Puts back what is to be tried once more in another form.
    pub(super) fn again(&mut self, job: JobSpec) {
        self.jobs.push_front(job);
    }

    /// Returns all that was not let in.
    pub(super) fn rest(self) -> VecDeque<JobSpec> {
        self.jobs
    }
}

/// Leaves `size` tasks in a job and returns the others. Its throttle is shared out.
fn split(job: &mut JobSpec, size: usize) -> JobSpec {
    let all = job.trials.len();
    let trials = job.trials.split_off(size);
    let throttle = job.throttle;
    let share = |part: usize| {
        let of_all = |throttle: u32| {
            let share = u64::from(throttle) * part as u64 / all.max(1) as u64;
            u32::try_from(share).unwrap_or(u32::MAX).max(1)
        };
        throttle.map(of_all)
    };
    job.throttle = share(size);
    JobSpec { resources: job.resources.clone(), throttle: share(trials.len()), trials }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(tasks: usize) -> JobSpec {
        let (resources, trials) = (crate::script::Resources::default(), (0..tasks).collect());
        JobSpec { resources, trials, throttle: Some(8) }
    }

    /// Plays a site that lets `room` tasks in, at most `most` at once: sizes tried and tasks let in.
    fn play(
        jobs: Vec<JobSpec>,
        careful: bool,
        mut room: usize,
        most: usize,
    ) -> (Vec<usize>, usize) {
        let all: usize = jobs.iter().map(|job| job.trials.len()).sum();
        let (mut tried, mut sent) = (Vec::new(), std::collections::BTreeSet::new());
        let mut parcels = Parcels::new(jobs, careful);
        while let Some(job) = parcels.next() {
            tried.push(job.trials.len());
            if job.trials.len() <= room.min(most) {
                room -= job.trials.len();
                sent.extend(job.trials);
                parcels.accepted();
            } else if !parcels.too_many(job) {
                break;
            }
        }
        let unsent: usize = parcels.rest().iter().map(|job| job.trials.len()).sum();
        assert_eq!(sent.len() + unsent, all, "nothing is lost or sent twice");
        (tried, sent.len())
    }

    #[test]
    fn what_fits_goes_and_the_rest_stays() {
        assert_eq!(play(vec![job(100)], false, 1000, 1000), (vec![100], 100));
        let (tried, sent) = play(vec![job(100)], false, 30, 1000);
        assert_eq!((sent, tried[..3].to_vec()), (30, vec![100, 50, 25]));
        assert_eq!(tried.last(), Some(&1));
        assert!(tried.len() < 16, "{tried:?}");
        assert_eq!(play(vec![job(100)], false, 0, 1000).1, 0);
    }

    #[test]
    fn arrays_that_are_too_large_all_go_in_pieces() {
        let (tried, sent) = play(vec![job(1000)], false, 5000, 300);
        assert_eq!((sent, tried.len()), (1000, 6), "{tried:?}");
    }

    #[test]
    fn a_full_site_costs_one_call_and_one_with_room_is_filled() {
        assert_eq!(play(vec![job(100)], true, 0, 1000), (vec![1], 0));
        assert_eq!(play(vec![job(100)], true, 1000, 1000), (vec![1, 2, 4, 8, 16, 32, 37], 100));
        let (tried, sent) = play(vec![job(100)], true, 20, 1000);
        assert_eq!(sent, 20, "{tried:?}");
    }

    #[test]
    fn a_throttle_is_shared_out() {
        let mut first = job(8);
        let rest = split(&mut first, 2);
        assert_eq!((first.throttle, rest.throttle), (Some(2), Some(6)));
        assert_eq!((first.trials.len(), rest.trials.len()), (2, 6));
    }
}
