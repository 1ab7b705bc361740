//! A server of one decoupled model whose stream is written by hand, piece by piece.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

const METADATA: &str = r#"{"name": "m", "versions": ["1"], "platform": "python",
    "inputs": [{"name": "from", "datatype": "INT32", "shape": [1]}],
    "outputs": [{"name": "left", "datatype": "INT32", "shape": [1]}]}"#;

const CONFIG: &str = r#"{"name": "m", "max_batch_size": 0,
    "model_transaction_policy": {"decoupled": true}}"#;

/// What a stream begins with that does not say where it ends, and so is never whole.
pub(crate) const HEAD: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";

/// What a stream of so many bytes begins with.
pub(crate) fn head_of(length: usize) -> String {
    HEAD.replace("close", &format!("close\r\nContent-Length: {length}"))
}

/// A stream that is whole.
pub(crate) fn whole(events: &[String]) -> String {
    let events = events.concat();
    head_of(events.len()) + &events
}

/// An event with this many left.
pub(crate) fn left(left: u32) -> String {
    format!("data: {{\"left\":{left},\"model_name\":\"m\",\"model_version\":\"1\"}}\n\n")
}

pub(crate) struct StreamServer {
    pub(crate) endpoint: String,
    /// How many streams were asked for.
    pub(crate) asked: Arc<AtomicU32>,
}

impl StreamServer {
    /// Calls `stream` for each stream that is asked for, with its number, from 1 on. The connection
    /// is closed after it.
    pub(crate) fn start(stream: impl Fn(&mut TcpStream, u32) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(AtomicU32::new(0));
        let (stream, count) = (Arc::new(stream), Arc::clone(&asked));
        std::thread::spawn(move || {
            for mut connection in listener.incoming().flatten() {
                let (stream, count) = (Arc::clone(&stream), Arc::clone(&count));
                std::thread::spawn(move || {
                    let Some(path) = question(&connection) else {
                        return;
                    };
                    let body = match path.as_str() {
                        "/v2/models/m" => METADATA,
                        "/v2/models/m/config" => CONFIG,
                        "/v2/models/m/generate_stream" => {
                            let number = count.fetch_add(1, Ordering::SeqCst) + 1;
                            return stream(&mut connection, number);
                        }
                        _ => "",
                    };
                    let length = body.len();
                    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}");
                    // Whoever asked may have gone.
                    let _ = write!(connection, "{head}\r\nConnection: close\r\n\r\n{body}");
                });
            }
        });
        Self { endpoint, asked }
    }

    pub(crate) fn asked(&self) -> u32 {
        self.asked.load(Ordering::SeqCst)
    }
}

/// The path of a question, which is read to its end.
fn question(connection: &TcpStream) -> Option<String> {
    let mut reader = BufReader::new(connection);
    let (mut path, mut length) = (None, 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(bytes) = line.strip_prefix("content-length: ") {
            length = bytes.parse().ok()?;
        }
        path.get_or_insert(line.split(' ').nth(1)?.to_owned());
    }
    reader.read_exact(&mut vec![0; length]).ok()?;
    path
}

/// Waits until whoever asked hangs up.
pub(crate) fn until_gone(connection: &mut TcpStream) {
    while !matches!(connection.read(&mut [0]), Ok(0) | Err(_)) {}
}
