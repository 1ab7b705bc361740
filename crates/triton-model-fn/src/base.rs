//! What every function on a Triton model is built on: its life, from open to close.

mod own_function;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::time::Instant;
use triton_options::{
    SEQUENCE_ID, SEQUENCE_ID_AUTO_INCREMENT, SEQUENCE_KEY, SequenceMode, TritonOptions,
};

use crate::ending::Ended;
use crate::live_numbers::LiveNumbers;
use crate::replicas::Resolver;
use crate::{CallContext, Error, ErrorKind, ModelFacts, ServerWait, Subtask};

/// The part of a model function that does not depend on what it does with a row.
///
/// `P` is what a function prepares while it opens, for its predictions: whatever it agrees with
/// the server. A function of your own owns a base, says which options it [serves](Self::serving), and
/// hands each method of [`ModelFunction`](crate::ModelFunction) to it:
///
/// 1. [`open`](Self::open) looks the model up and prepares,
/// 2. [`row`](Self::row) answers a row, by calls through its [`RowCall`](crate::RowCall),
/// 3. [`close`](Self::close) and [`abort`](Self::abort) end it.
///
/// A function that waits for something else while it opens, or starts something that has to be stopped,
/// takes the parts that these are made of: [`begin`](Self::begin), [`Opening::look_up_model`],
/// [`Opening::unless_closed`] around what it waits for, [`Opening::finish`], [`opened`](Self::opened),
/// [`close_with`](Self::close_with) and [`abort_with`](Self::abort_with).
///
/// ```
/// use triton_embedded::EmbeddedTriton;
/// use triton_model_fn::triton_client::{InferRequest, Tensor};
/// use triton_model_fn::{
///     Error, ErrorKind, FunctionBase, ModelFunction, OptionGroup, PredictionFuture, Subtask,
///     TritonOptions, Value, async_trait,
/// };
///
/// /// Sends one number in a request, and asks for no more than one.
/// struct Echo(FunctionBase<()>);
///
/// #[async_trait]
/// impl ModelFunction for Echo {
///     async fn open(&self, subtask: Subtask) -> Result<(), Error> {
///         self.0.open(subtask, |_, _| Ok(())).await
///     }
///
///     fn submit(&self, row: &[Value]) -> PredictionFuture {
///         let number = match row {
///             [Value::Float(number)] => Ok(*number),
///             _ => Err(Error::new(ErrorKind::Input, "expected one FLOAT")),
///         };
///         self.0.row(|call, _| async move {
///             let output = |error| Error::new(ErrorKind::Output, "no echo").with_source(error);
///             let tensor = Tensor::from_slice("value", [1, 1], &[number?]).expect("one element");
///             let request = InferRequest::new(call.context().model.clone()).input(tensor);
///             let response = call.infer(request).await?;
///             let echo = response.output("echo").map_err(output)?;
///             let values = echo.values::<f32>().expect("an echo has the type of its call");
///             Ok(call.prediction(vec![values[0].into()]))
///         })
///     }
///
///     async fn close(&self) -> Result<(), Error> {
///         self.0.close().await
///     }
///
///     async fn abort(&self) {
///         self.0.abort().await;
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = EmbeddedTriton::start()?;
/// let options = [("endpoint", server.endpoint()), ("model-name", "echo".to_owned())];
/// let options = TritonOptions::parse(options)?;
/// let function = Echo(FunctionBase::serving("Echo", options, &[OptionGroup::Inference])?);
/// function.open(Subtask::new(0, 1, 0)?).await?;
/// assert_eq!(function.predict(&[0.5_f32.into()]).await?.row, [Value::Float(0.5)]);
/// # Ok(())
/// # }
/// ```
///
/// Every opening is one of its own: closing ends the one that there is, whether it is finished or
/// not, and what comes of it afterwards does not touch a later one.
#[derive(Debug)]
pub struct FunctionBase<P> {
    options: TritonOptions,
    server_wait: Option<ServerWait>,
    resolver: Option<Arc<dyn Resolver>>,
    life: Mutex<Life<P>>,
    /// Whether it was open before, with rows that nothing else remembers.
    was_open: AtomicBool,
    /// The sequence IDs that openings may have left on the server, where these come again.
    live: Arc<LiveNumbers>,
}

