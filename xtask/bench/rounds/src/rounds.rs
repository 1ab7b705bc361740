//! The loop that a measured program is: it reads how many requests to send, sends them, and says
//! what processor time they took.

use std::io::{BufRead as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

/// A client that is measured.
pub trait Peer: Send + Sync + 'static {
    /// Sends one request, and fails unless its answer is right.
    fn ask(&self) -> impl Future<Output = Result<(), String>> + Send;
}

/// Reads a number of requests from each line of the standard input, and answers each line with
/// the nanoseconds of processor time that this process spent on them, in user mode and in the
/// kernel. Ends with the input.
///
/// All work is done on one thread, because switches between threads cost what depends on the
/// machine and on its other work.
///
/// # Errors
///
/// When an answer is wrong or a line is no number.
pub fn run<P: Peer>(
    connect: impl FnOnce() -> Result<P, String>,
    in_flight: usize,
) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let peer = {
        let _guard = runtime.enter();
        Arc::new(connect()?)
    };
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|error| error.to_string())?;
        let requests: usize = line
            .parse()
            .map_err(|_| format!("expected a number of requests, found '{line}'"))?;
        let before = processor_time();
        what_counts(&runtime, &peer, requests, in_flight)?;
        let spent = processor_time() - before;
        let mut output = std::io::stdout().lock();
        writeln!(output, "{}", spent.as_nanos())
            .and_then(|()| output.flush())
            .map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// What counts; a profile finds it by its name.
#[inline(never)]
fn what_counts<P: Peer>(
    runtime: &tokio::runtime::Runtime,
    peer: &Arc<P>,
    requests: usize,
    in_flight: usize,
) -> Result<(), String> {
    runtime.block_on(round(peer, requests, in_flight))
}

async fn round<P: Peer>(peer: &Arc<P>, requests: usize, in_flight: usize) -> Result<(), String> {
    let tasks = (0..in_flight).map(|index| {
        let peer = Arc::clone(peer);
        let share = requests / in_flight + usize::from(index < requests % in_flight);
        tokio::spawn(async move {
            for _ in 0..share {
                peer.ask().await?;
            }
            Ok::<_, String>(())
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.map_err(|error| error.to_string())??;
    }
    Ok(())
}

/// What this process has used up to now, in user mode and in the kernel.
fn processor_time() -> Duration {
    let clock = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    // The clock begins at zero and its fraction is below a second.
    Duration::new(
        clock.tv_sec.unsigned_abs(),
        clock.tv_nsec.unsigned_abs() as u32,
    )
}
