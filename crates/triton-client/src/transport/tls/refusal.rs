//! Why one side does not go on with TLS, whichever library speaks it: a kind, and a sentence with
//! what to do.

use std::fmt;

use crate::ErrorKind;

/// Why one side does not go on with TLS: a kind, and a sentence with what to do.
#[derive(Debug, Clone)]
pub(in crate::transport) struct TlsRefusal {
    pub(in crate::transport) kind: ErrorKind,
    pub(in crate::transport) message: String,
    pub(in crate::transport) transient: bool,
}

/// What to do where the server's certificate bears another name.
const SET_SERVER_NAME: &str = ": set the TLS server name to a name that the certificate bears";

/// What to do where the proxy's does.
const SET_PROXY: &str = ": set the proxy to an address whose host the certificate bears";

#[cfg_attr(
    not(any(feature = "rustls", feature = "native-tls")),
    expect(dead_code, reason = "nothing refuses where nothing speaks TLS")
)]
impl TlsRefusal {
    /// The server asked for a certificate, got none and closed the connection.
    pub(in crate::transport) fn lacking_certificate() -> Self {
        Self::for_good(
            ErrorKind::ClientCertificate,
            "the server wants a client certificate, and none is set: set the certificate and its \
             private key",
        )
    }

    /// The same of the proxy, which is reached by a name that only its address sets.
    pub(in crate::transport) fn of_the_proxy(self) -> Self {
        let message = self.message.replace(SET_SERVER_NAME, SET_PROXY);
        Self {
            message: message.replace("the server", "the proxy"),
            ..self
        }
    }

    pub(super) fn for_good(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            transient: false,
        }
    }

    pub(super) fn general(words: &dyn fmt::Display) -> Self {
        let message = format!("no TLS connection could be made: {words}");
        Self::for_good(ErrorKind::Tls, message)
    }

    pub(super) fn no_tls() -> Self {
        Self::for_good(
            ErrorKind::Tls,
            "the port answers, but does not speak TLS; does it speak plain HTTP, so that http:// \
             is right?",
        )
    }

    pub(super) fn untrusted() -> Self {
        Self::for_good(
            ErrorKind::CertificateUntrusted,
            "the server's certificate is of an authority that is not trusted: set the certificate \
             authorities to the one that issued it",
        )
    }

    /// The time is that of the certificate's end, where it is known.
    pub(super) fn expired(end: Option<&str>) -> Self {
        let end = end.map_or_else(String::new, |end| format!(" on {end}"));
        let message = format!(
            "the server's certificate has expired{end}: renew it, or set this machine's clock right"
        );
        Self::for_good(ErrorKind::CertificateExpired, message)
    }

    /// The time is that of the certificate's beginning, where it is known.
    pub(super) fn not_yet_valid(begin: Option<&str>, transient: bool) -> Self {
        let begin = begin.map_or_else(String::new, |begin| format!(" before {begin}"));
        let message = format!(
            "the server's certificate is not valid{begin}: wait, or set this machine's clock right"
        );
        Self {
            transient,
            ..Self::for_good(ErrorKind::CertificateExpired, message)
        }
    }

    /// `found` says of the names what is known of them.
    pub(super) fn wrong_name(found: &str) -> Self {
        let message = format!("{found}{SET_SERVER_NAME}");
        Self::for_good(ErrorKind::CertificateName, message)
    }

    pub(super) fn refused_certificate(words: &str) -> Self {
        let message = format!(
            "the server refuses the client's certificate ({words}): set a client certificate, \
             with its private key, of an authority that the server trusts"
        );
        Self::for_good(ErrorKind::ClientCertificate, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_a_proxy_names_it_and_what_sets_its_name() {
        let said = |refusal: TlsRefusal| refusal.of_the_proxy().message;
        insta::assert_snapshot!(said(TlsRefusal::untrusted()), @"the proxy's certificate is of an authority that is not trusted: set the certificate authorities to the one that issued it");
        insta::assert_snapshot!(said(TlsRefusal::wrong_name("the server's certificate is for another host")), @"the proxy's certificate is for another host: set the proxy to an address whose host the certificate bears");
        insta::assert_snapshot!(said(TlsRefusal::lacking_certificate()), @"the proxy wants a client certificate, and none is set: set the certificate and its private key");
    }
}
