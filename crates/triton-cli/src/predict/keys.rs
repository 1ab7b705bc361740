//! The keys of an input that can be read twice: which row of a key is its last, and how many keys
//! are open at once.

use std::collections::HashMap;

use triton_model_fn::{Column, Value};
use triton_options::{SequenceMode, TritonOptions};

use super::sendable::Sendable;
use super::subtasks::Subtasks;
use crate::table::{ChunkSize, Form, Input, Row, Wanted};

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

    /// What the rows of a key are sorted by: the texts of its columns, one after the other, so
    /// that what is put before another text comes before it. `None` where a column is NULL, or
    /// cannot be read.
    pub(super) fn order_of(&self, row: &Row) -> Option<Vec<u8>> {
        let values = match &row.values {
            Ok(values) => values,
            Err(unusable) => unusable.readable.as_ref()?,
        };
        let mut order = Vec::new();
        for index in &self.0 {
            let put = |text: &[u8], order: &mut Vec<u8>| {
                for byte in text {
                    order.push(*byte);
                    // Otherwise it could be the end of the text.
                    order.extend((*byte == 0).then_some(0xff));
                }
                order.extend([0, 0]);
            };
            match values.get(*index)? {
                Value::Null => return None,
                Value::String(text) => put(text.as_bytes(), &mut order),
                Value::Bytes(bytes) => put(bytes, &mut order),
                // The name of its type stands before each of them.
                other => put(format!("{other:?}").as_bytes(), &mut order),
            }
        }
        Some(order)
    }

    /// The key of a row, in a form that is the same in every run. A row has none where a column is
    /// NULL: it belongs to no sequence, and is never sent.
    fn of(&self, values: &[Value]) -> Option<Vec<u8>> {
        let parts = self.0.iter().filter_map(|index| values.get(*index));
        let mut key = Vec::new();
        for part in parts {
            match part {
                Value::Null => return None,
                Value::String(text) => key.extend_from_slice(text.as_bytes()),
                other => key.extend_from_slice(format!("{other:?}").as_bytes()),
            }
            // No UTF-8 text has this byte.
            key.push(0xff);
        }
        Some(key)
    }
}

/// The last row of every key, by its number among all rows.
///
/// It takes memory for each key that there is, until its last row has come.
#[derive(Debug)]
pub(super) struct LastRows {
    columns: KeyColumns,
    rows: HashMap<Vec<u8>, Span>,
}

/// From the first to the last row of a key.
#[derive(Debug, Clone, Copy)]
struct Span {
    subtask: usize,
    first: u64,
    last: u64,
}

/// The most keys that are open at once, in the subtask that has most.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct MostOpen {
    pub(super) keys: usize,
    pub(super) subtask: usize,
}

impl LastRows {
    /// Reads all inputs.
    pub(super) fn find(
        inputs: &[(Input, Wanted)],
        columns: &KeyColumns,
        subtasks: &Subtasks,
    ) -> anyhow::Result<Self> {
        let mut rows = HashMap::new();
        each_row(inputs, &subtasks.sendable(), |number, values| {
            if let Some(key) = columns.of(values) {
                let span = rows.entry(key).or_insert_with(|| Span {
                    subtask: subtasks.subtask_of(values),
                    first: number,
                    last: number,
                });
                span.last = number;
            }
        })?;
        let columns = columns.clone();
        Ok(Self { columns, rows })
    }

    /// Whether the row of this number is the last of its key, which is then forgotten.
    pub(super) fn take(&mut self, number: u64, values: &[Value]) -> bool {
        let Some(key) = self.columns.of(values) else {
            return false;
        };
        let is_last = self.rows.get(&key).is_some_and(|span| span.last == number);
        if is_last {
            self.rows.remove(&key);
        }
        is_last
    }

    /// The most keys that have had their first row and not their last one, at any row.
    ///
    /// Sequences of at most `longest` rows end sooner, which takes another look at the inputs, but
    /// only if there are more than `limit` keys at all.
    pub(super) fn most_open(
        &self,
        inputs: &[(Input, Wanted)],
        sendable: &Sendable,
        longest: Option<u64>,
        limit: usize,
    ) -> anyhow::Result<MostOpen> {
        let most = self.most_spans();
        match longest {
            Some(longest) if most.keys > limit => self.most_sequences(inputs, sendable, longest),
            _ => Ok(most),
        }
    }

