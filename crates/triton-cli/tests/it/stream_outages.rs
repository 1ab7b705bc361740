//! A server that goes away in the middle of the answers to a row.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::small_server::SmallServer;
use crate::{Files, triton};

const COUNTDOWN: &str = "
    CREATE MODEL countdown INPUT (`from` INT)
    OUTPUT (prediction_index INT, `left` INT, prediction_last BOOLEAN)
    WITH ('provider' = 'triton', 'model-name' = 'm', 'decoupled' = 'stream')";

const METADATA: &str = r#"{"name": "m", "versions": ["1"], "platform": "python",
    "inputs": [{"name": "from", "datatype": "INT32", "shape": [1]}],
    "outputs": [{"name": "left", "datatype": "INT32", "shape": [1]}]}"#;

const CONFIG: &str = r#"{"name": "m", "max_batch_size": 0,
    "model_transaction_policy": {"decoupled": true}}"#;

/// The path and the body of a request.
fn question(stream: &TcpStream) -> Option<(String, Vec<u8>)> {
    let mut reader = BufReader::new(stream);
    let (mut path, mut length) = (None, 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(bytes) = line.strip_prefix("content-length:") {
            length = bytes.trim().parse().ok()?;
        }
        path.get_or_insert(line.split(' ').nth(1)?.to_owned());
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((path?, body))
}

/// Counts down from a number. The first time that it is 4 the connection breaks after two answers,
/// and for as long as `outage` the server is not ready.
fn server(outage: Duration) -> String {
    let down_until = Mutex::new(None);
    SmallServer::raw(move |mut stream| {
        let Some((path, body)) = question(&stream) else {
            return;
        };
        let mut down_until = down_until.lock().unwrap();
        let is_down = down_until.is_some_and(|until| Instant::now() < until);
        let (status, body) = match path.as_str() {
            _ if is_down => (503, String::new()),
            "/v2/models/m" => (200, METADATA.to_owned()),
            "/v2/models/m/config" => (200, CONFIG.to_owned()),
            "/v2/models/m/generate_stream" => {
                let body: Value = serde_json::from_slice(&body).unwrap();
                let from = body["from"].as_i64().unwrap();
                let breaks = from == 4 && down_until.is_none();
                let events = (1..=from).rev().take(if breaks { 2 } else { 9 });
                let chunks = events.map(|left| {
                    let event = format!("data: {{\"left\":{left}}}\n\n");
                    format!("{:x}\r\n{event}\r\n", event.len())
                });
                let chunks: String = chunks.collect();
                let end = if breaks { "" } else { "0\r\n\r\n" };
                if breaks {
                    *down_until = Some(Instant::now() + outage);
                }
                let head = "HTTP/1.1 200 -\r\nContent-Type: text/event-stream\r\nConnection: close";
                let head = format!("{head}\r\nTransfer-Encoding: chunked\r\n\r\n");
                // Whoever asked may have gone.
                let _ = stream.write_all([&head, &chunks, end].concat().as_bytes());
                return;
            }
            _ => (200, String::new()),
        };
        let length = body.len();
        let head = format!("HTTP/1.1 {status} -\r\nConnection: close\r\nContent-Length: {length}");
        let _ = write!(stream, "{head}\r\n\r\n{body}");
    })
}

// Holds F79.
#[test]
fn a_row_whose_stream_breaks_in_an_outage_waits_for_the_server_and_is_whole() {
    let endpoint = format!("endpoint={}", server(Duration::from_millis(500)));
    let files = Files::new();
    let model = files.write("model.sql", COUNTDOWN);
    let input = files.write("in.csv", "id,from\na,2\nb,4\nc,3\nd,1\n");
    let options = ["-O", &endpoint, "--max-in-flight", "1"];
    let run = triton(&[&["predict", &model, &input], &options[..]].concat());
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    insta::assert_snapshot!(run.stdout, @"
    id,from,prediction_index,left,prediction_last
    a,2,0,2,false
    a,2,1,1,true
    b,4,0,4,false
    b,4,1,3,false
    b,4,2,2,false
    b,4,3,1,true
    c,3,0,3,false
    c,3,1,2,false
    c,3,2,1,true
    d,1,0,1,true
    ");
    let said = "4 rows: 4 answered, 0 rejected; 10 rows written; ";
    assert!(run.stderr.contains(said), "{}", run.stderr);
}
