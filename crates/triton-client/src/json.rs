//! Answers of JSON, whose values take many times the bytes of their text: an object of one member
//! has seven of them, and takes six hundred once it is read.

use http::StatusCode;
use memchr::memchr2;
use serde::de::DeserializeOwned;
use triton_protocol::wire::unreadable;

use crate::Error;
use crate::transport::{Answer, Context};

/// What a value takes at most, its place in a list or an object that grows included.
const VALUE: usize = 160;

/// What an array or an object takes at most before it has a second value.
const CONTAINER: usize = 800;

/// What an answer may take in any case, so that a low limit for answers does not forbid a
/// configuration that is within it.
pub(crate) const ALWAYS_FITS: usize = 4 << 20;

/// What answers of JSON may still take once they are read, in bytes.
#[derive(Debug)]
pub(crate) struct Room(usize);

impl Room {
    /// That of a client which takes answers of so many bytes.
    pub(crate) fn of(response_limit: usize) -> Self {
        Self(response_limit.max(ALWAYS_FITS))
    }

    /// Sets aside what a text takes once it is read.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::ResponseTooLarge`](crate::ErrorKind::ResponseTooLarge) where it takes more.
    pub(crate) fn take(
        &mut self,
        context: &Context<'_>,
        json: &[u8],
        status: StatusCode,
    ) -> Result<(), Error> {
        let Self(room) = *self;
        self.0 = left_by(json, room).ok_or_else(|| {
            let message = format_args!(
                "expected JSON that takes at most {room} bytes of memory once it is read, found \
                 more values in the {} bytes of the answer",
                json.len()
            );
            context.too_large(&message, status)
        })?;
        Ok(())
    }
}

/// Reads a JSON answer for which there is room.
pub(crate) fn read<T: DeserializeOwned>(
    context: &Context<'_>,
    answer: &Answer,
    room: &mut Room,
) -> Result<T, Error> {
    let body = &answer.body;
    room.take(context, body, answer.status)?;
    serde_json::from_slice(body).map_err(|error| context.protocol(unreadable(body, &error)))
}

/// What is left of so many bytes once a JSON text is read; `None` where it takes more.
///
/// The text is only looked through, so that it takes no memory to find out.
pub(crate) fn left_by(json: &[u8], room: usize) -> Option<usize> {
    let mut left = room.checked_sub(json.len())?;
    let mut position = 0;
    while let Some(byte) = json.get(position) {
        let (length, taken) = match byte {
            b'"' => (string_length(&json[position..]), 0),
            b'[' | b'{' => (1, CONTAINER),
            b',' => (1, VALUE),
            _ => (1, 0),
        };
        left = left.checked_sub(taken)?;
        position += length;
    }
    Some(left)
}

/// The length of the string that a text begins with, or of the text where it does not end.
fn string_length(text: &[u8]) -> usize {
    let mut position = 1;
    while let Some(found) = memchr2(b'"', b'\\', text.get(position..).unwrap_or_default()) {
        position += found;
        if text[position] == b'"' {
            return position + 1;
        }
        // A backslash and whatever it escapes.
        position += 2;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_texts_is_no_value() {
        for text in [r#""[[{{,,""#, r#""\"[[,""#, r#""[[[["#, r#""\"#, "1"] {
            assert_eq!(left_by(text.as_bytes(), text.len()), Some(0), "{text}");
        }
        let text = br#"["\\",{}]"#;
        let taken = text.len() + 2 * CONTAINER + VALUE;
        assert_eq!(left_by(text, taken), Some(0));
        assert_eq!(left_by(text, taken - 1), None);
    }
}
