//! How the columns of a schema map to the tensors of a model, agreed with the server at open.

mod fit;
mod flat_json;
mod json_only;

use tracing::warn;
use triton_client::{InferRequest, InferResponse, ModelConfig, ModelId, RequestedOutput, Tensor};
use triton_options::{
    Decoupled, INPUT_NAMES, MODEL_MAX_BATCH_SIZE, OUTPUT_NAMES, SequenceMode, TritonOptions,
};

use self::fit::Side;
pub(crate) use self::fit::sequence_mismatch;
use self::flat_json::stream_mismatches;
use self::json_only::json_mismatch;
use crate::row_codec::{self, EncodedCell};
use crate::{Column, DataType, Error, ErrorKind, ModelFacts, Schema, Value};

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

/// A column and the tensor that it is.
#[derive(Debug)]
pub(crate) struct PlannedColumn {
    pub(crate) column: Column,
    pub(crate) tensor_name: String,
    /// The dimensions of the tensor, without the one for the batch.
    dimensions: Vec<i64>,
    /// Whether the array has one dimension although the tensor has several, which are all known.
    is_flat: bool,
    /// Whether the input is left out where the row has NULL.
    is_optional: bool,
}

/// A row whose every column is in the binary form of its tensor.
#[derive(Debug)]
pub(crate) struct EncodedRow(Vec<Option<EncodedCell>>);

impl EncodedRow {
    /// The cells of a row in the order of the inputs; `None` for an input that is left out.
    pub(crate) fn new(cells: Vec<Option<EncodedCell>>) -> Self {
        Self(cells)
    }

    pub(crate) fn cells(&self) -> &[Option<EncodedCell>] {
        &self.0
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
        let bytes = bytes.sum::<usize>().max(1);
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
        Ok(EncodedRow(cells))
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
    /// A column of a tensor of its name.
    #[cfg(test)]
    pub(crate) fn of(column: Column, dimensions: &[i64]) -> Self {
        Self {
            tensor_name: column.name.clone(),
            is_flat: column.data_type.rank() == 1 && dimensions.len() > 1,
            is_optional: false,
            dimensions: dimensions.to_vec(),
            column,
        }
    }

    fn encode(&self, value: &Value) -> Result<Option<EncodedCell>, Error> {
        if self.is_optional && *value == Value::Null {
            return Ok(None);
        }
        let mut cell = row_codec::encode(&self.column, value)?;
        self.fit(&mut cell.shape)?;
        Ok(Some(cell))
    }

    /// How many bytes a value has at least, as far as the model says how large it is.
    fn known_bytes(&self) -> usize {
        let sizes = self.dimensions.iter();
        let sizes = sizes.map(|size| usize::try_from(*size).unwrap_or(1));
        let elements = sizes.fold(1, usize::saturating_mul);
        let element = self.column.data_type.tensor_datatype().element_size();
        elements.saturating_mul(element.unwrap_or(1))
    }

    /// Whether all elements have the same number of bytes.
    pub(crate) fn is_fixed(&self) -> bool {
        let datatype = self.column.data_type.tensor_datatype();
        datatype.element_size().is_some()
    }

    /// How many elements an array has that has one dimension although the tensor has several.
    pub(crate) fn flat_size(&self) -> Option<usize> {
        let sizes = self
            .dimensions
            .iter()
            .map(|size| usize::try_from(*size).ok());
        self.is_flat.then(|| sizes.product::<Option<usize>>())?
    }

    /// How long the arrays of a value are, from the outermost inwards, where the model says so.
    #[cfg(feature = "arrow")]
    pub(crate) fn array_sizes(&self) -> Vec<Option<i32>> {
        let known = |size: &i64| i32::try_from(*size).ok().filter(|size| *size > 0);
        match (self.column.data_type.rank(), self.is_flat) {
            (0, _) => Vec::new(),
            (_, true) => vec![known(&self.dimensions.iter().product())],
            _ => self.dimensions.iter().map(known).collect(),
        }
    }

    /// Whether NULL leaves the input out.
    pub(crate) fn is_optional(&self) -> bool {
        self.is_optional
    }

    /// The shape of a scalar, which is the only element of its tensor.
    pub(crate) fn scalar_shape(&self) -> Vec<usize> {
        vec![1; self.dimensions.len()]
    }

    /// Brings the shape of a row's value to that of the tensor, or says why it cannot be.
    pub(crate) fn fit(&self, shape: &mut Vec<usize>) -> Result<(), Error> {
        if self.column.data_type.rank() == 0 {
            *shape = self.scalar_shape();
        }
        // Agreed at open: the array carries a batch dimension that the model lacks.
        if shape.len() == self.dimensions.len() + 1 && shape[0] == 1 {
            shape.remove(0);
        }
        if self.is_flat {
            let dimensions = self
                .dimensions
                .iter()
                .map(|size| usize::try_from(*size).ok());
            let dimensions = dimensions.collect::<Option<Vec<_>>>().unwrap_or_default();
            let count = dimensions.iter().product::<usize>();
            if *shape == [count] {
                *shape = dimensions;
                return Ok(());
            }
            let message = format!(
                "column '{}': the model takes shape {:?}, which are {count} elements, found {}",
                self.column.name,
                self.dimensions,
                shape.first().copied().unwrap_or_default()
            );
            return Err(Error::new(ErrorKind::Input, message));
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
