//! The inference function: a row becomes tensors, the model runs, its outputs become a row.

mod of_sequences;
mod preparing;

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::Either;
use triton_options::TritonOptions;

use crate::answers::{self, AnswerSink, RowAnswer};
use crate::lanes::{Lane, Prepared, RowColumns};
use crate::replicas::Resolver;
use crate::sequences::{LeftBehind, SequenceColumns, SourceTraits};
use crate::streams::AnswerStream;
use crate::{
    Column, Error, FilledColumn, FunctionBase, ModelFunction, Opened, OptionGroup, Prediction,
    PredictionFuture, Schema, SequenceSnapshot, ServerWait, Subtask, Value, default_value,
    filled_column,
};

/// Runs a model's inference on each row.
///
/// `open` asks the server for the model and refuses a schema that does not fit it. Rows of a
/// stateless model are batched where the option `batch-size` allows it. In auto-increment
/// mode each row takes a sequence ID of its own when it is handed over, which is the request's
/// `parameters.sequence_id`, with START and END: the n-th row that can be encoded has the n-th
/// counter. With `sequence-key` each key has a sequence,
/// whose rows are answered in the order in which [`predict`](ModelFunction::predict) was called.
#[derive(Debug)]
pub struct InferenceFunction {
    base: FunctionBase<Arc<Prepared>>,
    schema: Schema,
    sequences: Option<SequenceColumns>,
    source: SourceTraits,
    /// What earlier openings have left on the server.
    left: Arc<LeftBehind>,
    /// The most bytes of a request, where those of a stateless model are to be filled.
    full_requests: Option<usize>,
}

impl InferenceFunction {
    /// A function for the model that `options` name, which is not open.
    ///
    /// That the options fit together was checked when they were parsed; what is odd about them
    /// is logged here.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Schema`](crate::ErrorKind::Schema) when a side of the schema is empty or has two columns of one name,
    /// when `on-error` is `column` and none says which rows failed, or when an option names an input
    /// column that does not exist or cannot be what it is to be.
    pub fn new(options: TritonOptions, schema: Schema) -> Result<Self, Error> {
        schema.check()?;
        filled_column::check(&options, &schema)?;
        let is_filled = |column: &Column| FilledColumn::named(&column.name).is_some();
        if !schema.outputs.iter().any(is_filled) {
            // Where such a column is among them, only the model tells whether it is an output.
            default_value::parse(&options, &schema.outputs)?;
        }
        let sequences = SequenceColumns::find(&options, &schema)?;
        Ok(Self {
            base: FunctionBase::serving("InferenceFunction", options, OptionGroup::ALL)?,
            schema,
            sequences,
            source: SourceTraits::default(),
            left: Arc::default(),
            full_requests: None,
        })
    }

    /// This function for input that has an end, such as a file.
    ///
    /// The rows of a key then belong to one sequence however long it takes until the next one
    /// comes; only the option `sequence-idle-timeout`, when it is given, says otherwise. Whoever
    /// knows which row of a key is its last calls [`submit_last`](Self::submit_last) for it.
    #[must_use]
    pub fn for_bounded_input(mut self) -> Self {
        self.source.bounded = true;
        self
    }

    /// This function for input without an end whose rows may come at any pace, as where an engine holds
    /// them up: time ends no sequence unless the option `sequence-idle-timeout` is given.
    ///
    /// In all else it is not as for [input that has an end](Self::for_bounded_input): lost sequences are
    /// rebuilt one after the other, because somebody waits for each row.
    #[must_use]
    pub fn keeping_idle_sequences(mut self) -> Self {
        self.source.keeps_idle = true;
        self
    }

    /// This function for input that can wait: a call that meets a server which is away waits for
    /// it, and further ones are not sent meanwhile.
    ///
    /// Calls then fail with [`ErrorKind::ServerAway`](crate::ErrorKind::ServerAway) once the server was away for as long as
    /// `wait` says. Hand a clone of one `wait` to every function of a run.
    #[must_use]
    pub fn waiting_for_server(mut self, wait: &ServerWait) -> Self {
        self.base = self.base.waiting_for_server(wait.clone());
        self
    }

    /// This function with someone of its own who looks up the addresses of the endpoint's name, as
    /// [`FunctionBase::resolving_by`].
    #[must_use]
    pub fn resolving_by(mut self, resolver: Arc<dyn Resolver>) -> Self {
        self.base = self.base.resolving_by(resolver);
        self
    }

