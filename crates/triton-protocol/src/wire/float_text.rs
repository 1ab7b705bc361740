//! Numbers in JSON as floats: the elements of most tensors.
//!
//! A general parser must decide each number to the last bit of a double, for which the sixteen
//! and more digits that servers write take it a hundred instructions. An FP32 needs half of the
//! bits, and whether the rest could matter can be seen. What is not certain is left to the
//! general parser.

/// A number by the grammar of JSON: `digits * 10^exponent`.
pub(super) struct NumberText {
    is_negative: bool,
    digits: u64,
    exponent: i32,
    /// Whether `digits` has all of them.
    is_whole: bool,
    /// How many bytes it takes in the text.
    pub(super) length: usize,
}

/// The most decimal digits that any `u64` can hold.
const MOST_DIGITS: usize = 19;

impl NumberText {
    /// The number that `text` opens with.
    pub(super) fn read(text: &[u8]) -> Option<Self> {
        let is_negative = text.first() == Some(&b'-');
        let start = usize::from(is_negative);
        let mut digits = 0;
        let mut length = digits_from(text, start, &mut digits);
        let mut count = length - start;
        if count == 0 || (count > 1 && text[start] == b'0') {
            return None;
        }
        let mut exponent = 0;
        if text.get(length) == Some(&b'.') {
            let end = digits_from(text, length + 1, &mut digits);
            let fraction = end - (length + 1);
            if fraction == 0 {
                return None;
            }
            exponent = -i32::try_from(fraction).ok()?;
            count += fraction;
            length = end;
        }
        if count > MOST_DIGITS {
            let zeros = text[start..].iter().filter(|byte| **byte != b'.');
            count -= zeros.take_while(|byte| **byte == b'0').count().min(count);
        }
        if matches!(text.get(length), Some(b'e' | b'E')) {
            let is_signed = matches!(text.get(length + 1), Some(b'+' | b'-'));
            let from = length + 1 + usize::from(is_signed);
            let mut value = 0;
            let end = digits_from(text, from, &mut value);
            // So large an exponent is left to the general parser, and must not have wrapped.
            let value = i32::try_from(value).ok().filter(|_| end - from <= 9);
            let value = value.unwrap_or(i32::MAX / 2);
            let is_negative = text.get(length + 1) == Some(&b'-');
            exponent = exponent.saturating_add(if is_negative { -value } else { value });
            length = (end > from).then_some(end)?;
        }
        Some(Self {
            is_negative,
            digits,
            exponent,
            is_whole: count <= MOST_DIGITS,
            length,
        })
    }

    /// The digits times the power of ten, in doubles: off by at most the rounding of the digits
    /// and that of one operation.
    fn product(&self) -> Option<f64> {
        let power = POWERS.get(usize::try_from(self.exponent.unsigned_abs()).ok()?)?;
        let product = match self.exponent < 0 {
            true => self.digits as f64 / power,
            false => self.digits as f64 * power,
        };
        let product = if self.is_negative { -product } else { product };
        self.is_whole.then_some(product)
    }
}

/// The powers of ten that a double has exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// Reads digits from a place on, and says where they end. More than fit are wrong in `value`.
fn digits_from(text: &[u8], from: usize, value: &mut u64) -> usize {
    const ZEROS: u64 = u64::from_le_bytes(*b"00000000");
    let mut end = from;
    while let Some(eight) = text.get(end..).and_then(<[u8]>::first_chunk::<8>) {
        let bytes = u64::from_le_bytes(*eight).wrapping_sub(ZEROS);
        // A byte above nine shows in its upper half, at once or with six more; the subtraction
        // borrows from the next byte only where it leaves such a one.
        if (bytes | bytes.wrapping_add(0x0606_0606_0606_0606)) & 0xf0f0_f0f0_f0f0_f0f0 != 0 {
            break;
        }
        // Pairs of digits, then pairs of those, then the halves; the first digit is the lowest.
        let pairs = bytes.wrapping_mul(10).wrapping_add(bytes >> 8) & 0x00ff_00ff_00ff_00ff;
        let fours = pairs.wrapping_mul(100).wrapping_add(pairs >> 16) & 0x0000_ffff_0000_ffff;
        let number = (fours.wrapping_mul(10_000).wrapping_add(fours >> 32)) & 0xffff_ffff;
        *value = value.wrapping_mul(100_000_000).wrapping_add(number);
        end += 8;
    }
    while let Some(digit) = text.get(end).filter(|byte| byte.is_ascii_digit()) {
        *value = value.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
        end += 1;
    }
    end
}

/// A float that can be read from a number.
pub(super) trait Float: fast_float2::FastFloat {
    /// The nearest one, where that is certain at once.
    fn at_once(number: &NumberText) -> Option<Self>;

    /// The nearest one to a double.
    fn of(value: f64) -> Self;

    fn is_finite(self) -> bool;
}

