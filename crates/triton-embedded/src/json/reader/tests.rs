//! What Triton 2.51.0 said about documents like these.

use super::*;

/// Each of these was sent to Triton 2.51.0, which answered with this text.
#[test]
fn syntax_errors_are_those_of_triton() {
    let seen = [
        (" ", "The document is empty. at 1"),
        ("{", "Missing a name for object member. at 1"),
        (
            "{\"a\"",
            "Missing a colon after a name of object member. at 4",
        ),
        ("{\"a\":", "Invalid value. at 5"),
        (
            "{\"a\":1",
            "Missing a comma or '}' after an object member. at 6",
        ),
        ("{\"a\":1,}", "Missing a name for object member. at 7"),
        (
            "[1 2]",
            "Missing a comma or ']' after an array element. at 3",
        ),
        ("[1,]", "Invalid value. at 3"),
        ("\"abc", "Missing a closing quotation mark in string. at 4"),
        ("\"\\x\"", "Invalid escape character in string. at 1"),
        ("\"\u{1}\"", "Invalid escape character in string. at 1"),
        (
            "\"\\u12g4\"",
            "Incorrect hex digit after \\u escape in string. at 1",
        ),
        (
            "\"\\ud83dx\"",
            "The surrogate pair in string is invalid. at 1",
        ),
        (
            "\"\\ud83d\\u0041\"",
            "The surrogate pair in string is invalid. at 1",
        ),
        ("1e+", "Miss exponent in number. at 3"),
        ("1.e", "Miss fraction part in number. at 2"),
        ("-", "Invalid value. at 1"),
        ("-N", "Invalid value. at 2"),
        ("tru", "Invalid value. at 3"),
        ("Infinit", "Invalid value. at 7"),
        (
            "NaNx",
            "The document root must not be followed by other values. at 3",
        ),
        (
            "01",
            "The document root must not be followed by other values. at 1",
        ),
        ("1e309", "Number too big to be stored in double. at 0"),
    ];
    for (document, text) in seen {
        let error = read(document.as_bytes()).expect_err(document);
        assert_eq!(error.to_string(), text, "{document}");
    }
}

#[test]
fn what_strict_json_forbids_is_read() {
    assert_eq!(
        read(b"[Infinity, -Inf, Inf]"),
        Ok(Json::array([
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::INFINITY
        ]))
    );
    assert!(matches!(read(b"-NaN"), Ok(Json::Double(value)) if value.is_nan()));
    assert_eq!(read(b"\"\xFF\""), Ok(Json::text(b"\xFF")));
    assert_eq!(read(b"\"\\udc00\""), Ok(Json::text(b"\xED\xB0\x80")));
    assert_eq!(read(b"\xEF\xBB\xBFnull"), Ok(Json::Null));
}

#[test]
fn integers_are_exact_to_their_limits_and_doubles_beyond() {
    assert_eq!(read(b"18446744073709551615"), Ok(Json::Unsigned(u64::MAX)));
    assert_eq!(read(b"-9223372036854775808"), Ok(Json::Negative(i64::MIN)));
    assert_eq!(
        read(b"18446744073709551616"),
        Ok(Json::Double(2f64.powi(64)))
    );
    assert_eq!(read(b"-0"), Ok(Json::Unsigned(0)));
    assert_eq!(read(b"1e-400"), Ok(Json::Double(0.0)));
}

#[test]
fn the_first_of_two_equal_keys_wins() {
    let value = read(b"{\"a\":1,\"a\":2}").expect("JSON");
    assert_eq!(value.get("a"), Some(&Json::Unsigned(1)));
}

#[test]
fn deep_nesting_is_an_error_instead_of_a_stack_overflow() {
    assert!(read(&b"[".repeat(100_000)).is_err());
}
