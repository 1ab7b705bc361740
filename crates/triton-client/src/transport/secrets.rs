//! What a client knows that nobody else may read: a server, or a gateway before it, may repeat it in
//! its refusal ("no such token: …"), and errors are kept in logs and in columns of data.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use http::header::{HOST, HeaderMap, HeaderValue};
use memchr::memmem;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use triton_protocol::{Endpoint, HIDDEN, Secret};
use url::Url;

use super::CallSettings;
use super::refusal::{REST_IS_MISSING, shortened};
use super::unescaped::Unescaped;

/// The fewest bytes that a text has to have for it to be looked for: a shorter one stands in many
/// texts by chance.
const SHORTEST: usize = 6;

/// The most bytes of a message that is looked through, and kept.
const LONGEST_SEARCHED: usize = 16 << 10;

/// What stands behind every text that was cut, whoever cut it.
const CUT: &str = "…";

/// How many of these are looked at, from the last on: a text of a server may be full of them.
const MOST_CUTS: usize = 8;

/// The most bytes that the beginning of an escape may have where a message is cut.
const LONGEST_ESCAPE: usize = 12;

/// The secrets of a client that are no headers.
#[derive(Debug, Default)]
pub(crate) struct Secrets(Vec<Secret>);

impl Secrets {
    pub(crate) fn of_addresses(endpoint: &Endpoint, proxy: Option<&str>) -> Self {
        let mut secrets = Vec::new();
        if let Some(user_info) = endpoint.user_info() {
            let (name, password) = (user_info.name.expose(), user_info.password.expose());
            add_credentials(&mut secrets, name, password);
        }
        if let Some(proxy) = proxy.map(str::trim) {
            let url = Url::parse(proxy).or_else(|_| Url::parse(&format!("http://{proxy}")));
            if let Ok(url) = url {
                let decoded =
                    |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
                let password = decoded(url.password().unwrap_or_default());
                add_credentials(&mut secrets, &decoded(url.username()), &password);
            }
        }
        Self(secrets)
    }
}

/// All that goes out with a call and is nobody else's to know.
#[derive(Debug, Clone, Copy)]
pub(super) struct SecretsOfCall<'a> {
    of_addresses: &'a Secrets,
    of_client: &'a HeaderMap,
    of_call: Option<&'a HeaderMap>,
    provided: Option<&'a Provided>,
}

impl<'a> SecretsOfCall<'a> {
    pub(super) fn new(of_addresses: &'a Secrets, settings: &'a CallSettings) -> Self {
        Self {
            of_addresses,
            of_client: &settings.headers,
            of_call: None,
            provided: settings.questions.as_ref().map(|all| &all.provided),
        }
    }

    /// The same with the headers of the call alone, and those that are made for its requests.
    pub(super) fn with_headers(
        self,
        of_call: Option<&'a HeaderMap>,
        provided: &'a Provided,
    ) -> Self {
        Self {
            of_call,
            provided: Some(provided),
            ..self
        }
    }

    /// A message without what is secret, in whatever form a server may repeat it: within JSON, an
    /// address or a page, and as base64.
    ///
    /// What an error shows anyway, as the name of the model, is no secret, though it be in a header.
    pub(super) fn hidden_in(&self, message: &str, shown_anyway: &str) -> String {
        let of_addresses = self.of_addresses.0.iter();
        let mut texts: Vec<String> = of_addresses.map(|it| it.expose().to_owned()).collect();
        let provided = self.provided.map(Provided::lock);
        let provided = provided.iter().flat_map(|provided| provided.iter());
        let headers = std::iter::once(self.of_client).chain(provided);
        for headers in headers.chain(self.of_call) {
            for (name, value) in headers {
                if name != HOST {
                    add_header(&mut texts, value);
                }
            }
        }
        texts.retain(|text| text.len() >= SHORTEST && !shown_anyway.contains(text.as_str()));
        // A server can have a name or a text of any length quoted; looking takes memory, too.
        let message = shortened(message, LONGEST_SEARCHED, message.len());
        hidden(&texts, shown_anyway, &message).unwrap_or(message)
    }
}

