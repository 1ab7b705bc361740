//! How the columns of a schema map to the tensors of a model, agreed with the server at open.

mod fit;

use bytes::BytesMut;
use tracing::warn;
use triton_client::{InferResponse, ModelConfig, Tensor};
use triton_options::{
    INPUT_NAMES, MODEL_MAX_BATCH_SIZE, OUTPUT_NAMES, SequenceMode, TritonOptions,
};

use self::fit::{Side, sequence_mismatch};
use crate::row_codec::{self, EncodedCell};
use crate::{Column, Error, ErrorKind, ModelFacts, Schema, Value};

/// The agreed mapping.
#[derive(Debug)]
pub(crate) struct TensorPlan {
    pub(crate) inputs: Vec<PlannedColumn>,
    pub(crate) outputs: Vec<PlannedColumn>,
    /// Whether tensors carry a leading batch dimension.
    pub(crate) batched: bool,
    /// The most single rows that are put together in a request.
    pub(crate) rows_per_request: usize,
    /// The most rows of a record batch that a request carries.
    #[cfg(feature = "arrow")]
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

/// A column and the tensor that it is.
#[derive(Debug)]
pub(crate) struct PlannedColumn {
    pub(crate) column: Column,
    pub(crate) tensor_name: String,
    /// The dimensions of the tensor, without the one for the batch.
    dimensions: Vec<i64>,
}

/// A row whose every column is in the binary form of its tensor.
#[derive(Debug)]
pub(crate) struct EncodedRow(Vec<EncodedCell>);

impl EncodedRow {
    pub(crate) fn new(cells: Vec<EncodedCell>) -> Self {
        Self(cells)
    }

    pub(crate) fn cells(&self) -> &[EncodedCell] {
        &self.0
    }

    /// Whether the two rows can travel in one request.
    pub(crate) fn has_shape_of(&self, other: &Self) -> bool {
        self.0
            .iter()
            .zip(&other.0)
            .all(|(left, right)| left.shape == right.shape)
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
        mismatches.extend(sequence_mismatch(options, facts));
        mismatches.extend(facts.batch_size_mismatch(options));
        if !mismatches.is_empty() {
            let message = format!(
                "model '{}' does not fit the schema and options: {}",
                options.model_name,
                mismatches.join("; ")
            );
            return Err(Error::new(ErrorKind::Mismatch, message));
        }
        Ok(Self {
            inputs,
            outputs,
            batched,
            rows_per_request: rows_per_request(options, facts),
            #[cfg(feature = "arrow")]
            rows_per_batch: most_rows(options, config) as usize,
        })
    }

    /// Encodes a row; what is wrong with it is found here, before anything is sent.
    pub(crate) fn encode(&self, row: &[Value]) -> Result<EncodedRow, Error> {
        if row.len() != self.inputs.len() {
            let message = format!("expected {} values, found {}", self.inputs.len(), row.len());
            return Err(Error::new(ErrorKind::Input, message));
        }
        let cells = self
            .inputs
            .iter()
            .zip(row)
            .map(|(planned, value)| planned.encode(value));
        cells.collect::<Result<_, _>>().map(EncodedRow)
    }

    /// The input tensors of rows that have the shape of the first.
    pub(crate) fn tensors(&self, rows: &[&EncodedRow]) -> Result<Vec<Tensor>, Error> {
        let tensors = self.inputs.iter().enumerate().map(|(index, planned)| {
            let mut shape = Vec::new();
            if self.batched {
                shape.push(rows.len());
            }
            let mut data = BytesMut::new();
            for (position, row) in rows.iter().enumerate() {
                let cell = &row.0[index];
                if position == 0 {
                    shape.extend_from_slice(&cell.shape);
                    data.reserve(cell.data.len() * rows.len());
                }
                data.extend_from_slice(&cell.data);
            }
            planned.tensor(shape, data.freeze())
        });
        tensors.collect()
    }

    /// The output rows of a response to `rows` rows.
    pub(crate) fn rows(
        &self,
        response: &InferResponse,
        rows: usize,
    ) -> Result<Vec<Vec<Value>>, Error> {
        let mut answers = vec![Vec::with_capacity(self.outputs.len()); rows];
        for planned in &self.outputs {
            let tensor = self.output(planned, response)?;
            let values = row_codec::decode(&planned.column, tensor, self.batched, rows)?;
            for (answer, value) in answers.iter_mut().zip(values) {
                answer.push(value);
            }
        }
        Ok(answers)
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
    fn encode(&self, value: &Value) -> Result<EncodedCell, Error> {
        let mut cell = row_codec::encode(&self.column, value)?;
        self.fit(&mut cell.shape)?;
        Ok(cell)
    }

    /// Brings the shape of a row's value to that of the tensor, or says why it cannot be.
    pub(crate) fn fit(&self, shape: &mut Vec<usize>) -> Result<(), Error> {
        // A scalar is the only element of its tensor, as was agreed at open.
        if shape.is_empty() {
            shape.resize(self.dimensions.len(), 1);
        }
        // Agreed at open: the array carries a batch dimension that the model lacks.
        if shape.len() == self.dimensions.len() + 1 && shape[0] == 1 {
            shape.remove(0);
        }
        let fits = shape.len() == self.dimensions.len()
            && shape
                .iter()
                .zip(&self.dimensions)
                .all(|(found, expected)| *expected < 0 || usize::try_from(*expected) == Ok(*found));
        if fits {
            return Ok(());
        }
        let message = format!(
            "column '{}': the model takes shape {:?}, found {shape:?}",
            self.column.name, self.dimensions
        );
        Err(Error::new(ErrorKind::Input, message))
    }

    /// An input tensor of this column.
    pub(crate) fn tensor(&self, shape: Vec<usize>, data: bytes::Bytes) -> Result<Tensor, Error> {
        let datatype = self.column.data_type.tensor_datatype();
        let tensor = Tensor::from_raw(&self.tensor_name, datatype, shape, data);
        tensor.map_err(|error| {
            let message = format!("column '{}': {error}", self.column.name);
            Error::new(ErrorKind::Input, message)
        })
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
