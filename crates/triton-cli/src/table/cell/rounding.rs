//! Numbers of 16 bits, rounded once.
//!
//! Rows carry them as single ones, and a number that is rounded to a single one first, and then to 16 bits,
//! may come out beside the nearest. So what is no single number becomes the one of its two neighbours whose
//! last bit is set: that is never halfway between two numbers of 16 bits, and lies on the same side of it.

use half::{bf16, f16};

/// The nearest number of 16 bits.
pub(in crate::table) fn to_float16(single: f32) -> f32 {
    f16::from_f32(single).to_f32()
}

/// As [`to_float16`], of the other kind of 16 bits.
pub(in crate::table) fn to_bfloat16(single: f32) -> f32 {
    bf16::from_f32(single).to_f32()
}

/// The single number that stands for a double before it is rounded to 16 bits.
#[cfg(any(test, feature = "arrow"))]
pub(in crate::table) fn of_double(number: f64) -> f32 {
    let nearest = number as f32;
    let (there, wanted) = (f64::from(nearest).abs(), number.abs());
    beside(nearest, wanted.partial_cmp(&there))
}

/// The single number that stands for a text before it is rounded to 16 bits.
pub(super) fn of_text(text: &str) -> Option<f32> {
    /// No single number has as many digits.
    const DIGITS: usize = 120;
    let nearest: f32 = text.parse().ok()?;
    if !nearest.is_finite() {
        return Some(nearest);
    }
    let there = decimal(&format!("{:.DIGITS$e}", nearest.abs()));
    Some(beside(nearest, Some(decimal(text).cmp(&there))))
}

/// The neighbour whose last bit is set, on the side where what is wanted lies.
fn beside(nearest: f32, wanted: Option<std::cmp::Ordering>) -> f32 {
    let bits = nearest.to_bits();
    let is_odd = bits & 1 == 1;
    match wanted {
        Some(std::cmp::Ordering::Greater) if nearest.is_finite() && !is_odd => {
            f32::from_bits(bits + 1)
        }
        Some(std::cmp::Ordering::Less) if nearest.is_finite() && !is_odd => {
            f32::from_bits(bits - 1)
        }
        _ => nearest,
    }
}

/// The size of a number, to be compared: where its first digit stands, and its digits from there on to the
/// last that is no zero.
fn decimal(text: &str) -> (i64, Vec<u8>) {
    let text = text.trim_start_matches(['-', '+']);
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent = exponent.parse().unwrap_or(match exponent.starts_with('-') {
        true => i64::MIN,
        false => i64::MAX,
    });
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = || whole.bytes().chain(fraction.bytes());
    let zeros = digits().take_while(|digit| *digit == b'0').count();
    let mut digits: Vec<u8> = digits().skip(zeros).collect();
    let end = digits.iter().rposition(|digit| *digit != b'0');
    digits.truncate(end.map_or(0, |end| end + 1));
    if digits.is_empty() {
        return (i64::MIN, digits);
    }
    let place = whole.len() as i64 - zeros as i64;
    (place.saturating_add(exponent), digits)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_number_of_16_bits_is_the_nearest_to_the_text() {
        for (text, half) in [
            ("1.0004882812500002", 1.000_976_6),
            ("1.00048828125000000000000000000001", 1.000_976_6),
            ("1.00048828125", 1.0),
            ("1.00048828124999999999999999999999", 1.0),
            ("-1.0004882812500002", -1.000_976_6),
            ("65519.9999999", 65504.0),
            ("65520", f32::INFINITY),
            ("1e-999999999999999999999", 0.0),
            ("0", 0.0),
            ("2.98023223876953125e-8", 0.0),
            ("2.98023223876953126e-8", 5.960_464_5e-8),
        ] {
            assert_eq!(to_float16(of_text(text).unwrap()), half, "{text}");
        }
        assert_eq!(to_float16(of_double(1.000_488_281_250_000_2)), 1.000_976_6);
        assert_eq!(
            to_bfloat16(of_text("1.00390625000000000001").unwrap()),
            1.007_812_5
        );
    }

    proptest! {
        #[test]
        fn a_double_and_its_text_are_the_same_number(number: f64) {
            prop_assume!(!number.is_nan());
            let text = format!("{number:.800e}");
            prop_assert_eq!(of_text(&text).unwrap().to_bits(), of_double(number).to_bits());
        }

        /// Single numbers and halves are numbers that need no neighbour.
        #[test]
        fn a_single_number_stands_for_itself(bits: u32) {
            let single = f32::from_bits(bits);
            prop_assume!(!single.is_nan());
            prop_assert_eq!(of_double(single.into()).to_bits(), bits);
        }
    }
}
