//! How fields are read that servers leave out, send as `null`, or send in another type than Triton.

use serde::{Deserialize, Deserializer};

/// A value, or what it is by default where it is `null`.
pub(crate) fn null_as_default<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Deserialize<'de> + Default,
    D: Deserializer<'de>,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// A version, which is a text with most servers and a number with some.
#[derive(Default)]
pub(crate) struct Version(pub(crate) String);

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl serde::de::Visitor<'_> for Visitor {
            type Value = Version;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("a version as text or as a number")
            }

            fn visit_str<E>(self, text: &str) -> Result<Version, E> {
                Ok(Version(text.to_owned()))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Version, E> {
                Ok(Version(number.to_string()))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Version, E> {
                Ok(Version(number.to_string()))
            }

            fn visit_f64<E>(self, number: f64) -> Result<Version, E> {
                Ok(Version(number.to_string()))
            }

            fn visit_unit<E>(self) -> Result<Version, E> {
                Ok(Version::default())
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

/// A version.
pub(crate) fn version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Version::deserialize(deserializer).map(|Version(text)| text)
}

/// A list of versions, or none.
pub(crate) fn versions<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<String>, D::Error> {
    let versions: Option<Vec<Version>> = Option::deserialize(deserializer)?;
    Ok(versions
        .into_iter()
        .flatten()
        .map(|Version(text)| text)
        .collect())
}
