//! What is read is written as it was, and what does not fit is refused.

use triton_model_fn::{DataType, Value};

use super::*;

fn array(element: DataType) -> DataType {
    DataType::Array(Box::new(element))
}

#[test]
fn cells_are_read_by_the_type_of_their_column_and_written_back() {
    for (data_type, text) in [
        (DataType::Boolean, "true"),
        (DataType::TinyInt, "-128"),
        (DataType::BigInt, "9223372036854775807"),
        (DataType::Float, "0.1"),
        (DataType::Double, "-inf"),
        (DataType::UnsignedTinyInt, "255"),
        (DataType::UnsignedBigInt, "18446744073709551615"),
        (DataType::Float16, "-0.5"),
        (DataType::BFloat16, "-0.5"),
        (DataType::Bytes, "AP8="),
        (array(DataType::Bytes), r#"["AP8=",""]"#),
        (DataType::String, " kept as it is "),
        (array(DataType::BigInt), "[9223372036854775807,-1]"),
        (array(DataType::Float), "[0.1,25]"),
        (array(array(DataType::String)), r#"[["a\"b"],[]]"#),
        (array(DataType::Boolean), "[true,false]"),
    ] {
        let value = parse(&data_type, text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let mut written = String::new();
        write_cell(&value, &mut written);
        assert_eq!(written, text);
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    for (data_type, text) in [
        (DataType::Boolean, "1"),
        (DataType::TinyInt, "128"),
        (DataType::Integer, "1.0"),
        (DataType::Float, "1e39"),
        (DataType::Float16, "70000"),
        (DataType::UnsignedInteger, "-1"),
        (DataType::Bytes, "not base64"),
        (DataType::Double, "1e309"),
        (array(DataType::Float), "1"),
        (array(DataType::Float), "[1"),
        (array(DataType::String), "[1]"),
        (array(DataType::Integer), "[true]"),
        (array(DataType::Integer), "[\"NaN\"]"),
    ] {
        assert!(parse(&data_type, text).is_err(), "{data_type} {text:?}");
    }
    let error = parse(&DataType::Integer, &"x".repeat(50)).unwrap_err();
    insta::assert_snapshot!(error, @"expected INT, found 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…'");
    let error = |data_type, text: &str| parse(&data_type, text).unwrap_err();
    // What is wrong with an array is said of its element, however far behind it is.
    let image = format!("[{}\"x\", 2]", "0.5, ".repeat(150_000));
    insta::assert_snapshot!(error(array(DataType::Float), &image), @r#"element 150000: expected FLOAT, found '"x"'"#);
    insta::assert_snapshot!(error(array(DataType::Float), "[1, 16777217]"), @"element 1: expected FLOAT, found '16777217', a whole number that the type does not hold exactly; with a decimal point it means the nearest one");
    insta::assert_snapshot!(error(array(array(DataType::Integer)), "[[1], [2, 3.5]]"), @"element 1: element 1: expected INT, found '3.5'");
    insta::assert_snapshot!(error(array(DataType::Float), "[1"), @"expected ARRAY<FLOAT>, found '[1'");
    insta::assert_snapshot!(error(array(DataType::Float), "[[1]]"), @"element 0: expected FLOAT, found '[1]'");
}

#[test]
fn an_empty_cell_is_null_unless_it_is_text() {
    assert_eq!(parse(&DataType::Float, " "), Ok(Value::Null));
    assert_eq!(parse(&array(DataType::Float), ""), Ok(Value::Null));
    assert_eq!(
        parse(&DataType::String, ""),
        Ok(Value::String(String::new()))
    );
    let nulls = Value::Array(vec![Value::Float(1.0), Value::Null].into());
    assert_eq!(parse(&array(DataType::Float), "[1, null]"), Ok(nulls));
}

#[test]
fn json_values_are_read_by_the_type_of_their_column_and_written_back() {
    for (data_type, text) in [
        (DataType::String, r#""a \"quoted\" \u0001 text""#),
        (DataType::UnsignedBigInt, "18446744073709551615"),
        (DataType::Double, "\"-Infinity\""),
        (array(DataType::Float), "[\"NaN\",0.1]"),
        (DataType::Bytes, "\"AP8=\""),
        (DataType::Boolean, "null"),
    ] {
        let value = parse_json(&data_type, text).unwrap_or_else(|error| panic!("{error}"));
        let mut written = String::new();
        write_json(&value, &mut written);
        assert_eq!(written, text);
    }
    assert!(parse_json(&DataType::Integer, "\"1\"").is_err());
    assert!(parse_json(&DataType::String, "1").is_err());
}

#[cfg(feature = "arrow")]
#[test]
fn what_no_one_type_holds_is_kept_as_its_json() {
    let text = parse_widened(&DataType::String, "[1, 2]");
    assert_eq!(text, Ok(Value::String("[1, 2]".into())));
    assert_eq!(parse_widened(&DataType::String, "null"), Ok(Value::Null));
    let text = parse_widened(&DataType::String, "\"a\"");
    assert_eq!(text, Ok(Value::String("a".into())));
}

#[cfg(feature = "arrow")]
#[test]
fn what_the_type_of_the_first_rows_does_not_hold_exactly_is_refused() {
    for (data_type, text) in [
        (DataType::Double, "9007199254740992"),
        (DataType::Double, "NaN"),
        (DataType::BigInt, "9223372036854775807"),
        (array(DataType::Double), "[0.1, -Infinity, null]"),
    ] {
        assert!(
            parse_widened(&data_type, text).is_ok(),
            "{data_type} {text}"
        );
    }
    for (data_type, text) in [
        (DataType::Double, "9007199254740993"),
        (DataType::Double, "1E400"),
        (DataType::BigInt, "9223372036854775808"),
        (DataType::BigInt, "-0"),
        (DataType::String, r#""\ud800""#),
        (array(DataType::Double), "[0.1, 0.1234567890123456789012]"),
    ] {
        assert!(
            parse_widened(&data_type, text).is_err(),
            "{data_type} {text}"
        );
    }
    let error = parse_widened(&DataType::Double, "9007199254740993").unwrap_err();
    insta::assert_snapshot!(error, @"no DOUBLE is exactly '9007199254740993'");
}

#[test]
fn numbers_are_read_from_all_of_their_digits() {
    // By way of a double it would be rounded twice, to 1.
    let nearest = parse_json(&DataType::Float, "1.00000005960464477540").unwrap();
    assert_eq!(nearest, Value::Float(1.000_000_1));
    assert_eq!(parse_json(&DataType::Integer, "-0"), Ok(Value::Integer(0)));
    let literals = Value::from(vec![1.0, f32::NEG_INFINITY]);
    let list = array(DataType::Float);
    assert_eq!(parse_json(&list, "[1, -Infinity]"), Ok(literals));
    for text in ["1.0", "1e3", "NaN", "18446744073709551616"] {
        assert!(parse_json(&DataType::BigInt, text).is_err(), "{text}");
    }
    for text in ["nan", "inf", "1E400", "\"1\"", "\"nan\""] {
        assert!(parse_json(&DataType::Double, text).is_err(), "{text}");
    }
}

#[test]
fn cells_are_numbers_in_the_usual_spelling_or_refused() {
    for text in ["5", " 5", "+5", "5 ", "005"] {
        assert_eq!(
            parse(&DataType::Integer, text),
            Ok(Value::Integer(5)),
            "{text}"
        );
    }
    for text in [
        "1.0", "1e3", "0x10", "1,000", "1_000", "1 000", "- 5", "٣", "5L", "NaN",
    ] {
        assert!(parse(&DataType::BigInt, text).is_err(), "{text}");
    }
    for text in ["inf", "Infinity", "+INF", " infinity "] {
        let infinity = Ok(Value::Double(f64::INFINITY));
        assert_eq!(parse(&DataType::Double, text), infinity, "{text}");
    }
    for text in ["1,5", "0x1p3", "1_0.5", "1d", "--1", "infinite", "5%"] {
        assert!(parse(&DataType::Double, text).is_err(), "{text}");
    }
}

#[test]
fn a_cell_keeps_its_text_where_that_is_json() {
    for (data_type, cell, expected) in [
        (DataType::Float, " 16777216 ", "16777216"),
        (DataType::Float, "16777217.0", "16777217.0"),
        (
            DataType::Double,
            "0.1234567890123456789012",
            "0.1234567890123456789012",
        ),
        (DataType::Double, "+1.50", "1.50"),
        (DataType::Double, "inf", "\"Infinity\""),
        (DataType::Integer, "007", "7"),
        (DataType::Boolean, "TRUE", "true"),
        (DataType::Float, "", "null"),
        (array(DataType::Float), "[1.50, 2]", "[1.50, 2]"),
        (array(DataType::Float), "[1.50,\n2]", "[1.5,2]"),
        (array(DataType::Float), "[NaN]", "[\"NaN\"]"),
    ] {
        let value = parse(&data_type, cell).unwrap();
        let mut text = String::new();
        write_json_of_cell(&data_type, cell, &value, &mut text);
        assert_eq!(text, expected, "{data_type} {cell}");
    }
}
