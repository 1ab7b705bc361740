//! Answers that refuse: what kind of refusal it is, and whether the model ran before it.

use http::StatusCode;
use serde_json::Value;
use triton_protocol::beginning;
use url::Url;

use super::answer::Answer;
use super::context::Context;
use crate::json::{ALWAYS_FITS, left_by};
use crate::{Error, ErrorKind};

/// The most of a server's error text that an [`Error`] keeps, in bytes.
const LONGEST_MESSAGE: usize = 4096;

/// The most words that the title of a page has.
const LONGEST_TITLE: usize = 64;

/// What stands behind the beginning of a longer text.
const LONGER: &str = "… (";

/// What stands behind a text of which the server sent no more.
pub(super) const REST_IS_MISSING: &str = " (the rest of this answer did not come)";

impl Context<'_> {
    /// The error for an answer whose status is not 200.
    pub(crate) fn refusal(&self, answer: &Answer) -> Error {
        let mut message = match &answer.location {
            Some(location) => {
                let called = self.endpoint.url().join(&self.operation.path()).ok();
                redirect_message(called.as_ref(), location)
            }
            None => server_message(&answer.body),
        };
        if answer.is_cut && !answer.body.is_empty() {
            // Behind everything else, so that no part of a text is taken for the whole of another.
            message.push_str(REST_IS_MISSING);
        }
        let mut error = match answer.status.as_u16() {
            407 => self.proxy_denied(),
            _ => self.refused(answer.status, message),
        };
        if is_too_large(answer.status, error.message()) {
            error = error.with_kind(ErrorKind::RequestTooLarge);
        }
        if !answer.request_was_sent {
            // No server begins before it has the whole of a request.
            error = error.executed(false);
        }
        error.with_retry_after(answer.retry_after)
    }

    /// The error for a page with the status 200, which a gateway answers in place of a server.
    pub(crate) fn page(&self, expected: &str, answer: &Answer) -> Error {
        let found = server_message(&answer.body);
        self.protocol(format!("expected {expected}, found a page: {found}"))
            .with_status(answer.status.as_u16())
    }

    /// The error for a page that a gateway answers because no server is behind it, whatever its status.
    pub(crate) fn away(&self, answer: &Answer) -> Error {
        let refusal = self.refusal(answer);
        if refusal.kind() == ErrorKind::Unavailable {
            return refusal;
        }
        self.error(ErrorKind::Unavailable, refusal.message())
            .with_status(answer.status.as_u16())
            .transient(true)
    }

    /// The error for a refusal in the server's words.
    pub(crate) fn refused(&self, status: StatusCode, message: String) -> Error {
        let kind = match status.as_u16() {
            // The only sign is the text; see the sequence batcher's `ResolveSequence`.
            400 if self.sent.is_not_started(400, &message) => ErrorKind::SequenceNotStarted,
            401 | 403 | 407 => ErrorKind::Denied,
            404 => ErrorKind::NotFound,
            501 => ErrorKind::Unsupported,
            // The first two are a gateway's: it had waited too long, or it is too early.
            408 | 425 | 429 | 502..=504 => ErrorKind::Unavailable,
            400..=499 => ErrorKind::Rejected,
            500..=599 => ErrorKind::Server,
            _ => ErrorKind::Protocol,
        };
        let unexecuted = self.sent.is_unexecuted(status.as_u16(), &message);
        self.error(kind, self.without_own_id(message))
            .with_status(status.as_u16())
            .transient(kind == ErrorKind::Unavailable)
            .executed(!unexecuted)
    }

    /// The text without the `id` that only the client knows: [`Error::request_id`] has it.
    fn without_own_id(&self, message: String) -> String {
        let Some(id) = self.sent.id else {
            return message;
        };
        match message.strip_prefix(&format!("[request id: {id}] ")) {
            Some(rest) => rest.to_owned(),
            None => message,
        }
    }
}

/// Whether a refusal is of a request's size: by its status, or by what Triton has said since 2.59
/// in place of that.
fn is_too_large(status: StatusCode, message: &str) -> bool {
    status == StatusCode::PAYLOAD_TOO_LARGE
        || status == StatusCode::BAD_REQUEST
            && message.starts_with(INPUT_SIZE)
            && message.contains(INPUT_LIMIT)
}

/// A model may speak of limits of its own, in tokens, say.
const INPUT_SIZE: &str = "request JSON size of ";

