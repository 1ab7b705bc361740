//! What is wrong between options, as an error and as a warning.

use crate::{OptionError, OptionWarning};

/// The error of a rule that is broken.
pub(super) fn rule(keys: &[&'static str], message: String) -> OptionError {
    OptionError::Rule {
        keys: keys.to_vec(),
        message,
    }
}

/// A warning of what is allowed but hardly meant.
pub(super) fn warning(keys: &[&'static str], message: String) -> OptionWarning {
    OptionWarning {
        keys: keys.to_vec(),
        message,
    }
}
