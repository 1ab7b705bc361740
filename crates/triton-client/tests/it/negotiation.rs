//! The question for the server's extensions: asked once, for all, and at nobody's cost.

use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use triton_client::{
    Client, ErrorKind, InferRequest, InferResponse, ModelId, Tensor, TensorFormat,
};

use crate::raw_server::RawServer;

const INFERRED: &str = r#"{"outputs":[{"name":"x","datatype":"INT8","shape":[1],"data":[3]}]}"#;

const MODEL: &str =
    r#"{"name":"echo","versions":["1"],"platform":"python","inputs":[],"outputs":[]}"#;

fn answer(status: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
}

/// A server that does `metadata` when asked for its extensions, and how often it was asked.
fn server(
    metadata: impl Fn(&mut std::net::TcpStream) + Send + Sync + 'static,
) -> (RawServer, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let server = RawServer::answering_each(move |connection, path| match path {
        "/v2" => {
            count.fetch_add(1, Ordering::SeqCst);
            metadata(connection);
        }
        "/v2/models/echo" => {
            let _ = connection.write_all(answer("200 OK", MODEL).as_bytes());
        }
        _ => {
            let _ = connection.write_all(answer("200 OK", INFERRED).as_bytes());
        }
    });
    (server, asked)
}

fn client(server: &RawServer, timeout: Duration) -> Client {
    let endpoint = &server.endpoint;
    Client::builder(endpoint).timeout(timeout).build().unwrap()
}

async fn infer(client: &Client) -> Result<InferResponse, triton_client::Error> {
    let request = InferRequest::new(ModelId::latest("echo".parse().unwrap()))
        .input(Tensor::from_slice("value", [1], &[1.0_f32]).unwrap());
    client.infer(&request).await
}

/// Makes 32 calls at once; the time that they took together.
async fn round(client: &Client) -> Duration {
    let began = Instant::now();
    let calls: Vec<_> = (0..32)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { infer(&client).await.map(drop) })
        })
        .collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    began.elapsed()
}

#[tokio::test]
async fn calls_wait_together_for_a_server_that_does_not_tell() {
    let (_never, wait) = std::sync::mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let (server, asked) = server(move |connection| {
        let _ = wait
            .lock()
            .unwrap()
            .recv_timeout(Duration::from_millis(100));
        let _ = connection.write_all(answer("500 Oh", r#"{"error":"no"}"#).as_bytes());
    });
    let client = client(&server, Duration::from_secs(20));
    let first = round(&client).await;
    // One after the other they would take more than three seconds.
    assert!(first < Duration::from_secs(2), "{first:?}");
    round(&client).await;
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_question_that_hangs_leaves_calls_half_of_their_time() {
    let (server, asked) = server(|_| std::thread::park());
    let client = client(&server, Duration::from_secs(1));
    let first = round(&client).await;
    assert!(first >= Duration::from_millis(500), "{first:?}");
    let second = round(&client).await;
    assert!(second < Duration::from_millis(400), "{second:?}");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn the_question_outlives_the_call_that_asked_it_first() {
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let (server, asked) = server(move |connection| {
        let _ = wait.lock().unwrap().recv();
        let metadata = r#"{"name":"x","version":"1","extensions":[]}"#;
        let _ = connection.write_all(answer("200 OK", metadata).as_bytes());
    });
    let client = client(&server, Duration::from_secs(20));
    let started = |client: &Client| {
        let client = client.clone();
        tokio::spawn(async move { infer(&client).await.map(drop) })
    };
    let first = started(&client);
    while asked.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    let second = started(&client);
    tokio::task::yield_now().await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    go.send(()).unwrap();
    second.await.unwrap().unwrap();
    infer(&client).await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    // It has none, so that tensors travel as JSON.
    assert!(
        server.last_request().contains(r#""data":[1.0]"#),
        "{}",
        server.last_request()
    );
}

#[tokio::test]
async fn a_server_that_is_away_is_asked_again_when_it_is_back() {
    let address = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let endpoint = format!("http://{address}");
    let client = Client::new(endpoint).unwrap();
    for _ in 0..2 {
        let error = infer(&client).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.may_have_executed()),
            (ErrorKind::Connect, false)
        );
        assert_eq!(error.operation(), "infer with model 'echo'");
    }
    let listener = std::net::TcpListener::bind(address).unwrap();
    let asked = std::thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        let mut start = [0; 8];
        std::io::Read::read_exact(&mut connection, &mut start).unwrap();
        start
    });
    infer(&client).await.unwrap_err();
    assert_eq!(&asked.join().unwrap(), b"GET /v2 ");
}

/// Somebody else has loaded the model anew, with an output that JSON cannot carry: the server fails at it
/// after the model has run, which is to happen once.
#[tokio::test]
async fn outputs_are_looked_up_again_after_a_refusal() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let server = RawServer::answering_each(move |connection, path| {
        let output = |datatype: &str| {
            format!(
                r#"{{"name":"echo","versions":["1"],"platform":"python","inputs":[],
                "outputs":[{{"name":"x","datatype":"{datatype}","shape":[1]}}]}}"#
            )
        };
        let (status, body) = match path {
            "/v2" => (
                "200 OK",
                r#"{"extensions":["binary_tensor_data"]}"#.to_owned(),
            ),
            "/v2/models/echo" => match count.fetch_add(1, Ordering::SeqCst) {
                0 => ("200 OK", output("INT8")),
                _ => ("200 OK", output("FP16")),
            },
            _ if count.load(Ordering::SeqCst) < 2 => (
                "500 Internal Server Error",
                r#"{"error":"failed to write FP16"}"#.to_owned(),
            ),
            _ => ("200 OK", INFERRED.to_owned()),
        };
        let _ = connection.write_all(answer(status, &body).as_bytes());
    });
    let client = client(&server, Duration::from_secs(10));
    let request = InferRequest::new(ModelId::latest("echo".parse().unwrap()))
        .input(Tensor::from_slice("value", [1], &[1.0_f32]).unwrap())
        .format(TensorFormat::Json);
    let error = client.infer(&request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Server);
    client.infer(&request).await.unwrap();
    client.infer(&request).await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    assert!(server.last_request().contains("binary_data\":true"));
}
