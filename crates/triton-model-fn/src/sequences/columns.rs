//! Which columns of a schema are about sequences, and which of them the model sees.

use std::sync::Arc;

use triton_options::{
    SEQUENCE_END_COLUMN, SEQUENCE_HISTORY_COLUMNS, SEQUENCE_POSITION_COLUMN, SequenceMode,
    TritonOptions,
};

use super::carried_rows::HistoryColumns;
use super::key::{KeyColumns, SequenceKey};
use super::named_column::find_of;
use super::row_position::{EarlierRows, RowPosition, rows_before};
use crate::filled_column::FilledColumns;
use crate::tensor_plan::{EncodedRow, TensorPlan};
use crate::{Column, DataType, Error, ErrorKind, Schema, Value};

/// The columns of the sequence of a row.
#[derive(Debug, Clone)]
pub(crate) struct SequenceColumns {
    key: KeyColumns,
    end: Option<usize>,
    position: Option<usize>,
    history: Option<HistoryColumns>,
    max_length: Option<u64>,
}

impl SequenceColumns {
    /// The columns that the options name; `None` where they name no key.
    pub(crate) fn find(options: &TritonOptions, schema: &Schema) -> Result<Option<Self>, Error> {
        let SequenceMode::PerKey { key, .. } = options.sequence_mode() else {
            return Ok(None);
        };
        let key = KeyColumns::find(key, &schema.inputs)?;
        let column = |option: &str, name: &Option<String>, types: &[DataType]| {
            let name = name.as_deref();
            let column = name.map(|name| find_of(option, name, &schema.inputs, types));
            column.transpose()
        };
        let end = column(
            SEQUENCE_END_COLUMN.key(),
            &options.sequence_end_column,
            &[DataType::Boolean],
        )?;
        let position = column(
            SEQUENCE_POSITION_COLUMN.key(),
            &options.sequence_position_column,
            &[DataType::BigInt, DataType::Integer, DataType::SmallInt],
        )?;
        let history = options.sequence_history_columns.as_ref().map(|names| {
            let others: Vec<usize> = key.indices().chain(position).collect();
            HistoryColumns::find(names, &schema.inputs, &others)
        });
        Ok(Some(Self {
            history: history.transpose()?,
            max_length: options.sequence_max_length.map(|rows| rows.get().into()),
            key,
            end,
            position,
        }))
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

    /// What a row says of its place among the rows of its key; `None` where no column is for that.
    ///
    /// `encode` makes what turns a row into tensors; it is asked only where rows are carried.
    pub(crate) fn position<Encode>(
        &self,
        row: &[Value],
        encode: impl FnOnce() -> Encode,
    ) -> Result<Option<RowPosition>, Error>
    where
        Encode: Fn(&[Value]) -> Result<EncodedRow, Error> + Send + Sync + 'static,
    {
        let position = self.position.map(|index| position(row.get(index)));
        let position = position.transpose()?;
        let Some(history) = &self.history else {
            return Ok(position.map(|position| RowPosition {
                position,
                before: match self.end {
                    // Where the sequence began is not to be seen from here.
                    Some(_) => None,
                    None => rows_before(position, None, self.max_length),
                },
                earlier: None,
            }));
        };
        let carried = history.carried(row, self.key.indices())?;
        let position = match position {
            Some(position) if position < carried.count() + 1 => {
                let message = format!(
                    "the column of option '{}' says that it is row {position} of its key, and its \
                     history has {} rows before it: both must be of one window",
                    SEQUENCE_POSITION_COLUMN.key(),
                    carried.count()
                );
                return Err(Error::new(ErrorKind::Input, message));
            }
            Some(position) => position,
            None => carried.count() + 1,
        };
        let carried = match self.position {
            Some(column) => carried.numbered(column, &row[column]),
            None => carried,
        };
        let ends = self.end.and_then(|end| carried.column(end));
        let before = rows_before(position, ends, self.max_length);
        let reaches_back = before.filter(|before| *before <= carried.count());
        Ok(Some(RowPosition {
            position,
            before,
            earlier: reaches_back.map(|count| {
                let (first, encode) = (carried.count() - count, encode());
                Arc::new(EarlierRows::new(count, move |index| {
                    encode(&carried.row(first + index))
                }))
            }),
        }))
    }

    /// Whether a row is the last one that its sequence may have.
    pub(crate) fn is_longest(&self, position: Option<&RowPosition>) -> bool {
        let before = position.and_then(|position| position.before);
        before.is_some_and(|before| self.max_length == Some(before + 1))
    }

    /// Whether what is said of a row's sequence depends on a column.
    #[cfg(feature = "arrow")]
    pub(crate) fn needs(&self, index: usize) -> bool {
        let has_history = |history: &HistoryColumns| history.has_history(index);
        self.contains(index) || self.history.as_ref().is_some_and(has_history)
    }

    /// The first array of earlier rows that is among `inputs`.
    fn history_among(&self, inputs: &[usize]) -> Option<&str> {
        self.history.as_ref()?.array_among(inputs)
    }

    fn contains(&self, index: usize) -> bool {
        let is_history = |history: &HistoryColumns| history.contains(index);
        self.end == Some(index)
            || self.position == Some(index)
            || self.history.as_ref().is_some_and(is_history)
            || self.key.indices().any(|key| key == index)
    }
}

/// What of a schema the model itself takes and gives.
#[derive(Debug)]
pub(crate) struct ModelColumns {
    /// The schema without the columns that the model has no tensors for.
    pub(crate) schema: Schema,
    /// Which columns of a row are the model's inputs; `None` where all of them are.
    inputs: Option<Vec<usize>>,
    /// Those of the output that the function fills in.
    pub(crate) filled: FilledColumns,
}

impl ModelColumns {
    /// Takes out the columns of sequences that the model has no tensors for, and those that the
    /// function fills in.
    pub(crate) fn new(
        options: &TritonOptions,
        schema: &Schema,
        columns: Option<&SequenceColumns>,
        has_input: impl Fn(&str) -> bool,
        has_output: impl Fn(&str) -> bool,
    ) -> Result<Self, Error> {
        let names = options.input_names.as_ref();
        let is_input = |(index, column): &(usize, &Column)| {
            let named = names.and_then(|names| names.get(&column.name));
            let is_of_sequences = columns.is_some_and(|columns| columns.contains(*index));
            !is_of_sequences || named.is_some() || has_input(&column.name)
        };
        let inputs: Vec<usize> = schema
            .inputs
            .iter()
            .enumerate()
            .filter(is_input)
            .map(|(index, _)| index)
            .collect();
        if let Some(array) = columns.and_then(|columns| columns.history_among(&inputs)) {
            return Err(sent_history(array));
        }
        let has_state = match options.sequence_mode() {
            SequenceMode::PerKey { .. } => true,
            SequenceMode::Static { flags, .. } => !flags.are_both(),
            _ => false,
        };
        let output_names = options.output_names.as_ref();
        let filled = FilledColumns::find(options, schema, has_state, |name| {
            has_output(name) || output_names.is_some_and(|names| names.get(name).is_some())
        })?;
        let mut model = schema.clone();
        model.inputs = inputs
            .iter()
            .map(|index| schema.inputs[*index].clone())
            .collect();
        model.outputs = filled.others(&schema.outputs);
        Ok(Self {
            inputs: (inputs.len() < schema.inputs.len()).then_some(inputs),
            schema: model,
            filled,
        })
    }

