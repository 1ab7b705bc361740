//! The keys of rows: which subtask a key goes to, and which row of a key is its last.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use triton_model_fn::{Column, Value};
use triton_options::{SequenceMode, TritonOptions};

use crate::table::{Form, Input, Wanted};

/// Where the columns of the key are among the values of a row.
#[derive(Debug, Clone)]
pub(super) struct KeyColumns(Vec<usize>);

impl KeyColumns {
    /// The columns of the key; `None` where rows have none.
    pub(super) fn find(options: &TritonOptions, columns: &[Column]) -> Option<Self> {
        let SequenceMode::PerKey { key, .. } = options.sequence_mode() else {
            return None;
        };
        let find = |name| columns.iter().position(|column| column.name == name);
        Some(Self(key.iter().filter_map(find).collect()))
    }

    /// The key of a row, in a form that is the same in every run.
    fn of(&self, values: &[Value]) -> Vec<u8> {
        let parts = self.0.iter().filter_map(|index| values.get(*index));
        let mut key = Vec::new();
        for part in parts {
            match part {
                Value::String(text) => key.extend_from_slice(text.as_bytes()),
                other => key.extend_from_slice(format!("{other:?}").as_bytes()),
            }
            // No UTF-8 text has this byte.
            key.push(0xff);
        }
        key
    }

    /// The subtask, of so many, that the rows of a key go to.
    pub(super) fn subtask(&self, values: &[Value], subtasks: usize) -> usize {
        crc32fast::hash(&self.of(values)) as usize % subtasks
    }
}

/// The last row of every key, by its number among all rows.
///
/// It takes memory for each key that there is, until its last row has come.
#[derive(Debug)]
pub(super) struct LastRows {
    columns: KeyColumns,
    rows: HashMap<Vec<u8>, u64>,
}

impl LastRows {
    /// Reads all inputs.
    pub(super) fn find(inputs: &[(Input, Wanted)], columns: &KeyColumns) -> anyhow::Result<Self> {
        let uncounted = Arc::new(AtomicU64::new(0));
        let mut rows = HashMap::new();
        let mut number = 0;
        for (input, wanted) in inputs {
            let looked = input.look(&uncounted)?;
            let wanted = Wanted {
                // The one that costs least.
                form: looked.format.form().unwrap_or(Form::Objects),
                ..wanted.clone()
            };
            let mut reader = looked.open(&wanted)?;
            while let Some(row) = reader.next().map_err(|error| input.blame(error))? {
                number += 1;
                // A row that cannot be read is never sent, so it cannot be the last one.
                if let Ok(values) = &row.values {
                    rows.insert(columns.of(values), number);
                }
            }
        }
        let columns = columns.clone();
        Ok(Self { columns, rows })
    }

    /// Whether the row of this number is the last of its key, which is then forgotten.
    pub(super) fn take(&mut self, number: u64, values: &[Value]) -> bool {
        let key = self.columns.of(values);
        let is_last = self.rows.get(&key) == Some(&number);
        if is_last {
            self.rows.remove(&key);
        }
        is_last
    }
}
