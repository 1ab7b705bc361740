//! Reads requests from a connection, each to the end of its body.

use std::io::{self, ErrorKind, Read};

use bench_rounds::Format;

/// More headers than any client sends.
const MOST_HEADERS: usize = 64;

/// What is read at once at least.
const BLOCK: usize = 1 << 16;

const PROCEED: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// A connection and its one buffer, which grows to the largest request and stays.
pub(super) struct Requests<C> {
    connection: C,
    buffer: Vec<u8>,
    filled: usize,
    /// How many bytes at the begin of the buffer are the latest request.
    taken: usize,
}

/// A request, within the buffer of its connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request<'a> {
    pub(super) path: &'a str,
    pub(super) format: Format,
    /// All of the body that is JSON.
    pub(super) json: &'a [u8],
    /// What follows the JSON.
    pub(super) tensors: &'a [u8],
    /// The client of HTTP/1.0 takes the end of the connection for the end of the answer.
    pub(super) is_last: bool,
}

/// The head of a request, as far as it matters.
struct Head {
    length: usize,
    body_length: usize,
    json_length: Option<usize>,
    waits_to_proceed: bool,
    is_last: bool,
    path: std::ops::Range<usize>,
}

impl<C: Read + io::Write> Requests<C> {
    pub(super) fn new(connection: C) -> Self {
        Self {
            connection,
            buffer: vec![0; BLOCK],
            filled: 0,
            taken: 0,
        }
    }

    /// The next request, once all of its body is there; `None` at the end of the connection.
    pub(super) fn next(&mut self) -> io::Result<Option<Request<'_>>> {
        self.buffer.copy_within(self.taken..self.filled, 0);
        self.filled -= self.taken;
        self.taken = 0;
        let head = loop {
            if let Some(head) = head(&self.buffer[..self.filled])? {
                break head;
            }
            if !self.read(self.filled + BLOCK)? {
                return match self.filled {
                    0 => Ok(None),
                    _ => Err(ErrorKind::UnexpectedEof.into()),
                };
            }
        };
        let end = head.length + head.body_length;
        if head.waits_to_proceed && self.filled < end {
            self.connection.write_all(PROCEED)?;
        }
        while self.filled < end {
            if !self.read(end)? {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        self.taken = end;
        let body = &self.buffer[head.length..end];
        let json_length = head.json_length.unwrap_or(body.len());
        let (json, tensors) = body
            .split_at_checked(json_length)
            .ok_or_else(|| malformed("the JSON is longer than the body"))?;
        Ok(Some(Request {
            path: std::str::from_utf8(&self.buffer[head.path])
                .map_err(|_| malformed("the path is no text"))?,
            // Some clients give the length of the JSON where nothing follows it.
            format: match tensors.is_empty() {
                false => Format::Binary,
                true => Format::Json,
            },
            json,
            tensors,
            is_last: head.is_last,
        }))
    }

    /// Reads more into a buffer of that length at least; false at the end of the connection.
    fn read(&mut self, length: usize) -> io::Result<bool> {
        if self.buffer.len() < length {
            self.buffer.resize(length, 0);
        }
        let count = self.connection.read(&mut self.buffer[self.filled..])?;
        self.filled += count;
        Ok(count > 0)
    }
}

/// The head of the request that the bytes begin with; `None` while it is not whole.
fn head(bytes: &[u8]) -> io::Result<Option<Head>> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let parsed = request.parse(bytes).map_err(io::Error::other)?;
    let httparse::Status::Complete(length) = parsed else {
        return Ok(None);
    };
    let path = request.path.unwrap_or_default();
    let start = path.as_ptr().addr() - bytes.as_ptr().addr();
    let mut head = Head {
        length,
        body_length: 0,
        json_length: None,
        waits_to_proceed: false,
        is_last: request.version == Some(0),
        path: start..start + path.len(),
    };
    for header in request.headers.iter() {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        let number = || {
            let text = std::str::from_utf8(header.value).ok();
            let number = text.and_then(|text| text.trim().parse().ok());
            number.ok_or_else(|| malformed("a length is no number"))
        };
        if is("content-length") {
            head.body_length = number()?;
        } else if is("inference-header-content-length") {
            head.json_length = Some(number()?);
        } else if is("expect") {
            head.waits_to_proceed = true;
        } else if is("transfer-encoding") || is("content-encoding") {
            return Err(malformed("bodies are taken as they are, and in one piece"));
        }
    }
    Ok(Some(head))
}

fn malformed(message: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A client that sends its bytes a few at a time, and keeps what it is sent.
    struct Client<'a> {
        sent: &'a [u8],
        pieces: usize,
        received: Vec<u8>,
    }

    impl Read for Client<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.pieces.min(self.sent.len()).min(buffer.len());
            let (piece, rest) = self.sent.split_at(count);
            buffer[..count].copy_from_slice(piece);
            self.sent = rest;
            Ok(count)
        }
    }

    impl io::Write for Client<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.received.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn requests_are_read_to_their_ends_however_they_come() {
        let sent = b"POST /a HTTP/1.1\r\ncontent-length: 5\r\nInference-Header-Content-Length: 2\r\n\r\n{}xyz\
                     POST /b HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}\
                     GET /c HTTP/1.0\r\n\r\n";
        for pieces in [1, 7, 90, 4096] {
            let mut requests = Requests::new(Client {
                sent,
                pieces,
                received: Vec::new(),
            });
            let mut found = Vec::new();
            while let Some(request) = requests.next().unwrap() {
                let Request {
                    path,
                    format,
                    json,
                    tensors,
                    is_last,
                } = request;
                assert_eq!(is_last, path == "/c");
                found.push((path.to_owned(), format, json.to_owned(), tensors.to_owned()));
            }
            let expected = [
                ("/a", Format::Binary, &b"{}"[..], &b"xyz"[..]),
                ("/b", Format::Json, b"{}", b""),
                ("/c", Format::Json, b"", b""),
            ];
            let expected = expected.map(|(path, format, json, tensors)| {
                (path.to_owned(), format, json.to_owned(), tensors.to_owned())
            });
            assert_eq!(found, expected);
            // Who has sent the body already is not told to.
            match pieces {
                1 => assert_eq!(requests.connection.received, PROCEED),
                4096 => assert_eq!(requests.connection.received, b""),
                _ => {}
            }
        }
    }

    #[test]
    fn half_a_request_is_an_error() {
        for sent in [
            &b"POST /a HT"[..],
            b"POST /a HTTP/1.1\r\nContent-Length: 2\r\n\r\n{",
        ] {
            let mut requests = Requests::new(Client {
                sent,
                pieces: 4,
                received: Vec::new(),
            });
            let error = requests.next().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        }
    }
}
