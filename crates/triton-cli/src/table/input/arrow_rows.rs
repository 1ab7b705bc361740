//! Rows of a record batch, in the form in which they go on.

use std::sync::Arc;

use arrow_array::RecordBatch;
use triton_model_fn::{InputRowsBuilder, Value};

use super::{Input, Wanted};
use crate::table::arrow_rows::bytes_of;
use crate::table::fault::Fault;
use crate::table::format::Form;
use crate::table::layout::Layout;
use crate::table::original::Original;
use crate::table::row::{Row, Unusable, all_values};
use crate::table::{arrow_cells, arrow_decimals, arrow_text, arrow_values};

/// What the rows of an input have in common.
#[derive(Debug)]
pub(super) struct ArrowShape {
    pub(super) input: Input,
    pub(super) wanted: Wanted,
    /// Where each of the wanted columns is in the file.
    pub(super) positions: Vec<Option<usize>>,
    /// Where the columns are that pass through, if not all do.
    pub(super) passing: Option<Arc<[usize]>>,
    /// What passes through.
    pub(super) layout: Arc<Layout>,
}

/// Rows that follow each other.
#[derive(Debug)]
pub(in crate::table) struct ArrowRows {
    shape: Arc<ArrowShape>,
    /// The number of the first row.
    first: u64,
    batch: RecordBatch,
    /// What of it passes through.
    passed: Arc<RecordBatch>,
    /// The rows as they go on, where that is not in their columns.
    written: Vec<Original>,
    /// What is wrong with rows, whatever the model could make of them; empty where nothing is.
    faults: Vec<Option<Fault>>,
}

impl ArrowRows {
    /// Rows of a plain batch, and what is known to be wrong with them.
    pub(super) fn new(
        shape: &Arc<ArrowShape>,
        first: u64,
        batch: RecordBatch,
        faults: Vec<Option<Fault>>,
    ) -> anyhow::Result<Self> {
        let passed = match &shape.passing {
            None => batch.clone(),
            Some(positions) => batch.project(positions)?,
        };
        let (written, unwritable): (Vec<_>, Vec<_>) = match shape.wanted.form {
            Form::Cells => arrow_cells::records(&passed).into_iter().unzip(),
            Form::Objects => arrow_cells::objects(&passed).into_iter().unzip(),
            Form::Columns => (Vec::new(), arrow_decimals::faults(&passed)),
        };
        // What cannot be written is not asked of the model either.
        let faults = faults.into_iter().zip(unwritable);
        let faults: Vec<_> = faults.map(|(fault, other)| fault.or(other)).collect();
        let is_faultless = faults.iter().all(Option::is_none);
        Ok(Self {
            shape: Arc::clone(shape),
            first,
            batch,
            passed: Arc::new(passed),
            written,
            faults: if is_faultless { Vec::new() } else { faults },
        })
    }

    pub(in crate::table) fn len(&self) -> usize {
        self.batch.num_rows()
    }

    pub(in crate::table) fn bytes(&self) -> usize {
        bytes_of(&self.batch)
    }

    /// Whether the rows go on as the columns that they are.
    pub(in crate::table) fn are_columns(&self) -> bool {
        self.shape.wanted.form == Form::Columns
    }

    /// What passes through of the rows, as columns.
    pub(in crate::table) fn batch(&self) -> &RecordBatch {
        &self.passed
    }

    pub(in crate::table) fn row(&self, index: usize) -> Row {
        let original = match self.written.get(index) {
            Some(original) => original.clone(),
            None => Original::Batch {
                batch: Arc::clone(&self.passed),
                index,
            },
        };
        let shape = &self.shape;
        let fault = self.faults.get(index).cloned().flatten();
        Row {
            place: shape.input.place(self.first + index as u64, None),
            original,
            whole: shape.passing.as_ref().map(|_| Original::Batch {
                batch: Arc::new(self.batch.clone()),
                index,
            }),
            layout: Arc::clone(&shape.layout),
            values: match (self.values(index), fault) {
                (Ok(values), None) => Ok(values),
                (Ok(values), Some(fault)) => Err(Unusable {
                    fault,
                    readable: Some(values),
                    is_writable: false,
                }),
                (Err(unusable), unwritable) => Err(Unusable {
                    is_writable: unusable.is_writable && unwritable.is_none(),
                    ..unusable
                }),
            },
        }
    }

    pub(in crate::table) fn into_rows(self) -> Vec<Row> {
        (0..self.len()).map(|index| self.row(index)).collect()
    }

    fn values(&self, index: usize) -> Result<Vec<Value>, Unusable> {
        let inputs = 0..self.shape.wanted.inputs.len();
        all_values(inputs.map(|input| self.value(input, index)))
    }

    /// The value of one of the wanted columns.
    fn value(&self, input: usize, index: usize) -> Result<Value, Fault> {
        let ArrowShape {
            wanted, positions, ..
        } = &*self.shape;
        let column = &wanted.inputs[input];
        let Some(position) = positions[input] else {
            return Ok(Value::Null);
        };
        let array = self.batch.column(position);
        let value = match wanted.is_key_text(input) {
            true if arrow_text::is_null(array, index) => Ok(Value::Null),
            true => arrow_text::cell(array, index).map(Value::String),
            false => arrow_values::value(&column.data_type, array, index),
        };
        value.map_err(|reason| Fault::of_column(&column.name, reason))
    }

    /// Adds the values of all rows; what comes back are those that cannot be used. Columns of the
    /// model's own types are taken as they lie in memory.
    pub(in crate::table) fn encode(
        &self,
        builder: &mut InputRowsBuilder,
    ) -> Vec<(usize, Unusable)> {
        let rows = self.faults.iter().enumerate();
        let rows = rows.filter_map(|(row, fault)| fault.as_ref().map(|_| row));
        let mut unusable: Vec<usize> = rows.collect();
        for (input, position) in self.shape.positions.iter().enumerate() {
            let array = position.map(|position| self.batch.column(position));
            if array.is_some_and(|array| builder.set_array(input, array)) {
                continue;
            }
            for row in 0..self.len() {
                let value = self.value(input, row).unwrap_or_else(|_| {
                    unusable.push(row);
                    Value::Null
                });
                builder.push(input, &value);
            }
        }
        unusable.sort_unstable();
        unusable.dedup();
        let reasons = unusable.into_iter();
        let reasons = reasons.filter_map(|row| Some((row, self.row(row).values.err()?)));
        reasons.collect()
    }
}