    /// This function with as many rows of a stateless model in a request as the model allows, instead of
    /// as many as the option `batch-size` says, and no more than so many bytes, unless one row has more.
    #[must_use]
    pub fn with_full_requests(mut self, most_bytes: usize) -> Self {
        self.full_requests = Some(most_bytes);
        self
    }

    /// This function for an engine that goes on after a failover without the function's state.
    ///
    /// Such an engine calls neither [`snapshot`](Self::snapshot) nor [`restore`](Self::restore),
    /// but its source may go on in the middle of a sequence. Where anything shows that the job has
    /// run before (an attempt above 0, another execution of its operator in this process, an
    /// earlier opening of this function), the first row of a key is therefore marked as
    /// [`sequence_restarted`](Prediction::sequence_restarted), and so is that of each further
    /// sequence of the key until one of its sequences has ended by a row that says so or by time:
    /// only then is the next one certainly whole. The option `sequence-unknown-key` says otherwise.
    ///
    /// Nothing is marked for that reason where rows say which number they have (options
    /// `sequence-position-column` and `sequence-history-columns`): they show what is missing.
    #[must_use]
    pub fn for_engine_without_state(mut self) -> Self {
        self.source.without_state = true;
        self
    }

    /// Hands over a row, whose place among the rows of its key is settled when this returns.
    ///
    /// As [`predict`](ModelFunction::predict), but the future holds on to the function and not
    /// to the row, so that it can be spawned.
    ///
    /// # Errors
    ///
    /// As [`predict`](ModelFunction::predict).
    pub fn submit(
        &self,
        row: &[Value],
    ) -> impl Future<Output = Result<Prediction, Error>> + Send + use<> {
        self.start(row, false)
    }

    /// Hands over a row that is the last one of its key, which ends the key's sequence.
    ///
    /// As [`submit`](Self::submit) where the option `sequence-key` is not set.
    ///
    /// # Errors
    ///
    /// As [`predict`](ModelFunction::predict).
    pub fn submit_last(
        &self,
        row: &[Value],
    ) -> impl Future<Output = Result<Prediction, Error>> + Send + use<> {
        self.start(row, true)
    }

    /// Hands over a row whose answer goes to `sink`, together with those of the other rows of its
    /// request.
    ///
    /// `number` is the caller's: the answer has it. Nothing is made for a single row, such as a task
    /// or a channel, where rows are batched (option `batch-size`). There is no limit to how many rows
    /// wait: the caller has to bound those that are not answered yet.
    ///
    /// The order of calls is the order of rows. Whatever is wrong with a row or the function, and what
    /// [`predict`](ModelFunction::predict) would return, goes to the sink.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use tokio::sync::mpsc;
    /// use triton_embedded::EmbeddedTriton;
    /// use triton_model_fn::{
    ///     AnswerSink, Column, DataType, InferenceFunction, ModelFunction as _, Schema, Subtask,
    ///     TritonOptions, Value,
    /// };
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = EmbeddedTriton::start()?;
    /// let options = [
    ///     ("endpoint", server.endpoint()),
    ///     ("model-name", "echo".to_owned()),
    ///     ("batch-size", "8".to_owned()),
    /// ];
    /// let schema = Schema {
    ///     inputs: vec![Column::new("value", DataType::Float)],
    ///     outputs: vec![Column::new("echo", DataType::Float)],
    /// };
    /// let function = InferenceFunction::new(TritonOptions::parse(options)?, schema)?;
    /// function.open(Subtask::new(0, 1, 0)?).await?;
    ///
    /// let (sink, mut answers) = mpsc::unbounded_channel();
    /// let sink: Arc<dyn AnswerSink> = Arc::new(sink);
    /// for number in 0..20 {
    ///     function.submit_to(number, &[Value::Float(number as f32)], &sink);
    /// }
    /// let mut answered = 0;
    /// while answered < 20 {
    ///     for answer in answers.recv().await.expect("the sink is there") {
    ///         assert_eq!(answer.result?.row, [Value::Float(answer.number as f32)]);
    ///         answered += 1;
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn submit_to(&self, number: u64, row: &[Value], sink: &Arc<dyn AnswerSink>) {
        self.start_for(number, row, false, sink);
    }

    /// As [`submit_to`](Self::submit_to), for several rows at once: `values` are those of one row behind
    /// those of the other, and the numbers of the rows go on from `first`.
    ///
    /// Where rows are batched, this costs the least that can be: nothing is kept for a single row, and
    /// the answers of a request go to [`AnswerSink::take_rows`] column by column. The option
    /// `row-deadline` counts from this call for all of them.
    pub fn submit_rows_to(&self, first: u64, values: &[Value], sink: &Arc<dyn AnswerSink>) {
        let columns = self.row_columns();
        match self.base.opened() {
            Ok(opened) => opened
                .prepared
                .begin_rows_for(&columns, first, values, sink),
            Err(error) => {
                let rows = values.chunks(columns.count.max(1));
                let answers = (first..).zip(rows);
                let answers =
                    answers.map(|(number, _)| RowAnswer::only(number, Err(error.clone())));
                answers::tell(&**sink, answers.collect());
            }
        }
    }

