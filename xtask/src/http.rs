//! Small requests to a server on this machine: for these the standard
//! library is less to carry than an HTTP client. (The crates under `crates/` stay out
//! of it, because this program has to judge the server when they are broken.)

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;

const LIMIT: Duration = Duration::from_secs(5);

pub(crate) struct Response {
    pub(crate) status: u16,
    request: String,
    body: Vec<u8>,
}

impl Response {
    /// Fails unless the server has taken the request.
    pub(crate) fn accepted(&self) -> Result<()> {
        if !matches!(self.status, 200..=299) {
            let body = String::from_utf8_lossy(&self.body);
            bail!("{} returned {}: {body}", self.request, self.status);
        }
        Ok(())
    }

    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T> {
        if self.status != 200 {
            let body = String::from_utf8_lossy(&self.body);
            bail!("{} returned {}: {body}", self.request, self.status);
        }
        self.content()
    }

    /// The body, whatever the status.
    pub(crate) fn content<T: DeserializeOwned>(&self) -> Result<T> {
        let body = String::from_utf8_lossy(&self.body);
        serde_json::from_str(&body).with_context(|| format!("cannot read {}: {body}", self.request))
    }
}

pub(crate) fn get(port: u16, path: &str) -> Result<Response> {
    send("GET", port, path)
}

pub(crate) fn post(port: u16, path: &str) -> Result<Response> {
    send("POST", port, path)
}

pub(crate) fn patch(port: u16, path: &str) -> Result<Response> {
    send("PATCH", port, path)
}

/// Sends a body of JSON.
pub(crate) fn send_json(method: &str, port: u16, path: &str, body: &str) -> Result<Response> {
    send_with(method, port, path, body)
}

fn send(method: &str, port: u16, path: &str) -> Result<Response> {
    send_with(method, port, path, "")
}

fn send_with(method: &str, port: u16, path: &str, body: &str) -> Result<Response> {
    let request = format!("{method} http://127.0.0.1:{port}{path}");
    let reply = exchange(method, port, path, body).with_context(|| format!("{request} failed"))?;
    let (status, body) =
        parse(&reply).with_context(|| format!("{request} returned something else than HTTP"))?;
    Ok(Response {
        status,
        request,
        body: body.to_vec(),
    })
}

/// HTTP/1.0 makes the server close the connection where the response ends.
fn exchange(method: &str, port: u16, path: &str, body: &str) -> Result<Vec<u8>> {
    let mut stream =
        TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    // In one piece: Triton answers 404 where a path arrives in two.
    let length = body.len();
    let kind = match body {
        "" => "",
        _ => "Content-Type: application/json\r\n",
    };
    let request = format!(
        "{method} {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n{kind}Content-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes())?;
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply)?;
    Ok(reply)
}

fn parse(reply: &[u8]) -> Option<(u16, &[u8])> {
    let end = reply.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&reply[..end]).ok()?;
    let status = head
        .strip_prefix("HTTP/")?
        .split(' ')
        .nth(1)?
        .parse()
        .ok()?;
    Some((status, &reply[end + 4..]))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_response_is_status_and_body() {
        let reply = b"HTTP/1.1 400 Bad Request\r\nA: b\r\n\r\n{}";
        assert_eq!(parse(reply), Some((400, &b"{}"[..])));
        assert_eq!(parse(b"HTTP/1.1 200 OK\r\n\r\n"), Some((200, &b""[..])));
        assert_eq!(parse(b"SSH-2.0\r\n\r\n"), None);
        assert_eq!(parse(b""), None);
    }
}
