//! HTTP headers in the map grammar of Flink: `X-A:1,X-B:'a,b'`.

use std::fmt;

use super::pairs::pairs;
use super::{InvalidValue, OptionValue};
use triton_protocol::{HIDDEN, Secret, reserved_header};

/// HTTP headers to send with every request; their values are secret.
///
/// ```
/// use triton_options::{Headers, OptionValue};
///
/// let headers = Headers::parse("X-Tenant:blue,X-Route:'a,b:c'")?;
/// assert_eq!(headers.iter().next().map(|(name, value)| (name, value.expose())),
///            Some(("X-Tenant", "blue")));
/// assert_eq!(format!("{headers}"), "X-Tenant:(hidden),X-Route:(hidden)");
/// # Ok::<(), triton_options::InvalidValue>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Headers(Vec<(String, Secret)>);

impl Headers {
    /// The headers in the order in which they were given, no name twice.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Secret)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// The value of the header `name`, whatever the case of its letters.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Secret> {
        self.iter()
            .find(|(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }
}

impl OptionValue for Headers {
    const TYPE_NAME: &'static str = "Map";
    const EXPECTED: &'static str =
        "headers such as 'X-A:1,X-B:2', a value with commas in single or double quotes";

    fn parse(text: &str) -> Result<Self, InvalidValue> {
        let expected = |more: String| InvalidValue {
            expected: format!("{}{more}", Self::EXPECTED),
        };
        if text.trim_start().starts_with(['{', '[']) {
            return Err(expected(
                "; this looks like JSON: leave the brackets, the braces and the quotes of names out".to_owned(),
            ));
        }
        let pairs = pairs(text).ok_or_else(|| expected(String::new()))?;
        let mut headers = Self(Vec::with_capacity(pairs.len()));
        for (name, value) in pairs {
            // Names as RFC 9110 section 5.6.2 has them, values as section 5.5.
            let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
            if name.is_empty() || !name.chars().all(is_token) {
                return Err(expected(
                    "; a header's name has no other characters".to_owned(),
                ));
            }
            if !value
                .chars()
                .all(|c| c.is_ascii_graphic() || matches!(c, ' ' | '\t'))
            {
                return Err(expected(format!(
                    "; the value of '{name}' must be printable ASCII"
                )));
            }
            if let Some(reason) = reserved_header(&name) {
                return Err(expected(format!(
                    "; '{name}' belongs to the client itself: {reason}"
                )));
            }
            if headers.get(&name).is_some() {
                return Err(expected(format!("; '{name}' is given twice")));
            }
            headers.0.push((name, Secret::new(value)));
        }
        Ok(headers)
    }

    fn canonical(&self) -> String {
        self.to_string()
    }

    fn loggable(_: &str) -> String {
        HIDDEN.to_owned()
    }
}

impl fmt::Display for Headers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, value)) in self.0.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            write!(formatter, "{comma}{name}:{value}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Headers({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::write_pair;

    fn parsed(text: &str) -> Vec<(String, String)> {
        let headers = Headers::parse(text).unwrap_or_else(|invalid| panic!("{text}: {invalid}"));
        headers
            .iter()
            .map(|(name, value)| (name.to_owned(), value.expose().to_owned()))
            .collect()
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn values_may_be_quoted_and_hold_commas_and_colons() {
        assert_eq!(parsed(""), []);
        assert_eq!(
            parsed("X-A:1, X-B : 2 "),
            [pair("X-A", "1"), pair("X-B", "2")]
        );
        assert_eq!(
            parsed("X-A:'a,b:c',X-B:\"it's\""),
            [pair("X-A", "a,b:c"), pair("X-B", "it's")]
        );
        assert_eq!(parsed("X-A:'it''s'"), [pair("X-A", "it's")]);
        assert_eq!(parsed("X-Url:http://h:1/"), [pair("X-Url", "http://h:1/")]);
        assert_eq!(parsed("X-Empty:"), [pair("X-Empty", "")]);
    }

    #[test]
    fn a_written_pair_is_read_back() {
        let written = format!(
            "{},{}",
            write_pair("X-A", "a,'b':\"c"),
            write_pair("X-B", "")
        );
        assert_eq!(
            parsed(&written),
            [pair("X-A", "a,'b':\"c"), pair("X-B", "")]
        );
    }

    #[test]
    fn what_is_no_header_is_refused_without_showing_a_value() {
        for text in [
            "canary",
            "X-A:1,,X-B:canary",
            r#" {"X-A": "canary"}"#,
            "X A:canary",
            "X-A:ca\nnary",
            "X-A:'canary",
            "X-A:'ca'nary'",
            "X-A:1,x-a:canary",
            "Content-Length:canary",
            ":canary",
        ] {
            let invalid = Headers::parse(text).expect_err(text);
            assert!(!invalid.to_string().contains("canary"), "{invalid}");
        }
    }

    #[test]
    fn json_and_a_name_given_twice_are_called_so() {
        let refused = |text: &str| Headers::parse(text).unwrap_err().to_string();
        insta::assert_snapshot!(refused(r#"{"X-A": "1"}"#), @"expected headers such as 'X-A:1,X-B:2', a value with commas in single or double quotes; this looks like JSON: leave the brackets, the braces and the quotes of names out");
        assert_eq!(refused(r#" [{"X": "1"}]"#), refused(r#"{"X-A": "1"}"#));
        insta::assert_snapshot!(refused("X-A:1,x-a:2"), @"expected headers such as 'X-A:1,X-B:2', a value with commas in single or double quotes; 'x-a' is given twice");
        insta::assert_snapshot!(refused("Upgrade:h2c"), @"expected headers such as 'X-A:1,X-B:2', a value with commas in single or double quotes; 'Upgrade' belongs to the client itself: connections are the client's own");
        // Gateways tell the services behind them apart by it.
        assert_eq!(
            parsed("Host:model.example"),
            [pair("Host", "model.example")]
        );
    }
}
