//! What may happen to a function, as a list of events that a person can read.

use std::fmt;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use super::network::Fault;

/// The most keys; with few places some of them wait for one.
const KEYS: i64 = 6;

/// Something that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// The source has a row of a key, which may be the last of its sequence.
    Row { key: i64, last: bool },
    /// The source has a row on which the model fails.
    PoisonedRow { key: i64 },
    /// Nobody waits any longer for the answer to the row that was handed over last.
    GiveUp,
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
    /// What rows say of themselves.
    pub(super) rows: Rows,
    /// How long a row may take with everything that is done for it.
    pub(super) row_deadline: Option<Duration>,
    /// Whether sequences that are left before their end are ended on the server.
    pub(super) ends_abandoned: bool,
    pub(super) events: Vec<Event>,
}

/// What the rows of a history say of themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rows {
    /// Nothing.
    Bare,
    /// Which number each has among those of its key.
    Numbered,
    /// All rows of its sequence before it, too.
    Carrying,
}

impl History {
    pub(super) fn time_ends_sequences(&self) -> bool {
        !self.bounded && self.rows == Rows::Bare
    }
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
        match self.rows {
            Rows::Bare => {}
            Rows::Numbered => formatter.write_str(", rows with their numbers")?,
            Rows::Carrying => formatter.write_str(", rows that carry those before")?,
        }
        if let Some(deadline) = self.row_deadline {
            write!(formatter, ", {deadline:?} for a row")?;
        }
        if self.ends_abandoned {
            formatter.write_str(", what is left is ended")?;
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
        52 => return Event::GiveUp,
        _ => Fault::Crash,
    };
    Event::Fault(fault)
}

/// Any history of such rows. One strategy for all events, because a choice between many takes long.
pub(super) fn history(rows: Rows) -> impl Strategy<Value = History> {
    let recovery = prop_oneof![Just("fail"), Just("restart"), Just("replay")];
    let max_length = prop::option::weighted(0.3, 2_u64..6);
    let time = (1_u64..9000).prop_map(Duration::from_millis);
    let event = (0_u32..54, 0..KEYS, prop::bool::weighted(0.15), time.clone());
    let event = event.prop_map(|(kind, key, last, time)| meaning(kind, key, last, time));
    // With few keys their sequences are long, with many they wait for places.
    let events = (1..=KEYS, vec(event, 1..50)).prop_map(|(keys, mut events)| {
        for event in &mut events {
            if let Event::Row { key, .. } | Event::PoisonedRow { key } = event {
                *key %= keys;
            }
        }
        events
    });
    let settings = (
        recovery,
        2_usize..=6,
        max_length,
        any::<bool>(),
        prop::option::weighted(0.3, time),
        prop::bool::weighted(0.3),
    );
    (settings, events).prop_map(move |(settings, events)| {
        let (recovery, places, max_length, bounded, row_deadline, ends_abandoned) = settings;
        History {
            // Rows with numbers are not kept, and rows that carry others are for a replay.
            recovery: match (recovery, rows) {
                ("replay", Rows::Numbered) => "restart",
                (_, Rows::Carrying) => "replay",
                (recovery, _) => recovery,
            },
            places,
            max_length: max_length.filter(|_| rows == Rows::Bare),
            bounded,
            rows,
            row_deadline,
            ends_abandoned,
            events,
        }
    })
}
