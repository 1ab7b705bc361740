//! `triton bench`: how fast a model answers, under a load of a fixed number of requests at once or
//! of a fixed rate, or under several loads one after the other.

mod about;
mod arguments;
mod assertion;
mod chart;
mod comparison;
mod html;
mod live;
mod load;
mod pacer;
mod random_input;
mod recorder;
mod report;
mod sample;
mod series;
mod sweep;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::anyhow;
use futures_util::FutureExt as _;
use triton_model_fn::{ModelFacts, SequenceIdForm};
use triton_options::{
    CONNECTION_POOL_MAX_IDLE, CONNECTION_POOL_MAX_TOTAL, EMBEDDED_ENDPOINT, MODEL_NAME,
    ModelVersion, OptionValue as _, SEQUENCE_ID_TYPE,
};

use self::about::{About, Mode};
use self::arguments::Arrivals;
pub(crate) use self::arguments::BenchArguments;
use self::comparison::Earlier;
use self::live::Live;
use self::load::Load;
use self::pacer::Pace;
use self::report::Report;
use self::sample::Samples;
use self::series::{Found, Series};
use self::sweep::Search;
use super::json_tensors::check_batch_size;
use super::sequences::Sequences;
use crate::config::{LayeredOptions, Origin};
use crate::disk;
use crate::failure::Failure;
use crate::output::{document, print};
use crate::progress::say;
use crate::server::{Effects, Server, check_model, with_prepared_server};
use crate::unshown;

/// Options of rows and of what is done about failures; here requests are made and counted as they
/// are.
pub(super) const WITHOUT_EFFECT: &[&str] = &[
    "batch-size",
    "batch-timeout",
    "cache-max-bytes",
    "circuit-breaker-enabled",
    "circuit-breaker-failure-threshold",
    "circuit-breaker-half-open-requests",
    "circuit-breaker-timeout",
    "default-value",
    "flatten-batch-dim",
    "health-check-enabled",
    "health-check-interval",
    "input-names",
    "max-in-flight",
    "max-retries",
    "open-wait",
    "output-names",
    "retry-budget",
    "retry-initial-backoff",
    "retry-max-backoff",
];

/// Runs the command.
pub(crate) fn run(arguments: &BenchArguments) -> Result<ExitCode, Failure> {
    check_model(Some(&arguments.model))?;
    arguments.check()?;
    arguments.check_reports()?;
    let earlier = arguments.compare.as_deref().map(Earlier::read);
    let earlier = earlier.transpose()?;
    let prepare = |options: &mut LayeredOptions| {
        options.set(
            MODEL_NAME.key(),
            &arguments.model,
            Origin::Argument("MODEL"),
        );
        // A connection that is given up after each call would be measured too.
        let limits = [
            CONNECTION_POOL_MAX_IDLE.key(),
            CONNECTION_POOL_MAX_TOTAL.key(),
        ];
        if limits.iter().all(|key| !options.is_set(key)) {
            for key in limits {
                let connections = arguments.workers().to_string();
                options.set(key, connections, Origin::Argument("the requests at once"));
            }
        }
    };
    let effects = Effects {
        without: WITHOUT_EFFECT,
        heeded: &[SEQUENCE_ID_TYPE.key()],
    };
    with_prepared_server(&arguments.config, prepare, &effects, async |server| {
        let server = server.of_one().await?;
        let bench = Bench::prepare(&server, arguments).await?;
        let mut series = bench.measure().await?;
        series.compared = earlier.map(|earlier| earlier.compare(&series.loads));
        print(&match arguments.json {
            true => document(&series.to_json()),
            false => series.to_text(),
        })?;
        if let Some(path) = &arguments.html {
            let page = series.to_html();
            disk::write_whole(path, page.as_bytes()).map_err(Failure::usage)?;
        }
        if let Some(path) = &arguments.csv {
            let lines = series.to_csv().map_err(Failure::internal)?;
            disk::write_whole(path, &lines).map_err(Failure::usage)?;
        }
        Ok(series.exit_code())
    })
}

/// What all loads have in common.
struct Bench<'a> {
    server: &'a Server,
    arguments: &'a BenchArguments,
    /// The load, but for how much of it there is.
    load: Load,
    sequence_length: Option<u32>,
    inputs: String,
    about: Arc<About>,
}

