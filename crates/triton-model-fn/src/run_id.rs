//! What tells one run from every other, so that their sequence IDs never meet.

use std::time::{Duration, SystemTime};

use uuid::{NoContext, Timestamp, Uuid};

use crate::Subtask;
use crate::executions::Opened;

/// What tells one run from every other: the 26 digits of a UUID, which is made from what the engine
/// hands over where that is enough, and drawn where it is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RunId(String);

/// The namespace of the UUIDs of version 5 that stand for runs, itself drawn once.
const RUNS: Uuid = Uuid::from_u128(0x0e9b_6a4e_52a1_4d0c_9f37_b1c6_48d2_73ea);

impl RunId {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn new(subtask: &Subtask, opened: &Opened, now: SystemTime) -> Self {
        let named = opened.is_unique.then(|| Self::named(subtask)).flatten();
        named.unwrap_or_else(|| Self::drawn(now))
    }

    /// The same for all subtasks of an attempt of an execution, where the engine tells enough.
    ///
    /// It is a UUID of version 5, which has 122 bits of a SHA-1. Two runs that meet by chance would
    /// have to be among some 2^61, and whoever searched for two that do would have to choose the
    /// names of their own job, and would mix up nothing but that.
    fn named(subtask: &Subtask) -> Option<Self> {
        let (job, operator) = (subtask.job()?, subtask.operator()?);
        let (execution, attempt) = (subtask.execution()?, subtask.attempt());
        // No name holds a slash.
        let name = format!("{job}/{operator}/{execution}/{attempt}");
        Some(Self(base32(Uuid::new_v5(&RUNS, name.as_bytes()).as_u128())))
    }

    /// A UUID of version 7: it begins with the time, so that those of one clock sort, and has 74
    /// random bits, so that it is unique even where clocks are set back.
    fn drawn(now: SystemTime) -> Self {
        let since_1970 = since_1970(now);
        let (seconds, nanos) = (since_1970.as_secs(), since_1970.subsec_nanos());
        let timestamp = Timestamp::from_unix(NoContext, seconds, nanos);
        Self(base32(Uuid::new_v7(timestamp).as_u128()))
    }
}

/// 26 digits to the base 32, whose order as text is the order of the numbers.
pub(crate) fn base32(number: u128) -> String {
    const DIGITS: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
    let digit = |place: u32| char::from(DIGITS[(number >> (5 * place)) as usize % 32]);
    (0..26).rev().map(digit).collect()
}

/// A clock before 1970 is out of order; so far off, no number is better than another.
pub(crate) fn since_1970(now: SystemTime) -> Duration {
    now.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}
