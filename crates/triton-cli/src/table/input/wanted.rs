//! What is wanted of an input: which columns, and in which form rows go on.

use std::sync::Arc;

use anyhow::bail;
use triton_model_fn::{Column, DataType};

use crate::table::format::Form;
use crate::table::layout::Layout;

/// What is wanted of an input.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// The columns whose values are wanted: first the model's, then those that make keys.
    pub(crate) inputs: Arc<[Column]>,
    /// How many of them are the model's. Keys are read as text, whatever they are in the input.
    pub(crate) model_inputs: usize,
    /// The names of those that may be missing; then they are NULL in every row.
    pub(crate) optional: Arc<[String]>,
    /// The names of those that make the key of a row: an empty cell there is no key.
    pub(crate) key: Arc<[String]>,
    /// Whether the server alone says what the model takes. It has one type for text and bytes, so
    /// an input that knows the two apart decides.
    pub(crate) is_undeclared: bool,
    /// The columns of the output, if an input before or behind has them: where values are found by name,
    /// an input need not have all of them, nor in their order.
    pub(crate) beside: Option<Arc<Layout>>,
    /// The form in which rows go on to the output.
    pub(crate) form: Form,
}

impl Wanted {
    /// Whether a column is only wanted as the text of a key.
    pub(super) fn is_key_text(&self, index: usize) -> bool {
        index >= self.model_inputs && self.inputs[index].data_type == DataType::String
    }

    /// The one of the model's columns that is at a position of the input.
    pub(super) fn model_input_at(
        &self,
        positions: &[Option<usize>],
        position: usize,
    ) -> Option<usize> {
        let index = positions
            .iter()
            .position(|found| *found == Some(position))?;
        (index < self.model_inputs).then_some(index)
    }

    /// Takes one of the model's columns as bytes from now on, where it was text.
    #[cfg(feature = "arrow")]
    pub(super) fn declare_bytes(&mut self, index: usize) {
        fn bytes(data_type: &DataType) -> DataType {
            match data_type {
                DataType::String => DataType::Bytes,
                DataType::Array(element) => DataType::Array(Box::new(bytes(element))),
                other => other.clone(),
            }
        }
        let columns = self.inputs.iter().enumerate();
        let columns = columns.map(|(other, column)| match other == index {
            true => Column::new(&column.name, bytes(&column.data_type)),
            false => column.clone(),
        });
        self.inputs = columns.collect();
    }

    /// Where each of the model's input columns is among the columns of the input.
    pub(super) fn find_columns(&self, names: &[&str]) -> anyhow::Result<Vec<Option<usize>>> {
        let found = self.inputs.iter().enumerate().map(|(index, column)| {
            let whose = match index < self.model_inputs {
                true => "the model takes",
                false => "the options of sequences name",
            };
            let mut named = names
                .iter()
                .enumerate()
                .filter(|(_, name)| **name == column.name);
            let Some((position, _)) = named.next() else {
                if self.optional.contains(&column.name) {
                    return Ok(None);
                }
                let plain = |name: &str| name.trim().to_lowercase();
                let alike = names.iter().find(|name| plain(name) == plain(&column.name));
                let alike = alike.map_or_else(String::new, |name| {
                    format!("; '{name}' differs from it by spaces or capital letters alone")
                });
                bail!(
                    "no column is named '{}', which {whose}; there are: {}{alike}",
                    column.name,
                    names.join(", ")
                );
            };
            if named.next().is_some() {
                bail!(
                    "two columns are named '{}', which {whose}, and nothing tells which of them is \
                     meant: rename one",
                    column.name
                );
            }
            Ok(Some(position))
        });
        found.collect()
    }
}
