//! Rules of what is proven to the server and what the server has to prove: who may be trusted with
//! what, and who says so.

use super::problems::{rule, warning};
use crate::definitions::ReadValues;
use crate::{
    AUTH_TOKEN, AUTH_TOKEN_FILE, BearerToken, CUSTOM_HEADERS, ENDPOINT, Endpoints, OptionError,
    OptionMap, OptionWarning, TLS_CA_FILE, TLS_CERTIFICATE_FILE, TLS_KEY_FILE, TLS_SERVER_NAME,
};

/// Checks the rules of this subject.
pub(super) fn check(read: &ReadValues, errors: &mut Vec<OptionError>) {
    errors.extend(authorization(read));
    errors.extend(certificate(read));
    errors.extend(encryption(read));
}

/// What of this subject is allowed but hardly meant.
pub(super) fn warnings(map: &OptionMap, read: &ReadValues) -> Vec<OptionWarning> {
    let mut warnings = Vec::new();
    if map.get(&AUTH_TOKEN).is_some_and(BearerToken::has_scheme) {
        warnings.push(warning(
            &[AUTH_TOKEN.key()],
            format!(
                "option '{}' begins with the word 'Bearer', which is sent anyway: what follows it \
                 is taken as the token",
                AUTH_TOKEN.key()
            ),
        ));
    }
    let endpoints = read.endpoint.as_ref();
    let mut unencrypted = endpoints
        .into_iter()
        .flat_map(Endpoints::iter)
        .filter(|endpoint| endpoint.is_unencrypted_to_others());
    if let Some(endpoint) = unencrypted.next() {
        for key in authorization_sources(read) {
            let what = if key == ENDPOINT.key() {
                format!("the user name and the password in option '{key}' are")
            } else if key == CUSTOM_HEADERS.key() {
                format!("the header Authorization of option '{key}' is")
            } else {
                format!("option '{key}' is")
            };
            let mut keys = vec![key, ENDPOINT.key()];
            keys.dedup();
            warnings.push(warning(
                &keys,
                format!(
                    "{what} sent unencrypted, because '{}' is {endpoint}: use https",
                    ENDPOINT.key()
                ),
            ));
        }
    }
    warnings
}

/// Whether an option that may be absent was given and could be read.
fn is_given<T>(read: &Option<Option<T>>) -> bool {
    matches!(read, Some(Some(_)))
}

/// Only one option may say what the `Authorization` header is.
/// The options that set the header Authorization.
fn authorization_sources(read: &ReadValues) -> Vec<&'static str> {
    let endpoint = read.endpoint.as_ref();
    let headers = read.custom_headers.as_ref().and_then(Option::as_ref);
    given(&[
        (
            ENDPOINT.key(),
            endpoint.is_some_and(|all| all.iter().any(|one| one.user_info().is_some())),
        ),
        (AUTH_TOKEN.key(), is_given(&read.auth_token)),
        (AUTH_TOKEN_FILE.key(), is_given(&read.auth_token_file)),
        (
            CUSTOM_HEADERS.key(),
            headers.is_some_and(|headers| headers.get("authorization").is_some()),
        ),
    ])
}

fn authorization(read: &ReadValues) -> Option<OptionError> {
    let sources = authorization_sources(read);
    (sources.len() > 1).then(|| {
        rule(
            &sources,
            format!(
                "options {} each set the Authorization header: keep only one of them",
                quoted(&sources)
            ),
        )
    })
}

/// A certificate is nothing without its key, and the other way round.
fn certificate(read: &ReadValues) -> Option<OptionError> {
    let certificate = read.tls_certificate_file.as_ref()?.is_some();
    let key = read.tls_key_file.as_ref()?.is_some();
    let (present, missing, what) = match (certificate, key) {
        (true, false) => (
            &TLS_CERTIFICATE_FILE,
            &TLS_KEY_FILE,
            "the private key of the certificate",
        ),
        (false, true) => (
            &TLS_KEY_FILE,
            &TLS_CERTIFICATE_FILE,
            "the certificate of the key",
        ),
        _ => return None,
    };
    let (present, missing) = (present.key(), missing.key());
    Some(rule(
        &[present, missing],
        format!(
            "option '{present}' is set but '{missing}' is not: set '{missing}' to the file that \
             holds {what}, which may be the same file"
        ),
    ))
}

/// What TLS is to do has no meaning without TLS, and whoever asks for it means to have it.
fn encryption(read: &ReadValues) -> Option<OptionError> {
    let endpoint = read.endpoint.as_ref()?;
    let proxy = read.proxy.as_ref()?.as_ref();
    let is_encrypted = endpoint.iter().any(|one| one.url().scheme() == "https")
        || proxy.is_some_and(crate::ProxyAddress::is_encrypted);
    if is_encrypted {
        return None;
    }
    let options = [
        (TLS_CA_FILE.key(), is_given(&read.tls_ca_file)),
        (
            TLS_CERTIFICATE_FILE.key(),
            is_given(&read.tls_certificate_file),
        ),
        (TLS_KEY_FILE.key(), is_given(&read.tls_key_file)),
        (TLS_SERVER_NAME.key(), is_given(&read.tls_server_name)),
    ];
    let options = given(&options);
    if options.is_empty() {
        return None;
    }
    let (noun, verb) = match options.len() {
        1 => ("option", "asks"),
        _ => ("options", "ask"),
    };
    let message = format!(
        "{noun} {} {verb} for TLS, but '{}' is {endpoint}, which has none: write https://, or leave \
         {} out",
        quoted(&options),
        ENDPOINT.key(),
        if options.len() == 1 { "it" } else { "them" },
    );
    let keys: Vec<_> = options.into_iter().chain([ENDPOINT.key()]).collect();
    Some(rule(&keys, message))
}

