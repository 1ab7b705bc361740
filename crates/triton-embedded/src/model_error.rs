//! How a model refuses a request, and which HTTP status that becomes.

/// A model's refusal; its text reaches the client as `{"error": "…"}`.
///
/// ```
/// use triton_embedded::{ModelError, ModelErrorKind};
///
/// let error = ModelError::new("the lookup table is empty");
/// assert_eq!(error.kind, ModelErrorKind::Internal);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
#[non_exhaustive]
pub struct ModelError {
    /// What kind of error it is; decides the HTTP status.
    pub kind: ModelErrorKind,
    /// What the client reads.
    pub text: String,
}

/// The error codes a Triton model can answer with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ModelErrorKind {
    /// Status 500; what a model's error is unless it says otherwise.
    Internal,
    /// Status 400.
    InvalidArgument,
    /// Status 404.
    NotFound,
    /// Status 503.
    Unavailable,
    /// Status 501.
    Unsupported,
}

impl ModelError {
    /// An error with status 500.
    pub fn new(text: impl Into<String>) -> ModelError {
        ModelError::with_kind(ModelErrorKind::Internal, text)
    }

    /// An error with the status of its kind.
    pub fn with_kind(kind: ModelErrorKind, text: impl Into<String>) -> ModelError {
        ModelError {
            kind,
            text: text.into(),
        }
    }
}
