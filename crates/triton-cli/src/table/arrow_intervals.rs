//! Intervals of Arrow as text, in the words of PostgreSQL: `1 mons 2 days 3 hours`.
//!
//! They are what the formatter of `arrow-cast` writes, which compiles for as long as all other
//! arrays together and would be here for these three types alone.

use std::fmt::Write as _;

use arrow_array::Array;
use arrow_array::cast::AsArray as _;
use arrow_array::types::{IntervalDayTimeType, IntervalMonthDayNanoType, IntervalYearMonthType};
use arrow_schema::IntervalUnit;

/// The text of an element that is not NULL.
pub(super) fn text(array: &dyn Array, unit: IntervalUnit, index: usize) -> String {
    match unit {
        IntervalUnit::YearMonth => {
            let months = array.as_primitive::<IntervalYearMonthType>().value(index);
            let (years, months) = (months.div_euclid(12), months.rem_euclid(12));
            format!("{years} years {months} mons")
        }
        IntervalUnit::DayTime => {
            let interval = array.as_primitive::<IntervalDayTimeType>().value(index);
            let parts = [(i64::from(interval.days), "days")];
            joined(&parts, i64::from(interval.milliseconds), 3)
        }
        IntervalUnit::MonthDayNano => {
            let interval = array
                .as_primitive::<IntervalMonthDayNanoType>()
                .value(index);
            let parts = [
                (i64::from(interval.months), "mons"),
                (i64::from(interval.days), "days"),
            ];
            joined(&parts, interval.nanoseconds, 9)
        }
    }
}

/// The parts that are not zero, and behind them a time with so many places of a second.
fn joined(parts: &[(i64, &str)], time: i64, places: u32) -> String {
    let unit = 10_i64.pow(places);
    let seconds = time / unit;
    let clock = [(seconds / 3600, "hours"), (seconds / 60 % 60, "mins")];
    let mut text = String::new();
    for (count, name) in parts.iter().chain(&clock) {
        if *count != 0 {
            // Writing to a String cannot fail.
            let _ = write!(text, "{count} {name} ");
        }
    }
    let (seconds, fraction) = (seconds % 60, time % unit);
    if seconds != 0 || fraction != 0 || text.is_empty() {
        let sign = if time < 0 { "-" } else { "" };
        let (seconds, fraction) = (seconds.abs(), fraction.abs());
        let _ = match text.is_empty() && time == 0 {
            true => write!(text, "0 secs"),
            false => write!(
                text,
                "{sign}{seconds}.{fraction:0>width$} secs",
                width = places as usize
            ),
        };
    }
    text.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use arrow_array::{IntervalDayTimeArray, IntervalMonthDayNanoArray, IntervalYearMonthArray};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_interval_is_written_in_the_words_of_postgresql() {
        let months = IntervalYearMonthArray::from(vec![0, 14, -1]);
        let text_of = |index| text(&months, IntervalUnit::YearMonth, index);
        assert_eq!(text_of(0), "0 years 0 mons");
        assert_eq!(text_of(1), "1 years 2 mons");
        assert_eq!(text_of(2), "-1 years 11 mons");

        let day_times = [(0, 0), (2, 0), (-2, -1), (0, 3_661_001), (1, -60_000)];
        for (index, expected) in [
            "0 secs",
            "2 days",
            "-2 days -0.001 secs",
            "1 hours 1 mins 1.001 secs",
            "1 days -1 mins",
        ]
        .into_iter()
        .enumerate()
        {
            let values = day_times
                .map(|(days, milliseconds)| IntervalDayTimeType::make_value(days, milliseconds));
            let array = IntervalDayTimeArray::from(values.to_vec());
            assert_eq!(text(&array, IntervalUnit::DayTime, index), expected);
        }

        let values = [(0, 0, 0), (1, 2, 10_800_000_000_001), (-1, 0, i64::MIN)];
        let values = values.map(|(months, days, nanoseconds)| {
            IntervalMonthDayNanoType::make_value(months, days, nanoseconds)
        });
        let array = IntervalMonthDayNanoArray::from(values.to_vec());
        let text_of = |index| text(&array, IntervalUnit::MonthDayNano, index);
        assert_eq!(text_of(0), "0 secs");
        assert_eq!(text_of(1), "1 mons 2 days 3 hours 0.000000001 secs");
        assert_eq!(
            text_of(2),
            "-1 mons -2562047 hours -47 mins -16.854775808 secs"
        );
    }

    proptest! {
        #[test]
        fn every_interval_is_written_as_arrow_writes_it(
            months in any::<i32>(), days in any::<i32>(), milliseconds in any::<i32>(), time in any::<i64>()
        ) {
            let day_time = IntervalDayTimeType::make_value(days, milliseconds);
            let all = IntervalMonthDayNanoType::make_value(months, days, time);
            let arrays: [(IntervalUnit, &dyn Array); 3] = [
                (IntervalUnit::YearMonth, &IntervalYearMonthArray::from(vec![months])),
                (IntervalUnit::DayTime, &IntervalDayTimeArray::from(vec![day_time])),
                (IntervalUnit::MonthDayNano, &IntervalMonthDayNanoArray::from(vec![all])),
            ];
            for (unit, array) in arrays {
                let theirs = arrow_cast::display::array_value_to_string(array, 0).unwrap();
                prop_assert_eq!(text(array, unit, 0), theirs);
            }
        }
    }
}
