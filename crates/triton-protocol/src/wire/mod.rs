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

/// Says that a body is not the JSON it should be, and shows its beginning.
#[must_use]
pub fn unreadable(body: &[u8], error: &impl std::fmt::Display) -> String {
    const SHOWN: usize = 120;
    let text = String::from_utf8_lossy(&body[..body.len().min(SHOWN)]);
    format!(
        "the answer is not what the protocol promises: {error}; its {} bytes begin with '{}'",
        body.len(),
        text.escape_debug()
    )
}
