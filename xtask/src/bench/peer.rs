//! The programs that are measured, and how each is started.

use std::process::Command;

use anyhow::{Result, bail};
use bench_rounds::{Case, Format, Lane};

use super::instant_server::InstantServers;
use super::programs::Programs;
use crate::python::without_python_variables;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    /// This workspace's client, which all others are compared with.
    Client,
    /// A bare POST of the same bytes through the same HTTP library.
    Bare,
    /// The crate `truston`, which knows JSON only.
    Truston,
    /// NVIDIA's client in Python.
    Tritonclient,
    /// NVIDIA's program in C++, with its client in C++.
    PerfAnalyzer,
    /// The model function, row by row.
    Function,
    /// The same, with three servers to choose from.
    FunctionAtThree,
    /// The same, with an ID for each request, retries and the circuit breaker.
    FunctionWithIds,
    /// The model function, a record batch for each request.
    RecordBatches,
    /// The client in the program of the function, built with the same features.
    ClientBeside,
}

impl Peer {
    pub(super) const OTHERS: [Peer; 4] = [
        Peer::Bare,
        Peer::Truston,
        Peer::Tritonclient,
        Peer::PerfAnalyzer,
    ];

    pub(super) fn named(name: &str) -> Result<Self> {
        let mut peers = Self::OTHERS.into_iter();
        let Some(peer) = peers.find(|peer| peer.name() == name) else {
            bail!(
                "expected one of {}",
                Self::OTHERS.map(Self::name).join(", ")
            );
        };
        Ok(peer)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Peer::Client => "client",
            Peer::Bare => "bare",
            Peer::Truston => "truston",
            Peer::Tritonclient => "tritonclient",
            Peer::PerfAnalyzer => "perf_analyzer",
            Peer::Function => "function",
            Peer::FunctionAtThree => "function-at-three",
            Peer::FunctionWithIds => "function-ids",
            Peer::RecordBatches => "record-batches",
            Peer::ClientBeside => "client-beside",
        }
    }

    /// How the table calls it.
    pub(super) fn title(self) -> &'static str {
        match self {
            Peer::Client => "this client",
            Peer::Bare => "a bare POST of the same bytes",
            Peer::Truston => "`truston`",
            Peer::Tritonclient => "`tritonclient` (Python)",
            Peer::PerfAnalyzer => "`perf_analyzer` (C++)",
            Peer::Function => "the function",
            Peer::FunctionAtThree => "the function, with three servers",
            Peer::FunctionWithIds => "the function, with IDs, retries and the breaker",
            Peer::RecordBatches => "the function, by record batches",
            Peer::ClientBeside => "the client of the same program",
        }
    }

    pub(super) fn can_run(self, case: &Case) -> bool {
        match self {
            Peer::Truston => case.lane == Lane::Alone && case.format == Format::Json,
            Peer::Function | Peer::FunctionAtThree | Peer::ClientBeside => true,
            Peer::RecordBatches => matches!(case.lane, Lane::Batched(_)),
            _ => case.lane == Lane::Alone,
        }
    }

    /// Whether instructions of it can be compared: those of an interpreter take minutes to count,
    /// and `perf_analyzer` has threads that wait for each other.
    pub(super) fn can_be_counted(self) -> bool {
        !matches!(self, Peer::Tritonclient | Peer::PerfAnalyzer)
    }

    /// The requests of a round: of what takes much longer, fewer say as much.
    pub(super) fn requests(self, case: &Case) -> usize {
        let share = match self {
            Peer::Tritonclient | Peer::PerfAnalyzer => 8,
            _ => 1,
        };
        (case.requests / share).max(2)
    }

    /// A program that reads numbers of requests; `None` for one that does not.
    pub(super) fn command(
        self,
        programs: &Programs,
        servers: &InstantServers,
        case: &Case,
    ) -> Result<Option<Command>> {
        let endpoint = servers.endpoint();
        let mut command = match self {
            Peer::Client | Peer::Bare => {
                let mut command = Command::new(programs.ours());
                command.args([self.name(), endpoint, case.name]);
                command
            }
            Peer::Function | Peer::FunctionWithIds | Peer::RecordBatches | Peer::ClientBeside => {
                let mut command = Command::new(programs.function()?);
                command.args([self.name(), endpoint, case.name]);
                command
            }
            Peer::FunctionAtThree => {
                let mut command = Command::new(programs.function()?);
                command.args([Peer::Function.name(), &servers.endpoints(), case.name]);
                command
            }
            Peer::Truston => {
                let mut command = Command::new(programs.truston()?);
                command.args([endpoint, case.name]);
                command
            }
            Peer::Tritonclient => {
                let mut command = Command::new(programs.python()?);
                command.arg(programs.script()).args([
                    endpoint,
                    case.model,
                    &case.elements.to_string(),
                    case.format.name(),
                    &case.in_flight.to_string(),
                ]);
                command
            }
            Peer::PerfAnalyzer => return Ok(None),
        };
        without_python_variables(&mut command);
        Ok(Some(command))
    }
}
