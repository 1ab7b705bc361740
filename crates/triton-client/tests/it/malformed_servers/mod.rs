//! Servers that break the rules: each ends in a typed error, in time and in bounded memory.

mod bodies;
mod descriptions;
mod framing;

use std::io::Write as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use triton_client::{
    Client, Compression, Error, ErrorKind, InferRequest, ModelId, Tensor, TensorFormat,
};

use crate::raw_server::RawServer;

const LIMIT: usize = 1 << 20;

/// The limit of an answer, what it is read from, and what the allocator keeps beside that.
const MOST_MEMORY: usize = 8 * LIMIT;

/// The longest that an answer may take where it does not run into the client's own limit: it is
/// read in less, and a busy machine is slow.
const LONGEST: Duration = Duration::from_secs(5);

/// A chunk of 64 KiB.
const CHUNK: &[u8] = &{
    let mut chunk = [b' '; 7 + 65536 + 2];
    let (head, tail) = (*b"10000\r\n", *b"\r\n");
    let mut index = 0;
    while index < head.len() {
        chunk[index] = head[index];
        index += 1;
    }
    chunk[7 + 65536] = tail[0];
    chunk[7 + 65537] = tail[1];
    chunk
};

/// What a broken server does once it has read a request.
type Answer = Box<dyn Fn(&mut TcpStream) + Send + Sync>;

fn client(endpoint: &str) -> Client {
    Client::builder(endpoint)
        // It only runs out where a server goes on without end.
        .timeout(Duration::from_millis(700))
        .response_limit(LIMIT)
        .tensor_format(TensorFormat::Binary)
        .build()
        .unwrap()
}

fn request() -> InferRequest {
    InferRequest::new(ModelId::latest("echo".parse().unwrap()))
        .input(Tensor::from_slice("value", [1], &[1.0_f32]).unwrap())
        .response_compression(Compression::Gzip)
}

/// Closes the connection after these bytes.
fn bytes(bytes: impl AsRef<[u8]>) -> Answer {
    let bytes = bytes.as_ref().to_vec();
    Box::new(move |connection| {
        let _ = connection.write_all(&bytes);
    })
}

/// An answer with status 200, these header lines and this body, whose length is told.
fn answer(headers: &str, body: impl AsRef<[u8]>) -> Answer {
    let body = body.as_ref();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n{headers}\r\n",
        body.len()
    );
    bytes([head.as_bytes(), body].concat())
}

/// Resets the connection after these bytes, which a normal close would not.
fn reset_after(bytes: &'static [u8]) -> Answer {
    Box::new(move |connection| {
        let _ = connection.write_all(bytes);
        let linger = rustix::net::sockopt::set_socket_linger(&*connection, Some(Duration::ZERO));
        linger.unwrap();
    })
}

