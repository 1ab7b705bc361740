//! The `data` member of a JSON tensor, from its text into the form in which tensors are kept.

use bytes::{Bytes, BytesMut};
use serde::Deserializer as _;
use serde::de::Visitor;

use super::float_text::{self, Float};
use super::json_reader::{Fault, JsonReader, RawString};
use super::json_tokens::{INFINITY, NAN, NEGATIVE_INFINITY};
use crate::tensor::{Elements, push_byte_string};
use crate::{Datatype, TensorElement};

/// Reads a `data` member, flat or nested, as elements of a datatype.
///
/// `promised` is how many there are by the shape, or zero where that is not known. Memory is set
/// aside for no more than the text can hold, whatever a shape promises.
pub(super) fn read(
    reader: &mut JsonReader<'_>,
    datatype: Datatype,
    promised: usize,
) -> Result<Elements, Fault> {
    match datatype {
        Datatype::Bool => numbers(reader, promised, truth),
        Datatype::Uint8 => numbers(reader, promised, integer::<u8>),
        Datatype::Uint16 => numbers(reader, promised, integer::<u16>),
        Datatype::Uint32 => numbers(reader, promised, integer::<u32>),
        Datatype::Uint64 => numbers(reader, promised, integer::<u64>),
        Datatype::Int8 => numbers(reader, promised, integer::<i8>),
        Datatype::Int16 => numbers(reader, promised, integer::<i16>),
        Datatype::Int32 => numbers(reader, promised, integer::<i32>),
        Datatype::Int64 => numbers(reader, promised, integer::<i64>),
        Datatype::Fp32 => numbers(reader, promised, float::<f32>),
        Datatype::Fp64 => numbers(reader, promised, float::<f64>),
        Datatype::Bytes => byte_strings(reader),
        Datatype::Fp16 | Datatype::Bf16 | Datatype::Other(_) => {
            reader.flat_elements(|reader| {
                Err(reader.unexpected(format_args!("{datatype} in binary form")))
            })?;
            Ok(Bytes::new().into())
        }
    }
}

fn numbers<T: TensorElement>(
    reader: &mut JsonReader<'_>,
    promised: usize,
    read: impl Fn(&mut JsonReader<'_>) -> Option<T>,
) -> Result<Elements, Fault> {
    // Each element takes two bytes at least: a digit, and a comma or bracket.
    let possible = reader.rest().len() / 2;
    let mut values = Vec::with_capacity(promised.min(possible));
    reader.flat_elements(|reader| {
        let value =
            read(reader).ok_or_else(|| not_an_element(reader, T::DATATYPE, values.len()))?;
        values.push(value);
        Ok(())
    })?;
    Ok(Elements::from_vec(values))
}

fn byte_strings(reader: &mut JsonReader<'_>) -> Result<Elements, Fault> {
    let mut data = BytesMut::new();
    let mut count = 0_usize;
    reader.flat_elements(|reader| {
        let start = reader.clone();
        let string = reader.raw_string();
        let pushed = string.ok().and_then(|string| push(&mut data, &string));
        pushed.ok_or_else(|| not_an_element(&mut start.clone(), Datatype::Bytes, count))?;
        count += 1;
        Ok(())
    })?;
    Ok(data.freeze().into())
}

/// Says which element is none; the reader still stands before it.
#[cold]
fn not_an_element(reader: &mut JsonReader<'_>, datatype: Datatype, index: usize) -> Fault {
    let fault = reader.unexpected(datatype);
    fault.of(&format!("element {index} of its data"))
}

/// Appends the bytes that a string stands for; they need not be text.
fn push(data: &mut BytesMut, string: &RawString<'_>) -> Option<()> {
    if !string.has_escapes {
        return push_byte_string(data, &string.text[1..string.text.len() - 1]);
    }
    // Asking for bytes, not for text, keeps what is not UTF-8.
    let mut reader = serde_json::Deserializer::from_slice(string.text);
    reader.deserialize_bytes(ByteString(data)).ok().flatten()
}

/// Appends what it is shown.
struct ByteString<'a>(&'a mut BytesMut);

impl Visitor<'_> for ByteString<'_> {
    type Value = Option<()>;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a BYTES element")
    }

    fn visit_bytes<E>(self, value: &[u8]) -> Result<Self::Value, E> {
        Ok(push_byte_string(self.0, value))
    }
}

fn truth(reader: &mut JsonReader<'_>) -> Option<bool> {
    match reader.take("true") {
        true => Some(true),
        false => reader.take("false").then_some(false),
    }
}

/// A whole number without a fraction and an exponent, if `T` has it.
fn integer<T: TryFrom<i128>>(reader: &mut JsonReader<'_>) -> Option<T> {
    reader.peek();
    let text = reader.rest();
    let is_negative = text.first() == Some(&b'-');
    let digits = &text[usize::from(is_negative)..];
    let mut magnitude = 0_u64;
    let mut length = 0;
    while let Some(digit) = digits.get(length).filter(|byte| byte.is_ascii_digit()) {
        magnitude = magnitude.checked_mul(10)?;
        magnitude = magnitude.checked_add(u64::from(digit - b'0'))?;
        length += 1;
    }
    let has_leading_zero = length > 1 && digits[0] == b'0';
    let goes_on = matches!(digits.get(length), Some(b'.' | b'e' | b'E'));
    if length == 0 || has_leading_zero || goes_on {
        return None;
    }
    let value = i128::from(magnitude);
    let value = T::try_from(if is_negative { -value } else { value }).ok()?;
    reader.advance(usize::from(is_negative) + length);
    Some(value)
}

/// A number as the nearest float, or one of the words that servers write for what is not finite.
fn float<F: Float>(reader: &mut JsonReader<'_>) -> Option<F> {
    reader.peek();
    let Some((value, length)) = float_text::read(reader.rest()) else {
        return word(reader);
    };
    reader.advance(length);
    Some(value)
}

#[cold]
fn word<F: Float>(reader: &mut JsonReader<'_>) -> Option<F> {
    let start = reader.clone();
    let is_quoted = reader.take("\"");
    let words = [
        (NAN, f64::NAN),
        (INFINITY, f64::INFINITY),
        (NEGATIVE_INFINITY, f64::NEG_INFINITY),
    ];
    let found = words.into_iter().find(|(word, _)| reader.take(word));
    let found = found.filter(|_| !is_quoted || reader.take("\""));
    if found.is_none() {
        *reader = start;
    }
    found.map(|(_, value)| F::of(value))
}
