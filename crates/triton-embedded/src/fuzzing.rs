//! What the fuzz targets call: what reads the requests that a client sent.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::EmbeddedTriton;
use crate::http::{Delivery, Reader};

/// The longest that the answer to a request may take.
const LONGEST: Duration = Duration::from_secs(3);

/// Answers the requests that `sent` holds, as of one connection to a server of its own; returns the
/// status of each.
///
/// # Errors
///
/// When the system refuses a thread.
///
/// # Panics
///
/// When the server does, or when it does not answer.
pub fn answer(sent: &[u8]) -> io::Result<Vec<u16>> {
    let stopping = Arc::new(AtomicBool::new(false));
    let builder = EmbeddedTriton::builder()
        .model(crate::models::Echo)
        .model(crate::models::Accumulate)
        .model(crate::models::Fails);
    let (server, _, _control) = builder.recorded_requests(0).server(&stopping)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let statuses = runtime.block_on(async {
        let mut stream = tokio::io::join(sent, tokio::io::sink());
        let mut reader = Reader::default();
        let mut statuses = Vec::new();
        while let Ok(received) = reader.request(&mut stream).await {
            let answered = tokio::time::timeout(LONGEST, server.answer(received.request)).await;
            match answered.expect("every request is answered") {
                Delivery::Send(reply, _) => statuses.push(reply.status),
                Delivery::Reset => break,
            }
            if !received.keep_alive {
                break;
            }
        }
        statuses
    });
    stopping.store(true, Ordering::Relaxed);
    for thread in server.repository.close() {
        if let Err(panic) = thread.join() {
            server.panic.keep(panic);
        }
    }
    if let Some(panic) = server.panic.take() {
        std::panic::resume_unwind(panic);
    }
    Ok(statuses)
}
