//! What a server says where it refuses: it is shown to people, and may repeat what the client sent.

use std::sync::LazyLock;

use triton_client::http::header::{AUTHORIZATION, LOCATION, RETRY_AFTER};
use triton_client::http::{HeaderMap, HeaderValue, StatusCode};
use triton_client::{Client, fuzzing};

/// The most that an error keeps of a server's words, and what the client says around them.
const LONGEST: usize = 5000;

const TOKEN: &str = "tok&n/1+2";
const PASSWORD: &str = "p\"ss%41";

static CLIENT: LazyLock<Client> = LazyLock::new(|| {
    let token = HeaderValue::from_static("Bearer tok&n/1+2");
    let builder = Client::builder("http://user:p%22ss%2541@localhost:8000");
    let builder = builder.header(AUTHORIZATION, token);
    builder.build().expect("it is an address")
});

/// A refusal: the first two bytes say its status, the first line behind them is a header, the rest the
/// body.
pub(crate) fn refusal(input: &[u8]) {
    let Some((status, rest)) = input.split_first_chunk::<2>() else {
        return;
    };
    let status = 300 + u16::from_le_bytes(*status) % 300;
    let status = StatusCode::from_u16(status).expect("it has three digits");
    let end = rest.iter().position(|byte| *byte == b'\n');
    let (header, body) = rest.split_at(end.unwrap_or(0));
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_bytes(header) {
        headers.insert(LOCATION, value.clone());
        headers.insert(RETRY_AFTER, value);
    }
    let error = fuzzing::refusal(&CLIENT, status, &headers, body);
    let message = error.message();
    assert!(!message.is_empty() && message.len() < LONGEST);
    for secret in [TOKEN, PASSWORD] {
        assert!(!message.contains(secret), "{message}");
    }
    let shown = error.to_string();
    assert!(!shown.contains(char::is_control), "{shown}");
}
