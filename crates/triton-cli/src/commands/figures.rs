//! Numbers and durations as people read them.

use std::time::Duration;

/// A duration with three digits and the unit that fits: `1.23 ms`.
pub(crate) fn duration(duration: Duration) -> String {
    let nanos = duration.as_nanos() as f64;
    let (value, unit) = match nanos {
        ..1e3 => return format!("{nanos} ns"),
        ..1e6 => (nanos / 1e3, "µs"),
        ..1e9 => (nanos / 1e6, "ms"),
        _ => (nanos / 1e9, "s"),
    };
    let decimals = match value {
        ..10.0 => 2,
        ..100.0 => 1,
        _ => 0,
    };
    format!("{value:.decimals$} {unit}")
}

/// A duration in nanoseconds beside an axis: `2 ms`, and `0` without a unit.
pub(crate) fn mark(nanos: f64) -> String {
    let text = duration(Duration::from_nanos(nanos as u64));
    match text.split_once(' ') {
        Some(("0", _)) => "0".to_owned(),
        Some((value, unit)) if value.contains('.') => {
            format!(
                "{} {unit}",
                value.trim_end_matches('0').trim_end_matches('.')
            )
        }
        _ => text,
    }
}

/// A duration that may be missing, because nothing was measured.
pub(crate) fn optional_duration(value: Option<Duration>) -> String {
    value.map_or_else(|| "-".to_owned(), duration)
}

/// A rate or a mean, with three digits.
pub(crate) fn rate(value: f64) -> String {
    let decimals = match value.abs() {
        0.0 => 0,
        ..10.0 => 2,
        ..100.0 => 1,
        _ => 0,
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_and_a_unit() {
        let shown = |nanos| duration(Duration::from_nanos(nanos));
        assert_eq!(shown(0), "0 ns");
        assert_eq!(shown(999), "999 ns");
        assert_eq!(shown(1_234), "1.23 µs");
        assert_eq!(shown(45_678_000), "45.7 ms");
        assert_eq!(shown(123_456_000_000), "123 s");
        assert_eq!(
            [0.0, 0.5, 12.34, 5678.9].map(rate),
            ["0", "0.50", "12.3", "5679"]
        );
    }
}