#[derive(Debug)]
struct Life<P> {
    state: State<P>,
    /// Those that were open and still wait for their rows; `abort` ends them, too.
    closing: Vec<Weak<CallContext>>,
}

#[derive(Debug)]
enum State<P> {
    Closed,
    Opening(Arc<CallContext>),
    Open(Arc<Opened<P>>),
}

/// What exists only while a function is open.
#[derive(Debug)]
pub struct Opened<P> {
    /// The client, the counter and everything else that calls go through.
    pub subtask: Arc<CallContext>,
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
            resolver: None,
            life: Mutex::new(Life {
                state: State::Closed,
                closing: Vec::new(),
            }),
            was_open: AtomicBool::new(false),
            live: Arc::default(),
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

    /// This base with someone of its own who looks up the addresses of the endpoint's name, where the
    /// option `endpoint-discovery` is `dns`. Functions with the same one share what they know of the
    /// servers.
    #[must_use]
    pub fn resolving_by(self, resolver: Arc<dyn Resolver>) -> Self {
        Self {
            resolver: Some(resolver),
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
    /// and [`ErrorKind::Options`] when the client cannot be set up, or when several subtasks would
    /// share one sequence.
    pub fn begin(&self, subtask: Subtask) -> Result<Opening<'_, P>, Error> {
        self.check_parallelism(subtask)
            .map_err(|error| error.in_subtask(subtask))?;
        let mut life = self.lock();
        let message = match &life.state {
            State::Closed => None,
            State::Opening(other) => Some(format!(
                "the function is being opened, in {}",
                other.subtask
            )),
            State::Open(open) => Some(format!(
                "the function is open already, in {}",
                open.subtask.subtask
            )),
        };
        if let Some(message) = message {
            return Err(Error::new(ErrorKind::State, message).in_subtask(subtask));
        }
        let again = self.was_open.load(Ordering::Relaxed);
        let (live, wait) = (Arc::clone(&self.live), self.server_wait.clone());
        let resolver = self.resolver.as_ref();
        let open = CallContext::new(&self.options, subtask, again, live, wait, resolver);
        let open = Arc::new(open.map_err(|error| error.in_subtask(subtask))?);
        life.state = State::Opening(Arc::clone(&open));
        Ok(Opening {
            base: self,
            subtask: open,
        })
    }

    /// A sequence that all rows share has one sender, or the model would mix their states.
    fn check_parallelism(&self, subtask: Subtask) -> Result<(), Error> {
        let SequenceMode::Static { id, flags } = self.options.sequence_mode() else {
            return Ok(());
        };
        let parallelism = subtask.parallelism();
        if parallelism == 1 || flags.are_both() {
            return Ok(());
        }
        let message = format!(
            "'{}' = '{id}' names one sequence, which all {parallelism} subtasks would share, and \
             the model would mix their rows without a word: set '{}' to true for a sequence of \
             each request, or '{}' as well for one of each key, or use one subtask",
            SEQUENCE_ID.key(),
            SEQUENCE_ID_AUTO_INCREMENT.key(),
            SEQUENCE_KEY.key()
        );
        Err(Error::new(ErrorKind::Options, message))
    }

    /// What `open` set up.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::State`] when the base is not open.
    #[inline]
    pub fn opened(&self) -> Result<Arc<Opened<P>>, Error> {
        match &self.lock().state {
            State::Open(open) => Ok(Arc::clone(open)),
            State::Opening(open) => Err(Error::new(
                ErrorKind::State,
                "the function is still being opened",
            )
            .in_subtask(open.subtask)),
            State::Closed => Err(Error::new(
                ErrorKind::State,
                match self.was_open.load(Ordering::Relaxed) {
                    false => "the function is not open: call open before predict",
                    true => {
                        "the function was closed or given up: it takes no further rows unless open \
                         is called again"
                    }
                },
            )),
        }
    }

    /// Closes: lets `stop` end what the function itself started, then waits for the requests in
    /// flight, at most as long as the option `timeout` says in all, and gives the rest up.
    ///
    /// New predictions are refused from the first moment. A row that nobody waits for any more,
    /// because its future was dropped, is not waited for here either. An opening that is not
    /// finished is cancelled: [`Opening::unless_closed`] and [`Opening::finish`] then fail.
    /// Closing a base that is not open does nothing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Close`] with everything that went wrong; the base is closed all the same.
    pub async fn close_with<F>(
        &self,
        stop: impl FnOnce(Arc<Opened<P>>, Instant) -> F,
    ) -> Result<(), Error>
    where
        F: Future<Output = Result<(), Error>> + Send,
    {
        let open = match self.begin_to_close() {
            State::Closed => return Ok(()),
            State::Opening(subtask) => return subtask.end(Ended::Closed).await,
            State::Open(open) => open,
        };
        let subtask = Arc::clone(&open.subtask);
        let deadline = Instant::now() + self.options.timeout.get();
        let closing = async {
            let stopped = stop(open, deadline).await;
            [stopped, subtask.drain(deadline).await]
        };
        let [stopped, drained] = tokio::select! {
            biased;
            // First, because requests that are given up come to their end, too.
            ended = subtask.ending.wait() => {
                [Err(ended.error("while it was being closed")), Ok(())]
            }
            results = closing => results,
        };
        let ended = subtask.end(Ended::Closed).await;
        let failures = [stopped, drained, ended].into_iter();
        let failures: Vec<Error> = failures.filter_map(Result::err).collect();
        if failures.is_empty() {
            return Ok(());
        }
        let texts: Vec<String> = failures.iter().map(Error::to_string).collect();
        let error = Error::new(ErrorKind::Close, texts.join("; ")).with_source_of(&failures);
        Err(error.in_subtask(subtask.subtask))
    }

    /// Gives everything up at once, whatever the base is doing: opening, being open, or closing.
    ///
    /// Rows that are not answered fail with [`ErrorKind::State`]; the server may execute all the
    /// same what was sent. `stop` ends what the function itself started. A base that is not open
    /// has nothing to give up.
    pub async fn abort_with<F>(&self, stop: impl FnOnce(Arc<Opened<P>>) -> F)
    where
        F: Future<Output = ()> + Send,
    {
        let (state, closing) = {
            let mut life = self.lock();
            let state = std::mem::replace(&mut life.state, State::Closed);
            (state, std::mem::take(&mut life.closing))
        };
        let mut subtasks: Vec<_> = closing.iter().filter_map(Weak::upgrade).collect();
        let open = match state {
            State::Closed => None,
            State::Opening(subtask) => {
                subtasks.push(subtask);
                None
            }
            State::Open(open) => {
                subtasks.push(Arc::clone(&open.subtask));
                Some(open)
            }
        };
        // All at once, before anything is waited for.
        for subtask in &subtasks {
            subtask.give_up(Ended::GivenUp);
        }
        if let Some(open) = open {
            stop(open).await;
        }
        for subtask in subtasks {
            // That health checks had ended before is nothing to whoever gives them up.
            let _ = subtask.end(Ended::GivenUp).await;
        }
    }

    /// Closed from now on; what comes back is what there was, which `abort` still finds.
    fn begin_to_close(&self) -> State<P> {
        let mut life = self.lock();
        let state = std::mem::replace(&mut life.state, State::Closed);
        if let State::Open(open) = &state {
            life.closing.retain(|other| other.strong_count() > 0);
            life.closing.push(Arc::downgrade(&open.subtask));
        }
        state
    }

    fn lock(&self) -> MutexGuard<'_, Life<P>> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A base on its way to be open; dropping it closes the base again.
#[derive(Debug)]
pub struct Opening<'a, P> {
    base: &'a FunctionBase<P>,
    subtask: Arc<CallContext>,
}

impl<P> Opening<'_, P> {
    /// What calls go through.
    #[must_use]
    pub fn subtask(&self) -> &Arc<CallContext> {
        &self.subtask
    }

