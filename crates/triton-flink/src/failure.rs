//! The one error that Java gets to see: a text, which becomes the message of an exception.

use std::any::Any;
use std::error::Error;
use std::fmt;

use crate::row_name::RowName;

/// What went wrong, in words for whoever reads Flink's log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Failure(String);

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    /// What a panic said, for code that must not let it out.
    pub(crate) fn of_panic(payload: &(dyn Any + Send)) -> Self {
        let text = payload
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("it left no message");
        Self(format!(
            "the native library panicked, which is a mistake in it: {text}"
        ))
    }

    /// Says what to do as well, unless it does already.
    pub(crate) fn advised(self, advice: &str) -> Self {
        match self.0.ends_with(advice) {
            true => self,
            false => Self(format!("{self}; {advice}")),
        }
    }

    /// Says which row it was.
    pub(crate) fn of_row(error: &triton_model_fn::Error, row: &RowName<'_>) -> Self {
        Self(format!("{row}, {}", chain(error)))
    }
}

impl From<triton_model_fn::Error> for Failure {
    fn from(error: triton_model_fn::Error) -> Self {
        Self(chain(&error))
    }
}

impl From<triton_options::OptionErrors> for Failure {
    fn from(errors: triton_options::OptionErrors) -> Self {
        Self(errors.to_string())
    }
}

impl From<jni::errors::Error> for Failure {
    fn from(error: jni::errors::Error) -> Self {
        Self(format!(
            "the Java virtual machine refused a call: {}",
            chain(&error)
        ))
    }
}

/// An error and its causes in one line.
fn chain(error: &dyn Error) -> String {
    struct Chain<'a>(&'a dyn Error);
    impl fmt::Display for Chain<'_> {
        fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(formatter, "{}", self.0)?;
            let mut cause = self.0.source();
            while let Some(error) = cause {
                write!(formatter, ": {error}")?;
                cause = error.source();
            }
            Ok(())
        }
    }
    Chain(error).to_string()
}