    /// As [`submit_to`](Self::submit_to), for a row that is the last one of its key: see
    /// [`submit_last`](Self::submit_last).
    pub fn submit_last_to(&self, number: u64, row: &[Value], sink: &Arc<dyn AnswerSink>) {
        self.start_for(number, row, true, sink);
    }

    /// The answers to a row, one after the other, where the option `decoupled` is `stream`; without
    /// it the one answer that [`predict`](ModelFunction::predict) would give.
    ///
    /// The row is encoded when this is called, and sent when the stream is polled first. Answers come
    /// in order, each with its number in [`Prediction::part`]. One is given out once the next one
    /// has come, or the end: so the last one is [marked](Prediction::is_last). A stream that is not
    /// polled reads nothing more, and holds its permits until it has ended or is dropped; dropping it
    /// closes its connection.
    ///
    /// What breaks the stream is its last item, and says how many rows had come: a row with the
    /// status `failed` where the option `on-error` is `column`, otherwise an error. It is sent again
    /// only before the first answer. The option `timeout` bounds the wait for each answer,
    /// `row-deadline` the whole, from this call on.
    ///
    /// ```
    /// use triton_embedded::EmbeddedTriton;
    /// use triton_model_fn::{
    ///     Column, DataType, InferenceFunction, ModelFunction as _, Schema, Subtask, TritonOptions,
    ///     Value,
    /// };
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = EmbeddedTriton::start()?;
    /// let options = [
    ///     ("endpoint", server.endpoint()),
    ///     ("model-name", "echo".to_owned()),
    ///     ("decoupled", "stream".to_owned()),
    /// ];
    /// let schema = Schema {
    ///     inputs: vec![Column::new("value", DataType::Float)],
    ///     outputs: vec![Column::new("echo", DataType::Float)],
    /// };
    /// let function = InferenceFunction::new(TritonOptions::parse(options)?, schema)?;
    /// function.open(Subtask::new(0, 1, 0)?).await?;
    ///
    /// let mut answers = function.predict_many(&[Value::Float(1.0)]);
    /// while let Some(answer) = answers.next().await {
    ///     let answer = answer?;
    ///     assert_eq!((answer.row, answer.is_last), (vec![Value::Float(1.0)], true));
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn predict_many(&self, row: &[Value]) -> AnswerStream {
        match self.base.opened() {
            Ok(opened) if matches!(opened.prepared.lane, Lane::Streamed(_)) => {
                AnswerStream::of_row(opened.prepared.stream(row))
            }
            Ok(_) => AnswerStream::of_one(self.submit(row)),
            Err(error) => AnswerStream::of_one(async { Err(error) }),
        }
    }

    /// All answers to a row, when the last one has come: none for a row that has none.
    ///
    /// As [`predict_many`](Self::predict_many), of which an error leaves nothing. Nobody has seen an
    /// answer before, so where rows can [wait for the server](Self::waiting_for_server), a row whose
    /// stream breaks while the server goes away is sent again when it is back. The row is encoded when
    /// this is called.
    ///
    /// # Errors
    ///
    /// As [`predict`](ModelFunction::predict).
    pub fn predict_all(
        &self,
        row: &[Value],
    ) -> impl Future<Output = Result<Vec<Prediction>, Error>> + Send + use<> {
        let answers = match self.base.opened() {
            Ok(opened) => match opened.prepared.lane {
                // In a box, because it is large, and would make the future of every row so.
                Lane::Streamed(_) => Ok(Either::Left(Box::pin(opened.prepared.stream(row).all()))),
                _ => Ok(Either::Right(self.submit(row))),
            },
            Err(error) => Err(error),
        };
        async move {
            match answers? {
                Either::Left(all) => all.await,
                Either::Right(only) => Ok(vec![only.await?]),
            }
        }
    }

    /// What metrics call the servers behind the endpoint that are called at the moment, where it stands for
    /// several (label `replica`); none where it is one server, and while the function is not open.
    #[must_use]
    pub fn replicas(&self) -> Vec<String> {
        match self.base.opened() {
            Ok(opened) => opened.subtask.replicas.labels(),
            Err(_) => Vec::new(),
        }
    }

