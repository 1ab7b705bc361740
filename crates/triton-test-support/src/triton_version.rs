//! Which release of Triton the live tests meet, and what they have to know of it.
//!
//! Tests ask here and nowhere else, so that it can be read off one file in what releases differ.

use std::fmt;

use crate::LIVE_ENDPOINT_VARIABLE;

/// The environment variable that names the release, such as `2.44`.
const VARIABLE: &str = "TRITON_TEST_VERSION";

/// A release of Triton's server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TritonVersion {
    major: u32,
    minor: u32,
}

impl TritonVersion {
    /// The release that the live tests of this run meet.
    ///
    /// # Panics
    ///
    /// When the variable holds something else than a release.
    #[must_use]
    pub fn of_live_tests() -> Self {
        let Some(text) = variable() else {
            return Self::NEWEST;
        };
        let parts = text.split_once('.');
        let parts =
            parts.and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
        let (major, minor) =
            parts.unwrap_or_else(|| panic!("{VARIABLE} is {text:?} and should be such as 2.44"));
        Self { major, minor }
    }

    /// The release at an address: that of the live tests, or the newest, which embedded servers
    /// are like.
    #[must_use]
    pub fn of(endpoint: &str) -> Self {
        match std::env::var(LIVE_ENDPOINT_VARIABLE) {
            Ok(live) if live == endpoint => Self::of_live_tests(),
            _ => Self::NEWEST,
        }
    }

    /// Whether it takes texts as the IDs of sequences of Python models.
    #[must_use]
    pub fn takes_text_ids(self) -> bool {
        self >= Self::new(2, 45)
    }

    /// Whether its errors have statuses of their own; before, each of them is 400.
    #[must_use]
    pub fn has_statuses(self) -> bool {
        self >= Self::new(2, 43)
    }

    /// Whether a parameter may be any number, and not only one of 64 bits with a sign.
    #[must_use]
    pub fn takes_any_number_as_parameter(self) -> bool {
        self >= Self::new(2, 43)
    }

    /// Whether a Python model is told the time that a request has.
    #[must_use]
    pub fn tells_python_the_timeout(self) -> bool {
        self >= Self::new(2, 43)
    }

    /// Whether Python models have tensors of BF16.
    #[must_use]
    pub fn has_bf16_in_python(self) -> bool {
        self >= Self::new(2, 50)
    }

    /// Whether an answer of `generate` bears the `id` of its request.
    #[must_use]
    pub fn generates_with_ids(self) -> bool {
        self >= Self::new(2, 50)
    }

    /// Whether it goes on after a stream that its client gave up; before, the whole server may crash.
    #[must_use]
    pub fn survives_a_dropped_stream(self) -> bool {
        self >= Self::new(2, 43)
    }

    /// Later than all that differ in something that tests see.
    const NEWEST: Self = Self::new(u32::MAX, 0);

    const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor }
    }
}

impl fmt::Display for TritonVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NEWEST => formatter.write_str("of the newest release"),
            Self { major, minor } => write!(formatter, "{major}.{minor}"),
        }
    }
}

/// What `cargo xtask triton` is told, so that the servers of a test's own are of the same release.
pub(crate) fn argument() -> Vec<String> {
    let version = variable().into_iter();
    version
        .flat_map(|version| ["--server-version".to_owned(), version])
        .collect()
}

fn variable() -> Option<String> {
    std::env::var(VARIABLE).ok()
}
