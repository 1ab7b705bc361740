//! Log settings: what the server writes to its log.
//!
//! [Protocol](https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_logging.md)

use serde::{Deserialize, Serialize};

use crate::tolerant::{null_as_default, number, text};

/// What the server writes to its log; what it does not tell is false, 0 or empty.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct LogSettings {
    /// The file on the server; empty is its standard error. Only its command line can set it.
    #[serde(rename = "log_file", default, deserialize_with = "text")]
    pub file: String,
    /// Whether informative lines are written.
    #[serde(rename = "log_info", default, deserialize_with = "null_as_default")]
    pub info: bool,
    /// Whether warnings are written.
    #[serde(rename = "log_warning", default, deserialize_with = "null_as_default")]
    pub warning: bool,
    /// Whether errors are written.
    #[serde(rename = "log_error", default, deserialize_with = "null_as_default")]
    pub error: bool,
    /// How verbose the log is; 0 is not at all.
    #[serde(rename = "log_verbose_level", default, deserialize_with = "number")]
    pub verbose_level: u32,
    /// The form of the lines.
    #[serde(rename = "log_format", default, deserialize_with = "null_as_default")]
    pub format: LogFormat,
}

/// The form of a log's lines.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub enum LogFormat {
    /// The severity and the time in one word.
    #[default]
    #[serde(rename = "default")]
    Default,
    /// The time as ISO 8601, then the severity.
    #[serde(rename = "ISO8601")]
    Iso8601,
    /// A form that this client does not know.
    #[serde(untagged)]
    Other(String),
}

/// A change of log settings; what it does not name stays.
///
/// ```
/// let update = triton_protocol::LogSettingsUpdate::new().verbose_level(1).info(false);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LogSettingsUpdate {
    #[serde(skip_serializing_if = "Option::is_none")]
    log_info: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    log_warning: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    log_error: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    log_verbose_level: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    log_format: Option<LogFormat>,
}

impl LogSettingsUpdate {
    /// A change of nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether informative lines are written.
    #[must_use]
    pub fn info(mut self, written: bool) -> Self {
        self.log_info = Some(written);
        self
    }

    /// Whether warnings are written.
    #[must_use]
    pub fn warning(mut self, written: bool) -> Self {
        self.log_warning = Some(written);
        self
    }

    /// Whether errors are written.
    #[must_use]
    pub fn error(mut self, written: bool) -> Self {
        self.log_error = Some(written);
        self
    }

    /// How verbose the log is; 0 is not at all.
    #[must_use]
    pub fn verbose_level(mut self, level: u32) -> Self {
        self.log_verbose_level = Some(level);
        self
    }

    /// The form of the lines.
    #[must_use]
    pub fn format(mut self, format: LogFormat) -> Self {
        self.log_format = Some(format);
        self
    }
}
