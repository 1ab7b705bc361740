//! Which columns of a schema are about sequences, and which of them the model sees.

use triton_options::{SEQUENCE_END_COLUMN, SequenceMode, TritonOptions};

use super::key::{KeyColumns, SequenceKey};
use crate::{Column, DataType, Error, ErrorKind, Schema, Value};

/// The output column that is true where a sequence went on without its earlier rows.
pub(crate) const RESTARTED_COLUMN: &str = "sequence_restarted";

/// The columns of the sequence of a row.
#[derive(Debug, Clone)]
pub(crate) struct SequenceColumns {
    key: KeyColumns,
    end: Option<usize>,
}

impl SequenceColumns {
    /// The columns that the options name; `None` where they name no key.
    pub(crate) fn find(options: &TritonOptions, schema: &Schema) -> Result<Option<Self>, Error> {
        let SequenceMode::PerKey { key, .. } = options.sequence_mode() else {
            return Ok(None);
        };
        let key = KeyColumns::find(key, &schema.inputs)?;
        let end = options.sequence_end_column.as_deref().map(|name| {
            let index = find(SEQUENCE_END_COLUMN.key(), name, &schema.inputs)?;
            match &schema.inputs[index].data_type {
                DataType::Boolean => Ok(index),
                other => {
                    let message = format!(
                        "option '{}': column '{name}' is {other}, expected BOOLEAN",
                        SEQUENCE_END_COLUMN.key()
                    );
                    Err(Error::new(ErrorKind::Schema, message))
                }
            }
        });
        let end = end.transpose()?;
        Ok(Some(Self { key, end }))
    }

    /// The key of a row.
    pub(crate) fn key(&self, row: &[Value]) -> Result<SequenceKey, Error> {
        self.key.key(row)
    }

    /// Whether a row says of itself that it is the last one of its sequence.
    pub(crate) fn ends(&self, row: &[Value]) -> Result<bool, Error> {
        let Some(value) = self.end.and_then(|index| row.get(index)) else {
            return Ok(false);
        };
        match value {
            Value::Boolean(ends) => Ok(*ends),
            Value::Null => Ok(false),
            other => {
                let message = format!(
                    "the column of option '{}': expected BOOLEAN, found {}",
                    SEQUENCE_END_COLUMN.key(),
                    other.kind()
                );
                Err(Error::new(ErrorKind::Input, message))
            }
        }
    }

    fn contains(&self, index: usize) -> bool {
        self.end == Some(index) || self.key.indices().any(|key| key == index)
    }
}

/// What of a schema the model itself takes and gives.
#[derive(Debug)]
pub(crate) struct ModelColumns {
    /// The schema without the columns that only sequences have.
    pub(crate) schema: Schema,
    /// Which columns of a row are the model's inputs; `None` where all of them are.
    inputs: Option<Vec<usize>>,
    /// Where [`RESTARTED_COLUMN`] is to stand in an output row.
    restarted: Option<usize>,
}

impl ModelColumns {
    /// Takes out the columns of sequences that the model has no tensors for.
    pub(crate) fn new(
        options: &TritonOptions,
        schema: &Schema,
        columns: Option<&SequenceColumns>,
        has_input: impl Fn(&str) -> bool,
        has_output: impl Fn(&str) -> bool,
    ) -> Self {
        let Some(columns) = columns else {
            return Self {
                schema: schema.clone(),
                inputs: None,
                restarted: None,
            };
        };
        let names = options.input_names.as_ref();
        let is_input = |(index, column): &(usize, &Column)| {
            let named = names.and_then(|names| names.tensor(&column.name));
            !columns.contains(*index) || named.is_some() || has_input(&column.name)
        };
        let inputs: Vec<usize> = schema
            .inputs
            .iter()
            .enumerate()
            .filter(is_input)
            .map(|(index, _)| index)
            .collect();
        let restarted = schema.outputs.iter().position(|column| {
            column.name == RESTARTED_COLUMN
                && column.data_type == DataType::Boolean
                && !has_output(RESTARTED_COLUMN)
        });
        let mut model = schema.clone();
        model.inputs = inputs
            .iter()
            .map(|index| schema.inputs[*index].clone())
            .collect();
        if let Some(index) = restarted {
            model.outputs.remove(index);
        }
        Self {
            inputs: (inputs.len() < schema.inputs.len()).then_some(inputs),
            schema: model,
            restarted,
        }
    }

    /// The values of a row that are sent.
    pub(crate) fn inputs<'a>(&self, row: &'a [Value], buffer: &'a mut Vec<Value>) -> &'a [Value] {
        let Some(indices) = &self.inputs else {
            return row;
        };
        buffer.extend(indices.iter().filter_map(|index| row.get(*index).cloned()));
        buffer
    }

    /// The output row for what the model answered.
    pub(crate) fn output(&self, mut answer: Vec<Value>, restarted: bool) -> Vec<Value> {
        if let Some(index) = self.restarted {
            answer.insert(index, Value::Boolean(restarted));
        }
        answer
    }
}

/// The place of a column that an option names.
pub(super) fn find(option: &str, name: &str, columns: &[Column]) -> Result<usize, Error> {
    let place = columns.iter().position(|column| column.name == name);
    place.ok_or_else(|| {
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        let message = format!(
            "option '{option}' names the column '{name}', which is no input column: there are {}",
            names.join(", ")
        );
        Error::new(ErrorKind::Schema, message)
    })
}
