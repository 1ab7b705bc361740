//! The inference function: a row becomes tensors, the model runs, its outputs become a row.

use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::time::Instant;
use tracing::{info, warn};
use triton_client::ModelConfig;
use triton_options::{SEQUENCE_KEY, TritonOptions};

use crate::batcher::Batcher;
use crate::ending::Ended;
use crate::sequences::{
    KeyedSequences, LeftBehind, ModelColumns, ModelTransport, Pending, Row, SequenceColumns,
    SequenceKey, SequenceSettings, SourceTraits,
};
use crate::tensor_plan::{EncodedRow, TensorPlan};
use crate::{
    CallContext, Error, ErrorKind, FunctionBase, ModelFacts, ModelFunction, Opened, Prediction,
    Schema, SequencePlaces, SequenceSnapshot, ServerWait, Subtask, TakenSequence, Value,
    default_value, row_batch,
};

/// Runs a model's inference on each row.
///
/// `open` asks the server for the model and refuses a schema that does not fit it. Rows of a
/// stateless model travel together where the option `batch-size` allows it. In auto-increment
/// mode each row takes a sequence ID of its own when it is handed over, which is the request's
/// `parameters.sequence_id`, with START and END: the n-th row that can be encoded has the n-th
/// counter. With `sequence-key` each key has a sequence,
/// whose rows are answered in the order in which [`predict`](ModelFunction::predict) was called.
#[derive(Debug)]
pub struct InferenceFunction {
    base: FunctionBase<Prepared>,
    schema: Schema,
    sequences: Option<SequenceColumns>,
    source: SourceTraits,
    /// What earlier openings have left on the server.
    left: Arc<LeftBehind>,
}

/// What `open` agreed with the server.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) plan: Arc<TensorPlan>,
    pub(crate) columns: Arc<ModelColumns>,
    default_row: Option<Vec<Value>>,
    sender: Sender,
}

/// How rows reach the model.
#[derive(Debug)]
enum Sender {
    /// Each in a request of its own.
    Single,
    /// Several in a request.
    Batched(Batcher),
    /// One after the other within the sequence of their key.
    Keyed(KeyedSequences<ModelTransport>),
}

/// A row whose turn among the others is settled, so that its answer can be waited for.
enum Begun {
    Refused(Error),
    /// In a request of its own.
    Single(EncodedRow, Option<TakenSequence>),
    /// In a request with others.
    Batched(EncodedRow),
    /// Behind those of its key.
    Queued(Pending<ModelTransport>),
}

