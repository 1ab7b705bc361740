//! Answers that refuse: what kind of refusal it is, and whether the model ran before it.

use reqwest::StatusCode;

use super::{Answer, Context};
use crate::{Error, ErrorKind};

/// The most of a server's error text that an [`Error`] keeps, in bytes.
const LONGEST_MESSAGE: usize = 4096;

/// What only the server's own checks write, which all come before a model is executed.
///
/// The texts are those of the server's HTTP front end, its core and its schedulers (Triton
/// 2.51.0, met by the tests). A model may fail with a status of its own choice, so the status
/// alone would not tell.
const BEFORE_EXECUTION: &[Text] = &[
    // The core names the request before whatever it finds wrong with it.
    Text::Start("[request id: "),
    Text::Start("Request for unknown model: "),
    Text::Start("unexpected inference output "),
    Text::Contains("must specify the START flag"),
    Text::Contains("must specify batch-size 1"),
    Text::Contains("must specify a non-zero or non-empty correlation ID"),
    Text::Contains("has no available versions"),
    Text::Contains("is not ready"),
    Text::Contains("Exceeds maximum queue size"),
    Text::Contains("Request timeout expired"),
    Text::Start("Failed to parse the request JSON buffer"),
    Text::Start("Unable to parse "),
    Text::Start("string correlation ID cannot be longer than"),
    Text::Contains("doesn't support models with decoupled transaction policy"),
    Text::Start("Unsupported compression type"),
    Text::Start("This API is restricted"),
    Text::Start("Unexpected additional input data"),
    Text::Start("unexpected additional input data"),
];

/// A text, or where it stands in one.
enum Text {
    Start(&'static str),
    Contains(&'static str),
}

impl Text {
    fn is_in(&self, message: &str) -> bool {
        match self {
            Self::Start(text) => message.starts_with(text),
            Self::Contains(text) => message.contains(text),
        }
    }
}

impl Context<'_> {
    /// The error for an answer whose status is not 200.
    pub(crate) fn refusal(&self, answer: &Answer) -> Error {
        self.refused(answer.status, server_message(&answer.body))
            .with_retry_after(answer.retry_after)
    }

    /// The error for a refusal in the server's words.
    pub(crate) fn refused(&self, status: StatusCode, message: String) -> Error {
        let kind = match status.as_u16() {
            // The only sign is the text; see the sequence batcher's `ResolveSequence`.
            400 if message.contains("must specify the START flag") => ErrorKind::SequenceNotStarted,
            401 | 403 | 407 => ErrorKind::Denied,
            404 => ErrorKind::NotFound,
            501 => ErrorKind::Unsupported,
            429 | 502..=504 => ErrorKind::Unavailable,
            400..=499 => ErrorKind::Rejected,
            500..=599 => ErrorKind::Server,
            _ => ErrorKind::Protocol,
        };
        let by_status = matches!(status.as_u16(), 401 | 403 | 405 | 407 | 413 | 429);
        let by_text = BEFORE_EXECUTION.iter().any(|text| text.is_in(&message));
        self.error(kind, message)
            .with_status(status.as_u16())
            .transient(kind == ErrorKind::Unavailable)
            .executed(!by_status && !by_text)
    }
}

/// The server's own words: the `error` member of a JSON body, or the body itself as text.
pub(crate) fn server_message(body: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Body {
        error: String,
    }
    let text = match serde_json::from_slice::<Body>(body) {
        Ok(Body { error }) => error,
        Err(_) => {
            // What is cut off below need not be decoded first.
            let shown = &body[..body.len().min(2 * LONGEST_MESSAGE)];
            String::from_utf8_lossy(shown).into_owned()
        }
    };
    let text = text.trim();
    if text.is_empty() {
        return "(the server gave no reason)".to_owned();
    }
    let cut = text.floor_char_boundary(LONGEST_MESSAGE);
    if cut < text.len() {
        format!("{}… ({} bytes)", &text[..cut], body.len())
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::Operation;

    fn refused(status: u16, message: &str) -> Error {
        let endpoint = "http://localhost:8000".parse().unwrap();
        let operation = Operation::server("test", "test", "v2");
        let status = StatusCode::from_u16(status).unwrap();
        Context::new(operation, &endpoint).refused(status, message.to_owned())
    }

    #[test]
    fn a_status_alone_does_not_say_that_nothing_was_executed() {
        for (status, message, kind, transient, executed) in [
            (400, "a model's own words", ErrorKind::Rejected, false, true),
            (404, "a model's own words", ErrorKind::NotFound, false, true),
            (
                404,
                "Request for unknown model: 'm' is not found",
                ErrorKind::NotFound,
                false,
                false,
            ),
            (
                503,
                "Exceeds maximum queue size",
                ErrorKind::Unavailable,
                true,
                false,
            ),
            (
                503,
                "upstream connect error",
                ErrorKind::Unavailable,
                true,
                true,
            ),
            (500, "Traceback …", ErrorKind::Server, false, true),
            (
                500,
                "Failed to parse the request JSON buffer: …",
                ErrorKind::Server,
                false,
                false,
            ),
            (403, "", ErrorKind::Denied, false, false),
            (429, "", ErrorKind::Unavailable, true, false),
            (302, "", ErrorKind::Protocol, false, true),
        ] {
            let error = refused(status, message);
            let found = (
                error.kind(),
                error.is_transient(),
                error.may_have_executed(),
            );
            assert_eq!(found, (kind, transient, executed), "{status} {message}");
        }
    }

    #[test]
    fn a_long_text_is_cut() {
        let body = format!(r#"{{"error":"{}"}}"#, "é".repeat(LONGEST_MESSAGE));
        let message = server_message(body.as_bytes());
        assert!(message.len() < LONGEST_MESSAGE + 30, "{}", message.len());
        assert!(message.ends_with("bytes)"));
    }
}
