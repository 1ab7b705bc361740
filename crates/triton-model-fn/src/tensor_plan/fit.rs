//! Finds every way in which a model does not fit the schema and the options.

use tracing::warn;
use triton_client::TensorMetadata;
use triton_options::{MODEL_MAX_BATCH_SIZE, NameMap, SEQUENCE_ID, SequenceMode, TritonOptions};

use super::PlannedColumn;
use crate::model_facts::SEQUENCES;
use crate::{Column, ModelFacts};

/// The columns of one side and the tensors to find for them.
pub(super) struct Side<'a> {
    pub(super) name: &'static str,
    pub(super) columns: &'a [Column],
    pub(super) tensors: &'a [TensorMetadata],
    pub(super) facts: &'a ModelFacts,
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
        // All that is known of the tensors of this side are then its columns.
        if self.tensors.is_empty() && !self.facts.has_config {
            return Ok(untold(column, tensor_name));
        }
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
        let datatype = data_type.tensor_datatype();
        let datatype_fits = datatype == tensor.datatype;
        if datatype_fits && tensor.shape.is_empty() && !self.facts.has_config {
            return Ok(untold(column, tensor_name));
        }
        self.check_row_dimension(tensor)?;
        let batch_dimensions = usize::from(self.batched).min(tensor.shape.len());
        let dimensions = tensor.shape[batch_dimensions..].to_vec();
        let rank = data_type.rank();
        // Where every dimension is known, the elements say by their order where they belong, as long
        // as there is a number for how many they are.
        let mut sizes = dimensions.iter();
        let count = sizes.try_fold(1_i64, |count, size| {
            count.checked_mul(*size).filter(|count| *count > 0)
        });
        let is_flat = rank == 1 && dimensions.len() > 1 && count.is_some();
        let rank_fits = rank == dimensions.len()
            || (rank == 0 && dimensions.iter().all(|size| matches!(size, 1 | -1)))
            || (self.flatten && rank == dimensions.len() + 1)
            || is_flat;
        if datatype_fits && rank_fits {
            return Ok(PlannedColumn {
                column: column.clone(),
                tensor_name: tensor_name.to_owned(),
                dimensions,
                is_flat,
                is_optional: self.facts.config.is_optional(&tensor.name),
            });
        }
        let needed = match rank {
            0 => " of one element".to_owned(),
            // The number of dimensions is not what is wrong.
            _ if rank_fits && rank != dimensions.len() => String::new(),
            1 => " of 1 dimension".to_owned(),
            rank => format!(" of {rank} dimensions"),
        };
        let found = match self.facts.guesses_rows {
            false if !self.facts.has_config && batch_dimensions > 0 => format!(
                "{dimensions:?} for a row, because option '{}' takes the first of {:?} for rows",
                MODEL_MAX_BATCH_SIZE.key(),
                tensor.shape
            ),
            false => format!("{dimensions:?}"),
            true => format!("{:?}, with or without the first for rows", tensor.shape),
        };
        Err(format!(
            "{side} column '{name}' is {data_type}, which needs {datatype}{needed}; the \
             model's is {} {found}",
            tensor.datatype,
        ))
    }

    /// A server that keeps no configuration shows by shapes alone whether a tensor has a dimension
    /// for rows.
    fn check_row_dimension(&self, tensor: &TensorMetadata) -> Result<(), String> {
        let rows = self.facts.config.max_batch_size;
        if self.facts.has_config || !self.batched {
            return Ok(());
        }
        match tensor.shape.first() {
            Some(-1) => Ok(()),
            Some(1) if rows <= 1 => Ok(()),
            _ => Err(format!(
                "the first dimension of the model's {} '{}' {:?} is not for any number of rows \
                 (-1), but option '{}' is {rows}: set it to 0, or leave it out",
                self.name,
                tensor.name,
                tensor.shape,
                MODEL_MAX_BATCH_SIZE.key()
            )),
        }
    }
}

/// A column of whose tensor the server tells nothing.
///
/// A scalar is the only element of a row of it: what servers hand to libraries of models are
/// matrices, a row of them for each row, and the columns of frames may be such matrices too.
fn untold(column: &Column, tensor_name: &str) -> PlannedColumn {
    let dimensions = match column.data_type.rank() {
        0 => vec![1],
        rank => vec![-1; rank],
    };
    PlannedColumn {
        column: column.clone(),
        tensor_name: tensor_name.to_owned(),
        dimensions,
        is_flat: false,
        is_optional: false,
    }
}

/// A stateful model needs a sequence ID; a stateless one ignores it.
pub(crate) fn sequence_mismatch(options: &TritonOptions, facts: &ModelFacts) -> Option<String> {
    let with_sequence = *options.sequence_mode() != SequenceMode::None;
    if !facts.has_config {
        return with_sequence
            .then(|| unknown_sequences(options, facts))
            .flatten();
    }
    match (&facts.config.sequence_batching, with_sequence) {
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

/// Whether a server that keeps no configurations keeps sequences is known from its extensions, if
/// at all.
fn unknown_sequences(options: &TritonOptions, facts: &ModelFacts) -> Option<String> {
    let named = facts.server.as_ref();
    let named = named.and_then(|server| server.names_extension(SEQUENCES));
    let (server, key) = (facts.server_name(), SEQUENCE_ID.key());
    let unknown = match named {
        Some(false) => {
            return Some(format!(
                "option '{key}' is for models that keep a state for each sequence, but {server} \
                 has none: it does not name the extension '{SEQUENCES}'; leave the option out"
            ));
        }
        Some(true) => "whether this model keeps a state",
        None => "whether it has sequences at all",
    };
    warn!(
        model = %options.model_name,
        "option '{key}' is sent, but {server} does not say {unknown}: it may ignore the option and \
         mix what belongs to different sequences"
    );
    None
}
