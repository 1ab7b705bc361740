//! The `data` member of a JSON tensor, from its text into the form in which tensors are kept.

use bytes::{Bytes, BytesMut};
use serde::Deserializer as _;
use serde::de::Visitor;

use super::float_text::{self, Float};
use super::json_reader::{Fault, JsonReader, MAX_PARAMETERS, RawString};
use crate::tensor::{Elements, push_byte_string};
use crate::{Datatype, TensorElement};

/// What an answer may still take. All its tensors share it.
pub(super) struct Budget {
    /// For how many elements memory may be set aside before they are read. Were each tensor given
    /// what the whole text could hold, thousands of small ones whose shapes lie would be given
    /// many times the memory that there is.
    elements: usize,
    /// How many more parameters there may be.
    pub(super) parameters: usize,
}

impl Budget {
    /// As many elements as so long a text can hold, so that honest shapes get all they want.
    pub(super) fn of(text: &[u8]) -> Self {
        // Each element takes two bytes at least: a digit, and a comma or bracket.
        Self {
            elements: text.len() / 2,
            parameters: MAX_PARAMETERS,
        }
    }

    /// So many elements, or what is left.
    fn take(&mut self, elements: usize) -> usize {
        let taken = elements.min(self.elements);
        self.elements -= taken;
        taken
    }
}

/// Reads a `data` member, flat or nested, as elements of a datatype.
///
/// `promised` is how many there are by the shape, or zero where that is not known. Memory is set
/// aside for no more of them than `budget` has left, whatever a shape promises.
pub(super) fn read(
    reader: &mut JsonReader<'_>,
    datatype: Datatype,
    promised: usize,
    budget: &mut Budget,
) -> Result<Elements, Fault> {
    let reserved = budget.take(promised);
    match datatype {
        Datatype::Bool => numbers(reader, reserved, truth),
        Datatype::Uint8 => numbers(reader, reserved, integer::<u8>),
        Datatype::Uint16 => numbers(reader, reserved, integer::<u16>),
        Datatype::Uint32 => numbers(reader, reserved, integer::<u32>),
        Datatype::Uint64 => numbers(reader, reserved, integer::<u64>),
        Datatype::Int8 => numbers(reader, reserved, integer::<i8>),
        Datatype::Int16 => numbers(reader, reserved, integer::<i16>),
        Datatype::Int32 => numbers(reader, reserved, integer::<i32>),
        Datatype::Int64 => numbers(reader, reserved, integer::<i64>),
        Datatype::Fp32 => numbers(reader, reserved, float::<f32>),
        Datatype::Fp64 => numbers(reader, reserved, float::<f64>),
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
    reserved: usize,
    read: impl Fn(&mut JsonReader<'_>) -> Option<T>,
) -> Result<Elements, Fault> {
    let mut values = Vec::with_capacity(reserved);
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
    let found = reader.bare_float();
    let found = found.filter(|_| !is_quoted || reader.take("\""));
    if found.is_none() {
        *reader = start;
    }
    found.map(F::of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_whose_shapes_lie_share_what_is_set_aside() {
        const TENSORS: usize = 20_000;
        let text = "[1],".repeat(TENSORS);
        let mut budget = Budget::of(text.as_bytes());
        let mut reader = JsonReader::new(text.as_bytes());
        let mut reserved = 0;
        for _ in 0..TENSORS {
            let read = read(&mut reader, Datatype::Int64, 99_999_999_999, &mut budget);
            assert!(reader.take(","));
            reserved += read.unwrap().into_vec::<i64>().ok().unwrap().capacity();
        }
        // A vector that grows by itself has a few elements at once.
        assert!(reserved <= text.len() / 2 + 4 * TENSORS, "{reserved}");
    }

    #[test]
    fn tensors_whose_shapes_are_true_are_each_set_aside_at_once() {
        let text = "[1,2,3,4,5],[6,7,8,9,0,1,2]";
        let mut budget = Budget::of(text.as_bytes());
        let mut reader = JsonReader::new(text.as_bytes());
        for count in [5, 7] {
            let elements = read(&mut reader, Datatype::Uint16, count, &mut budget).unwrap();
            assert_eq!(elements.into_vec::<u16>().ok().unwrap().capacity(), count);
            reader.take(",");
        }
    }
}
