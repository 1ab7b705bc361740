//! The inference function: a row becomes tensors, the model runs, its outputs become a row.

use async_trait::async_trait;
use triton_client::InferRequest;
use triton_options::TritonOptions;

use crate::tensor_plan::TensorPlan;
use crate::{
    Error, ErrorKind, FunctionBase, ModelFunction, OpenSubtask, Prediction, Schema, Subtask, Value,
};

/// Runs a model's inference on each row.
///
/// `open` asks the server for the model and refuses a schema that does not fit it. In
/// auto-increment mode each row takes a sequence ID of its own, which is also the request's
/// `parameters.sequence_id`, with START and END.
#[derive(Debug)]
pub struct InferenceFunction {
    base: FunctionBase,
    schema: Schema,
    plan: Option<TensorPlan>,
}

impl InferenceFunction {
    /// A function for the model that `options` name, which is not open.
    ///
    /// That the options fit together was checked when they were parsed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Schema`](crate::ErrorKind::Schema) when a side of the schema is empty or has
    /// two columns of one name.
    pub fn new(options: TritonOptions, schema: Schema) -> Result<Self, Error> {
        schema.check()?;
        Ok(Self {
            base: FunctionBase::new(options),
            schema,
            plan: None,
        })
    }

    /// The request for a row, but for its place in a sequence.
    fn request(&self, open: &OpenSubtask, row: &[Value]) -> Result<InferRequest, Error> {
        let mut request = InferRequest::new(open.model.clone());
        for tensor in self.plan()?.tensors(&self.schema.inputs, row)? {
            request = request.input(tensor);
        }
        for column in &self.schema.outputs {
            request = request.output(&column.name);
        }
        Ok(request)
    }

    async fn answer(&self, open: &OpenSubtask, request: InferRequest) -> Result<Vec<Value>, Error> {
        let response = open.client.infer(&request).await;
        let response = response.map_err(|error| Error::call("the row was not answered", error))?;
        self.plan()?.row(&self.schema.outputs, &response)
    }

    fn plan(&self) -> Result<&TensorPlan, Error> {
        let unfinished = || Error::new(ErrorKind::State, "the function was not opened to its end");
        self.plan.as_ref().ok_or_else(unfinished)
    }
}

#[async_trait]
impl ModelFunction for InferenceFunction {
    async fn open(&mut self, subtask: Subtask) -> Result<(), Error> {
        let open = self.base.open(subtask)?;
        match TensorPlan::negotiate(open, &self.schema).await {
            Ok(plan) => {
                self.plan = Some(plan);
                Ok(())
            }
            Err(error) => {
                self.base.close();
                Err(error.in_subtask(subtask))
            }
        }
    }

    async fn predict(&self, row: &[Value]) -> Result<Prediction, Error> {
        let open = self.base.opened()?;
        let request = self
            .request(open, row)
            .map_err(|error| error.in_subtask(open.subtask))?;
        // Only a row that is sent takes an ID.
        let Some(sequence) = open.next_sequence()? else {
            let row = self.answer(open, request).await;
            return row
                .map(|row| Prediction::new(row, None))
                .map_err(|error| error.in_subtask(open.subtask));
        };
        let sequence_id = sequence.id.to_string();
        match self.answer(open, request.sequence(sequence)).await {
            Ok(row) => Ok(Prediction::new(row, Some(sequence_id))),
            Err(error) => Err(error.in_subtask(open.subtask).in_sequence(sequence_id)),
        }
    }

    async fn close(&mut self) -> Result<(), Error> {
        self.plan = None;
        self.base.close();
        Ok(())
    }
}
