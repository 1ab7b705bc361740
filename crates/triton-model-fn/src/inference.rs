//! The inference function: a row becomes tensors, the model runs, its outputs become a row.

use std::sync::Arc;

use async_trait::async_trait;
use tracing::{info, warn};
use triton_options::TritonOptions;

use crate::batcher::Batcher;
use crate::tensor_plan::{EncodedRow, TensorPlan};
use crate::{
    Error, ErrorKind, FunctionBase, ModelFunction, OpenSubtask, Opened, Prediction, Schema,
    Subtask, Value, default_value, row_batch,
};

/// Runs a model's inference on each row.
///
/// `open` asks the server for the model and refuses a schema that does not fit it. Rows of a
/// stateless model travel together where the option `batch-size` allows it. In auto-increment
/// mode each row takes a sequence ID of its own, which is the request's
/// `parameters.sequence_id`, with START and END.
#[derive(Debug)]
pub struct InferenceFunction {
    base: FunctionBase<Prepared>,
    schema: Schema,
}

/// What `open` agreed with the server.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) plan: Arc<TensorPlan>,
    default_row: Option<Vec<Value>>,
    batcher: Option<Batcher>,
}

impl InferenceFunction {
    /// A function for the model that `options` name, which is not open.
    ///
    /// That the options fit together was checked when they were parsed; what is odd about them
    /// is logged here.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Schema`] when a side of the schema is empty or has two columns of one name.
    pub fn new(options: TritonOptions, schema: Schema) -> Result<Self, Error> {
        schema.check()?;
        for warning in options.warnings() {
            warn!(model = %options.model_name, "{warning}");
        }
        Ok(Self {
            base: FunctionBase::new(options),
            schema,
        })
    }

    #[cfg(feature = "arrow")]
    pub(crate) fn opened(&self) -> Result<Arc<Opened<Prepared>>, Error> {
        self.base.opened()
    }

    async fn prepare(&self, open: &Arc<OpenSubtask>) -> Result<Prepared, Error> {
        let options = self.base.options();
        let default_row = default_value::parse(options, &self.schema.outputs)?;
        let (metadata, config) = open.look_up_model(options.open_wait).await?;
        let plan = Arc::new(TensorPlan::new(options, &self.schema, &metadata, &config)?);
        let batcher = (plan.rows_per_request > 1)
            .then(|| Batcher::start(Arc::clone(open), Arc::clone(&plan), options.batch_timeout));
        Ok(Prepared {
            plan,
            default_row,
            batcher,
        })
    }
}

impl Prepared {
    /// Answers a row by the model.
    async fn answer(&self, open: &OpenSubtask, row: EncodedRow) -> Result<Prediction, Error> {
        if let Some(batcher) = &self.batcher {
            return Ok(Prediction::new(batcher.answer(row).await?, None));
        }
        let slot = open.slot().await?;
        // Only a row that is about to be sent takes an ID.
        let sequence = open.next_sequence()?;
        let sequence_id = sequence.as_ref().map(|sequence| sequence.id.to_string());
        let inputs = self.plan.tensors(&[&row])?;
        let request = row_batch::request(open, &self.plan, inputs);
        let answer = open.infer(request, sequence.as_ref()).await;
        drop(slot);
        let rows = answer.and_then(|response| self.plan.rows(&response, 1));
        match rows.map(|mut rows| rows.pop()) {
            Ok(row) => Ok(Prediction::new(row.unwrap_or_default(), sequence_id)),
            Err(error) => Err(error.in_sequence(sequence_id)),
        }
    }

    /// The default in place of an error, where there is one and the error allows it.
    pub(crate) fn default_for(&self, open: &OpenSubtask, error: &Error) -> Option<Vec<Value>> {
        let replaceable = match error.kind() {
            ErrorKind::NullInput
            | ErrorKind::Call
            | ErrorKind::SequenceUncertain
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

#[async_trait]
impl ModelFunction for InferenceFunction {
    async fn open(&self, subtask: Subtask) -> Result<(), Error> {
        let opening = self.base.begin(subtask)?;
        let open = Arc::clone(opening.subtask());
        let prepared = self
            .prepare(&open)
            .await
            .map_err(|error| error.in_subtask(subtask))?;
        opening.finish(prepared);
        info!(
            model = %open.model,
            endpoint = %open.client().endpoint(),
            subtask = subtask.index(),
            parallelism = subtask.parallelism(),
            attempt = subtask.attempt(),
            "opened"
        );
        Ok(())
    }

    async fn predict(&self, row: &[Value]) -> Result<Prediction, Error> {
        let opened = self.base.opened()?;
        let Opened {
            subtask: open,
            prepared,
        } = &*opened;
        let answer = match prepared.plan.encode(row) {
            Ok(row) => prepared.answer(open, row).await,
            Err(error) => Err(error),
        };
        match answer {
            Ok(prediction) => {
                open.metrics().row_answered();
                Ok(prediction)
            }
            Err(error) => match prepared.default_for(open, &error) {
                Some(row) => {
                    open.metrics().row_defaulted();
                    Ok(Prediction::new(row, error.sequence_id().map(str::to_owned)))
                }
                None => {
                    open.metrics().row_failed();
                    Err(error.in_subtask(open.subtask))
                }
            },
        }
    }

    async fn close(&self) -> Result<(), Error> {
        let stop = |opened: Arc<Opened<Prepared>>, deadline| async move {
            match &opened.prepared.batcher {
                Some(batcher) => batcher.close(deadline).await,
                None => Ok(()),
            }
        };
        self.base.close(stop).await
    }
}
