//! Fault points: named places where a test makes the disk refuse, be slow, or the process die.
//!
//! Without armed rules a fault point costs one relaxed load.

use std::cell::RefCell;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::libc;

/// What happens at a point.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Action {
    /// An error of the system, by its number.
    Refuse(i32),
    /// An error without a number.
    Error,
    /// The process is killed as by `kill -9`.
    Kill,
    /// As if it had been: from here on every point of these rules refuses.
    Dead,
    /// It takes so many seconds, of the machine's clock.
    Slow(f64),
}

impl Action {
    fn of_word(word: &str) -> Option<Self> {
        Some(match word {
            "error" => Self::Error,
            "full" => Self::Refuse(libc::ENOSPC),
            "quota" => Self::Refuse(libc::EDQUOT),
            "io" => Self::Refuse(libc::EIO),
            "stale" => Self::Refuse(libc::ESTALE),
            "readonly" => Self::Refuse(libc::EROFS),
            "kill" => Self::Kill,
            "dead" => Self::Dead,
            _ => {
                let seconds: f64 = word.strip_prefix("slow")?.parse().ok()?;
                Self::Slow(Some(seconds).filter(|seconds| (0.0..=3600.0).contains(seconds))?)
            }
        })
    }
}

#[derive(Clone, Debug)]
struct Rule {
    point: String,
    /// Passes that go well before the first fault.
    skip: u32,
    /// Faults that follow.
    times: u32,
    action: Action,
}

#[derive(Debug, Default)]
struct Rules {
    rules: Vec<Rule>,
    dead: bool,
}

static ARMED: AtomicBool = AtomicBool::new(false);
static GLOBAL: Mutex<Rules> = Mutex::new(Rules { rules: Vec::new(), dead: false });

thread_local! {
    static LOCAL: RefCell<Faults> = RefCell::default();
}

/// The rules that hold on a thread. A thread that works for another takes over its rules.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Mutex<Rules>>);

impl Faults {
    /// Returns those of this thread.
    #[must_use]
    pub fn here() -> Self {
        LOCAL.with(|local| local.borrow().clone())
    }

    /// Lets them hold on this thread from now on.
    pub fn adopt(self) {
        LOCAL.with(|local| *local.borrow_mut() = self);
    }
}

/// Arms rules for the whole process: `point[:skip[:times]]=ACTION`, separated by commas, where ACTION
/// is `error`, `full`, `quota`, `io`, `stale`, `readonly`, `slowSECONDS`, `kill` or `dead`. For tests;
/// the doors take them from `REGATTA_FAULTS`.
///
/// # Errors
/// When a rule is misspelt.
pub fn arm_faults(spec: &str) -> Result<(), String> {
    let rules = parse(spec)?;
    *GLOBAL.lock().unwrap_or_else(PoisonError::into_inner) = Rules { rules, dead: false };
    ARMED.store(true, Ordering::Relaxed);
    Ok(())
}

/// Runs `work` with rules that hold on this thread, and on those that work for it.
///
/// # Errors
/// When a rule is misspelt.
pub fn with_faults<T>(spec: &str, work: impl FnOnce() -> T) -> Result<T, String> {
    let rules = parse(spec)?;
    ARMED.store(true, Ordering::Relaxed);
    let before = Faults::here();
    Faults(Arc::new(Mutex::new(Rules { rules, dead: false }))).adopt();
    let result = work();
    before.adopt();
    Ok(result)
}

/// Says whether a rule `dead` has struck on this thread or on one that works for it.
#[must_use]
pub fn is_dead() -> bool {
    Faults::here().0.lock().unwrap_or_else(PoisonError::into_inner).dead
}

/// Passes the point of this name.
///
/// # Errors
/// When a rule says so.
pub fn fault(point: &str) -> io::Result<()> {
    if !ARMED.load(Ordering::Relaxed) {
        return Ok(());
    }
    let local = take(&Faults::here().0, point);
    match local.or_else(|| take(&GLOBAL, point)) {
        None => Ok(()),
        Some(Action::Error | Action::Dead) => {
            Err(io::Error::other(format!("fault injected at {point}")))
        }
        Some(Action::Refuse(number)) => Err(io::Error::from_raw_os_error(number)),
        Some(Action::Slow(seconds)) => {
            std::thread::sleep(Duration::from_secs_f64(seconds));
            Ok(())
        }
        Some(Action::Kill) => {
            nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL)?;
            Ok(())
        }
    }
}

fn take(rules: &Mutex<Rules>, point: &str) -> Option<Action> {
    let mut rules = rules.lock().unwrap_or_else(PoisonError::into_inner);
    if rules.dead {
        return Some(Action::Dead);
    }
    let rule = rules.rules.iter_mut().find(|rule| rule.point == point && rule.times > 0)?;
    if rule.skip > 0 {
        rule.skip -= 1;
        return None;
    }
    rule.times -= 1;
    let action = rule.action;
    rules.dead = action == Action::Dead;
    Some(action)
}

fn parse(spec: &str) -> Result<Vec<Rule>, String> {
    spec.split(',').filter(|rule| !rule.is_empty()).map(parse_rule).collect()
}

fn parse_rule(text: &str) -> Result<Rule, String> {
    let misspelt = || {
        format!(
            "`{text}` is no fault rule `point[:skip[:times]]=error|full|quota|io|stale|readonly|\
             slowSECONDS|kill|dead`"
        )
    };
    let (place, action) = text.split_once('=').ok_or_else(misspelt)?;
    let action = Action::of_word(action).ok_or_else(misspelt)?;
    let mut parts = place.split(':');
    let point = parts.next().unwrap_or_default().to_owned();
    let skip = parts.next().map_or(Ok(0), str::parse).map_err(|_| misspelt())?;
    let times = parts.next().map_or(Ok(1), str::parse).map_err(|_| misspelt())?;
    Ok(Rule { point, skip, times, action })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_skips_then_strikes_then_is_spent() {
        let passes = with_faults("here:1:2=full", || {
            [
                fault("here").is_ok(),
                fault("there").is_ok(),
                fault("here").is_ok(),
                fault("here").is_ok(),
                fault("here").is_ok(),
            ]
        });
        assert_eq!(passes.expect("rule"), [true, true, false, false, true]);
        for bad in ["nonsense", "a=slow", "a=slow-1", "a=slow9999999", "a:x=full"] {
            assert!(with_faults(bad, || ()).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_dead_do_nothing_any_more_on_all_their_threads() {
        let after = with_faults("here=dead", || {
            let mine = Faults::here();
            let other = std::thread::spawn(move || {
                mine.adopt();
                (fault("elsewhere").is_ok(), fault("here").is_ok(), fault("elsewhere").is_ok())
            });
            (other.join().expect("thread"), fault("elsewhere").is_ok(), is_dead())
        });
        assert_eq!(after.expect("rule"), ((true, false, false), false, true));
        assert!(fault("here").is_ok() && !is_dead(), "outside they do not hold");
    }

    #[test]
    fn the_system_tells_what_is_wrong() {
        let number = |word: &str| {
            let failed = with_faults(&format!("here={word}"), || fault("here")).expect("rule");
            failed.expect_err("a fault").raw_os_error()
        };
        assert_eq!(number("quota"), Some(libc::EDQUOT));
        assert_eq!(number("stale"), Some(libc::ESTALE));
        assert_eq!(number("readonly"), Some(libc::EROFS));
    }
}
