//! Where the command line says that options are.

use std::path::PathBuf;

/// What the command line says of options; all else is found by itself.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    /// The server's address, over every other place that sets it.
    pub(crate) endpoint: Option<String>,
    /// Options over every other place that sets them.
    pub(crate) option: Vec<(String, String)>,
    /// The configuration file.
    pub(crate) config: Option<PathBuf>,
    /// The profile in it.
    pub(crate) profile: Option<String>,
    /// Whether there is to be no configuration file.
    pub(crate) no_config: bool,
}
