//! How numbers, texts and values of rows lie in the temporary files of a sort, to be read back
//! exactly as they were.

use anyhow::{Context as _, bail};
use triton_model_fn::Value;

const DAMAGED: &str = "a temporary file is not as it was written";

/// Bytes that were encoded, to be read from their beginning.
pub(super) struct Encoded<'a>(&'a [u8]);

impl<'a> Encoded<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    fn take(&mut self, length: usize) -> anyhow::Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length).context(DAMAGED)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> anyhow::Result<[u8; N]> {
        Ok(self.take(N)?.try_into()?)
    }

    pub(super) fn byte(&mut self) -> anyhow::Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    pub(super) fn number(&mut self) -> anyhow::Result<u64> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        bail!(DAMAGED)
    }

    pub(super) fn length(&mut self) -> anyhow::Result<usize> {
        Ok(usize::try_from(self.number()?)?)
    }

    pub(super) fn bytes(&mut self) -> anyhow::Result<&'a [u8]> {
        let length = self.length()?;
        self.take(length)
    }

    pub(super) fn text(&mut self) -> anyhow::Result<&'a str> {
        std::str::from_utf8(self.bytes()?).context(DAMAGED)
    }

    pub(super) fn optional<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> anyhow::Result<T>,
    ) -> anyhow::Result<Option<T>> {
        match self.byte()? {
            0 => Ok(None),
            _ => read(self).map(Some),
        }
    }

    pub(super) fn values(&mut self) -> anyhow::Result<Vec<Value>> {
        let length = self.length()?;
        (0..length).map(|_| self.value()).collect()
    }

    fn value(&mut self) -> anyhow::Result<Value> {
        Ok(match self.byte()? {
            0 => Value::Null,
            1 => Value::Boolean(self.byte()? != 0),
            2 => Value::TinyInt(i8::from_le_bytes(self.array()?)),
            3 => Value::SmallInt(i16::from_le_bytes(self.array()?)),
            4 => Value::Integer(i32::from_le_bytes(self.array()?)),
            5 => Value::BigInt(i64::from_le_bytes(self.array()?)),
            6 => Value::UnsignedTinyInt(self.byte()?),
            7 => Value::UnsignedSmallInt(u16::from_le_bytes(self.array()?)),
            8 => Value::UnsignedInteger(u32::from_le_bytes(self.array()?)),
            9 => Value::UnsignedBigInt(u64::from_le_bytes(self.array()?)),
            10 => Value::Float16(f32::from_le_bytes(self.array()?)),
            11 => Value::Float(f32::from_le_bytes(self.array()?)),
            12 => Value::Double(f64::from_le_bytes(self.array()?)),
            13 => Value::String(self.text()?.to_owned()),
            14 => Value::Bytes(self.bytes()?.to_owned()),
            15 => Value::Array(self.values()?.into()),
            16 => Value::BFloat16(f32::from_le_bytes(self.array()?)),
            _ => bail!(DAMAGED),
        })
    }
}

pub(super) fn put_number(mut number: u64, bytes: &mut Vec<u8>) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

pub(super) fn put_bytes(more: &[u8], bytes: &mut Vec<u8>) {
    put_number(more.len() as u64, bytes);
    bytes.extend_from_slice(more);
}

pub(super) fn put_optional<T>(
    thing: Option<T>,
    bytes: &mut Vec<u8>,
    put: impl FnOnce(T, &mut Vec<u8>),
) {
    bytes.push(u8::from(thing.is_some()));
    if let Some(thing) = thing {
        put(thing, bytes);
    }
}

pub(super) fn put_values(values: &[Value], bytes: &mut Vec<u8>) -> anyhow::Result<()> {
    put_number(values.len() as u64, bytes);
    values.iter().try_for_each(|value| put_value(value, bytes))
}

fn put_value(value: &Value, bytes: &mut Vec<u8>) -> anyhow::Result<()> {
    let mut put = |kind: u8, more: &[u8]| {
        bytes.push(kind);
        bytes.extend_from_slice(more);
    };
    match value {
        Value::Null => put(0, &[]),
        Value::Boolean(value) => put(1, &[u8::from(*value)]),
        Value::TinyInt(value) => put(2, &value.to_le_bytes()),
        Value::SmallInt(value) => put(3, &value.to_le_bytes()),
        Value::Integer(value) => put(4, &value.to_le_bytes()),
        Value::BigInt(value) => put(5, &value.to_le_bytes()),
        Value::UnsignedTinyInt(value) => put(6, &value.to_le_bytes()),
        Value::UnsignedSmallInt(value) => put(7, &value.to_le_bytes()),
        Value::UnsignedInteger(value) => put(8, &value.to_le_bytes()),
        Value::UnsignedBigInt(value) => put(9, &value.to_le_bytes()),
        Value::Float16(value) => put(10, &value.to_le_bytes()),
        Value::BFloat16(value) => put(16, &value.to_le_bytes()),
        Value::Float(value) => put(11, &value.to_le_bytes()),
        Value::Double(value) => put(12, &value.to_le_bytes()),
        Value::String(text) => {
            put(13, &[]);
            put_bytes(text.as_bytes(), bytes);
        }
        Value::Bytes(value) => {
            put(14, &[]);
            put_bytes(value, bytes);
        }
        Value::Array(elements) => {
            put(15, &[]);
            put_values(&elements.iter().collect::<Vec<_>>(), bytes)?;
        }
        other => bail!("a value cannot be sorted, because it is of a new kind: {other:?}"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Boolean),
            any::<i8>().prop_map(Value::TinyInt),
            any::<i16>().prop_map(Value::SmallInt),
            any::<i32>().prop_map(Value::Integer),
            any::<i64>().prop_map(Value::BigInt),
            any::<u8>().prop_map(Value::UnsignedTinyInt),
            any::<u16>().prop_map(Value::UnsignedSmallInt),
            any::<u32>().prop_map(Value::UnsignedInteger),
            any::<u64>().prop_map(Value::UnsignedBigInt),
            any::<f32>().prop_map(Value::Float16),
            any::<f32>().prop_map(Value::BFloat16),
            any::<f32>().prop_map(Value::Float),
            any::<f64>().prop_map(Value::Double),
            ".*".prop_map(Value::String),
            any::<Vec<u8>>().prop_map(Value::Bytes),
        ];
        leaf.prop_recursive(2, 16, 4, |inner| {
            proptest::collection::vec(inner, 0..4).prop_map(|values| Value::Array(values.into()))
        })
    }

    proptest! {
        #[test]
        fn values_are_read_back_as_they_were(values in proptest::collection::vec(value(), 0..8), number: u64) {
            let mut bytes = Vec::new();
            put_values(&values, &mut bytes).unwrap();
            put_number(number, &mut bytes);
            let mut encoded = Encoded::new(&bytes);
            // As text, so that NaN is itself.
            prop_assert_eq!(format!("{:?}", encoded.values().unwrap()), format!("{values:?}"));
            prop_assert_eq!(encoded.number().unwrap(), number);
            prop_assert!(encoded.byte().is_err());
        }
    }
}
