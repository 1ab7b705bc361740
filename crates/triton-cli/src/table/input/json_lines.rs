//! The JSON objects of an input: one a line, or, where the beginning shows that, one after the other
//! over several lines, or as the elements of an array.

use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use anyhow::bail;
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::bytes::Counted;
use super::json_line::{LONGEST, LONGEST_RAW, Line, first};
use super::json_values::Values;
use crate::table::json_text;

/// Reads what should be objects.
pub(super) enum Objects<R> {
    Lines(Lines<R>),
    Values(Values<R>),
}

impl<R: BufRead> Objects<Chained<R>> {
    /// Looks at as much as tells how the objects are laid out; `progress` counts the bytes up to the
    /// end of the last one.
    pub(super) fn new(mut bytes: R, progress: Arc<AtomicU64>) -> anyhow::Result<Self> {
        let mut start = Vec::new();
        let is_laid_out = is_laid_out(&mut bytes, &mut start)?;
        let raw = Cursor::new(start).chain(bytes);
        let reader = Counted { raw, progress };
        Ok(match is_laid_out {
            false => Objects::Lines(Lines {
                reader,
                number: 0,
                longest: LONGEST,
            }),
            true => Objects::Values(Values::new(reader)),
        })
    }
}

/// The bytes that were looked at, and those behind them.
pub(super) type Chained<R> = Counted<io::Chain<Cursor<Vec<u8>>, R>>;

impl<R: Read> Objects<Chained<BufReader<R>>> {
    /// Whether what was read already goes on to the end of a further line.
    pub(super) fn has_line(&self) -> bool {
        let Objects::Lines(lines) = self else {
            return false;
        };
        let (_, rest) = lines.reader.raw.get_ref();
        let unread = rest.buffer().trim_ascii_start();
        unread.contains(&b'\n')
    }
}

impl<R: BufRead> Objects<R> {
    pub(super) fn next(&mut self) -> anyhow::Result<Option<Line>> {
        match self {
            Objects::Lines(lines) => lines.next(),
            Objects::Values(values) => values.next(),
        }
    }
}

/// Whether objects are not one a line: an array begins, or an object that goes on, as JSON should,
/// on the next line. `start` takes the bytes that were read for that.
fn is_laid_out(bytes: &mut impl BufRead, start: &mut Vec<u8>) -> anyhow::Result<bool> {
    while let Some(byte) = first(bytes)? {
        if !byte.is_ascii_whitespace() {
            break;
        }
        start.push(byte);
        bytes.consume(1);
    }
    let begins = start.len();
    match first(bytes)? {
        Some(b'[') => return Ok(true),
        Some(b'{') => {}
        Some(b'<') => bail!(
            "expected JSON objects, one a line or in an array; it begins with '<', like HTML or XML"
        ),
        _ => return Ok(false),
    }
    for line in 0..2 {
        let mut limited = bytes.take(LONGEST as u64);
        if limited.read_until(b'\n', start)? == 0 {
            return Ok(false);
        }
        match ending(&start[begins..]) {
            Ending::Open => {}
            Ending::Whole => return Ok(line > 0),
            // What is damaged is so on its own line.
            Ending::Damaged => return Ok(false),
        }
    }
    Ok(true)
}

enum Ending {
    Whole,
    Open,
    Damaged,
}

/// How the text of an object ends.
fn ending(text: &[u8]) -> Ending {
    let Ok(text) = std::str::from_utf8(text) else {
        return Ending::Damaged;
    };
    let copy = json_text::without_literals(text);
    match serde_json::from_str::<&RawValue>(copy.as_deref().unwrap_or(text)) {
        Ok(_) => Ending::Whole,
        Err(error) if error.classify() == Category::Eof => Ending::Open,
        Err(_) => Ending::Damaged,
    }
}

/// One object a line.
pub(super) struct Lines<R> {
    reader: R,
    number: u64,
    /// The most bytes of an object, without the end of its line.
    longest: usize,
}

