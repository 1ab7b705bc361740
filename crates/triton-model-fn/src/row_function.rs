//! A function of your own that is no more than what it prepares and what it does for a row.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    CallContext, Error, FunctionBase, ModelFacts, ModelFunction, Opened, Prediction,
    PredictionFuture, RowCall, SequenceSnapshot, Subtask, Value,
};

/// What [`FunctionBase::answering`] makes of two closures.
pub struct RowFunction<P, A, W> {
    base: FunctionBase<P>,
    prepare: A,
    work: W,
}

impl<P> FunctionBase<P> {
    /// The function that `prepare`s something while it opens, and answers each row by what `work` does
    /// for it.
    ///
    /// `prepare` gets what the server tells of the model. `work` gets what calls go through, what was
    /// prepared, and the row. See [`open`](Self::open) and [`row`](Self::row) for what is done around
    /// them. A row of the function is given up where its future is dropped.
    ///
    /// ```
    /// use triton_embedded::EmbeddedTriton;
    /// use triton_model_fn::{
    ///     DataType, FunctionBase, ModelFunction as _, OptionGroup, Schema, Subtask, TensorCodec,
    ///     TritonOptions, Value,
    /// };
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = EmbeddedTriton::start()?;
    /// let options = [("endpoint", server.endpoint()), ("model-name", "echo".to_owned())];
    /// let options = TritonOptions::parse(options)?;
    /// let served = [OptionGroup::Columns, OptionGroup::Inference];
    /// // What comes out is half of what goes in, and is made so here.
    /// let function = FunctionBase::serving("Halves", options, &served)?.answering(
    ///     |open, facts| TensorCodec::agree(open.options(), &Schema::of_model(facts)?, facts),
    ///     |call, opened, row| async move {
    ///         let codec = &opened.prepared;
    ///         let response = call.infer(codec.request(codec.encode(&row)?)).await?;
    ///         let mut row = codec.decode(&response)?;
    ///         if let Some(Value::Array(array)) = row.first()
    ///             && let Some(values) = array.values::<f32>()
    ///         {
    ///             row = vec![values.iter().map(|value| value / 2.0).collect()];
    ///         }
    ///         Ok(call.prediction(row))
    ///     },
    /// );
    /// function.open(Subtask::new(0, 1, 0)?).await?;
    /// let answer = function.predict(&[[1.0_f32, 3.0].into()]).await?;
    /// assert_eq!(answer.row, [Value::from([0.5_f32, 1.5])]);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn answering<A, W, F>(self, prepare: A, work: W) -> RowFunction<P, A, W>
    where
        A: Fn(&Arc<CallContext>, &ModelFacts) -> Result<P, Error> + Send + Sync,
        W: Fn(Arc<RowCall>, Arc<Opened<P>>, Vec<Value>) -> F + Send + Sync,
        F: Future<Output = Result<Prediction, Error>> + Send + 'static,
    {
        RowFunction {
            base: self,
            prepare,
            work,
        }
    }
}

#[async_trait]
impl<P, A, W, F> ModelFunction for RowFunction<P, A, W>
where
    P: Send + Sync + 'static,
    A: Fn(&Arc<CallContext>, &ModelFacts) -> Result<P, Error> + Send + Sync,
    W: Fn(Arc<RowCall>, Arc<Opened<P>>, Vec<Value>) -> F + Send + Sync,
    F: Future<Output = Result<Prediction, Error>> + Send + 'static,
{
    async fn open(&self, subtask: Subtask) -> Result<(), Error> {
        self.base.open(subtask, &self.prepare).await
    }

    fn submit(&self, row: &[Value]) -> PredictionFuture {
        let work = |call, opened| (self.work)(call, opened, row.to_vec());
        self.base.row(work)
    }

    async fn close(&self) -> Result<(), Error> {
        self.base.close().await
    }

    async fn abort(&self) {
        self.base.abort().await;
    }

    fn rows_in_flight(&self) -> usize {
        self.base.options().max_in_flight.most().get() as usize
    }

    fn snapshot(&self) -> Result<SequenceSnapshot, Error> {
        self.base.snapshot()
    }

    fn restore(&self, snapshot: SequenceSnapshot) -> Result<(), Error> {
        self.base.restore(&snapshot)
    }
}

impl<P: fmt::Debug, A, W> fmt::Debug for RowFunction<P, A, W> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RowFunction")
            .field("base", &self.base)
            .finish_non_exhaustive()
    }
}
