//! The JSON objects of an input: one a line, or, where the beginning shows that, one after the other
//! over several lines, or as the elements of an array.

use std::io::{self, BufRead, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use anyhow::bail;
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::bytes::Counted;
use crate::table::json_text;

/// The most bytes of an object.
pub(super) const LONGEST: usize = 256 * 1024 * 1024;

/// How much is kept of a line that is longer.
const LONGEST_RAW: usize = 64 * 1024;

/// What should be an object, on one line and without white space around it.
#[derive(Debug, PartialEq)]
pub(super) struct Line {
    /// The line on which it begins.
    pub(super) number: u64,
    pub(super) bytes: Vec<u8>,
    pub(super) is_too_long: bool,
}

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
            false => Objects::Lines(Lines { reader, number: 0 }),
            true => Objects::Values(Values::new(reader)),
        })
    }
}

/// The bytes that were looked at, and those behind them.
pub(super) type Chained<R> = Counted<io::Chain<Cursor<Vec<u8>>, R>>;

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

fn first(bytes: &mut impl BufRead) -> io::Result<Option<u8>> {
    Ok(bytes.fill_buf()?.first().copied())
}

/// One object a line.
pub(super) struct Lines<R> {
    reader: R,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    /// The next line that is not blank.
    fn next(&mut self) -> anyhow::Result<Option<Line>> {
        loop {
            let mut bytes = Vec::new();
            let mut limited = (&mut self.reader).take(LONGEST as u64 + 1);
            if limited.read_until(b'\n', &mut bytes)? == 0 {
                return Ok(None);
            }
            self.number += 1;
            let is_too_long = bytes.len() > LONGEST;
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

/// Objects over any number of lines, one after the other or in arrays.
///
/// An error ends the input: where a bracket is missing, nobody knows where the next object begins.
pub(super) struct Values<R> {
    reader: R,
    line: u64,
    array: Option<Array>,
}

/// An array whose elements are being read.
struct Array {
    line: u64,
    /// Whether an element is complete, so that a comma or the end has to come.
    has_element: bool,
    /// Whether a comma came, so that an element has to.
    wants_element: bool,
}

impl<R: BufRead> Values<R> {
    fn new(reader: R) -> Self {
        Self {
            reader,
            line: 1,
            array: None,
        }
    }

    fn next(&mut self) -> anyhow::Result<Option<Line>> {
        loop {
            let Some(byte) = first(&mut self.reader)? else {
                return match &self.array {
                    None => Ok(None),
                    Some(array) => bail!(
                        "the array that begins on line {} is not closed: the file is not whole",
                        array.line
                    ),
                };
            };
            match (byte, &mut self.array) {
                (b' ' | b'\t' | b'\r' | b'\n', _) => self.take(byte),
                (b'[', None) => {
                    self.array = Some(Array {
                        line: self.line,
                        has_element: false,
                        wants_element: false,
                    });
                    self.take(byte);
                }
                (b',', Some(array)) if array.has_element => {
                    array.has_element = false;
                    array.wants_element = true;
                    self.take(byte);
                }
                (b']', Some(array)) if !array.wants_element => {
                    self.array = None;
                    self.take(byte);
                }
                (b',' | b']' | b'}', _) => self.unexpected(byte)?,
                (_, Some(array)) if array.has_element => self.unexpected(byte)?,
                (_, array) => {
                    if let Some(array) = array {
                        array.has_element = true;
                        array.wants_element = false;
                    }
                    return self.value().map(Some);
                }
            }
        }
    }

    fn unexpected(&self, byte: u8) -> anyhow::Result<()> {
        let found = char::from(byte);
        match &self.array {
            Some(array) if array.has_element => bail!(
                "line {}: expected a comma or the end of the array, found '{found}'",
                self.line
            ),
            _ => bail!(
                "line {}: expected a JSON object, found '{found}'",
                self.line
            ),
        }
    }

    /// Goes past a byte between values.
    fn take(&mut self, byte: u8) {
        self.line += u64::from(byte == b'\n');
        self.reader.consume(1);
    }

    /// Reads a value: to the bracket that closes it, or to whatever ends a value without brackets.
    fn value(&mut self) -> anyhow::Result<Line> {
        let mut value = Value::new(self.line);
        loop {
            let buffer = self.reader.fill_buf()?;
            let mut used = 0;
            let mut is_complete = buffer.is_empty();
            for byte in buffer {
                if !value.takes(*byte) {
                    is_complete = true;
                    break;
                }
                used += 1;
                self.line += u64::from(*byte == b'\n');
                if value.is_closed() {
                    is_complete = true;
                    break;
                }
            }
            let is_over = buffer.is_empty();
            self.reader.consume(used);
            if value.string_is_cut {
                bail!(
                    "line {}: a text in quotes is not closed on its line",
                    // The end of the line was taken already.
                    self.line - 1
                );
            }
            if is_over && (value.depth > 0 || value.in_string) {
                bail!(
                    "the object that begins on line {} is not closed: the file is not whole, or a \
                     bracket is missing",
                    value.line
                );
            }
            if value.bytes.len() > LONGEST {
                bail!(
                    "the object that begins on line {} has more than {LONGEST} bytes, or lacks a \
                     bracket",
                    value.line
                );
            }
            if is_complete {
                return Ok(Line {
                    number: value.line,
                    bytes: value.bytes,
                    is_too_long: false,
                });
            }
        }
    }
}

/// A value that is being read, on one line: line ends between its parts, and the white space around
/// them, are left out.
struct Value {
    line: u64,
    bytes: Vec<u8>,
    depth: usize,
    in_string: bool,
    is_escaped: bool,
    string_is_cut: bool,
    /// Where white space at the end of `bytes` begins, and whether a line ends in it.
    space: Option<(usize, bool)>,
}

impl Value {
    fn new(line: u64) -> Self {
        Self {
            line,
            bytes: Vec::new(),
            depth: 0,
            in_string: false,
            is_escaped: false,
            string_is_cut: false,
            space: None,
        }
    }

    /// Whether brackets or quotes closed what is there.
    fn is_closed(&self) -> bool {
        self.depth == 0 && !self.in_string && matches!(self.bytes.last(), Some(b'}' | b']' | b'"'))
    }

    /// Takes a byte, unless it ends a value that has no brackets.
    fn takes(&mut self, byte: u8) -> bool {
        if self.in_string {
            self.string_is_cut |= byte == b'\n';
            self.in_string = self.is_escaped || byte != b'"';
            self.is_escaped = !self.is_escaped && byte == b'\\';
            self.bytes.push(byte);
            return true;
        }
        if byte.is_ascii_whitespace() {
            if self.depth == 0 {
                return false;
            }
            let (start, ends_line) = self.space.unwrap_or((self.bytes.len(), false));
            let ends_line = ends_line || matches!(byte, b'\n' | b'\r');
            self.space = Some((start, ends_line));
            self.bytes.push(byte);
            return true;
        }
        if self.depth == 0 && matches!(byte, b',' | b']' | b'}') {
            return false;
        }
        if let Some((start, true)) = self.space.take() {
            self.bytes.truncate(start);
        }
        match byte {
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth -= 1,
            b'"' => self.in_string = true,
            _ => {}
        }
        self.bytes.push(byte);
        true
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

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
}
