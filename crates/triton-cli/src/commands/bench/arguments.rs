//! The arguments of `triton bench`.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::{Args, ValueEnum};
use tracing::warn;
use triton_model_fn::ModelFacts;
use triton_options::OptionValue as _;

use super::assertion::Assertion;
use super::sample::FixedShape;
use super::sweep::Range;
use crate::argument_values::{at_least_one, duration};
use crate::completion;
use crate::config_arguments::ConfigArguments;
use crate::disk::Place;
use crate::failure::Failure;

/// How long to send requests before measuring a time.
const WARM_UP: Duration = Duration::from_secs(2);

/// The most requests in flight at once where only a rate is given.
const RATE_CONCURRENCY: u32 = 256;

/// The most requests in flight at once that can be asked for.
const MOST_AT_ONCE: u32 = 65_535;

/// The length of sequences where none is given.
const SEQUENCE_LENGTH: u32 = 20;

/// Measure how fast a model answers.
///
/// Without --rate there are always --concurrency requests in flight: each answer makes room for
/// the next request. With --rate requests are due at that rate, however slowly the server answers,
/// and a latency counts from the moment at which its request was due, so that a stall is not
/// hidden by the requests that it held back.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct BenchArguments {
    /// The model's name.
    #[arg(value_name = "MODEL", add = completion::models())]
    pub(super) model: String,

    /// The requests in flight at once [default: 1]; with --rate the most of them [default: 256].
    ///
    /// Several loads are measured one after the other: 1:32 is 1, 2, 4, 8, 16 and 32, 1:32:4 takes
    /// steps of 4, and 1,10,100 is these three.
    #[arg(long, value_name = "N|FROM:TO", value_parser = counts)]
    pub(super) concurrency: Option<Range>,

    /// Send so many requests a second, whether or not earlier ones are answered.
    ///
    /// Several loads are written as with --concurrency.
    #[arg(long, value_name = "R|FROM:TO", value_parser = rates)]
    pub(super) rate: Option<Range>,

    /// Demand something of each load, such as p99<50ms; exit code 1 says that it was not held. May be
    /// repeated.
    ///
    /// mean, p50, p90, p95, p99, p99.9 and max are times, throughput is answers a second, and failed a
    /// number of requests, or a share such as failed<1%. Failed requests, and a --rate that is not
    /// kept up with, never hold, unless failed says how many there may be.
    #[arg(long = "assert", value_name = "FIGURE<VALUE", value_parser = Assertion::parse)]
    pub(super) assertions: Vec<Assertion>,

    /// Look for the highest load from FROM to TO that holds what is asserted.
    ///
    /// The load doubles until it does not hold, and is then narrowed down to 5 %.
    #[arg(long, requires = "assertions")]
    pub(super) search: bool,

    /// How requests follow each other with --rate.
    #[arg(long, value_name = "HOW", value_enum, default_value_t = Arrivals::Even, requires = "rate")]
    pub(super) arrivals: Arrivals,

    /// How long to measure each load.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub(super) duration: Duration,

    /// Measure so many requests instead, without warming up unless --warm-up says so.
    #[arg(short = 'n', long, value_name = "N", conflicts_with = "duration", value_parser = at_least_one::<NonZeroU32>)]
    pub(super) requests: Option<NonZeroU32>,

    /// How long to send requests before measuring [default: 2s].
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(super) warm_up: Option<Duration>,

    /// Inferences in a request, within the model's own max_batch_size.
    #[arg(long, value_name = "N", default_value = "1", value_parser = at_least_one::<NonZeroU32>)]
    pub(super) batch_size: NonZeroU32,

    /// Send these inputs, in turn, instead of random ones: a JSON object a line, such as
    /// {"value": [1, 2]}, or the document that perf_analyzer takes.
    #[arg(long, value_name = "FILE")]
    pub(super) input: Option<PathBuf>,

    /// The shape of an input whose dimensions vary, without the batch dimension; 1 is taken for
    /// each that is not given. May be repeated.
    #[arg(long, value_name = "NAME:N,N", value_parser = FixedShape::parse, conflicts_with = "input")]
    pub(super) shape: Vec<FixedShape>,

    /// For a stateful model, the sequences open at once, each with one request in flight.
    #[arg(long, value_name = "N", conflicts_with = "concurrency", value_parser = at_once)]
    pub(super) sequences: Option<NonZeroU32>,

    /// For a stateful model, the requests of a sequence [default: 20].
    #[arg(long, value_name = "N", value_parser = at_least_one::<NonZeroU32>)]
    pub(super) sequence_length: Option<NonZeroU32>,

    /// Show a JSON object instead of text.
    #[arg(long)]
    pub(super) json: bool,

    /// Write a report with plots too: one HTML file that needs no other.
    #[arg(long, value_name = "FILE")]
    pub(super) html: Option<PathBuf>,

    /// Write a line for each load too, for spreadsheets.
    #[arg(long, value_name = "FILE")]
    pub(super) csv: Option<PathBuf>,

    /// Show the figures beside those of an earlier report, which --json has written.
    #[arg(long, value_name = "FILE")]
    pub(super) compare: Option<PathBuf>,

    /// Say nothing on standard error while it goes on.
    #[arg(short, long)]
    pub(super) quiet: bool,

    #[command(flatten)]
    pub(super) config: ConfigArguments,
}

