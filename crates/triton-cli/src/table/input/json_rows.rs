//! JSON objects as rows; values of the model's columns are found by their names.

use std::sync::Arc;

use triton_model_fn::{InputRowsBuilder, Value};

use super::json_line::Line;
use super::{Input, Passing, Wanted};
use crate::table::fault::Fault;
use crate::table::json_object::JsonObject;
use crate::table::layout::Layout;
use crate::table::original::Original;
use crate::table::row::{Row, Unusable, all_values};
use crate::table::{TWICE, cell};

/// What the rows of an input have in common.
#[derive(Debug)]
pub(super) struct JsonShape {
    pub(super) input: Input,
    pub(super) wanted: Wanted,
    pub(super) layout: Arc<Layout>,
}

/// Objects that follow each other.
#[derive(Debug)]
pub(in crate::table) struct JsonRows {
    shape: Arc<JsonShape>,
    /// The number of the first row.
    first: u64,
    rows: Vec<JsonRow>,
    bytes: usize,
}

#[derive(Debug, Clone)]
struct JsonRow {
    line: u64,
    /// The object, or what is there in its place and why it is none.
    object: Result<JsonObject, (String, Fault)>,
    /// What of it passes through, if not all does.
    passed: Option<JsonObject>,
}

impl JsonRows {
    pub(super) fn new(shape: &Arc<JsonShape>, first: u64) -> Self {
        Self {
            shape: Arc::clone(shape),
            first,
            rows: Vec::new(),
            bytes: 0,
        }
    }

    pub(super) fn push(&mut self, line: &Line) {
        self.bytes += line.bytes.len();
        let object = line.object();
        let passing = &self.shape.input.passing;
        let chosen = object.as_ref().ok();
        let chosen = chosen.filter(|_| !matches!(passing, Passing::All));
        self.rows.push(JsonRow {
            line: line.number,
            passed: chosen.map(|object| object.narrowed(|name| passing.passes(name))),
            object: object
                .map_err(|fault| (String::from_utf8_lossy(&line.bytes).into_owned(), fault)),
        });
    }

    pub(in crate::table) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(in crate::table) fn bytes(&self) -> usize {
        self.bytes
    }

    /// What passes through of the object of a row, if it is one.
    pub(in crate::table) fn object(&self, index: usize) -> Option<&JsonObject> {
        let row = &self.rows[index];
        row.passed.as_ref().or(row.object.as_ref().ok())
    }

    pub(in crate::table) fn row(&self, index: usize) -> Row {
        self.row_of(index, self.rows[index].clone())
    }

    pub(in crate::table) fn into_rows(mut self) -> Vec<Row> {
        let rows = std::mem::take(&mut self.rows).into_iter().enumerate();
        rows.map(|(index, row)| self.row_of(index, row)).collect()
    }

    fn row_of(&self, index: usize, row: JsonRow) -> Row {
        let JsonRow {
            line,
            object,
            passed,
        } = row;
        let mut whole = None;
        let (original, values) = match object {
            Ok(object) => {
                let values = all_values(self.values(&object));
                let passed = match passed {
                    Some(passed) => {
                        whole = Some(Original::Object(object));
                        passed
                    }
                    None => object,
                };
                (Original::Object(passed), values)
            }
            Err((text, fault)) => (Original::Text(text), Err(fault.into())),
        };
        let shape = &self.shape;
        Row {
            place: shape.input.place(self.first + index as u64, Some(line)),
            original,
            whole,
            layout: Arc::clone(&shape.layout),
            values,
        }
    }

    fn values<'a>(
        &'a self,
        object: &'a JsonObject,
    ) -> impl Iterator<Item = Result<Value, Fault>> + 'a {
        let wanted = &self.shape.wanted;
        let columns = wanted.inputs.iter().enumerate();
        columns.map(move |(index, column)| {
            let value = match object.get(&column.name) {
                _ if object.repeats(&column.name) => Err(TWICE.to_owned()),
                None | Some("null") => Ok(Value::Null),
                Some(text) if wanted.is_key_text(index) => {
                    cell::try_cell_of_json(text).map(Value::String)
                }
                Some(text) => cell::parse_json(&column.data_type, text),
            };
            value.map_err(|reason| Fault::of_column(&column.name, reason))
        })
    }

    /// Adds the values of all rows; what comes back are those that cannot be used.
    pub(in crate::table) fn encode(
        &self,
        builder: &mut InputRowsBuilder,
    ) -> Vec<(usize, Unusable)> {
        let inputs = self.shape.wanted.inputs.len();
        let mut unusable = Vec::new();
        let mut values = Vec::with_capacity(inputs);
        for (index, row) in self.rows.iter().enumerate() {
            values.clear();
            let is_usable = row.object.as_ref().is_ok_and(|object| {
                self.values(object).all(|value| match value {
                    Ok(value) => {
                        values.push(value);
                        true
                    }
                    Err(_) => false,
                })
            });
            if !is_usable {
                values.clear();
                values.resize(inputs, Value::Null);
                if let Err(reason) = self.row(index).values {
                    unusable.push((index, reason));
                }
            }
            for (column, value) in values.iter().enumerate() {
                builder.push(column, value);
            }
        }
        unusable
    }
}
