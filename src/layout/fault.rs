//! Fault points: named places where a test makes the disk refuse or the process die.
//!
//! Without armed rules a fault point costs one relaxed load.

use std::cell::RefCell;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// What happens at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    /// An I/O error.
    Error,
    /// No space left on the device.
    Full,
    /// The process is killed as by `kill -9`.
    Kill,
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

static ARMED: AtomicBool = AtomicBool::new(false);
static RULES: Mutex<Vec<Rule>> = Mutex::new(Vec::new());

thread_local! {
    static LOCAL: RefCell<Vec<Rule>> = const { RefCell::new(Vec::new()) };
}

/// Arms rules for the whole process: `point[:skip[:times]]=error|full|kill`, separated by commas.
/// For tests; the doors take them from `REGATTA_FAULTS`.
///
/// # Errors
/// When a rule is misspelt.
pub fn arm_faults(spec: &str) -> Result<(), String> {
    *RULES.lock().unwrap_or_else(PoisonError::into_inner) = parse(spec)?;
    ARMED.store(true, Ordering::Relaxed);
    Ok(())
}

/// Runs `work` with rules that hold on this thread only.
///
/// # Errors
/// When a rule is misspelt.
pub fn with_faults<T>(spec: &str, work: impl FnOnce() -> T) -> Result<T, String> {
    let rules = parse(spec)?;
    ARMED.store(true, Ordering::Relaxed);
    LOCAL.with(|local| *local.borrow_mut() = rules);
    let result = work();
    LOCAL.with(|local| local.borrow_mut().clear());
    Ok(result)
}

/// Passes the point of this name.
///
/// # Errors
/// When a rule says so.
pub fn fault(point: &str) -> io::Result<()> {
    if !ARMED.load(Ordering::Relaxed) {
        return Ok(());
    }
    let local = LOCAL.with(|rules| take(&mut rules.borrow_mut(), point));
    let action =
        local.or_else(|| take(&mut RULES.lock().unwrap_or_else(PoisonError::into_inner), point));
    match action {
        None => Ok(()),
        Some(Action::Error) => Err(io::Error::other(format!("fault injected at {point}"))),
        Some(Action::Full) => Err(io::Error::from_raw_os_error(nix::libc::ENOSPC)),
        Some(Action::Kill) => {
            nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL)?;
            Ok(())
        }
    }
}

fn take(rules: &mut [Rule], point: &str) -> Option<Action> {
    let rule = rules.iter_mut().find(|rule| rule.point == point && rule.times > 0)?;
    if rule.skip > 0 {
        rule.skip -= 1;
        return None;
    }
    rule.times -= 1;
    Some(rule.action)
}

fn parse(spec: &str) -> Result<Vec<Rule>, String> {
    spec.split(',').filter(|rule| !rule.is_empty()).map(parse_rule).collect()
}

fn parse_rule(text: &str) -> Result<Rule, String> {
    let misspelt = || format!("`{text}` is no fault rule `point[:skip[:times]]=error|full|kill`");
    let (place, action) = text.split_once('=').ok_or_else(misspelt)?;
    let action = match action {
        "error" => Action::Error,
        "full" => Action::Full,
        "kill" => Action::Kill,
        _ => return Err(misspelt()),
    };
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
        assert!(arm_faults("nonsense").is_err());
    }
}
