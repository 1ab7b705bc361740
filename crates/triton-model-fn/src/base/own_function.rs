//! What a function of your own hands the methods of its trait to.

use std::sync::Arc;

use futures_util::future;
use tracing::{info, warn};
use triton_options::TritonOptions;

use super::{FunctionBase, Opened};
use crate::{
    CallContext, Error, ModelFacts, OptionGroup, Prediction, PredictionFuture, RowCall,
    SequenceSnapshot, Subtask,
};

impl<P> FunctionBase<P> {
    /// The base of a function that serves some groups of options beside those that every function has:
    /// of endpoint, model, connections, limits, retries, circuit breaker and health checks.
    ///
    /// What is odd about the options is logged.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Options`](crate::ErrorKind::Options) with every option of other groups that says
    /// something else than its default: `function` would ignore it without a word.
    pub fn serving(
        function: &str,
        options: TritonOptions,
        groups: &[OptionGroup],
    ) -> Result<Self, Error> {
        OptionGroup::check(function, &options, groups)?;
        for warning in options.warnings() {
            warn!(model = %options.model_name, "{warning}");
        }
        Ok(Self::new(options))
    }

    /// Opens: sets up what calls go through, looks the model up, waiting for its server as the option
    /// `open-wait` says, and lets `prepare` make of it what predictions need.
    ///
    /// What sequence IDs are sent as is agreed with the model, if requests have any. A function that asks
    /// the server for more takes the parts: [`begin`](Self::begin),
    /// [`Opening::look_up_model`](crate::Opening::look_up_model) and [`Opening::finish`](crate::Opening::finish).
    ///
    /// # Errors
    ///
    /// As [`begin`](Self::begin); [`ErrorKind::Call`](crate::ErrorKind::Call) when the model cannot be
    /// looked up, with the [`triton_client::Error`] as its source;
    /// [`ErrorKind::State`](crate::ErrorKind::State) when the base is closed or given up meanwhile;
    /// [`ErrorKind::Mismatch`](crate::ErrorKind::Mismatch) where sequence IDs cannot work with the
    /// model; otherwise whatever `prepare` fails with. The base then is not open.
    pub async fn open(
        &self,
        subtask: Subtask,
        prepare: impl FnOnce(&Arc<CallContext>, &ModelFacts) -> Result<P, Error>,
    ) -> Result<(), Error> {
        let opening = self.begin(subtask)?;
        let open = Arc::clone(opening.subtask());
        let preparation = async {
            let facts = open.look_up_model().await?;
            let prepared = prepare(&open, &facts)?;
            open.agree_unless_agreed(&facts)?;
            Ok(prepared)
        };
        let prepared = opening.unless_closed(preparation).await?;
        opening.finish(prepared)?;
        info!(
            // Every function is opened here, and not only those of your own.
            target: "triton_model_fn::base",
            model = %open.model,
            endpoint = %open.options().endpoint,
            job = subtask.job(),
            operator = subtask.operator(),
            execution = subtask.execution(),
            subtask = subtask.index(),
            parallelism = subtask.parallelism(),
            attempt = subtask.attempt(),
            run = open.id_generator.as_ref().and_then(|source| source.run()),
            ran_before = open.ran_before.as_ref().map(tracing::field::display),
            "opened"
        );
        Ok(())
    }

    /// Answers a row by what `work` does for it: see [`CallContext::row`].
    ///
    /// Its deadline begins here and now. The future holds on to what is open, and not to the base.
    ///
    /// # Errors
    ///
    /// The future fails with [`ErrorKind::State`](crate::ErrorKind::State) when the base is not open, or
    /// is given up meanwhile; otherwise with whatever `work` fails with.
    pub fn row<W, F>(&self, work: W) -> PredictionFuture
    where
        W: FnOnce(Arc<RowCall>, Arc<Opened<P>>) -> F,
        F: Future<Output = Result<Prediction, Error>> + Send + 'static,
    {
        match self.opened() {
            Ok(opened) => {
                let call = Arc::new(RowCall::begin(Arc::clone(&opened.subtask)));
                let work = work(Arc::clone(&call), opened);
                Box::pin(call.answered_by(work))
            }
            Err(error) => Box::pin(future::ready(Err(error))),
        }
    }

    /// Closes, as [`close_with`](Self::close_with), where nothing but rows has to come to its end.
    ///
    /// # Errors
    ///
    /// As [`close_with`](Self::close_with).
    pub async fn close(&self) -> Result<(), Error> {
        self.close_with(|_, _| future::ready(Ok(()))).await
    }

    /// Gives everything up, as [`abort_with`](Self::abort_with), where there is nothing but rows.
    pub async fn abort(&self) {
        self.abort_with(|_| future::ready(())).await;
    }

    /// The counter of sequence IDs, to be stored with a checkpoint of the engine.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::State`](crate::ErrorKind::State) when the base is not open.
    pub fn snapshot(&self) -> Result<SequenceSnapshot, Error> {
        Ok(self.opened()?.subtask.snapshot_counter())
    }

    /// Goes on counting sequence IDs behind those of a snapshot. Call it after `open`, before any row.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::State`](crate::ErrorKind::State) when the base is not open, and
    /// [`ErrorKind::Snapshot`](crate::ErrorKind::Snapshot) when the snapshot has sequences of keys, or
    /// sequence IDs are numbers that have no room for its counter.
    pub fn restore(&self, snapshot: &SequenceSnapshot) -> Result<(), Error> {
        let opened = self.opened()?;
        let restored = opened.subtask.restore_counter(snapshot);
        restored.map_err(|error| error.in_subtask(opened.subtask.subtask))
    }
}
