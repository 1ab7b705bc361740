//! A stream that is being read, and what it holds until it has ended.

use std::future::{pending, poll_fn};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use futures_util::StreamExt as _;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};
use triton_client::{
    Client, ErrorKind as ClientErrorKind, GenerateRequest, GenerateStream, Generated,
};
use triton_options::ROW_DEADLINE;

use crate::call::{Connection, GRACE};
use crate::ending::Ended;
use crate::metrics::{OpenStream, StreamMetrics};
use crate::rows_in_words::rows_in_words;
use crate::{CallContext, Error, ErrorKind, RequestPermit};

/// A stream whose first answer is there.
pub(super) struct Reading {
    connected: Arc<Connected>,
    first: Option<Generated>,
    /// What hangs up in time where nobody polls; it ends together with this.
    _end: JoinSet<()>,
}

/// A stream, until it is hung up.
struct Connected(Mutex<Option<Open>>);

struct Open {
    answers: GenerateStream,
    _connection: Connection,
    _permit: RequestPermit,
    /// Counts it as open.
    _counted: Option<OpenStream>,
}

/// When answers are given out.
#[derive(Debug, Clone, Copy)]
pub(super) enum Given {
    AsTheyCome,
    Together,
}

impl Given {
    /// What it means for a stream that broke.
    fn said(self) -> &'static str {
        match self {
            Given::AsTheyCome => "; what came is given out, so the row is not sent again",
            Given::Together => "",
        }
    }
}

impl Connected {
    fn lock(&self) -> MutexGuard<'_, Option<Open>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn next(&self) -> Option<Result<Generated, triton_client::Error>> {
        poll_fn(|context| match &mut *self.lock() {
            Some(open) => open.answers.poll_next_unpin(context),
            // Whoever waits is told why by what has hung up: the end, or the deadline.
            None => Poll::Pending,
        })
        .await
    }

    /// Gives back at once what the stream holds.
    fn close(&self) {
        let connected = self.lock().take();
        drop(connected);
    }

    /// Hangs up once the function ends, or at the deadline.
    async fn hang_up(&self, open: &CallContext, deadline: Option<Instant>) {
        let late = async {
            match deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => pending().await,
            }
        };
        tokio::select! {
            _ = open.ending.wait() => {}
            () = late => {}
        }
        self.close();
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        // What watches for the end has a share in the stream until its task is gone.
        self.connected.close();
    }
}

impl Reading {
    /// Sends a row, again where that helps, until its first answer is there.
    pub(super) async fn begin(
        open: &Arc<CallContext>,
        request: &GenerateRequest,
        deadline: Option<Instant>,
        streams: Option<&StreamMetrics>,
    ) -> Result<Self, Error> {
        let permit = open.request_permit(deadline).await?;
        let begin = |client: Client, connection: Connection| async move {
            let mut answers = client.generate_stream(request).await?;
            let first = answers.next().await.transpose()?;
            Ok((answers, first, connection))
        };
        let (answers, first, connection) = open.call_holding(deadline, begin).await?;
        let connected = Arc::new(Connected(Mutex::new(Some(Open {
            answers,
            _connection: connection,
            _permit: permit,
            _counted: streams.map(StreamMetrics::begins),
        }))));
        let mut end = JoinSet::new();
        let (open, watched) = (Arc::clone(open), Arc::clone(&connected));
        end.spawn(async move { watched.hang_up(&open, deadline).await });
        Ok(Self {
            connected,
            first,
            _end: end,
        })
    }

    /// The next answer, after so many that `came` and were `given` out.
    pub(super) async fn next(
        &mut self,
        open: &CallContext,
        deadline: Option<Instant>,
        came: u64,
        given: Given,
    ) -> Result<Option<Generated>, Error> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        let before = format!("after {} of the stream", rows_in_words(came));
        // A server that always has something to say must not keep the end from being seen.
        if let Some(ended) = open.ending.ended() {
            return Err(Ended::error(ended, &before));
        }
        let late = || {
            let message = format!(
                "the stream was not over by the row's deadline (option '{}'), after {}",
                ROW_DEADLINE.key(),
                rows_in_words(came)
            );
            Error::new(ErrorKind::Call, message)
        };
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(late());
        }
        let answer = async {
            let answer = match deadline {
                None => self.connected.next().await,
                Some(deadline) => {
                    let answer = timeout_at(deadline, self.connected.next()).await;
                    answer.map_err(|_| late())?
                }
            };
            answer.transpose().map_err(|error| {
                // The client has no more time than the row, and may be the first to notice.
                let is_late = |deadline| Instant::now() + GRACE >= deadline;
                if error.kind() == ClientErrorKind::Timeout && deadline.is_some_and(is_late) {
                    return late();
                }
                let message = format!(
                    "the stream broke after {}{}",
                    rows_in_words(came),
                    given.said()
                );
                Error::call(message, error)
            })
        };
        open.ending.or(&before, answer).await
    }
}
