//! `--assert`: what a load has to keep, such as `p99<50ms`.

use std::time::Duration;

use serde_json::{Value, json};

use super::recorder::{PERCENTILES, Recorder};
use crate::argument_values::duration;
use crate::commands::figures;

/// What one figure of a load has to be.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Assertion {
    text: String,
    figure: Figure,
    comparison: Comparison,
    bound: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Figure {
    /// A percentile by its share, in nanoseconds.
    Percentile(f64),
    Mean,
    /// Answers a second.
    Throughput,
    /// Requests that were not answered.
    Failed,
    /// The same in percent of those that were due.
    FailedShare,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Comparison {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

const COMPARISONS: [(&str, Comparison); 4] = [
    // The longer ones first, because the shorter ones begin them.
    ("<=", Comparison::LessOrEqual),
    (">=", Comparison::GreaterOrEqual),
    ("<", Comparison::Less),
    (">", Comparison::Greater),
];

/// What came of an assertion.
pub(super) struct Checked {
    text: String,
    pub(super) held: bool,
    /// What the figure is; none where nothing was answered.
    found: Option<String>,
}

impl Assertion {
    /// Reads `FIGURE<VALUE`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let expected = || {
            "expected such as p99<50ms, mean<=2ms, throughput>1000 or failed<1%: one of mean, p50, \
             p90, p95, p99, p99.9, max, throughput and failed; one of <, <=, > and >=; and a value"
                .to_owned()
        };
        let operator = COMPARISONS
            .iter()
            .find_map(|(operator, comparison)| Some((text.split_once(operator)?, *comparison)));
        let ((name, value), comparison) = operator.ok_or_else(expected)?;
        let (name, value) = (name.trim(), value.trim());
        let percentile = PERCENTILES.iter().find(|(_, known)| *known == name);
        let number = |text: &str| {
            let number = text.trim().parse::<f64>().ok();
            number
                .filter(|number| number.is_finite())
                .ok_or_else(expected)
        };
        let time = |value: &str| Ok::<_, String>(duration(value)?.as_nanos() as f64);
        let (figure, bound) = match (name, percentile, value.strip_suffix('%')) {
            (_, Some((share, _)), _) => (Figure::Percentile(*share), time(value)?),
            ("mean", ..) => (Figure::Mean, time(value)?),
            ("throughput", ..) => (Figure::Throughput, number(value)?),
            ("failed", _, Some(share)) => (Figure::FailedShare, number(share)?),
            ("failed", ..) => (Figure::Failed, number(value)?),
            _ => return Err(expected()),
        };
        let text = text.to_owned();
        Ok(Self {
            text,
            figure,
            comparison,
            bound,
        })
    }

    /// Whether it is about requests that fail, so that it says how many may.
    pub(super) fn is_of_failures(&self) -> bool {
        matches!(self.figure, Figure::Failed | Figure::FailedShare)
    }

    pub(super) fn check(&self, recorder: &Recorder) -> Checked {
        let failed = (recorder.failed + recorder.unanswered()) as f64;
        let answered = !recorder.latency.is_empty();
        let found = match self.figure {
            Figure::Percentile(share) => {
                answered.then(|| recorder.latency.value_at_quantile(share) as f64)
            }
            Figure::Mean => answered.then(|| recorder.latency.mean()),
            Figure::Throughput => Some(recorder.throughput()),
            Figure::Failed => Some(failed),
            Figure::FailedShare => Some(failed * 100.0 / recorder.due().max(1) as f64),
        };
        let shown = |value: f64| match self.figure {
            Figure::Percentile(_) | Figure::Mean => {
                figures::duration(Duration::from_nanos(value as u64))
            }
            Figure::Throughput => format!("{} requests/s", figures::rate(value)),
            Figure::Failed => format!("{value}"),
            Figure::FailedShare => format!("{value:.2}%"),
        };
        let held = found.is_some_and(|found| match self.comparison {
            Comparison::Less => found < self.bound,
            Comparison::LessOrEqual => found <= self.bound,
            Comparison::Greater => found > self.bound,
            Comparison::GreaterOrEqual => found >= self.bound,
        });
        Checked {
            text: self.text.clone(),
            held,
            found: found.map(shown),
        }
    }
}

impl Checked {
    /// As a line for people.
    pub(super) fn line(&self) -> String {
        let word = if self.held { "held" } else { "NOT HELD" };
        match &self.found {
            Some(found) => format!("assert {}: {word}, it is {found}", self.text),
            None => format!("assert {}: {word}, no request was answered", self.text),
        }
    }

    pub(super) fn to_json(&self) -> Value {
        json!({"assertion": self.text, "held": self.held, "found": self.found})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_and_units_are_read() {
        let read = |text| Assertion::parse(text).map(|it| (it.figure, it.comparison, it.bound));
        assert_eq!(
            read("p99<50ms"),
            Ok((Figure::Percentile(0.99), Comparison::Less, 50e6))
        );
        assert_eq!(
            read(" p99.9 >= 1 s"),
            Ok((Figure::Percentile(0.999), Comparison::GreaterOrEqual, 1e9))
        );
        assert_eq!(
            read("throughput>1e3"),
            Ok((Figure::Throughput, Comparison::Greater, 1e3))
        );
        assert_eq!(
            read("failed <= 0"),
            Ok((Figure::Failed, Comparison::LessOrEqual, 0.0))
        );
        assert_eq!(
            read("failed<1%"),
            Ok((Figure::FailedShare, Comparison::Less, 1.0))
        );
        for text in [
            "",
            "p99",
            "p98<1ms",
            "p99<50",
            "p99=1ms",
            "throughput<1ms",
            "failed<nan",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