const INPUT_LIMIT: &str = "exceeds the maximum allowed input size";

/// The limit that a server names where a request exceeds it, in bytes.
pub(super) fn named_limit(message: &str) -> Option<usize> {
    let (_, rest) = message.strip_prefix(INPUT_SIZE)?.split_once(INPUT_LIMIT)?;
    let rest = rest.strip_prefix(" of ")?;
    let end = rest.find(|character: char| !character.is_ascii_digit());
    rest[..end.unwrap_or(rest.len())].parse().ok()
}

/// Where a redirect of the address that was called leads to, without the secrets that an address
/// can hold.
fn redirect_message(called: Option<&Url>, location: &str) -> String {
    let target = match called {
        Some(called) => called.join(location),
        None => Url::parse(location),
    };
    let shown = match target {
        Ok(mut url) => {
            // An address that takes no user info has none.
            let _ = url.set_username("").and_then(|()| url.set_password(None));
            url.set_query(None);
            url.set_fragment(None);
            url.to_string()
        }
        Err(_) => "an address that cannot be read".to_owned(),
    };
    let shown = shortened(&shown, LONGEST_MESSAGE, shown.len());
    format!(
        "the answer leads to {shown}, and redirects are not followed: set the endpoint to the address \
         where the server itself answers"
    )
}

/// The text of a page in HTML on one line: its tags, its scripts and its styles are left out.
fn page_text(page: &str) -> String {
    let mut text = String::new();
    let mut rest = page;
    while let Some((before, tag)) = rest.split_once('<') {
        text.push_str(before);
        text.push(' ');
        let (name, after) = tag.split_once('>').unwrap_or((tag, ""));
        let is = |wanted: &str| {
            let start = name.get(..wanted.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(wanted))
        };
        rest = match ["script", "style", "!--"]
            .into_iter()
            .find(|wanted| is(wanted))
        {
            Some("!--") => tag.split_once("-->").map_or("", |(_, after)| after),
            Some(element) => after
                .split_once(&format!("</{element}"))
                .map_or("", |(_, after)| {
                    after.split_once('>').map_or("", |(_, after)| after)
                }),
            None => after,
        };
    }
    text.push_str(rest);
    let text = text.replace("&nbsp;", " ").replace("&#160;", " ");
    // The heading of a page mostly repeats its title.
    let mut words: Vec<&str> = text.split_whitespace().collect();
    for length in (1..=LONGEST_TITLE.min(words.len() / 2)).rev() {
        if words[..length] == words[length..2 * length] {
            words.drain(..length);
            break;
        }
    }
    words.join(" ")
}

/// Whether a body is a page and not a text.
pub(crate) fn is_page(body: &[u8]) -> bool {
    let start = body.trim_ascii_start();
    let start = start[..start.len().min(64)].to_ascii_lowercase();
    ["<!doctype html", "<html", "<head", "<body", "<?xml"]
        .iter()
        .any(|page| start.starts_with(page.as_bytes()))
}

/// The server's own words: the sentence of a JSON body, or the body itself as text; of the page
/// that a gateway answers in place of a server, only what it says.
pub(crate) fn server_message(body: &[u8]) -> String {
    // Triton puts the refusal of a stream into an event of it.
    let json = body.strip_prefix(b"data:").unwrap_or(body);
    // A sentence is no longer one among values without end.
    let json = Some(json).filter(|json| left_by(json, ALWAYS_FITS).is_some());
    let read = json.and_then(|json| serde_json::from_slice::<Value>(json).ok());
    let sentence = read.and_then(|body| sentence(&body));
    let text = sentence.unwrap_or_else(|| {
        // What is cut off below need not be decoded first.
        let shown = &body[..body.len().min(2 * LONGEST_MESSAGE)];
        String::from_utf8_lossy(shown).into_owned()
    });
    let text = match is_page(text.as_bytes()) {
        // What is cut off below need not be read first.
        true => page_text(beginning(&text, 2 * LONGEST_MESSAGE)),
        false => text,
    };
    let text = text.trim();
    if text.is_empty() {
        return "the server gave no reason".to_owned();
    }
    shortened(text, LONGEST_MESSAGE, body.len())
}

