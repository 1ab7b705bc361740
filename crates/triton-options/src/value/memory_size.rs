//! Numbers of bytes in the grammar of Flink, so that a WITH clause means the same in both worlds.

use super::{InvalidValue, OptionValue};

/// The unit that documentation writes, its bytes, and every spelling a user may choose.
const UNITS: &[(&str, u64, &[&str])] = &[
    ("tb", 1 << 40, &["tb", "t", "tebibytes"]),
    ("gb", 1 << 30, &["gb", "g", "gibibytes"]),
    ("mb", 1 << 20, &["mb", "m", "mebibytes"]),
    ("kb", 1 << 10, &["kb", "k", "kibibytes"]),
    ("b", 1, &["b", "bytes"]),
];

/// A number of bytes, at least one; units are powers of 1024, as in Flink.
///
/// ```
/// use triton_options::{MemorySize, OptionValue};
///
/// assert_eq!(MemorySize::parse("64mb")?.bytes(), 64 * 1024 * 1024);
/// # Ok::<(), triton_options::InvalidValue>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemorySize(u64);

impl MemorySize {
    /// How many bytes they are.
    #[must_use]
    pub fn bytes(self) -> u64 {
        self.0
    }
}

impl OptionValue for MemorySize {
    const TYPE_NAME: &'static str = "MemorySize";
    const EXPECTED: &'static str = "a size of memory such as '64 mb' or '1 gb'";
    const UNIT_IN_FLINK: Option<&'static str> = Some("b");

    fn parse(text: &str) -> Result<Self, InvalidValue> {
        let expected = |expected: String| InvalidValue { expected };
        let text = text.trim();
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = text.split_at(digits);
        let unit = unit.trim_start().to_lowercase();
        if unit.is_empty() && !number.is_empty() {
            if number.trim_matches('0').is_empty() {
                return Err(expected(format!("{}, and not zero", Self::EXPECTED)));
            }
            return Err(expected(format!(
                "a size of memory with its unit: '{number} mb' or '{number} b'"
            )));
        }
        let unit = UNITS
            .iter()
            .find(|(_, _, spellings)| spellings.contains(&unit.as_str()));
        let size = match (unit, number.is_empty()) {
            (Some((_, bytes, _)), false) => number
                .parse()
                .ok()
                .and_then(|number: u64| number.checked_mul(*bytes)),
            _ => None,
        };
        match size {
            Some(bytes) if bytes > 0 => Ok(Self(bytes)),
            Some(_) => Err(expected(format!("{}, and not zero", Self::EXPECTED))),
            None => Err(expected(Self::EXPECTED.to_owned())),
        }
    }

    fn canonical(&self) -> String {
        let largest = UNITS
            .iter()
            .find(|(_, unit, _)| self.0.is_multiple_of(*unit));
        // The last unit divides all numbers.
        let (name, unit) = largest.map_or(("b", 1), |(name, unit, _)| (*name, *unit));
        format!("{} {name}", self.0 / unit)
    }
}

/// A number of bytes of which 0 means none at all; units as [`MemorySize`] has them.
///
/// ```
/// use triton_options::{MemoryLimit, OptionValue};
///
/// assert_eq!(MemoryLimit::parse("1 gb")?.bytes(), 1 << 30);
/// assert_eq!(MemoryLimit::parse("0")?.bytes(), 0);
/// # Ok::<(), triton_options::InvalidValue>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemoryLimit(u64);

impl MemoryLimit {
    /// How many bytes they are.
    #[must_use]
    pub fn bytes(self) -> u64 {
        self.0
    }
}

impl OptionValue for MemoryLimit {
    const TYPE_NAME: &'static str = "MemorySize";
    const EXPECTED: &'static str = "a size of memory such as '64 mb' or '1 gb', or '0' for none";
    const UNIT_IN_FLINK: Option<&'static str> = MemorySize::UNIT_IN_FLINK;

    fn parse(text: &str) -> Result<Self, InvalidValue> {
        let number = text.trim().trim_start_matches('0');
        let is_zero = number.len() < text.trim().len()
            && (number.is_empty()
                || UNITS.iter().any(|(_, _, spellings)| {
                    spellings.contains(&number.trim().to_lowercase().as_str())
                }));
        if is_zero {
            return Ok(Self(0));
        }
        let size = MemorySize::parse(text).map_err(|invalid| match invalid.expected {
            expected if expected == MemorySize::EXPECTED => InvalidValue::new(Self::EXPECTED),
            expected => InvalidValue { expected },
        })?;
        Ok(Self(size.bytes()))
    }

    fn canonical(&self) -> String {
        match self.0 {
            0 => "0 b".to_owned(),
            bytes => MemorySize(bytes).canonical(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read_long_and_short_and_written_as_the_largest() {
        for (text, bytes, canonical) in [
            ("1 b", 1, "1 b"),
            ("2048bytes", 2048, "2 kb"),
            ("256mb", 256 << 20, "256 mb"),
            (" 3 MebiBytes ", 3 << 20, "3 mb"),
            ("1024 g", 1 << 40, "1 tb"),
            ("1500 k", 1500 << 10, "1500 kb"),
        ] {
            let size = MemorySize::parse(text).unwrap();
            assert_eq!(
                (size.bytes(), size.canonical().as_str()),
                (bytes, canonical)
            );
            assert_eq!(MemorySize::parse(canonical), Ok(size));
        }
        for text in ["", "mb", "0 b", "-1 b", "1.5 mb", "1 mib", "99999999999 tb"] {
            assert!(MemorySize::parse(text).is_err(), "{text:?}");
        }
        for text in ["0", "0 mb"] {
            let invalid = MemorySize::parse(text).unwrap_err().to_string();
            assert_eq!(
                invalid,
                "expected a size of memory such as '64 mb' or '1 gb', and not zero"
            );
        }
        insta::assert_snapshot!(MemorySize::parse("256").unwrap_err(), @"expected a size of memory with its unit: '256 mb' or '256 b'");
    }
}
