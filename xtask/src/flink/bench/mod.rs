//! What it costs to ask a model from Flink SQL: the same rows through Flink and from Rust alone,
//! one after the other in the same minutes, because a machine is never as fast as the day before.

mod memory;
mod work;

use anyhow::{Result, bail};

use super::Flink;
use super::statements::{IN_FLIGHT, OPTIONS};
use super::testbed::Testbed;
use memory::Samples;
use work::{Cost, Work};

/// The least that says something: starting a job takes about as long as so many rows.
const FEWEST_ROWS: u64 = 10_000;

/// Java compiles what it runs often, so the first rows are slower than all later ones.
const ROWS_TO_WARM_UP: u64 = 300_000;

pub(super) fn run(flink: &Flink, rows: u64, pairs: usize) -> Result<()> {
    if rows < FEWEST_ROWS || u32::try_from(rows).is_err() {
        bail!(
            "'--rows {rows}': expected a number from {FEWEST_ROWS} to {}",
            u32::MAX
        );
    }
    if pairs == 0 {
        bail!("'--pairs 0': expected at least 1");
    }
    let jars = flink.build(true)?;
    let testbed = Testbed::start(flink, "bench", Some(jars.provider), &[], &[])?;
    let options = OPTIONS.map(|(key, value)| format!("'{key}' = '{value}'"));
    println!(
        "{rows} rows to 4 subtasks, each with {IN_FLIGHT} in flight; {}",
        options.join(", ")
    );
    for work in Work::ALL {
        work.run(&testbed, rows.min(ROWS_TO_WARM_UP), |_| Ok(()))?;
    }
    let mut measured = Vec::new();
    for pair in 1..=pairs {
        println!("\npair {pair}: {}", work::HEAD);
        let (costs, memory) = run_all(&testbed, rows, pair % 2 == 0)?;
        for (work, cost) in Work::ALL.iter().zip(&costs) {
            println!("  {:<38} {cost}", work.name());
        }
        println!("  {}", comparison(&costs));
        for line in memory {
            println!("  {line}");
        }
        measured.push(costs);
    }
    println!("\nmedian (lowest to highest) of {pairs}: {}", work::HEAD);
    for (index, work) in Work::ALL.iter().enumerate() {
        let of = |value: fn(&Cost) -> f64| spread(&measured, |costs| value(&costs[index]));
        println!(
            "  {:<38} {} rows/s, {} CPU s",
            work.name(),
            of(|cost| cost.rows_per_second).show(0),
            of(|cost| cost.processor_seconds).show(2),
        );
    }
    for share in Share::ALL {
        let spread = spread(&measured, |costs| share.of(costs));
        println!("  {:<38} {}", share.name(), spread.show(share.digits()));
    }
    Ok(())
}

/// Every kind of work once, and how memory went while the provider worked.
fn run_all(testbed: &Testbed<'_>, rows: u64, backwards: bool) -> Result<([Cost; 4], Vec<String>)> {
    let mut costs = [Cost::default(); 4];
    let mut memory = Vec::new();
    let mut order = [0, 1, 2, 3];
    if backwards {
        order.reverse();
    }
    for index in order {
        let work = Work::ALL[index];
        costs[index] = if work == Work::FlinkAndProvider {
            let mut samples = Samples::begin(testbed, rows)?;
            let cost = work.run(testbed, rows, |testbed| samples.take(testbed))?;
            memory = samples.end()?;
            cost
        } else {
            work.run(testbed, rows, |_| Ok(()))?
        };
    }
    Ok((costs, memory))
}

/// What the processor time of the clients says, compared with that of Rust alone.
#[derive(Clone, Copy)]
enum Share {
    Speed,
    All,
    Rows,
    Operator,
    Provider,
}

impl Share {
    const ALL: [Share; 5] = [
        Share::Speed,
        Share::All,
        Share::Rows,
        Share::Operator,
        Share::Provider,
    ];

    fn name(self) -> &'static str {
        match self {
            Share::Speed => "speed, Rust alone being 1",
            Share::All => "CPU of Flink and JNI, % of Rust alone",
            Share::Rows => "  of it rows through Flink",
            Share::Operator => "  of it ML_PREDICT itself",
            Share::Provider => "  of it JNI and the provider",
        }
    }

    fn digits(self) -> usize {
        match self {
            Share::Speed => 2,
            _ => 0,
        }
    }

    fn of(self, costs: &[Cost; 4]) -> f64 {
        let [rust, rows, java, provider] = costs;
        let cpu = |cost: &Cost| cost.processor_seconds;
        let more = match self {
            Share::Speed => return provider.rows_per_second / rust.rows_per_second,
            Share::All => cpu(provider) - cpu(rust),
            Share::Rows => cpu(rows),
            Share::Operator => cpu(java) - cpu(rows),
            Share::Provider => cpu(provider) - cpu(java) - cpu(rust),
        };
        100.0 * more / cpu(rust)
    }
}

fn comparison(costs: &[Cost; 4]) -> String {
    let shares = Share::ALL.map(|share| {
        let (name, value) = (share.name().trim(), share.of(costs));
        format!("{name}: {value:.*}", share.digits())
    });
    shares.join("; ")
}

struct Spread {
    lowest: f64,
    median: f64,
    highest: f64,
}

impl Spread {
    fn show(&self, digits: usize) -> String {
        format!(
            "{:.digits$} ({:.digits$} to {:.digits$})",
            self.median, self.lowest, self.highest
        )
    }
}

/// Of an even number of values the median is the upper one of the middle.
fn spread(measured: &[[Cost; 4]], value: impl Fn(&[Cost; 4]) -> f64) -> Spread {
    let mut values: Vec<_> = measured.iter().map(value).collect();
    values.sort_by(f64::total_cmp);
    Spread {
        lowest: values[0],
        median: values[values.len() / 2],
        highest: values[values.len() - 1],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(processor_seconds: f64) -> Cost {
        Cost {
            rows_per_second: 100.0 / processor_seconds,
            processor_seconds,
            rows_per_request: 0.0,
        }
    }

    #[test]
    fn the_parts_add_up() {
        let costs = [4.0, 1.0, 3.0, 8.0].map(cost);
        let shares = Share::ALL.map(|share| share.of(&costs));
        assert_eq!(shares, [0.5, 100.0, 25.0, 50.0, 25.0]);
    }

    #[test]
    fn a_median_lies_between_the_extremes() {
        let measured = [3.0, 9.0, 1.0].map(|seconds| [seconds; 4].map(cost));
        let spread = spread(&measured, |costs| costs[0].processor_seconds);
        assert_eq!(spread.show(1), "3.0 (1.0 to 9.0)");
    }
}
