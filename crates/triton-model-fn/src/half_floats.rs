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
