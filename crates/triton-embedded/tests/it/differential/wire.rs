//! Raw HTTP, so that no client stands between the servers and the comparison.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// An answer as it came over the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// In their order, names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// A request as it goes over the wire, `Host` and `Content-Length` excepted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// A server under comparison, with one connection that is kept as long as it lasts.
pub(crate) struct Peer {
    address: String,
    connection: Option<TcpStream>,
    /// The configuration that each model had when it was first loaded with another one.
    pub(crate) original_configs: HashMap<String, Value>,
}

const PATIENCE: Duration = Duration::from_secs(20);

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(candidate, _)| candidate == name)?;
        Some(&found.1)
    }
}

impl Request {
    pub(crate) fn new(method: &str, path: &str, body: impl Into<Vec<u8>>) -> Request {
        Request {
            method: method.to_owned(),
            path: path.to_owned(),
            headers: Vec::new(),
            body: body.into(),
        }
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\nHost: triton\r\n", self.method, self.path);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let mut has_length = self.headers.iter().map(|(name, _)| name.as_str());
        if !has_length.any(|name| name == "Content-Length" || name == "Transfer-Encoding") {
            head.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        head.push_str("\r\n");
        [head.as_bytes(), &self.body].concat()
    }
}

impl Peer {
    pub(crate) fn new(endpoint: &str) -> Peer {
        let address = endpoint.strip_prefix("http://").expect("a plain endpoint");
        Peer {
            address: address.to_owned(),
            connection: None,
            original_configs: HashMap::new(),
        }
    }

    /// Sends a request and waits for the answer; an error where the connection ends instead.
    pub(crate) fn call(&mut self, request: &Request) -> io::Result<Answer> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect()?,
        };
        connection.write_all(&request.to_bytes())?;
        let answer = receive(&mut connection)?;
        if answer.header("connection") != Some("close") {
            self.connection = Some(connection);
        }
        Ok(answer)
    }

    /// Sends a request on a connection of its own and hands it out unread.
    pub(crate) fn send(&self, request: &Request) -> io::Result<TcpStream> {
        let mut connection = self.connect()?;
        connection.write_all(&request.to_bytes())?;
        Ok(connection)
    }

    fn connect(&self) -> io::Result<TcpStream> {
        let connection = TcpStream::connect(&self.address)?;
        connection.set_read_timeout(Some(PATIENCE))?;
        connection.set_nodelay(true)?;
        Ok(connection)
    }
}

/// Reads one answer.
pub(crate) fn receive(connection: &mut TcpStream) -> io::Result<Answer> {
    let mut received = Vec::new();
    let head_end = loop {
        if let Some(end) = find(&received, b"\r\n\r\n") {
            break end;
        }
        more(connection, &mut received)?;
    };
    let head = String::from_utf8_lossy(&received[..head_end]).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let status = status.and_then(|status| status.parse().ok());
    let status = status.ok_or(io::ErrorKind::InvalidData)?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let mut answer = Answer {
        status,
        headers,
        body: received.split_off(head_end + 4),
    };
    if answer.header("transfer-encoding") == Some("chunked") {
        while !answer.body.ends_with(b"0\r\n\r\n") {
            more(connection, &mut answer.body)?;
        }
        answer.body = join_chunks(&answer.body).ok_or(io::ErrorKind::InvalidData)?;
    } else {
        let length = answer.header("content-length").unwrap_or("0");
        let length: usize = length.parse().map_err(|_| io::ErrorKind::InvalidData)?;
        while answer.body.len() < length {
            more(connection, &mut answer.body)?;
        }
    }
    Ok(answer)
}

fn join_chunks(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = find(rest, b"\r\n")?;
        let size = std::str::from_utf8(&rest[..line]).ok()?;
        let size = usize::from_str_radix(size, 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        body.extend(rest.get(line + 2..line + 2 + size)?);
        rest = rest.get(line + 4 + size..)?;
    }
}

fn find(bytes: &[u8], pattern: &[u8]) -> Option<usize> {
    bytes
        .windows(pattern.len())
        .position(|window| window == pattern)
}

fn more(connection: &mut TcpStream, received: &mut Vec<u8>) -> io::Result<()> {
    let mut buffer = [0; 65536];
    match connection.read(&mut buffer)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        count => {
            received.extend(&buffer[..count]);
            Ok(())
        }
    }
}
