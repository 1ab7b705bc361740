//! Reads requests off a connection, with the limits and habits of Triton's server (protocol page,
//! section 4).

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::Request;

/// The longest header value, and about the longest path, that Triton's server takes.
const LONGEST_LINE: usize = 8191;

/// The longest line before a chunk: its size in hexadecimal digits.
const LONGEST_CHUNK_SIZE: usize = 16;

/// What requests come from: a connection, or what stands for one.
pub(crate) trait Connection: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Connection for T {}

/// Why a connection ends instead of giving another request.
#[derive(Debug)]
pub(crate) enum End {
    /// Nothing is said: the client has gone, or what it sent is no HTTP.
    Close,
    /// The connection is reset.
    Reset,
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> End {
        End::Close
    }
}

/// What a connection has received and nobody has read yet.
#[derive(Default)]
pub(crate) struct Reader {
    received: BytesMut,
}

/// A request, and whether the connection stays open after its answer.
pub(crate) struct Received {
    pub(crate) request: Request,
    pub(crate) keep_alive: bool,
}

impl Reader {
    /// Waits for the next request, body included.
    pub(crate) async fn request(&mut self, stream: &mut impl Connection) -> Result<Received, End> {
        let request_line = loop {
            let line = self.line(stream).await?;
            // Blank lines in front of a request are skipped, as everywhere.
            if !line.is_empty() {
                break line;
            }
        };
        let mut words = request_line.split(' ');
        let (Some(method), Some(target), Some(protocol), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(End::Close);
        };
        let is_method = !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase());
        if !is_method || !protocol.starts_with("HTTP/1.") {
            return Err(End::Close);
        }
        let mut request = Request {
            method: method.to_owned(),
            target: target.to_owned(),
            ..Request::default()
        };
        loop {
            let line = self.line(stream).await?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').ok_or(End::Close)?;
            let value = value.trim_matches([' ', '\t']).to_owned();
            request.headers.push((name.to_ascii_lowercase(), value));
        }
        let continues = request.header("expect").unwrap_or_default();
        if continues.eq_ignore_ascii_case("100-continue") {
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        request.body = self.body(stream, &request).await?;
        let connection = request.header("connection").unwrap_or_default();
        let keep_alive = match protocol {
            "HTTP/1.0" => connection.eq_ignore_ascii_case("keep-alive"),
            _ => !connection.eq_ignore_ascii_case("close"),
        };
        Ok(Received {
            request,
            keep_alive,
        })
    }

    async fn body(
        &mut self,
        stream: &mut impl Connection,
        request: &Request,
    ) -> Result<Bytes, End> {
        let encoding = request.header("transfer-encoding").unwrap_or_default();
        if encoding.eq_ignore_ascii_case("chunked") {
            return self.chunks(stream).await;
        }
        let Some(length) = request.header("content-length") else {
            return Ok(Bytes::new());
        };
        let length = length.parse().map_err(|_| End::Close)?;
        self.bytes(stream, length).await
    }

    async fn chunks(&mut self, stream: &mut impl Connection) -> Result<Bytes, End> {
        let mut body = BytesMut::new();
        loop {
            let size = self.line(stream).await?;
            // Triton's server closes the connection at a chunk extension, too.
            let is_size = size.bytes().all(|byte| byte.is_ascii_hexdigit());
            if size.is_empty() || size.len() > LONGEST_CHUNK_SIZE || !is_size {
                return Err(End::Close);
            }
            let size = usize::from_str_radix(&size, 16).map_err(|_| End::Close)?;
            if size == 0 {
                break;
            }
            body.extend_from_slice(&self.bytes(stream, size).await?);
            if !self.line(stream).await?.is_empty() {
                return Err(End::Close);
            }
        }
        // Trailers have no meaning here.
        while !self.line(stream).await?.is_empty() {}
        Ok(body.freeze())
    }

    /// A line without its end, as text with one character for each byte that is not UTF-8.
    async fn line(&mut self, stream: &mut impl Connection) -> Result<String, End> {
        let mut searched = 0;
        loop {
            let unread = &self.received[searched..];
            if let Some(position) = unread.iter().position(|byte| *byte == b'\n') {
                let line = self.received.split_to(searched + position);
                self.received.advance(1);
                let line = line.strip_suffix(b"\r").unwrap_or(&line);
                return Ok(String::from_utf8_lossy(line).into_owned());
            }
            searched = self.received.len();
            if searched > LONGEST_LINE {
                return Err(End::Reset);
            }
            self.receive(stream).await?;
        }
    }

    async fn bytes(&mut self, stream: &mut impl Connection, count: usize) -> Result<Bytes, End> {
        while self.received.len() < count {
            self.receive(stream).await?;
        }
        Ok(self.received.split_to(count).freeze())
    }

    async fn receive(&mut self, stream: &mut impl Connection) -> Result<(), End> {
        match stream.read_buf(&mut self.received).await? {
            0 => Err(End::Close),
            _ => Ok(()),
        }
    }
}
