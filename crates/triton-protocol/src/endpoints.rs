//! The addresses of one service: a Triton server, or several that answer alike.

use std::fmt;
use std::str::FromStr;

use crate::invalid_value::quoted;
use crate::{Endpoint, HIDDEN, InvalidValue};

/// The addresses of one or several Triton servers, separated by commas; each of them can answer what the
/// others can.
///
/// ```
/// use triton_protocol::Endpoints;
///
/// let endpoints: Endpoints = "http://a:8000, https://user:word@b/v2".parse()?;
/// assert_eq!(endpoints.to_string(), "http://a:8000/,https://b/");
/// assert_eq!(endpoints.first().url().host_str(), Some("a"));
/// # Ok::<(), triton_protocol::InvalidValue>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoints {
    first: Endpoint,
    others: Vec<Endpoint>,
}

impl Endpoints {
    /// The first address.
    #[must_use]
    pub fn first(&self) -> &Endpoint {
        &self.first
    }

    /// The address, where there is no other.
    #[must_use]
    pub fn only(&self) -> Option<&Endpoint> {
        self.others.is_empty().then_some(&self.first)
    }

    /// All addresses, in the order in which they were given.
    pub fn iter(&self) -> impl Iterator<Item = &Endpoint> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// `text`, addresses or not, as it may stand in a log or an error message: see
    /// [`Endpoint::loggable`].
    ///
    /// ```
    /// use triton_protocol::Endpoints;
    ///
    /// let shown = Endpoints::loggable("http://user:word@a:8000,b:8000");
    /// assert_eq!(shown, "'http://(hidden)@a:8000/,b:8000'");
    /// ```
    #[must_use]
    pub fn loggable(text: &str) -> String {
        if !text.contains(',') || !text.contains(['@', '?', '#']) {
            return Endpoint::loggable(text);
        }
        let mut shown = Vec::new();
        for part in text.split(',').map(str::trim) {
            let part_shown = Endpoint::loggable(part);
            // What stands before may be the beginning of a password.
            if splits_user_info(part) || part_shown == HIDDEN {
                return HIDDEN.to_owned();
            }
            shown.push(part_shown.trim_matches('\'').to_owned());
        }
        quoted(&shown.join(","))
    }
}

/// Whether a part of a list has a user name and no scheme before it: a comma in the password of an
/// address would be taken for the end of that address.
fn splits_user_info(part: &str) -> bool {
    part.contains('@') && !part.contains("://")
}

impl From<Endpoint> for Endpoints {
    fn from(first: Endpoint) -> Self {
        let others = Vec::new();
        Self { first, others }
    }
}

impl FromStr for Endpoints {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let parts: Vec<&str> = text.split(',').map(str::trim).collect();
        let [first, others @ ..] = &*parts else {
            return Err(InvalidValue::new(Endpoint::EXPECTED));
        };
        if others.iter().any(|part| splits_user_info(part)) {
            return Err(InvalidValue::new(format!(
                "{}, or several, separated by commas: in a user name or a password write ',' as \
                 %2C, and begin each address that has them with http:// or https://",
                Endpoint::EXPECTED
            )));
        }
        let mut endpoints = Self::from(first.parse::<Endpoint>()?);
        for part in others {
            let endpoint: Endpoint = part.parse().map_err(|error: InvalidValue| {
                if part.is_empty() {
                    InvalidValue::new(format!(
                        "{}, or several, with one comma between two of them",
                        Endpoint::EXPECTED
                    ))
                } else {
                    error
                }
            })?;
            // The same server with other credentials is the same server.
            if endpoints.iter().any(|known| known.url() == endpoint.url()) {
                return Err(InvalidValue::new(format!(
                    "each server once, and {endpoint} is named twice"
                )));
            }
            endpoints.others.push(endpoint);
        }
        Ok(endpoints)
    }
}

impl fmt::Display for Endpoints {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.first.fmt(formatter)?;
        self.others
            .iter()
            .try_for_each(|endpoint| write!(formatter, ",{endpoint}"))
    }
}

impl fmt::Debug for Endpoints {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Endpoints({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        let message = text.parse::<Endpoints>().unwrap_err().to_string();
        let shown = format!("{message} {}", Endpoints::loggable(text));
        assert!(!shown.contains("canary"), "{shown}");
        message
    }

    #[test]
    fn addresses_are_kept_in_their_order() {
        let endpoints: Endpoints = " a:8000 ,https://u:canary@b/v2,c:1".parse().unwrap();
        assert_eq!(
            endpoints.to_string(),
            "http://a:8000/,https://b/,http://c:1/"
        );
        assert!(!format!("{endpoints:?}").contains("canary"));
        assert_eq!(endpoints.only(), None);
        assert!(endpoints.iter().nth(1).unwrap().user_info().is_some());
        let one: Endpoints = "a:8000".parse().unwrap();
        assert_eq!(one.only(), Some(one.first()));
    }

    #[test]
    fn a_server_is_named_once() {
        insta::assert_snapshot!(refused("a:8000,b:8000,http://u:canary@a:8000/v2"), @"expected each server once, and http://a:8000/ is named twice");
        insta::assert_snapshot!(refused("a:8000,"), @"expected the http or https address of a Triton server, such as 'http://localhost:8000', or several, with one comma between two of them");
        insta::assert_snapshot!(refused("a:8000,ftp://b"), @"expected the http or https address of a Triton server, such as 'http://localhost:8000'");
    }

    #[test]
    fn a_comma_in_a_password_is_not_taken_for_the_end_of_an_address() {
        insta::assert_snapshot!(refused("http://u:1canary,canary@host"), @"expected the http or https address of a Triton server, such as 'http://localhost:8000', or several, separated by commas: in a user name or a password write ',' as %2C, and begin each address that has them with http:// or https://");
        refused("a:1,http://u:canary,@host");
        refused("http://u:80,canary@host:1");
        let hidden = Endpoints::loggable("http://a,http://u:12/canary@host");
        assert_eq!(hidden, HIDDEN);
        let endpoints: Endpoints = "http://u:a%2Cb@host".parse().unwrap();
        let user_info = endpoints.first().user_info().unwrap();
        assert_eq!(user_info.password.expose(), "a,b");
    }
}
