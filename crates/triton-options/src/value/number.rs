//! Numbers, each within the range in which an option takes them.

use std::num::NonZeroU32;

use super::{InvalidValue, OptionValue, invalid};

macro_rules! whole_numbers {
    ($($number:ty, $expected:literal;)+) => {
        $(impl OptionValue for $number {
            const TYPE_NAME: &'static str = "Integer";
            const EXPECTED: &'static str = $expected;

            fn parse(text: &str) -> Result<Self, InvalidValue> {
                whole(text).parse().map_err(|_| invalid::<Self>())
            }

            fn canonical(&self) -> String {
                self.to_string()
            }
        })+
    };
}

whole_numbers! {
    u32, "a whole number from 0 to 4294967295";
    NonZeroU32, "a whole number from 1 to 4294967295";
    u64, "a whole number from 0 to 18446744073709551615";
}

/// A whole number without the `.0` that programs write behind numbers of any kind.
fn whole(text: &str) -> &str {
    let text = text.trim();
    match text.split_once('.') {
        Some((digits, zeros)) if !zeros.is_empty() && zeros.bytes().all(|c| c == b'0') => digits,
        _ => text,
    }
}

/// A share of a whole: more than 0, at most 1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Fraction(f64);

impl Fraction {
    /// The number.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }
}

impl OptionValue for Fraction {
    const TYPE_NAME: &'static str = "Double";
    const EXPECTED: &'static str = "a number above 0 and up to 1, such as '0.5'";

    fn parse(text: &str) -> Result<Self, InvalidValue> {
        match text.trim().parse::<f64>() {
            Ok(number) if number > 0.0 && number <= 1.0 => Ok(Self(number)),
            _ => Err(invalid::<Self>()),
        }
    }

    fn canonical(&self) -> String {
        format!("{:?}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_keep_to_their_range() {
        assert_eq!(u64::parse(" 18446744073709551615 "), Ok(u64::MAX));
        assert!(NonZeroU32::parse("0").is_err());
        assert_eq!((u32::parse("3.0"), u64::parse("3.00")), (Ok(3), Ok(3)));
        for text in [
            "",
            "-1",
            ".0",
            "1.",
            "1.5",
            "1e3",
            "4294967296",
            "0x10",
            "one",
        ] {
            assert!(u32::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_fraction_is_above_zero_and_at_most_one() {
        assert_eq!(Fraction::parse("1").map(Fraction::get), Ok(1.0));
        assert_eq!(
            Fraction::parse("5e-1").map(|fraction| fraction.canonical()),
            Ok("0.5".into())
        );
        for text in ["0", "-0.1", "1.0001", "50%", "NaN", "inf", ""] {
            assert!(Fraction::parse(text).is_err(), "{text:?}");
        }
    }
}
