//! The address of a Triton server, as a type that cannot show the credentials in it.

use std::fmt;

use url::{Host, Url};

use super::{InvalidValue, OptionValue, quoted};

/// The endpoint that asks a caller to start its own server in the process.
///
/// Only callers that can do so (the `triton` command, for one) understand it; they put the real
/// address in its place before the options are parsed.
pub const EMBEDDED_ENDPOINT: &str = "embedded";

/// The address of a Triton server.
///
/// User info in the address is sent to the server as HTTP basic authentication; neither `Debug`
/// nor `Display` shows it.
///
/// ```
/// use triton_options::Endpoint;
///
/// let endpoint: Endpoint = "https://user:password@triton:8000/v2/models".parse()?;
/// assert_eq!(endpoint.to_string(), "https://triton:8000/");
/// assert_eq!(endpoint, "https://user:password@triton:8000".parse()?);
/// # Ok::<(), triton_options::InvalidValue>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Endpoint(Url);

impl Endpoint {
    /// The URL below which the server's `/v2` lies; its path ends with a slash.
    ///
    /// It holds the user info: hand it to an HTTP client, never to a log.
    #[must_use]
    pub fn expose_url(&self) -> &Url {
        &self.0
    }

    /// Whether a user name or a password stands in the address.
    pub(crate) fn has_user_info(&self) -> bool {
        !self.0.username().is_empty() || self.0.password().is_some()
    }

    /// Whether what is sent there can be read on the way by other machines.
    pub(crate) fn is_unencrypted_to_others(&self) -> bool {
        let loopback = match self.0.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        self.0.scheme() == "http" && !loopback
    }

    fn redacted(&self) -> Url {
        let mut url = self.0.clone();
        // Both fail only for addresses that cannot have user info in the first place.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url
    }
}

impl std::str::FromStr for Endpoint {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        Self::parse(text)
    }
}

impl OptionValue for Endpoint {
    const TYPE_NAME: &'static str = "String";
    const EXPECTED: &'static str =
        "the http or https address of a Triton server, such as 'http://localhost:8000'";

    fn parse(text: &str) -> Result<Self, InvalidValue> {
        let text = text.trim();
        let invalid = |_| InvalidValue::of::<Self>();
        let mut url = if text.contains("://") {
            Url::parse(text).map_err(invalid)?
        } else {
            Url::parse(&format!("http://{text}")).map_err(invalid)?
        };
        if !matches!(url.scheme(), "http" | "https") || text == EMBEDDED_ENDPOINT {
            return Err(InvalidValue::of::<Self>());
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(InvalidValue {
                expected: format!("{}, without a query or fragment", Self::EXPECTED),
            });
        }
        let mut base = url.path().trim_end_matches('/').to_owned();
        for suffix in ["/models", "/v2"] {
            if let Some(shorter) = base.strip_suffix(suffix)
                && (suffix == "/v2" || shorter.ends_with("/v2"))
            {
                base.truncate(shorter.len());
            }
        }
        url.set_path(&format!("{base}/"));
        Ok(Self(url))
    }

    fn canonical(&self) -> String {
        self.to_string()
    }

    fn loggable(text: &str) -> String {
        // Also a malformed address may hold a password: whatever stands before the last `@`.
        match text.rsplit_once('@') {
            Some((_, host)) => quoted(&format!("(hidden)@{host}")),
            None => quoted(text.split(['?', '#']).next().unwrap_or_default()),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.redacted().fmt(formatter)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Endpoint({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_server_are_equal() {
        let plain = Endpoint::parse("http://triton:8000").unwrap();
        for text in [
            "triton:8000",
            "http://triton:8000/",
            "http://triton:8000/v2",
            "http://triton:8000/v2/",
            "http://triton:8000/v2/models",
            "HTTP://TRITON:8000/v2/models/",
        ] {
            assert_eq!(Endpoint::parse(text).as_ref(), Ok(&plain), "{text}");
        }
    }

    #[test]
    fn a_path_of_a_gateway_is_kept() {
        let endpoint = Endpoint::parse("https://gateway/triton/models").unwrap();
        assert_eq!(endpoint.to_string(), "https://gateway/triton/models/");
        let endpoint = Endpoint::parse("https://gateway/triton/v2/models").unwrap();
        assert_eq!(endpoint.to_string(), "https://gateway/triton/");
    }

    #[test]
    fn other_addresses_are_refused() {
        for text in [
            "",
            "ftp://triton",
            "http://",
            "embedded",
            "http://a b",
            "http://h/?token=x",
        ] {
            assert!(Endpoint::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn neither_form_shows_user_info() {
        let endpoint = Endpoint::parse("http://canary-user:canary-password@triton:8000").unwrap();
        let malformed = Endpoint::loggable("htp://canary-user:canary-password@:99999");
        let queried = Endpoint::loggable("http://triton?token=canary-token");
        for shown in [format!("{endpoint} {endpoint:?}"), malformed, queried] {
            assert!(!shown.contains("canary"), "{shown}");
        }
    }
}
