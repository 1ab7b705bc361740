//! How the cost of a row grows with what there is more of: points that were measured, and the curve
//! that they should lie on.

use std::path::Path;

use anyhow::Result;

use super::peers::PythonPeers;
use super::predict::{Cost, Triton};
use super::work::{Form, Work};
use crate::interrupt;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Growth {
    Rows,
    Batch,
    Keys,
    Elements,
    Columns,
    InFlight,
}

pub(super) const ALL: [Growth; 6] = [
    Growth::Rows,
    Growth::Batch,
    Growth::Keys,
    Growth::Elements,
    Growth::Columns,
    Growth::InFlight,
];

/// Points of one growth, in microseconds a row.
pub(super) struct Curve {
    pub(super) title: &'static str,
    pub(super) expected_as: String,
    /// How much there was, what was measured, and what was expected.
    pub(super) points: Vec<(f64, f64, f64)>,
}

/// A point is measured so often, and the one in the middle counts.
const PASSES: usize = 3;

/// Processor time is counted in hundredths of a second: a point of fewer is of several runs.
const LEAST_SECONDS: f64 = 0.4;
const MOST_RUNS: usize = 20;

impl Growth {
    pub(super) fn name(self) -> &'static str {
        match self {
            Growth::Rows => "rows",
            Growth::Batch => "batch",
            Growth::Keys => "keys",
            Growth::Elements => "elements",
            Growth::Columns => "columns",
            Growth::InFlight => "in-flight",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Growth::Rows => "Rows of a CSV file",
            Growth::Batch => "Rows of a request, CSV",
            Growth::Keys => "Keys of a CSV file, at most 200 open at once",
            Growth::Elements => "Floats of a row, Parquet",
            Growth::Columns => "Columns of the model, CSV",
            Growth::InFlight => "Requests in flight, one row each",
        }
    }

    /// How much there is, and the work with so much.
    fn works(self, large: bool) -> Vec<(usize, Work)> {
        let most = |small: usize, larger: usize| if large { larger } else { small };
        let powers = |base: usize, from: usize, to: usize| {
            std::iter::successors(Some(from), move |size| Some(size * base))
                .take_while(move |size| *size <= to)
        };
        let default = Work {
            name: self.name(),
            ..Work::DEFAULT
        };
        let work = |size: usize| match self {
            Growth::Rows => Work {
                rows: size,
                ..default
            },
            Growth::Batch => Work {
                rows: if size < 16 { 20_000 } else { 200_000 },
                batch: size,
                ..default
            },
            Growth::Keys => Work {
                rows: (4 * size).max(20_000),
                keys: size,
                batch: 1,
                in_flight: 256,
                ..default
            },
            Growth::Elements => Work {
                form: Form::Parquet,
                rows: (4_000_000 / size).clamp(4, 200_000),
                elements: size,
                batch: (2_000_000 / size).clamp(1, 4096),
                ..default
            },
            Growth::Columns => Work {
                rows: 400_000 / size.max(4),
                columns: size,
                batch: 1024,
                ..default
            },
            Growth::InFlight => Work {
                rows: 20_000,
                batch: 1,
                in_flight: size,
                ..default
            },
        };
        let sizes: Vec<usize> = match self {
            Growth::Rows => powers(10, 1_000, most(1_000_000, 10_000_000)).collect(),
            Growth::Batch => powers(4, 1, 16_384).collect(),
            Growth::Keys => powers(10, 100, most(10_000, 1_000_000)).collect(),
            Growth::Elements => powers(10, 1, 1_000_000).collect(),
            Growth::Columns => powers(4, 1, 256).collect(),
            Growth::InFlight => powers(4, 1, 1_024).collect(),
        };
        sizes.into_iter().map(|size| (size, work(size))).collect()
    }

    pub(super) fn measure(
        self,
        triton: &Triton,
        folder: &Path,
        python: &mut PythonPeers,
        large: bool,
    ) -> Result<Curve> {
        let mut points = Vec::new();
        for (size, work) in self.works(large) {
            let input = super::input(folder, &work, python)?;
            points.push((size, work, input, Vec::new()));
        }
        for pass in 1..=PASSES {
            eprint!("\rgrowth of {}: pass {pass} of {PASSES} ", self.name());
            for (_, work, input, costs) in &mut points {
                costs.push(self.point(triton, work, input, pass == 1)?);
            }
            points.reverse();
        }
        eprintln!();
        points.sort_by_key(|(size, ..)| *size);
        let measured: Vec<_> = points
            .into_iter()
            .map(|(size, work, _, mut costs)| {
                costs.sort_by(f64::total_cmp);
                (size as f64, work, costs[costs.len() / 2])
            })
            .collect();
        let start = match self {
            Growth::Rows => self.start(triton, folder, python)?,
            _ => 0.0,
        };
        Ok(self.curve(&measured, start))
    }

    /// Microseconds a row, of as many runs as it takes.
    fn point(self, triton: &Triton, work: &Work, input: &Path, checks: bool) -> Result<f64> {
        let mut whole = Cost::default();
        for run in 0..MOST_RUNS {
            interrupt::check()?;
            let cost = triton.run(work, input, checks && run == 0)?;
            whole.seconds += cost.seconds;
            whole.rows += cost.rows;
            if whole.seconds >= LEAST_SECONDS {
                break;
            }
        }
        Ok(whole.microseconds_a_row())
    }

    /// What a run takes that has nearly nothing to do, in microseconds.
    fn start(self, triton: &Triton, folder: &Path, python: &mut PythonPeers) -> Result<f64> {
        let work = Work {
            name: self.name(),
            rows: 1,
            ..Work::DEFAULT
        };
        let input = super::input(folder, &work, python)?;
        self.point(triton, &work, &input, true)
    }

    fn curve(self, measured: &[(f64, Work, f64)], start: f64) -> Curve {
        let [first, last] = [measured[0], measured[measured.len() - 1]];
        // Through both ends: so much for a row, and so much for each further part of it.
        let each = (last.2 - first.2) / (last.0 - first.0);
        let row = first.2 - each * first.0;
        let (first, last) = (first.2, last.2);
        let (expected, expected_as): (Box<dyn Fn(f64) -> f64>, String) = match self {
            Growth::Rows => (
                Box::new(move |size| last + start / size),
                format!(
                    "{last:.2} µs a row, and {:.0} ms for the start",
                    start / 1e3
                ),
            ),
            Growth::Batch => (
                Box::new(move |size| last + (first - last) / size),
                format!("{last:.2} µs a row, and {:.0} µs a request", first - last),
            ),
            Growth::Elements | Growth::Columns => (
                Box::new(move |size| row + each * size),
                format!("{row:.2} µs a row, and {:.1} ns for each", 1e3 * each),
            ),
            Growth::Keys => (
                Box::new(move |_| first),
                "the same for any number".to_owned(),
            ),
            Growth::InFlight => {
                let middle = measured[measured.len() / 2].2;
                (
                    Box::new(move |_| middle),
                    "the same for any number".to_owned(),
                )
            }
        };
        let points = measured
            .iter()
            .map(|(size, _, measured)| (*size, *measured, expected(*size)));
        Curve {
            title: self.title(),
            expected_as,
            points: points.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_that_grows_as_expected_lies_on_its_curve() {
        let measured = [1.0, 10.0, 100.0].map(|size| (size, Work::DEFAULT, 5.0 + 0.5 * size));
        let curve = Growth::Columns.curve(&measured, 0.0);
        for (_, measured, expected) in curve.points {
            assert!((measured - expected).abs() < 1e-9);
        }
        assert_eq!(curve.expected_as, "5.00 µs a row, and 500.0 ns for each");
    }
}
