//! JSON objects over any number of lines, one after the other or in arrays; what they do is tested
//! where it is decided that an input is read so.

use std::io::BufRead;

use anyhow::bail;

use super::json_line::{LONGEST, Line, first};
use crate::text_encoding::MARK;

/// White space as JSON has it: a form feed, which others count as such, is none.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// What no text, number or word goes on across.
fn is_bracket_or_between(byte: u8) -> bool {
    matches!(byte, b'{' | b'}' | b'[' | b']' | b':' | b',')
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
    pub(super) fn new(reader: R) -> Self {
        Self {
            reader,
            line: 1,
            array: None,
        }
    }

    pub(super) fn next(&mut self) -> anyhow::Result<Option<Line>> {
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
                (byte, _) if is_blank(byte) => self.take(byte),
                (byte, None) if byte == MARK[0] => {
                    let begun = self.mark()?;
                    if !begun.is_empty() {
                        return self.value(begun).map(Some);
                    }
                }
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
                    return self.value(Vec::new()).map(Some);
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

    /// Goes past a byte order mark: files that were put behind each other may each begin with one. What
    /// begins like one and goes on otherwise is returned.
    fn mark(&mut self) -> anyhow::Result<Vec<u8>> {
        let mut begun = Vec::new();
        for byte in MARK {
            if first(&mut self.reader)? != Some(*byte) {
                return Ok(begun);
            }
            self.take(*byte);
            begun.push(*byte);
        }
        Ok(Vec::new())
    }

    /// Goes past a byte between values.
    fn take(&mut self, byte: u8) {
        self.line += u64::from(byte == b'\n');
        self.reader.consume(1);
    }

    /// Reads on a value that begins so: to the bracket that closes it, or to whatever ends a value without
    /// brackets.
    fn value(&mut self, begun: Vec<u8>) -> anyhow::Result<Line> {
        let mut value = Value::new(self.line, begun);
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
/// them, are left out, or are a blank where something else would come of it.
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
    fn new(line: u64, bytes: Vec<u8>) -> Self {
        Self {
            line,
            bytes,
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
        if is_blank(byte) {
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
            // What a line end kept apart would be something else as one: 12 and 5 are not 125.
            let last = self.bytes.last().copied();
            if last.is_some_and(|last| !is_bracket_or_between(last)) && !is_bracket_or_between(byte)
            {
                self.bytes.push(b' ');
            }
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
