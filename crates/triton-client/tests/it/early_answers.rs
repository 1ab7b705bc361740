//! Servers and gateways that refuse a request while it is still being sent.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use triton_client::{
    Client, Datatype, ErrorKind, GenerateRequest, InferRequest, ModelId, Tensor, TensorFormat,
};

const LARGE: usize = 64 << 20;

/// Reads the head of each request, and nothing of its body but what came with it, and then does
/// what `answer` does; returns the server's address.
fn after_the_head(answer: impl Fn(&mut TcpStream) + Clone + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        while let Ok((mut connection, _)) = listener.accept() {
            let answer = answer.clone();
            std::thread::spawn(move || {
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") {
                    if !matches!(connection.read(&mut byte), Ok(1)) {
                        return;
                    }
                    head.push(byte[0]);
                }
                answer(&mut connection);
            });
        }
    });
    endpoint
}

fn request(bytes: &Bytes) -> InferRequest {
    let tensor = Tensor::from_raw("value", Datatype::Uint8, [bytes.len()], bytes.clone()).unwrap();
    InferRequest::new(ModelId::latest("echo".parse().unwrap())).input(tensor)
}

fn client(endpoint: &str) -> Client {
    Client::builder(endpoint)
        .timeout(Duration::from_secs(20))
        .tensor_format(TensorFormat::Binary)
        .build()
        .unwrap()
}

fn answer(status: &str, headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\n{headers}\r\n{body}").into_bytes()
}

#[tokio::test]
async fn a_refusal_that_comes_early_is_that_refusal() {
    let bytes = Bytes::from(vec![7; LARGE]);
    let with_length = answer(
        "413 Payload Too Large",
        "Content-Length: 9\r\n",
        "too large",
    );
    let until_closed = answer(
        "413 Payload Too Large",
        "Connection: close\r\n",
        "too large",
    );
    let cut = answer(
        "413 Payload Too Large",
        "Content-Length: 100\r\n",
        "too large",
    );
    let closing =
        |text: Vec<u8>| after_the_head(move |connection| connection.write_all(&text).unwrap());
    let staying = {
        let text = with_length.clone();
        after_the_head(move |connection| {
            connection.write_all(&text).unwrap();
            std::thread::park();
        })
    };
    let reading = {
        let text = with_length.clone();
        after_the_head(move |connection| {
            connection.write_all(&text).unwrap();
            let mut piece = vec![0; 64 << 10];
            for _ in 0..50 {
                let _ = connection.read(&mut piece);
            }
        })
    };
    for (name, endpoint) in [
        ("closes", closing(with_length)),
        ("closes, and had told no length", closing(until_closed)),
        ("closes in the middle of its text", closing(cut)),
        ("reads a little more and closes", reading),
        ("reads nothing more and stays", staying),
    ] {
        let client = client(&endpoint);
        for round in 0..20 {
            let error = client.infer(&request(&bytes)).await.unwrap_err();
            assert_eq!(
                (error.kind(), error.status()),
                (ErrorKind::RequestTooLarge, Some(413)),
                "{name}, round {round}: {error:?}"
            );
            assert!(error.message().starts_with("too large"), "{error}");
            assert!(
                !error.is_transient() && !error.may_have_executed(),
                "{error:?}"
            );
        }
    }
}

#[tokio::test]
async fn so_is_one_of_a_small_request_and_of_any_status() {
    let bytes = Bytes::from(vec![7; 20_000]);
    for (status, kind) in [
        ("401 Unauthorized", ErrorKind::Denied),
        ("413 Payload Too Large", ErrorKind::RequestTooLarge),
        ("429 Too Many Requests", ErrorKind::Unavailable),
        ("503 Service Unavailable", ErrorKind::Unavailable),
    ] {
        // Without the second line the next request would go out on a connection that is closed.
        let with_length = "Content-Length: 2\r\nConnection: close\r\nRetry-After: 3\r\n";
        for headers in ["", with_length] {
            let text = answer(status, headers, "no");
            let endpoint = after_the_head(move |connection| {
                connection.write_all(&text).unwrap();
            });
            let client = client(&endpoint);
            for round in 0..20 {
                let error = client.infer(&request(&bytes)).await.unwrap_err();
                assert_eq!(error.kind(), kind, "{status}, round {round}: {error:?}");
                let wait = (!headers.is_empty()).then_some(Duration::from_secs(3));
                assert_eq!(error.retry_after(), wait);
            }
        }
    }
}

