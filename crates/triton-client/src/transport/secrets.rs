//! What a client knows that nobody else may read: a server, or a gateway before it, may repeat it in
//! its refusal ("no such token: …"), and errors are kept in logs and in columns of data.

use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{HOST, HeaderMap, HeaderValue};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use triton_protocol::{Endpoint, HIDDEN, Secret};
use url::Url;

use super::CallSettings;
use super::refusal::{LONGER, REST_IS_MISSING};
use crate::Error;

/// The fewest bytes that a text has to have for it to be looked for: a shorter one stands in many
/// texts by chance.
const SHORTEST: usize = 6;

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

    /// The error without what is secret of these, of the headers that went out, and of the form that
    /// each takes within JSON or an address.
    ///
    /// What an error shows anyway, as the name of the model, is no secret, though it be in a header.
    pub(crate) fn hidden_in(
        &self,
        error: Error,
        settings: &CallSettings,
        of_call: Option<&HeaderMap>,
        provided: &Provided,
    ) -> Error {
        let mut texts: Vec<String> = self.0.iter().map(|it| it.expose().to_owned()).collect();
        let provided = provided.lock();
        let headers = std::iter::once(&settings.headers).chain(&*provided);
        for headers in headers.chain(of_call) {
            for (name, value) in headers {
                if name != HOST {
                    add_header(&mut texts, value);
                }
            }
        }
        let shown_anyway = format!("{} {}", error.operation(), error.url());
        let forms = texts.iter().flat_map(|text| forms(text));
        let mut forms: Vec<String> = forms
            .filter(|text| text.len() >= SHORTEST && !shown_anyway.contains(text.as_str()))
            .filter(|text| stands_in(text, error.message()))
            .collect();
        if forms.is_empty() {
            return error;
        }
        // The longest first, so that no part of one is left.
        forms.sort_by_key(|text| std::cmp::Reverse(text.len()));
        let mut message = error.message().to_owned();
        for text in &forms {
            message = message.replace(text, HIDDEN);
            if let Some(range) = cut_off(text, &message) {
                message.replace_range(range, HIDDEN);
            }
        }
        error.with_message(message)
    }
}

/// The headers that were made for the requests of a call.
#[derive(Debug, Default)]
pub(crate) struct Provided(Mutex<Vec<HeaderMap>>);

impl Provided {
    pub(super) fn add(&self, headers: &HeaderMap) {
        self.lock().push(headers.clone());
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

fn stands_in(text: &str, message: &str) -> bool {
    message.contains(text) || cut_off(text, message).is_some()
}

/// Where the beginning of `text` is the last that there is of a longer message.
fn cut_off(text: &str, message: &str) -> Option<Range<usize>> {
    let ends = [LONGER, REST_IS_MISSING].into_iter();
    let end = ends.filter_map(|end| message.rfind(end)).min()?;
    let lengths = (SHORTEST..text.len()).rev();
    let mut beginnings = lengths.filter_map(|length| text.get(..length));
    let begun = beginnings.find(|begun| message[..end].ends_with(begun))?;
    Some(end - begun.len()..end)
}

/// A text as it is, as JSON writes it, and as an address does.
fn forms(text: &str) -> [String; 3] {
    let json = serde_json::Value::from(text).to_string();
    let json = json[1..json.len() - 1].to_owned();
    let encoded = utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    [text.to_owned(), json, encoded]
}
