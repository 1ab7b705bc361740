//! What real Tritons go through while the lanes of `triton-model-fn` use them, beside a usual retry loop:
//! a seeded random soak of one server, and three servers behind one endpoint. `cargo xtask chaos` and
//! `cargo xtask replicas` start this program.

mod check;
mod fault;
mod http;
mod naive;
mod options;
mod ours;
mod outcome;
mod proxy;
mod replicas;
mod rows;
mod script;
mod seen;
mod server;
mod table;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use clap::{Args, Parser, Subcommand};
use tokio::runtime::Runtime;

use crate::check::Answers;
use crate::ours::Progress;
use crate::outcome::Run;
use crate::proxy::Proxy;
use crate::script::{IDLE, Script};
use crate::server::Server;
use crate::table::Table;

/// No run takes nearly as long.
const RUN_DEADLINE: Duration = Duration::from_secs(180);

/// Connections and tasks end soon after whoever had them.
const TIME_TO_END: Duration = Duration::from_secs(5);

#[derive(Parser)]
struct Program {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Scripts of faults, each drawn from its seed
    Soak(Arguments),
    /// Three servers, and what can happen to them
    Replicas(replicas::Arguments),
}

#[derive(Args)]
struct Arguments {
    /// The seeds to run, from the first to the last
    #[arg(long, value_name = "A-B")]
    seeds: Seeds,
    /// How many runs go on at once, each with a server of its own
    #[arg(long, value_name = "N", default_value_t = 2)]
    jobs: usize,
    /// The program that starts and kills servers
    #[arg(long)]
    xtask: PathBuf,
    /// The models that the servers have
    #[arg(long)]
    models: PathBuf,
    /// Leave out the usual retry loop
    #[arg(long)]
    ours_only: bool,
    /// Print scripts and every failure
    #[arg(long)]
    verbose: bool,
}

#[derive(Clone, Copy)]
struct Seeds {
    first: u64,
    last: u64,
}

impl FromStr for Seeds {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let number = |text: &str| {
            let number: u64 = text.trim().parse()?;
            anyhow::Ok(number)
        };
        match (number(first), number(last)) {
            (Ok(first), Ok(last)) if first <= last => Ok(Self { first, last }),
            _ => bail!("expected two numbers such as 1-200, the smaller one first"),
        }
    }
}

