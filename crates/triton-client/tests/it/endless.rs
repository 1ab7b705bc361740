//! What never ends, and waits of any length: no call outlives its timeout, and none says more of
//! what was sent than is known.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::Frame;
use triton_client::http::{Request, Response, StatusCode};
use triton_client::http_service::{HttpError, HttpFuture, HttpService, RequestBody, ResponseBody};
use triton_client::{
    Client, ErrorKind, GenerateRequest, IndexFilter, InferRequest, Sequence, SequenceId, Tensor,
    TensorFormat,
};
use triton_test_support::EmbeddedTriton;

use crate::raw_server::RawServer;

fn request(bytes: usize) -> InferRequest {
    InferRequest::new("echo".parse().unwrap())
        .input(Tensor::from_vec("value", [bytes], vec![7_u8; bytes]).unwrap())
        .format(TensorFormat::Binary)
}

#[tokio::test]
async fn a_timeout_may_be_as_long_as_one_likes() {
    let server = EmbeddedTriton::start().unwrap();
    let client = Client::builder(server.endpoint())
        .timeout(Duration::MAX)
        .connect_timeout(Duration::MAX)
        .idle_timeout(Duration::MAX)
        .build()
        .unwrap();
    client.live().await.unwrap();
    let tensor = Tensor::from_slice("value", [1, 1], &[1.0_f32]).unwrap();
    let request = InferRequest::new("echo".parse().unwrap()).input(tensor);
    let patient = client.with_timeout(Duration::MAX);
    patient
        .infer(&request.timeout(Duration::MAX))
        .await
        .unwrap();
    let stream = GenerateRequest::new("echo".parse().unwrap()).input("value", [0.5]);
    let mut stream = client.generate_stream(&stream).await.unwrap();
    stream.next().await.unwrap().unwrap();
}

/// Answers before the answer, for ever.
#[tokio::test]
async fn interim_answers_without_end_are_not_read_for_ever() {
    for interim in [
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\n\r\n",
    ] {
        let many = interim.repeat(1000);
        let server = RawServer::start(
            move |connection| {
                while connection.write_all(many.as_bytes()).is_ok() {}
            },
        );
        let client = Client::builder(&server.endpoint).timeout(Duration::from_secs(60));
        let error = client.build().unwrap().live().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
    }
}

/// Answers with a body that says nothing, again and again.
#[derive(Debug)]
struct Saying(u16);

struct Nothing;

impl http_body::Body for Nothing {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        Poll::Ready(Some(Ok(Frame::data(Bytes::new()))))
    }
}

impl HttpService for Saying {
    fn call(&self, request: Request<RequestBody>) -> HttpFuture<'_> {
        request.into_body().into_bytes().unwrap();
        let mut response = Response::new(ResponseBody::new(Nothing));
        *response.status_mut() = StatusCode::from_u16(self.0).unwrap();
        Box::pin(async move { Ok(response) })
    }
}

#[tokio::test]
async fn empty_pieces_without_end_run_into_the_timeout() {
    for (status, kind) in [(200, ErrorKind::Timeout), (503, ErrorKind::Unavailable)] {
        let client = Client::builder("http://triton.invalid")
            .timeout(Duration::from_millis(300))
            .http_service(Arc::new(Saying(status)));
        let error = client
            .build()
            .unwrap()
            .infer(&request(4))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.may_have_executed(), "{error}");
    }
}

/// The body goes out on another thread than the one on which the time runs out.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_the_server_has_as_a_whole_is_never_said_not_to_be_sent() {
    const BYTES: usize = 8 << 20;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (whole, has_come) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        while let Ok((mut connection, _)) = listener.accept() {
            let whole = whole.clone();
            std::thread::spawn(move || {
                let mut buffer = vec![0; 1 << 20];
                let mut read = 0;
                while let Ok(bytes @ 1..) = connection.read(&mut buffer) {
                    read += bytes;
                }
                let _ = whole.send(read > BYTES);
            });
        }
    });
    let client = Client::new(&endpoint).unwrap();
    let request = request(BYTES);
    for round in 0..120 {
        let timeout = Duration::from_micros(500 + 100 * (round % 60));
        let error = client
            .infer(&request.clone().timeout(timeout))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
        // Where no connection was made in time, none ends.
        let Ok(whole) = has_come.recv_timeout(Duration::from_secs(5)) else {
            assert!(!error.may_have_executed());
            continue;
        };
        assert!(
            error.may_have_executed() || !whole,
            "round {round}: {error}"
        );
    }
}

