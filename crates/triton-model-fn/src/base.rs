//! What every function on a Triton model is built on: its life, from open to close.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;
use triton_options::TritonOptions;

use crate::{Error, ErrorKind, OpenSubtask, ServerWait, Subtask};

/// The part of a model function that does not depend on what it does with a row.
///
/// `P` is what a function prepares while it opens, for its predictions: whatever it agrees with
/// the server. A function of your own owns a base and goes through
///
/// 1. [`begin`](Self::begin) in its `open`, then [`Opening::finish`] once it is prepared,
/// 2. [`opened`](Self::opened) in each `predict`, and [`OpenSubtask::call`] for each call,
/// 3. [`close`](Self::close) in its `close`.
#[derive(Debug)]
pub struct FunctionBase<P> {
    options: TritonOptions,
    server_wait: Option<ServerWait>,
    state: Mutex<State<P>>,
    /// Whether it was open before, with rows that nothing else remembers.
    was_open: AtomicBool,
}

#[derive(Debug)]
enum State<P> {
    Closed,
    Opening(Subtask),
    Open(Arc<Opened<P>>),
}

/// What exists only while a function is open.
#[derive(Debug)]
pub struct Opened<P> {
    /// The client, the counter and everything else that calls go through.
    pub subtask: Arc<OpenSubtask>,
    /// What the function prepared.
    pub prepared: P,
}

impl<P> FunctionBase<P> {
    /// A base that is not open.
    #[must_use]
    pub fn new(options: TritonOptions) -> Self {
        Self {
            options,
            server_wait: None,
            state: Mutex::new(State::Closed),
            was_open: AtomicBool::new(false),
        }
    }

    /// This base for input that can wait while the server is away.
    #[must_use]
    pub fn waiting_for_server(self, wait: ServerWait) -> Self {
        Self {
            server_wait: Some(wait),
            ..self
        }
    }

    /// The options of the model.
    #[must_use]
    pub fn options(&self) -> &TritonOptions {
        &self.options
    }

    /// Begins to open: sets up the client and a new sequence counter; nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::State`] when the base is open or opening, or when there is no tokio runtime,
    /// and [`ErrorKind::Options`] when the client cannot be set up.
    pub fn begin(&self, subtask: Subtask) -> Result<Opening<'_, P>, Error> {
        let mut state = self.lock();
        let message = match &*state {
            State::Closed => None,
            State::Opening(other) => Some(format!("the function is being opened, in {other}")),
            State::Open(open) => Some(format!(
                "the function is open already, in {}",
                open.subtask.subtask
            )),
        };
        if let Some(message) = message {
            return Err(Error::new(ErrorKind::State, message).in_subtask(subtask));
        }
        let again = self.was_open.load(Ordering::Relaxed);
        let open = OpenSubtask::new(&self.options, subtask, again, self.server_wait.clone());
        let open = open.map_err(|error| error.in_subtask(subtask))?;
        *state = State::Opening(subtask);
        Ok(Opening {
            base: self,
            subtask: Arc::new(open),
            finished: false,
        })
    }

    /// What `open` set up.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::State`] when the base is not open.
    pub fn opened(&self) -> Result<Arc<Opened<P>>, Error> {
        match &*self.lock() {
            State::Open(open) => Ok(Arc::clone(open)),
            State::Opening(subtask) => Err(Error::new(
                ErrorKind::State,
                "the function is still being opened",
            )
            .in_subtask(*subtask)),
            State::Closed => Err(Error::new(
                ErrorKind::State,
                "the function is not open: call open before predict",
            )),
        }
    }

    /// Closes: lets `stop` end what the function itself started, then waits for the calls under
    /// way, at most as long as the option `timeout` says in all, and cancels the rest.
    ///
    /// New predictions are refused from the first moment. Closing a base that is not open does
    /// nothing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Close`] with everything that went wrong; the base is closed all the same.
    pub async fn close<F>(
        &self,
        stop: impl FnOnce(Arc<Opened<P>>, Instant) -> F,
    ) -> Result<(), Error>
    where
        F: Future<Output = Result<(), Error>> + Send,
    {
        let state = std::mem::replace(&mut *self.lock(), State::Closed);
        let State::Open(open) = state else {
            return Ok(());
        };
        let subtask = Arc::clone(&open.subtask);
        let deadline = Instant::now() + self.options.timeout.get();
        let stopped = stop(open, deadline).await;
        let drained = subtask.drain(deadline).await;
        let failures: Vec<String> = [stopped, drained]
            .into_iter()
            .filter_map(Result::err)
            .map(|e| e.to_string())
            .collect();
        if failures.is_empty() {
            return Ok(());
        }
        let error = Error::new(ErrorKind::Close, failures.join("; "));
        Err(error.in_subtask(subtask.subtask))
    }

    fn lock(&self) -> MutexGuard<'_, State<P>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A base on its way to be open; dropping it closes the base again.
#[derive(Debug)]
pub struct Opening<'a, P> {
    base: &'a FunctionBase<P>,
    subtask: Arc<OpenSubtask>,
    finished: bool,
}

impl<P> Opening<'_, P> {
    /// What calls go through.
    #[must_use]
    pub fn subtask(&self) -> &Arc<OpenSubtask> {
        &self.subtask
    }

    /// Makes the base open, with what the function has prepared.
    pub fn finish(mut self, prepared: P) {
        self.finished = true;
        self.base.was_open.store(true, Ordering::Relaxed);
        let subtask = Arc::clone(&self.subtask);
        *self.base.lock() = State::Open(Arc::new(Opened { subtask, prepared }));
    }
}

impl<P> Drop for Opening<'_, P> {
    fn drop(&mut self) {
        if !self.finished {
            *self.base.lock() = State::Closed;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> FunctionBase<()> {
        let options = [("endpoint", "http://localhost:8000"), ("model-name", "m")];
        FunctionBase::new(TritonOptions::parse(options).unwrap())
    }

    async fn close(base: &FunctionBase<()>) -> Result<(), Error> {
        base.close(|_, _| async { Ok(()) }).await
    }

    #[tokio::test]
    async fn an_open_base_is_not_opened_twice() {
        let base = base();
        let subtask = Subtask::new(1, 2, 3).unwrap();
        let opening = base.begin(subtask).unwrap();
        insta::assert_snapshot!(base.begin(subtask).unwrap_err(), @"subtask 1 of 2, attempt 3: the function is being opened, in subtask 1 of 2, attempt 3");
        insta::assert_snapshot!(base.opened().unwrap_err(), @"subtask 1 of 2, attempt 3: the function is still being opened");
        opening.finish(());
        insta::assert_snapshot!(base.begin(subtask).unwrap_err(), @"subtask 1 of 2, attempt 3: the function is open already, in subtask 1 of 2, attempt 3");
        assert!(base.opened().is_ok());
    }

    #[tokio::test]
    async fn closing_twice_does_nothing_and_opening_again_works() {
        let base = base();
        let subtask = Subtask::new(0, 1, 0).unwrap();
        close(&base).await.unwrap();
        for _ in 0..2 {
            base.begin(subtask).unwrap().finish(());
            close(&base).await.unwrap();
            close(&base).await.unwrap();
            insta::allow_duplicates! {
                insta::assert_snapshot!(base.opened().unwrap_err(), @"the function is not open: call open before predict");
            }
        }
    }

    #[tokio::test]
    async fn an_open_that_is_given_up_leaves_the_base_closed() {
        let base = base();
        let subtask = Subtask::new(0, 1, 0).unwrap();
        drop(base.begin(subtask).unwrap());
        assert!(base.begin(subtask).is_ok());
    }
}
