//! The one place that sleeps: everything here that waits polls, and has a limit.

use std::time::{Duration, Instant};

use anyhow::Result;

const INTERVAL: Duration = Duration::from_millis(50);

/// Calls `attempt` until it returns something; `None` when the limit has passed.
///
/// It does not look for an interrupt by itself, because cleaning up has to go on
/// after one; an `attempt` that should end early calls [`crate::interrupt::check`].
pub(crate) fn until<T>(
    limit: Duration,
    mut attempt: impl FnMut() -> Result<Option<T>>,
) -> Result<Option<T>> {
    let start = Instant::now();
    loop {
        if let Some(value) = attempt()? {
            return Ok(Some(value));
        }
        if start.elapsed() >= limit {
            return Ok(None);
        }
        pause();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "neither processes nor files tell a thread of their changes in a portable way"
)]
fn pause() {
    std::thread::sleep(INTERVAL);
}