/// Goes on with `piece` until the client is gone.
fn without_end(head: &'static [u8], piece: &'static [u8], pause: Option<Duration>) -> Answer {
    Box::new(move |connection| {
        let _ = connection.write_all(head);
        let mut received = [0; 1];
        connection.set_read_timeout(pause).unwrap();
        while connection.write_all(piece).is_ok() {
            if pause.is_some() {
                // The client sends nothing more, so this waits until it hangs up.
                use std::io::Read as _;
                if matches!(connection.read(&mut received), Ok(0)) {
                    return;
                }
            }
        }
    })
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

/// A bomb of a hundred times the limit.
fn bomb() -> Vec<u8> {
    gzip(&vec![b' '; 100 * LIMIT])
}

/// A page within JSON whose heading seems to repeat its title, word after word.
fn many_words() -> Answer {
    let words = "a ".repeat(100_000);
    let body = format!(r#"{{"error":"<html> {words}b {words}"}}"#);
    let length = body.len();
    bytes(format!(
        "HTTP/1.1 500 Internal Server Error\r\nContent-Length: {length}\r\n\r\n{body}"
    ))
}

const BINARY: &str = r#"{"outputs":[{"name":"x","datatype":"FP32","shape":[2],"parameters":{"binary_data_size":8}}]}"#;

fn binary(json_length: usize, tensors: usize) -> Answer {
    let headers = format!("Inference-Header-Content-Length: {json_length}\r\n");
    answer(&headers, [BINARY.as_bytes(), &vec![0; tensors]].concat())
}

fn json(body: &str) -> Answer {
    answer("", body)
}

/// What is wrong, the kind of error that it is, and the answer.
type Case = (&'static str, ErrorKind, Answer);

fn cases() -> Vec<Case> {
    use ErrorKind::{Interrupted, Protocol, ResponseTooLarge, Server, Timeout};
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n".as_slice();
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".as_slice();
    let with = |start: &[u8], rest: &[u8]| bytes([start, rest].concat());
    vec![
        ("nothing at all", Interrupted, bytes("")),
        (
            "a truncated head",
            Interrupted,
            bytes("HTTP/1.1 200 OK\r\nContent-Le"),
        ),
        ("no HTTP", Protocol, bytes("SSH-2.0-OpenSSH_9.6\r\n\r\n")),
        (
            "a status that is no number",
            Protocol,
            bytes("HTTP/1.1 abc OK\r\n\r\n"),
        ),
        (
            "HTTP/2",
            Protocol,
            bytes("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        ),
        (
            "a header line without a colon",
            Protocol,
            bytes("HTTP/1.1 200 OK\r\nnonsense\r\n\r\n"),
        ),
        (
            "a thousand header lines",
            Protocol,
            bytes(format!(
                "HTTP/1.1 200 OK\r\n{}\r\n",
                "a: b\r\n".repeat(1000)
            )),
        ),
        (
            "a header line without end",
            Protocol,
            without_end(b"HTTP/1.1 200 OK\r\na: ", &[b'a'; 4096], None),
        ),
        ("a truncated body", Interrupted, with(head, b"{\"model")),
        (
            "a reset in the middle of the body",
            Interrupted,
            reset_after(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"),
        ),
        (
            "a Content-Length that is too small",
            Protocol,
            bytes(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{BINARY}"
            )),
        ),
        (
            "a Content-Length that is no number",
            Protocol,
            bytes("HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n{}"),
        ),
        (
            "two different Content-Lengths",
            Protocol,
            bytes("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}"),
        ),
        (
            "a Content-Length above the limit",
            ResponseTooLarge,
            bytes("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n{}"),
        ),
        (
            "a body without end",
            ResponseTooLarge,
            without_end(b"HTTP/1.1 200 OK\r\n\r\n", &[b' '; 65536], None),
        ),
        (
            "chunks without end",
            ResponseTooLarge,
            without_end(chunked, CHUNK, None),
        ),
        (
            "a chunk whose size is no number",
            Protocol,
            with(chunked, b"zz\r\n{}\r\n0\r\n\r\n"),
        ),
        (
            "a chunk that is cut",
            Interrupted,
            with(chunked, b"10\r\n{\"model"),
        ),
        (
            "a chunk extension without end",
            Protocol,
            without_end(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;",
                &[b'a'; 4096],
                None,
            ),
        ),
        (
            "garbage in a chunk with an extension",
            Protocol,
            with(chunked, b"5;a=b\r\nhello\r\n0\r\n\r\n"),
        ),
        (
            "one byte after another, slowly",
            Timeout,
            without_end(head, b" ", Some(Duration::from_secs(1))),
        ),
        (
            "silence",
            Timeout,
            without_end(b"", b"", Some(Duration::from_secs(60))),
        ),
        (
            "interim answers without end",
            Timeout,
            without_end(
                b"",
                b"HTTP/1.1 100 Continue\r\n\r\n",
                Some(Duration::from_millis(50)),
            ),
        ),
        (
            "an error whose text is cut",
            Server,
            bytes("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 100\r\n\r\nTraceb"),
        ),
        (
            "an error whose text never ends",
            Server,
            without_end(
                b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 100\r\n\r\nTr",
                b"",
                Some(Duration::from_secs(60)),
            ),
        ),
        (
            "an error in an unknown encoding",
            Server,
            bytes("HTTP/1.1 500 Oh\r\nContent-Encoding: br\r\nContent-Length: 3\r\n\r\nabc"),
        ),
        ("garbage as JSON", Protocol, json("hello")),
        ("an empty body", Protocol, json("")),
        ("deep nesting", Protocol, json(&"[".repeat(100_000))),
        ("JSON without outputs", Protocol, json("{}")),
        (
            "a negative shape",
            Protocol,
            json(r#"{"outputs":[{"name":"x","datatype":"FP32","shape":[-1],"data":[1]}]}"#),
        ),
        (
            "a shape beyond all numbers",
            Protocol,
            json(
                r#"{"outputs":[{"name":"x","datatype":"FP32","shape":[4294967296,4294967296],"data":[]}]}"#,
            ),
        ),
        (
            "too few elements",
            Protocol,
            json(r#"{"outputs":[{"name":"x","datatype":"FP32","shape":[3],"data":[1]}]}"#),
        ),
        (
            "an element of another type",
            Protocol,
            json(r#"{"outputs":[{"name":"x","datatype":"INT8","shape":[1],"data":[300]}]}"#),
        ),
        (
            "one output twice",
            Protocol,
            json(
                r#"{"outputs":[{"name":"x","datatype":"INT8","shape":[1],"data":[3]},{"name":"x","datatype":"INT8","shape":[1],"data":[3]}]}"#,
            ),
        ),
        ("binary data without its header", Protocol, json(BINARY)),
        ("a JSON length above the body's", Protocol, binary(1000, 8)),
        (
            "a JSON length that is too small",
            Protocol,
            binary(BINARY.len() - 1, 8),
        ),
        (
            "a JSON length that is too large",
            Protocol,
            binary(BINARY.len() + 1, 8),
        ),
        (
            "a JSON length that is no number",
            Protocol,
            answer("Inference-Header-Content-Length: -1\r\n", BINARY),
        ),
        ("too few binary bytes", Protocol, binary(BINARY.len(), 7)),
        ("too many binary bytes", Protocol, binary(BINARY.len(), 9)),
        (
            "a gzip bomb",
            ResponseTooLarge,
            answer("Content-Encoding: gzip\r\n", bomb()),
        ),
        (
            "a gzip that is cut",
            Protocol,
            answer("Content-Encoding: gzip\r\n", &gzip(BINARY.as_bytes())[..30]),
        ),
        (
            "a gzip that is none",
            Protocol,
            answer("Content-Encoding: gzip\r\n", BINARY),
        ),
        (
            "a deflate that is none",
            Protocol,
            answer("Content-Encoding: deflate\r\n", BINARY),
        ),
        (
            "an encoding that nobody asked for",
            Protocol,
            answer("Content-Encoding: br\r\n", BINARY),
        ),
        (
            "a redirect",
            Protocol,
            bytes(
                "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
            ),
        ),
        (
            "an error with a text without end",
            Server,
            without_end(
                b"HTTP/1.1 500 Internal Server Error\r\n\r\n",
                &[b'e'; 65536],
                None,
            ),
        ),
        ("an error with a page of many words", Server, many_words()),
        (
            "an error whose text is no JSON",
            Server,
            bytes(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 4\r\n\r\n\xff\xfe{}"),
        ),
    ]
}

/// Set where this process runs nothing but this test, so that its memory is that of the cases.
const ALONE: &str = "TRITON_TEST_ALONE";

/// A line of what the system says of this process's memory, in bytes.
fn memory(label: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(label));
    let kilobytes = line.unwrap().trim().trim_end_matches(" kB");
    kilobytes.parse::<usize>().unwrap() << 10
}

/// How much more memory than now is taken at any time until this is asked again.
struct Peak(usize);

impl Peak {
    fn from_now() -> Self {
        // The largest so far is forgotten by this: another case's would hide this one's.
        std::fs::write("/proc/self/clear_refs", "5").unwrap();
        Self(memory("VmRSS:"))
    }

    fn grown(&self) -> usize {
        memory("VmHWM:").saturating_sub(self.0)
    }
}

#[tokio::test]
async fn every_malformed_answer_is_a_typed_error() {
    let cases: Vec<_> = cases()
        .into_iter()
        .chain(framing::cases())
        .chain(bodies::cases())
        .collect();
    assert!(cases.len() >= 100, "{}", cases.len());
    let is_alone = std::env::var_os(ALONE).is_some();
    let mut problems = Vec::new();
    for (name, expected, answer) in cases {
        let server = RawServer::start(answer);
        let client = client(&server.endpoint);
        let request = request();
        let peak = is_alone.then(Peak::from_now);
        let call = client.infer(&request);
        let began = Instant::now();
        // Far beyond the client's own limit: whoever gets here hangs.
        let outcome = tokio::time::timeout(Duration::from_secs(20), call).await;
        // Work that never waits keeps even the clock of the test from running.
        let took = began.elapsed();
        if took > LONGEST {
            problems.push(format!("{name}: took {took:?}"));
        }
        let grown = peak.map_or(0, |peak| peak.grown());
        if grown > MOST_MEMORY {
            problems.push(format!("{name}: took {grown} bytes"));
        }
        match outcome {
            Err(_) => problems.push(format!("{name}: hangs")),
            Ok(Ok(response)) => problems.push(format!("{name}: {response:?}")),
            Ok(Err(error)) => {
                println!(
                    "| {name} | {:?} | {grown} | {} |",
                    error.kind(),
                    one_line(&error)
                );
                if error.kind() != expected {
                    problems.push(format!("{name}: expected {expected:?}, found {error:?}"));
                }
                if !error.may_have_executed() {
                    problems.push(format!("{name}: the request was sent, and could have run"));
                }
                if server.requests() != 1 {
                    problems.push(format!("{name}: sent {} times", server.requests()));
                }
            }
        }
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

/// The same in a process of its own: what other tests take would count as well.
#[test]
fn no_malformed_answer_takes_more_memory_than_the_limit_allows() {
    passes_alone("malformed_servers::every_malformed_answer_is_a_typed_error");
}

/// Runs a test in a process of its own, where it measures memory.
fn passes_alone(test: &str) {
    let mut alone = std::process::Command::new(std::env::current_exe().unwrap());
    let alone = alone.args(["--exact", test, "--nocapture"]).env(ALONE, "1");
    let output = alone.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let passed = output.status.success() && said.contains("test result: ok. 1 passed");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(passed, "{said}\n{errors}");
}

fn one_line(error: &Error) -> String {
    let text = error.message().to_owned();
    assert!(!text.contains('\n'), "{text}");
    text.chars().take(90).collect()
}

#[tokio::test]
async fn a_request_is_not_sent_again_on_a_connection_that_was_closed() {
    // Each connection serves one request and is then closed without a word.
    let body = r#"{"outputs":[{"name":"x","datatype":"INT8","shape":[1],"data":[3]}]}"#;
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let server = RawServer::answering(answer);
    let client = client(&server.endpoint);
    let mut sent = 0;
    for _ in 0..50 {
        sent += 1;
        if let Err(error) = client.infer(&request()).await {
            assert_eq!(error.kind(), ErrorKind::Interrupted, "{error}");
        }
    }
    assert!(server.requests() <= sent, "{} of {sent}", server.requests());
}

/// Whoever plans for a model looks its tensors up by their names, one among all.
#[tokio::test]
async fn a_description_of_more_tensors_than_a_model_can_have_is_refused() {
    let inputs: Vec<_> = (0..5000)
        .map(|index| format!(r#"{{"name":"x{index}","datatype":"FP32","shape":[1]}}"#))
        .collect();
    let inputs = inputs.join(",");
    let metadata = format!(r#"{{"name":"wide","inputs":[{inputs}]}}"#);
    let config = format!(r#"{{"name":"wide","input":[{inputs}]}}"#);
    let model = ModelId::latest("wide".parse().unwrap());
    let refused = async |body: String| {
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let server = RawServer::answering(answer);
        let client = Client::new(&server.endpoint).unwrap();
        let error = match body.contains("inputs") {
            true => client.model_metadata(&model).await.unwrap_err(),
            false => client.model_config(&model).await.unwrap_err(),
        };
        assert_eq!(error.kind(), ErrorKind::Protocol);
        let text = error.to_string().replace(&server.endpoint, "http://server");
        text.split("; its ").next().unwrap().to_owned()
    };
    insta::assert_snapshot!(refused(metadata).await, @"read metadata of model 'wide' at http://server/: the answer is not what the protocol promises: expected at most 4096 inputs, found more at line 1 column 191474");
    insta::assert_snapshot!(refused(config).await, @"read configuration of model 'wide' at http://server/: the answer is not what the protocol promises: expected at most 4096 inputs, found 5000");
}
