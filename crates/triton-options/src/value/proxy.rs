//! The address of a proxy, as a type that cannot show the credentials in it.

use std::fmt;

use triton_protocol::{Endpoint, Secret};

use super::protocol::NO_FILE;
use super::{InvalidValue, OptionValue};

/// The address of a proxy: of HTTP, perhaps within TLS, or of SOCKS 5.
///
/// ```
/// use triton_options::{OptionValue, ProxyAddress};
///
/// let proxy = ProxyAddress::parse("http://user:s3cr3t@proxy:3128")?;
/// assert_eq!(proxy.to_string(), "http://proxy:3128/");
/// assert_eq!(proxy.address().expose(), "http://user:s3cr3t@proxy:3128");
/// # Ok::<(), triton_options::InvalidValue>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyAddress {
    address: Secret,
    scheme: &'static str,
    /// Host and port.
    host: String,
}

impl ProxyAddress {
    /// The whole address, with its scheme and the credentials in it.
    #[must_use]
    pub fn address(&self) -> &Secret {
        &self.address
    }

    /// Whether the proxy itself is reached over TLS.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.scheme == "https"
    }
}

/// What a proxy may speak; with `socks5h` it looks up the names of servers itself.
const SCHEMES: &[&str] = &["http", "https", "socks5", "socks5h"];

impl OptionValue for ProxyAddress {
    const TYPE_NAME: &'static str = "String";
    const EXPECTED: &'static str =
        "the http, https, socks5 or socks5h address of a proxy, such as 'http://proxy:3128'";

    fn parse(text: &str) -> Result<Self, InvalidValue> {
        let text = text.trim();
        let invalid = |more: &str| InvalidValue {
            expected: format!("{}{more}", Self::EXPECTED),
        };
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        let known = SCHEMES
            .iter()
            .find(|known| known.eq_ignore_ascii_case(scheme));
        let scheme = known.ok_or_else(|| invalid(""))?;
        if rest.starts_with('@') {
            return Err(invalid(NO_FILE));
        }
        // What stands behind the scheme has one grammar, whatever the proxy speaks.
        let server: Endpoint = format!("http://{rest}").parse().map_err(|_| invalid(""))?;
        // An endpoint's path may be `/v2`, which it does not keep.
        let path = rest.find(['/', '\\']).map_or("", |start| &rest[start..]);
        if server.url().path() != "/" || !matches!(path, "" | "/") {
            return Err(invalid(", without a path"));
        }
        let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
        Ok(Self {
            address: Secret::new(format!("{scheme}://{rest}")),
            scheme,
            host: host.trim_end_matches('/').to_owned(),
        })
    }

    fn canonical(&self) -> String {
        self.to_string()
    }

    fn loggable(text: &str) -> String {
        Endpoint::loggable(text)
    }
}

impl fmt::Display for ProxyAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}://{}/", self.scheme, self.host)
    }
}

impl fmt::Debug for ProxyAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ProxyAddress({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_a_host_and_shows_no_credentials() {
        let proxy = ProxyAddress::parse("canary:canary@proxy:3128").unwrap();
        assert_eq!(proxy.address().expose(), "http://canary:canary@proxy:3128");
        let shown = format!("{proxy} {proxy:?} {}", proxy.canonical());
        assert!(!shown.contains("canary"), "{shown}");
        for (text, canonical) in [
            ("proxy", "http://proxy/"),
            ("HTTPS://u:p@proxy:80/", "https://proxy:80/"),
            ("socks5h://u@[::1]:80", "socks5h://[::1]:80/"),
        ] {
            let proxy = ProxyAddress::parse(text).unwrap();
            assert_eq!(proxy.canonical(), canonical);
            assert_eq!(
                ProxyAddress::parse(canonical).unwrap().canonical(),
                canonical
            );
        }
        let refused = |text: &str| {
            let invalid = ProxyAddress::parse(text).unwrap_err();
            assert!(!invalid.to_string().contains("canary"), "{invalid}");
            invalid.to_string()
        };
        insta::assert_snapshot!(refused("::"), @"expected the http, https, socks5 or socks5h address of a proxy, such as 'http://proxy:3128'");
        insta::assert_snapshot!(refused("http://canary@proxy/a"), @"expected the http, https, socks5 or socks5h address of a proxy, such as 'http://proxy:3128', without a path");
        insta::assert_snapshot!(refused("http://p:3128/v2"), @"expected the http, https, socks5 or socks5h address of a proxy, such as 'http://proxy:3128', without a path");
        insta::assert_snapshot!(refused("@file"), @"expected the http, https, socks5 or socks5h address of a proxy, such as 'http://proxy:3128', and no '@FILE': only options whose whole value is secret can be read from a file so");
        for text in [
            "http://user:12/canary@proxy",
            "socks5:/user:canary@proxy",
            "https//user:canary@proxy",
            "https:/proxy",
            "proxy/v2/models/",
            "http://@proxy",
        ] {
            refused(text);
        }
        insta::assert_snapshot!(refused("socks4://canary:1080"), @"expected the http, https, socks5 or socks5h address of a proxy, such as 'http://proxy:3128'");
    }
}
