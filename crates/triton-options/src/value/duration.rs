//! Durations in the grammar of Flink, so that a WITH clause means the same in both worlds.
//!
//! A general parser would not do: Flink takes units long and short in any case. It also takes a
//! bare number, as milliseconds; here that number needs a unit, unless it is zero: see
//! [`OptionMap::with_flink_units`](crate::OptionMap::with_flink_units).

use std::time::Duration;

use super::{InvalidValue, OptionValue, invalid};

const NANOS_PER_SECOND: u128 = 1_000_000_000;

/// The unit that documentation writes, its nanoseconds, and every spelling a user may choose.
const UNITS: &[(&str, u128, &[&str])] = &[
    ("d", 86_400 * NANOS_PER_SECOND, &["d", "day", "days"]),
    ("h", 3_600 * NANOS_PER_SECOND, &["h", "hour", "hours"]),
    (
        "min",
        60 * NANOS_PER_SECOND,
        &["min", "m", "minute", "minutes"],
    ),
    (
        "s",
        NANOS_PER_SECOND,
        &["s", "sec", "secs", "second", "seconds"],
    ),
    (
        "ms",
        1_000_000,
        &["ms", "milli", "millis", "millisecond", "milliseconds"],
    ),
    (
        "\u{b5}s",
        1_000,
        &[
            "\u{b5}s",
            "\u{3bc}s",
            "us",
            "micro",
            "micros",
            "microsecond",
            "microseconds",
        ],
    ),
    (
        "ns",
        1,
        &["ns", "nano", "nanos", "nanosecond", "nanoseconds"],
    ),
];

/// A hundred years: more is a slip of the hand, and a clock could not be set so far ahead.
const LONGEST: Duration = Duration::from_secs(36_500 * 86_400);

impl OptionValue for Duration {
    const TYPE_NAME: &'static str = "Duration";
    const EXPECTED: &'static str = "a duration such as '30 s', '100 ms' or '1 min'";
    const UNIT_IN_FLINK: Option<&'static str> = Some("ms");

    fn parse(text: &str) -> Result<Self, InvalidValue> {
        let text = text.trim();
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = text.split_at(digits);
        let unit = unit.trim_start().to_lowercase();
        if unit.is_empty() && !number.is_empty() {
            return match number.trim_matches('0').is_empty() {
                true => Ok(Duration::ZERO),
                false => Err(InvalidValue {
                    expected: format!("a duration with its unit: '{number} s' or '{number} ms'"),
                }),
            };
        }
        let nanos_per_unit = UNITS
            .iter()
            .find(|(_, _, spellings)| spellings.contains(&unit.as_str()))
            .map(|(_, nanos, _)| *nanos);
        let too_long = || InvalidValue {
            expected: format!("{}, no longer than {}", Self::EXPECTED, LONGEST.canonical()),
        };
        match (number.is_empty(), nanos_per_unit) {
            (false, Some(nanos_per_unit)) => {
                let count: u128 = number.parse().map_err(|_| too_long())?;
                let nanos = count.checked_mul(nanos_per_unit).ok_or_else(too_long)?;
                let seconds = u64::try_from(nanos / NANOS_PER_SECOND).map_err(|_| too_long())?;
                let rest = u32::try_from(nanos % NANOS_PER_SECOND).map_err(|_| too_long())?;
                let duration = Duration::new(seconds, rest);
                (duration <= LONGEST)
                    .then_some(duration)
                    .ok_or_else(too_long)
            }
            _ => Err(invalid::<Self>()),
        }
    }

    fn canonical(&self) -> String {
        let nanos = self.as_nanos();
        let largest = UNITS
            .iter()
            .find(|(_, unit, _)| nanos > 0 && nanos.is_multiple_of(*unit));
        match largest {
            Some((name, unit, _)) => format!("{} {name}", nanos / unit),
            None => "0 ms".to_owned(),
        }
    }
}

/// A [`Duration`] longer than zero, for limits that zero would turn into "never".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PositiveDuration(Duration);

impl PositiveDuration {
    /// The duration.
    #[must_use]
    pub fn get(self) -> Duration {
        self.0
    }
}

impl OptionValue for PositiveDuration {
    const TYPE_NAME: &'static str = Duration::TYPE_NAME;
    const EXPECTED: &'static str =
        "a duration longer than zero such as '30 s', '100 ms' or '1 min'";
    const UNIT_IN_FLINK: Option<&'static str> = Duration::UNIT_IN_FLINK;

    fn parse(text: &str) -> Result<Self, InvalidValue> {
        match Duration::parse(text) {
            Ok(duration) if !duration.is_zero() => Ok(Self(duration)),
            Ok(_) => Err(invalid::<Self>()),
            Err(fault) if fault == invalid::<Duration>() => Err(invalid::<Self>()),
            Err(too_long) => Err(too_long),
        }
    }

    fn canonical(&self) -> String {
        self.0.canonical()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read_long_and_short_in_any_case() {
        for (text, millis) in [
            ("30 s", 30_000),
            ("100ms", 100),
            ("1 min", 60_000),
            ("1 M", 60_000),
            ("2 h", 7_200_000),
            ("1 d", 86_400_000),
            ("3 DAYS", 3 * 86_400_000),
            ("  7 ms  ", 7),
            ("5 Seconds", 5_000),
            ("0", 0),
            ("000", 0),
            // The micro sign, and the Greek letter that keyboards and Unicode's normal forms give.
            ("2000 \u{b5}s", 2),
            ("2000 \u{3bc}s", 2),
        ] {
            assert_eq!(
                Duration::parse(text),
                Ok(Duration::from_millis(millis)),
                "{text:?}"
            );
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "s", "-1 s", "1.5 s", "1 fortnight", "1 s 2 ms", "+3 s"] {
            assert!(Duration::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_number_without_a_unit_is_told_both_that_are_likely() {
        let invalid = Duration::parse("3").unwrap_err();
        insta::assert_snapshot!(invalid, @"expected a duration with its unit: '3 s' or '3 ms'");
        assert_eq!(PositiveDuration::parse(" 3 "), Err(invalid));
    }

    #[test]
    fn an_overflow_is_refused() {
        for text in [
            "999999999999999999999 d",
            "18446744073709551616 s",
            "36501 d",
            format!("{} s", "9".repeat(60)).as_str(),
        ] {
            let invalid = Duration::parse(text).expect_err(text);
            assert!(invalid.expected.contains("no longer than"), "{invalid}");
        }
    }

    #[test]
    fn a_positive_duration_is_not_zero() {
        assert!(PositiveDuration::parse("1 ns").is_ok());
        for text in ["0", "0 s", "", "soon"] {
            let expected = invalid::<PositiveDuration>();
            assert_eq!(PositiveDuration::parse(text), Err(expected), "{text:?}");
        }
    }

    #[test]
    fn the_canonical_form_uses_the_largest_whole_unit_and_parses_back() {
        for (millis, text) in [
            (30_000, "30 s"),
            (60_000, "1 min"),
            (1_500, "1500 ms"),
            (0, "0 ms"),
        ] {
            let duration = Duration::from_millis(millis);
            assert_eq!(duration.canonical(), text);
            assert_eq!(Duration::parse(text), Ok(duration));
        }
    }
}
