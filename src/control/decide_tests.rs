//! One row a case: history, state and policy → what is done next.

use jiff::Timestamp;

use super::*;
use crate::control::nodes;
use crate::event::{Act, Decision};
use crate::id::Token;
use crate::layout::SweepFolder;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("moment")
}

fn trial(n: u32) -> TrialId {
    format!("{n:016x}").parse().expect("trial")
}

fn token(n: i64) -> Token {
    format!("018bcfe5-6800-7000-8000-{n:012}").parse().expect("token")
}

/// A sweep whose journal tests write.
struct Book {
    _folder: tempfile::TempDir,
    ledger: Ledger,
    policy: Policy,
}

impl Book {
    fn new(policy: &str) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let sweep = SweepFolder::new(folder.path());
        let ledger = Ledger::open(&sweep, "s", at(0)).expect("ledger");
        let policy = serde_yaml::from_str(policy).expect("policy");
        Self { _folder: folder, ledger, policy }
    }

    fn write(&mut self, second: i64, act: Act) -> &mut Self {
        self.ledger.append(at(second), &act).expect("written");
        self
    }

    fn intent(&mut self, second: i64, trials: &[u32]) -> &mut Self {
        let trials = trials.iter().copied().map(trial).collect();
        let (token, scheduler) = (token(second), "slurm".to_owned());
        self.write(second, Act::Intent { token, scheduler, decision: Decision::Submit, trials })
    }

    /// A submission that was accepted.
    fn submitted(&mut self, second: i64, trials: &[u32]) -> &mut Self {
        self.intent(second, trials);
        self.write(second, Act::Accepted { token: token(second), job: second.to_string() })
    }

    fn refused(&mut self, second: i64, limit: bool, absent: bool) -> &mut Self {
        let (token, error) = (token(second), "no".to_owned());
        self.write(second, Act::Refused { token, error, limit, absent })
    }

    fn decided(&mut self, second: i64, after: &str, number: u32, of: Option<u32>) -> &mut Self {
        let (token, after, changes) = (token(second), after.to_owned(), Vec::new());
        let trials = vec![trial(1)];
        self.write(second, Act::Decided { token, after, number, of, changes, trials })
    }

    /// The task of a trial in the submission of that second ended.
    fn ended(&mut self, second: i64, of: i64, n: u32, word: &str, node: &str, judged: &str) {
        let (node, judged) = (Some(node.to_owned()), Some(judged.to_owned()));
        let (trial, token, state) = (trial(n), token(of), word.to_owned());
        self.write(second, Act::TaskEnded { trial, token, state, node, exit: None, judged });
    }

    fn next(&self, state: &str, why: &str, heard: i64, now: i64) -> Next {
        let row = TrialRow {
            sweep: "s".to_owned(),
            trial: trial(1),
            state: state.to_owned().into(),
            why: why.to_owned(),
            seed: 0,
            repeat: 0,
            parameters: serde_json::Map::new(),
            attempts: 1,
            elapsed: None,
            heard_at: Some(at(heard)),
            epochs_done: 0,
            epochs: None,
            value: None,
            epoch: None,
        };
        let ground = Ground {
            ledger: &self.ledger,
            policy: &self.policy,
            usual_backoff: true,
            max_train_time: None,
            now: at(now),
        };
        ground.decide(&row)
    }
}

fn submit(after: &str, number: u32, of: Option<u32>) -> Next {
    Next::Submit(Again { after: after.to_owned(), number, of })
}

fn waits_until(next: &Next) -> Option<i64> {
    match next {
        Next::Wait { until, .. } => Some(until.as_second()),
        _ => None,
    }
}

