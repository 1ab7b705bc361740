//! Tensors as bytes: little endian, row major, strings behind their length (protocol page,
//! section 3).

use crate::tensor::{DataType, TensorData};

/// The bytes of a tensor's values.
pub(crate) fn to_bytes(data: &TensorData) -> Vec<u8> {
    match data {
        TensorData::Bool(values) => values.iter().map(|value| u8::from(*value)).collect(),
        TensorData::Uint8(values) => values.clone(),
        TensorData::Uint16(values) | TensorData::Fp16(values) | TensorData::Bf16(values) => values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect(),
        TensorData::Uint32(values) => values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect(),
        TensorData::Uint64(values) => values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect(),
        TensorData::Int8(values) => values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect(),
        TensorData::Int16(values) => values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect(),
        TensorData::Int32(values) => values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect(),
        TensorData::Int64(values) => values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect(),
        TensorData::Fp32(values) => values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect(),
        TensorData::Fp64(values) => values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect(),
        TensorData::Bytes(values) => {
            let mut bytes = Vec::new();
            for value in values {
                // A longer value cannot come in over HTTP, where its length is as wide as this.
                bytes.extend((value.len() as u32).to_le_bytes());
                bytes.extend(value);
            }
            bytes
        }
    }
}

/// The values that the bytes hold; what is left over after the last whole value is dropped, so
/// the number of bytes has to be checked before.
pub(crate) fn from_bytes(datatype: DataType, bytes: &[u8]) -> TensorData {
    match datatype {
        DataType::Bool => bytes
            .iter()
            .map(|byte| *byte != 0)
            .collect::<Vec<_>>()
            .into(),
        DataType::Uint8 => bytes.to_vec().into(),
        DataType::Uint16 => values(bytes, u16::from_le_bytes).into(),
        DataType::Uint32 => values(bytes, u32::from_le_bytes).into(),
        DataType::Uint64 => values(bytes, u64::from_le_bytes).into(),
        DataType::Int8 => values(bytes, i8::from_le_bytes).into(),
        DataType::Int16 => values(bytes, i16::from_le_bytes).into(),
        DataType::Int32 => values(bytes, i32::from_le_bytes).into(),
        DataType::Int64 => values(bytes, i64::from_le_bytes).into(),
        DataType::Fp16 => TensorData::Fp16(values(bytes, u16::from_le_bytes)),
        DataType::Fp32 => values(bytes, f32::from_le_bytes).into(),
        DataType::Fp64 => values(bytes, f64::from_le_bytes).into(),
        DataType::Bf16 => TensorData::Bf16(values(bytes, u16::from_le_bytes)),
        DataType::Bytes => Strings(bytes)
            .map_while(Result::ok)
            .map(<[u8]>::to_vec)
            .collect::<Vec<_>>()
            .into(),
    }
}

/// How many strings the bytes begin, the last of which may be cut short, as the real server does
/// not check it.
///
/// # Errors
/// The number of bytes left where less than a length follows the last string.
pub(crate) fn count_strings(bytes: &[u8]) -> Result<u64, usize> {
    Strings(bytes).try_fold(0, |count, string| string.map(|_| count + 1))
}

fn values<const SIZE: usize, Value>(
    bytes: &[u8],
    convert: impl Fn([u8; SIZE]) -> Value,
) -> Vec<Value> {
    let (chunks, _) = bytes.as_chunks::<SIZE>();
    chunks.iter().map(|chunk| convert(*chunk)).collect()
}

/// The strings in a row of bytes.
struct Strings<'bytes>(&'bytes [u8]);

impl<'bytes> Iterator for Strings<'bytes> {
    type Item = Result<&'bytes [u8], usize>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let Some((length, rest)) = self.0.split_first_chunk() else {
            return Some(Err(std::mem::take(&mut self.0).len()));
        };
        let length = (u32::from_le_bytes(*length) as usize).min(rest.len());
        let (string, rest) = rest.split_at(length);
        self.0 = rest;
        Some(Ok(string))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_survives_the_way_through_bytes() {
        let tensors: [TensorData; 14] = [
            vec![true, false].into(),
            vec![1_u8, 255].into(),
            vec![1_u16, u16::MAX].into(),
            vec![1_u32, u32::MAX].into(),
            vec![1_u64, u64::MAX].into(),
            vec![-1_i8, 5].into(),
            vec![-1_i16, 5].into(),
            vec![-1_i32, 5].into(),
            vec![-1_i64, 5].into(),
            TensorData::Fp16(vec![0x3C00]),
            vec![0.5_f32, f32::INFINITY].into(),
            vec![0.5_f64].into(),
            TensorData::Bf16(vec![0x3F80]),
            vec!["é".to_owned(), String::new()].into(),
        ];
        for tensor in tensors {
            assert_eq!(from_bytes(tensor.datatype(), &to_bytes(&tensor)), tensor);
        }
    }

    #[test]
    fn strings_are_counted_by_their_lengths() {
        assert_eq!(count_strings(b""), Ok(0));
        assert_eq!(count_strings(b"\x01\0\0\0a\0\0\0\0"), Ok(2));
        assert_eq!(count_strings(b"\x01\0\0\0a\0\0"), Err(2));
        assert_eq!(count_strings(b"\x09\0\0\0a"), Ok(1));
    }
}
