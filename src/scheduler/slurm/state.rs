//! SLURM's words for the state of a job, and what they mean here.

use crate::scheduler::{TaskEnd, TaskState};

/// Reads a state (`man squeue`, "JOB STATE CODES"; `man sacct`). Case and tails such as in
/// `CANCELLED by 0` do not matter; words of other versions become [`TaskState::Unknown`].
pub(super) fn state(word: &str, reason: &str) -> TaskState {
    let first = word.split([' ', '+', ',']).next().unwrap_or_default().to_ascii_uppercase();
    match first.as_str() {
        "PENDING" | "REQUEUED" | "REQUEUE_FED" | "REQUEUE_HOLD" | "RESV_DEL_HOLD"
        | "SPECIAL_EXIT" => TaskState::Pending(reason.to_owned()),
        "CONFIGURING" | "RUNNING" | "COMPLETING" | "RESIZING" | "SIGNALING" | "STAGE_OUT"
        | "STOPPED" | "SUSPENDED" => TaskState::Running,
        ended => TaskEnd::of_word(ended)
            .map_or_else(|| TaskState::Unknown(word.to_owned()), TaskState::Ended),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_of_the_manual_has_a_meaning() {
        let waits =
            ["PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT"];
        for word in waits {
            assert_eq!(state(word, "why"), TaskState::Pending("why".to_owned()), "{word}");
        }
        let lives = [
            "CONFIGURING",
            "COMPLETING",
            "RUNNING",
            "RESIZING",
            "SIGNALING",
            "STAGE_OUT",
            "STOPPED",
            "SUSPENDED",
        ];
        for word in lives {
            assert_eq!(state(word, ""), TaskState::Running, "{word}");
        }
        let ends = [
            ("BOOT_FAIL", TaskEnd::NodeFailed),
            ("CANCELLED", TaskEnd::Cancelled),
            ("CANCELLED by 1000", TaskEnd::Cancelled),
            ("CANCELLED+", TaskEnd::Cancelled),
            ("COMPLETED", TaskEnd::Completed),
            ("DEADLINE", TaskEnd::TimedOut),
            ("FAILED", TaskEnd::Failed),
            ("NODE_FAIL", TaskEnd::NodeFailed),
            ("OUT_OF_MEMORY", TaskEnd::OutOfMemory),
            ("PREEMPTED", TaskEnd::Preempted),
            ("REVOKED", TaskEnd::Cancelled),
            ("TIMEOUT", TaskEnd::TimedOut),
        ];
        for (word, end) in ends {
            assert_eq!(state(word, ""), TaskState::Ended(end), "{word}");
        }
    }

    #[test]
    fn a_word_of_another_version_is_shown() {
        assert_eq!(state("TELEPORTED", ""), TaskState::Unknown("TELEPORTED".to_owned()));
        assert_eq!(state("", ""), TaskState::Unknown(String::new()));
    }
}
