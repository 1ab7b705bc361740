//! What can go wrong: with a request on its way, with the server, and with the client.

use std::fmt;
use std::time::Duration;

use fastrand::Rng;
use serde::{Deserialize, Serialize};

use crate::options::Lane;
use crate::script::{IDLE, Script};

/// Which request meets a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum At {
    /// The one of this number, from 1 on, of all that arrive.
    Request(u32),
    /// The one with this row, or that begins with it, when that is sent for the `sending`-th time.
    Row { row: usize, sending: u32 },
}

impl At {
    pub(crate) fn later(self, by: u32) -> Self {
        match self {
            At::Request(number) => At::Request(number + by),
            At::Row { row, sending } => At::Row {
                row,
                sending: sending + by,
            },
        }
    }
}

impl fmt::Display for At {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            At::Request(number) => write!(formatter, "request {number}"),
            At::Row { row, sending } => write!(formatter, "row {row}, sending {sending}"),
        }
    }
}

/// What happens to a request or its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Fault {
    /// It waits, unless its client gives it up.
    Delay(Duration),
    /// It arrives so much later, whatever its client does.
    Late(Duration),
    /// The connection is closed before the body was read.
    CutBefore,
    /// It is read and never handed on.
    Swallow,
    /// Half of it is handed on.
    CutIn,
    /// It is handed on, and the connection closed without an answer.
    CutAfter,
    /// Half of the answer comes back.
    CutAnswer,
    /// The connection is reset once it was handed on.
    Reset,
    /// The client's side is shut down for writing, before it is handed on.
    HalfClose,
    /// A gateway answers with HTML, before or after it handed the request on.
    Gateway { status: u16, forwarded: bool },
    /// The answer comes back in chunks of one byte.
    OneByteChunks,
    /// The connection is closed shortly after the answer, while nothing is in flight on it.
    IdleClosed(Duration),
    /// The answer comes twice.
    AnswerTwice,
}

impl Fault {
    pub(crate) fn draw(random: &mut Rng, lane: Lane, at: At) -> Self {
        let milliseconds = |random: &mut Rng, most| Duration::from_millis(random.u64(1..=most));
        match random.u32(0..16) {
            0 => Fault::Delay(milliseconds(random, 300)),
            1 => Fault::Delay(milliseconds(random, 2000)),
            // A static sequence has one ID, so that nothing can tell a late request from a new one.
            2 if lane != Lane::Static => Fault::Late(milliseconds(random, 2500)),
            3 if matches!(at, At::Request(_)) => Fault::CutBefore,
            2..=4 => Fault::Swallow,
            5 => Fault::CutIn,
            6 | 7 => Fault::CutAfter,
            8 | 9 => Fault::CutAnswer,
            10 => Fault::Reset,
            11 => Fault::HalfClose,
            12 | 13 => Fault::Gateway {
                status: [429, 502, 503, 504][random.usize(0..4)],
                forwarded: random.bool(),
            },
            14 if random.bool() => Fault::AnswerTwice,
            14 => Fault::OneByteChunks,
            _ => Fault::IdleClosed(milliseconds(random, 30)),
        }
        .proven()
    }

    /// 429 says that nothing was executed, so a gateway that has handed the request on lies with
    /// it: a limit that the guide states.
    fn proven(self) -> Self {
        match self {
            Fault::Gateway { status: 429, .. } => Fault::Gateway {
                status: 429,
                forwarded: false,
            },
            other => other,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self:?}")
    }
}

/// What happens at a row, to the server or to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Event {
    /// No row comes for so long.
    Pause(Duration),
    /// SIGKILL, and a start on the same port after so long.
    Kill(Duration),
    /// SIGSTOP, and SIGCONT after so long.
    Stop(Duration),
    /// The model is loaded again.
    Reload,
    /// The model is unloaded, and loaded again after so long.
    Unload(Duration),
    /// Once every row is answered, the sequences and the row are stored.
    Checkpoint,
    /// Everything is given up; new functions go on from what was stored.
    Crash,
    /// The client's clock is set by so many seconds; it has to run [by a clock of its own](Script::clock).
    SetClock(i32),
    /// The functions are closed, and opened again: with what they knew where rows were waited for.
    CloseAndOpen { waits: bool },
}

impl Event {
    pub(crate) fn draw(random: &mut Rng, script: &Script) -> Self {
        let milliseconds = |random: &mut Rng, most| Duration::from_millis(random.u64(1..=most));
        match random.u32(0..14) {
            0 | 1 => Event::Pause(milliseconds(random, 2500)),
            2 | 3 => Event::Kill(milliseconds(random, 1000)),
            4 => {
                // What was sent before is executed once the server goes on. Where every sequence
                // has the same ID, the client has to have waited for that.
                let most = match script.lane {
                    Lane::Static => IDLE * 2 / 3,
                    _ => IDLE * 2,
                };
                Event::Stop(milliseconds(random, most.as_millis() as u64))
            }
            5 | 6 => Event::Reload,
            7 => Event::Unload(milliseconds(random, 1000)),
            // Nothing tells two processes with one static sequence apart.
            8..=10 if script.lane != Lane::Static => Event::Crash,
            _ => Event::CloseAndOpen {
                waits: !script.without_state && script.lane.is_keyed() || random.bool(),
            },
        }
    }

    /// Whether the server forgets its sequences.
    pub(crate) fn wipes(self) -> bool {
        matches!(self, Event::Kill(_) | Event::Reload | Event::Unload(_))
    }
}

impl fmt::Display for Event {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self:?}")
    }
}
