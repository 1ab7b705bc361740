//! The address of a Triton server, as a type that cannot show the credentials in it.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use url::{Host, Url};

use crate::invalid_value::quoted;
use crate::{HIDDEN, InvalidValue, Secret};

/// The address of a Triton server.
///
/// User name and password are taken out of the address at once: [`url`](Self::url) can be shown,
/// and only [`user_info`](Self::user_info) has them.
///
/// ```
/// use triton_protocol::Endpoint;
///
/// let endpoint: Endpoint = "https://user:pass%20word@triton:8000/v2/models".parse()?;
/// assert_eq!(endpoint.to_string(), "https://triton:8000/");
/// let user_info = endpoint.user_info().expect("there is one");
/// assert_eq!((user_info.name.expose(), user_info.password.expose()), ("user", "pass word"));
/// # Ok::<(), triton_protocol::InvalidValue>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    url: Url,
    user_info: Option<UserInfo>,
}

/// The user name and the password in an address.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UserInfo {
    /// The user's name.
    pub name: Secret,
    /// The password, empty where the address has none.
    pub password: Secret,
}

impl Endpoint {
    /// What an address looks like.
    pub const EXPECTED: &'static str =
        "the http or https address of a Triton server, such as 'http://localhost:8000'";

    /// The URL below which the server's `/v2` lies; its path ends with a slash, and it holds no
    /// user info.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The user info that stood in the address, to be sent as HTTP basic authentication.
    #[must_use]
    pub fn user_info(&self) -> Option<&UserInfo> {
        self.user_info.as_ref()
    }

    /// The host where it is a name, which has to be looked up, and no IP address.
    ///
    /// ```
    /// use triton_protocol::Endpoint;
    ///
    /// let endpoint: Endpoint = "http://triton:8000".parse()?;
    /// assert_eq!((endpoint.host_name(), endpoint.port()), (Some("triton"), 8000));
    /// # Ok::<(), triton_protocol::InvalidValue>(())
    /// ```
    #[must_use]
    pub fn host_name(&self) -> Option<&str> {
        match self.url.host() {
            Some(Host::Domain(name)) => Some(name),
            _ => None,
        }
    }

    /// The port, which may be that of the scheme.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.url.port_or_known_default().unwrap_or_default()
    }

    /// One of the servers that the host stands for, with everything else that the address says.
    ///
    /// ```
    /// use triton_protocol::Endpoint;
    ///
    /// let endpoint: Endpoint = "http://user:word@triton:8000/vision".parse()?;
    /// let server = endpoint.at("[::1]:9000".parse().expect("an address"));
    /// assert_eq!(server.to_string(), "http://[::1]:9000/vision/");
    /// assert_eq!(server.user_info(), endpoint.user_info());
    /// # Ok::<(), triton_protocol::InvalidValue>(())
    /// ```
    #[must_use]
    pub fn at(&self, server: SocketAddr) -> Self {
        let mut at = self.clone();
        // Both fail only for addresses that have no host, and none of those is an endpoint.
        let _ = at.url.set_ip_host(server.ip());
        let _ = at.url.set_port(Some(server.port()));
        at
    }

    /// `text`, an address or not, as it may stand in a log or an error message: of an address its
    /// scheme, host, port and path, and nothing of what can hold a secret.
    ///
    /// ```
    /// use triton_protocol::Endpoint;
    ///
    /// let shown = Endpoint::loggable("http://user:word@triton:8000/v2?token=x");
    /// assert_eq!(shown, "'http://(hidden)@triton:8000/v2?(hidden)'");
    /// assert_eq!(Endpoint::loggable("http://:word@/triton"), "(hidden)");
    /// ```
    #[must_use]
    pub fn loggable(text: &str) -> String {
        let text = text.trim();
        if !text.contains(['@', '?', '#']) {
            return quoted(text);
        }
        without_secrets(text).map_or_else(|| HIDDEN.to_owned(), |shown| quoted(&shown))
    }

    /// Whether what is sent there can be read on the way by other machines.
    #[must_use]
    pub fn is_unencrypted_to_others(&self) -> bool {
        let loopback = match self.url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        self.url.scheme() == "http" && !loopback
    }
}

/// An address with `(hidden)` where it can hold a secret; `None` where it is not clear what does.
fn without_secrets(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    let url = Url::parse(&format!("http://{rest}")).ok()?;
    let has_user_info = !url.username().is_empty() || url.password().is_some();
    // A password that holds a '/', a '?' or a '#' ends what is read as the host.
    let behind = [Some(url.path()), url.query(), url.fragment()];
    let is_sure = |part: &str| !part.contains('@');
    if !scheme.bytes().all(|byte| byte.is_ascii_alphanumeric())
        || !behind.into_iter().flatten().all(is_sure)
    {
        return None;
    }
    let mut shown = match scheme {
        "" => String::new(),
        scheme => format!("{scheme}://"),
    };
    if has_user_info {
        shown.push_str(HIDDEN);
        shown.push('@');
    }
    if !has_user_info && rest.starts_with('@') {
        shown.push('@');
    }
    shown.push_str(url.host_str()?);
    if let Some(port) = url.port() {
        shown.push_str(&format!(":{port}"));
    }
    shown.push_str(url.path());
    if url.query().is_some() {
        shown.push_str("?(hidden)");
    }
    if url.fragment().is_some() {
        shown.push_str("#(hidden)");
    }
    Some(shown)
}

