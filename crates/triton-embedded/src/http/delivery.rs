//! Sends answers, whole or corrupted as a fault asks for.

use std::io;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::clock::Timekeeper;
use crate::faults::Fault;

use super::Reply;

/// What happens to an answer.
#[derive(Debug)]
pub(crate) enum Delivery {
    /// It is sent, corrupted by the fault if there is one.
    Send(Reply, Option<Fault>),
    /// The connection is reset without one.
    Reset,
}

/// What comes instead of the body, and is no JSON.
const GARBAGE: &[u8] = b"\x00\xFF{\"outputs\": <garbage>";

/// Whether the connection can go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    KeepAlive,
    Close,
}

/// Sends an answer. HEAD gets a body, too: the real server refuses it like any other method.
pub(crate) async fn send(
    stream: &mut TcpStream,
    timekeeper: &Timekeeper,
    mut reply: Reply,
    fault: Option<&Fault>,
) -> io::Result<After> {
    let mut after = After::KeepAlive;
    if matches!(fault, Some(Fault::Garbage)) {
        reply.body = GARBAGE.to_vec();
    }
    let mut off_by = 0;
    if let Some(Fault::WrongLength { off_by: by }) = fault {
        off_by = *by;
        after = After::Close;
    }
    let mut head = head(&reply, off_by);
    if matches!(fault, Some(Fault::DuplicateHeaders)) {
        head.duplicate();
    }
    let mut message = head.to_bytes();
    message.extend(body(&reply));
    match fault {
        Some(Fault::Truncate { bytes }) => {
            message.truncate(*bytes);
            stream.write_all(&message).await?;
            return Ok(After::Close);
        }
        Some(Fault::SlowBytes { pause }) => {
            send_slowly(stream, timekeeper, &message, *pause).await?;
        }
        _ => stream.write_all(&message).await?,
    }
    Ok(after)
}

async fn send_slowly(
    stream: &mut TcpStream,
    timekeeper: &Timekeeper,
    message: &[u8],
    pause: Duration,
) -> io::Result<()> {
    for byte in message {
        stream.write_all(std::slice::from_ref(byte)).await?;
        timekeeper.sleep(pause).await;
    }
    Ok(())
}

struct Head {
    status: u16,
    headers: Vec<(&'static str, String)>,
}

fn head(reply: &Reply, off_by: i64) -> Head {
    let mut headers = reply.headers.clone();
    headers.push(match reply.chunked {
        true => ("Transfer-Encoding", "chunked".to_owned()),
        false => {
            let length = (reply.body.len() as i64 + off_by).max(0);
            ("Content-Length", length.to_string())
        }
    });
    Head {
        status: reply.status,
        headers,
    }
}

impl Head {
    fn duplicate(&mut self) {
        let headers = std::mem::take(&mut self.headers);
        for header in headers {
            self.headers.extend([header.clone(), header]);
        }
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut text = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        for (name, value) in &self.headers {
            text.push_str(name);
            text.push_str(": ");
            text.push_str(value);
            text.push_str("\r\n");
        }
        text.push_str("\r\n");
        text.into_bytes()
    }
}

fn body(reply: &Reply) -> Vec<u8> {
    match reply.chunked {
        false => reply.body.clone(),
        true => {
            let size = format!("{:x}\r\n", reply.body.len());
            [size.as_bytes(), &reply.body, b"\r\n0\r\n\r\n"].concat()
        }
    }
}

/// The words behind the status code.
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Unknown",
    }
}
