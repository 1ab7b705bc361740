//! How the columns of a schema map to the tensors of a model, agreed with the server at open.

mod encoded_row;
mod fit;
mod flat_json;
mod flat_json_mismatch;
mod json_only;
mod planned_column;

use tracing::warn;
use triton_client::{InferRequest, InferResponse, ModelConfig, ModelId, RequestedOutput, Tensor};
use triton_options::{
    Decoupled, INPUT_NAMES, MODEL_MAX_BATCH_SIZE, OUTPUT_NAMES, SequenceMode, TritonOptions,
};

pub(crate) use self::encoded_row::EncodedRow;
use self::fit::Side;
pub(crate) use self::fit::sequence_mismatch;
use self::flat_json_mismatch::stream_mismatches;
use self::json_only::json_mismatch;
pub(crate) use self::planned_column::PlannedColumn;
use crate::row_codec::{self, EncodedCell};
use crate::{DataType, Error, ErrorKind, ModelFacts, Schema, Value};

/// The agreed mapping.
#[derive(Debug)]
pub(crate) struct TensorPlan {
    pub(crate) inputs: Vec<PlannedColumn>,
    pub(crate) outputs: Vec<PlannedColumn>,
    /// Whether tensors carry a leading batch dimension.
    pub(crate) batched: bool,
    /// Whether every row has the same shape: no input is an array, and none can be left out.
    pub(crate) is_of_scalars: bool,
    /// The most single rows that are put together in a request.
    pub(crate) rows_per_request: usize,
    /// The most bytes of tensors that such a request carries, unless one row has more.
    pub(crate) bytes_per_request: Option<usize>,
    /// The most rows that a request can carry, as those of a record batch do.
    pub(crate) rows_per_batch: usize,
}

/// The columns of both sides with their tensors, and why others have none.
struct Columns {
    inputs: Vec<PlannedColumn>,
    outputs: Vec<PlannedColumn>,
    mismatches: Vec<String>,
}

impl Columns {
    /// Finds them for tensors that have, or have not, a dimension for rows.
    fn find(options: &TritonOptions, schema: &Schema, facts: &ModelFacts, batched: bool) -> Self {
        let ModelFacts {
            metadata, config, ..
        } = facts;
        let mut mismatches = Vec::new();
        let inputs = Side {
            name: "input",
            columns: &schema.inputs,
            tensors: &metadata.inputs,
            facts,
            names: options.input_names.as_ref(),
            names_key: INPUT_NAMES.key(),
            flatten: options.flatten_batch_dim,
            batched,
        };
        let outputs = Side {
            name: "output",
            columns: &schema.outputs,
            tensors: &metadata.outputs,
            facts,
            names: options.output_names.as_ref(),
            names_key: OUTPUT_NAMES.key(),
            flatten: false,
            batched,
        };
        let (planned_inputs, planned_outputs) =
            (inputs.plan(&mut mismatches), outputs.plan(&mut mismatches));
        for tensor in &metadata.inputs {
            let given = schema
                .inputs
                .iter()
                .any(|column| inputs.tensor_name(column) == tensor.name);
            if !given && !config.is_optional(&tensor.name) {
                mismatches.push(format!(
                    "the model's input '{}' ({} {:?}) has no column",
                    tensor.name, tensor.datatype, tensor.shape
                ));
            }
        }
        Self {
            inputs: planned_inputs,
            outputs: planned_outputs,
            mismatches,
        }
    }
}

impl TensorPlan {
    /// Compares the model with the schema and the options; every mismatch is in the error.
    pub(crate) fn new(
        options: &TritonOptions,
        schema: &Schema,
        facts: &ModelFacts,
    ) -> Result<Self, Error> {
        let config = &facts.config;
        let mut batched = config.max_batch_size > 0;
        let mut found = Columns::find(options, schema, facts, batched);
        if facts.guesses_rows && !found.mismatches.is_empty() {
            // A request carries one row, so it is all the same to the model.
            let other = Columns::find(options, schema, facts, !batched);
            if other.mismatches.is_empty() {
                (batched, found) = (!batched, other);
            }
        }
        let Columns {
            inputs,
            outputs,
            mut mismatches,
        } = found;
        mismatches.extend(facts.batch_size_mismatch(options));
        if options.decoupled == Decoupled::Stream {
            mismatches.extend(stream_mismatches(facts, &inputs, &outputs));
        } else {
            mismatches.extend(sequence_mismatch(options, facts));
            mismatches.extend(json_mismatch(options, facts, &inputs, &outputs));
        }
        if !mismatches.is_empty() {
            let message = format!(
                "model '{}' does not fit the schema and options: {}",
                options.model_name,
                mismatches.join("; ")
            );
            return Err(Error::new(ErrorKind::Mismatch, message));
        }
        let is_scalar =
            |planned: &PlannedColumn| planned.column.data_type.rank() == 0 && !planned.is_optional;
        Ok(Self {
            is_of_scalars: inputs.iter().all(is_scalar),
            inputs,
            outputs,
            batched,
            rows_per_request: rows_per_request(options, facts),
            bytes_per_request: None,
            rows_per_batch: most_rows(options, config) as usize,
        })
    }

    /// Fills requests as far as the model allows, whatever the option `batch-size` says, and up to so
    /// many bytes.
    pub(crate) fn fill_requests(&mut self, most_bytes: usize) {
        let bytes = self.inputs.iter().map(PlannedColumn::known_bytes);
        let bytes = bytes.fold(0, usize::saturating_add).max(1);
        self.rows_per_request = self.rows_per_batch.min(most_bytes / bytes).max(1);
        self.bytes_per_request = Some(most_bytes);
    }

