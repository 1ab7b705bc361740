//! How rows in flight learn that nobody will answer them any more.

use tokio::sync::watch;

use crate::{Error, ErrorKind};

/// Why an open function, or one that was being opened, has come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It was closed, and the time for rows in flight is up.
    Closed,
    /// It was told to give everything up.
    GivenUp,
}

impl Ended {
    /// The error of something that this has ended: "before the row was answered", for example.
    pub(crate) fn error(self, before: &str) -> Error {
        let how = match self {
            Ended::Closed => "closed",
            Ended::GivenUp => "given up",
        };
        Error::new(ErrorKind::State, format!("the function was {how} {before}"))
    }
}

/// The end of a function, which whoever works for it can wait for.
#[derive(Debug)]
pub(crate) struct Ending(watch::Sender<Option<Ended>>);

impl Ending {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(None))
    }

    /// Ends it; the first reason stays.
    pub(crate) fn end(&self, ended: Ended) {
        self.0.send_if_modified(|state| {
            let is_first = state.is_none();
            state.get_or_insert(ended);
            is_first
        });
    }

    /// Why it has ended, if it has.
    pub(crate) fn ended(&self) -> Option<Ended> {
        *self.0.borrow()
    }

    /// Waits for the end.
    pub(crate) async fn wait(&self) -> Ended {
        let mut receiver = self.0.subscribe();
        let ended = match receiver.wait_for(Option::is_some).await {
            Ok(ended) => *ended,
            // The sender is borrowed here, so it is not gone.
            Err(_) => None,
        };
        ended.unwrap_or(Ended::Closed)
    }

    /// What `work` comes to, unless the end comes before it.
    pub(crate) async fn or<T>(
        &self,
        before: &str,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        tokio::select! {
            biased;
            result = work => result,
            ended = self.wait() => Err(ended.error(before)),
        }
    }
}
