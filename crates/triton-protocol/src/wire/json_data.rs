//! The `data` member of a JSON tensor, to and from the binary form in which tensors are kept.

use std::fmt;

use bytes::{BufMut, BytesMut};
use serde::de::{DeserializeSeed, SeqAccess, Visitor};

use super::json_text;
use super::json_tokens::{INFINITY, NAN, NEGATIVE_INFINITY};
use crate::tensor::push_byte_string;
use crate::{Datatype, Tensor, TensorError};

/// Why a tensor cannot be written as JSON.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unwritable {
    #[error("datatype {0} cannot be sent as JSON; it needs the binary form")]
    Datatype(Datatype),
    #[error(
        "element {0} of the BYTES is not UTF-8, which JSON text must be; it needs the binary form"
    )]
    NotText(usize),
    #[error(transparent)]
    Tensor(#[from] TensorError),
}

/// Fails where JSON cannot carry the tensor.
pub(super) fn check(tensor: &Tensor) -> Result<(), Unwritable> {
    match tensor.datatype() {
        datatype @ (Datatype::Fp16 | Datatype::Bf16) => Err(Unwritable::Datatype(datatype)),
        Datatype::Bytes => {
            let mut values = tensor.byte_strings()?;
            match values.position(|value| std::str::from_utf8(value).is_err()) {
                Some(index) => Err(Unwritable::NotText(index)),
                None => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

/// Writes the elements of `tensor` as a flat JSON array.
pub(super) fn write(json: &mut Vec<u8>, tensor: &Tensor) -> Result<(), Unwritable> {
    check(tensor)?;
    match tensor.datatype() {
        Datatype::Bool => write_numbers::<bool>(json, tensor),
        Datatype::Uint8 => write_numbers::<u8>(json, tensor),
        Datatype::Uint16 => write_numbers::<u16>(json, tensor),
        Datatype::Uint32 => write_numbers::<u32>(json, tensor),
        Datatype::Uint64 => write_numbers::<u64>(json, tensor),
        Datatype::Int8 => write_numbers::<i8>(json, tensor),
        Datatype::Int16 => write_numbers::<i16>(json, tensor),
        Datatype::Int32 => write_numbers::<i32>(json, tensor),
        Datatype::Int64 => write_numbers::<i64>(json, tensor),
        Datatype::Fp32 => {
            // The server reads a double and narrows it: only the exact value of the element,
            // not the shortest text for it, is sure to come back as the same element.
            write_floats(json, tensor.values::<f32>()?.iter().copied().map(f64::from));
            Ok(())
        }
        Datatype::Fp64 => {
            write_floats(json, tensor.values::<f64>()?.iter().copied());
            Ok(())
        }
        Datatype::Bytes => {
            json.push(b'[');
            for value in tensor.byte_strings()? {
                json_text::separate(json);
                json_text::string(json, &String::from_utf8_lossy(value));
            }
            json.push(b']');
            Ok(())
        }
        datatype @ (Datatype::Fp16 | Datatype::Bf16) => Err(Unwritable::Datatype(datatype)),
    }
}

fn write_numbers<T>(json: &mut Vec<u8>, tensor: &Tensor) -> Result<(), Unwritable>
where
    T: crate::TensorElement + fmt::Display,
{
    json.push(b'[');
    for value in tensor.values::<T>()?.iter() {
        json_text::separate(json);
        json_text::number(json, value);
    }
    json.push(b']');
    Ok(())
}

fn write_floats(json: &mut Vec<u8>, values: impl Iterator<Item = f64>) {
    json.push(b'[');
    for value in values {
        json_text::separate(json);
        if value.is_finite() {
            json_text::float(json, value);
        } else if value.is_nan() {
            json_text::number(json, NAN);
        } else if value > 0.0 {
            json_text::number(json, INFINITY);
        } else {
            json_text::number(json, NEGATIVE_INFINITY);
        }
    }
    json.push(b']');
}

/// Reads a `data` member, flat or nested, as elements of a datatype.
pub(super) struct ElementReader<'a> {
    pub(super) datatype: Datatype,
    pub(super) data: &'a mut BytesMut,
}

impl<'de> DeserializeSeed<'de> for ElementReader<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.datatype == Datatype::Bytes {
            // Asking for bytes, not for text, keeps elements that are not UTF-8.
            deserializer.deserialize_seq(ByteStringVisitor(self.data))
        } else {
            deserializer.deserialize_any(self)
        }
    }
}

impl<'de> Visitor<'de> for ElementReader<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} elements", self.datatype)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let Self { datatype, data } = self;
        while elements
            .next_element_seed(ElementReader {
                datatype,
                data: &mut *data,
            })?
            .is_some()
        {}
        Ok(())
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<(), E> {
        match self.datatype {
            Datatype::Bool => {
                self.data.put_u8(u8::from(value));
                Ok(())
            }
            _ => Err(E::invalid_type(serde::de::Unexpected::Bool(value), &self)),
        }
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        match self.datatype {
            // A double is exact up to 2^53; larger whole numbers are rounded as the JSON says.
            Datatype::Fp32 | Datatype::Fp64 => self.visit_f64(value as f64),
            _ => self.put_integer(value.into()),
        }
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        match self.datatype {
            Datatype::Fp32 | Datatype::Fp64 => self.visit_f64(value as f64),
            _ => self.put_integer(value.into()),
        }
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        match self.datatype {
            Datatype::Fp32 => self.data.put_f32_le(value as f32),
            Datatype::Fp64 => self.data.put_f64_le(value),
            _ => return Err(E::invalid_type(serde::de::Unexpected::Float(value), &self)),
        }
        Ok(())
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        let value = match text {
            NAN => f64::NAN,
            INFINITY => f64::INFINITY,
            NEGATIVE_INFINITY => f64::NEG_INFINITY,
            _ => return Err(E::invalid_type(serde::de::Unexpected::Str(text), &self)),
        };
        self.visit_f64(value)
    }
}