impl InferenceFunction {
    /// A function for the model that `options` name, which is not open.
    ///
    /// That the options fit together was checked when they were parsed; what is odd about them
    /// is logged here.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Schema`] when a side of the schema is empty or has two columns of one name,
    /// or when an option names an input column that does not exist or cannot be what it is to be.
    pub fn new(options: TritonOptions, schema: Schema) -> Result<Self, Error> {
        schema.check()?;
        let sequences = SequenceColumns::find(&options, &schema)?;
        for warning in options.warnings() {
            warn!(model = %options.model_name, "{warning}");
        }
        Ok(Self {
            base: FunctionBase::new(options),
            schema,
            sequences,
            source: SourceTraits::default(),
            left: Arc::default(),
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

    /// This function for input that can wait: a call that meets a server which is away waits for
    /// it, and further ones are not sent meanwhile.
    ///
    /// Calls then fail with [`ErrorKind::ServerAway`] once the server was away for as long as
    /// `wait` says. Hand a clone of one `wait` to every function of a run.
    #[must_use]
    pub fn waiting_for_server(mut self, wait: &ServerWait) -> Self {
        self.base = self.base.waiting_for_server(wait.clone());
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

    /// Tells the sequence of its key of a row that cannot be used: one that has no values for the
    /// model, only those of its key, its end and its position.
    ///
    /// It takes its place among the rows of its key without being sent: a last row ends the
    /// sequence, and a position counts as seen. Where the option `sequence-key` is not set it does
    /// nothing.
    pub fn submit_unusable(&self, row: &[Value]) -> impl Future<Output = ()> + Send + use<> {
        let begun = self.base.opened().ok().map(|opened| {
            let unusable = || {
                let message = "the row cannot be used";
                Err(Error::new(ErrorKind::Input, message))
            };
            self.begin_keyed(&opened.prepared, row, false, unusable)
        });
        async move {
            if let Some(Some(Begun::Queued(answer))) = begun {
                // Whatever comes back says that it is done, and nothing else.
                let _ = answer.await;
            }
        }
    }

    /// The text that stands for the key of a row, as [`SequenceSnapshot::keys`] has it; `None`
    /// where the option `sequence-key` is not set, or the row has no key.
    #[must_use]
    pub fn sequence_key(&self, row: &[Value]) -> Option<String> {
        let columns = self.sequences.as_ref()?;
        let key = columns.key(row).ok()?;
        Some(key.as_str().to_owned())
    }

    /// How many sequences of keys may be open at once; `None` where the option `sequence-key` is
    /// not set, or while the function is not open.
    #[must_use]
    pub fn sequence_places(&self) -> Option<SequencePlaces> {
        match &self.base.opened().ok()?.prepared.sender {
            Sender::Keyed(sequences) => Some(sequences.places()),
            Sender::Single | Sender::Batched(_) => None,
        }
    }

    /// The number that the next sequence ID would take; 0 where no IDs are numbered.
    #[must_use]
    pub fn next_counter(&self) -> u64 {
        let opened = self.base.opened().ok();
        let ids = opened
            .as_ref()
            .and_then(|opened| opened.subtask.id_generator.as_ref());
        ids.map_or(0, |ids| ids.peek())
    }

    /// Goes on counting sequence IDs from `counter`, unless the counter is further already.
    ///
    /// For a run that goes on after another one, whose last IDs no snapshot has seen.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::State`] when the function is not open, and [`ErrorKind::Snapshot`] when sequence
    /// IDs are numbers that have no room for such a counter.
    pub fn advance_counter(&self, counter: u64) -> Result<(), Error> {
        let opened = self.base.opened()?;
        if let Some(ids) = &opened.subtask.id_generator {
            ids.check_counter(counter)
                .map_err(|error| error.in_subtask(opened.subtask.subtask))?;
            let reserved = counter.saturating_sub(ids.peek());
            ids.hold_reserved(Instant::now(), reserved);
            ids.advance(counter);
            if let Sender::Keyed(sequences) = &opened.prepared.sender {
                sequences.hold_reserved(reserved);
            }
        }
        Ok(())
    }

    /// How many sequences of keys are open: each takes one of the places that the model has.
    ///
    /// 0 while the function is not open.
    #[must_use]
    pub fn open_sequences(&self) -> usize {
        match self.base.opened() {
            Ok(opened) => match &opened.prepared.sender {
                Sender::Keyed(sequences) => sequences.open_sequences(),
                Sender::Single | Sender::Batched(_) => 0,
            },
            Err(_) => 0,
        }
    }

    /// The open sequences of keys, to be stored with a checkpoint of the engine.
    ///
    /// Call it when every row handed over is answered, so that what the snapshot knows and what
    /// the source has read are the same. Without `sequence-key` it is empty.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::State`] when the function is not open, or rows are under way.
    pub fn snapshot(&self) -> Result<SequenceSnapshot, Error> {
        let opened = self.base.opened()?;
        match &opened.prepared.sender {
            Sender::Keyed(sequences) => sequences
                .snapshot()
                .map_err(|error| error.in_subtask(opened.subtask.subtask)),
            Sender::Single | Sender::Batched(_) => {
                let ids = opened.subtask.id_generator.as_ref();
                let next = ids.map_or(0, |ids| ids.peek());
                let numbers = ids.map(|ids| ids.alive(Instant::now()));
                Ok(SequenceSnapshot {
                    alive_numbers: numbers.unwrap_or_default(),
                    ..SequenceSnapshot::new(next, Vec::new())
                })
            }
        }
    }

    /// Takes the sequences of a snapshot, of this subtask or, where keys have moved, of several.
    ///
    /// The model's state belongs to the run that is gone, so each sequence goes on as the option
    /// `sequence-recovery` says, under a new ID, when its key has a row. The counter of IDs goes
    /// on after the numbers that the snapshot has seen. Call it after `open`, before any row.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::State`] when the function is not open, and [`ErrorKind::Snapshot`] when the
    /// snapshot is of other columns, is damaged, or has a key that there is already.
    pub fn restore(&self, snapshot: SequenceSnapshot) -> Result<(), Error> {
        let opened = self.base.opened()?;
        let open = &opened.subtask;
        let restored = match &opened.prepared.sender {
            Sender::Keyed(sequences) => sequences.restore(snapshot),
            Sender::Single | Sender::Batched(_) if snapshot.is_empty() => {
                match &open.id_generator {
                    Some(source) => source.take_over(Instant::now(), &snapshot),
                    None => Ok(()),
                }
            }
            Sender::Single | Sender::Batched(_) => {
                let message = format!(
                    "the snapshot has {} sequences of keys, but the option '{}' is not set",
                    snapshot.len(),
                    SEQUENCE_KEY.key()
                );
                Err(Error::new(ErrorKind::Snapshot, message))
            }
        };
        restored.map_err(|error| error.in_subtask(open.subtask))
    }

    #[cfg(feature = "arrow")]
    pub(crate) fn opened(&self) -> Result<Arc<Opened<Prepared>>, Error> {
        self.base.opened()
    }

    #[cfg(feature = "arrow")]
    pub(crate) fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Gives everything up at once, whatever the function is doing: opening, predicting or closing.
    ///
    /// Rows that are not answered fail with [`ErrorKind::State`]; the server may execute all the
    /// same what was sent. When this returns, nothing of the function works any more, and it can be
    /// opened again. Aborting a function that is not open does nothing.
    pub async fn abort(&self) {
        let stop = |opened: Arc<Opened<Prepared>>| async move {
            match &opened.prepared.sender {
                Sender::Single => {}
                Sender::Batched(batcher) => batcher.abort().await,
                Sender::Keyed(sequences) => sequences.abort(),
            }
        };
        self.base.abort(stop).await;
    }

    async fn prepare(&self, open: &Arc<CallContext>) -> Result<Prepared, Error> {
        let options = self.base.options();
        let facts = open.look_up_model().await?;
        let ModelFacts {
            metadata, config, ..
        } = &facts;
        if config.is_decoupled {
            return Err(decoupled(config));
        }
        let columns = ModelColumns::new(
            options,
            &self.schema,
            self.sequences.as_ref(),
            |name| metadata.inputs.iter().any(|tensor| tensor.name == name),
            |name| metadata.outputs.iter().any(|tensor| tensor.name == name),
        );
        let default_row = default_value::parse(options, &columns.schema.outputs)?;
        let plan = TensorPlan::new(options, &columns.schema, &facts)?;
        let plan = Arc::new(plan);
        open.agree_on_ids_of(&facts)?;
        let settings = SequenceSettings::agree(
            options,
            &self.schema,
            &columns.schema,
            config,
            open,
            self.source,
        )?;
        let sender = match settings {
            Some(settings) => {
                let transport = ModelTransport {
                    open: Arc::clone(open),
                    plan: Arc::clone(&plan),
                };
                let (open, left) = (Arc::clone(open), Arc::clone(&self.left));
                Sender::Keyed(KeyedSequences::start(open, transport, settings, left))
            }
            None if plan.rows_per_request > 1 => {
                let (open, plan) = (Arc::clone(open), Arc::clone(&plan));
                Sender::Batched(Batcher::start(open, plan, options.batch_timeout))
            }
            None => Sender::Single,
        };
        Ok(Prepared {
            plan,
            columns: Arc::new(columns),
            default_row,
            sender,
        })
    }

    /// Gives a row its place among the others at once; its answer can be waited for any time.
    fn start(
        &self,
        row: &[Value],
        last: bool,
    ) -> impl Future<Output = Result<Prediction, Error>> + Send + use<> {
        let begun = self.base.opened().map(|opened| {
            let deadline = opened.subtask.row_deadline();
            let begun = self.begin(&opened, row, last);
            (opened, begun, deadline)
        });
        async move {
            let (opened, begun, deadline) = begun?;
            let Opened {
                subtask: open,
                prepared,
            } = &*opened;
            let answer = prepared.answer(open, begun, deadline).await;
            prepared.conclude(open, answer)
        }
    }

    fn begin(&self, opened: &Opened<Prepared>, row: &[Value], last: bool) -> Begun {
        let prepared = &opened.prepared;
        let encode = || prepared.columns.encode(&prepared.plan, row);
        if let Some(begun) = self.begin_keyed(prepared, row, last, encode) {
            return begun;
        }
        let row = match encode() {
            Ok(row) => row,
            Err(error) => return Begun::Refused(error),
        };
        match &prepared.sender {
            Sender::Batched(_) => Begun::Batched(row),
            // Here and now, and only for a row that can be sent: IDs follow the order of rows.
            Sender::Single | Sender::Keyed(_) => match opened.subtask.next_sequence() {
                Ok(sequence) => Begun::Single(row, sequence),
                Err(error) => Begun::Refused(error),
            },
        }
    }

    /// Puts a row behind those of its key; `None` where rows belong to no sequence of others.
    fn begin_keyed(
        &self,
        prepared: &Prepared,
        row: &[Value],
        last: bool,
        encode: impl Fn() -> Result<EncodedRow, Error>,
    ) -> Option<Begun> {
        let Sender::Keyed(keyed) = &prepared.sender else {
            return None;
        };
        let expected = self.schema.inputs.len();
        if row.len() != expected {
            let message = format!("expected {expected} values, found {}", row.len());
            return Some(Begun::Refused(Error::new(ErrorKind::Input, message)));
        }
        let Some(columns) = &self.sequences else {
            // All rows share one sequence, which the rows of other keys would be in as well.
            let row = Row {
                encoded: encode().map(Arc::new),
                last: false,
                position: None,
            };
            return Some(Begun::Queued(keyed.submit(&SequenceKey::new(""), row)));
        };
        let encode_later = || {
            let (columns, plan) = (Arc::clone(&prepared.columns), Arc::clone(&prepared.plan));
            move |row: &[Value]| columns.encode(&plan, row)
        };
        let place = columns.key(row).and_then(|key| {
            let position = columns.position(row, encode_later)?;
            Ok((key, columns.ends(row)?, position))
        });
        Some(match place {
            Ok((key, ends, position)) => {
                let row = Row {
                    encoded: encode().map(Arc::new),
                    last: last || ends || columns.is_longest(position.as_ref()),
                    position,
                };
                Begun::Queued(keyed.submit(&key, row))
            }
            Err(error) => Begun::Refused(error),
        })
    }
}

impl Prepared {
    /// Answers a row by the model, before its deadline.
    async fn answer(
        &self,
        open: &CallContext,
        begun: Begun,
        deadline: Option<Instant>,
    ) -> Result<Prediction, Error> {
        let (row, sequence) = match begun {
            Begun::Refused(error) => return Err(error),
            Begun::Single(row, sequence) => (row, sequence),
            Begun::Batched(row) => {
                let Sender::Batched(batcher) = &self.sender else {
                    return Err(gone(open));
                };
                return Ok(Prediction::new(batcher.answer(row, deadline).await?, None));
            }
            Begun::Queued(answer) => {
                let answered = answer.await.unwrap_or_else(|_| Err(gone(open)))?;
                let row = self.columns.output(answered.values, answered.restarted);
                let mut prediction = Prediction::new(row, Some(answered.sequence_id));
                prediction.sequence_restarted = answered.restarted;
                return Ok(prediction);
            }
        };
        let sequence_id = sequence.as_ref().map(|sequence| sequence.id.to_string());
        let name = sequence.as_ref().map(|sequence| sequence.name.clone());
        let answer = async {
            let _permit = open.request_permit(deadline).await?;
            let inputs = self.plan.tensors(&[&row])?;
            let request = row_batch::request(open, &self.plan, inputs);
            open.infer(request, sequence.as_deref(), deadline).await
        };
        let answer = answer.await;
        if let Some(sequence) = sequence.filter(|_| is_settled(&answer)) {
            sequence.release();
        }
        let rows = answer.and_then(|response| self.plan.rows(&response, 1));
        match rows.map(|mut rows| rows.pop()) {
            Ok(row) => Ok(Prediction::new(row.unwrap_or_default(), sequence_id)),
            Err(error) => Err(error.in_sequence(name)),
        }
    }

    /// Counts the answer, or puts the default in its place.
    fn conclude(
        &self,
        open: &CallContext,
        answer: Result<Prediction, Error>,
    ) -> Result<Prediction, Error> {
        let error = match answer {
            Ok(prediction) => {
                open.metrics().row_answered();
                return Ok(prediction);
            }
            Err(error) => error,
        };
        match self.default_for(open, &error) {
            Some(row) => {
                open.metrics().row_defaulted();
                let row = self.columns.output(row, false);
                let sequence_id = error.sequence_id().map(str::to_owned);
                Ok(Prediction {
                    is_default: true,
                    ..Prediction::new(row, sequence_id)
                })
            }
            None => {
                open.metrics().row_failed();
                Err(error.in_subtask(open.subtask))
            }
        }
    }

    /// The default in place of an error, where there is one and the error allows it.
    pub(crate) fn default_for(&self, open: &CallContext, error: &Error) -> Option<Vec<Value>> {
        let replaceable = match error.kind() {
            ErrorKind::NullInput
            | ErrorKind::Call
            | ErrorKind::SequenceUncertain
            | ErrorKind::SequenceLost
            | ErrorKind::CircuitOpen
            | ErrorKind::Output => true,
            // A mistake in the pipeline, not a failure of the model.
            _ => false,
        };
        let default = self.default_row.as_ref().filter(|_| replaceable)?;
        warn!(
            model = %open.model,
            subtask = open.subtask.index(),
            attempt = open.subtask.attempt(),
            sequence_id = error.sequence_id(),
            %error,
            cause = error.client_error().map(tracing::field::display),
            "a row got the default value"
        );
        Some(default.clone())
    }
}

/// Whether nothing of the last attempt of a request can be on the server any more.
fn is_settled<T>(answer: &Result<T, Error>) -> bool {
    match answer {
        Ok(_) => true,
        Err(error) => {
            let failure = error.client_error();
            failure.is_some_and(|failure| !failure.may_have_executed())
        }
    }
}

/// The error of a row whose worker is gone.
fn gone(open: &CallContext) -> Error {
    let ended = open.ending.ended().unwrap_or(Ended::Closed);
    ended.error("before the row was answered")
}

/// Such a model has no one answer to a request, and the server refuses each of them.
fn decoupled(config: &ModelConfig) -> Error {
    let name = &config.name;
    let step = config.steps.iter().find(|step| step.is_decoupled);
    let whose = match step {
        Some(step) => format!("of its step '{}' ", step.name),
        None => String::new(),
    };
    let message = format!(
        "model '{name}' is decoupled: a request {whose}may have any number of responses, which \
         only a stream can carry; ask it with generate_stream (POST \
         v2/models/{name}/generate_stream, `Client::generate_stream`) or with a client of gRPC \
         (ModelStreamInfer)"
    );
    Error::new(ErrorKind::Mismatch, message)
}

#[async_trait]
impl ModelFunction for InferenceFunction {
    async fn open(&self, subtask: Subtask) -> Result<(), Error> {
        let opening = self.base.begin(subtask)?;
        let open = Arc::clone(opening.subtask());
        let prepared = opening.unless_closed(self.prepare(&open)).await?;
        opening.finish(prepared)?;
        info!(
            model = %open.model,
            endpoint = %open.client().endpoint(),
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

    // Not an `async fn`, which would do nothing before it is polled.
    fn predict<'life0, 'life1, 'async_trait>(
        &'life0 self,
        row: &'life1 [Value],
    ) -> Pin<Box<dyn Future<Output = Result<Prediction, Error>> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(self.start(row, false))
    }

    async fn close(&self) -> Result<(), Error> {
        let stop = |opened: Arc<Opened<Prepared>>, deadline| async move {
            match &opened.prepared.sender {
                Sender::Single => Ok(()),
                Sender::Batched(batcher) => batcher.close(deadline).await,
                Sender::Keyed(sequences) => sequences.close(deadline).await,
            }
        };
        self.base.close(stop).await
    }
}