fn main() -> ExitCode {
    let ended = match Program::parse().task {
        Task::Soak(arguments) => run(&arguments),
        Task::Replicas(arguments) => replicas::run(&arguments),
    };
    match ended {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<ExitCode> {
    let Seeds { first, last } = arguments.seeds;
    let seeds = Mutex::new((first..=last).collect::<VecDeque<u64>>());
    let table = Mutex::new(Table::default());
    let begun = Instant::now();
    let worked = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..arguments.jobs)
            .map(|job| {
                let (seeds, table) = (&seeds, &table);
                scope.spawn(move || {
                    let instance = format!("chaos-{job}");
                    let (xtask, models) = (arguments.xtask.clone(), arguments.models.clone());
                    let server = Arc::new(Server::start(xtask, models, instance)?);
                    let next = || lock(seeds).pop_front();
                    while let Some(seed) = next() {
                        let script = Script::draw(seed);
                        let report = run_seed(&script, &server, arguments)
                            .with_context(|| format!("seed {seed}"))?;
                        report.print(&script, arguments.verbose);
                        lock(table).add(&script, &report);
                    }
                    anyhow::Ok(())
                })
            })
            .collect();
        let ended = workers.into_iter().map(|worker| worker.join());
        ended
            .map(|ended| ended.map_err(|_| anyhow!("a worker panicked"))?)
            .collect::<Result<Vec<()>>>()
    });
    let table = table.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!("\n{table}");
    println!("{:.0} s", begun.elapsed().as_secs_f64());
    worked?;
    Ok(match table.is_right() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What came of a seed.
struct Report {
    ours: Answers,
    naive: Option<Answers>,
    faults: usize,
    requests: usize,
    seconds: f64,
    broken: Vec<String>,
    /// Why rows failed.
    failures: Vec<String>,
}

impl Report {
    fn print(&self, script: &Script, verbose: bool) {
        let state = if self.broken.is_empty() {
            "ok"
        } else {
            "BROKEN"
        };
        println!(
            "seed {:>5} {:<18} {:>4} rows {:>5} requests {:>3} faults {:>4} failed {:>3} marked; \
             naive {:>4} wrong; {:>5.1} s {state}",
            script.seed,
            script.lane,
            script.rows.len(),
            self.requests,
            self.faults,
            self.ours.failed,
            self.ours.marked,
            self.naive.map_or(0, |naive| naive.wrong),
            self.seconds,
        );
        if !self.broken.is_empty() || verbose {
            print!("{script}");
            print_some("BROKEN", &self.broken, verbose);
            print_some("failed", &self.failures, verbose);
        }
    }
}

/// The first few of what is alike.
fn print_some(what: &str, lines: &[String], verbose: bool) {
    const FEW: usize = 12;
    let shown = if verbose { lines.len() } else { FEW };
    for line in lines.iter().take(shown) {
        println!("  {what}: {line}");
    }
    if lines.len() > shown {
        println!("  {what}: and {} more", lines.len() - shown);
    }
}

fn run_seed(script: &Script, server: &Arc<Server>, arguments: &Arguments) -> Result<Report> {
    // Whatever the run before has left there is gone.
    server.begin_anew(script.lane.model())?;
    let begun = Instant::now();
    let proxy = Proxy::start(server.address(), script)?;
    let endpoint = proxy.endpoint();
    let progress = Progress::default();
    let mut broken = Vec::new();
    let running = ours::run(script, endpoint, Arc::clone(server), Arc::clone(&progress));
    broken.extend(watched(running)?);
    let still_open = || proxy.connections();
    if !ends(|| still_open() == 0) {
        broken.push(format!("{} connections are left", still_open()));
    }
    let run = take(&progress);
    let log = proxy.log();
    let (ours, wrong) = check::answers(script, &run);
    broken.extend(wrong);
    broken.extend(check::promises(script, &run));
    broken.extend(check::requests(script, &run, &log));
    let seconds = begun.elapsed().as_secs_f64();
    let faults = proxy.faults() + script.events.len();
    let failures =
        run.rows
            .iter()
            .enumerate()
            .filter_map(|(number, row)| match &row.as_ref()?.outcome {
                outcome::Outcome::Failed { text, .. } => Some(format!("row {number}: {text}")),
                outcome::Outcome::Answered { .. } => None,
            });
    Ok(Report {
        ours,
        naive: match arguments.ours_only {
            true => None,
            false => Some(run_naive(script, server)?),
        },
        faults,
        requests: log.len(),
        seconds,
        broken,
        failures: failures.collect(),
    })
}

fn run_naive(script: &Script, server: &Arc<Server>) -> Result<Answers> {
    server::wait(IDLE + Duration::from_millis(200));
    let proxy = Proxy::start(server.address(), script)?;
    let progress = Progress::default();
    let running = naive::run(
        script,
        proxy.endpoint(),
        Arc::clone(server),
        Arc::clone(&progress),
    );
    // A loop that hangs has not answered its rows.
    watched(running)?;
    let mut run = take(&progress);
    let never = || outcome::Settled {
        outcome: outcome::Outcome::Failed {
            kind: "hangs",
            text: String::new(),
        },
        handed_over: Instant::now(),
        settled: Instant::now(),
    };
    for row in &mut run.rows {
        row.get_or_insert_with(never);
    }
    Ok(check::answers(script, &run).0)
}

/// Runs a client in a runtime of its own; what is wrong with how it ended.
fn watched(client: impl Future<Output = Result<()>>) -> Result<Vec<String>> {
    let runtime = Runtime::new()?;
    let tasks = || runtime.metrics().num_alive_tasks();
    let before = tasks();
    let mut broken = Vec::new();
    let outcome = runtime.block_on(async { tokio::time::timeout(RUN_DEADLINE, client).await });
    match outcome {
        Err(_) => broken.push(format!("it hangs: not over after {RUN_DEADLINE:?}")),
        Ok(Err(error)) => broken.push(format!("{error:#}")),
        Ok(Ok(())) => {
            if !ends(|| tasks() <= before) {
                broken.push(format!("{} tasks are left", tasks() - before));
            }
        }
    }
    runtime.shutdown_timeout(Duration::from_secs(60));
    Ok(broken)
}

fn take(progress: &Progress) -> Run {
    std::mem::take(&mut lock(progress))
}

fn ends(mut is_over: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < TIME_TO_END {
        if is_over() {
            return true;
        }
        server::wait(Duration::from_millis(10));
    }
    false
}