/// Answers while it still reads, as a gateway may that only passes things on.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_may_be_long_and_begin_before_the_request_has_ended() {
    const BYTES: usize = 32 << 20;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        let body = format!("{}{}", r#"{"outputs":[]}"#, " ".repeat(BYTES));
        let (mut buffer, mut read) = (vec![0; 1 << 16], 0);
        read += connection.read(&mut buffer).unwrap();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        connection.write_all(head.as_bytes()).unwrap();
        // The client has seen the head when most of its request is still to be written.
        while read < BYTES {
            read += connection.read(&mut buffer).unwrap();
        }
        connection.write_all(body.as_bytes()).unwrap();
        // What is closed with anything left to read takes away what it wrote.
        while connection.read(&mut buffer).is_ok_and(|bytes| bytes > 0) {}
    });
    let client = Client::new(&endpoint).unwrap();
    client.infer(&request(BYTES)).await.unwrap();
}

/// A server without an index that lists models without end, and an ensemble of many steps: each is
/// asked about, and answers slowly.
#[tokio::test]
async fn a_call_of_many_questions_has_one_time_for_all_of_them() {
    let names: Vec<_> = (0..2000).map(|index| format!(r#""m{index}""#)).collect();
    let models = format!(r#"{{"models":[{}]}}"#, names.join(","));
    let steps = names.iter().take(200);
    let steps: Vec<_> = steps
        .map(|name| format!(r#"{{"model_name":{name}}}"#))
        .collect();
    let steps = steps.join(",");
    let ensemble = format!(r#"{{"name":"pipeline","ensemble_scheduling":{{"step":[{steps}]}}}}"#);
    let server = RawServer::answering_each(move |connection, path| {
        let (status, body) = match path {
            "/v2/repository/index" => ("404 Not Found", ""),
            "/v2/models" => ("200 OK", models.as_str()),
            "/v2/models/pipeline/config" => ("200 OK", ensemble.as_str()),
            _ => {
                // The client sends nothing more, so this waits.
                let pause = Some(Duration::from_millis(50));
                connection.set_read_timeout(pause).unwrap();
                let _ = connection.read(&mut [0]);
                ("200 OK", r#"{"name":"m"}"#)
            }
        };
        let length = body.len();
        let head =
            format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
        let _ = connection.write_all((head + body).as_bytes());
    });
    let client = Client::builder(&server.endpoint).timeout(Duration::from_millis(200));
    let client = client.build().unwrap();
    let pipeline = "pipeline".parse().unwrap();
    let began = Instant::now();
    let index = client.repository_index(IndexFilter::Ready).await;
    let steps = client.model_config_with_steps(&pipeline).await;
    let description = client.describe_model(&pipeline).await;
    let took = began.elapsed();
    for error in [
        index.unwrap_err(),
        steps.unwrap_err(),
        description.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    }
    assert!(took < Duration::from_secs(12), "{took:?}");
}

/// A gateway hands a refusal on without its length.
#[tokio::test]
async fn a_refusal_in_chunks_is_whole() {
    let text = "inference request for sequence s to model 'echo' must specify the START flag on the \
                first request of the sequence";
    let body = format!(r#"{{"error":"{text}"}}"#);
    let chunked = format!(
        "HTTP/1.1 400 Bad Request\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    );
    for answer in [chunked, format!("HTTP/1.1 400 Bad Request\r\n\r\n{body}")] {
        let server = RawServer::answering(answer);
        let sequence = Sequence::next(SequenceId::text("s").unwrap());
        let request = request(4).sequence(sequence);
        let error = Client::new(&server.endpoint).unwrap().infer(&request).await;
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SequenceNotStarted, "{error}");
        assert_eq!((error.message(), error.may_have_executed()), (text, false));
    }
}
