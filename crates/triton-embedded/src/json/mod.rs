//! JSON as Triton reads and writes it, which is not quite JSON.
//!
//! Triton uses RapidJSON with `NaN` and `Infinity` switched on and without checking UTF-8. A
//! client meets the differences: such numbers pass in both directions, strings are bytes, the
//! first of two equal keys wins, and a syntax error names its position. A pre-pass in front of
//! `serde_json` could repair the first of these only, so this module is a small reader and
//! writer of its own.

mod reader;
mod writer;

pub(crate) use reader::read;

/// A JSON value that keeps the order of members, repeated keys, and strings that are not UTF-8.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    /// An integer of at least zero.
    Unsigned(u64),
    /// An integer below zero.
    Negative(i64),
    /// Everything else that is a number, integers beyond 64 bits included.
    Double(f64),
    Text(Vec<u8>),
    Array(Vec<Json>),
    Object(Vec<(Vec<u8>, Json)>),
}

impl Json {
    /// An object whose members keep the given order.
    pub(crate) fn object<const N: usize>(members: [(&str, Json); N]) -> Json {
        Json::Object(
            members
                .into_iter()
                .map(|(key, value)| (key.as_bytes().to_vec(), value))
                .collect(),
        )
    }

    /// A string.
    pub(crate) fn text(text: impl AsRef<[u8]>) -> Json {
        Json::Text(text.as_ref().to_vec())
    }

    /// An array of whatever becomes JSON.
    pub(crate) fn array<Item: Into<Json>>(items: impl IntoIterator<Item = Item>) -> Json {
        Json::Array(items.into_iter().map(Into::into).collect())
    }

    /// The first member of that name; `None` also where this is no object.
    pub(crate) fn get(&self, key: &str) -> Option<&Json> {
        match self {
            Json::Object(members) => members
                .iter()
                .find(|(name, _)| name == key.as_bytes())
                .map(|(_, value)| value),
            _ => None,
        }
    }

    pub(crate) fn as_object(&self) -> Result<&[(Vec<u8>, Json)], WrongType> {
        match self {
            Json::Object(members) => Ok(members),
            _ => Err(WrongType::Object),
        }
    }

    pub(crate) fn as_array(&self) -> Result<&[Json], WrongType> {
        match self {
            Json::Array(items) => Ok(items),
            _ => Err(WrongType::Array),
        }
    }

    pub(crate) fn as_text(&self) -> Result<&[u8], WrongType> {
        match self {
            Json::Text(text) => Ok(text),
            _ => Err(WrongType::Text),
        }
    }

    pub(crate) fn as_bool(&self) -> Result<bool, WrongType> {
        match self {
            Json::Bool(value) => Ok(*value),
            _ => Err(WrongType::Bool),
        }
    }

    pub(crate) fn as_unsigned(&self) -> Result<u64, WrongType> {
        match self {
            Json::Unsigned(value) => Ok(*value),
            _ => Err(WrongType::Unsigned),
        }
    }

    pub(crate) fn as_signed(&self) -> Result<i64, WrongType> {
        match self {
            Json::Unsigned(value) => i64::try_from(*value).map_err(|_| WrongType::Signed),
            Json::Negative(value) => Ok(*value),
            _ => Err(WrongType::Signed),
        }
    }

    pub(crate) fn as_double(&self) -> Result<f64, WrongType> {
        match self {
            Json::Unsigned(value) => Ok(*value as f64),
            Json::Negative(value) => Ok(*value as f64),
            Json::Double(value) => Ok(*value),
            _ => Err(WrongType::Double),
        }
    }
}

impl From<bool> for Json {
    fn from(value: bool) -> Json {
        Json::Bool(value)
    }
}

impl From<u64> for Json {
    fn from(value: u64) -> Json {
        Json::Unsigned(value)
    }
}

impl From<i64> for Json {
    fn from(value: i64) -> Json {
        match u64::try_from(value) {
            Ok(value) => Json::Unsigned(value),
            Err(_) => Json::Negative(value),
        }
    }
}

impl From<f64> for Json {
    fn from(value: f64) -> Json {
        Json::Double(value)
    }
}

/// What was asked of a value of another type; the text is Triton's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WrongType {
    #[error("attempt to get members for non-object")]
    Object,
    #[error("attempt to access JSON non-array as array")]
    Array,
    #[error("attempt to access JSON non-string as string")]
    Text,
    #[error("attempt to access JSON non-boolean as boolean")]
    Bool,
    #[error("attempt to access JSON non-unsigned-integer as unsigned-integer")]
    Unsigned,
    #[error("attempt to access JSON non-signed-integer as signed-integer")]
    Signed,
    #[error("attempt to access JSON non-number as double")]
    Double,
}
