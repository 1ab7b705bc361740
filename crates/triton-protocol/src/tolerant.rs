//! How fields are read that servers leave out, send as `null`, or send in another type than Triton.

use std::fmt::{self, Display};
use std::str::FromStr;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error as _, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

use crate::Parameter;

/// A value, or what it is by default where it is `null`.
pub(crate) fn null_as_default<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Deserialize<'de> + Default,
    D: Deserializer<'de>,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// As many elements at most of a list, or none where it is `null`; `called` is what they are.
pub(crate) fn up_to<'de, T, D>(
    most: usize,
    called: &'static str,
    deserializer: D,
) -> Result<Vec<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    deserializer.deserialize_any(UpTo {
        most,
        called,
        elements: Vec::new(),
    })
}

struct UpTo<T> {
    most: usize,
    called: &'static str,
    elements: Vec<T>,
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for UpTo<T> {
    type Value = Vec<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "a list of {}", self.called)
    }

    fn visit_unit<E>(self) -> Result<Vec<T>, E> {
        Ok(self.elements)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<Vec<T>, A::Error> {
        while let Some(element) = list.next_element()? {
            if self.elements.len() == self.most {
                return Err(A::Error::custom(format_args!(
                    "expected at most {} {}, found more",
                    self.most, self.called
                )));
            }
            self.elements.push(element);
        }
        Ok(self.elements)
    }
}

/// A text, which is a number with some servers where Triton has a text, or `null`.
#[derive(Default)]
pub(crate) struct Text(pub(crate) String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a text or a number")
    }

    fn visit_str<E>(self, text: &str) -> Result<Text, E> {
        Ok(Text(text.to_owned()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Text, E> {
        Ok(Text(number.to_string()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Text, E> {
        Ok(Text(number.to_string()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Text, E> {
        Ok(Text(number.to_string()))
    }

    fn visit_unit<E>(self) -> Result<Text, E> {
        Ok(Text::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Text, A::Error> {
        // It may be a number all the same: see `Parameter`.
        match Parameter::deserialize(MapAccessDeserializer::new(map)) {
            Ok(Parameter::Integer(number)) => self.visit_i64(number),
            Ok(Parameter::Unsigned(number)) => self.visit_u64(number),
            Ok(Parameter::Double(number)) => self.visit_f64(number),
            _ => Err(A::Error::invalid_type(Unexpected::Map, &self)),
        }
    }
}

/// A text, or a number as one.
pub(crate) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Text::deserialize(deserializer).map(|Text(text)| text)
}

/// A list of texts, or none.
pub(crate) fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let texts: Option<Vec<Text>> = Option::deserialize(deserializer)?;
    Ok(texts.into_iter().flatten().map(|Text(text)| text).collect())
}

/// A number, which Triton sends as a text at some places; `None` where it is `null`.
pub(crate) fn perhaps_number<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let text = text(deserializer)?;
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|error| {
        D::Error::custom(format_args!("expected a number, found '{text}': {error}"))
    })
}

/// A number, or what it is by default where it is `null`.
pub(crate) fn number<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: Display> + Default,
{
    perhaps_number(deserializer).map(Option::unwrap_or_default)
}
