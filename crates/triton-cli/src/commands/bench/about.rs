//! What was measured, when and how: the load that was asked for, and what stands above its figures.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};
use triton_options::OptionValue as _;

/// The load that was asked for.
pub(super) struct Mode {
    pub(super) workers: u32,
    pub(super) sequence_length: Option<u32>,
    pub(super) rate: Option<f64>,
    pub(super) random_arrivals: bool,
    pub(super) batch_size: u32,
    pub(super) inputs: String,
    pub(super) warm_up: Duration,
    pub(super) duration: Duration,
    /// How many requests are measured, in place of a time.
    pub(super) count: Option<u64>,
}

impl Mode {
    /// What tells the load from others of a series.
    pub(super) fn short(&self) -> String {
        match self.rate {
            Some(rate) => format!("{rate}/s"),
            None => format!("{} at once", self.workers),
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let workers = self.workers;
        match (self.rate, self.sequence_length) {
            (Some(rate), _) => {
                let how = if self.random_arrivals {
                    "random"
                } else {
                    "even"
                };
                write!(
                    formatter,
                    "{rate} requests a second ({how} arrivals), at most {workers} at once"
                )?;
            }
            (None, length) => {
                let what = if length.is_some() {
                    "sequence"
                } else {
                    "request"
                };
                let plural = if workers == 1 { "" } else { "s" };
                write!(formatter, "{workers} {what}{plural} at once")?;
            }
        }
        if let Some(length) = self.sequence_length {
            write!(formatter, ", sequences of {length}")?;
        }
        if self.batch_size > 1 {
            write!(formatter, ", {} inferences in each", self.batch_size)?;
        }
        match self.count {
            Some(count) => write!(formatter, ", {count} of them")?,
            None => write!(formatter, ", for {}", self.duration.canonical())?,
        }
        write!(
            formatter,
            " after {} of warm-up; {}",
            self.warm_up.canonical(),
            self.inputs
        )
    }
}

/// What was measured, when, and by what.
pub(super) struct About {
    pub(super) model: String,
    /// The versions of the model that the server has, or the one that was asked for.
    pub(super) versions: String,
    pub(super) endpoint: String,
    /// The server's name and version.
    pub(super) server: Option<String>,
    /// As in HTTP.
    pub(super) date: String,
    /// The command line, without secrets.
    pub(super) command: String,
}

/// The version of this command.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

impl About {
    pub(super) fn to_json(&self) -> Value {
        json!({
            "model": self.model,
            "model_version": self.versions,
            "endpoint": self.endpoint,
            "server": self.server,
            "triton_cli": VERSION,
            "date": self.date,
            "command_line": self.command,
        })
    }
}
