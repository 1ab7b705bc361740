//! As much of HTTP/1.1 as a proxy needs that reads whole messages to break them.

use std::io;

use serde_json::Value;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

/// No head here is longer.
const LONGEST_HEAD: usize = 1 << 16;

/// A request or an answer as its bytes.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Message {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        [self.head.as_bytes(), &self.body].concat()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }

    /// Of an answer.
    pub(crate) fn status(&self) -> Option<u16> {
        self.head.split(' ').nth(1)?.parse().ok()
    }

    /// The JSON at the beginning of the body, and the tensors behind it.
    pub(crate) fn json(&self) -> Option<(Value, &[u8])> {
        let length = match self.header("inference-header-content-length") {
            Some(length) => length.parse().ok()?,
            None => self.body.len(),
        };
        let json = serde_json::from_slice(self.body.get(..length)?).ok()?;
        Some((json, &self.body[length..]))
    }
}

/// The bytes that come from one side of a connection.
#[derive(Debug, Default)]
pub(crate) struct Incoming {
    buffer: Vec<u8>,
}

impl Incoming {
    /// The next head, up to its empty line; `None` where the connection ends before it.
    pub(crate) async fn head(&mut self, stream: &mut TcpStream) -> io::Result<Option<String>> {
        loop {
            let end = self.buffer.windows(4).position(|four| four == b"\r\n\r\n");
            if let Some(end) = end {
                let rest = self.buffer.split_off(end + 4);
                let head = std::mem::replace(&mut self.buffer, rest);
                return Ok(Some(String::from_utf8_lossy(&head).into_owned()));
            }
            if self.buffer.len() > LONGEST_HEAD {
                return Err(io::Error::other("a head without an end"));
            }
            if stream.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
    }

    /// The body that belongs to a head.
    pub(crate) async fn body(&mut self, head: &str, stream: &mut TcpStream) -> io::Result<Vec<u8>> {
        if header(head, "transfer-encoding").is_some() {
            return Err(io::Error::other("a body in chunks"));
        }
        let length = header(head, "content-length").and_then(|length| length.parse().ok());
        let length: usize = length.unwrap_or(0);
        while self.buffer.len() < length {
            if stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let rest = self.buffer.split_off(length);
        Ok(std::mem::replace(&mut self.buffer, rest))
    }

    /// The next message; `None` where the connection ends before it.
    pub(crate) async fn message(&mut self, stream: &mut TcpStream) -> io::Result<Option<Message>> {
        let Some(head) = self.head(stream).await? else {
            return Ok(None);
        };
        let body = self.body(&head, stream).await?;
        Ok(Some(Message { head, body }))
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().skip(1).find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// What a gateway answers by itself.
pub(crate) fn gateway_answer(status: u16) -> Vec<u8> {
    let body = format!("<html><head><title>{status}</title></head><body>gateway</body></html>\r\n");
    let head = format!(
        "HTTP/1.1 {status} Gateway\r\nServer: gateway\r\nContent-Type: text/html\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    format!("{head}{body}").into_bytes()
}

/// The same answer with its body in chunks of one byte.
pub(crate) fn in_chunks(answer: &Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in answer.head.trim_end().split("\r\n") {
        if !line.to_ascii_lowercase().starts_with("content-length:") {
            bytes.extend_from_slice(line.as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
    }
    bytes.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
    for byte in &answer.body {
        bytes.extend_from_slice(&[b'1', b'\r', b'\n', *byte, b'\r', b'\n']);
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    bytes
}
