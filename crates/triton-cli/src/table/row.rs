//! A row on its way from an input through the model to an output.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use anyhow::bail;
use csv::StringRecord;
use triton_model_fn::{DataType, Value};

use super::format::Form;
use super::json_object::JsonObject;

/// A row of an input, or what is there in place of one.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) place: Place,
    /// The row as the output will hold it.
    pub(crate) original: Original,
    /// The row as it was read, where not all of it passes through: whoever has to fix it needs what the
    /// model takes.
    pub(crate) whole: Option<Original>,
    pub(crate) layout: Arc<Layout>,
    /// The values of the model's input columns, or why the row cannot be used.
    pub(crate) values: Result<Vec<Value>, Unusable>,
}

/// Why a row cannot be used, and what of it can be read all the same.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Unusable {
    pub(crate) fault: Fault,
    /// The values, NULL in place of those that cannot be read: they may still tell the row's key
    /// and that its sequence ends with it.
    pub(crate) readable: Option<Vec<Value>>,
    /// Whether an output has a form for all that passes through.
    pub(crate) is_writable: bool,
}

impl Unusable {
    /// What can be read of a row that can be written, although the model cannot answer it.
    pub(crate) fn writable(&self) -> Option<&[Value]> {
        self.readable.as_deref().filter(|_| self.is_writable)
    }
}

impl From<Fault> for Unusable {
    fn from(fault: Fault) -> Self {
        Self {
            fault,
            readable: None,
            is_writable: false,
        }
    }
}

/// The values of a row of which each can be read or not.
pub(super) fn all_values(
    values: impl Iterator<Item = Result<Value, Fault>>,
) -> Result<Vec<Value>, Unusable> {
    let mut first = None;
    let readable: Vec<Value> = values
        .map(|value| {
            value.unwrap_or_else(|fault| {
                first.get_or_insert(fault);
                Value::Null
            })
        })
        .collect();
    match first {
        None => Ok(readable),
        Some(fault) => Err(Unusable {
            fault,
            readable: Some(readable),
            is_writable: true,
        }),
    }
}

/// The row as it was read, in the form that suits the output.
#[derive(Debug, Clone)]
pub(crate) enum Original {
    /// A text for each column of the layout.
    Cells(StringRecord),
    /// A JSON object.
    Object(JsonObject),
    /// A row of a record batch.
    #[cfg(feature = "arrow")]
    Batch {
        batch: Arc<arrow_array::RecordBatch>,
        index: usize,
    },
    /// What cannot be read as a row.
    Text(String),
}

/// The columns of an input that pass through to the output.
#[derive(Debug, PartialEq)]
pub(crate) struct Layout {
    pub(crate) columns: Vec<PassedColumn>,
    /// Where each of the model's input columns is, if the input has it; empty where rows find them by
    /// name.
    pub(crate) inputs: Vec<Option<usize>>,
}

/// A column of an input.
#[derive(Debug, PartialEq)]
pub(crate) struct PassedColumn {
    pub(crate) name: String,
    pub(crate) kind: PassedKind,
}

/// What is known of a column's values.
#[derive(Debug, PartialEq)]
pub(crate) enum PassedKind {
    /// The model's input column of this index, which has this type.
    Input(usize, DataType),
    /// Text, or whatever type was found in the first rows.
    Other(DataType),
    /// A typed column of the input.
    #[cfg(feature = "arrow")]
    Arrow(arrow_schema::FieldRef),
}

impl Layout {
    /// Whether rows of the two can follow each other in one output of a form; or why not.
    pub(crate) fn check_beside(&self, other: &Self, form: Form) -> Result<(), String> {
        if form == Form::Objects {
            return Ok(());
        }
        let names: Vec<&str> = self.names().collect();
        let others: Vec<&str> = other.names().collect();
        if names != others {
            let (names, others) = (names.join(", "), others.join(", "));
            return Err(format!(
                "its columns are {names}; the first input's are {others}"
            ));
        }
        #[cfg(feature = "arrow")]
        if form == Form::Columns {
            for (column, other) in self.columns.iter().zip(&other.columns) {
                let (found, expected) = (column.arrow_type(), other.arrow_type());
                if found != expected {
                    return Err(format!(
                        "its column '{}' is {found}; the first input's is {expected}",
                        column.name
                    ));
                }
            }
        }
        Ok(())
    }

    /// Refuses two columns of one name, of which whoever reads an object finds only one.
    pub(super) fn check_members(&self) -> anyhow::Result<()> {
        let mut names = HashSet::new();
        match self.names().find(|name| !names.insert(*name)) {
            None => Ok(()),
            Some(name) => bail!(
                "two columns are named '{name}', and a JSON object holds only one of them: rename \
                 one, or write another format"
            ),
        }
    }

    /// The names of the columns, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|column| column.name.as_str())
    }
}

#[cfg(feature = "arrow")]
impl PassedColumn {
    /// The type of the column in an output of typed columns.
    pub(super) fn arrow_type(&self) -> arrow_schema::DataType {
        match &self.kind {
            PassedKind::Input(_, data_type) | PassedKind::Other(data_type) => {
                data_type.arrow_type()
            }
            PassedKind::Arrow(field) => field.data_type().clone(),
        }
    }
}

/// Where a row is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Place {
    /// The input's name, and whether a message needs it because there are several inputs.
    pub(crate) input: Arc<str>,
    pub(crate) among_several: bool,
    /// Counted from 1, without a header.
    pub(crate) row: u64,
    /// The line on which the row begins, where the input has lines.
    pub(crate) line: Option<u64>,
    /// The bytes of all inputs up to the end of the row, as far as they are known.
    pub(crate) bytes: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.among_several {
            write!(formatter, "{}, ", self.input)?;
        }
        write!(formatter, "row {}", self.row)?;
        match self.line {
            Some(line) => write!(formatter, " (line {line})"),
            None => Ok(()),
        }
    }
}

/// What is wrong with a row.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) struct Fault {
    pub(crate) column: Option<String>,
    pub(crate) reason: String,
}

impl Fault {
    pub(crate) fn of_row(reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self {
            column: None,
            reason,
        }
    }

    pub(crate) fn of_column(column: &str, reason: impl Into<String>) -> Self {
        Self {
            column: Some(column.to_owned()),
            reason: reason.into(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(column) = &self.column {
            write!(formatter, "column '{column}': ")?;
        }
        formatter.write_str(&self.reason)
    }
}

impl Row {
    /// The value of one of the model's input columns as it can be read: NULL where it cannot, and
    /// nothing where not even the columns of the row are known.
    pub(super) fn input_value(&self, index: usize) -> Option<&Value> {
        let values = match &self.values {
            Ok(values) => values,
            Err(unusable) => unusable.readable.as_ref()?,
        };
        values.get(index)
    }

    /// The name of one of the model's input columns.
    pub(crate) fn input_name(&self, index: usize) -> Option<&str> {
        let position = (*self.layout.inputs.get(index)?)?;
        Some(self.layout.columns.get(position)?.name.as_str())
    }

    /// The row as text, for whoever has to fix it: as CSV, or as a JSON object.
    pub(crate) fn raw_text(&self) -> String {
        match self.whole.as_ref().unwrap_or(&self.original) {
            Original::Cells(record) => super::output::csv_line(record),
            Original::Object(object) => object.text().to_owned(),
            #[cfg(feature = "arrow")]
            Original::Batch { batch, index } => {
                super::arrow_cells::object_text(&batch.slice(*index, 1))
            }
            Original::Text(text) => text.clone(),
        }
    }
}
