//! Addresses: which store, which bucket of it, and which object there.

use std::fmt;
#[cfg(feature = "object-store")]
use std::path::Path;

use anyhow::bail;
use triton_options::HIDDEN;

/// What kind of store it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Scheme {
    S3,
    Gs,
    Az,
    /// Any web server, which is only read.
    Http,
}

/// An address, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) scheme: Scheme,
    /// The bucket, the container, or the host.
    pub(super) bucket: String,
    /// What the object is called there; of a web server, the path.
    pub(super) key: String,
    /// As it can be shown, without what could be a secret.
    shown: String,
    /// As it was typed, where that is more than can be shown.
    pub(super) url: String,
}

/// Whether a name is the address of an object, and not that of a file.
pub(crate) fn is_address(name: &str) -> bool {
    scheme_of(name).is_some()
}

fn scheme_of(name: &str) -> Option<(Scheme, &str)> {
    let (scheme, rest) = name.split_once("://")?;
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "s3" => Scheme::S3,
        "gs" => Scheme::Gs,
        "az" => Scheme::Az,
        "http" | "https" => Scheme::Http,
        _ => return None,
    };
    Some((scheme, rest))
}

impl Address {
    /// Takes a name apart; `None` where it is none of an object.
    pub(super) fn of(name: &str) -> anyhow::Result<Option<Self>> {
        let Some((scheme, rest)) = scheme_of(name) else {
            return Ok(None);
        };
        // Keys are taken as they are typed; only a web server's address has a query.
        let plain = match scheme {
            Scheme::Http => rest.split(['?', '#']).next().unwrap_or_default(),
            _ => rest,
        };
        let (authority, key) = plain.split_once('/').unwrap_or((plain, ""));
        let bucket = match scheme {
            Scheme::Http => authority.rsplit('@').next().unwrap_or_default(),
            _ => authority,
        };
        let typed = &name[..name.len() - rest.len()];
        let mut shown = match (authority == bucket, plain.contains('/')) {
            (true, _) => format!("{typed}{plain}"),
            (false, true) => format!("{typed}{HIDDEN}@{bucket}/{key}"),
            (false, false) => format!("{typed}{HIDDEN}@{bucket}"),
        };
        if plain.len() < rest.len() {
            shown.push_str(&rest[plain.len()..][..1]);
            shown.push_str(HIDDEN);
        }
        if bucket.is_empty() {
            bail!("{shown}: expected {}, found nothing", scheme.form());
        }
        Ok(Some(Self {
            scheme,
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            shown,
            url: name.to_owned(),
        }))
    }

    /// Another object of the same bucket.
    #[cfg(feature = "object-store")]
    pub(super) fn beside(&self, key: &str) -> Self {
        let scheme = self.url.split("://").next().unwrap_or_default();
        let shown = format!("{scheme}://{}/{key}", self.bucket);
        Self {
            key: key.to_owned(),
            url: shown.clone(),
            shown,
            ..self.clone()
        }
    }

    /// Whether it stands for all objects whose addresses begin with it.
    #[cfg(feature = "object-store")]
    pub(super) fn is_folder(&self) -> bool {
        self.shown.ends_with('/') && self.scheme != Scheme::Http
    }

    /// What a build says that has no objects.
    #[cfg(any(test, not(feature = "object-store")))]
    pub(super) fn unsupported(&self) -> String {
        format!(
            "{self}: this build of the command reads and writes files alone, as it was built without \
             the feature `object-store`: install one that has it with cargo install --locked --path \
             crates/triton-cli --features object-store"
        )
    }

    /// As it can be shown.
    #[cfg(any(test, feature = "object-store"))]
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    /// The name by whose end the format is known.
    #[cfg(feature = "object-store")]
    pub(super) fn named(&self) -> &Path {
        Path::new(&self.key)
    }
}

impl Scheme {
    /// How an address looks.
    fn form(self) -> &'static str {
        match self {
            Scheme::S3 => "s3://BUCKET/KEY",
            Scheme::Gs => "gs://BUCKET/KEY",
            Scheme::Az => "az://CONTAINER/NAME",
            Scheme::Http => "http://HOST/PATH or https://HOST/PATH",
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_secrets() {
        for (name, bucket, key, shown) in [
            ("s3://b/a/c.csv", "b", "a/c.csv", "s3://b/a/c.csv"),
            // Keys may have any letter.
            ("s3://b/a?b@c#d", "b", "a?b@c#d", "s3://b/a?b@c#d"),
            ("gs://b", "b", "", "gs://b"),
            ("az://b/", "b", "", "az://b/"),
            (
                "https://h/x.csv?sig=canary",
                "h",
                "x.csv",
                "https://h/x.csv?(hidden)",
            ),
            (
                "HTTP://u:canary@h:1/x#canary",
                "h:1",
                "x",
                "HTTP://(hidden)@h:1/x#(hidden)",
            ),
            (
                "http://canary@h?canary",
                "h",
                "",
                "http://(hidden)@h?(hidden)",
            ),
        ] {
            let address = Address::of(name).unwrap().unwrap();
            assert_eq!((&*address.bucket, &*address.key), (bucket, key), "{name}");
            assert_eq!(address.shown(), shown);
            assert!(is_address(name));
        }
        for name in ["a.csv", "file:///a.csv", "s3:/b/c", "C://b"] {
            assert_eq!(Address::of(name).unwrap(), None, "{name}");
            assert!(!is_address(name));
        }
        let address = Address::of("http://h/x?canary").unwrap().unwrap();
        insta::assert_snapshot!(address.unsupported(), @"http://h/x?(hidden): this build of the command reads and writes files alone, as it was built without the feature `object-store`: install one that has it with cargo install --locked --path crates/triton-cli --features object-store");
        let error = Address::of("s3:///key").unwrap_err();
        insta::assert_snapshot!(error, @"s3:///key: expected s3://BUCKET/KEY, found nothing");
    }
}