fn given(options: &[(&'static str, bool)]) -> Vec<&'static str> {
    let given = options.iter().filter(|(_, given)| *given);
    given.map(|(key, _)| *key).collect()
}

fn quoted(keys: &[&str]) -> String {
    let quoted: Vec<String> = keys.iter().map(|key| format!("'{key}'")).collect();
    quoted.join(" and ")
}

#[cfg(test)]
mod tests {
    use crate::rules::tests::{parse, refusal};

    const HTTPS: (&str, &str) = ("endpoint", "https://triton");

    #[test]
    fn only_one_option_sets_the_authorization_header() {
        let token = ("auth-token", "canary");
        let file = ("auth-token-file", "token");
        let header = ("custom-headers", "authorization:canary");
        let user = ("endpoint", "http://canary:canary@triton:8000");
        insta::assert_snapshot!(refusal(&[token, header, user]), @"options 'endpoint' and 'auth-token' and 'custom-headers' each set the Authorization header: keep only one of them");
        insta::assert_snapshot!(refusal(&[token, file]), @"options 'auth-token' and 'auth-token-file' each set the Authorization header: keep only one of them");
        for pair in [[token, header], [token, user], [header, user], [file, user]] {
            let message = refusal(&pair);
            assert!(!message.contains("canary"), "{message}");
        }
        assert!(parse(&[header]).is_ok());
    }

    #[test]
    fn a_certificate_and_its_key_come_together() {
        let certificate = ("tls-certificate-file", "client.pem");
        let key = ("tls-key-file", "client.key");
        insta::assert_snapshot!(refusal(&[HTTPS, certificate]), @"option 'tls-certificate-file' is set but 'tls-key-file' is not: set 'tls-key-file' to the file that holds the private key of the certificate, which may be the same file");
        insta::assert_snapshot!(refusal(&[HTTPS, key]), @"option 'tls-key-file' is set but 'tls-certificate-file' is not: set 'tls-certificate-file' to the file that holds the certificate of the key, which may be the same file");
        assert_eq!(parse(&[HTTPS, certificate, key]), Ok(Vec::new()));
    }

    #[test]
    fn what_asks_for_tls_wants_an_endpoint_that_has_it() {
        let authority = ("tls-ca-file", "company.pem");
        let name = ("tls-server-name", "triton.example");
        insta::assert_snapshot!(refusal(&[authority]), @"option 'tls-ca-file' asks for TLS, but 'endpoint' is http://triton:8000/, which has none: write https://, or leave it out");
        insta::assert_snapshot!(refusal(&[authority, name]), @"options 'tls-ca-file' and 'tls-server-name' ask for TLS, but 'endpoint' is http://triton:8000/, which has none: write https://, or leave them out");
        assert_eq!(parse(&[HTTPS, authority, name]), Ok(Vec::new()));
        // The authority may be the one of the proxy.
        assert_eq!(
            parse(&[authority, ("proxy", "https://proxy:3128")]),
            Ok(Vec::new())
        );
    }

    #[test]
    fn a_token_is_warned_of_where_others_can_read_it_and_where_it_says_too_much() {
        let warned = |options: &[(&str, &str)]| parse(options).unwrap().join("\n");
        insta::assert_snapshot!(warned(&[("auth-token", "Bearer canary")]), @"
        option 'auth-token' begins with the word 'Bearer', which is sent anyway: what follows it is taken as the token
        option 'auth-token' is sent unencrypted, because 'endpoint' is http://triton:8000/: use https
        ");
        insta::assert_snapshot!(warned(&[("auth-token-file", "token")]), @"option 'auth-token-file' is sent unencrypted, because 'endpoint' is http://triton:8000/: use https");
        insta::assert_snapshot!(warned(&[("endpoint", "http://canary:canary@triton")]), @"the user name and the password in option 'endpoint' are sent unencrypted, because 'endpoint' is http://triton/: use https");
        insta::assert_snapshot!(warned(&[("custom-headers", "authorization:canary")]), @"the header Authorization of option 'custom-headers' is sent unencrypted, because 'endpoint' is http://triton:8000/: use https");
        assert_eq!(warned(&[("custom-headers", "X-A:canary")]), "");
        for endpoint in [
            "https://triton",
            "http://localhost:8000",
            "http://127.0.0.1",
        ] {
            assert_eq!(
                parse(&[("auth-token", "t"), ("endpoint", endpoint)]),
                Ok(Vec::new())
            );
        }
    }
}
