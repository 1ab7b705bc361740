//! Lets the peers take turns, so that what disturbs the machine disturbs all of them alike.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bench_rounds::Case;

use super::instant_server::InstantServers;
use super::peer::Peer;
use super::programs::Programs;
use crate::{command, interrupt};

/// Opens connections and fills caches, which no round is to pay for.
const SHARE_TO_WARM_UP: usize = 5;

/// Within a round each peer has so many turns: what disturbs the machine often takes longer than one.
const TURNS: usize = 8;

/// The time that is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Clock {
    /// That of the processors, of the program alone.
    Processor,
    /// What passes until all requests are answered: the other side of the throughput.
    Wall,
}

/// The time for each request of each peer, round by round.
pub(super) type Times = Vec<Vec<Duration>>;

/// Measures each peer in every round; their order is turned around from turn to turn.
pub(super) fn measure(
    programs: &Programs,
    servers: &InstantServers,
    case: &Case,
    peers: &[Peer],
    rounds: usize,
    clock: Clock,
) -> Result<Times> {
    let mut times = vec![Vec::new(); peers.len()];
    if rounds == 0 {
        return Ok(times);
    }
    let mut turns = start(programs, servers, case, peers)?;
    for (turn, peer) in turns.iter_mut().zip(peers) {
        if let Some(turn) = turn {
            turn.take(
                peer.requests(case)
                    .div_ceil(SHARE_TO_WARM_UP)
                    .max(case.in_flight),
            )?;
        }
    }
    for round in 1..=rounds {
        eprint!("\r{}: round {round} of {rounds} ", case.name);
        let mut spent = vec![Duration::ZERO; peers.len()];
        let mut order: Vec<_> = (0..peers.len()).collect();
        for _ in 0..TURNS {
            for &index in &order {
                interrupt::check()?;
                if let Some(turn) = &mut turns[index] {
                    let requests = peers[index].requests(case).div_ceil(TURNS);
                    let began = Instant::now();
                    let processor = turn.take(requests)?;
                    spent[index] += match clock {
                        Clock::Processor => processor,
                        Clock::Wall => began.elapsed().div_f64(requests as f64),
                    };
                }
            }
            order.reverse();
        }
        for (index, peer) in peers.iter().enumerate() {
            let time = match turns[index] {
                Some(_) => spent[index] / TURNS as u32,
                None => {
                    let requests = peer.requests(case);
                    programs
                        .perf_analyzer()?
                        .measure(servers.first(), case, requests)?
                }
            };
            times[index].push(time);
        }
    }
    eprintln!();
    Ok(times)
}

/// Lets each peer send some requests, and measures nothing.
pub(super) fn check(
    programs: &Programs,
    servers: &InstantServers,
    case: &Case,
    peers: &[Peer],
) -> Result<Times> {
    let turns = start(programs, servers, case, peers)?;
    for (mut turn, peer) in turns.into_iter().zip(peers) {
        interrupt::check()?;
        println!("{}: {}", case.name, peer.name());
        match &mut turn {
            Some(turn) => drop(turn.take(2 * case.in_flight)?),
            None => drop(programs.perf_analyzer()?.measure(
                servers.first(),
                case,
                case.in_flight,
            )?),
        }
    }
    Ok(vec![Vec::new(); peers.len()])
}

fn start(
    programs: &Programs,
    servers: &InstantServers,
    case: &Case,
    peers: &[Peer],
) -> Result<Vec<Option<Turn>>> {
    let start = |peer: &Peer| {
        let command = peer.command(programs, servers, case)?;
        command.map(Turn::start).transpose()
    };
    peers.iter().map(start).collect()
}

/// A program that waits for its turn; dropping it ends it.
pub(super) struct Turn {
    described: String,
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Turn {
    pub(super) fn start(mut command: Command) -> Result<Self> {
        let described = command::describe(&command);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.with_context(|| format!("cannot run `{described}`"))?;
        let output = child.stdout.take().context("its output is a pipe")?;
        Ok(Self {
            described,
            input: child.stdin.take(),
            output: BufReader::new(output),
            child,
        })
    }

    /// Lets it send so many requests; returns the processor time for each.
    pub(super) fn take(&mut self, requests: usize) -> Result<Duration> {
        let ended = || format!("`{}` ended; it says above why", self.described);
        let mut input = self.input.as_ref().with_context(ended)?;
        writeln!(input, "{requests}").with_context(ended)?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        let nanoseconds: f64 = line.trim().parse().with_context(ended)?;
        Ok(Duration::from_secs_f64(nanoseconds / 1e9 / requests as f64))
    }

    /// Lets it end by itself.
    pub(super) fn end(mut self) -> Result<()> {
        drop(self.input.take());
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
