//! How an error names its row, so that whoever reads it finds the row in the data.

use std::fmt::{self, Write as _};

use triton_model_fn::{Column, Value};

/// A value is shown so far, and all values of a row together.
const MOST_CHARACTERS: usize = 40;
const MOST_COLUMNS: usize = 8;

/// The number of a row, counted from 0 in the attempt of its subtask, and what is in it.
pub(crate) struct RowName<'a> {
    pub(crate) number: u64,
    /// The values, unless they are not to be shown.
    pub(crate) values: Option<(&'a [Column], &'a [Value])>,
}

impl fmt::Display for RowName<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "row {}", self.number)?;
        let Some((columns, values)) = self.values else {
            return Ok(());
        };
        if columns.is_empty() {
            return Ok(());
        }
        for (index, (column, value)) in columns.iter().zip(values).enumerate() {
            if index == MOST_COLUMNS {
                formatter.write_str(", …")?;
                break;
            }
            let begin = if index == 0 { " (" } else { ", " };
            let name = escaped(&column.name);
            write!(formatter, "{begin}{name} = {}", shown(value))?;
        }
        formatter.write_str(")")
    }
}

/// The beginning of a text in one line, whose characters all can be seen: a row must not be able to
/// write lines of its own into a log.
fn escaped(text: &str) -> String {
    let short: String = text.chars().take(MOST_CHARACTERS).collect();
    let escaped = short.escape_debug().to_string();
    // SQL needs no backslash before these.
    let mut escaped = escaped.replace("\\\"", "\"").replace("\\'", "'");
    if text.chars().nth(MOST_CHARACTERS).is_some() {
        escaped.push('…');
    }
    escaped
}

/// A number with all its digits, unless there are too many.
fn number(value: impl fmt::Display + fmt::LowerExp) -> String {
    let digits = value.to_string();
    if digits.len() > MOST_CHARACTERS {
        return format!("{value:e}");
    }
    digits
}

/// A value as SQL would write it, cut off where it is long.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Boolean(value) => value.to_string().to_uppercase(),
        Value::TinyInt(value) => value.to_string(),
        Value::SmallInt(value) => value.to_string(),
        Value::Integer(value) => value.to_string(),
        Value::BigInt(value) => value.to_string(),
        Value::Float(value) => number(value),
        Value::Double(value) => number(value),
        Value::String(text) => format!("'{}'", escaped(text).replace('\'', "''")),
        Value::Bytes(bytes) => {
            let mut text = "x'".to_owned();
            for byte in bytes.iter().take(MOST_CHARACTERS / 2) {
                // Writing to a text cannot fail.
                let _ = write!(text, "{byte:02x}");
            }
            if bytes.len() > MOST_CHARACTERS / 2 {
                text.push('…');
            }
            text + "'"
        }
        Value::Array(values) => {
            let mut text = "[".to_owned();
            for (index, value) in values.iter().enumerate() {
                if text.len() > MOST_CHARACTERS {
                    let _ = write!(text, ", … {} in all", values.len());
                    break;
                }
                if index > 0 {
                    text.push_str(", ");
                }
                text += &shown(&value);
            }
            text + "]"
        }
        other => escaped(&format!("{other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use triton_model_fn::DataType;

    use super::*;

    #[test]
    fn a_row_is_named_by_its_values_as_long_as_they_are_short() {
        let values = [
            Value::Integer(666),
            Value::Null,
            Value::String("it's".to_owned()),
            Value::String("x".repeat(50)),
            Value::Bytes(vec![0, 255]),
            Value::from(vec![0.5_f32; 150_528]),
            Value::Boolean(true),
            Value::Double(-1.5),
            Value::Integer(9),
        ];
        let columns: Vec<Column> = (0..values.len())
            .map(|index| Column::new(format!("c{index}"), DataType::Integer))
            .collect();
        let name = RowName {
            number: 6,
            values: Some((&columns, &values)),
        };
        insta::assert_snapshot!(name, @"row 6 (c0 = 666, c1 = NULL, c2 = 'it''s', c3 = 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…', c4 = x'00ff', c5 = [0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, … 150528 in all], c6 = TRUE, c7 = -1.5, …)");
        let hidden = RowName {
            number: 6,
            values: None,
        };
        insta::assert_snapshot!(hidden, @"row 6");
    }

    #[test]
    fn a_row_writes_no_lines_of_its_own_and_is_never_long() {
        let values = [
            Value::String("a\nERROR it's \"me\" \u{202e}\u{1b}[31m".to_owned()),
            Value::Double(1e300),
        ];
        let columns = [
            Column::new("a\rb", DataType::String),
            Column::new("n".repeat(200), DataType::Double),
        ];
        let name = RowName {
            number: 6,
            values: Some((&columns, &values)),
        };
        insta::assert_snapshot!(name, @r#"row 6 (a\rb = 'a\nERROR it''s "me" \u{202e}\u{1b}[31m', nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn… = 1e300)"#);
    }
}