const EXAMPLES: &str = "\
Examples:
  triton bench echo --shape value:1024 --concurrency 8
  triton bench echo --rate 500 --arrivals random --html report.html
  triton bench echo --concurrency 1:32 --html sweep.html --csv sweep.csv
  triton bench echo --rate 100:10000 --assert 'p99<50ms' --search
  triton bench echo -n 1000 --json > before.json
  triton bench echo -n 1000 --compare before.json
  triton bench anomaly --sequences 16 --sequence-length 100 --duration 1min
  triton bench echo --input inputs.ndjson --json | jq .latency_ns.p99
  triton bench echo -e embedded --duration 2s

Exit code 1 means that some requests failed, or that something asserted was not held.";

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
pub(super) enum Arrivals {
    /// All the same time apart
    Even,
    /// At random, as from many users who know nothing of each other (a Poisson process)
    Random,
}

fn counts(text: &str) -> Result<Range, String> {
    Range::parse(text, |text| at_once(text).map(|number| number.get().into()))
}

fn rates(text: &str) -> Result<Range, String> {
    Range::parse(text, positive)
}

/// Each of them has a task and a connection, of which a machine has no more than it has ports.
fn at_once(text: &str) -> Result<NonZeroU32, String> {
    let number = text.parse::<NonZeroU32>().ok();
    number
        .filter(|number| number.get() <= MOST_AT_ONCE)
        .ok_or_else(|| format!("expected a whole number from 1 to {MOST_AT_ONCE}"))
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate.is_finite() && rate > 0.0 && rate <= 1e6 => Ok(rate),
        _ => Err("expected requests a second, more than 0 and at most 1000000".to_owned()),
    }
}

impl BenchArguments {
    /// The most requests in flight at once of any load.
    pub(super) fn workers(&self) -> u32 {
        let concurrency = self
            .concurrency
            .as_ref()
            .map(|range| range.highest() as u32);
        let given = self.sequences.map(NonZeroU32::get).or(concurrency);
        let default = if self.rate.is_some() {
            RATE_CONCURRENCY
        } else {
            1
        };
        given.unwrap_or(default)
    }

    /// How long to send requests before measuring.
    pub(super) fn warm_up(&self) -> Duration {
        let default = match self.requests {
            Some(_) => Duration::ZERO,
            None => WARM_UP,
        };
        self.warm_up.unwrap_or(default)
    }

    /// The loads to measure or to search among, and whether they are rates.
    pub(super) fn range(&self) -> (Range, bool) {
        match (&self.rate, &self.concurrency) {
            (Some(rates), _) => (rates.clone(), true),
            (None, Some(counts)) if self.sequences.is_none() => (counts.clone(), false),
            _ => (Range::single(self.workers().into()), false),
        }
    }

