//! Which entity a row belongs to, as its key columns say.

use std::fmt::Write as _;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use triton_options::{ColumnNames, SEQUENCE_KEY};

use super::named_column;
use crate::{Column, DataType, Error, ErrorKind, Value};

/// The key of a sequence: equal texts are equal keys.
///
/// One column is written as it is, several as a JSON array, so that no two keys look alike.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SequenceKey(Arc<str>);

impl SequenceKey {
    pub(crate) fn new(text: &str) -> Self {
        Self(text.into())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// How keys stand in logs and errors.
#[derive(Debug)]
pub(crate) enum KeyDisplay {
    Whole,
    /// As a digest that is another one in every process.
    Digest(RandomState),
}

impl KeyDisplay {
    pub(crate) fn new(redacted: bool) -> Self {
        match redacted {
            true => Self::Digest(RandomState::new()),
            false => Self::Whole,
        }
    }

    pub(crate) fn show(&self, key: &SequenceKey) -> String {
        match self {
            Self::Whole => key.as_str().to_owned(),
            Self::Digest(state) => format!("#{:016x}", state.hash_one(key)),
        }
    }
}

/// Where the key of a row is found.
#[derive(Debug, Clone)]
pub(crate) struct KeyColumns(Vec<(usize, String)>);

impl KeyColumns {
    /// Finds the columns in a schema, or says what is wrong with them.
    pub(crate) fn find(names: &ColumnNames, columns: &[Column]) -> Result<Self, Error> {
        let find = |name: &str| {
            let index = named_column::find(SEQUENCE_KEY.key(), name, columns)?;
            match &columns[index].data_type {
                // Equal numbers can be unequal texts there, and NaN equals nothing.
                DataType::Float16
                | DataType::BFloat16
                | DataType::Float
                | DataType::Double
                | DataType::Array(_) => {
                    let message = format!(
                        "option '{}': column '{name}' is {}, which makes no key: expected a \
                         text, a whole number, a BOOLEAN or BYTES",
                        SEQUENCE_KEY.key(),
                        columns[index].data_type
                    );
                    Err(Error::new(ErrorKind::Schema, message))
                }
                _ => Ok((index, name.to_owned())),
            }
        };
        names.iter().map(find).collect::<Result<_, _>>().map(Self)
    }

    /// The places of the columns in a row.
    pub(crate) fn indices(&self) -> impl Iterator<Item = usize> {
        self.0.iter().map(|(index, _)| *index)
    }

    /// The key of a row that has all columns of the schema.
    pub(crate) fn key(&self, row: &[Value]) -> Result<SequenceKey, Error> {
        if let [(index, _)] = self.0[..]
            && let Some(Value::String(text)) = row.get(index)
        {
            return Ok(SequenceKey::new(text));
        }
        // Room for any number.
        let mut text = String::with_capacity(32);
        let several = self.0.len() > 1;
        for (place, (index, name)) in self.0.iter().enumerate() {
            if several {
                text.push(if place == 0 { '[' } else { ',' });
            }
            let value = row.get(*index).unwrap_or(&Value::Null);
            let written = match (value, several) {
                (Value::String(value), _) => {
                    write!(text, "{}", serde_json::Value::from(value.as_str()))
                }
                (Value::Bytes(bytes), _) => {
                    let quote = if several { "\"" } else { "" };
                    text.push_str(quote);
                    let written = bytes.iter().try_for_each(|byte| write!(text, "{byte:02x}"));
                    text.push_str(quote);
                    written
                }
                (Value::Boolean(value), _) => write!(text, "{value}"),
                (Value::TinyInt(value), _) => write!(text, "{value}"),
                (Value::SmallInt(value), _) => write!(text, "{value}"),
                (Value::Integer(value), _) => write!(text, "{value}"),
                (Value::BigInt(value), _) => write!(text, "{value}"),
                (Value::UnsignedTinyInt(value), _) => write!(text, "{value}"),
                (Value::UnsignedSmallInt(value), _) => write!(text, "{value}"),
                (Value::UnsignedInteger(value), _) => write!(text, "{value}"),
                (Value::UnsignedBigInt(value), _) => write!(text, "{value}"),
                (Value::Null, _) => {
                    let message = format!(
                        "column '{name}' is NULL, and a row without its key (option \
                         '{}') belongs to no sequence",
                        SEQUENCE_KEY.key()
                    );
                    return Err(Error::new(ErrorKind::NullInput, message));
                }
                (other, _) => {
                    let message = format!("column '{name}': {} makes no key", other.kind());
                    return Err(Error::new(ErrorKind::Input, message));
                }
            };
            debug_assert!(written.is_ok(), "a text takes everything");
        }
        if several {
            text.push(']');
        }
        Ok(SequenceKey::new(&text))
    }
}

#[cfg(test)]
mod tests {
    use triton_options::OptionValue as _;

    use super::*;

    fn columns() -> Vec<Column> {
        vec![
            Column::new("site", DataType::String),
            Column::new("sensor", DataType::Integer),
            Column::new("reading", DataType::Float),
        ]
    }

    fn find(names: &str) -> Result<KeyColumns, Error> {
        KeyColumns::find(&ColumnNames::parse(names).unwrap(), &columns())
    }

    fn row(site: &str, sensor: i32) -> Vec<Value> {
        let site = Value::String(site.to_owned());
        vec![site, Value::Integer(sensor), Value::Float(1.5)]
    }

    // Holds S5.
    #[test]
    fn different_rows_have_different_keys() {
        let one = find("site").unwrap();
        assert_eq!(one.key(&row("a", 1)).unwrap().as_str(), "a");
        let two = find("site;sensor").unwrap();
        assert_eq!(two.key(&row("a", 1)).unwrap().as_str(), r#"["a",1]"#);
        let tricky = two.key(&row(r#"a",1],["b"#, 1)).unwrap();
        assert_eq!(tricky.as_str(), r#"["a\",1],[\"b",1]"#);
        let bytes = |bytes: &[u8]| {
            let columns = [Column::new("id", DataType::Bytes)];
            let names = ColumnNames::parse("id").unwrap();
            let found = KeyColumns::find(&names, &columns).unwrap();
            found.key(&[Value::Bytes(bytes.to_vec())]).unwrap()
        };
        assert_ne!(bytes(&[0x1, 0x23]), bytes(&[0x12, 0x3]));
    }

    #[test]
    fn columns_that_make_no_key_are_refused() {
        insta::assert_snapshot!(find("sit").unwrap_err(), @"option 'sequence-key' names the column 'sit', which is no input column: there are site, sensor, reading");
        insta::assert_snapshot!(find("reading").unwrap_err(), @"option 'sequence-key': column 'reading' is FLOAT, which makes no key: expected a text, a whole number, a BOOLEAN or BYTES");
        let key = find("site").unwrap();
        let null = [Value::Null, Value::Integer(1), Value::Float(1.0)];
        insta::assert_snapshot!(key.key(&null).unwrap_err(), @"column 'site' is NULL, and a row without its key (option 'sequence-key') belongs to no sequence");
    }

    // Holds S54.
    #[test]
    fn a_redacted_key_shows_nothing_of_itself_and_stays_the_same() {
        let display = KeyDisplay::new(true);
        let key = SequenceKey::new("canary");
        assert_eq!(display.show(&key), display.show(&key.clone()));
        assert_ne!(display.show(&key), display.show(&SequenceKey::new("other")));
        assert!(!display.show(&key).contains("canary"));
        assert_eq!(KeyDisplay::new(false).show(&key), "canary");
    }
}
