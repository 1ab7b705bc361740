//! Rows to tensors and back, for functions that call the model in a way of their own.

use std::sync::Arc;

use triton_client::{InferRequest, InferResponse, ModelId, Tensor};
use triton_options::TritonOptions;

use crate::row_block::BlockBuilder;
use crate::tensor_plan::TensorPlan;
use crate::{Error, ErrorKind, ModelFacts, Schema, Value};

/// The columns of a schema and the tensors of a model, agreed with each other.
///
/// It serves the options of [`OptionGroup::Columns`](crate::OptionGroup::Columns).
///
/// ```
/// use triton_embedded::EmbeddedTriton;
/// use triton_model_fn::{
///     DataType, ModelFacts, Schema, TensorCodec, TritonOptions, Value, client_from_options,
/// };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = EmbeddedTriton::start()?;
/// let options = [("endpoint", server.endpoint()), ("model-name", "echo".to_owned())];
/// let options = TritonOptions::parse(options)?;
/// let client = client_from_options(&options)?;
/// let facts = ModelFacts::look_up(&client, &options).await?;
///
/// let schema = Schema::new([("value", DataType::Float)], [("echo", DataType::Float)]);
/// let codec = TensorCodec::agree(&options, &schema, &facts)?;
/// let rows = [vec![Value::Float(0.5)], vec![Value::Float(1.5)]];
/// let request = codec.request(codec.encode_rows(&rows)?);
/// let response = client.infer(&request).await?;
/// assert_eq!(codec.decode_rows(&response, rows.len())?, rows);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct TensorCodec {
    plan: Arc<TensorPlan>,
    model: ModelId,
}

impl TensorCodec {
    /// Holds a schema against what is known of the model.
    ///
    /// Without output columns there is nothing to decode: for functions that read answers in a way of
    /// their own.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Schema`] when two columns of a side have one name, and [`ErrorKind::Mismatch`] with
    /// everything in which the model does not fit the schema and the options.
    pub fn agree(
        options: &TritonOptions,
        schema: &Schema,
        facts: &ModelFacts,
    ) -> Result<Self, Error> {
        schema.check_names()?;
        Ok(Self {
            plan: Arc::new(TensorPlan::new(options, schema, facts)?),
            model: ModelId::new(options.model_name.clone(), options.model_version.clone()),
        })
    }

    /// The most rows that one request can carry: 1 for a model that keeps a state for sequences.
    #[must_use]
    pub fn most_rows(&self) -> usize {
        self.plan.rows_per_batch
    }

    /// The input tensors of one row, whose values are in the order of the columns.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`] and [`ErrorKind::NullInput`], with the column that does not fit.
    pub fn encode(&self, row: &[Value]) -> Result<Vec<Tensor>, Error> {
        self.plan.tensors(&self.plan.encode(row)?)
    }

    /// The input tensors of several rows in one request.
    ///
    /// # Errors
    ///
    /// As [`encode`](Self::encode), and [`ErrorKind::Input`] when there is no row or there are more than
    /// [`most_rows`](Self::most_rows), or when arrays of one column differ in shape. Rows are counted
    /// from 0.
    pub fn encode_rows<R: AsRef<[Value]>>(&self, rows: &[R]) -> Result<Vec<Tensor>, Error> {
        let refused = |message: String| Err(Error::new(ErrorKind::Input, message));
        let most = self.most_rows();
        if rows.is_empty() || rows.len() > most {
            let found = rows.len();
            return refused(format!(
                "a request carries from 1 to {most} rows, found {found}"
            ));
        }
        let mut block = BlockBuilder::default();
        for (number, row) in rows.iter().enumerate() {
            let encoded = self.plan.encode(row.as_ref());
            let encoded = encoded.map_err(|error| error.among_rows(number))?;
            if !block.takes(&encoded) {
                return refused(format!(
                    "row {number}: its arrays have another shape than those of the rows before it: \
                     send it in a request of its own"
                ));
            }
            block.push(&self.plan, &encoded);
        }
        block
            .finish(|_| false)
            .tensors(&self.plan, &(0..rows.len()))
    }

    /// The request for input tensors, which asks for the outputs that have a column.
    #[must_use]
    pub fn request(&self, inputs: Vec<Tensor>) -> InferRequest {
        self.plan.request(self.model.clone(), inputs)
    }

    /// The output columns of the answer to one row.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Output`], with the output that does not fit its column.
    pub fn decode(&self, response: &InferResponse) -> Result<Vec<Value>, Error> {
        let mut rows = self.decode_rows(response, 1)?;
        Ok(rows.pop().unwrap_or_default())
    }

    /// The output columns of the answer to so many rows.
    ///
    /// # Errors
    ///
    /// As [`decode`](Self::decode).
    pub fn decode_rows(
        &self,
        response: &InferResponse,
        rows: usize,
    ) -> Result<Vec<Vec<Value>>, Error> {
        self.plan.rows(response, rows)
    }
}
