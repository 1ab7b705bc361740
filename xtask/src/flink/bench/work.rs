//! The kinds of work that are compared, and the proof that each row of them was answered.

use std::fmt;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::command;
use crate::flink::statements::{Asked, IN_FLIGHT, OPTIONS, Rows, statements};
use crate::flink::testbed::Testbed;
use crate::processor_time;

/// Rust alone takes seconds for a million rows.
const LIMIT: Duration = Duration::from_secs(600);

const MILLION: f64 = 1_000_000.0;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// Four model functions in a program of Rust.
    RustAlone,
    /// The rows pass through Flink, and no model is asked.
    FlinkWithoutModel,
    /// A model in Java, which answers from another thread: what ML_PREDICT needs for itself.
    FlinkAndJava,
    /// The model of Rust alone, through the provider.
    FlinkAndProvider,
}

/// What a kind of work took.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cost {
    pub(super) rows_per_second: f64,
    /// Of all processes that run subtasks, for a million rows. Server and JobManager do not count.
    pub(super) processor_seconds: f64,
    /// 0 where no server is asked.
    pub(super) rows_per_request: f64,
}

/// What a [`Cost`] shows.
pub(super) const HEAD: &str = "rows/s, CPU seconds of the subtasks' processes per million rows";

impl fmt::Display for Cost {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            rows_per_second,
            processor_seconds,
            rows_per_request,
        } = self;
        write!(
            formatter,
            "{rows_per_second:>8.0} rows/s {processor_seconds:>6.2} CPU s"
        )?;
        if *rows_per_request > 0.0 {
            write!(formatter, ", {rows_per_request:.1} rows a request")?;
        }
        Ok(())
    }
}

impl Work {
    pub(super) const ALL: [Work; 4] = [
        Work::RustAlone,
        Work::FlinkWithoutModel,
        Work::FlinkAndJava,
        Work::FlinkAndProvider,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Work::RustAlone => "Rust alone",
            Work::FlinkWithoutModel => "Flink without a model",
            Work::FlinkAndJava => "Flink with a model in Java, no server",
            Work::FlinkAndProvider => "Flink with the provider",
        }
    }

    /// Does the work, and fails unless every row was answered, and right.
    pub(super) fn run(
        self,
        testbed: &Testbed<'_>,
        rows: u64,
        mut watch: impl FnMut(&Testbed<'_>) -> Result<()>,
    ) -> Result<Cost> {
        let before = testbed.server.counts()?;
        let used_before = self.processor_seconds(testbed)?;
        let (right, seconds) = match self {
            Work::RustAlone => rust_alone(testbed, rows)?,
            _ => {
                let endpoint = testbed.server.endpoint();
                let asked = match self {
                    Work::FlinkWithoutModel => Asked::NoModel,
                    Work::FlinkAndJava => Asked::ModelInJava,
                    _ => Asked::ModelAt(&endpoint),
                };
                let job = testbed.run(&statements(rows, &Rows::All, &asked), || watch(testbed))?;
                let right = match &job.result[..] {
                    [.., answered, right] if answered == right => right.parse()?,
                    other => bail!("{}: some rows were answered wrong: {other:?}", self.name()),
                };
                (right, job.seconds)
            }
        };
        let used = self.processor_seconds(testbed)? - used_before;
        let after = testbed.server.counts()?;
        if right != rows {
            bail!("{}: {right} of {rows} rows were answered", self.name());
        }
        let asked = after.rows - before.rows;
        let expected = if self.asks_server() { rows } else { 0 };
        if asked != expected {
            bail!(
                "{}: the server was asked {asked} rows, not {expected}",
                self.name()
            );
        }
        let requests = after.requests - before.requests;
        Ok(Cost {
            rows_per_second: rows as f64 / seconds,
            processor_seconds: used * MILLION / rows as f64,
            rows_per_request: asked as f64 / requests.max(1) as f64,
        })
    }

    fn asks_server(self) -> bool {
        matches!(self, Work::RustAlone | Work::FlinkAndProvider)
    }

    /// Of the processes that run the subtasks, up to now.
    fn processor_seconds(self, testbed: &Testbed<'_>) -> Result<f64> {
        if self == Work::RustAlone {
            return processor_time::processor_seconds_of_children();
        }
        let processes = testbed.cluster.task_managers.iter();
        processes
            .map(|process| processor_time::processor_seconds(*process))
            .sum()
    }
}

/// Returns how many rows were answered right, and the seconds it took.
fn rust_alone(testbed: &Testbed<'_>, rows: u64) -> Result<(u64, f64)> {
    let mut program = Command::new(&testbed.program);
    program
        .arg(testbed.server.endpoint())
        .args([rows.to_string(), IN_FLIGHT.to_string()])
        .args(OPTIONS.map(|(key, value)| format!("{key}={value}")));
    let output = testbed.scratch("rust.txt");
    let printed = command::output_within(&mut program, &output, LIMIT, || Ok(()))?;
    let numbers = printed.trim().split_once(' ');
    let (right, seconds) = numbers.with_context(|| format!("expected two numbers: {printed}"))?;
    Ok((right.parse()?, seconds.parse()?))
}
