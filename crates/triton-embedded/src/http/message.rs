//! Requests and answers, as the rest of the crate sees them.

use bytes::Bytes;

/// A request whose body has arrived.
#[derive(Debug, Clone, Default)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// The path and, if there is one, the query.
    pub(crate) target: String,
    /// In their order; names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
}

impl Request {
    /// The path alone, exactly as it was sent.
    pub(crate) fn path(&self) -> &str {
        self.target.split(['?', '#']).next().unwrap_or_default()
    }

    /// The first header of that lower-case name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(candidate, _)| candidate == name)
            .map(|(_, value)| value.as_str())
    }
}

/// An answer, before it becomes bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    /// Whether the body goes out as a chunk of unknown total length.
    pub(crate) chunked: bool,
}

impl Reply {
    /// An answer of that content type.
    pub(crate) fn new(status: u16, content_type: &str, body: Vec<u8>) -> Reply {
        Reply {
            status,
            headers: vec![("Content-Type", content_type.to_owned())],
            body,
            chunked: false,
        }
    }

    /// Status 200 and a document.
    pub(crate) fn json(document: &crate::json::Json) -> Reply {
        Reply::new(200, "application/json", document.to_bytes())
    }

    /// Adds a header.
    pub(crate) fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Reply {
        self.headers.push((name, value.into()));
        self
    }
}
