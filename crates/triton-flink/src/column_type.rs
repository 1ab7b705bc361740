//! The SQL types that a tensor can hold, from the words in which Flink describes a column's type.

use serde_json::Value as Json;
use triton_model_fn::DataType;

/// How Flink says of a type that its values are never NULL.
const NOT_NULL: &str = " NOT NULL";

/// Whether a column of the type that Flink writes as `text` can hold NULL.
pub(crate) fn is_nullable(text: &str) -> bool {
    !text.ends_with(NOT_NULL)
}

/// Where a NULL is that a type does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NullAt {
    /// It is the value itself.
    Top,
    /// It is within an array.
    Element,
}

/// Where `value`, as JSON, is NULL although the type that Flink writes as `text` says that it never is.
pub(crate) fn null_at(text: &str, value: &Json) -> Option<NullAt> {
    match value {
        Json::Null if !is_nullable(text) => Some(NullAt::Top),
        Json::Array(values) => {
            let element = element_of(text.strip_suffix(NOT_NULL).unwrap_or(text))?;
            let mut inner = values.iter().map(|value| null_at(element, value));
            inner.any(|null| null.is_some()).then_some(NullAt::Element)
        }
        _ => None,
    }
}

/// The type of the elements of an array.
fn element_of(text: &str) -> Option<&str> {
    text.strip_prefix("ARRAY<")?.strip_suffix('>')
}

/// How deep arrays may be nested: no tensor comes near it, and a text that goes on would end the JVM where
/// the stack ends.
const DEEPEST: usize = 64;

/// The type that Flink writes as `text`, or what to use in its place.
pub(crate) fn parse(text: &str) -> Result<DataType, String> {
    parse_within(text, DEEPEST)
}

fn parse_within(text: &str, depth: usize) -> Result<DataType, String> {
    // Whether a value is NULL is seen row by row.
    let text = text.strip_suffix(NOT_NULL).unwrap_or(text);
    if let Some(element) = element_of(text) {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(format!(
                "no tensor holds arrays that are nested more than {DEEPEST} deep"
            ));
        };
        return Ok(DataType::Array(Box::new(parse_within(element, depth)?)));
    }
    Ok(match text {
        "BOOLEAN" => DataType::Boolean,
        "TINYINT" => DataType::TinyInt,
        "SMALLINT" => DataType::SmallInt,
        "INT" => DataType::Integer,
        "BIGINT" => DataType::BigInt,
        "FLOAT" => DataType::Float,
        "DOUBLE" => DataType::Double,
        "STRING" => DataType::String,
        "BYTES" => DataType::Bytes,
        refused => return Err(advice(refused)),
    })
}

/// What to use in place of a type that no tensor has.
fn advice(refused: &str) -> String {
    let name = refused.split(['(', '<', ' ']).next().unwrap_or(refused);
    let instead = match name {
        "DECIMAL" => "use DOUBLE, or STRING where every digit counts, and CAST the column",
        "CHAR" | "VARCHAR" => "use STRING",
        "BINARY" | "VARBINARY" => "use BYTES",
        "DATE" | "TIME" | "TIMESTAMP" | "TIMESTAMP_LTZ" | "INTERVAL" => {
            "use STRING, or BIGINT counted from a day of your choice, and convert the column in \
             the query"
        }
        "ROW" => "use a column for each field",
        "MAP" | "MULTISET" => "use an ARRAY of the keys and one of the values",
        _ => "use a column of another type",
    };
    format!("no tensor holds {refused}: {instead}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_of_tensors_are_known_in_any_nesting() {
        for scalar in [
            "BOOLEAN", "TINYINT", "SMALLINT", "INT", "BIGINT", "FLOAT", "DOUBLE",
        ] {
            assert_eq!(parse(scalar).unwrap().to_string(), scalar);
        }
        let nested = parse("ARRAY<ARRAY<STRING NOT NULL> NOT NULL> NOT NULL").unwrap();
        assert_eq!(nested.to_string(), "ARRAY<ARRAY<STRING>>");
        assert_eq!(parse("BYTES NOT NULL").unwrap(), DataType::Bytes);
    }

    #[test]
    fn arrays_without_an_end_are_refused() {
        let nested = |depth: usize| format!("{}INT{}", "ARRAY<".repeat(depth), ">".repeat(depth));
        assert!(parse(&nested(64)).is_ok());
        insta::assert_snapshot!(parse(&nested(100_000)).unwrap_err(), @"no tensor holds arrays that are nested more than 64 deep");
    }

    #[test]
    fn every_refused_type_says_what_to_use() {
        let refused = |text| parse(text).unwrap_err();
        insta::assert_snapshot!(refused("DECIMAL(10, 2)"), @"no tensor holds DECIMAL(10, 2): use DOUBLE, or STRING where every digit counts, and CAST the column");
        insta::assert_snapshot!(refused("VARCHAR(20)"), @"no tensor holds VARCHAR(20): use STRING");
        insta::assert_snapshot!(refused("TIMESTAMP(3) *ROWTIME*"), @"no tensor holds TIMESTAMP(3) *ROWTIME*: use STRING, or BIGINT counted from a day of your choice, and convert the column in the query");
        insta::assert_snapshot!(refused("ROW<`a` INT>"), @"no tensor holds ROW<`a` INT>: use a column for each field");
        insta::assert_snapshot!(refused("ARRAY<MAP<STRING, INT>>"), @"no tensor holds MAP<STRING, INT>: use an ARRAY of the keys and one of the values");
    }
}