    /// The model's inputs among the columns of the schema.
    #[cfg(feature = "arrow")]
    pub(crate) fn inputs_of<'a, T>(&self, columns: &'a [T]) -> Vec<&'a T> {
        match &self.inputs {
            Some(indices) => indices
                .iter()
                .filter_map(|index| columns.get(*index))
                .collect(),
            None => columns.iter().collect(),
        }
    }

    /// The tensors of a row that has all columns of the schema.
    pub(crate) fn encode(&self, plan: &TensorPlan, row: &[Value]) -> Result<EncodedRow, Error> {
        let mut buffer = Vec::new();
        plan.encode(self.inputs(row, &mut buffer))
    }

    /// The values of a row that are sent.
    fn inputs<'a>(&self, row: &'a [Value], buffer: &'a mut Vec<Value>) -> &'a [Value] {
        let Some(indices) = &self.inputs else {
            return row;
        };
        buffer.extend(indices.iter().filter_map(|index| row.get(*index).cloned()));
        buffer
    }
}

/// What an earlier row had in its own history is not known, so it could not be sent again.
fn sent_history(array: &str) -> Error {
    let message = format!(
        "column '{array}' (option '{}') holds earlier rows, and the model has an input of that name: \
         the rows that it holds could not be sent again as they were; give the column another name, \
         and what the model is to see another column with a history of its own",
        SEQUENCE_HISTORY_COLUMNS.key()
    );
    Error::new(ErrorKind::Schema, message)
}

/// The number that a row has among the rows of its key.
fn position(value: Option<&Value>) -> Result<u64, Error> {
    let number = match value {
        Some(Value::SmallInt(number)) => i64::from(*number),
        Some(Value::Integer(number)) => i64::from(*number),
        Some(Value::BigInt(number)) => *number,
        other => {
            let found = other.map_or("nothing", Value::kind);
            return Err(wrong_position(found));
        }
    };
    u64::try_from(number)
        .ok()
        .filter(|number| *number > 0)
        .ok_or_else(|| wrong_position(&number.to_string()))
}

fn wrong_position(found: &str) -> Error {
    let message = format!(
        "the column of option '{}': expected the number of the row in its key, from 1 on, found \
         {found}",
        SEQUENCE_POSITION_COLUMN.key()
    );
    Error::new(ErrorKind::Input, message)
}
