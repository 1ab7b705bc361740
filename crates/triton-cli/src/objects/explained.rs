//! What a store said, in words that help: which status, which code of the store's own, and what to do.

use std::error::Error;
use std::io;

use anyhow::anyhow;
use object_store::Error as StoreError;
use triton_options::HIDDEN;

use super::address::{Address, Scheme};

/// How the library begins what it says of an answer that is none of success.
const STATUS: &str = "Server returned non-2xx status code: ";

/// How it begins what it says of a connection.
const CONNECTION: &str = "HTTP error: ";

/// The most letters that are repeated of what a store says.
const LONGEST: usize = 300;

/// What is wrong with the settings of a store.
pub(super) fn of_settings(address: &Address, error: &StoreError) -> anyhow::Error {
    let advice = match address.scheme {
        Scheme::S3 => "check the variables AWS_… of the environment",
        Scheme::Gs => "check the variables GOOGLE_… of the environment",
        Scheme::Az => "check the variables AZURE_… of the environment",
        Scheme::Http => "check the address",
    };
    anyhow!("{address}: it cannot be used: {}; {advice}", reason(error))
}

/// An error of a request about an object, which the message does not name.
pub(super) fn of_request(address: &Address, error: &StoreError) -> io::Error {
    let chain = chain(error);
    let kind = match error {
        StoreError::NotFound { .. } => io::ErrorKind::NotFound,
        StoreError::PermissionDenied { .. } | StoreError::Unauthenticated { .. } => {
            io::ErrorKind::PermissionDenied
        }
        _ => io::ErrorKind::Other,
    };
    let text = if let Some(said) = chain.iter().find_map(|text| text.strip_prefix(STATUS)) {
        let (status, code, message) = taken_apart(said);
        let code_shown = if code.is_empty() {
            String::new()
        } else {
            format!(" {code}")
        };
        let message = match message.as_str() {
            "" => String::new(),
            message => format!(" ({})", message.trim_end_matches('.')),
        };
        let advice = advice(address.scheme, status, &code);
        format!("the store answers {status}{code_shown}{message}: {advice}")
    } else if chain.iter().any(|text| text.starts_with(CONNECTION)) {
        let cause = chain.last().map_or("", String::as_str);
        let where_to = match address.scheme {
            Scheme::S3 => "the network, AWS_ENDPOINT_URL and AWS_REGION",
            Scheme::Gs => "the network",
            Scheme::Az => "the network and AZURE_STORAGE_ACCOUNT",
            Scheme::Http => "the address and the network",
        };
        format!("the connection to the store failed: {cause}; check {where_to}")
    } else if chain
        .iter()
        .any(|text| text.contains("received redirect") || text.contains("Received redirect"))
    {
        "the store sends to another region: set AWS_REGION to that of the bucket".to_owned()
    } else if chain.iter().any(|text| text.starts_with("Content-Length")) {
        "the server does not say how long it is: save it in a file before, or pipe it, as in curl URL \
         | triton predict … -"
            .to_owned()
    } else if chain
        .iter()
        .any(|text| text.starts_with("Range request not supported"))
    {
        "the server gives nothing but the whole, and a part is needed: save it in a file before"
            .to_owned()
    } else {
        reason(error)
    };
    io::Error::new(kind, text)
}

/// An error and its causes, each without what it repeats of an address.
fn chain(error: &StoreError) -> Vec<String> {
    let mut texts = vec![without_queries(&error.to_string())];
    let mut source = error.source();
    while let Some(cause) = source {
        texts.push(without_queries(&cause.to_string()));
        source = cause.source();
    }
    texts
}

/// The innermost cause, in a line.
fn reason(error: &StoreError) -> String {
    let text = chain(error).pop().unwrap_or_default();
    shortened(&text)
}

/// What is behind a `?` of an address may be a signature.
fn without_queries(text: &str) -> String {
    let words = text.split_inclusive(' ').map(|word| {
        match word.split_once("://").and_then(|_| word.split_once('?')) {
            Some((address, _)) => format!("{address}?{HIDDEN} "),
            None => word.to_owned(),
        }
    });
    words.collect()
}

/// The status of an answer, and the code and the message in its body, as far as it is of a store.
fn taken_apart(said: &str) -> (&str, String, String) {
    let (line, body) = said.split_once(": ").unwrap_or((said, ""));
    let status = line.split(' ').next().unwrap_or_default();
    let member = |name: &str| {
        let text = body.split_once(&format!("<{name}>"))?.1;
        Some(unescaped(text.split_once(&format!("</{name}>"))?.0))
    };
    let code = member("Code").unwrap_or_default();
    let message = member("Message").unwrap_or_default();
    (status, shortened(&code), shortened(&message))
}

fn unescaped(text: &str) -> String {
    let pairs = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&apos;", "'"),
        ("&#39;", "'"),
        ("&amp;", "&"),
    ];
    let mut text = text.to_owned();
    for (escaped, letter) in pairs {
        text = text.replace(escaped, letter);
    }
    text
}

/// The first line, and no more of it than fits a message.
fn shortened(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default();
    line.chars()
        .filter(|letter| !letter.is_control())
        .take(LONGEST)
        .collect()
}

fn advice(scheme: Scheme, status: &str, code: &str) -> &'static str {
    let credentials = match scheme {
        Scheme::S3 => {
            "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN and AWS_REGION, and \
             what they allow there"
        }
        Scheme::Gs => "check GOOGLE_APPLICATION_CREDENTIALS, and what it allows there",
        Scheme::Az => {
            "check AZURE_STORAGE_ACCOUNT and AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN, and what \
             they allow there"
        }
        Scheme::Http => "the address takes a user and a password, or a signature that has expired",
    };
    match (status, scheme) {
        ("404", Scheme::S3) if code == "NoSuchBucket" => {
            "check the bucket, AWS_ENDPOINT_URL and AWS_REGION"
        }
        ("404", _) if code == "NoSuchBucket" || code == "ContainerNotFound" => "check its name",
        ("404" | "410", _) => "check the address",
        ("401" | "403", _) => credentials,
        ("400", Scheme::S3 | Scheme::Gs | Scheme::Az) => credentials,
        ("301" | "302" | "307" | "308", Scheme::S3) => "set AWS_REGION to the region of the bucket",
        ("408" | "429", _) => "it was asked several times in vain; try later",
        (status, _) if status.starts_with('5') => "it was asked several times in vain; try later",
        _ => "check the address",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_and_the_message_of_a_store_are_told() {
        let body = "404 Not Found: <?xml version='1.0'?>\n<Error><Code>NoSuchKey</Code>\
            <Message>It&apos;s not there.\nRequest 7</Message><Key>k</Key></Error>";
        let expected = ("404", "NoSuchKey".to_owned(), "It's not there.".to_owned());
        assert_eq!(taken_apart(body), expected);
        let page = "503 Service Unavailable: <html>gone</html>";
        assert_eq!(taken_apart(page), ("503", String::new(), String::new()));
    }

    #[test]
    fn no_signature_is_repeated() {
        let text = "Error performing GET https://h/x?sig=canary in 1ms - no";
        assert_eq!(
            without_queries(text),
            "Error performing GET https://h/x?(hidden) in 1ms - no"
        );
    }
}
