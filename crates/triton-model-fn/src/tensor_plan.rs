//! How the columns of a schema map to the tensors of a model, agreed with the server at open.

use tracing::warn;
use triton_client::{InferResponse, ModelConfig, ModelMetadata, Tensor, TensorMetadata};
use triton_options::{SEQUENCE_ID, SequenceMode};

use crate::conversion;
use crate::{Column, Error, ErrorKind, OpenSubtask, Schema, Value};

/// The agreed mapping.
#[derive(Debug)]
pub(crate) struct TensorPlan {
    /// Whether tensors carry a leading batch dimension, which for single rows is 1.
    batched: bool,
    /// The tensor of each input column, in the order of the columns.
    inputs: Vec<TensorMetadata>,
}

impl TensorPlan {
    /// Asks the server for the model, and compares it with the schema and the options.
    pub(crate) async fn negotiate(open: &OpenSubtask, schema: &Schema) -> Result<Self, Error> {
        let unreachable = |error| Error::call("the model could not be looked up", error);
        let metadata = open
            .client
            .model_metadata(&open.model)
            .await
            .map_err(unreachable)?;
        let config = open
            .client
            .model_config(&open.model)
            .await
            .map_err(unreachable)?;
        let mut mismatches = compare(schema, &metadata, &config);
        mismatches.extend(compare_sequences(open, &config));
        if !mismatches.is_empty() {
            let message = format!(
                "model {} does not fit the schema and options: {}",
                open.model,
                mismatches.join("; ")
            );
            return Err(Error::new(ErrorKind::Mismatch, message));
        }
        let inputs = schema
            .inputs
            .iter()
            .filter_map(|column| find(&metadata.inputs, column));
        Ok(Self {
            batched: config.max_batch_size > 0,
            inputs: inputs.cloned().collect(),
        })
    }

    /// The input tensors of a row.
    pub(crate) fn tensors(&self, columns: &[Column], row: &[Value]) -> Result<Vec<Tensor>, Error> {
        if row.len() != columns.len() {
            let message = format!("expected {} values, found {}", columns.len(), row.len());
            return Err(Error::new(ErrorKind::Input, message));
        }
        let tensors = columns.iter().zip(&self.inputs).zip(row);
        tensors
            .map(|((column, metadata), value)| {
                let rank = metadata.shape.len();
                let tensor = conversion::tensor(column, value, rank, self.batched)?;
                if metadata.accepts_shape(tensor.shape()) {
                    return Ok(tensor);
                }
                let message = format!(
                    "column '{}': the model takes shape {:?}, found {:?}",
                    column.name,
                    metadata.shape,
                    tensor.shape()
                );
                Err(Error::new(ErrorKind::Input, message))
            })
            .collect()
    }

    /// The output row of a response.
    pub(crate) fn row(
        &self,
        columns: &[Column],
        response: &InferResponse,
    ) -> Result<Vec<Value>, Error> {
        let values = columns.iter().map(|column| {
            let tensor = response
                .output(&column.name)
                .map_err(|error| Error::new(ErrorKind::Output, error.to_string()))?;
            conversion::value(column, tensor, self.batched)
        });
        values.collect()
    }
}

fn find<'a>(tensors: &'a [TensorMetadata], column: &Column) -> Option<&'a TensorMetadata> {
    tensors.iter().find(|tensor| tensor.name == column.name)
}

/// Every way in which the schema does not fit the model's tensors.
fn compare(schema: &Schema, metadata: &ModelMetadata, config: &ModelConfig) -> Vec<String> {
    let batch_dimensions = usize::from(config.max_batch_size > 0);
    let mut mismatches = Vec::new();
    for (side, columns, tensors) in [
        ("input", &schema.inputs, &metadata.inputs),
        ("output", &schema.outputs, &metadata.outputs),
    ] {
        let names: Vec<&str> = tensors.iter().map(|tensor| tensor.name.as_str()).collect();
        for column in columns {
            let Column { name, data_type } = column;
            let Some(tensor) = find(tensors, column) else {
                mismatches.push(format!(
                    "{side} column '{name}' is no {side} of the model, which has: {}",
                    names.join(", ")
                ));
                continue;
            };
            let dimensions = tensor.shape.len().saturating_sub(batch_dimensions);
            // A scalar also fits a tensor of one dimension, as its only element.
            let rank_fits = data_type.rank() == dimensions
                || (data_type.rank() == 0
                    && dimensions == 1
                    && matches!(tensor.shape.last(), Some(1 | -1)));
            if data_type.tensor_datatype() != tensor.datatype || !rank_fits {
                let needed = match data_type.rank() {
                    0 => "one element".to_owned(),
                    1 => "1 dimension".to_owned(),
                    rank => format!("{rank} dimensions"),
                };
                mismatches.push(format!(
                    "{side} column '{name}' is {data_type}, which needs {} of {needed}; the \
                     model's is {} {:?}",
                    data_type.tensor_datatype(),
                    tensor.datatype,
                    &tensor.shape[tensor.shape.len() - dimensions..]
                ));
            }
        }
    }
    for tensor in &metadata.inputs {
        if schema
            .inputs
            .iter()
            .all(|column| column.name != tensor.name)
        {
            mismatches.push(format!(
                "the model's input '{}' ({}) has no column",
                tensor.name, tensor.datatype
            ));
        }
    }
    mismatches
}

/// A stateful model needs a sequence ID; a stateless one ignores it.
fn compare_sequences(open: &OpenSubtask, config: &ModelConfig) -> Option<String> {
    let with_sequence = *open.sequence_mode() != SequenceMode::None;
    match (config.sequence_batching.is_some(), with_sequence) {
        (true, false) => Some(format!(
            "the model is stateful, so every request needs a sequence: set the option '{}'",
            SEQUENCE_ID.key()
        )),
        (false, true) => {
            warn!(
                model = %open.model,
                "the model keeps no state, so it ignores the option '{}'",
                SEQUENCE_ID.key()
            );
            None
        }
        _ => None,
    }
}