    /// Refuses what does not go together.
    pub(super) fn check(&self) -> Result<(), Failure> {
        if self.duration.is_zero() {
            let error = anyhow!("--duration 0: expected a time longer than zero, such as 10s");
            return Err(Failure::usage(error));
        }
        if let (Some(rates), Some(counts)) = (&self.rate, &self.concurrency)
            && !counts.is_single()
        {
            let also = if rates.is_single() {
                "is given"
            } else {
                "has several, too"
            };
            return Err(Failure::usage(anyhow!(
                "--concurrency names several loads, and --rate {also}: with --rate, --concurrency is \
                 the most in flight, a single number"
            )));
        }
        let (range, of_rates) = self.range();
        if self.search && range.is_single() {
            return Err(Failure::usage(anyhow!(
                "--search looks between two loads: give --rate FROM:TO or --concurrency FROM:TO"
            )));
        }
        let rate = range.least();
        if of_rates && self.requests.is_none() && rate * self.duration.as_secs_f64() < 1.0 {
            return Err(Failure::usage(anyhow!(
                "--rate {rate:e}: not one request would be due within the {} of --duration; raise \
                 one of the two",
                self.duration.canonical()
            )));
        }
        Ok(())
    }

    /// Refuses files of reports that cannot be written, or would be written over what is read: after the
    /// load it would be too late.
    pub(super) fn check_reports(&self) -> Result<(), Failure> {
        let written = [("--html", &self.html), ("--csv", &self.csv)];
        let read = [("--compare", &self.compare), ("--input", &self.input)];
        let mut others: Vec<(&str, Place)> = Vec::new();
        for (argument, path) in read {
            let place = path.as_deref().and_then(|path| Place::of(path).ok());
            others.extend(place.map(|place| (argument, place)));
        }
        for (argument, path) in written {
            let Some(path) = path else { continue };
            let shown = path.display();
            let refused = |why: &str| Err(Failure::usage(anyhow!("{argument} {shown}: {why}")));
            let place = Place::of(path);
            let place = place.with_context(|| format!("{argument} {shown} cannot be used"))?;
            match &place {
                Place::Folder { .. } => return refused("expected a file, found a folder"),
                Place::Free { real } if real.parent().is_some_and(|folder| !folder.is_dir()) => {
                    return refused("its folder does not exist; make it, or name another file");
                }
                _ => {}
            }
            let is_same = |other: &Place| match (other.file(), place.file()) {
                (None, None) => other.real().is_some() && other.real() == place.real(),
                (other, own) => other == own,
            };
            if let Some((other, _)) = others.iter().find(|(_, other)| is_same(other)) {
                return refused(&format!(
                    "it is the file of {other}, too, and would be written over it; name another one"
                ));
            }
            others.push((argument, place));
        }
        Ok(())
    }

    /// How many requests a sequence has; none where the model keeps no state.
    pub(super) fn sequence_length(&self, facts: &ModelFacts) -> Result<Option<u32>, Failure> {
        let config = &facts.config;
        let stateful = config.sequence_batching.is_some();
        if !stateful && (self.sequences.is_some() || self.sequence_length.is_some()) {
            let model = &self.model;
            let why = match facts.has_config {
                true => format!("'{model}' keeps no state"),
                false => format!("the server does not say that '{model}' is one"),
            };
            return Err(Failure::usage(anyhow!(
                "--sequences and --sequence-length are for stateful models, and {why}; use \
                 --concurrency"
            )));
        }
        if let Some(most) = config.concurrent_sequences()
            && u64::from(self.workers()) > most
        {
            warn!(
                "the model keeps {most} sequences at once, and the server makes the others of {} wait",
                self.workers()
            );
        }
        let length = self
            .sequence_length
            .map_or(SEQUENCE_LENGTH, NonZeroU32::get);
        Ok(stateful.then_some(length))
    }
}
