//! The `id` of each inference request: one that nobody but its sender can know.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

/// Makes IDs that no model can make up; that two requests have the same is as good as excluded.
///
/// A refusal proves something about a request only where it quotes what belongs to that request
/// alone: see [`Error::may_have_executed`](crate::Error::may_have_executed).
#[derive(Debug, Default)]
pub(crate) struct RequestIds {
    /// Its keys come from the operating system's random numbers.
    key: RandomState,
    count: AtomicU64,
}

impl RequestIds {
    pub(crate) fn next(&self) -> String {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        format!("{:016x}", self.key.hash_one(count))
    }
}
