//! The columns that an output adds to those of its input.

use anyhow::bail;
use triton_model_fn::{Column, DataType, FilledColumn};

use crate::table::layout::Layout;

/// The name of the column that `--with-sequence-id` adds.
const SEQUENCE_ID_COLUMN: &str = "sequence_id";

/// The columns that an output adds to those of its input.
#[derive(Debug, Clone)]
pub(crate) struct Added(pub(super) Vec<Column>);

impl Added {
    /// The model's output columns, and the sequence ID where it is wanted.
    pub(crate) fn new(outputs: &[Column], with_sequence_id: bool) -> Self {
        let sequence_id =
            with_sequence_id.then(|| Column::new(SEQUENCE_ID_COLUMN, DataType::String));
        Self(outputs.iter().cloned().chain(sequence_id).collect())
    }

    /// Refuses an input that has a column of a name that is added.
    pub(crate) fn check(&self, layout: &Layout) -> anyhow::Result<()> {
        for (index, column) in self.0.iter().enumerate() {
            let earlier = self.0[..index].iter().map(|column| column.name.as_str());
            if layout
                .names()
                .chain(earlier)
                .any(|taken| taken == column.name)
            {
                let name = &column.name;
                // The function, not the model, has what it fills in, and calls it so.
                let advice = match FilledColumn::named(name) {
                    Some(FilledColumn::SequenceId) => {
                        "take it either from OUTPUT or from --with-sequence-id".to_owned()
                    }
                    Some(_) => "leave it out of OUTPUT in a MODEL.sql".to_owned(),
                    None => {
                        format!("call the model's something else with --map NAME={name}")
                    }
                };
                bail!(
                    "the output would have two columns named '{name}': rename the input's, or \
                     {advice}"
                );
            }
        }
        Ok(())
    }
}