impl<R: BufRead> Lines<R> {
    /// The next line that is not blank.
    fn next(&mut self) -> anyhow::Result<Option<Line>> {
        loop {
            let mut bytes = Vec::new();
            let mut limited = (&mut self.reader).take(self.longest as u64 + 1);
            if limited.read_until(b'\n', &mut bytes)? == 0 {
                return Ok(None);
            }
            self.number += 1;
            // With the end of its line it has one byte more than it may have without.
            let is_too_long = bytes.len() > self.longest && !bytes.ends_with(b"\n");
            if is_too_long {
                bytes.truncate(LONGEST_RAW);
                self.reader.skip_until(b'\n')?;
            }
            let end = bytes.trim_ascii_end().len();
            bytes.truncate(end);
            if !bytes.is_empty() {
                return Ok(Some(Line {
                    number: self.number,
                    bytes,
                    is_too_long,
                }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The line and the text of each object, and how it ends.
    fn objects(text: &str) -> String {
        let read = |capacity| {
            let mut objects = Objects::new(
                BufReader::with_capacity(capacity, text.as_bytes()),
                Arc::default(),
            )?;
            let mut found = String::new();
            loop {
                match objects.next() {
                    Ok(Some(line)) => {
                        let text = String::from_utf8(line.bytes)?;
                        found.push_str(&format!("{}: {text}\n", line.number));
                    }
                    Ok(None) => return anyhow::Ok(found),
                    Err(error) => return Ok(found + &error.to_string()),
                }
            }
        };
        let found = read(1024).unwrap();
        for capacity in 1..4 {
            assert_eq!(read(capacity).unwrap(), found);
        }
        found
    }

    #[test]
    fn lines_are_objects_one_by_one() {
        insta::assert_snapshot!(objects("\n{\"a\":1}\r\n \n[2]\n{\"b\":\n"), @r#"
        2: {"a":1}
        4: [2]
        5: {"b":
        "#);
        insta::assert_snapshot!(objects("{\"a\":1\n{\"a\":2}\n{\"a\":3}"), @r#"
        1: {"a":1
        2: {"a":2}
        3: {"a":3}
        "#);
        insta::assert_snapshot!(objects("{\"a\":\"x\n{\"a\":2}\n"), @r#"
        1: {"a":"x
        2: {"a":2}
        "#);
        insta::assert_snapshot!(objects("{\"a\":1"), @r#"1: {"a":1"#);
        insta::assert_snapshot!(objects("{\"a\":NaN}\n{\"b\":1}"), @r#"
        1: {"a":NaN}
        2: {"b":1}
        "#);
        insta::assert_snapshot!(objects("nonsense\n{\"b\":1}"), @r#"
        1: nonsense
        2: {"b":1}
        "#);
    }

    #[test]
    fn a_line_that_is_too_long_takes_no_other_with_it() {
        let text = "123456\n1234567\n12345678\n1\n1234567";
        let mut lines = Lines {
            reader: text.as_bytes(),
            number: 0,
            longest: 7,
        };
        let next = || lines.next().unwrap();
        let found = std::iter::from_fn(next).map(|line| (line.number, line.is_too_long));
        let found: Vec<_> = found.collect();
        let expected = [(1, false), (2, false), (3, true), (4, false), (5, false)];
        assert_eq!(found, expected);
    }

    #[test]
    fn objects_over_several_lines_and_elements_of_arrays_are_found() {
        insta::assert_snapshot!(objects("{\n  \"a\": [1,\n  2 ],\r\n\t\"b\": \"} \\\" {\"\n}\n{\n}{\"c\":  1}"), @r#"
        1: {"a": [1,2 ],"b": "} \" {"}
        6: {}
        7: {"c":  1}
        "#);
        insta::assert_snapshot!(objects("{\"a\": 1,\n\"b\": NaN}\n"), @r#"1: {"a": 1,"b": NaN}"#);
        insta::assert_snapshot!(objects(" [ {\"a\":1} ,\n{\"b\":[]},\n 5 , \"x,\", null,[1]]\n[]\n[{\"c\":1}]\n{\"d\":1}"), @r#"
        1: {"a":1}
        2: {"b":[]}
        3: 5
        3: "x,"
        3: null
        3: [1]
        5: {"c":1}
        6: {"d":1}
        "#);
    }

    #[test]
    fn what_line_ends_keep_apart_stays_apart() {
        for (text, line) in [
            ("12\n5", "12 5"),
            ("1\r\n  .5", "1 .5"),
            ("-\n\n5", "- 5"),
            ("tr\nue", "tr ue"),
            ("Na\n\tN", "Na N"),
            ("[1\n2]", "[1 2]"),
            ("[\n1\n,\n\"a\"\n]", "[1,\"a\"]"),
            ("\"a\"\n\"b\"", "\"a\" \"b\""),
        ] {
            let found = objects(&format!("[\n{{\"id\":1,\"value\":{text}}}]"));
            assert_eq!(found, format!("2: {{\"id\":1,\"value\":{line}}}\n"));
        }
    }

    #[test]
    fn what_is_not_closed_is_named() {
        insta::assert_snapshot!(objects("[\n{\"a\":1},\n{\"a\":2}\n"), @r#"
        2: {"a":1}
        3: {"a":2}
        the array that begins on line 1 is not closed: the file is not whole
        "#);
        insta::assert_snapshot!(objects("[{\"a\":1}\n{\"a\":2}]"), @r#"
        1: {"a":1}
        line 2: expected a comma or the end of the array, found '{'
        "#);
        insta::assert_snapshot!(objects("[{\"a\":1},]"), @r#"
        1: {"a":1}
        line 1: expected a JSON object, found ']'
        "#);
        insta::assert_snapshot!(objects("{\n\"a\":1}\n{\n\"a\":[2}\n"), @r#"
        1: {"a":1}
        the object that begins on line 3 is not closed: the file is not whole, or a bracket is missing
        "#);
        insta::assert_snapshot!(objects("{\n\"a\":1}\n{\n\"a\":\"2\n}"), @r#"
        1: {"a":1}
        line 4: a text in quotes is not closed on its line
        "#);
        insta::assert_snapshot!(objects("[1]]"), @"
        1: 1
        line 1: expected a JSON object, found ']'
        ");
    }

    /// A form feed is white space to many, and not to JSON.
    #[test]
    fn what_is_white_space_elsewhere_is_part_of_what_should_be_an_object() {
        insta::assert_snapshot!(objects("[\u{c}{\"a\":1}]").replace('\u{c}', "FF"), @r#"1: FF{"a":1}"#);
        insta::assert_snapshot!(objects("{\n\"a\":1}\n\u{c}\n{\"b\":\u{c}2}").replace('\u{c}', "FF"), @r#"
        1: {"a":1}
        3: FF
        4: {"b":FF2}
        "#);
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<i64>().prop_map(Into::into),
            any::<String>().prop_map(Into::into),
            "[{}\\[\\],\"\\\\ :]{0,6}".prop_map(Into::into),
        ];
        leaf.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Into::into),
                prop::collection::btree_map(".{0,3}", inner, 0..3)
                    .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn elements_of_any_array_are_found(
            values in prop::collection::vec(json(), 0..4),
            is_pretty: bool,
            capacity in 1_usize..20,
        ) {
            let text = match is_pretty {
                true => serde_json::to_string_pretty(&values).unwrap(),
                false => serde_json::to_string(&values).unwrap(),
            };
            let bytes = BufReader::with_capacity(capacity, text.as_bytes());
            let mut objects = Objects::new(bytes, Arc::default()).unwrap();
            let mut found = Vec::new();
            while let Some(line) = objects.next().unwrap() {
                prop_assert!(!line.bytes.contains(&b'\n'));
                found.push(serde_json::from_slice::<serde_json::Value>(&line.bytes).unwrap());
            }
            prop_assert_eq!(found, values);
        }
    }
}
