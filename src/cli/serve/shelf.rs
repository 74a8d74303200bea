//! The shelf between the one who looks and those who ask: the newest edition, and what is remembered of
//! earlier ones.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use serde_json::json;
use tokio::sync::Notify;

use super::edition::{Edition, Trace};

/// Editions of which the difference can be told; a page that has an older one is told everything.
const REMEMBERED: usize = 24;

/// What all who ask share.
#[derive(Debug)]
pub(super) struct Shelf {
    inside: Mutex<Inside>,
    asked: Notify,
}

#[derive(Debug)]
struct Inside {
    newest: Arc<Edition>,
    /// When journals were last looked at.
    as_of: Timestamp,
    /// Why the last look came to nothing.
    problem: Option<String>,
    /// Of earlier editions, the newest last.
    earlier: VecDeque<Arc<Trace>>,
}

impl Shelf {
    pub(super) fn new(edition: Edition, as_of: Timestamp) -> Self {
        let newest = Arc::new(edition);
        let earlier = VecDeque::from([Arc::new(newest.trace())]);
        let inside = Inside { newest, as_of, problem: None, earlier };
        Self { inside: Mutex::new(inside), asked: Notify::new() }
    }

    /// What is shown now, for somebody who looks: the next look at the journals is due for him.
    pub(super) fn newest(&self) -> Arc<Edition> {
        self.asked.notify_one();
        self.lock().newest.clone()
    }

    /// What somebody does not know who has the edition `since`, as a JSON object.
    pub(super) fn news(&self, since: &str) -> String {
        self.asked.notify_one();
        let (newest, trace, head) = {
            let inside = self.lock();
            let trace = inside.earlier.iter().find(|trace| trace.name == since).cloned();
            let head = json!({
                "edition": inside.newest.name, "as_of": format!("{:.0}", inside.as_of),
                "problem": inside.problem,
            });
            (inside.newest.clone(), trace, head.to_string())
        };
        if newest.name == since {
            return head;
        }
        let head = head.strip_suffix('}').unwrap_or(&head);
        format!("{head},{}}}", newest.news(trace.as_deref()))
    }

    /// Lays an edition on the shelf; one that tells nothing new does not take the place of the newest.
    pub(super) fn put(&self, edition: Edition, as_of: Timestamp) {
        let is_news = !edition.is_like(&self.lock().newest);
        let trace = is_news.then(|| Arc::new(edition.trace()));
        let mut inside = self.lock();
        (inside.as_of, inside.problem) = (as_of, None);
        if let Some(trace) = trace {
            inside.newest = Arc::new(edition);
            inside.earlier.push_back(trace);
            while inside.earlier.len() > REMEMBERED {
                inside.earlier.pop_front();
            }
        }
    }

    /// The last look came to nothing.
    pub(super) fn fail(&self, why: String) {
        self.lock().problem = Some(why);
    }

    /// Waits until somebody asks, or has asked since this was last called.
    pub(super) async fn asked(&self) {
        self.asked.notified().await;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