    /// What `preparation` comes to, unless the base is closed before.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::State`] when the base was closed or given up meanwhile; the preparation is then
    /// dropped. Otherwise whatever it fails with.
    pub async fn unless_closed<T>(
        &self,
        preparation: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let prepared = self.subtask.ending.or(WHILE_OPENING, preparation).await;
        prepared.map_err(|error| error.in_subtask(self.subtask.subtask))
    }

    /// What the server tells of the model; where it cannot be reached or is not ready, it is asked again
    /// until the option `open-wait` is over. What sequence IDs are sent as is agreed with it.
    ///
    /// # Errors
    ///
    /// As [`FunctionBase::open`].
    pub async fn look_up_model(&self) -> Result<ModelFacts, Error> {
        let looking_up = async {
            let facts = self.subtask.look_up_model().await?;
            self.subtask.agree_unless_agreed(&facts)?;
            Ok(facts)
        };
        self.unless_closed(looking_up).await
    }

    /// Makes the base open, with what the function has prepared.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::State`] when the base was closed or given up meanwhile; what was prepared is
    /// dropped.
    pub fn finish(self, prepared: P) -> Result<(), Error> {
        let mut life = self.base.lock();
        if !self.is_current(&life) {
            drop(life);
            let ended = self.subtask.ending.ended().unwrap_or(Ended::Closed);
            return Err(ended.error(WHILE_OPENING).in_subtask(self.subtask.subtask));
        }
        self.base.was_open.store(true, Ordering::Relaxed);
        let subtask = Arc::clone(&self.subtask);
        life.state = State::Open(Arc::new(Opened { subtask, prepared }));
        Ok(())
    }

