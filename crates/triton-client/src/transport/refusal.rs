//! Answers that refuse: what kind of refusal it is, and whether the model ran before it.

use reqwest::StatusCode;
use triton_protocol::beginning;
use url::Url;

use super::{Answer, Context};
use crate::{Error, ErrorKind};

/// The most of a server's error text that an [`Error`] keeps, in bytes.
const LONGEST_MESSAGE: usize = 4096;

impl Context<'_> {
    /// The error for an answer whose status is not 200.
    pub(crate) fn refusal(&self, answer: &Answer) -> Error {
        let message = match &answer.location {
            Some(location) => redirect_message(location),
            None => server_message(&answer.body),
        };
        self.refused(answer.status, message)
            .with_retry_after(answer.retry_after)
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

/// Where a redirect leads to, without the secrets that an address can hold.
fn redirect_message(location: &str) -> String {
    let shown = match Url::parse(location) {
        Ok(mut url) => {
            // An address that takes no user info has none.
            let _ = url.set_username("").and_then(|()| url.set_password(None));
            url.set_query(None);
            url.set_fragment(None);
            url.to_string()
        }
        // Relative to what was called, where the query may hold a token just as well.
        Err(_) => location
            .split(['?', '#'])
            .next()
            .unwrap_or_default()
            .to_owned(),
    };
    let cut = beginning(&shown, LONGEST_MESSAGE).len();
    format!(
        "the answer leads to {}, and redirects are not followed: set the endpoint to the address \
         where the server itself answers",
        &shown[..cut]
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
    for length in (1..=words.len() / 2).rev() {
        if words[..length] == words[length..2 * length] {
            words.drain(..length);
            break;
        }
    }
    words.join(" ")
}

/// Whether a body is a page and not a text.
fn is_page(text: &str) -> bool {
    let start = text.get(..64).unwrap_or(text).to_ascii_lowercase();
    ["<!doctype html", "<html", "<head", "<body", "<?xml"]
        .iter()
        .any(|page| start.starts_with(page))
}

/// The server's own words: the `error` member of a JSON body, or the body itself as text; of the
/// page that a gateway answers in place of a server, only what it says.
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
    let text = match is_page(text.trim_start()) {
        true => page_text(&text),
        false => text,
    };
    let text = text.trim();
    if text.is_empty() {
        return "(the server gave no reason)".to_owned();
    }
    let cut = beginning(text, LONGEST_MESSAGE).len();
    if cut < text.len() {
        format!("{}… ({} bytes)", &text[..cut], body.len())
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SequenceId;
    use crate::operation::{Operation, Subject};

    fn refused(status: u16, message: &str) -> Error {
        let endpoint = "http://localhost:8000".parse().unwrap();
        let operation = Operation::server("test", "test", "v2");
        let status = StatusCode::from_u16(status).unwrap();
        Context::new(operation, &endpoint).refused(status, message.to_owned())
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
            let endpoint = "http://localhost:8000".parse().unwrap();
            let operation = Operation::about(Subject::Model(&model), "infer", "infer with", "");
            let context =
                Context::new(operation, &endpoint).with_marks(Some("ours"), Some(&sequence));
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
        insta::assert_snapshot!(shown("<html><script>endless"), @"(the server gave no reason)");
        insta::assert_snapshot!(shown("x < 3 and y > 2"), @"x < 3 and y > 2");
    }

    #[test]
    fn a_redirect_says_where_it_leads_and_no_secret() {
        insta::assert_snapshot!(redirect_message("https://user:canary@secure.example/v2/models/m?token=canary#x"), @"the answer leads to https://secure.example/v2/models/m, and redirects are not followed: set the endpoint to the address where the server itself answers");
        insta::assert_snapshot!(redirect_message("/login?next=canary"), @"the answer leads to /login, and redirects are not followed: set the endpoint to the address where the server itself answers");
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