impl<'a> Bench<'a> {
    /// Finds out what the model takes, and makes the requests.
    async fn prepare(server: &'a Server, arguments: &'a BenchArguments) -> Result<Self, Failure> {
        let options = &server.options;
        let facts = ModelFacts::look_up(&server.client, options).await?;
        let ModelFacts {
            metadata, config, ..
        } = &facts;
        if let Some(mismatch) = facts.batch_size_mismatch(options) {
            return Err(Failure::usage(anyhow!(mismatch)));
        }
        let untold = metadata.inputs.is_empty() && !facts.has_config;
        if untold && arguments.input.is_none() {
            let error = anyhow!(
                "the server does not say which tensors model '{}' takes, so none can be made up",
                options.model_name
            );
            return Err(Failure::server(error).with_hint(
                "--input FILE, each line such as {\"x\": {\"datatype\": \"FP32\", \"content\": [1.5]}}",
            ));
        }
        let batch_size = arguments.batch_size;
        check_batch_size(&facts, batch_size, &format!("--batch-size {batch_size}"))?;
        let samples = match &arguments.input {
            Some(path) => Samples::read(path, &facts)?,
            None => Samples::random(metadata, config, &arguments.shape, batch_size)?,
        };
        let mut requests = samples.requests(&server.model(), config, batch_size)?;
        if let Some(priority) = options.priority {
            requests = requests
                .into_iter()
                .map(|request| request.priority(priority))
                .collect();
        }
        if let Some(timeout) = options.server_timeout {
            requests = requests
                .into_iter()
                .map(|request| request.server_timeout(timeout.get()))
                .collect();
        }
        let sequence_length = arguments.sequence_length(&facts)?;
        let sequences = match sequence_length {
            Some(length) => {
                let form =
                    SequenceIdForm::agree(options.sequence_id_type, config, facts.server.as_ref());
                let sequences = Sequences::new("bench", length, &form.map_err(Failure::server)?);
                Some(Arc::new(sequences))
            }
            None => None,
        };
        let load = Load {
            requests: Arc::new(requests),
            workers: arguments.workers(),
            sequences,
            pace: None,
            warm_up: arguments.warm_up(),
            duration: arguments.duration,
            count: arguments.requests.map(|count| count.get().into()),
        };
        load.probe(&server.client).await?;
        let version = match &facts.server {
            Some(server) => Some(server.clone()),
            None => server.client.server_metadata().await.ok(),
        };
        let versions = match &options.model_version {
            ModelVersion::Latest if metadata.versions.is_empty() => "latest".to_owned(),
            ModelVersion::Latest => metadata.versions.join(", "),
            version => version.canonical(),
        };
        let about = About {
            model: options.model_name.to_string(),
            versions,
            endpoint: server.endpoint.clone(),
            server: version.map(|server| format!("{} {}", server.name, server.version)),
            date: httpdate::fmt_http_date(SystemTime::now()),
            command: unshown::command_line(),
        };
        Ok(Self {
            server,
            arguments,
            load,
            sequence_length,
            inputs: samples.description(arguments.input.as_deref()),
            about: Arc::new(about),
        })
    }

    /// Measures one load after the other.
    async fn measure(&self) -> Result<Series, Failure> {
        let mut interrupt = std::pin::pin!(tokio::signal::ctrl_c());
        // From the first poll on, Ctrl-C ends the load and not the process.
        if interrupt.as_mut().now_or_never().is_some() {
            return Err(Failure::usage(anyhow!("Ctrl-C cannot be listened for")));
        }
        let (range, of_rates) = self.arguments.range();
        let is_single = range.is_single();
        let mut search = self
            .arguments
            .search
            .then(|| Search::new(&range, !of_rates));
        let mut planned = range.loads().iter().copied();
        let mut loads: Vec<(f64, Report)> = Vec::new();
        while let Some(load) = match &search {
            Some(search) => search.next(),
            None => planned.next(),
        } {
            let (workers, rate) = match of_rates {
                true => (self.arguments.workers(), Some(load)),
                false => (load as u32, None),
            };
            let mode = self.mode(workers, rate);
            if loads.is_empty() {
                self.say(&format!(
                    "model {} at {}: {mode}",
                    self.about.model, self.about.endpoint
                ));
            }
            let live = Live::start(
                (!is_single).then(|| mode.short()),
                self.arguments.duration,
                self.arguments.quiet,
            );
            let random = self.arguments.arrivals == Arrivals::Random;
            let one = Load {
                workers,
                pace: rate.map(|rate| Pace { rate, random }),
                ..self.load.clone()
            };
            let mut measured = one.run(self.server, live, interrupt.as_mut()).await?;
            if self.server.endpoint == EMBEDDED_ENDPOINT {
                // The server is in this process, and its work cannot be told from the client's.
                measured.client_cpu = None;
            }
            let report = Report {
                about: Arc::clone(&self.about),
                mode,
                measured,
                assertions: self.arguments.assertions.clone(),
            };
            let interrupted = report.measured.interrupted;
            if !is_single {
                self.say(&report.line());
            }
            if let Some(search) = search.as_mut().filter(|_| !interrupted) {
                search.tried(load, report.held());
            }
            loads.push((load, report));
            if interrupted {
                break;
            }
        }
        loads.sort_by(|(left, _), (right, _)| left.total_cmp(right));
        Ok(Series {
            about: Arc::clone(&self.about),
            loads: loads.into_iter().map(|(_, report)| report).collect(),
            is_single,
            found: search.map(|search| Found {
                highest: search.highest(),
                is_open: search.is_open(),
                of_rates,
            }),
            compared: None,
        })
    }

    fn mode(&self, workers: u32, rate: Option<f64>) -> Mode {
        Mode {
            workers,
            sequence_length: self.sequence_length,
            rate,
            random_arrivals: self.arguments.arrivals == Arrivals::Random,
            batch_size: self.arguments.batch_size.get(),
            inputs: self.inputs.clone(),
            warm_up: self.load.warm_up,
            duration: self.load.duration,
            count: self.load.count,
        }
    }

    fn say(&self, line: &str) {
        if !self.arguments.quiet {
            say(line);
        }
    }
}
