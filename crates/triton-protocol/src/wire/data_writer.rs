//! The `data` member of a JSON tensor, from the form in which tensors are kept.

use super::json_text;
use super::json_tokens::{INFINITY, NAN, NEGATIVE_INFINITY};
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
        datatype @ (Datatype::Fp16 | Datatype::Bf16 | Datatype::Other(_)) => {
            Err(Unwritable::Datatype(datatype))
        }
        Datatype::Bool => {
            tensor.values::<bool>()?;
            Ok(())
        }
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

/// Writes the elements of `tensor`, which [`check`] has found fit, as a flat JSON array.
pub(super) fn write(json: &mut Vec<u8>, tensor: &Tensor) -> Result<(), Unwritable> {
    match tensor.datatype() {
        Datatype::Bool => each::<bool>(json, tensor, json_text::value),
        Datatype::Uint8 => each::<u8>(json, tensor, json_text::value),
        Datatype::Uint16 => each::<u16>(json, tensor, json_text::value),
        Datatype::Uint32 => each::<u32>(json, tensor, json_text::value),
        Datatype::Uint64 => each::<u64>(json, tensor, json_text::value),
        Datatype::Int8 => each::<i8>(json, tensor, json_text::value),
        Datatype::Int16 => each::<i16>(json, tensor, json_text::value),
        Datatype::Int32 => each::<i32>(json, tensor, json_text::value),
        Datatype::Int64 => each::<i64>(json, tensor, json_text::value),
        Datatype::Fp32 => each::<f32>(json, tensor, single),
        Datatype::Fp64 => each::<f64>(json, tensor, double),
        Datatype::Bytes => {
            json.push(b'[');
            for value in tensor.byte_strings()? {
                json_text::separate(json);
                json_text::string(json, &String::from_utf8_lossy(value));
            }
            json.push(b']');
            Ok(())
        }
        datatype @ (Datatype::Fp16 | Datatype::Bf16 | Datatype::Other(_)) => {
            Err(Unwritable::Datatype(datatype))
        }
    }
}

fn each<T: crate::TensorElement>(
    json: &mut Vec<u8>,
    tensor: &Tensor,
    write: impl Fn(&mut Vec<u8>, &T),
) -> Result<(), Unwritable> {
    // What an element of this size is written in on average, its comma included.
    let text = (3 * size_of::<T>()).min(12);
    let values = tensor.values::<T>()?;
    json.reserve(2 + text * values.len());
    json.push(b'[');
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            json.push(b',');
        }
        write(json, value);
    }
    json.push(b']');
    Ok(())
}

/// Writes the shortest text that every server reads as this element.
///
/// A server reads a double and narrows it. The shortest text that is nearest to an element does
/// survive that, for all elements but [`ROUNDED_TWICE`] and its opposite.
fn single(json: &mut Vec<u8>, value: &f32) {
    if !value.is_finite() {
        not_finite(json, f64::from(*value));
    } else if value.to_bits() << 1 == ROUNDED_TWICE << 1 {
        json_text::value(json, &f64::from(*value));
    } else {
        json_text::value(json, value);
    }
}

/// The bits of the only positive element whose shortest text, `7.038531e-26`, is so near to the
/// middle between two elements that the double nearest to it is that middle, and so is narrowed
/// to the wrong one. All elements were gone through, and there is no other.
const ROUNDED_TWICE: u32 = 0x15ae_43fd;

fn double(json: &mut Vec<u8>, value: &f64) {
    match value.is_finite() {
        true => json_text::value(json, value),
        false => not_finite(json, *value),
    }
}

fn not_finite(json: &mut Vec<u8>, value: f64) {
    let word = match value {
        value if value.is_nan() => NAN,
        value if value > 0.0 => INFINITY,
        _ => NEGATIVE_INFINITY,
    };
    json.extend_from_slice(word.as_bytes());
}
