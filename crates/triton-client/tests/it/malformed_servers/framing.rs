//! Answers that are no HTTP, or not the HTTP that they say they are.

use std::time::Duration;

use triton_client::ErrorKind;

use super::{Case, bytes, without_end};

pub(super) fn cases() -> Vec<Case> {
    use ErrorKind::{Interrupted, Protocol, ResponseTooLarge, Timeout};
    let with_header = |line: &[u8]| {
        let (start, end) = (b"HTTP/1.1 200 OK\r\n", b"\r\nContent-Length: 2\r\n\r\n{}");
        bytes([start.as_slice(), line, end].concat())
    };
    let with_status = |line: &str| bytes(format!("{line}\r\nContent-Length: 2\r\n\r\n{{}}"));
    let in_chunks = |chunks: &str| {
        bytes(format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}"
        ))
    };
    vec![
        (
            "a header's name with a space",
            Protocol,
            with_header(b"a b: c"),
        ),
        ("a header without a name", Protocol, with_header(b": c")),
        (
            "a header's name with a NUL",
            Protocol,
            with_header(b"a\0: c"),
        ),
        ("a NUL in a header", Protocol, with_header(b"a: b\0c")),
        (
            "a header over two lines",
            Protocol,
            with_header(b"a: b\r\n c"),
        ),
        (
            "a lone CR in a header",
            Protocol,
            with_header(b"a: b\rc: d"),
        ),
        (
            "a length below nothing",
            Protocol,
            bytes("HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n{}"),
        ),
        (
            "a length with a sign",
            Protocol,
            bytes("HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\n{}"),
        ),
        (
            "a length of two numbers",
            Protocol,
            bytes("HTTP/1.1 200 OK\r\nContent-Length: 1 2\r\n\r\n{}"),
        ),
        (
            "a length beyond 64 bits",
            Protocol,
            bytes("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n{}"),
        ),
        (
            "a length in hexadecimal digits",
            Protocol,
            bytes("HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\n{}"),
        ),
        (
            "chunks in another encoding",
            Protocol,
            bytes("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n2\r\n{}\r\n0\r\n\r\n"),
        ),
        (
            "a chunk beyond 64 bits",
            Protocol,
            in_chunks("fffffffffffffffff\r\n{}"),
        ),
        (
            "a chunk below nothing",
            Protocol,
            in_chunks("-2\r\n{}\r\n0\r\n\r\n"),
        ),
        (
            "a chunk that is longer than it says",
            Protocol,
            in_chunks("1\r\n{}\r\n0\r\n\r\n"),
        ),
        (
            "a chunk above the limit",
            ResponseTooLarge,
            in_chunks(&format!(
                "{:x}\r\n{}",
                super::LIMIT * 2,
                " ".repeat(super::LIMIT * 2)
            )),
        ),
        (
            "chunks that never end",
            Interrupted,
            in_chunks("2\r\n{}\r\n"),
        ),
        (
            "trailers without end",
            Protocol,
            without_end(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n",
                b"a: b\r\n",
                None,
            ),
        ),
        (
            "a status of two digits",
            Protocol,
            with_status("HTTP/1.1 99 OK"),
        ),
        (
            "a status of four digits",
            Protocol,
            with_status("HTTP/1.1 2000 OK"),
        ),
        ("a status of zero", Protocol, with_status("HTTP/1.1 000 OK")),
        (
            "another version of HTTP",
            Protocol,
            with_status("HTTP/3.0 200 OK"),
        ),
        (
            "HTTP in small letters",
            Protocol,
            with_status("http/1.1 200 OK"),
        ),
        (
            "HTTP before there were heads",
            Protocol,
            bytes("<html>hello</html>"),
        ),
        (
            "no content",
            Protocol,
            bytes("HTTP/1.1 204 No Content\r\n\r\n"),
        ),
        (
            "a part of the content",
            Protocol,
            with_status("HTTP/1.1 206 Partial Content"),
        ),
        (
            "nothing that is newer",
            Protocol,
            bytes("HTTP/1.1 304 Not Modified\r\n\r\n"),
        ),
        (
            "another protocol from here on",
            Protocol,
            bytes("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
        ),
        (
            "a promise to go on, and nothing",
            Interrupted,
            bytes("HTTP/1.1 100 Continue\r\n\r\n"),
        ),
        ("an alert of TLS", Protocol, bytes([21, 3, 1, 0, 2, 2, 40])),
        (
            "zeros without end",
            Protocol,
            without_end(b"", &[0; 4096], None),
        ),
        (
            "empty lines without end",
            Timeout,
            without_end(b"", b"\r\n", Some(Duration::from_millis(20))),
        ),
        (
            "a status line without end",
            Protocol,
            without_end(b"HTTP/1.1 200 ", &[b'O'; 4096], None),
        ),
    ]
}
