//! Where the value of an option was written.

use std::fmt;
use std::path::PathBuf;

/// The place of a value; its `Display` goes on from "from".
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Origin {
    /// MODEL.sql, or the configuration file.
    File { path: PathBuf, line: Option<u64> },
    /// A variable of the environment.
    Environment(String),
    /// `-O` on the command line.
    Option,
    /// An argument of the command itself.
    Argument(&'static str),
    /// The embedded server that the command started.
    Embedded,
    /// Nobody wrote it: the command has a default.
    Default,
    /// The catalog's default for `triton predict`.
    PredictDefault,
    /// What the server says of the model.
    Description,
    /// Nobody wrote it: the command has no use for it.
    NotNeeded,
    /// A file that another place names as `@FILE`.
    Referenced { file: PathBuf, by: Box<Origin> },
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line: None } => write!(formatter, "{}", path.display()),
            Self::File {
                path,
                line: Some(line),
            } => write!(formatter, "{}, line {line}", path.display()),
            Self::Environment(variable) => write!(formatter, "{variable} in the environment"),
            Self::Option => formatter.write_str("-O"),
            Self::Argument(name) => formatter.write_str(name),
            Self::Default => formatter.write_str("default"),
            Self::PredictDefault => formatter.write_str("the default in triton predict"),
            Self::Description => formatter.write_str("the server's description of the model"),
            Self::Embedded => formatter.write_str("the embedded server"),
            Self::NotNeeded => formatter.write_str("nowhere: it is not needed"),
            Self::Referenced { file, by } => {
                write!(formatter, "{}, named by {by}", file.display())
            }
        }
    }
}
