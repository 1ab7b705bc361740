//! The answer to a row, until whoever waits for it takes it or gives it up.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use super::{Answered, SequenceKey, SequenceTransport, Shared};
use crate::Error;

/// An answer that is waited for. Dropping it gives the row up unless it is in flight.
#[derive(Debug)]
pub(crate) struct Pending<T: SequenceTransport> {
    pub(super) answer: oneshot::Receiver<Result<Answered, Error>>,
    pub(super) key: SequenceKey,
    pub(super) shared: Arc<Shared<T>>,
}

impl<T: SequenceTransport> Future for Pending<T> {
    type Output = Result<Result<Answered, Error>, oneshot::error::RecvError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.answer).poll(context)
    }
}

impl<T: SequenceTransport> Drop for Pending<T> {
    fn drop(&mut self) {
        // An answer that came, and that nobody has looked at, may have said that rows are missing.
        if let Ok(Ok(answered)) = self.answer.try_recv()
            && answered.restarted
        {
            let key = &self.key;
            self.shared.with(|machine, _| machine.mark_again(key));
        }
    }
}
