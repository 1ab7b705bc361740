//! A cursor over JSON as servers write it: with bare `NaN`s, and with texts that are no UTF-8.
//!
//! Most of an answer is elements of tensors. They go from the text straight into the form in
//! which tensors are kept, in one pass, which no general reader of JSON offers: each of those
//! wants the type of the elements before it begins, or valid text, or neither `NaN` nor
//! `Infinity`. What is not an element is small, and is left to `serde_json` piece by piece.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use memchr::memchr2;
use serde::de::DeserializeOwned;

use super::float_text::NumberText;
use super::json_tokens::{self, INFINITY, NAN, NEGATIVE_INFINITY};
use crate::parameter::{ONE_VALUE, add_returned, scalars};
use crate::{Parameter, quoted};

/// How deep arrays and objects may lie in each other; servers have such a limit, too.
const MAX_DEPTH: usize = 100;

/// The most parameters of an answer, those of its outputs included: each takes many times its text.
pub(super) const MAX_PARAMETERS: usize = 16_384;

/// Why a text is not what it should be: one line.
#[derive(Debug)]
pub(super) struct Fault(String);

impl Fault {
    pub(super) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// A member that had to be there.
    pub(super) fn missing(name: &str) -> Self {
        Self(format!("missing field `{name}`"))
    }

    /// The same fault of a part that has a name.
    pub(super) fn of(self, part: &str) -> Self {
        Self(format!("{part}: {}", self.0))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A place in a text.
#[derive(Debug, Clone)]
pub(super) struct JsonReader<'a> {
    text: &'a [u8],
    position: usize,
}

/// A string with its quotes, as it stands in the text.
pub(super) struct RawString<'a> {
    pub(super) text: &'a [u8],
    pub(super) has_escapes: bool,
}

