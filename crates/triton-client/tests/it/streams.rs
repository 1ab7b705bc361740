//! Streams that are none, that never become an event, or that come in any pieces.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use triton_client::{Client, Error, ErrorKind, GenerateRequest, Generated, ModelId};

use crate::raw_server::RawServer;

/// What a stream gives whose server does so, with the address left out of its words.
async fn streamed(
    timeout: Duration,
    answer: impl Fn(&mut TcpStream) + Send + Sync + 'static,
) -> Vec<Result<Generated, Error>> {
    let server = RawServer::start(answer);
    let client = Client::builder(&server.endpoint)
        .timeout(timeout)
        .build()
        .unwrap();
    let request = GenerateRequest::new(ModelId::latest("llm".parse().unwrap()));
    let mut stream = client.generate_stream(&request).await.unwrap();
    let mut events = Vec::new();
    while let Some(event) = stream.next().await {
        events.push(event);
    }
    events
}

fn head(content_type: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nConnection: close\r\n\r\n")
}

/// What a stream begins with that says where it ends.
const CHUNKED: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
                       Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n";

/// A piece of a stream, or its end.
fn write_chunk(connection: &mut TcpStream, piece: &[u8]) {
    let length = format!("{:x}\r\n", piece.len());
    let chunk = [length.as_bytes(), piece, b"\r\n"].concat();
    connection.write_all(&chunk).unwrap();
}

async fn foreign(content_type: &str, body: &'static str) -> String {
    let head = head(content_type);
    let events = streamed(Duration::from_secs(20), move |connection| {
        connection.write_all(head.as_bytes()).unwrap();
        // In two pieces, so that the first must not be taken for the whole.
        let (first, second) = body.split_at(body.len() / 2);
        for piece in [first, second] {
            connection.write_all(piece.as_bytes()).unwrap();
            connection.flush().unwrap();
        }
    })
    .await;
    let [Err(error)] = &events[..] else {
        panic!("{events:?}");
    };
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
    assert!(error.may_have_executed() && error.status() == Some(200));
    error.message().to_owned()
}

#[tokio::test]
async fn a_stream_that_is_none_is_an_error_with_its_words() {
    let page =
        "<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>to go on</body></html>";
    insta::assert_snapshot!(foreign("text/html", page).await, @"expected a stream of events, found: Sign in to go on");
    insta::assert_snapshot!(foreign("application/json", r#"{"error":"not here"}"#).await, @"expected a stream of events, found: not here");
    insta::assert_snapshot!(foreign("text/event-stream", "upstream failed\n").await, @"expected a stream of events, found: upstream failed");
    insta::assert_snapshot!(foreign("text/plain", "Unauthorized").await, @"expected a stream of events, found: Unauthorized");
}

#[tokio::test]
async fn an_empty_answer_that_is_no_stream_is_none_without_events() {
    insta::assert_snapshot!(foreign("text/html", "").await, @"expected a stream of events, found an answer without any, whose Content-Type is not text/event-stream");
}

#[tokio::test]
async fn a_stream_without_events_is_empty() {
    let events = streamed(Duration::from_secs(20), move |connection| {
        connection.write_all(CHUNKED.as_bytes()).unwrap();
        write_chunk(connection, b": nothing to say\n\n");
        write_chunk(connection, b"");
    });
    assert!(events.await.is_empty());
}

/// A gateway that is stopped ends what it hands on, and a stream has no other end than that.
#[tokio::test]
async fn a_stream_that_ends_only_with_its_connection_is_not_taken_for_whole() {
    for (version, event) in [
        ("1.1", "data: {\"x\":1}\n\n"),
        ("1.0", "data: {\"x\":1}\n\n"),
        ("1.1", ""),
    ] {
        let events = streamed(Duration::from_secs(20), move |connection| {
            let head = format!("HTTP/{version} 200 OK\r\nContent-Type: text/event-stream\r\n\r\n");
            connection.write_all((head + event).as_bytes()).unwrap();
        })
        .await;
        let (last, before) = events.split_last().unwrap();
        assert_eq!(before.len(), usize::from(!event.is_empty()), "{events:?}");
        assert!(before.iter().all(Result::is_ok), "{events:?}");
        let error = last.as_ref().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Interrupted, "{error}");
        assert!(
            error.is_transient() && error.may_have_executed(),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn bytes_that_never_become_an_event_run_into_the_timeout() {
    for piece in [": still here\n", "d", "event: ping\n\n"] {
        let head = head("text/event-stream");
        let began = Instant::now();
        let events = streamed(Duration::from_millis(800), move |connection| {
            connection.write_all(head.as_bytes()).unwrap();
            let event = b"data: {\"x\":1}\n\ndata: {\"y\":";
            connection
                .write_all(&event[..if piece == "d" { event.len() } else { 15 }])
                .unwrap();
            // The client sends nothing more, so this waits until it hangs up.
            let pause = Some(Duration::from_millis(20));
            connection.set_read_timeout(pause).unwrap();
            while connection.write_all(piece.as_bytes()).is_ok() {
                if matches!(connection.read(&mut [0]), Ok(0)) {
                    return;
                }
            }
        })
        .await;
        let [Ok(_), Err(error)] = &events[..] else {
            panic!("{events:?}");
        };
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
        assert!(began.elapsed() < Duration::from_secs(5));
    }
}

#[tokio::test]
async fn every_end_of_line_and_every_comment_is_understood() {
    let events = streamed(Duration::from_secs(20), move |connection| {
        connection.write_all(CHUNKED.as_bytes()).unwrap();
        let body = "\u{feff}data: {\"a\":\r\ndata: 1}\r\n\r\n: hush\rdata:{\"a\":2}\r\rid: 3\nevent: x\ndata: {\"a\": 3}\n\n";
        for byte in body.as_bytes() {
            write_chunk(connection, &[*byte]);
        }
        write_chunk(connection, b"");
    })
    .await;
    let numbers: Vec<_> = events
        .iter()
        .map(|event| {
            event
                .as_ref()
                .unwrap()
                .output("a")
                .unwrap()
                .as_u64()
                .unwrap()
        })
        .collect();
    assert_eq!(numbers, [1, 2, 3]);
}