/// At most so many bytes of a text, which is of an answer of `length` bytes.
pub(crate) fn shortened(text: &str, most: usize, length: usize) -> String {
    let cut = beginning(text, most).len();
    if cut < text.len() {
        format!("{}{LONGER}{length} bytes)", &text[..cut])
    } else {
        text.to_owned()
    }
}

/// The sentence in a JSON body, in any of the forms that servers and gateways give it: Triton's
/// `error`, FastAPI's `detail` (a text, or a list of what is wrong where), `message`, and an
/// `error` that has a `message` of its own.
fn sentence(body: &Value) -> Option<String> {
    if let Value::String(text) = body {
        return Some(text.clone());
    }
    for member in [
        "error",
        "detail",
        "message",
        "msg",
        "error_description",
        "title",
    ] {
        let found = match body.get(member) {
            Some(Value::String(text)) => Some(text.clone()),
            Some(inner @ Value::Object(_)) => sentence(inner),
            Some(Value::Array(list)) => {
                let parts: Vec<_> = list.iter().filter_map(located).collect();
                (!parts.is_empty()).then(|| parts.join("; "))
            }
            _ => None,
        };
        if found.as_ref().is_some_and(|text| !text.trim().is_empty()) {
            return found;
        }
    }
    None
}

/// What is wrong with a part of the request, and which: `{"loc": ["body", "inputs"], "msg": …}`.
fn located(fault: &Value) -> Option<String> {
    let text = sentence(fault)?;
    let Some(Value::Array(place)) = fault.get("loc") else {
        return Some(text);
    };
    let place = place.iter().map(|step| match step {
        Value::String(name) => name.clone(),
        other => other.to_string(),
    });
    Some(format!("{}: {text}", place.collect::<Vec<_>>().join(".")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::{Operation, Subject};
    use crate::{Client, SequenceId};

    fn client() -> Client {
        Client::new("http://localhost:8000").unwrap()
    }

    fn refused(status: u16, message: &str) -> Error {
        let operation = Operation::server("test", "test", "v2");
        let status = StatusCode::from_u16(status).unwrap();
        let client = client();
        client
            .context(operation)
            .refused(status, message.to_owned())
    }

    #[test]
    fn a_status_gives_the_kind_and_a_text_the_proof() {
        let model = "m".parse().unwrap();
        let sequence = SequenceId::text("s").unwrap();
        let not_started = "inference request for sequence s to model 'm' must specify the START \
                           flag on the first request of the sequence";
        for (status, message, kind, executed) in [
            (400, "a model's own words", ErrorKind::Rejected, true),
            (400, not_started, ErrorKind::SequenceNotStarted, false),
            (404, "a model's own words", ErrorKind::NotFound, true),
            (
                404,
                "Request for unknown model: 'm' is not found",
                ErrorKind::NotFound,
                false,
            ),
            (
                404,
                "Request for unknown model: 'inner' is not found",
                ErrorKind::NotFound,
                true,
            ),
            (
                503,
                "[request id: ours] Exceeds maximum queue size",
                ErrorKind::Unavailable,
                false,
            ),
            (
                503,
                "[request id: theirs] Exceeds maximum queue size",
                ErrorKind::Unavailable,
                true,
            ),
            (503, "Request timeout expired", ErrorKind::Unavailable, true),
            (503, "upstream connect error", ErrorKind::Unavailable, true),
            (500, "Traceback …", ErrorKind::Server, true),
            (403, "", ErrorKind::Denied, false),
            (429, "", ErrorKind::Unavailable, false),
            (302, "", ErrorKind::Protocol, true),
            (408, "", ErrorKind::Unavailable, true),
            (425, "", ErrorKind::Unavailable, true),
        ] {
            let client = client();
            let operation = Operation::about(Subject::Model(&model), "infer", "infer with", "");
            let context = client.context(operation);
            let context = context.with_marks(Some("ours"), Some(&sequence));
            let status = StatusCode::from_u16(status).unwrap();
            let error = context.refused(status, message.to_owned());
            let found = (error.kind(), error.may_have_executed());
            assert_eq!(found, (kind, executed), "{status} {message}");
            let transient = kind == ErrorKind::Unavailable;
            assert_eq!(error.is_transient(), transient, "{status} {message}");
            // The reader need not see an `id` that nobody chose.
            assert!(!error.to_string().contains("ours"), "{error}");
            assert_eq!(error.request_id(), Some("ours"));
        }
    }

    #[test]
    fn a_page_is_shown_as_the_text_that_it_holds() {
        let shown = |page: &str| server_message(page.as_bytes());
        insta::assert_snapshot!(shown("<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"), @"502 Bad Gateway nginx");
        insta::assert_snapshot!(shown("<!DOCTYPE html><html><head><style>p { a: b }</style><script>if (a < b) {}</script><!-- <p>no</p> --></head><body><p>Access&nbsp;denied</p></body>"), @"Access denied");
        insta::assert_snapshot!(shown("<html><script>endless"), @"the server gave no reason");
        insta::assert_snapshot!(shown("x < 3 and y > 2"), @"x < 3 and y > 2");
    }

    #[test]
    fn the_sentence_of_a_json_body_is_shown() {
        let shown = |body: &str| server_message(body.as_bytes());
        for (body, sentence) in [
            (r#"{"error":"no"}"#, "no"),
            ("data: {\"error\":\"no\"}\n\n", "no"),
            ("data: no", "data: no"),
            (r#"{"detail":"Not Found"}"#, "Not Found"),
            (
                r#"{"detail":[{"loc":["body","inputs",0,"shape"],"msg":"field required","type":"missing"},{"msg":"b"}]}"#,
                "body.inputs.0.shape: field required; b",
            ),
            (r#"{"message":"no Route matched"}"#, "no Route matched"),
            (
                r#"{"error":{"code":401,"message":"no key","status":"X"}}"#,
                "no key",
            ),
            (r#"{"error":{"detail":"deep"}}"#, "deep"),
            (r#"{"error":"","message":"m"}"#, "m"),
            (r#""text""#, "text"),
            (r#"{"code":5}"#, r#"{"code":5}"#),
            ("[1]", "[1]"),
            ("{}", "{}"),
            (r#"{"error":"<html><title>Sorry</title></html>"}"#, "Sorry"),
        ] {
            assert_eq!(shown(body), sentence, "{body}");
        }
        let deep = format!("{}{}", r#"{"error":"#.repeat(100_000), "1");
        assert!(shown(&deep).len() < LONGEST_MESSAGE + 30);
    }

    #[test]
    fn a_limit_that_is_named_is_read() {
        for (text, limit) in [
            (
                "request JSON size of 72 bytes exceeds the maximum allowed input size of 64 bytes",
                Some(64),
            ),
            (
                "request JSON size of 9 exceeds the maximum allowed input size of 67108864. Use --http-max-input-size",
                Some(67_108_864),
            ),
            ("exceeds the maximum allowed input size", None),
            ("exceeds the maximum allowed input size of many", None),
        ] {
            assert_eq!(named_limit(text), limit, "{text}");
        }
    }

    #[test]
    fn a_redirect_says_where_it_leads_and_no_secret() {
        insta::assert_snapshot!(redirect_message(None, "https://user:canary@secure.example/v2/models/m?token=canary#x"), @"the answer leads to https://secure.example/v2/models/m, and redirects are not followed: set the endpoint to the address where the server itself answers");
        let called = Url::parse("http://triton:8000/v2/models/m").ok();
        let relative = |location| redirect_message(called.as_ref(), location);
        insta::assert_snapshot!(relative("//other.example/x?canary"), @"the answer leads to http://other.example/x, and redirects are not followed: set the endpoint to the address where the server itself answers");
        insta::assert_snapshot!(relative("http://[canary"), @"the answer leads to an address that cannot be read, and redirects are not followed: set the endpoint to the address where the server itself answers");
        insta::assert_snapshot!(relative("/login?next=canary"), @"the answer leads to http://triton:8000/login, and redirects are not followed: set the endpoint to the address where the server itself answers");
    }

    #[test]
    fn a_stack_trace_is_one_line() {
        let trace = "model failed\n  File \"model.py\", line 3\r\n\u{1b}[31mValueError";
        let error = refused(500, trace);
        assert_eq!(error.message(), trace);
        insta::assert_snapshot!(error, @r#"test at http://localhost:8000/: status 500: model failed File "model.py", line 3 [31mValueError"#);
    }

    #[test]
    fn a_long_text_is_cut() {
        let body = format!(r#"{{"error":"{}"}}"#, "é".repeat(LONGEST_MESSAGE));
        let message = server_message(body.as_bytes());
        assert!(message.len() < LONGEST_MESSAGE + 30, "{}", message.len());
        assert!(message.ends_with("bytes)"));
    }
}
