//! Finds every way in which a model does not fit the schema and the options.

use tracing::warn;
use triton_client::{ModelConfig, TensorMetadata};
use triton_options::{NameMap, SEQUENCE_ID, SequenceMode, TritonOptions};

use super::PlannedColumn;
use crate::Column;

/// The columns of one side and the tensors to find for them.
pub(super) struct Side<'a> {
    pub(super) name: &'static str,
    pub(super) columns: &'a [Column],
    pub(super) tensors: &'a [TensorMetadata],
    pub(super) names: Option<&'a NameMap>,
    pub(super) names_key: &'static str,
    pub(super) flatten: bool,
    pub(super) batched: bool,
}

impl Side<'_> {
    pub(super) fn tensor_name<'a>(&'a self, column: &'a Column) -> &'a str {
        let named = self.names.and_then(|names| names.get(&column.name));
        named.unwrap_or(&column.name)
    }

    pub(super) fn plan(&self, mismatches: &mut Vec<String>) -> Vec<PlannedColumn> {
        for name in self.names.iter().flat_map(|names| names.columns()) {
            if self.columns.iter().all(|column| column.name != name) {
                mismatches.push(format!(
                    "option '{}' names the column '{name}', which is no {} column",
                    self.names_key, self.name
                ));
            }
        }
        let planned = self.columns.iter().map(|column| self.plan_column(column));
        planned
            .filter_map(|planned| planned.map_err(|text| mismatches.push(text)).ok())
            .collect()
    }

    fn plan_column(&self, column: &Column) -> Result<PlannedColumn, String> {
        let Column { name, data_type } = column;
        let side = self.name;
        let tensor_name = self.tensor_name(column);
        let found = self
            .tensors
            .iter()
            .find(|tensor| tensor.name == tensor_name);
        let tensor = found.ok_or_else(|| {
            let names: Vec<&str> = self
                .tensors
                .iter()
                .map(|tensor| tensor.name.as_str())
                .collect();
            let tensor = match tensor_name == name {
                true => String::new(),
                false => format!(" (tensor '{tensor_name}')"),
            };
            format!(
                "{side} column '{name}'{tensor} is no {side} of the model, which has: {}",
                names.join(", ")
            )
        })?;
        let batch_dimensions = usize::from(self.batched).min(tensor.shape.len());
        let dimensions = tensor.shape[batch_dimensions..].to_vec();
        let rank = data_type.rank();
        let rank_fits = rank == dimensions.len()
            || (rank == 0 && matches!(dimensions.as_slice(), [1 | -1]))
            || (self.flatten && rank == dimensions.len() + 1);
        if data_type.tensor_datatype() == tensor.datatype && rank_fits {
            return Ok(PlannedColumn {
                column: column.clone(),
                tensor: tensor.clone(),
                dimensions,
            });
        }
        let needed = match rank {
            0 => "one element".to_owned(),
            1 => "1 dimension".to_owned(),
            rank => format!("{rank} dimensions"),
        };
        Err(format!(
            "{side} column '{name}' is {data_type}, which needs {} of {needed}; the model's is {} \
             {dimensions:?}",
            data_type.tensor_datatype(),
            tensor.datatype,
        ))
    }
}

/// A stateful model needs a sequence ID; a stateless one ignores it.
pub(super) fn sequence_mismatch(options: &TritonOptions, config: &ModelConfig) -> Option<String> {
    let with_sequence = *options.sequence_mode() != SequenceMode::None;
    match (&config.sequence_batching, with_sequence) {
        (Some(_), false) => Some(format!(
            "the model is stateful, so every request needs a sequence: set the option '{}'",
            SEQUENCE_ID.key()
        )),
        (None, true) => {
            warn!(
                model = %options.model_name,
                "the model keeps no state, so it ignores the option '{}'",
                SEQUENCE_ID.key()
            );
            None
        }
        _ => None,
    }
}