    fn most_spans(&self) -> MostOpen {
        // A row that is both first and last opens its sequence before it closes it.
        let mut changes: Vec<(u64, bool, usize)> = self
            .rows
            .values()
            .flat_map(|span| {
                let Span {
                    subtask,
                    first,
                    last,
                } = *span;
                [(first, false, subtask), (last, true, subtask)]
            })
            .collect();
        changes.sort_unstable();
        let mut open = Open::default();
        for (_, closes, subtask) in changes {
            match closes {
                true => open.close(subtask),
                false => open.open(subtask),
            }
        }
        open.most
    }

    fn most_sequences(
        &self,
        inputs: &[(Input, Wanted)],
        sendable: &Sendable,
        longest: u64,
    ) -> anyhow::Result<MostOpen> {
        let mut lengths: HashMap<Vec<u8>, u64> = HashMap::new();
        let mut open = Open::default();
        each_row(inputs, sendable, |number, values| {
            let Some(key) = self.columns.of(values) else {
                return;
            };
            let Some(span) = self.rows.get(&key) else {
                return;
            };
            let length = lengths.entry(key.clone()).or_default();
            if *length == 0 {
                open.open(span.subtask);
            }
            *length += 1;
            if *length >= longest || span.last == number {
                lengths.remove(&key);
                open.close(span.subtask);
            }
        })?;
        Ok(open.most)
    }
}

/// How many sequences each subtask has open.
#[derive(Debug, Default)]
struct Open {
    now: Vec<usize>,
    most: MostOpen,
}

impl Open {
    fn open(&mut self, subtask: usize) {
        if self.now.len() <= subtask {
            self.now.resize(subtask + 1, 0);
        }
        self.now[subtask] += 1;
        if self.now[subtask] > self.most.keys {
            let keys = self.now[subtask];
            self.most = MostOpen { keys, subtask };
        }
    }

    fn close(&mut self, subtask: usize) {
        if let Some(open) = self.now.get_mut(subtask) {
            *open = open.saturating_sub(1);
        }
    }
}

/// Reads all inputs once more, and shows the rows that can be sent, with the number of each among
/// all.
fn each_row(
    inputs: &[(Input, Wanted)],
    sendable: &Sendable,
    mut each: impl FnMut(u64, &[Value]),
) -> anyhow::Result<()> {
    let mut number = 0;
    for (input, wanted) in inputs {
        let looked = input.look()?;
        let wanted = Wanted {
            // The one that costs least.
            form: looked.format.form().unwrap_or(Form::Objects),
            ..wanted.clone()
        };
        let mut reader = looked.open(&wanted)?;
        let mut next = || reader.next_chunk(ChunkSize::OF_ROWS);
        while let Some(chunk) = next().map_err(|error| input.blame(error))? {
            for row in chunk.into_rows() {
                number += 1;
                if let Ok(values) = &row.values
                    && sendable.includes(&row)
                {
                    each(number, values);
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_keys_open_at_once_are_counted_in_each_subtask() {
        let span = |subtask, first, last| Span {
            subtask,
            first,
            last,
        };
        let most = |spans: &[Span]| {
            let rows = spans.iter().enumerate();
            let rows = rows.map(|(index, span)| (vec![index as u8], *span));
            LastRows {
                columns: KeyColumns(Vec::new()),
                rows: rows.collect(),
            }
            .most_spans()
        };
        let found = |keys, subtask| MostOpen { keys, subtask };
        assert_eq!(most(&[]), found(0, 0));
        assert_eq!(most(&[span(0, 1, 1), span(0, 2, 2)]), found(1, 0));
        assert_eq!(
            most(&[span(0, 1, 3), span(0, 2, 4), span(0, 5, 9)]),
            found(2, 0)
        );
        let two = [span(0, 1, 2), span(1, 3, 9), span(1, 4, 5), span(0, 6, 7)];
        assert_eq!(most(&two), found(2, 1));
    }
}