/// The part of a path, from its slash on, that belongs to a call and not to the server's address;
/// `path` has no slash at its end.
///
/// A gateway may well have a version 2 of its own in front of the server, so that `/v2` alone says
/// nothing.
fn path_of_a_call(path: &str) -> Option<&str> {
    const SUBJECTS: &[&str] = &[
        "models",
        "health",
        "repository",
        "logging",
        "trace",
        "systemsharedmemory",
        "cudasharedmemory",
    ];
    const ACTIONS: &[&str] = &["/infer", "/generate", "/generate_stream"];
    let versions = path.match_indices("/v2/").map(|(start, _)| start);
    let mut calls = versions.filter(|start| {
        let subject = path[start + "/v2/".len()..].split('/').next();
        subject.is_some_and(|subject| SUBJECTS.contains(&subject))
    });
    if let Some(start) = calls.next() {
        return Some(&path[start..]);
    }
    let action = ACTIONS.iter().find(|action| path.ends_with(*action))?;
    Some(&path[path.len() - action.len()..])
}

/// What is wrong with an address whose parts are others than its writer meant; a password may be
/// anywhere in it, so that nothing of it is said.
fn misread(text: &str, url: &Url) -> Option<&'static str> {
    // The parser takes a backslash for a slash, as browsers do.
    let behind_scheme = text.split_once("://").map_or(text, |(_, rest)| rest);
    let authority = behind_scheme
        .trim_start_matches(['/', '\\'])
        .split(['/', '\\'])
        .next();
    let user_info = authority.and_then(|authority| authority.rsplit_once('@'));
    if matches!(url.host_str(), Some("http" | "https")) {
        Some("with '://' behind http or https, which is no host")
    } else if url.path().contains('@') {
        Some(
            "without an '@' behind the host: in a user name or a password write '/' as %2F and \
             '\\' as %5C, and in a path '@' as %40",
        )
    } else if matches!(user_info, Some(("" | ":", _))) {
        Some("with a user name before the '@', or without the '@'")
    } else {
        None
    }
}

/// Takes the user info out of an address.
fn take_user_info(url: &mut Url) -> Option<UserInfo> {
    let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let name = decode(url.username());
    let password = url.password().map(decode);
    if name.is_empty() && password.is_none() {
        return None;
    }
    // Both fail only for addresses that cannot have user info in the first place.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    Some(UserInfo {
        name: Secret::new(name),
        password: Secret::new(password.unwrap_or_default()),
    })
}

impl FromStr for Endpoint {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let text = text.trim();
        let invalid = |_| InvalidValue::new(Self::EXPECTED);
        let mut url = if text.contains("://") {
            Url::parse(text).map_err(invalid)?
        } else {
            Url::parse(&format!("http://{text}")).map_err(invalid)?
        };
        if !matches!(url.scheme(), "http" | "https") {
            return Err(InvalidValue::new(Self::EXPECTED));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(InvalidValue::new(format!(
                "{}, without a query or fragment",
                Self::EXPECTED
            )));
        }
        if let Some(advice) = misread(text, &url) {
            return Err(InvalidValue::new(format!("{}, {advice}", Self::EXPECTED)));
        }
        let mut base = url.path().trim_end_matches('/').to_owned();
        for suffix in ["/models", "/v2"] {
            if let Some(shorter) = base.strip_suffix(suffix)
                && (suffix == "/v2" || shorter.ends_with("/v2"))
            {
                base.truncate(shorter.len());
            }
        }
        if let Some(call) = path_of_a_call(&base) {
            return Err(InvalidValue::new(format!(
                "{}: what stands before the path of a call, so leave out {}",
                Self::EXPECTED,
                quoted(call)
            )));
        }
        url.set_path(&format!("{base}/"));
        let user_info = take_user_info(&mut url);
        Ok(Self { url, user_info })
    }
}

impl TryFrom<&str> for Endpoint {
    type Error = InvalidValue;

    fn try_from(text: &str) -> Result<Self, InvalidValue> {
        text.parse()
    }
}

impl TryFrom<String> for Endpoint {
    type Error = InvalidValue;

    fn try_from(text: String) -> Result<Self, InvalidValue> {
        text.parse()
    }
}

impl TryFrom<&String> for Endpoint {
    type Error = InvalidValue;