    /// Refuses a row that has not a value for each input.
    #[inline]
    pub(crate) fn check_count(&self, row: &[Value]) -> Result<(), Error> {
        if row.len() == self.inputs.len() {
            return Ok(());
        }
        let expected = match self.inputs.len() {
            1 => "1 value".to_owned(),
            several => format!("{several} values"),
        };
        let message = format!("expected {expected}, found {}", row.len());
        Err(Error::new(ErrorKind::Input, message))
    }

    /// Encodes a row; what is wrong with it is found here, before anything is sent.
    pub(crate) fn encode(&self, row: &[Value]) -> Result<EncodedRow, Error> {
        self.check_count(row)?;
        let mut cells = Vec::with_capacity(row.len());
        for (planned, value) in self.inputs.iter().zip(row) {
            cells.push(planned.encode(value)?);
        }
        Ok(EncodedRow::new(cells))
    }

    /// The input tensors of one row, which share its memory.
    pub(crate) fn tensors(&self, row: &EncodedRow) -> Result<Vec<Tensor>, Error> {
        let mut tensors = Vec::with_capacity(row.cells().len());
        for (planned, cell) in self.inputs.iter().zip(row.cells()) {
            let Some(cell) = cell else { continue };
            let batch = self.batched.then_some(1);
            let shape = batch.into_iter().chain(cell.shape.iter().copied());
            tensors.push(planned.tensor(shape.collect(), cell.data.clone())?);
        }
        Ok(tensors)
    }

    /// The request for input tensors, which asks for the outputs that have a column.
    pub(crate) fn request(&self, model: ModelId, inputs: Vec<Tensor>) -> InferRequest {
        let outputs = self.outputs.iter();
        let outputs = outputs.map(|planned| RequestedOutput::new(&planned.tensor_name));
        let mut request = InferRequest::new(model);
        request.inputs = inputs;
        request.outputs = outputs.collect();
        request
    }

    /// The output rows of a response to `rows` rows.
    pub(crate) fn rows(
        &self,
        response: &InferResponse,
        rows: usize,
    ) -> Result<Vec<Vec<Value>>, Error> {
        // Each by itself: a clone of an empty vector has no room.
        let empty = || Vec::with_capacity(self.outputs.len());
        let mut answers: Vec<_> = std::iter::repeat_with(empty).take(rows).collect();
        for column in self.columns(response, rows)? {
            for (answer, value) in answers.iter_mut().zip(column) {
                answer.push(value);
            }
        }
        Ok(answers)
    }

    /// The values of the model's columns in the response to so many rows.
    pub(crate) fn columns(
        &self,
        response: &InferResponse,
        rows: usize,
    ) -> Result<Vec<Vec<Value>>, Error> {
        let columns = self.outputs.iter().map(|planned| {
            let tensor = self.output(planned, response)?;
            row_codec::decode(planned, tensor, self.batched, rows)
        });
        columns.collect()
    }

    /// The output row of a response to one row.
    pub(crate) fn row(&self, response: &InferResponse) -> Result<Vec<Value>, Error> {
        let mut row = Vec::with_capacity(self.outputs.len());
        for planned in &self.outputs {
            let tensor = self.output(planned, response)?;
            row.extend(row_codec::decode(planned, tensor, self.batched, 1)?);
        }
        Ok(row)
    }

    /// Whether there is an element in a column of texts that is none, which is one row's fault.
    pub(crate) fn has_broken_text(&self, response: &InferResponse) -> bool {
        let is_text =
            |planned: &&PlannedColumn| *planned.column.data_type.scalar() == DataType::String;
        let tensors = self.outputs.iter().filter(is_text);
        let mut tensors = tensors.filter_map(|planned| self.output(planned, response).ok());
        let is_broken = |bytes: &[u8]| str::from_utf8(bytes).is_err();
        tensors.any(|tensor| {
            let texts = tensor.byte_strings();
            texts.is_ok_and(|mut texts| texts.any(is_broken))
        })
    }

    /// The tensor of an output column.
    pub(crate) fn output<'a>(
        &self,
        planned: &PlannedColumn,
        response: &'a InferResponse,
    ) -> Result<&'a Tensor, Error> {
        let tensor = response.output(&planned.tensor_name);
        tensor.map_err(|error| Error::new(ErrorKind::Output, error.to_string()))
    }
}

impl PlannedColumn {
    fn encode(&self, value: &Value) -> Result<Option<EncodedCell>, Error> {
        if self.is_optional && *value == Value::Null {
            return Ok(None);
        }
        let mut cell = row_codec::encode(&self.column, value)?;
        self.fit(&mut cell.shape)?;
        Ok(Some(cell))
    }
}

/// The most rows that a request may carry: one where the model keeps a state for sequences.
fn most_rows(options: &TritonOptions, config: &ModelConfig) -> u32 {
    if config.sequence_batching.is_some() || *options.sequence_mode() != SequenceMode::None {
        return 1;
    }
    config.max_batch_size.max(1)
}

fn rows_per_request(options: &TritonOptions, facts: &ModelFacts) -> usize {
    let wanted = options.batch_size.get();
    let possible = most_rows(options, &facts.config);
    if wanted > possible && facts.config.sequence_batching.is_none() {
        match facts.has_config {
            true => warn!(
                model = %options.model_name,
                wanted, possible, "the model's max_batch_size is smaller than the option 'batch-size'"
            ),
            false => warn!(
                model = %options.model_name,
                wanted, possible,
                "the server keeps no configuration of the model, so the option '{}' says how many \
                 rows a request may carry, and that is less than the option 'batch-size'",
                MODEL_MAX_BATCH_SIZE.key()
            ),
        }
    }
    wanted.min(possible) as usize
}
