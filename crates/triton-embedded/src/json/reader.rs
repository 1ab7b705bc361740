//! Reads JSON the way Triton's RapidJSON does, with the same errors at the same positions.

use super::Json;

/// A syntax error; its text is RapidJSON's, with the byte offset Triton appends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason} at {offset}")]
pub(crate) struct SyntaxError {
    reason: &'static str,
    offset: usize,
}

/// Reads a whole document.
pub(crate) fn read(document: &[u8]) -> Result<Json, SyntaxError> {
    let mut reader = Reader {
        bytes: document.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(document),
        position: 0,
    };
    reader.skip_whitespace();
    if reader.position == reader.bytes.len() {
        return Err(reader.error("The document is empty."));
    }
    let value = reader.value(0)?;
    reader.skip_whitespace();
    // RapidJSON takes NUL for the end, so binary data behind the document may go unnoticed.
    if reader.peek() != 0 {
        return Err(reader.error("The document root must not be followed by other values."));
    }
    Ok(value)
}

/// Real servers before 2.58 have no limit and later ones 100; this one only guards its own stack.
const NESTING_LIMIT: usize = 512;

struct Reader<'document> {
    bytes: &'document [u8],
    position: usize,
}

impl Reader<'_> {
    /// The byte at the position; 0 at the end, as in RapidJSON, where no rule accepts it.
    fn peek(&self) -> u8 {
        self.bytes.get(self.position).copied().unwrap_or(0)
    }

    fn consume(&mut self, expected: u8) -> bool {
        let found = self.position < self.bytes.len() && self.peek() == expected;
        self.position += usize::from(found);
        found
    }

    /// Consumes as many bytes of the word as match, and tells whether all did.
    fn consume_word(&mut self, word: &[u8]) -> bool {
        word.iter().all(|byte| self.consume(*byte))
    }

    fn skip_whitespace(&mut self) {
        while matches!(self.peek(), b' ' | b'\n' | b'\r' | b'\t') {
            self.position += 1;
        }
    }

    fn error(&self, reason: &'static str) -> SyntaxError {
        SyntaxError {
            reason,
            offset: self.position,
        }
    }

    fn error_at(&self, offset: usize, reason: &'static str) -> SyntaxError {
        SyntaxError { reason, offset }
    }

    fn word(&mut self, word: &[u8], value: Json) -> Result<Json, SyntaxError> {
        match self.consume_word(word) {
            true => Ok(value),
            false => Err(self.error("Invalid value.")),
        }
    }

    fn value(&mut self, depth: usize) -> Result<Json, SyntaxError> {
        if depth > NESTING_LIMIT {
            return Err(self.error("Nested too deeply for triton-embedded."));
        }
        match self.peek() {
            b'n' => self.word(b"null", Json::Null),
            b't' => self.word(b"true", Json::Bool(true)),
            b'f' => self.word(b"false", Json::Bool(false)),
            b'"' => self.string().map(Json::Text),
            b'[' => self.array(depth),
            b'{' => self.object(depth),
            _ => self.number(),
        }
    }

    fn array(&mut self, depth: usize) -> Result<Json, SyntaxError> {
        self.position += 1;
        self.skip_whitespace();
        let mut items = Vec::new();
        if self.consume(b']') {
            return Ok(Json::Array(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.skip_whitespace();
            if self.consume(b']') {
                return Ok(Json::Array(items));
            }
            if !self.consume(b',') {
                return Err(self.error("Missing a comma or ']' after an array element."));
            }
            self.skip_whitespace();
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json, SyntaxError> {
        self.position += 1;
        self.skip_whitespace();
        let mut members = Vec::new();
        if self.consume(b'}') {
            return Ok(Json::Object(members));
        }
        loop {
            if self.peek() != b'"' {
                return Err(self.error("Missing a name for object member."));
            }
            let key = self.string()?;
            self.skip_whitespace();
            if !self.consume(b':') {
                return Err(self.error("Missing a colon after a name of object member."));
            }
            self.skip_whitespace();
            members.push((key, self.value(depth + 1)?));
            self.skip_whitespace();
            if self.consume(b'}') {
                return Ok(Json::Object(members));
            }
            if !self.consume(b',') {
                return Err(self.error("Missing a comma or '}' after an object member."));
            }
            self.skip_whitespace();
        }
    }

    fn string(&mut self) -> Result<Vec<u8>, SyntaxError> {
        self.position += 1;
        let mut text = Vec::new();
        loop {
            match self.peek() {
                b'"' => {
                    self.position += 1;
                    return Ok(text);
                }
                b'\\' => self.escape(&mut text)?,
                0 => return Err(self.error("Missing a closing quotation mark in string.")),
                1..0x20 => return Err(self.error("Invalid escape character in string.")),
                byte => {
                    text.push(byte);
                    self.position += 1;
                }
            }
        }
    }

    fn escape(&mut self, text: &mut Vec<u8>) -> Result<(), SyntaxError> {
        let start = self.position;
        self.position += 1;
        let escaped = self.peek();
        self.position += 1;
        text.push(match escaped {
            b'"' | b'\\' | b'/' => escaped,
            b'b' => 0x08,
            b'f' => 0x0C,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => return self.unicode_escape(start, text),
            _ => return Err(self.error_at(start, "Invalid escape character in string.")),
        });
        Ok(())
    }

    fn unicode_escape(&mut self, start: usize, text: &mut Vec<u8>) -> Result<(), SyntaxError> {
        let invalid = SyntaxError {
            reason: "The surrogate pair in string is invalid.",
            offset: start,
        };
        let mut code = self.four_hex_digits(start)?;
        if (0xD800..0xDC00).contains(&code) {
            if !self.consume_word(b"\\u") {
                return Err(invalid);
            }
            let low = self.four_hex_digits(start)?;
            if !(0xDC00..0xE000).contains(&low) {
                return Err(invalid);
            }
            code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        }
        match char::from_u32(code) {
            Some(character) => text.extend(character.encode_utf8(&mut [0; 4]).bytes()),
            // Triton accepts a lone low surrogate and encodes it like any other code.
            None => text.extend([
                0xE0 | (code >> 12) as u8,
                0x80 | (code >> 6 & 0x3F) as u8,
                0x80 | (code & 0x3F) as u8,
            ]),
        }
        Ok(())
    }

    fn four_hex_digits(&mut self, start: usize) -> Result<u32, SyntaxError> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = char::from(self.peek()).to_digit(16).ok_or_else(|| {
                self.error_at(start, "Incorrect hex digit after \\u escape in string.")
            })?;
            code = code * 16 + digit;
            self.position += 1;
        }
        Ok(code)
    }

    fn number(&mut self) -> Result<Json, SyntaxError> {
        let start = self.position;
        let negative = self.consume(b'-');
        match self.peek() {
            b'0' => self.position += 1,
            b'1'..=b'9' => self.skip_digits(),
            b'N' | b'I' => return self.not_finite(negative),
            _ => return Err(self.error("Invalid value.")),
        }
        let mut integer = true;
        if self.consume(b'.') {
            integer = false;
            self.require_digits("Miss fraction part in number.")?;
        }
        if self.consume(b'e') || self.consume(b'E') {
            integer = false;
            if !self.consume(b'+') {
                self.consume(b'-');
            }
            self.require_digits("Miss exponent in number.")?;
        }
        let digits = std::str::from_utf8(&self.bytes[start..self.position]).unwrap_or_default();
        if integer {
            if let Ok(value) = digits.parse::<u64>() {
                return Ok(Json::Unsigned(value));
            }
            if let Ok(value) = digits.parse::<i64>() {
                return Ok(Json::from(value));
            }
        }
        match digits.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(Json::Double(value)),
            _ => Err(self.error_at(start, "Number too big to be stored in double.")),
        }
    }

    fn skip_digits(&mut self) {
        while self.peek().is_ascii_digit() {
            self.position += 1;
        }
    }

    fn require_digits(&mut self, otherwise: &'static str) -> Result<(), SyntaxError> {
        if !self.peek().is_ascii_digit() {
            return Err(self.error(otherwise));
        }
        self.skip_digits();
        Ok(())
    }

    /// `NaN`, `Inf` or `Infinity`.
    fn not_finite(&mut self, negative: bool) -> Result<Json, SyntaxError> {
        let known = match self.peek() {
            b'N' => self.consume_word(b"NaN"),
            _ => self.consume_word(b"Inf") && (self.peek() != b'i' || self.consume_word(b"inity")),
        };
        if !known {
            return Err(self.error("Invalid value."));
        }
        let size = match self.bytes[self.position - 1] {
            b'N' => f64::NAN,
            _ => f64::INFINITY,
        };
        Ok(Json::Double(if negative { -size } else { size }))
    }
}

#[cfg(test)]
mod tests;