    fn try_from(text: &String) -> Result<Self, InvalidValue> {
        text.parse()
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url.fmt(formatter)
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
        let plain = Endpoint::from_str("http://triton:8000").unwrap();
        for text in [
            "triton:8000",
            "http://triton:8000/",
            "http://triton:8000/v2",
            "http://triton:8000/v2/",
            "http://triton:8000/v2/models",
            "HTTP://TRITON:8000/v2/models/",
        ] {
            assert_eq!(Endpoint::from_str(text).as_ref(), Ok(&plain), "{text}");
        }
    }

    #[test]
    fn a_path_of_a_gateway_is_kept() {
        let endpoint = Endpoint::from_str("https://gateway/triton/models").unwrap();
        assert_eq!(endpoint.to_string(), "https://gateway/triton/models/");
        let endpoint = Endpoint::from_str("https://gateway/triton/v2/models").unwrap();
        assert_eq!(endpoint.to_string(), "https://gateway/triton/");
    }

    #[test]
    fn the_path_of_a_call_is_no_part_of_an_address() {
        let refused = |text: &str| Endpoint::from_str(text).unwrap_err().to_string();
        insta::assert_snapshot!(refused("http://triton:8000/v2/models/echo/infer"), @"expected the http or https address of a Triton server, such as 'http://localhost:8000': what stands before the path of a call, so leave out '/v2/models/echo/infer'");
        insta::assert_snapshot!(refused("https://u:canary@gateway/triton/v2/health/ready/"), @"expected the http or https address of a Triton server, such as 'http://localhost:8000': what stands before the path of a call, so leave out '/v2/health/ready'");
        for (text, part) in [
            ("triton:8000/v2/models/echo", "'/v2/models/echo'"),
            (
                "triton:8000/v2/models/e/versions/1",
                "'/v2/models/e/versions/1'",
            ),
            ("triton:8000/v2/repository/index", "'/v2/repository/index'"),
            ("triton:8000/infer", "'/infer'"),
            ("gateway/echo/generate_stream/", "'/generate_stream'"),
        ] {
            let message = refused(text);
            assert!(message.ends_with(&format!("leave out {part}")), "{message}");
        }
        // Gateways have versions, too.
        for text in [
            "gateway/v2/triton",
            "gateway/v2/team/v2",
            "gateway/infer/triton",
        ] {
            assert!(Endpoint::from_str(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn other_addresses_are_refused() {
        for text in [
            "",
            "ftp://triton",
            "http://",
            "http://a b",
            "http://h/?token=x",
        ] {
            assert!(Endpoint::from_str(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_address_that_is_read_otherwise_than_it_was_meant_is_refused_unseen() {
        let refused = |text: &str| {
            let message = Endpoint::from_str(text).unwrap_err().to_string();
            let shown = format!("{message} {}", Endpoint::loggable(text));
            assert!(!shown.contains("canary"), "{shown}");
            message
        };
        insta::assert_snapshot!(refused("http://user:12/canary@host"), @r"expected the http or https address of a Triton server, such as 'http://localhost:8000', without an '@' behind the host: in a user name or a password write '/' as %2F and '\' as %5C, and in a path '@' as %40");
        insta::assert_snapshot!(refused("https:/user:canary@host"), @"expected the http or https address of a Triton server, such as 'http://localhost:8000', with '://' behind http or https, which is no host");
        insta::assert_snapshot!(refused("@file"), @"expected the http or https address of a Triton server, such as 'http://localhost:8000', with a user name before the '@', or without the '@'");
        for text in [
            "http://user:/canary@h",
            "http://user:12\\canary@h",
            "http://user:\\canary@h",
            "user:12/canary@h",
            "https//user:canary@host",
            "https:\\\\user:canary@host",
            "http:/triton:8000",
            "https//triton",
            "http://https://user:canary@host",
            "https:8000",
            "http://@triton",
            "http://:@triton",
        ] {
            refused(text);
        }
        assert_eq!(Endpoint::loggable("@file"), "'@file/'");
        let endpoint = Endpoint::from_str("https:///triton/a%40b").unwrap();
        assert_eq!(endpoint.to_string(), "https://triton/a%40b/");
    }

    #[test]
    fn neither_form_shows_user_info() {
        let endpoint =
            Endpoint::from_str("http://canary-user:canary-password@triton:8000").unwrap();
        assert!(!endpoint.url().as_str().contains("canary"));
        assert!(!format!("{:?}", endpoint.user_info()).contains("canary"));
        let malformed = Endpoint::loggable("htp://canary-user:canary-password@:99999");
        let queried = Endpoint::loggable("http://triton?token=canary-token");
        for shown in [format!("{endpoint} {endpoint:?}"), malformed, queried] {
            assert!(!shown.contains("canary"), "{shown}");
        }
    }
}