/// A message without any form of these texts; `None` where there is nothing to hide.
fn hidden(texts: &[String], shown_anyway: &str, message: &str) -> Option<String> {
    let plain = message.as_bytes();
    let unescaped = Unescaped::of(message);
    let mut places = Vec::new();
    let forms = texts.iter().flat_map(|text| forms(text));
    for form in forms.filter(|form| !shown_anyway.contains(form)) {
        add_places(&mut places, form.as_bytes(), plain, |index| index);
        let form = Unescaped::of(&form).bytes;
        if form.len() >= SHORTEST {
            add_places(&mut places, &form, &unescaped.bytes, |index| {
                unescaped.starts[index]
            });
        }
    }
    if places.is_empty() {
        return None;
    }
    places.sort_unstable_by_key(|place| place.start);
    let mut shown = Vec::new();
    let mut end = 0;
    for place in places {
        // What begins within another is hidden with it.
        if place.start >= end {
            shown.extend_from_slice(&plain[end..place.start]);
            shown.extend_from_slice(HIDDEN.as_bytes());
        }
        end = end.max(place.end);
    }
    shown.extend_from_slice(&plain[end..]);
    Some(String::from_utf8_lossy(&shown).into_owned())
}

/// Adds where a secret stands in a message, and where the message is cut within one; `place` leads
/// from there to the message as it came.
fn add_places(
    places: &mut Vec<Range<usize>>,
    secret: &[u8],
    message: &[u8],
    place: impl Fn(usize) -> usize,
) {
    let found = memmem::find_iter(message, secret).map(|start| start..start + secret.len());
    let found = found.chain(cut_off(secret, message));
    places.extend(found.map(|range| place(range.start)..place(range.end)));
}

/// The headers that were made for the requests of a call; a clone shares them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Provided(Arc<Mutex<Vec<HeaderMap>>>);

