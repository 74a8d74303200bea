//! From the YAML document to trials. Pure: documents come as text from a loader.

mod trial;

pub use trial::{Assignment, Budget, Trial};