    fn start_for(&self, number: u64, row: &[Value], last: bool, sink: &Arc<dyn AnswerSink>) {
        match self.base.opened() {
            Ok(opened) => {
                let columns = self.row_columns();
                opened.prepared.begin_for(&columns, row, last, number, sink);
            }
            Err(error) => {
                let result = Err(error);
                answers::tell(&**sink, vec![RowAnswer::only(number, result)]);
            }
        }
    }

    /// Whether a row could be sent: its values fit the tensors of the model, and it has a key where the
    /// option `sequence-key` asks for one. Nothing is sent, and no sequence learns of it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::State`](crate::ErrorKind::State) when the function is not open, and what is wrong with the row.
    pub fn check_row(&self, row: &[Value]) -> Result<(), Error> {
        let opened = self.base.opened()?;
        opened.prepared.check(&self.row_columns(), row)
    }

    /// What the option `on-error` makes of a row that could not even be handed over, as where a cell
    /// of a file cannot be read: a row that stands in for an answer, or the error. It is counted.
    ///
    /// # Errors
    ///
    /// `error`, unless a row stands in for it, and [`ErrorKind::State`](crate::ErrorKind::State) when the function is not open.
    pub fn conclude_unusable(&self, error: Error) -> Result<Prediction, Error> {
        let opened = self.base.opened()?;
        opened.prepared.answering.conclude(Err(error))
    }

    pub(crate) fn opened(&self) -> Result<Arc<Opened<Arc<Prepared>>>, Error> {
        self.base.opened()
    }

    pub(crate) fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Gives everything up at once, whatever the function is doing: opening, predicting or closing.
    ///
    /// Rows that are not answered fail with [`ErrorKind::State`](crate::ErrorKind::State); the server may execute all the
    /// same what was sent. When this returns, nothing of the function works any more, and it can be
    /// opened again. Aborting a function that is not open does nothing.
    pub async fn abort(&self) {
        let stop = |opened: Arc<Opened<Arc<Prepared>>>| async move {
            opened.prepared.abort().await;
        };
        self.base.abort_with(stop).await;
    }

    /// Gives a row its place among the others at once; its answer can be waited for any time.
    fn start(
        &self,
        row: &[Value],
        last: bool,
    ) -> impl Future<Output = Result<Prediction, Error>> + Send + use<> {
        let begun = self.base.opened().map(|opened| {
            let prepared = Arc::clone(&opened.prepared);
            let begun = prepared.begin(&self.row_columns(), row, last);
            (prepared, begun)
        });
        async move {
            let (prepared, begun) = begun?;
            prepared.answer(begun).await.map(Prediction::seen)
        }
    }

    /// What of a row is about its sequence.
    pub(crate) fn row_columns(&self) -> RowColumns<'_> {
        RowColumns {
            count: self.schema.inputs.len(),
            sequences: self.sequences.as_ref(),
        }
    }
}

#[async_trait]
impl ModelFunction for InferenceFunction {
    async fn open(&self, subtask: Subtask) -> Result<(), Error> {
        self.base
            .open(subtask, |open, facts| self.prepare(open, facts))
            .await
    }

    fn submit(&self, row: &[Value]) -> PredictionFuture {
        Box::pin(self.start(row, false))
    }

    fn submit_last(&self, row: &[Value]) -> PredictionFuture {
        Box::pin(self.start(row, true))
    }

    fn submit_to(&self, number: u64, row: &[Value], sink: &Arc<dyn AnswerSink>) {
        self.start_for(number, row, false, sink);
    }

    fn submit_last_to(&self, number: u64, row: &[Value], sink: &Arc<dyn AnswerSink>) {
        self.start_for(number, row, true, sink);
    }

    fn rows_in_flight(&self) -> usize {
        let options = self.base.options();
        let rows = match self.base.opened() {
            Ok(opened) => opened.prepared.answering.plan.rows_per_request,
            Err(_) => 1,
        };
        rows.saturating_mul(options.max_in_flight.most().get() as usize)
    }

    fn snapshot(&self) -> Result<SequenceSnapshot, Error> {
        InferenceFunction::snapshot(self)
    }

    fn restore(&self, snapshot: SequenceSnapshot) -> Result<(), Error> {
        InferenceFunction::restore(self, snapshot)
    }

    async fn abort(&self) {
        InferenceFunction::abort(self).await;
    }

    async fn close(&self) -> Result<(), Error> {
        let stop = |opened: Arc<Opened<Arc<Prepared>>>, deadline| async move {
            opened.prepared.close(deadline).await
        };
        self.base.close_with(stop).await
    }
}