impl<'a> JsonReader<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { text, position: 0 }
    }

    /// What has not been read yet.
    pub(super) fn rest(&self) -> &'a [u8] {
        &self.text[self.position..]
    }

    /// Goes on behind so many bytes of the rest.
    pub(super) fn advance(&mut self, bytes: usize) {
        self.position = self.text.len().min(self.position + bytes);
    }

    /// The first byte of the next token.
    pub(super) fn peek(&mut self) -> Option<u8> {
        while let Some(&byte) = self.text.get(self.position) {
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.position += 1;
        }
        None
    }

    /// Reads this token if it is the next one.
    pub(super) fn take(&mut self, token: &str) -> bool {
        let is_next = self.peek().is_some() && self.rest().starts_with(token.as_bytes());
        self.position += if is_next { token.len() } else { 0 };
        is_next
    }

    /// Says what stands here in place of something else.
    pub(super) fn unexpected(&mut self, expected: impl fmt::Display) -> Fault {
        let found = self.token();
        Fault(format!(
            "expected {expected}, found {found} at byte {}",
            self.position
        ))
    }

    /// The next token, or its beginning, for people.
    pub(super) fn token(&mut self) -> String {
        const SHOWN: usize = 40;
        let Some(first) = self.peek() else {
            return "the end".to_owned();
        };
        let rest = self.rest();
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
        let length = match first {
            b'"' => string_length(rest).map_or(rest.len(), |(length, _)| length),
            _ => rest.iter().take_while(|byte| is_part(byte)).count().max(1),
        };
        let token = String::from_utf8_lossy(&rest[..length.min(4 * SHOWN)]);
        let cut: String = token.chars().take(SHOWN).collect();
        let more = if cut.len() < length { "…" } else { "" };
        // A token's own quotes are its ends already.
        let escaped = cut.chars().map(|character| match character {
            '"' | '\'' | '\\' => character.to_string(),
            _ => character.escape_debug().to_string(),
        });
        escaped.collect::<String>() + more
    }

    /// A string without looking into it.
    pub(super) fn raw_string(&mut self) -> Result<RawString<'a>, Fault> {
        if self.peek() != Some(b'"') {
            return Err(self.unexpected("a text"));
        }
        let rest = self.rest();
        let Some((length, has_escapes)) = string_length(rest) else {
            return Err(self.unexpected("a text with quotes at both ends"));
        };
        self.position += length;
        Ok(RawString {
            text: &rest[..length],
            has_escapes,
        })
    }

    /// A string, which must be text.
    fn string(&mut self) -> Result<Cow<'a, str>, Fault> {
        let start = self.clone();
        let string = self.raw_string()?;
        let inner = &string.text[1..string.text.len() - 1];
        if !string.has_escapes
            && let Ok(text) = std::str::from_utf8(inner)
        {
            return Ok(text.into());
        }
        let text = serde_json::from_slice::<String>(string.text);
        text.map(Cow::Owned)
            .map_err(|_| start.clone().unexpected("a valid text"))
    }

    /// A value of any type but a tensor's data.
    pub(super) fn read<T: DeserializeOwned>(&mut self) -> Result<T, Fault> {
        let start = self.clone();
        let text = self.skip()?;
        serde_json::from_slice(&json_tokens::quote(text)).map_err(|error| {
            // The place within the piece would mislead; the piece's own place is added.
            let place = format!(" at line {} column {}", error.line(), error.column());
            let error = error.to_string();
            let text = error.strip_suffix(&place).unwrap_or(&error);
            Fault(format!("{text} at byte {}", start.position))
        })
    }

    /// The members of an object that have these names; `member` reads each one's value.
    ///
    /// A member that comes twice is refused: which of the two holds is for nobody to say, as
    /// readers of JSON do not agree on it.
    pub(super) fn members<const COUNT: usize>(
        &mut self,
        what: impl fmt::Display,
        known: [&str; COUNT],
        mut member: impl FnMut(&mut Self, &str) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let mut seen = [false; COUNT];
        self.object(what, |reader, name| {
            let Some(index) = known.iter().position(|known| *known == name) else {
                return reader.skip().map(|_| ());
            };
            if std::mem::replace(&mut seen[index], true) {
                return Err(reader.repeated(name));
            }
            member(reader, name)
        })
    }

    /// The parameters of an answer or an output, which may be `null`, without those that are no
    /// scalars. Each is taken off `left`, which is how many more there may be in the answer.
    pub(super) fn parameters(
        &mut self,
        left: &mut usize,
    ) -> Result<BTreeMap<String, Parameter>, Fault> {
        let mut returned = BTreeMap::new();
        if self.take("null") {
            return Ok(scalars(returned));
        }
        self.object("parameters", |reader, name| {
            *left = left.checked_sub(1).ok_or_else(|| {
                Fault(format!(
                    "expected at most {MAX_PARAMETERS} parameters in an answer, found more"
                ))
            })?;
            let value = match reader.peek() {
                // Values within it are many times its text.
                Some(b'[' | b'{') => reader.skip().map(|_| None)?,
                _ => match reader.bare_float() {
                    Some(value) => Some(value.into()),
                    None => Parameter::of_json(reader.read()?),
                },
            };
            if add_returned(&mut returned, name.to_owned(), value) {
                return Ok(());
            }
            Err(Fault(format!(
                "{}, found another one of {} before byte {}",
                ONE_VALUE,
                quoted(name),
                reader.position
            )))
        })?;
        Ok(scalars(returned))
    }

    /// One of the words that servers write for what is not finite, without quotes.
    pub(super) fn bare_float(&mut self) -> Option<f64> {
        let words = [
            (NAN, f64::NAN),
            (INFINITY, f64::INFINITY),
            (NEGATIVE_INFINITY, f64::NEG_INFINITY),
        ];
        let found = words.into_iter().find(|(word, _)| self.take(word));
        found.map(|(_, value)| value)
    }

    /// Says that a member, whose value stands here, was there before.
    fn repeated(&self, name: &str) -> Fault {
        // A name of any length and with any characters may come from a server.
        let name = quoted(name);
        Fault(format!(
            "expected each member once, found {name} again before byte {}",
            self.position
        ))
    }

    fn object(
        &mut self,
        what: impl fmt::Display,
        mut member: impl FnMut(&mut Self, &str) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        if !self.take("{") {
            return Err(self.unexpected(what));
        }
        if self.take("}") {
            return Ok(());
        }
        loop {
            let name = self.string()?;
            if !self.take(":") {
                return Err(self.unexpected("':'"));
            }
            member(self, &name)?;
            if self.take("}") {
                return Ok(());
            }
            if !self.take(",") {
                return Err(self.unexpected("',' or '}'"));
            }
        }
    }

    /// The elements of an array; `element` reads each.
    pub(super) fn elements(
        &mut self,
        what: impl fmt::Display,
        mut element: impl FnMut(&mut Self) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        if !self.take("[") {
            return Err(self.unexpected(what));
        }
        if self.take("]") {
            return Ok(());
        }
        loop {
            element(self)?;
            if self.take("]") {
                return Ok(());
            }
            if !self.take(",") {
                return Err(self.unexpected("',' or ']'"));
            }
        }
    }

    /// The elements of an array in which arrays may lie in any way: what they hold, row-major.
    ///
    /// A single value is read as an array of it.
    pub(super) fn flat_elements(
        &mut self,
        mut element: impl FnMut(&mut Self) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let mut depth = 0_usize;
        loop {
            let mut is_empty = false;
            while !is_empty && self.peek() == Some(b'[') {
                depth = self.deeper(depth)?;
                self.position += 1;
                is_empty = self.peek() == Some(b']');
            }
            if !is_empty {
                element(self)?;
            }
            loop {
                if depth == 0 {
                    return Ok(());
                }
                match self.peek() {
                    Some(b',') => {
                        self.position += 1;
                        break;
                    }
                    Some(b']') => {
                        self.position += 1;
                        depth -= 1;
                    }
                    _ => return Err(self.unexpected("',' or ']'")),
                }
            }
        }
    }

    /// Reads over a value, and gives its text.
    pub(super) fn skip(&mut self) -> Result<&'a [u8], Fault> {
        self.peek();
        let start = self.position;
        self.skip_within(0)?;
        Ok(&self.text[start..self.position])
    }

    fn skip_within(&mut self, depth: usize) -> Result<(), Fault> {
        match self.peek() {
            Some(b'"') => self.raw_string().map(|_| ()),
            Some(b'[') => {
                let depth = self.deeper(depth)?;
                self.elements("an array", |reader| reader.skip_within(depth))
            }
            Some(b'{') => {
                let depth = self.deeper(depth)?;
                self.object("an object", |reader, _| reader.skip_within(depth))
            }
            _ => {
                let words = ["true", "false", "null", NAN, INFINITY, NEGATIVE_INFINITY];
                if words.iter().any(|word| self.take(word)) {
                    return Ok(());
                }
                let number = NumberText::read(self.rest());
                let number = number.ok_or_else(|| self.unexpected("a value"))?;
                self.position += number.length;
                Ok(())
            }
        }
    }

    /// One level deeper, unless it is too deep.
    fn deeper(&self, depth: usize) -> Result<usize, Fault> {
        if depth == MAX_DEPTH {
            return Err(Fault(format!(
                "expected at most {MAX_DEPTH} arrays and objects in each other, found more at byte {}",
                self.position
            )));
        }
        Ok(depth + 1)
    }

    /// That there is nothing more.
    pub(super) fn end(&mut self) -> Result<(), Fault> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.unexpected("the end of the JSON")),
        }
    }
}

/// The length of the string that `text` opens with, quotes included, and whether a backslash is
/// in it; `None` if it does not end.
fn string_length(text: &[u8]) -> Option<(usize, bool)> {
    let mut position = 1;
    let mut has_escapes = false;
    loop {
        position += memchr2(b'"', b'\\', text.get(position..)?)?;
        if text[position] == b'"' {
            return Some((position + 1, has_escapes));
        }
        has_escapes = true;
        // A backslash and whatever it escapes.
        position += 2;
    }
}
