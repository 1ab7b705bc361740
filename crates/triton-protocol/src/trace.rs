//! Trace settings: which requests the server writes down in detail, of all models or of one.
//!
//! [Protocol](https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_trace.md)

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::tolerant::{null_as_default, number, perhaps_number, text};

/// What is written down of a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[non_exhaustive]
pub enum TraceLevel {
    /// Nothing.
    Off,
    /// When it passed which stage.
    Timestamps,
    /// Its tensors too.
    Tensors,
    /// A level that this client does not know.
    #[serde(untagged)]
    Other(String),
}

/// Which requests are traced, and how.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct TraceSettings {
    /// What is written down.
    #[serde(rename = "trace_level", default, deserialize_with = "null_as_default")]
    pub levels: Vec<TraceLevel>,
    /// One request of this many is traced; 0 where the server does not tell.
    #[serde(rename = "trace_rate", default, deserialize_with = "number")]
    pub rate: u64,
    /// How many requests are still to be traced; -1 is no limit, or none that the server tells.
    #[serde(
        rename = "trace_count",
        default = "no_limit",
        deserialize_with = "limit"
    )]
    pub count: i64,
    /// A new file begins after this many traces; 0 is never.
    #[serde(default, deserialize_with = "number")]
    pub log_frequency: u64,
    /// The file on the server; only its command line can set it.
    #[serde(rename = "trace_file", default, deserialize_with = "text")]
    pub file: String,
    /// `triton` or `opentelemetry`.
    #[serde(rename = "trace_mode", default, deserialize_with = "text")]
    pub mode: String,
    /// Settings of the mode, as the server names them.
    #[serde(flatten)]
    pub others: BTreeMap<String, Value>,
}

fn no_limit() -> i64 {
    -1
}

/// How many, where `null` is no limit.
fn limit<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let limit = perhaps_number(deserializer)?;
    Ok(limit.unwrap_or_else(no_limit))
}

/// A change of trace settings; what it does not name stays. `None` resets a setting, for one
/// model to that of all models, for all models to that of the server's command line.
///
/// ```
/// use triton_protocol::{TraceLevel, TraceSettingsUpdate};
///
/// let update = TraceSettingsUpdate::new()
///     .levels([TraceLevel::Timestamps])
///     .rate(100)
///     .count(None);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct TraceSettingsUpdate(Map<String, Value>);

impl TraceSettingsUpdate {
    /// A change of nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What is to be written down.
    #[must_use]
    pub fn levels(mut self, levels: impl IntoIterator<Item = TraceLevel>) -> Self {
        let levels = levels.into_iter().map(|level| match level {
            TraceLevel::Off => "OFF".into(),
            TraceLevel::Timestamps => "TIMESTAMPS".into(),
            TraceLevel::Tensors => "TENSORS".into(),
            TraceLevel::Other(name) => Value::String(name),
        });
        self.0.insert("trace_level".to_owned(), levels.collect());
        self
    }

    /// Resets what is to be written down.
    #[must_use]
    pub fn reset_levels(mut self) -> Self {
        self.0.insert("trace_level".to_owned(), Value::Null);
        self
    }

    /// Traces one request of this many.
    #[must_use]
    pub fn rate(self, rate: impl Into<Option<u64>>) -> Self {
        self.set("trace_rate", rate.into())
    }

    /// Traces this many requests more; -1 is no limit.
    #[must_use]
    pub fn count(self, count: impl Into<Option<i64>>) -> Self {
        self.set("trace_count", count.into())
    }

    /// Begins a new file after this many traces; 0 is never.
    #[must_use]
    pub fn log_frequency(self, frequency: impl Into<Option<u64>>) -> Self {
        self.set("log_frequency", frequency.into())
    }

    /// The server takes texts only.
    fn set(mut self, name: &str, value: Option<impl ToString>) -> Self {
        let value = value.map_or(Value::Null, |value| value.to_string().into());
        self.0.insert(name.to_owned(), value);
        self
    }
}
