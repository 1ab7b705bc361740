//! Server-sent events, as `generate_stream` answers with them.
//!
//! [Format](https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation)

/// Takes a stream's bytes as they come and gives the `data` of whole events.
///
/// Every byte is looked at once, however the stream is cut into pieces.
#[derive(Debug, Default)]
pub struct EventReader {
    /// What has come; lines up to `start` are done with, and none ends before `scanned`.
    pending: Vec<u8>,
    start: usize,
    scanned: usize,
    /// A line ended with a carriage return, so that a line feed behind it belongs to its end.
    after_return: bool,
    /// Whether the first line is over, and with it the only place of a byte order mark.
    begun: bool,
    /// Whether a line came that is none of a stream of events.
    is_foreign: bool,
    /// The lines of `data` of the event that has begun.
    data: Option<Vec<u8>>,
}

impl EventReader {
    /// Takes the next bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.pending.drain(..self.start);
        self.scanned -= self.start;
        self.start = 0;
        self.pending.extend_from_slice(bytes);
    }

    /// How much memory the event that has begun takes.
    pub fn held(&self) -> usize {
        self.pending.len() - self.start + self.data.as_ref().map_or(0, Vec::len)
    }

    /// Whether something has come of an event that is not whole.
    pub fn is_within_event(&self) -> bool {
        self.held() > 0
    }

    /// Whether what has come cannot be a stream of events: a line is none of a field, or what has
    /// come of the next one begins none. `is_over` says that nothing more comes.
    pub fn is_foreign(&self, is_over: bool) -> bool {
        if self.is_foreign {
            return true;
        }
        let line = &self.pending[self.start..];
        let line = match self.begun {
            true => line,
            false => line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line),
        };
        if !self.begun && BYTE_ORDER_MARK.starts_with(line) {
            return false;
        }
        let name = line
            .iter()
            .take(LONGEST_NAME)
            .take_while(|byte| is_of_name(**byte));
        match line.get(name.count()) {
            Some(next) => !matches!(next, b':' | b'\r' | b'\n'),
            None => is_over && !FIELDS.iter().any(|field| field.starts_with(line)),
        }
    }

    /// The next event that is whole.
    pub fn next_event(&mut self) -> Option<Vec<u8>> {
        while let Some(length) = memchr::memchr2(b'\n', b'\r', &self.pending[self.scanned..]) {
            let end = self.scanned + length;
            let is_rest = self.after_return && self.pending[end] == b'\n' && end == self.start;
            self.after_return = self.pending[end] == b'\r';
            let line = self.start..end;
            self.start = end + 1;
            self.scanned = self.start;
            if !is_rest && let Some(event) = self.line(line) {
                return Some(event);
            }
        }
        self.scanned = self.pending.len();
        None
    }

    /// Takes a line in; the event that an empty one ends.
    fn line(&mut self, line: std::ops::Range<usize>) -> Option<Vec<u8>> {
        let mut line = &self.pending[line];
        if !std::mem::replace(&mut self.begun, true) {
            line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
        }
        if line.is_empty() {
            // An event without data is none.
            return self.data.take().filter(|data| !data.is_empty());
        }
        let (name, text) = match memchr::memchr(b':', line) {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &[][..]),
        };
        if name == b"data" {
            let text = text.strip_prefix(b" ").unwrap_or(text);
            match &mut self.data {
                None => self.data = Some(text.to_vec()),
                Some(data) => {
                    data.push(b'\n');
                    data.extend_from_slice(text);
                }
            }
        } else if !(FIELDS.contains(&name)
            || name.len() < line.len() && name.iter().copied().all(is_of_name))
        {
            self.is_foreign = true;
        }
        // Anything else is a comment, or a field that this protocol does not use.
        None
    }
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The fields that the format knows.
const FIELDS: [&[u8]; 4] = [b"data", b"event", b"id", b"retry"];

/// No field has a longer name, also none that the format will know once.
const LONGEST_NAME: usize = 64;

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(pieces: &[&[u8]]) -> (Vec<String>, bool) {
        let mut reader = EventReader::default();
        let mut events = Vec::new();
        for piece in pieces {
            reader.push(piece);
            while let Some(event) = reader.next_event() {
                events.push(String::from_utf8(event).unwrap());
            }
        }
        (events, reader.is_within_event())
    }

    #[test]
    fn events_do_not_depend_on_how_they_are_cut() {
        let text = b"data: {\"a\":1}\n\n: comment\r\ndata:b\r\ndata: c\r\n\r\nid: 7\n\ndata: d\n\n";
        let whole = events(&[text]);
        assert_eq!(whole.0, ["{\"a\":1}", "b\nc", "d"]);
        let single: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(events(&single), whole);
        assert!(!whole.1);
    }

    #[test]
    fn an_unfinished_event_is_told() {
        assert_eq!(events(&[b"data: {\"a\""]), (Vec::new(), true));
        assert_eq!(events(&[b"data: {}\n"]), (Vec::new(), true));
    }

    #[test]
    fn any_end_of_line_will_do() {
        let text = b"\xef\xbb\xbfdata: a\r\rdata: b\r\n\r\ndata:c\n\nevent: x\rdata\rdata: d\r\n\rdata:\n\n";
        let whole = events(&[text]);
        assert_eq!(
            whole,
            (["a", "b", "c", "\nd"].map(str::to_owned).to_vec(), false)
        );
        let single: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(events(&single), whole);
    }

    #[test]
    fn what_is_no_stream_is_told_by_its_beginning() {
        let is_foreign = |text: &str, is_over| {
            let mut reader = EventReader::default();
            reader.push(text.as_bytes());
            while reader.next_event().is_some() {}
            reader.is_foreign(is_over)
        };
        for text in [
            "",
            "data: {}\n\n",
            ": comment",
            "da",
            "\u{feff}data: 1\n\n",
            "id\n",
            "\n\n",
            "x-later: 1\n",
        ] {
            assert!(!is_foreign(text, true), "{text}");
        }
        for text in [
            "<html>",
            "{\"error\":",
            "Not Found",
            "  <p>",
            "\u{feff}<!doctype html>\n",
            "Unauthorized\n",
        ] {
            assert!(is_foreign(text, false), "{text}");
        }
        assert!(is_foreign("Unauthorized", true) && !is_foreign("Unauthorized", false));
        let mut reader = EventReader::default();
        reader.push(b"\xef\xbb");
        assert!(!reader.is_foreign(false));
    }

    #[test]
    fn a_large_event_in_small_pieces_is_looked_at_once() {
        // Looked at again for each piece, this would take many minutes.
        let mut reader = EventReader::default();
        reader.push(b"data: ");
        for _ in 0..1_000_000 {
            reader.push(b"x");
            assert!(reader.next_event().is_none());
        }
        reader.push(b"\n\n");
        assert_eq!(reader.next_event().unwrap().len(), 1_000_000);
        // Nor is the rest of a piece moved for each of its events.
        reader.push(&b"data:1\n\n".repeat(100_000));
        assert_eq!(std::iter::from_fn(|| reader.next_event()).count(), 100_000);
    }
}
