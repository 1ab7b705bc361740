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
    pub(super) config: &'a ModelConfig,
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
        // Where every dimension is known, the elements say by their order where they belong.
        let is_flat = rank == 1 && dimensions.len() > 1 && dimensions.iter().all(|size| *size > 0);
        let rank_fits = rank == dimensions.len()
            || (rank == 0 && dimensions.iter().all(|size| matches!(size, 1 | -1)))
            || (self.flatten && rank == dimensions.len() + 1)
            || is_flat;
        if data_type.tensor_datatype() == tensor.datatype && rank_fits {
            return Ok(PlannedColumn {
                column: column.clone(),
                tensor: tensor.clone(),
                dimensions,
                is_flat,
                is_optional: self.config.is_optional(&tensor.name),
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

/// IDs are sent as text, which a model cannot take that has its correlation ID handed over as a
/// number.
pub(super) fn correlation_id_mismatch(
    options: &TritonOptions,
    config: &ModelConfig,
) -> Option<String> {
    if *options.sequence_mode() == SequenceMode::None {
        return None;
    }
    let models = std::iter::once(config).chain(&config.steps);
    let data_types = models.filter_map(|model| {
        let inputs = model.document()["sequence_batching"]["control_input"].as_array();
        let controls = inputs
            .into_iter()
            .flatten()
            .filter_map(|input| input["control"].as_array());
        let correlation_id = controls
            .flatten()
            .find(|control| control["kind"] == "CONTROL_SEQUENCE_CORRID")?;
        Some(correlation_id["data_type"].as_str().unwrap_or_default())
    });
    let mut wrong = data_types.filter(|data_type| *data_type != "TYPE_STRING");
    wrong.next().map(|data_type| {
        format!(
            "the model wants its correlation ID (CONTROL_SEQUENCE_CORRID) as {data_type}, but \
             sequence IDs are sent as text: make the control TYPE_STRING, or leave it out where \
             the model can ask the request for its ID, as Python models can"
        )
    })
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

#[cfg(test)]
mod tests {
    use triton_client::ModelMetadata;

    use super::*;
    use crate::tensor_plan::TensorPlan;
    use crate::{DataType, Schema};

    // Holds F27.
    #[test]
    fn a_model_that_wants_its_id_as_a_number_does_not_fit() {
        let control = |data_type: &str| {
            serde_json::json!({
                "name": "m",
                "max_batch_size": 8,
                "sequence_batching": {
                    "control_input": [
                        {"name": "START", "control": [
                            {"kind": "CONTROL_SEQUENCE_START", "int32_false_true": [0, 1]}]},
                        {"name": "CORRID", "control": [
                            {"kind": "CONTROL_SEQUENCE_CORRID", "data_type": data_type}]},
                    ],
                },
            })
        };
        let tensor =
            |name: &str| serde_json::json!({"name": name, "datatype": "INT32", "shape": [-1, 1]});
        let metadata = serde_json::json!({
            "name": "m", "inputs": [tensor("x")], "outputs": [tensor("y")],
        });
        let metadata: ModelMetadata = serde_json::from_value(metadata).unwrap();
        let schema = Schema {
            inputs: vec![Column::new("x", DataType::Integer)],
            outputs: vec![Column::new("y", DataType::Integer)],
        };
        let options = [("endpoint", "h"), ("model-name", "m"), ("sequence-id", "7")];
        let options = TritonOptions::parse(options).unwrap();
        let plan = |data_type| {
            let config: ModelConfig = serde_json::from_value(control(data_type)).unwrap();
            TensorPlan::new(&options, &schema, &metadata, &config)
        };
        assert!(plan("TYPE_STRING").is_ok());
        insta::assert_snapshot!(plan("TYPE_UINT64").unwrap_err(), @"model 'm' does not fit the schema and options: the model wants its correlation ID (CONTROL_SEQUENCE_CORRID) as TYPE_UINT64, but sequence IDs are sent as text: make the control TYPE_STRING, or leave it out where the model can ask the request for its ID, as Python models can");
    }
}
