//! The releases of Flink that the provider is built for and tried on.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub(crate) enum Version {
    /// The release that the provider is compiled against
    #[value(name = "2.3")]
    #[serde(rename = "2.3")]
    V2_3,
    #[value(name = "2.2")]
    #[serde(rename = "2.2")]
    V2_2,
}

impl Version {
    /// The number of the packages.
    pub(super) fn number(self) -> &'static str {
        match self {
            Version::V2_3 => "2.3.0",
            Version::V2_2 => "2.2.1",
        }
    }
}
