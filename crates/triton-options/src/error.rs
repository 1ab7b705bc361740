//! What is wrong with a configuration: every problem at once, each naming its option.

use std::fmt;

use triton_protocol::quoted;

/// One problem of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OptionError {
    /// A required option was not given.
    #[error("option '{key}' is required: set it to {expected}")]
    Missing {
        /// The option's key.
        key: &'static str,
        /// What its value looks like.
        expected: &'static str,
    },
    /// The value cannot be read as the option's type.
    #[error("option '{key}': expected {expected}, found {value}")]
    Invalid {
        /// The option's key.
        key: &'static str,
        /// The value as given, quoted, or a stand-in where it is secret.
        value: String,
        /// What its value looks like.
        expected: String,
    },
    /// No option has this key.
    #[error("unknown option {}{}", quoted(.key), suggestion(*.nearest))]
    Unknown {
        /// The key as given, or what of it can be shown where a secret stands behind it.
        key: String,
        /// The known key that is spelled most alike, when one is close.
        nearest: Option<&'static str>,
    },
    /// Options that are each well-formed do not fit together, or a value breaks a rule.
    #[error("{message}")]
    Rule {
        /// The keys of the options concerned.
        keys: Vec<&'static str>,
        /// What is wrong, and what to do.
        message: String,
    },
}

impl OptionError {
    /// The keys of the options concerned.
    ///
    /// ```
    /// use triton_options::TritonOptions;
    ///
    /// let errors = TritonOptions::parse([("endpoint", "triton:8000")]).unwrap_err();
    /// let missing = errors.iter().next().expect("there is one");
    /// assert_eq!(missing.keys(), ["model-name"]);
    /// ```
    #[must_use]
    pub fn keys(&self) -> Vec<&str> {
        match self {
            Self::Missing { key, .. } | Self::Invalid { key, .. } => vec![key],
            Self::Unknown { key, .. } => vec![key],
            Self::Rule { keys, .. } => keys.clone(),
        }
    }
}

fn suggestion(nearest: Option<&str>) -> String {
    match nearest {
        Some(key) => format!("; did you mean '{key}'?"),
        None => String::new(),
    }
}

/// Something in a configuration that is allowed but hardly meant.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OptionWarning {
    /// The keys of the options concerned.
    pub keys: Vec<&'static str>,
    /// What is odd, and what to do.
    pub message: String,
}

impl fmt::Display for OptionWarning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

/// Every problem of a configuration, in the order of the option catalog, then unknown keys.
///
/// ```
/// use triton_options::TritonOptions;
///
/// let errors = TritonOptions::parse([("endpoit", "http://localhost:8000")]).unwrap_err();
/// assert_eq!(errors.iter().count(), 3); // endpoint and model-name missing, one key unknown
/// assert!(errors.to_string().contains("did you mean 'endpoint'?"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionErrors(Vec<OptionError>);

impl OptionErrors {
    /// The problems one by one; there is at least one.
    pub fn iter(&self) -> impl Iterator<Item = &OptionError> {
        self.0.iter()
    }

    /// `Ok(())` when there is nothing to report.
    pub(crate) fn check(errors: Vec<OptionError>) -> Result<(), Self> {
        if errors.is_empty() {
            Ok(())
        } else {
            Err(Self(errors))
        }
    }
}

impl fmt::Display for OptionErrors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [only] => only.fmt(formatter),
            several => {
                write!(formatter, "{} problems in the options:", several.len())?;
                several
                    .iter()
                    .try_for_each(|error| write!(formatter, "\n  - {error}"))
            }
        }
    }
}

impl std::error::Error for OptionErrors {}
