//! The tokio runtime that all open functions of a JVM, or of a class loader, share.
//!
//! It exists only while a function is open: nothing of it may run when a class loader is given up,
//! because the JVM then unloads this library.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};

use crate::failure::Failure;

/// By then the threads that look up host names have ended, too.
const TIME_TO_END: Duration = Duration::from_secs(5);

static SHARED: Mutex<Option<Shared>> = Mutex::new(None);

struct Shared {
    runtime: Runtime,
    leases: usize,
}

/// The right to use the runtime; the last one that is dropped ends it, and waits for that.
///
/// It must not be dropped by a thread of the runtime.
#[derive(Debug)]
pub(crate) struct Lease(());

/// The runtime, which is started for the first who asks.
pub(crate) fn lease() -> Result<(Handle, Lease), Failure> {
    let mut shared = lock();
    if shared.is_none() {
        let built = Builder::new_multi_thread()
            .thread_name("triton-flink")
            .enable_all()
            .build();
        let runtime = built.map_err(|error| {
            Failure::new(format!(
                "cannot start the threads that send requests: {error}"
            ))
        })?;
        *shared = Some(Shared { runtime, leases: 0 });
    }
    let Some(shared) = &mut *shared else {
        unreachable!("it was started above")
    };
    shared.leases += 1;
    Ok((shared.runtime.handle().clone(), Lease(())))
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut shared = lock();
        let last = shared.as_mut().is_none_or(|shared| {
            shared.leases -= 1;
            shared.leases == 0
        });
        let ended = if last { shared.take() } else { None };
        drop(shared);
        if let Some(Shared { runtime, .. }) = ended {
            runtime.shutdown_timeout(TIME_TO_END);
        }
    }
}

fn lock() -> MutexGuard<'static, Option<Shared>> {
    SHARED.lock().unwrap_or_else(PoisonError::into_inner)
}