#[tokio::test]
async fn a_connection_whose_request_was_refused_early_is_closed() {
    let (closed, wait) = std::sync::mpsc::channel();
    let (read, is_read) = std::sync::mpsc::channel();
    let is_read = Arc::new(Mutex::new(is_read));
    let text = answer(
        "413 Payload Too Large",
        "Content-Length: 9\r\n",
        "too large",
    );
    let endpoint = after_the_head(move |connection| {
        connection.write_all(&text).unwrap();
        // As long as everything that is sent is taken at once, nobody looks whether there is an answer.
        let _ = is_read.lock().unwrap().recv();
        // Reads to the end, which comes long before the whole request, or not at all.
        let mut piece = vec![0; 64 << 10];
        let mut received = 0;
        while let Ok(count @ 1..) = connection.read(&mut piece) {
            received += count;
        }
        closed.send(received).unwrap();
    });
    let bytes = Bytes::from(vec![7; LARGE]);
    client(&endpoint).infer(&request(&bytes)).await.unwrap_err();
    read.send(()).unwrap();
    let received = tokio::task::spawn_blocking(move || wait.recv_timeout(Duration::from_secs(10)));
    assert!(received.await.unwrap().unwrap() < LARGE);
}

#[tokio::test]
async fn what_was_too_large_is_known_afterwards() {
    let bytes = Bytes::from(vec![7; 1000]);
    let known = |headers: &'static str, status: &'static str, body: &'static str| {
        let text = answer(status, headers, body);
        let endpoint = after_the_head(move |connection| connection.write_all(&text).unwrap());
        let bytes = bytes.clone();
        async move {
            let client = client(&endpoint);
            assert_eq!(client.known_request_limit(), None);
            let error = client.infer(&request(&bytes)).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::RequestTooLarge);
            let other = client.with_timeout(Duration::from_secs(1));
            assert_eq!(other.known_request_limit(), client.known_request_limit());
            (
                error.to_string().replace(&endpoint, "http://server"),
                client.known_request_limit().unwrap(),
            )
        }
    };
    let (words, limit) = known("", "413 Payload Too Large", "").await;
    insta::assert_snapshot!(words, @"infer with model 'echo' at http://server/: status 413: the server gave no reason (the request's body has 1167 bytes)");
    assert!((1000..1200).contains(&limit), "{limit}");
    let (words, limit) = known(
        "",
        "400 Bad Request",
        r#"{"error":"request JSON size of 1072 bytes exceeds the maximum allowed input size of 64 bytes"}"#,
    )
    .await;
    insta::assert_snapshot!(words, @"infer with model 'echo' at http://server/: status 400: request JSON size of 1072 bytes exceeds the maximum allowed input size of 64 bytes (the rest of this answer did not come) (the request's body has 1167 bytes)");
    assert_eq!(limit, 64);
}

/// Whatever it is, it cannot be the answer to a request of which the server lacks a part.
#[tokio::test]
async fn outputs_that_come_before_the_request_was_sent_are_no_answer_to_it() {
    let bytes = Bytes::from(vec![7; LARGE]);
    let outputs = r#"{"outputs":[{"name":"echo","datatype":"INT8","shape":[1],"data":[3]}]}"#;
    let length = format!("Content-Length: {}\r\n", outputs.len());
    let text = answer("200 OK", &length, outputs);
    let endpoint = after_the_head(move |connection| {
        connection.write_all(&text).unwrap();
        std::thread::park();
    });
    let error = client(&endpoint).infer(&request(&bytes)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
    assert!(!error.may_have_executed(), "{error:?}");
    insta::assert_snapshot!(error.message(), @"the answer came before the whole request was sent, so it is not the answer to it");

    // The same of the events of a stream.
    let event = "d\r\ndata: {\"x\":1}\n\n\r\n0\r\n\r\n".replace("d\r\n", "f\r\n");
    let head = "Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n";
    let text = answer("200 OK", head, &event);
    let endpoint = after_the_head(move |connection| {
        connection.write_all(&text).unwrap();
        std::thread::park();
    });
    let model = ModelId::latest("llm".parse().unwrap());
    let request = GenerateRequest::new(model).input("text_input", "a".repeat(LARGE));
    let client = client(&endpoint);
    let mut stream = client.generate_stream(&request).await.unwrap();
    let error = stream.next().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
    assert!(!error.may_have_executed(), "{error:?}");
}
