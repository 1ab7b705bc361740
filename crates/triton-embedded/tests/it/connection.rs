//! A client that sends exactly what it is told to.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use triton_embedded::{EmbeddedTriton, ManualClock};

/// An answer as it came over the wire.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) body: String,
}

impl Answer {
    /// The body of an answer with status 200.
    pub(crate) fn success(self) -> String {
        assert_eq!(self.status, 200, "{}", self.body);
        self.body
    }

    /// The status and the text of an error.
    pub(crate) fn error(self) -> (u16, String) {
        let body: serde_json::Value = serde_json::from_str(&self.body).expect(&self.body);
        (
            self.status,
            body["error"].as_str().expect("text").to_owned(),
        )
    }
}

/// Sends one request without waiting for the answer.
pub(crate) fn send(server: &EmbeddedTriton, method: &str, path: &str, body: &str) -> TcpStream {
    send_with(server, method, path, "", body)
}

/// As [`send`], with further headers, each ending with CR and LF.
pub(crate) fn send_with(
    server: &EmbeddedTriton,
    method: &str,
    path: &str,
    headers: &str,
    body: &str,
) -> TcpStream {
    let endpoint = server.endpoint();
    let address = endpoint.strip_prefix("http://").expect("a plain endpoint");
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .expect("a timeout");
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         {headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).expect("sent");
    stream
}

/// Reads the answer to what was sent.
pub(crate) fn receive(mut stream: TcpStream) -> Answer {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    let answer = String::from_utf8(answer).expect("UTF-8");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let content_type = head
        .lines()
        .find_map(|line| line.strip_prefix("Content-Type: "))
        .unwrap_or_default();
    Answer {
        status: head[9..12].parse().expect("a status"),
        content_type: content_type.to_owned(),
        body: body.to_owned(),
    }
}

/// Reads the answer to something that waits on this clock, which advances by steps until it is
/// there: nobody can tell from outside when the wait has begun.
pub(crate) fn receive_after(clock: &ManualClock, step: Duration, stream: TcpStream) -> Answer {
    let patience = stream.read_timeout().expect("a timeout");
    stream
        .set_read_timeout(Some(Duration::from_millis(5)))
        .expect("a timeout");
    while stream.peek(&mut [0]).is_err() {
        clock.advance(step);
    }
    stream.set_read_timeout(patience).expect("a timeout");
    receive(stream)
}

pub(crate) fn get(server: &EmbeddedTriton, path: &str) -> Answer {
    receive(send(server, "GET", path, ""))
}

pub(crate) fn infer(server: &EmbeddedTriton, model: &str, body: &str) -> Answer {
    receive(send(
        server,
        "POST",
        &format!("/v2/models/{model}/infer"),
        body,
    ))
}
