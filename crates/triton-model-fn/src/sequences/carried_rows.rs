//! The rows of a key before the one that carries them, in array columns.

use triton_options::{NameMap, SEQUENCE_HISTORY_COLUMNS};

use super::named_column::find;
use crate::{Column, DataType, Error, ErrorKind, Value};

/// Which array column holds the history of which column.
#[derive(Debug, Clone)]
pub(super) struct HistoryColumns {
    pairs: Vec<Pair>,
}

#[derive(Debug, Clone)]
struct Pair {
    column: usize,
    array: usize,
    /// What errors call the array.
    name: String,
}

impl HistoryColumns {
    /// Finds the columns in a schema, where `others` are columns that need no history.
    pub(super) fn find(
        names: &NameMap,
        columns: &[Column],
        others: &[usize],
    ) -> Result<Self, Error> {
        let option = SEQUENCE_HISTORY_COLUMNS.key();
        let refused = |message| Err(Error::new(ErrorKind::Schema, message));
        let mut pairs = Vec::new();
        for (name, array_name) in names.iter() {
            let column = find(option, name, columns)?;
            let array = find(option, array_name, columns)?;
            let expected = DataType::Array(Box::new(columns[column].data_type.clone()));
            let found = &columns[array].data_type;
            if *found != expected {
                return refused(format!(
                    "option '{option}': column '{array_name}' is {found}, expected {expected}, \
                     because it is to hold values of '{name}'"
                ));
            }
            if others.contains(&column) {
                return refused(format!(
                    "option '{option}' names the column '{name}', which is the same or known in \
                     every row of a key and has no history: leave it out"
                ));
            }
            pairs.push(Pair {
                column,
                array,
                name: array_name.to_owned(),
            });
        }
        let has_place = |index: usize| {
            let is_in = |pair: &Pair| pair.column == index || pair.array == index;
            others.contains(&index) || pairs.iter().any(is_in)
        };
        if let Some(missing) = (0..columns.len()).find(|index| !has_place(*index)) {
            let name = &columns[missing].name;
            return refused(format!(
                "option '{option}' names no history of the column '{name}': every input column \
                 that is no key needs one, such as '{name}:{name}s' where '{name}s' is \
                 ARRAY_AGG({name}) over a window of the key"
            ));
        }
        Ok(Self { pairs })
    }

    pub(super) fn contains(&self, index: usize) -> bool {
        self.pairs.iter().any(|pair| pair.array == index)
    }

    /// Whether a column is one whose earlier values are carried.
    #[cfg(feature = "arrow")]
    pub(super) fn has_history(&self, index: usize) -> bool {
        self.pairs.iter().any(|pair| pair.column == index)
    }

    /// The first of the arrays that is among `others`.
    pub(super) fn array_among(&self, others: &[usize]) -> Option<&str> {
        let found = self.pairs.iter().find(|pair| others.contains(&pair.array));
        found.map(|pair| pair.name.as_str())
    }

    /// What a row carries; `keys` are the columns that are the same in all of it.
    pub(super) fn carried(
        &self,
        row: &[Value],
        keys: impl Iterator<Item = usize>,
    ) -> Result<CarriedRows, Error> {
        let mut template = vec![Value::Null; row.len()];
        for key in keys {
            template[key] = row[key].clone();
        }
        let arrays = self.pairs.iter().map(|pair| {
            let Value::Array(array) = &row[pair.array] else {
                return Err(pair.refused(&format!("found {}", row[pair.array].kind())));
            };
            let mut values: Vec<Value> = array.iter().collect();
            let Some(last) = values.pop() else {
                return Err(pair.refused("found no element"));
            };
            if !is_same(&last, &row[pair.column]) {
                return Err(pair.refused("its last element is another value"));
            }
            Ok((pair.column, values))
        });
        let arrays = arrays.collect::<Result<Vec<_>, _>>()?;
        let count = arrays.first().map_or(0, |(_, earlier)| earlier.len());
        let unequal = arrays
            .iter()
            .position(|(_, earlier)| earlier.len() != count);
        if let Some(unequal) = unequal {
            let found = format!(
                "it has {} elements, and '{}' has {}",
                arrays[unequal].1.len() + 1,
                self.pairs[0].name,
                count + 1
            );
            return Err(self.pairs[unequal].refused(&found));
        }
        Ok(CarriedRows {
            template,
            arrays,
            count: count as u64,
            position: None,
        })
    }
}

impl Pair {
    fn refused(&self, found: &str) -> Error {
        let message = format!(
            "column '{}' (option '{}'): expected the values of the rows of the key so far, the \
             last one that of this row; {found}: does its window end at the current row?",
            self.name,
            SEQUENCE_HISTORY_COLUMNS.key()
        );
        Error::new(ErrorKind::Input, message)
    }
}

/// The rows before the one that carried them.
#[derive(Debug)]
pub(super) struct CarriedRows {
    /// A row in which only the key is filled in.
    template: Vec<Value>,
    arrays: Vec<(usize, Vec<Value>)>,
    count: u64,
    /// The column that says which row of its key a row is, and what it says in the first of these.
    position: Option<(usize, Value)>,
}

impl CarriedRows {
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Fills in which rows of their key these are; `number` is that of the one that carried them, as its
    /// column `index` has it.
    pub(super) fn numbered(mut self, index: usize, number: &Value) -> Self {
        self.position = Some((index, shifted(number, -(self.count as i64))));
        self
    }

    /// The values of a column in these rows.
    pub(super) fn column(&self, index: usize) -> Option<&[Value]> {
        let array = self.arrays.iter().find(|(column, _)| *column == index);
        array.map(|(_, values)| values.as_slice())
    }

    /// A row as it was handed over when it was answered, but for what it carried itself.
    pub(super) fn row(&self, index: u64) -> Vec<Value> {
        let mut row = self.template.clone();
        for (column, values) in &self.arrays {
            row[*column] = values[index as usize].clone();
        }
        if let Some((column, first)) = &self.position {
            row[*column] = shifted(first, index as i64);
        }
        row
    }
}

/// A row's number in the type of its column, so many rows later.
fn shifted(number: &Value, rows: i64) -> Value {
    match number {
        Value::SmallInt(number) => Value::SmallInt((i64::from(*number) + rows) as i16),
        Value::Integer(number) => Value::Integer((i64::from(*number) + rows) as i32),
        Value::BigInt(number) => Value::BigInt(number + rows),
        other => other.clone(),
    }
}

/// Equal to the bit, so that NaN is the same as NaN.
fn is_same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Float16(left), Value::Float16(right)) => left.to_bits() == right.to_bits(),
        (Value::Float(left), Value::Float(right)) => left.to_bits() == right.to_bits(),
        (Value::Double(left), Value::Double(right)) => left.to_bits() == right.to_bits(),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .zip(right)
                    .all(|(left, right)| is_same(&left, &right))
        }
        _ => left == right,
    }
}
