//! Numbers of 16 bits, which rows carry as single ones.

use half::{bf16, f16};

/// The nearest number of 16 bits; `None` where a finite one is so large that it would become infinite.
pub(crate) fn to_f16(value: f32) -> Option<f16> {
    let half = f16::from_f32(value);
    (half.is_finite() || !value.is_finite()).then_some(half)
}

/// As [`to_f16`], of the other kind of 16 bits.
pub(crate) fn to_bf16(value: f32) -> Option<bf16> {
    let half = bf16::from_f32(value);
    (half.is_finite() || !value.is_finite()).then_some(half)
}

/// The single number that stands for a double before it is rounded to 16 bits: rounded twice to the nearest,
/// it could come out beside the nearest. The neighbour whose last bit is set never lies halfway.
pub(crate) fn single_of(number: f64) -> f32 {
    let nearest = number as f32;
    let bits = nearest.to_bits();
    let there = f64::from(nearest).abs();
    match number.abs() {
        _ if !nearest.is_finite() || bits & 1 == 1 => nearest,
        wanted if wanted > there => f32::from_bits(bits + 1),
        wanted if wanted < there => f32::from_bits(bits - 1),
        _ => nearest,
    }
}
