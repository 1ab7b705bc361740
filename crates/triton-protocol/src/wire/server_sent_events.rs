//! Server-sent events, as `generate_stream` answers with them.

/// Takes a stream's bytes as they come and gives the `data` of whole events.
#[derive(Debug, Default)]
pub struct EventReader {
    /// What has come of lines and not been looked at yet.
    pending: Vec<u8>,
    /// The lines of `data` of the event that has begun.
    data: Option<Vec<u8>>,
}

impl EventReader {
    /// Takes the next bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    /// How much memory the event that has begun takes.
    pub fn held(&self) -> usize {
        self.pending.len() + self.data.as_ref().map_or(0, Vec::len)
    }

    /// Whether something has come of an event that is not whole.
    pub fn is_within_event(&self) -> bool {
        self.held() > 0
    }

    /// The next event that is whole.
    pub fn next_event(&mut self) -> Option<Vec<u8>> {
        let mut taken = 0;
        let mut event = None;
        while event.is_none()
            && let Some(length) = memchr::memchr(b'\n', &self.pending[taken..])
        {
            let line = &self.pending[taken..taken + length];
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            taken += length + 1;
            if line.is_empty() {
                event = self.data.take();
            } else if let Some(text) = line.strip_prefix(b"data:") {
                let text = text.strip_prefix(b" ").unwrap_or(text);
                match &mut self.data {
                    None => self.data = Some(text.to_vec()),
                    Some(data) => {
                        data.push(b'\n');
                        data.extend_from_slice(text);
                    }
                }
            }
            // Anything else is a comment, or a field that this protocol does not use.
        }
        self.pending.drain(..taken);
        event
    }
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
}
