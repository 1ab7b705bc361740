//! How a tensor is shown to a programmer: without its megabytes.

use std::fmt;

use super::{Tensor, TensorElement};
use crate::Datatype;

/// As many elements are shown, and as many characters of each.
const SHOWN: usize = 8;
const SHOWN_CHARACTERS: usize = 40;

impl fmt::Debug for Tensor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("Tensor");
        shown
            .field("name", &self.name())
            .field("datatype", &self.datatype())
            .field("shape", &format_args!("{:?}", self.shape()))
            .field("elements", &format_args!("[{}]", elements(self)));
        if !self.parameters().is_empty() {
            shown.field("parameters", self.parameters());
        }
        shown.finish()
    }
}

fn elements(tensor: &Tensor) -> String {
    let (mut shown, count) = match tensor.datatype() {
        Datatype::Bool => first::<bool>(tensor),
        Datatype::Uint8 => first::<u8>(tensor),
        Datatype::Uint16 => first::<u16>(tensor),
        Datatype::Uint32 => first::<u32>(tensor),
        Datatype::Uint64 => first::<u64>(tensor),
        Datatype::Int8 => first::<i8>(tensor),
        Datatype::Int16 => first::<i16>(tensor),
        Datatype::Int32 => first::<i32>(tensor),
        Datatype::Int64 => first::<i64>(tensor),
        Datatype::Fp32 => first::<f32>(tensor),
        Datatype::Fp64 => first::<f64>(tensor),
        Datatype::Fp16 | Datatype::Bf16 => first_bits(tensor),
        Datatype::Bytes => first_strings(tensor),
        // There is no tensor of them.
        Datatype::Other(_) => (Vec::new(), 0),
    };
    if count > shown.len() {
        shown.push(format!("… {} in all", grouped(count)));
    }
    shown.join(", ")
}

fn first<T: TensorElement + fmt::Debug>(tensor: &Tensor) -> (Vec<String>, usize) {
    let elements = tensor.raw().chunks_exact(size_of::<T>());
    let count = elements.len();
    let shown = elements.take(SHOWN).map(|bytes| {
        let element = bytemuck::checked::try_pod_read_unaligned::<T>(bytes);
        element.map_or_else(|_| format!("{bytes:?}"), |element| format!("{element:?}"))
    });
    (shown.collect(), count)
}

/// Half precision is shown as its bits, as the type for it may not be there.
fn first_bits(tensor: &Tensor) -> (Vec<String>, usize) {
    let elements = tensor.raw().chunks_exact(size_of::<u16>());
    let count = elements.len();
    let shown = elements.take(SHOWN);
    let shown = shown.map(|bytes| format!("0x{:02x}{:02x}", bytes[1], bytes[0]));
    (shown.collect(), count)
}

fn first_strings(tensor: &Tensor) -> (Vec<String>, usize) {
    let count = tensor.byte_strings().map_or(0, Iterator::count);
    let shown = tensor.byte_strings().into_iter().flatten().take(SHOWN);
    let shown = shown.map(|bytes| {
        // A character has four bytes at most.
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(4 * SHOWN_CHARACTERS)]);
        match text.char_indices().nth(SHOWN_CHARACTERS) {
            None => format!("{text:?}"),
            Some((end, _)) => format!("{:?}…", &text[..end]),
        }
    });
    (shown.collect(), count)
}

/// A number in groups of three digits.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