fn words(next: Next) -> String {
    match next {
        Next::Leave { why } => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_kind_of_end_has_a_count_of_its_own() {
    let mut book = Book::new("{ timed_out: { retry: 2 }, lost: { retry: 1, backoff: 0 } }");
    book.submitted(10, &[1]);
    assert_eq!(book.next("timed_out", "", 20, 100), submit("timed_out", 1, Some(2)));
    book.decided(30, "timed_out", 1, Some(2)).submitted(30, &[1]);
    book.decided(40, "lost", 1, Some(1)).submitted(40, &[1]);
    assert_eq!(book.next("timed_out", "", 50, 100), submit("timed_out", 2, Some(2)));
    assert!(words(book.next("lost", "", 50, 100)).contains("1 submissions after lost are used up"));
    // A decision that came to nothing counts for nothing.
    book.decided(60, "timed_out", 2, Some(2)).intent(60, &[1]).refused(60, false, false);
    assert_eq!(book.next("timed_out", "", 50, 100), submit("timed_out", 2, Some(2)));
    // Who asks for it begins anew.
    book.decided(70, "lost", 0, None).submitted(70, &[1]);
    assert_eq!(book.next("lost", "", 80, 100), submit("lost", 1, Some(1)));
}

#[test]
fn a_back_off_counts_from_the_last_sign_of_life() {
    let mut book = Book::new("{ lost: { retry: 3, backoff: 5min } }");
    book.submitted(10, &[1]);
    assert_eq!(waits_until(&book.next("lost", "", 1000, 1100)), Some(1300));
    assert_eq!(book.next("lost", "", 1000, 1300), submit("lost", 1, Some(3)));
    book.decided(1300, "lost", 1, Some(3)).submitted(1300, &[1]);
    assert_eq!(waits_until(&book.next("lost", "", 2000, 2100)), Some(2600), "twice as long");
    // No attempt of the newest submission wrote: the end that the scheduler told counts.
    book.ended(3000, 1300, 1, "NODE_FAIL", "n1", "node_failed");
    assert_eq!(waits_until(&book.next("lost", "", 1000, 3100)), Some(3600));
}

#[test]
fn what_nobody_wants_again_is_left() {
    let mut book = Book::new("{ failed: { retry: 5, backoff: 0 } }");
    book.submitted(10, &[1]);
    assert_eq!(
        book.next("failed", "attempt 1 failed: out of luck", 20, 90),
        submit("failed", 1, Some(5))
    );
    let no_progress = "attempt 3 failed: no progress: attempts 2 and 3 ended at epoch 1 step 0";
    assert!(words(book.next("failed", no_progress, 20, 90)).contains("without progress"));
    assert!(words(book.next("diverged", "", 20, 90)).contains("nothing again after diverged"));
    assert!(words(book.next("running", "", 20, 90)).contains("under way"));
    assert!(words(book.next("finished", "", 20, 90)).contains("finished"));
    book.write(30, Act::Cancelled { trials: vec![trial(1)], by: "ada".to_owned() });
    assert!(words(book.next("failed", "", 20, 90)).contains("cancelled stays so"));
    assert!(words(Book::new("{}").next("planned", "", 20, 90)).contains("nothing was submitted"));
}

#[test]
fn a_limit_of_the_site_is_waited_for_and_costs_no_retry() {
    let mut book = Book::new("{ timed_out: { retry: 1 } }");
    book.intent(10, &[1, 2]).refused(10, true, false);
    assert_eq!(book.next("planned", "", 0, 11), submit("planned", 0, None), "fewer may go");
    book.intent(20, &[1]).refused(20, true, false);
    assert_eq!(waits_until(&book.next("planned", "", 0, 30)), Some(80));
    assert_eq!(book.next("planned", "", 0, 80), submit("planned", 0, None));
    book.intent(80, &[1]).refused(80, true, false);
    assert_eq!(waits_until(&book.next("planned", "", 0, 90)), Some(200), "twice as long");
    book.submitted(200, &[1]);
    // A retry that meets a limit is still the first one afterwards.
    book.decided(300, "timed_out", 1, Some(1)).intent(300, &[1]).refused(300, true, false);
    assert_eq!(waits_until(&book.next("timed_out", "", 250, 310)), Some(360));
    assert_eq!(book.next("timed_out", "", 250, 360), submit("timed_out", 1, Some(1)));
    // What a person asked for is sent again too, whatever policy says.
    book.decided(400, "diverged", 0, None).intent(400, &[1]).refused(400, false, true);
    assert_eq!(book.next("diverged", "", 250, 900), submit("diverged", 0, None));
    // A plain refusal is not.
    book.intent(500, &[1]).refused(500, false, false);
    assert!(words(book.next("diverged", "", 250, 900)).contains("nothing again"));
}

#[test]
fn nodes_are_left_out_on_evidence_only() {
    let mut book = Book::new("{ node_failed: { retry: 3, exclude_node: true } }");
    book.submitted(10, &[1, 2, 3, 4]);
    book.ended(20, 10, 1, "NODE_FAIL", "n1", "node_failed");
    book.ended(21, 10, 2, "FAILED", "n1", "failed");
    book.ended(22, 10, 3, "TIMEOUT", "n1", "timed_out");
    book.ended(23, 10, 4, "FAILED", "n[1-2] --partition=x", "failed");
    let avoided = |n| nodes::avoided(&book.ledger, &book.policy, &trial(n));
    assert_eq!(avoided(1).into_iter().collect::<Vec<_>>(), ["n1"]);
    assert!(avoided(2).is_empty() && avoided(3).is_empty() && avoided(4).is_empty());
    let tripped = |book: &Book, failures, works, now| {
        let breaker = crate::sweep::Breaker { failures, period: 100.0 };
        nodes::tripped(&book.ledger, breaker, works, at(now)).into_iter().collect::<Vec<_>>()
    };
    assert_eq!(tripped(&book, 2, true, 30), [("n1".to_owned(), 2)]);
    assert_eq!(tripped(&book, 2, false, 30), [], "errors of the sweep are no node's fault");
    assert_eq!(tripped(&book, 3, true, 30), []);
    assert_eq!(tripped(&book, 2, true, 121), [], "one of them is too old");
    assert_eq!(tripped(&book, 0, true, 30), [], "off");
    let (trial, token, node) = (trial(4), token(10), Some("n1".to_owned()));
    book.write(24, Act::Lost { trial, token, evidence: String::new(), node });
    assert_eq!(tripped(&book, 2, false, 30), [("n1".to_owned(), 2)]);
}