impl ElementReader<'_> {
    fn put_integer<E: serde::de::Error>(self, value: i128) -> Result<(), E> {
        macro_rules! put {
            ($integer:ty) => {
                <$integer>::try_from(value)
                    .ok()
                    .map(|value| self.data.put_slice(&value.to_le_bytes()))
            };
        }
        let put = match self.datatype {
            Datatype::Uint8 => put!(u8),
            Datatype::Uint16 => put!(u16),
            Datatype::Uint32 => put!(u32),
            Datatype::Uint64 => put!(u64),
            Datatype::Int8 => put!(i8),
            Datatype::Int16 => put!(i16),
            Datatype::Int32 => put!(i32),
            Datatype::Int64 => put!(i64),
            _ => None,
        };
        put.ok_or_else(|| E::custom(format_args!("{value} is no {} element", self.datatype)))
    }
}

/// Reads the elements of a `BYTES` tensor.
struct ByteStringVisitor<'a>(&'a mut BytesMut);

impl<'de> Visitor<'de> for ByteStringVisitor<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("BYTES elements in an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        while elements
            .next_element_seed(ByteString(&mut *self.0))?
            .is_some()
        {}
        Ok(())
    }
}

struct ByteString<'a>(&'a mut BytesMut);

impl<'de> DeserializeSeed<'de> for ByteString<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_bytes(self)
    }
}

impl<'de> Visitor<'de> for ByteString<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a BYTES element")
    }

    fn visit_bytes<E: serde::de::Error>(self, value: &[u8]) -> Result<(), E> {
        push_byte_string(self.0, value).ok_or_else(|| E::custom("an element is over 4 GiB long"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, elements: A) -> Result<(), A::Error> {
        ByteStringVisitor(self.0).visit_seq(elements)
    }
}
