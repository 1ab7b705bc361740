//! How requests and responses look as bytes.

mod data_reader;
mod data_writer;
pub(crate) mod decode;
pub(crate) mod encode;
mod float_text;
mod json_reader;
pub mod json_text;
pub mod json_tokens;
mod plan;
pub mod server_sent_events;

pub use plan::{EncodingPlan, Lookup};

use crate::beginning;

/// Says that a body is not the JSON it should be, and shows its beginning.
#[must_use]
pub fn unreadable(body: &[u8], error: &impl std::fmt::Display) -> String {
    const SHOWN: usize = 120;
    // A character may be cut, and is not shown then.
    let text = String::from_utf8_lossy(&body[..body.len().min(SHOWN + 4)]);
    let shown = beginning(&text, SHOWN);
    // Whoever hides what is secret has to know that the rest of a word may be missing.
    let more = if body.len() > SHOWN { "…" } else { "" };
    format!(
        "the answer is not what the protocol promises: {error}; its {} bytes begin with '{}{more}'",
        body.len(),
        shown.escape_debug()
    )
}
