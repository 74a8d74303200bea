//! Whether the files that are asked for are those that trials were trained on, byte for byte.

use crate::train::data::{self, Part};
use crate::worker::learner::LearnerError;

use super::ensemble::Member;

/// What the files of a member's data are, beside what its checkpoint says of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sameness {
    /// They are the same.
    Same,
    /// They are others.
    Other,
    /// The checkpoint does not tell.
    Unknown,
}

/// Reads and compares the files of a part; where the checkpoint knows of no part alone, all of them.
///
/// # Errors
/// When files are missing or unreadable.
pub(super) fn compare(member: &Member<'_>, part: Part) -> Result<Sameness, LearnerError> {
    let Some(known) = member.trained.data() else { return Ok(Sameness::Unknown) };
    let is_same = match (&known.val_sha256, part) {
        (Some(val), Part::Val) => data::val_sha256_of(&member.data)? == *val,
        _ => data::fingerprint_of(&member.data)?.sha256 == known.sha256,
    };
    Ok(if is_same { Sameness::Same } else { Sameness::Other })
}

/// Refuses to call files training or validation that are not those of the trials: a value would be told
/// by the name of another. Of the test split no checkpoint knows; there a difference of the rest is told.
///
/// # Errors
/// When files of these two parts differ or cannot be read.
pub(super) fn judge(members: &[Member<'_>], part: Part) -> Result<Vec<String>, LearnerError> {
    let mut notes = Vec::new();
    for member in members {
        let (trial, path) = (member.trained.trial(), &member.data.path);
        match part {
            Part::Train | Part::Val => {
                if compare(member, part)? == Sameness::Other {
                    return Err(LearnerError::Data {
                        path: path.into(),
                        what: format!(
                            "the {} files there are not those of trial {trial}: they were changed, or \
                             are other data",
                            part.as_str()
                        ),
                        hint: Some(
                            "`regatta evaluate TRIAL FOLDER` counts on other data, `regatta predict TRIAL \
                             IMAGES` segments other images; --data says where the same files lie now"
                                .to_owned(),
                        ),
                    });
                }
            }
            // Masks of these may be missing by right.
            _ => {
                if matches!(compare(member, part), Ok(Sameness::Other)) {
                    notes.push(format!(
                        "the training and validation files in {path} are not those of trial {trial}: is it \
                         the same data set?"
                    ));
                }
            }
        }
    }
    Ok(notes)
}
