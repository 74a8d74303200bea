//! The processes of a storm: workers that are struck, stand still while other things happen, and go
//! on.

use std::cell::Cell;
use std::fs::File;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use regatta::clock::{Clock, VirtualClock};
use regatta::event::StopReason;
use regatta::id::TrialId;
use regatta::layout::{TrialFolder, fault, is_dead, with_faults};
use regatta::scheduler::{Ending, TaskEnd, TaskLaunch, TaskRef};
use regatta::sweep::Assignment;
use regatta::worker::attempt::{self, Request};
use regatta::worker::stop::StopFlag;
use regatta::worker::toy::ToyLearner;

use crate::storm_scene::{Blow, Strike};
use crate::storm_world::World;
use crate::watched::{Moment, Watched};

/// What a task works on; none where its job file is gone.
fn assignment(file: &std::path::Path, index: u32) -> Option<Assignment> {
    let lines = std::fs::read_to_string(file).ok()?;
    serde_json::from_str(lines.lines().nth(index as usize)?).ok()
}

/// The trial of a task.
pub(crate) fn trial_of(task: &TaskRef) -> Option<TrialId> {
    let folder = regatta::layout::SweepFolder::new(&task.job.folder);
    assignment(&folder.job_file(task.job.token), task.index).map(|found| found.trial.id)
}

/// The clock of a node that is wrong by hours.
struct Wrong(VirtualClock, i64);

impl Clock for Wrong {
    fn now(&self) -> Timestamp {
        self.0.now() + jiff::SignedDuration::from_hours(self.1)
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }

    fn sleep(&self, duration: Duration) {
        self.0.sleep(duration);
    }
}

/// The worker on a node, with the script around it.
pub(crate) fn work(world: &Rc<World>, launch: &TaskLaunch, strike: &Strike) -> Ending {
    // The script does not get into a folder that was moved.
    let Some(assignment) = assignment(&launch.job_file, launch.index) else {
        return Ending::Left(1);
    };
    let folder = launch.folder.trial(&assignment.trial.id);
    world.tell(format!("{} starts on {}: {strike:?}", launch.origin, assignment.trial.id));
    let request = Request {
        time_left: launch.time_left,
        origin: launch.origin.clone(),
        // Nobody pushes a virtual clock while a thread writes.
        write_behind: false,
        ..Request::new(assignment, folder.clone())
    };
    let faults = match strike.blow {
        Blow::KillWriting(point, skip) => format!("{point}:{skip}=dead"),
        _ => "test.kill=dead".to_owned(),
    };
    let (stop, attempt) = (StopFlag::default(), Rc::new(Cell::new(None)));
    let before = folder.attempts().expect("attempts").last().copied().unwrap_or(0);
    let clock: Arc<dyn Clock> = Arc::new(Wrong(world.clock.clone(), strike.ahead));
    let run = || {
        let outcome = attempt::run(&request, &clock, &stop, &|settings, seed, clock| {
            attempt.set(folder.attempts().expect("attempts").last().copied());
            let toy = ToyLearner::new(settings, seed, Arc::clone(clock))?;
            let mut tossed = Tossed {
                world: Rc::clone(world),
                launch: launch.clone(),
                strike: Rc::new(strike.clone()),
                folder: folder.clone(),
                stop: stop.clone(),
                steps: 0,
            };
            Ok(Watched::boxed(toy, move |moment| tossed.live(moment)))
        });
        (i32::from(outcome.exit_code()), is_dead())
    };
    let (code, dead) = with_faults(&faults, run).expect("rules");
    world.count("starts of workers", 1);
    world.count("workers killed", u64::from(dead));
    let code = if dead { 137 } else { code };
    let last = folder.attempts().expect("attempts").last().copied().filter(|last| *last > before);
    if let Some(number) = attempt.get().or(last).filter(|_| dead) {
        silence(&folder, number);
    }
    match strike.blow {
        Blow::Preempt => Ending::Preempted(code),
        Blow::TimeOut => Ending::By(TaskEnd::TimedOut, code),
        Blow::NodeFails => Ending::NodeFailed(code),
        Blow::OutOfMemory => Ending::By(TaskEnd::OutOfMemory, code),
        Blow::Lose => Ending::Lost(code),
        // The script does not ask for a start of what was cancelled.
        _ if folder.cancel_mark().exists() => Ending::LeftForGood(code),
        _ => Ending::Left(code),
    }
}

/// A heart stopped long ago.
#[expect(clippy::disallowed_methods, reason = "the machine's clock dates files")]
fn silence(folder: &TrialFolder, attempt: u32) {
    let claim = File::options().append(true).open(folder.claim(attempt)).expect("claim");
    claim.set_modified(SystemTime::now() - Duration::from_secs(3600)).expect("date");
}

/// What strikes a toy at a step.
struct Tossed {
    world: Rc<World>,
    launch: TaskLaunch,
    strike: Rc<Strike>,
    folder: TrialFolder,
    stop: StopFlag,
    steps: u64,
}

impl Tossed {
    fn live(&mut self, moment: Moment) {
        let is_step = matches!(moment, Moment::Step(_));
        if is_step && self.strike.at == self.steps {
            self.strike();
        }
        assert!(!is_dead(), "killed");
        self.steps += u64::from(is_step);
    }

    fn strike(&self) {
        let cluster = &self.world.cluster;
        match self.strike.blow {
            Blow::Preempt | Blow::TimeOut if self.strike.pick.is_multiple_of(2) => {
                self.stop.raise(StopReason::Terminated);
            }
            Blow::None | Blow::KillWriting(..) => {}
            Blow::GivenUp(_) => cluster.give_up(&self.launch),
            Blow::SteppedBack(_) => cluster.step_back(&self.launch),
            Blow::Forgotten(_) => cluster.forget(&self.launch.task.job),
            _ => drop(fault("test.kill")),
        }
        if let Blow::GivenUp(true) | Blow::SteppedBack(true) | Blow::Forgotten(true) =
            self.strike.blow
        {
            let mine = *self.folder.attempts().expect("attempts").last().expect("one");
            silence(&self.folder, mine);
        }
        self.world.count(
            "processes that go on without their job",
            u64::from(matches!(
                self.strike.blow,
                Blow::GivenUp(_) | Blow::SteppedBack(_) | Blow::Forgotten(_)
            )),
        );
        self.meanwhile();
        if self.folder.cancel_mark().exists() {
            self.stop.raise(StopReason::Terminated);
        }
    }

    fn meanwhile(&self) {
        self.world.depth.set(self.world.depth.get() + 1);
        let play = || self.strike.meanwhile.iter().for_each(|scene| self.world.play(scene));
        // A panic would count as the worker's.
        let played = std::panic::catch_unwind(std::panic::AssertUnwindSafe(play));
        if let Err(panic) = played {
            self.world.accuse(crate::storm::words_of(&*panic));
        }
        self.world.depth.set(self.world.depth.get() - 1);
    }
}
