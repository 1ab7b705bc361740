//! Finds what the flat JSON of generation cannot carry, before any row fails by it.

use triton_options::DECOUPLED;

use super::planned_column::PlannedColumn;
use crate::{DataType, ModelFacts};

/// Members of a request that are not inputs, whatever the model calls its own.
const OF_REQUEST: &[&str] = &["id", "parameters"];

/// Members of an answer that are no outputs.
const OF_ANSWER: &[&str] = &["id", "model_name", "model_version", "error"];

/// Why generation cannot carry the columns of a model.
pub(super) fn stream_mismatches(
    facts: &ModelFacts,
    inputs: &[PlannedColumn],
    outputs: &[PlannedColumn],
) -> Vec<String> {
    let key = DECOUPLED.key();
    let mut mismatches = Vec::new();
    if facts.config.sequence_batching.is_some() {
        mismatches.push(format!(
            "it keeps a state for each sequence, and option '{key}' is 'stream', which carries no \
             sequences: leave the option out"
        ));
    }
    let sides = [
        ("input", inputs, OF_REQUEST),
        ("output", outputs, OF_ANSWER),
    ];
    for (side, columns, members) in sides {
        for planned in columns {
            if let Some(why) = planned.not_in_flat_json(members) {
                let (name, data_type) = (&planned.column.name, &planned.column.data_type);
                mismatches.push(format!(
                    "{side} column '{name}' ({data_type}) cannot be in the flat JSON that option \
                     '{key}' = 'stream' sends and gets: {why}"
                ));
            }
        }
    }
    mismatches
}

impl PlannedColumn {
    fn not_in_flat_json(&self, members: &[&str]) -> Option<String> {
        if members.contains(&self.tensor_name.as_str()) {
            return Some(format!(
                "a member named '{}' means something else there",
                self.tensor_name
            ));
        }
        match self.column.data_type.scalar() {
            DataType::Float16 | DataType::BFloat16 => {
                return Some("the server has no JSON form of it".to_owned());
            }
            DataType::Bytes => {
                return Some(
                    "it is text; make the column STRING, if that is what it holds".to_owned(),
                );
            }
            _ => {}
        }
        let unknown = self.dimensions.iter().filter(|size| **size < 0).count();
        (self.column.data_type.rank() > 1 && unknown > 1).then(|| {
            format!(
                "it has no shapes, and of {:?} more than one size is open",
                self.dimensions
            )
        })
    }
}
