//! A row on its way from an input through the model to an output.

use std::fmt;
use std::sync::Arc;

use csv::StringRecord;
use triton_model_fn::Value;

#[cfg(feature = "arrow")]
use super::arrow_cells;
use super::cell;
use super::fault::Fault;
use super::layout::Layout;
use super::original::Original;

/// A row of an input, or what is there in place of one.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) place: Place,
    /// The row as the output will hold it.
    pub(crate) original: Original,
    /// The row as it was read, where not all of it passes through, or its cells do not tell: whoever has to
    /// fix it needs what the model takes.
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

    /// What an object has instead of a member that it lacks.
    pub(crate) fn instead_of_member(&self, wanted: &str) -> Option<String> {
        /// Enough to see what kind of object it is.
        const MOST_NAMES: usize = 20;
        let Original::Object(object) = self.whole.as_ref().unwrap_or(&self.original) else {
            return None;
        };
        if !object.has_members() || object.get(wanted).is_some() {
            return None;
        }
        let plain = |name: &str| name.trim().to_lowercase();
        let names = object.members().map(|(name, _)| {
            let differs = match plain(name) == plain(wanted) {
                true => " (differs by spaces or capital letters alone)",
                false => "",
            };
            format!("{}{differs}", cell::shortened(name))
        });
        let names = names.take(MOST_NAMES).collect::<Vec<_>>().join(", ");
        Some(format!(
            "; the object has no member '{wanted}'; it has: {names}"
        ))
    }

    /// The row as text, for whoever has to fix it: as CSV, or as a JSON object.
    pub(crate) fn raw_text(&self) -> String {
        match self.whole.as_ref().unwrap_or(&self.original) {
            Original::Cells(record) => csv_line(record),
            Original::Object(object) => object.text().to_owned(),
            #[cfg(feature = "arrow")]
            Original::Batch { batch, index } => arrow_cells::object_text(&batch.slice(*index, 1)),
            Original::Text(text) => text.clone(),
        }
    }
}

/// A record of cells without quotes as a line of CSV, without the line's end.
fn csv_line(record: &StringRecord) -> String {
    record.iter().collect::<Vec<_>>().join(",")
}
