//! The server's own refusals, with the status, text and content type a client meets.

use crate::http::Reply;
use crate::json::{Json, WrongType};
use crate::model_error::{ModelError, ModelErrorKind};

/// A refusal on its way to the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) status: u16,
    pub(crate) text: Vec<u8>,
    pub(crate) content_type: ContentType,
    /// Whether a queue turned the request away, which counts as a failure of the model.
    pub(crate) rejected: bool,
}

/// Errors come as either, depending on the phase (protocol page, section 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ContentType {
    Json,
    Plain,
}

impl ContentType {
    pub(crate) fn name(self) -> &'static str {
        match self {
            ContentType::Json => "application/json",
            ContentType::Plain => "text/plain",
        }
    }
}

impl ApiError {
    pub(crate) fn new(status: u16, text: impl Into<Vec<u8>>) -> ApiError {
        ApiError {
            status,
            text: text.into(),
            content_type: ContentType::Json,
            rejected: false,
        }
    }

    pub(crate) fn bad_request(text: impl Into<Vec<u8>>) -> ApiError {
        ApiError::new(400, text)
    }

    pub(crate) fn internal(text: impl Into<Vec<u8>>) -> ApiError {
        ApiError::new(500, text)
    }

    /// Status 500 with the text of what is wrong, as the real server passes on most of its own.
    pub(crate) fn internal_from(error: WrongType) -> ApiError {
        ApiError::internal(error.to_string())
    }

    /// Marks a request that a queue turned away.
    pub(crate) fn rejected(mut self) -> ApiError {
        self.rejected = true;
        self
    }

    pub(crate) fn with_content_type(mut self, content_type: ContentType) -> ApiError {
        self.content_type = content_type;
        self
    }

    pub(crate) fn to_reply(&self) -> Reply {
        Reply::new(
            self.status,
            self.content_type.name(),
            self.document().to_bytes(),
        )
    }

    /// What the client reads.
    pub(crate) fn document(&self) -> Json {
        Json::object([("error", Json::text(&self.text))])
    }
}

impl From<ModelError> for ApiError {
    fn from(error: ModelError) -> ApiError {
        let status = match error.kind {
            ModelErrorKind::Internal => 500,
            ModelErrorKind::InvalidArgument => 400,
            ModelErrorKind::NotFound => 404,
            ModelErrorKind::Unavailable => 503,
            ModelErrorKind::Unsupported => 501,
        };
        ApiError::new(status, error.text).with_content_type(ContentType::Plain)
    }
}
