//! What is wrong with a row.

use std::fmt;

/// What is wrong with a row.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) struct Fault {
    pub(crate) column: Option<String>,
    pub(crate) reason: String,
}

impl Fault {
    pub(crate) fn of_row(reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self {
            column: None,
            reason,
        }
    }

    pub(crate) fn of_column(column: &str, reason: impl Into<String>) -> Self {
        Self {
            column: Some(column.to_owned()),
            reason: reason.into(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(column) = &self.column {
            write!(formatter, "column '{column}': ")?;
        }
        formatter.write_str(&self.reason)
    }
}
