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

fn milliseconds(range: std::ops::Range<u64>) -> impl Strategy<Value = Duration> {
    range.prop_map(Duration::from_millis)
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        3 => Just(Fault::NotSent),
        2 => Just(Fault::RequestLost),
        2 => Just(Fault::CutBefore),
        4 => Just(Fault::AnswerLost),
        2 => milliseconds(1..6000).prop_map(Fault::CutAndDelivered),
        2 => milliseconds(1..6000).prop_map(Fault::Delayed),
        1 => Just(Fault::AnsweredLate),
        1 => milliseconds(1..900).prop_map(Fault::Slow),
        1 => Just(Fault::Unreadable),
        1 => Just(Fault::ModelFailed),
        1 => Just(Fault::Restart),
        1 => Just(Fault::Crash),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    let last = prop::bool::weighted(0.3);
    prop_oneof![
        24 => (0..KEYS, last).prop_map(|(key, last)| Event::Row { key, last }),
        1 => (0..KEYS).prop_map(|key| Event::PoisonedRow { key }),
        8 => fault().prop_map(Event::Fault),
        1 => Just(Event::RestartServer),
        4 => milliseconds(1..20).prop_map(Event::Pass),
        2 => milliseconds(20..9000).prop_map(Event::Pass),
        3 => Just(Event::Wait),
        2 => Just(Event::Snapshot),
        1 => Just(Event::Kill),
        1 => milliseconds(1..9000).prop_map(Event::Close),
    ]
}

/// Any history.
pub(super) fn history() -> impl Strategy<Value = History> {
    let recovery = prop_oneof![Just("fail"), Just("restart"), Just("replay")];
    let max_length = prop::option::weighted(0.3, 2_u64..6);
    let events = vec(event(), 1..60);
    let parts = (recovery, 2_usize..=6, max_length, any::<bool>(), events);
    parts.prop_map(|(recovery, places, max_length, bounded, events)| History {
        recovery,
        places,
        max_length,
        bounded,
        events,
    })
}
