//! The profiles of the configuration file that the command line so far speaks of.

use super::models::sources;
use crate::config::profiles;

/// Their names; none where there is no file.
pub(super) fn names(words: &[String]) -> Option<Vec<String>> {
    profiles(&sources(words)).ok()
}
