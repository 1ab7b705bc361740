//! The name that a server's certificate bears.

use std::fmt;
use std::net::IpAddr;

use triton_protocol::Endpoint;

use super::{InvalidValue, OptionValue};

/// A DNS name.
///
/// ```
/// use triton_options::{DnsName, OptionValue};
///
/// assert_eq!(DnsName::parse("Triton.example")?.as_str(), "triton.example");
/// # Ok::<(), triton_options::InvalidValue>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DnsName(String);

impl DnsName {
    /// The name in lower case; one with letters beyond ASCII in the form in which it travels.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a name is one that TLS can ask for, which a host of an address need not be.
fn is_made_of_labels(name: &str) -> bool {
    let labels = name.strip_suffix('.').unwrap_or(name);
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    labels.len() <= 253 && labels.split('.').all(is_label)
}

impl OptionValue for DnsName {
    const TYPE_NAME: &'static str = "String";
    const EXPECTED: &'static str = "a DNS name such as 'triton.example'";

    fn parse(text: &str) -> Result<Self, InvalidValue> {
        let invalid = || InvalidValue {
            expected: Self::EXPECTED.to_owned(),
        };
        let text = text.trim();
        if text.is_empty() || text.contains([':', '/', '@', '?', '#', '\\']) {
            return Err(invalid());
        }
        // Addresses hold hosts, so that their grammar is the one for this, too.
        let endpoint: Endpoint = format!("https://{text}").parse().map_err(|_| invalid())?;
        match endpoint.url().host_str() {
            Some(name) if name.parse::<IpAddr>().is_err() && is_made_of_labels(name) => {
                Ok(Self(name.to_owned()))
            }
            _ => Err(invalid()),
        }
    }

    fn canonical(&self) -> String {
        self.0.clone()
    }
}

impl fmt::Display for DnsName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bare_name_is_one() {
        assert_eq!(
            DnsName::parse("bücher.example")
                .as_ref()
                .map(DnsName::as_str),
            Ok("xn--bcher-kva.example")
        );
        for text in [
            "",
            "127.0.0.1",
            "[::1]",
            "https://triton.example",
            "triton.example:8000",
            "triton.example/",
            "a b",
            "*.example",
            "a..b",
            ".a",
            "-a.example",
            "a!.example",
        ] {
            assert!(DnsName::parse(text).is_err(), "{text:?}");
        }
    }
}