impl Float for f32 {
    fn at_once(number: &NumberText) -> Option<Self> {
        /// The bits that a double has more, and the least of those in the middle.
        const MORE: u64 = (1 << 29) - 1;
        const MIDDLE: u64 = 1 << 28;
        let product = number.product()?;
        let is_in_range =
            (f64::from(f32::MIN_POSITIVE)..=f64::from(f32::MAX)).contains(&product.abs());
        // It may be off by two units, which matters only next to the middle between two floats.
        let is_certain = (product.to_bits() & MORE).abs_diff(MIDDLE) > 4;
        (number.digits == 0 || (is_in_range && is_certain)).then_some(product as f32)
    }

    fn of(value: f64) -> Self {
        value as f32
    }

    fn is_finite(self) -> bool {
        f32::is_finite(self)
    }
}

impl Float for f64 {
    fn at_once(number: &NumberText) -> Option<Self> {
        // Then the product is the result of a single rounding.
        let is_exact = number.digits <= 1 << f64::MANTISSA_DIGITS;
        number.product().filter(|_| is_exact)
    }

    fn of(value: f64) -> Self {
        value
    }

    fn is_finite(self) -> bool {
        f64::is_finite(self)
    }
}

/// The nearest float to the number that `text` opens with, and the number's length.
///
/// A number beyond every float is none: a server that computes in doubles and calls them FP32 may
/// write one, and infinity would be another value. Infinity itself has words of its own.
pub(super) fn read<F: Float>(text: &[u8]) -> Option<(F, usize)> {
    let number = NumberText::read(text)?;
    let value = F::at_once(&number).or_else(|| slowly(&text[..number.length]))?;
    Some((value, number.length))
}

#[cold]
fn slowly<F: Float>(number: &[u8]) -> Option<F> {
    let value: F = fast_float2::parse(number).ok()?;
    value.is_finite().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<F: Float + std::str::FromStr + PartialEq + std::fmt::Debug>(text: &str) {
        let expected = text.parse::<F>().ok().filter(|value| value.is_finite());
        let found = read::<F>(format!("{text},").as_bytes());
        assert_eq!(found, expected.map(|value| (value, text.len())), "{text}");
    }

    #[test]
    fn numbers_are_read_as_the_standard_library_reads_them() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        for _ in 0..20_000 {
            let bits = random();
            let float = f32::from_bits(bits as u32 & 0x7f7f_ffff);
            // As servers write it: the shortest text of its double.
            let text = format!("{:?}", f64::from(float));
            check::<f32>(&text);
            check::<f64>(&text);
            check::<f32>(&format!("-{float}"));
            // In the middle between two floats, and next to it on either side.
            let next = f32::from_bits(float.to_bits() + 1);
            let middle = f64::midpoint(f64::from(float), f64::from(next));
            for near in [middle.next_down(), middle, middle.next_up()] {
                check::<f32>(&format!("{near:e}"));
                check::<f32>(&format!("{near:.25e}"));
            }
            // Any digits at all.
            let digits = random().to_string();
            let (whole, fraction) =
                digits.split_at(1 + usize::from(bits as u8) % (digits.len() - 1));
            let exponent = i64::from((bits >> 8) as u8) - 128;
            for text in [
                format!("{whole}.{fraction}"),
                format!("{whole}.{fraction}e{exponent}"),
            ] {
                if !text.starts_with("0") {
                    check::<f32>(&text);
                    check::<f64>(&text);
                }
                check::<f32>(&format!(
                    "0.{:0>1$}{whole}",
                    "",
                    usize::from(bits as u8) % 30
                ));
            }
        }
    }

    #[test]
    fn the_grammar_is_that_of_json() {
        for text in [
            "", "-", "+1", "01", "-01", ".5", "5.", "-.5", "1.e3", "1e", "1e+", "inf", "NaN", ":",
            "/",
        ] {
            assert!(read::<f64>(text.as_bytes()).is_none(), "{text}");
        }
        for text in [
            "0",
            "-0",
            "0.0",
            "-0.0e0",
            "10",
            "1E2",
            "1e+2",
            "1e-2",
            "12345678",
            "123456789.12345678",
            "0e99999999999999999999",
        ] {
            check::<f64>(text);
            check::<f32>(text);
        }
        for text in ["1e400", "-1e400", "1e99999999999999999999"] {
            assert!(read::<f64>(text.as_bytes()).is_none(), "{text}");
            assert!(read::<f32>(text.as_bytes()).is_none(), "{text}");
        }
        assert_eq!(read::<f32>(b"1e39]"), None);
        assert_eq!(read::<f32>(b"3.4028235e38]"), Some((f32::MAX, 12)));
        // Rounds down to the largest one.
        assert_eq!(read::<f32>(b"3.4028235677e38]"), Some((f32::MAX, 15)));
        assert_eq!(read::<f64>(b"1:234567"), Some((1.0, 1)));
        assert_eq!(read::<f64>(b"12345678/"), Some((12_345_678.0, 8)));
    }
}