    /// Whether the base is still being opened by this, and not by a later one.
    fn is_current(&self, life: &Life<P>) -> bool {
        matches!(&life.state, State::Opening(subtask) if Arc::ptr_eq(subtask, &self.subtask))
    }
}

const WHILE_OPENING: &str = "while it was being opened";

impl<P> Drop for Opening<'_, P> {
    fn drop(&mut self) {
        let mut life = self.base.lock();
        if self.is_current(&life) {
            life.state = State::Closed;
            self.subtask.give_up(Ended::GivenUp);
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
        base.close().await
    }

    #[tokio::test]
    async fn an_open_base_is_not_opened_twice() {
        let base = base();
        let subtask = Subtask::new(1, 2, 3).unwrap();
        let opening = base.begin(subtask).unwrap();
        insta::assert_snapshot!(base.begin(subtask).unwrap_err(), @"subtask 1 of 2, attempt 3: the function is being opened, in subtask 1 of 2, attempt 3");
        insta::assert_snapshot!(base.opened().unwrap_err(), @"subtask 1 of 2, attempt 3: the function is still being opened");
        opening.finish(()).unwrap();
        insta::assert_snapshot!(base.begin(subtask).unwrap_err(), @"subtask 1 of 2, attempt 3: the function is open already, in subtask 1 of 2, attempt 3");
        assert!(base.opened().is_ok());
    }

    #[tokio::test]
    async fn closing_twice_does_nothing_and_opening_again_works() {
        let base = base();
        let subtask = Subtask::new(0, 1, 0).unwrap();
        close(&base).await.unwrap();
        for _ in 0..2 {
            base.begin(subtask).unwrap().finish(()).unwrap();
            close(&base).await.unwrap();
            close(&base).await.unwrap();
            insta::allow_duplicates! {
                insta::assert_snapshot!(base.opened().unwrap_err(), @"the function was closed or given up: it takes no further rows unless open is called again");
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
