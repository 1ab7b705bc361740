//! The address of a proxy, as a type that cannot show the credentials in it.

use std::fmt;

use triton_protocol::{Endpoint, Secret};

use super::{InvalidValue, OptionValue};

/// The address of an HTTP proxy.
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
    shown: Endpoint,
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
        self.shown.url().scheme() == "https"
    }
}

impl OptionValue for ProxyAddress {
    const TYPE_NAME: &'static str = "String";
    const EXPECTED: &'static str =
        "the http or https address of a proxy, such as 'http://proxy:3128'";

    fn parse(text: &str) -> Result<Self, InvalidValue> {
        let text = text.trim();
        let invalid = |more: &str| InvalidValue {
            expected: format!("{}{more}", Self::EXPECTED),
        };
        let address = match text.split_once("://") {
            Some((scheme, _)) if scheme.to_ascii_lowercase().starts_with("socks") => {
                return Err(invalid("; proxies of SOCKS are not supported"));
            }
            Some(_) => text.to_owned(),
            None => format!("http://{text}"),
        };
        let shown: Endpoint = address.parse().map_err(|_| invalid(""))?;
        if shown.url().path() != "/" {
            return Err(invalid(", without a path"));
        }
        Ok(Self {
            address: Secret::new(address),
            shown,
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
        self.shown.fmt(formatter)
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
        let refused = |text: &str| {
            let invalid = ProxyAddress::parse(text).unwrap_err();
            assert!(!invalid.to_string().contains("canary"), "{invalid}");
            invalid.to_string()
        };
        insta::assert_snapshot!(refused("::"), @"expected the http or https address of a proxy, such as 'http://proxy:3128'");
        insta::assert_snapshot!(refused("http://canary@proxy/a"), @"expected the http or https address of a proxy, such as 'http://proxy:3128', without a path");
        insta::assert_snapshot!(refused("socks5h://canary:1080"), @"expected the http or https address of a proxy, such as 'http://proxy:3128'; proxies of SOCKS are not supported");
    }
}
