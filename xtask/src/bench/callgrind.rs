//! Counts instructions, which hardly differ from run to run, nor from machine to machine.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use bench_rounds::Case;

use super::instant_server::InstantServers;
use super::peer::Peer;
use super::programs::Programs;
use super::rounds::Turn;
use crate::{command, interrupt};

/// The function of `bench-rounds` within which instructions are counted.
const COUNTED: &str = "--toggle-collect=*what_counts*";

/// No program that is counted to its end takes as long.
const LIMIT: Duration = Duration::from_secs(600);

/// A program runs about fifty times slower meanwhile.
const SHARE: usize = 10;

/// The instructions for each request, of each peer; `None` for one that cannot be counted.
///
/// Only what the rounds do is counted. What the first requests do alone, such as to connect, is in
/// two runs of different length, and so not in their difference; the longer one leaves a profile.
pub(super) fn count(
    programs: &Programs,
    servers: &InstantServers,
    case: &Case,
    peers: &[Peer],
) -> Result<Vec<Option<f64>>> {
    if !is_there() {
        return Ok(vec![None; peers.len()]);
    }
    let folder = programs.folder.join("callgrind");
    fs_err::create_dir_all(&folder)?;
    let mut counts = Vec::new();
    for peer in peers {
        if !peer.can_be_counted() {
            counts.push(None);
            continue;
        }
        interrupt::check()?;
        eprintln!("{}: instructions of {}", case.name, peer.name());
        let profile = folder.join(format!("{}.{}.out", case.name, peer.name()));
        let few = (case.requests / SHARE / 4)
            .max(1)
            .next_multiple_of(case.in_flight);
        let many = 4 * few;
        let run = |requests| instructions(programs, servers, case, *peer, requests, &profile);
        let begin = run(few)?;
        let whole = run(many)?;
        counts.push(Some((whole - begin) / (many - few) as f64));
    }
    Ok(counts)
}

/// Whether instructions can be counted; a warning says so where they cannot.
pub(super) fn is_there() -> bool {
    let is_there = Command::new("valgrind").arg("--version").output().is_ok();
    if !is_there {
        eprintln!(
            "WARNING: no instructions are counted, because valgrind is not installed (Debian's \
             package valgrind)"
        );
    }
    is_there
}

fn instructions(
    programs: &Programs,
    servers: &InstantServers,
    case: &Case,
    peer: Peer,
    requests: usize,
    profile: &PathBuf,
) -> Result<f64> {
    let program = peer.command(programs, servers, case)?;
    let program = program.context("only what reads numbers of requests is counted")?;
    let mut valgrind = Command::new("valgrind");
    let mut out = std::ffi::OsString::from("--callgrind-out-file=");
    out.push(profile);
    valgrind
        .args(["--quiet", "--tool=callgrind", COUNTED])
        .arg(out)
        .arg(program.get_program())
        .args(program.get_args());
    let mut turn = Turn::start(valgrind)?;
    turn.take(requests)?;
    turn.end()?;
    total(profile)
}

/// Where the profile of that name lies, in a folder that is there.
pub(super) fn profile(folder: &Path, name: &str) -> Result<PathBuf> {
    let folder = folder.join("callgrind");
    fs_err::create_dir_all(&folder)?;
    Ok(folder.join(format!("{name}.out")))
}

/// All instructions of a program that ends by itself, on all its threads.
pub(super) fn of_whole(program: &Command, profile: &Path, printed: &Path) -> Result<f64> {
    let mut valgrind = Command::new("valgrind");
    let mut out = std::ffi::OsString::from("--callgrind-out-file=");
    out.push(profile);
    valgrind
        .args(["--quiet", "--tool=callgrind"])
        .arg(out)
        .arg(program.get_program())
        .args(program.get_args());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => valgrind.env(name, value),
            None => valgrind.env_remove(name),
        };
    }
    command::output_within(&mut valgrind, printed, LIMIT, || Ok(())).context(
        "instructions are counted by valgrind (Debian's package of that name); is it installed?",
    )?;
    total(profile)
}

/// The sum of a profile.
fn total(profile: &Path) -> Result<f64> {
    let content = String::from_utf8_lossy(&fs_err::read(profile)?).into_owned();
    let total = content.lines().find_map(|line| {
        let totals = line.strip_prefix("totals: ");
        totals
            .or(line.strip_prefix("summary: "))?
            .trim()
            .parse()
            .ok()
    });
    total.with_context(|| format!("{} has no sum", profile.display()))
}
