//! What the client costs beside its peers, measured in one run: times of one machine are never
//! those of another, nor of the same one on another day, but ratios within a run are.

mod callgrind;
mod command;
mod instant_server;
mod limit;
mod peer;
mod perf_analyzer;
mod programs;
mod ratio;
mod rounds;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use bench_rounds::{CASES, Case};
use clap::Args;

use crate::lock;
use crate::workspace::Workspace;
use instant_server::InstantServers;
use peer::Peer;
use programs::Programs;
use rounds::Clock;
use table::{Cost, Table};

#[derive(Args)]
pub(crate) struct Arguments {
    /// How often each peer takes its turn; none leaves the instruction counts alone [default: 15,
    /// and 5 of the command]
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,
    /// The cases to measure [default: all]
    #[arg(long, value_name = "CASE", value_delimiter = ',')]
    only: Vec<String>,
    /// What to measure: the client, the model function beside the client that it calls, the function
    /// with three servers beside the same with one, the command beside other programs, or what limits
    /// of requests in flight make of a server with a bounded queue
    #[arg(long, value_enum, default_value_t = Measured::Client)]
    of: Measured,
    /// The peers to compare the client with [default: all]
    #[arg(long, value_name = "PEER", value_delimiter = ',', value_parser = Peer::named)]
    peer: Vec<Peer>,
    /// Count no instructions, which takes longer than all rounds
    #[arg(long)]
    times_only: bool,
    /// Only see that each peer runs and is answered right: few requests, and no table
    #[arg(long)]
    check: bool,
    /// Of the command: go as far as a point takes minutes, such as ten million rows
    #[arg(long)]
    large: bool,
    /// Of the command: take an N-th of the rows of each work, where time is short
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    share: u32,
    /// Of the command: measure this program instead of the one that is built here, such as an
    /// earlier one
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
}

/// How often each peer of the client and of the function takes its turn.
const ROUNDS: usize = 15;

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Measured {
    Client,
    Function,
    /// The model function with three servers, beside the same with one
    Replicas,
    /// `triton predict`, with real files
    Command,
    /// `max-in-flight` as a number and as `auto`, on a real Triton with a bounded queue
    Limit,
}

fn case(name: &str) -> Result<&'static Case> {
    let Some(case) = Case::named(name) else {
        let names: Vec<_> = CASES.iter().map(|case| case.name).collect();
        bail!("expected one of {}", names.join(", "));
    };
    Ok(case)
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let Arguments {
        rounds,
        only,
        of,
        peer,
        times_only,
        check,
        large,
        share,
        program,
    } = arguments;
    match of {
        Measured::Limit => return limit::run(),
        Measured::Command if *check => return command::check(only, program.as_deref()),
        Measured::Command => {
            return command::run(&command::Wanted {
                rounds: *rounds,
                only,
                times_only: *times_only,
                large: *large,
                share: *share as usize,
                program: program.as_deref(),
            });
        }
        Measured::Client | Measured::Function | Measured::Replicas => {}
    }
    let rounds = rounds.unwrap_or(ROUNDS);
    let cases: Vec<_> = match only.is_empty() {
        true => CASES.iter().collect(),
        false => only.iter().map(|name| case(name)).collect::<Result<_>>()?,
    };
    let is_wanted = |candidate: &Peer| peer.is_empty() || peer.contains(candidate);
    let (ours, others, clock) = match *of {
        Measured::Function => (
            vec![Peer::Function, Peer::FunctionWithIds],
            vec![Peer::ClientBeside, Peer::RecordBatches],
            Clock::Processor,
        ),
        Measured::Replicas => (
            vec![Peer::FunctionAtThree],
            vec![Peer::Function],
            Clock::Wall,
        ),
        _ => {
            let others = Peer::OTHERS.into_iter().filter(is_wanted);
            (vec![Peer::Client], others.collect(), Clock::Processor)
        }
    };
    let all: Vec<Peer> = ours.iter().chain(&others).copied().collect();

    let workspace = Workspace::find()?;
    let folder = workspace.target_directory.join("bench");
    let _lock = lock::wait(&folder.join("lock"), "measures")?;
    let programs = Programs::prepare(&workspace, &folder, &all, !check)?;
    let count = match *of == Measured::Replicas {
        true => 3,
        false => 1,
    };
    let servers = InstantServers::start(&programs, count)?;
    if !check {
        warn_of_a_busy_machine();
    }
    let mut table = Table::new(clock);
    for case in cases {
        let runs = |peer: &Peer| peer.can_run(case);
        let ours: Vec<_> = ours.iter().copied().filter(runs).collect();
        let peers = others.iter().copied().filter(runs);
        let peers: Vec<_> = ours.iter().copied().chain(peers).collect();
        if ours.is_empty() {
            continue;
        }
        let times = match *check {
            true => rounds::check(&programs, &servers, case, &peers)?,
            false => rounds::measure(&programs, &servers, case, &peers, rounds, clock)?,
        };
        let instructions = match *check || *times_only {
            true => Vec::new(),
            false => callgrind::count(&programs, &servers, case, &peers)?,
        };
        table.add(
            case,
            ours.len(),
            &peers,
            &Cost {
                times,
                instructions,
            },
        );
    }
    match check {
        true => println!("every peer runs, and every answer was right"),
        false => print!("\n{table}"),
    }
    Ok(ExitCode::SUCCESS)
}

/// Ratios bear that others use the machine, but spread more, and caches are not theirs alone.
fn warn_of_a_busy_machine() {
    let load = fs_err::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load
        .split(' ')
        .next()
        .and_then(|load| load.parse::<f64>().ok());
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    if let Some(load) = load
        && load > processors as f64 / 2.0
    {
        eprintln!(
            "WARNING: the machine is busy (load {load:.1} on {processors} processors): times will \
             spread, and the instructions say more"
        );
    }
}

/// All that is installed from PyPI to be measured beside.
pub(crate) fn packages() -> impl Iterator<Item = String> {
    let packages = command::PACKAGES.iter().chain(perf_analyzer::PACKAGES);
    packages.map(ToString::to_string)
}