impl Provided {
    pub(super) fn add(&self, headers: &HeaderMap) {
        let mut all = self.lock();
        if !all.contains(headers) {
            all.push(headers.clone());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<HeaderMap>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A password, as it is and as basic authentication sends it; without one the name may be a token.
fn add_credentials(secrets: &mut Vec<Secret>, name: &str, password: &str) {
    let secret = match password {
        "" => name,
        password => password,
    };
    secrets.push(Secret::new(secret));
    secrets.push(Secret::new(STANDARD.encode(format!("{name}:{password}"))));
}

/// The value of a header, and what of it a server may repeat alone: credentials behind the name of
/// their scheme (`Bearer …`), and what stands behind a `=` (`session=…; …`).
fn add_header(texts: &mut Vec<String>, value: &HeaderValue) {
    let Ok(value) = str::from_utf8(value.as_bytes()) else {
        return;
    };
    texts.push(value.to_owned());
    if let Some((scheme, rest)) = value.split_once(' ')
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric())
    {
        texts.push(rest.trim().to_owned());
    }
    let parts = value.split([';', ',', ' ']);
    let values = parts.filter_map(|part| Some(part.split_once('=')?.1.trim_matches('"')));
    // The filling of base64 is no value.
    let values = values.filter(|value| !value.trim_matches('=').is_empty());
    texts.extend(values.map(str::to_owned));
}

/// Where the beginning of a secret is the last that there is of a longer text.
fn cut_off(secret: &[u8], message: &[u8]) -> Vec<Range<usize>> {
    let cuts = memmem::rfind_iter(message, CUT).take(MOST_CUTS);
    let ends = cuts.chain(memmem::rfind(message, REST_IS_MISSING.as_bytes()));
    ends.filter_map(|end| begun_before(secret, message, end))
        .collect()
}

/// The beginning of a secret before the end of a text, perhaps with the beginning of an escape behind
/// it.
fn begun_before(secret: &[u8], message: &[u8], end: usize) -> Option<Range<usize>> {
    let escape = (end.saturating_sub(LONGEST_ESCAPE)..end).rev();
    let escape = escape.filter(|start| matches!(message[*start], b'%' | b'&' | b'\\'));
    let begun = std::iter::once(end).chain(escape).find_map(|end| {
        let last = *message[..end].last()?;
        let mut lengths = (SHORTEST..secret.len()).rev();
        // Most lengths are ruled out by one byte.
        let length = lengths.find(|length| {
            secret[length - 1] == last && message[..end].ends_with(&secret[..*length])
        })?;
        Some(end - length)
    })?;
    Some(begun..end)
}

/// A text as it is, as JSON writes it, as an address does that escapes all it can, and as base64 of
/// either alphabet, with its filling and without.
fn forms(text: &str) -> [String; 7] {
    let json = serde_json::Value::from(text).to_string();
    let json = json[1..json.len() - 1].to_owned();
    let encoded = utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let base64 = [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD];
    let [standard, unfilled, url_safe, unfilled_url_safe] = base64.map(|form| form.encode(text));
    [
        text.to_owned(),
        json,
        encoded,
        standard,
        unfilled,
        url_safe,
        unfilled_url_safe,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "s+cr/t-\"&~'(é) _k3y";

    /// The message without the secret, as a whole.
    #[track_caller]
    fn is_hidden(repeated: &str) {
        let texts = [SECRET.to_owned()];
        let message = format!("no: <{repeated}>, 100%");
        let shown = hidden(&texts, "infer with model 'm'", &message);
        assert_eq!(shown.as_deref(), Some("no: <(hidden)>, 100%"), "{message}");
        // The same where no more of it came.
        for missing in 1..=repeated.len() / 2 {
            let Some(begun) = repeated.get(..repeated.len() - missing) else {
                continue;
            };
            for end in [REST_IS_MISSING, "… (900 bytes)", "…' (900 bytes) is cut"] {
                let message = format!("no: <{begun}{end}");
                let shown = hidden(&texts, "", &message).unwrap();
                assert_eq!(shown, format!("no: <(hidden){end}"), "{message}");
            }
        }
    }

    #[test]
    fn a_secret_is_hidden_as_it_is() {
        is_hidden(SECRET);
    }

    #[test]
    fn a_secret_is_hidden_as_json_writes_it() {
        is_hidden(r#"s+cr/t-\"&~'(é) _k3y"#);
        is_hidden(r#"s+cr\/t-\"&~'(\u00e9) _k3y"#);
        is_hidden(r#"s\u002bcr/t-\u0022\u0026~\u0027(\u00E9) _k3y"#);
    }

    #[test]
    fn a_secret_is_hidden_as_an_address_writes_it() {
        // Nothing but what need not be escaped, encodeURIComponent, encodeURI, a form.
        is_hidden("s%2Bcr%2Ft-%22%26~%27%28%C3%A9%29%20_k3y");
        is_hidden("s%2bcr%2ft-%22%26~%27%28%c3%a9%29%20_k3y");
        is_hidden("s%2Bcr%2Ft-%22%26~'(%C3%A9)%20_k3y");
        is_hidden("s+cr/t-%22&~'(%C3%A9)%20_k3y");
        is_hidden("s%2Bcr%2Ft-%22%26%7E%27%28%C3%A9%29+_k3y");
        is_hidden("%73%2B%63%72%2F%74%2D%22%26%7E%27%28%C3%A9%29%20%5F%6B%33%79");
    }

    #[test]
    fn a_secret_is_hidden_as_a_page_writes_it() {
        is_hidden("s+cr/t-&quot;&amp;~&#39;(é) _k3y");
        is_hidden("s&#43;cr/t-&#34;&#38;~&apos;(&#233;) _k3y");
        is_hidden("s&#x2B;cr&#x2f;t-&#x22;&#x26;~&#x27;(&#xE9;) _k3y");
        // An address on a page, a page within JSON.
        is_hidden("s%2Bcr%2Ft-%22%26amp;~&#39;(%C3%A9)+_k3y");
        is_hidden(r"s+cr/t-\u0026quot;\u0026amp;~\u0026#39;(é) _k3y");
    }

    #[test]
    fn a_secret_is_hidden_as_base64() {
        for secret in [
            SECRET,
            "of nine b",
            "and of ten",
            "of elevenbb",
            "??>>~~??>>",
        ] {
            let texts = [secret.to_owned()];
            for form in [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD] {
                let encoded = form.encode(secret);
                let escaped = utf8_percent_encode(&encoded, NON_ALPHANUMERIC).to_string();
                for repeated in [encoded, escaped] {
                    let shown = hidden(&texts, "", &format!("no: {repeated}."));
                    assert_eq!(shown.as_deref(), Some("no: (hidden)."), "{repeated}");
                }
            }
        }
    }

    #[test]
    fn a_secret_that_looks_escaped_is_hidden() {
        for secret in ["a%22b+cdef", "a&amp;bcdef", r"a\u0041bcdef", "%41%42"] {
            let texts = [secret.to_owned()];
            let address = utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
            let page = secret.replace('&', "&amp;").replace('+', "&#43;");
            let json = secret.replace('\\', r"\\");
            for repeated in [secret.to_owned(), address, page, json] {
                let shown = hidden(&texts, "", &format!("no: {repeated}."));
                assert_eq!(shown.as_deref(), Some("no: (hidden)."), "{repeated}");
            }
        }
    }

    #[test]
    fn what_is_no_secret_is_shown_as_it_came() {
        let texts = [SECRET.to_owned(), "digits%20m".to_owned()];
        for message in ["100%25 &amp; \\u0041", "digits%20m", ""] {
            assert_eq!(hidden(&texts[..1], "", message), None);
        }
        let page = format!("100%25 &amp; {SECRET} \\u0041");
        let shown = hidden(&texts, "", &page).unwrap();
        assert_eq!(shown, "100%25 &amp; (hidden) \\u0041");
    }
}
