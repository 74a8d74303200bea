//! What befalls a trial in a random life.

use regatta::layout::is_dead;

/// What ends an attempt.
#[derive(Clone, Debug)]
pub(crate) enum Cut {
    /// It has so many seconds.
    Time(u64),
    /// A signal comes in so many steps.
    Signal(u64),
    /// It is killed in so many steps.
    Kill(u64),
    /// It is killed while it writes, at this point after so many passes.
    KillWriting(&'static str, u32),
    /// Nothing does.
    Nothing,
}

/// Points at which a process can be killed while it writes.
pub(crate) const WRITING: [&str; 12] = [
    "write.create",
    "write.content",
    "write.sync",
    "write.rename",
    "write.done",
    "checkpoint.save",
    "checkpoint.manifest",
    "checkpoint.prune",
    "journal.append",
    "journal.sync",
    "link",
    "remove",
];

/// Points at which the disk refuses, and what it says.
pub(crate) const REFUSING: [&str; 13] = [
    "checkpoint.save",
    "checkpoint.manifest",
    "checkpoint.prune",
    "checkpoint.read",
    "write.create",
    "write.content",
    "write.sync",
    "write.rename",
    "journal.append",
    "journal.sync",
    "append.open",
    "link",
    "remove",
];
pub(crate) const WORDS: [&str; 6] = ["full", "quota", "io", "stale", "readonly", "error"];

/// A kill is a panic here, which nobody wants to read thousands of times.
pub(crate) fn quiet_kills() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !is_dead() {
                before(info);
            }
        }));
    });
}
