//! What may happen to a function, as a list of events that a person can read.

use std::fmt;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use super::network::Fault;

/// How many keys there are; with few places most of them wait for one.
pub(super) const KEYS: i64 = 6;

/// Something that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// The source has a row of a key, which may be the last of its sequence.
    Row { key: i64, last: bool },
    /// The source has a row on which the model fails.
    PoisonedRow { key: i64 },
    /// Something goes wrong with a request to come.
    Fault(Fault),
    /// The server forgets everything.
    RestartServer,
    /// So much time goes by.
    Pass(Duration),
    /// All answers are waited for.
    Wait,
    /// All answers are waited for, and the sequences stored.
    Snapshot,
    /// The process is killed. Another one restores what was stored last, and the rows since then
    /// are handed over again.
    Kill,
    /// The function is closed, which gives up after so long, and then it is as after [`Kill`].
    ///
    /// [`Kill`]: Self::Kill
    Close(Duration),
}

/// The options of a function, and what happens to it.
#[derive(Clone)]
pub(super) struct History {
    pub(super) recovery: &'static str,
    pub(super) places: usize,
    pub(super) max_length: Option<u64>,
    /// Whether the input has an end, so that no time ends a sequence.
    pub(super) bounded: bool,
    pub(super) events: Vec<Event>,
}

impl fmt::Debug for History {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            recovery, places, ..
        } = self;
        write!(formatter, "{recovery} with {places} places")?;
        if let Some(rows) = self.max_length {
            write!(formatter, ", sequences of {rows} rows")?;
        }
        if self.bounded {
            formatter.write_str(", input with an end")?;
        }
        for event in &self.events {
            write!(formatter, "\n  {event:?}")?;
        }
        Ok(())
    }
}

/// What a number stands for, from the most frequent to the rarest: proptest shrinks to the first.
fn meaning(kind: u32, key: i64, last: bool, time: Duration) -> Event {
    let short = Duration::from_millis(1 + time.as_millis() as u64 % 20);
    let fault = match kind {
        0..24 => return Event::Row { key, last },
        24..28 => return Event::Pass(short),
        28..30 => return Event::Pass(time),
        30..33 => return Event::Wait,
        33..35 => return Event::Snapshot,
        35 => return Event::Kill,
        36 => return Event::Close(time),
        37 => return Event::RestartServer,
        38 => return Event::PoisonedRow { key },
        39..41 => Fault::NotSent,
        41..43 => Fault::AnswerLost,
        43 => Fault::CutBefore,
        44 => Fault::RequestLost,
        45 => Fault::CutAndDelivered(time),
        46 => Fault::Delayed(time),
        47 => Fault::AnsweredLate,
        48 => Fault::Slow(time / 10),
        49 => Fault::Unreadable,
        50 => Fault::ModelFailed,
        51 => Fault::Restart,
        _ => Fault::Crash,
    };
    Event::Fault(fault)
}

/// Any history. One strategy for all events, because a choice between many takes long.
pub(super) fn history() -> impl Strategy<Value = History> {
    let recovery = prop_oneof![Just("fail"), Just("restart"), Just("replay")];
    let max_length = prop::option::weighted(0.3, 2_u64..6);
    let time = (1_u64..9000).prop_map(Duration::from_millis);
    let event = (0_u32..53, 0..KEYS, prop::bool::weighted(0.3), time);
    let event = event.prop_map(|(kind, key, last, time)| meaning(kind, key, last, time));
    let parts = (
        recovery,
        2_usize..=6,
        max_length,
        any::<bool>(),
        vec(event, 1..50),
    );
    parts.prop_map(|(recovery, places, max_length, bounded, events)| History {
        recovery,
        places,
        max_length,
        bounded,
        events,
    })
}
