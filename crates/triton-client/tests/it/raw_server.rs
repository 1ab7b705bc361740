//! Servers that answer with raw bytes, so that a test can break every rule of HTTP.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// A server on a thread of its own; it ends with the test's process.
pub(crate) struct RawServer {
    pub(crate) endpoint: String,
    requests: Arc<AtomicUsize>,
    last: Arc<Mutex<Vec<u8>>>,
}

impl RawServer {
    /// Hands every connection, once a whole request has come on it, to `answer`; then closes it.
    pub(crate) fn start(answer: impl Fn(&mut TcpStream) + Send + Sync + 'static) -> Self {
        Self::reading(move |_, connection| answer(connection))
    }

    /// As [`start`](Self::start), for answers that depend on the path.
    pub(crate) fn answering_each(
        answer: impl Fn(&mut TcpStream, &str) + Send + Sync + 'static,
    ) -> Self {
        Self::reading(move |request, connection| {
            let line = request.split(|byte| *byte == b'\r').next().unwrap();
            let line = String::from_utf8_lossy(line);
            answer(connection, line.split(' ').nth(1).unwrap());
        })
    }

    /// As [`start`](Self::start), for an answer that depends on the bytes of the request.
    pub(crate) fn reading(answer: impl Fn(&[u8], &mut TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(AtomicUsize::new(0));
        let last = Arc::new(Mutex::new(Vec::new()));
        let seen = (Arc::clone(&requests), Arc::clone(&last));
        let answer = Arc::new(answer);
        std::thread::spawn(move || {
            while let Ok((mut connection, _)) = listener.accept() {
                let ((requests, last), answer) = (seen.clone(), Arc::clone(&answer));
                std::thread::spawn(move || {
                    if let Some(request) = read_request(&mut connection) {
                        requests.fetch_add(1, Ordering::SeqCst);
                        last.lock().unwrap().clone_from(&request);
                        answer(&request, &mut connection);
                    }
                });
            }
        });
        Self {
            endpoint,
            requests,
            last,
        }
    }

    /// Answers every request with the same bytes.
    ///
    /// An answer with a head says that the connection closes, because it does: a client that asks
    /// something first would otherwise send its next request into a connection that is closing.
    pub(crate) fn answering(bytes: impl Into<Vec<u8>>) -> Self {
        let mut bytes = bytes.into();
        if let Some(end) = find(&bytes, b"\r\n").filter(|_| find(&bytes, b"\r\n\r\n").is_some()) {
            bytes.splice(end..end, *b"\r\nConnection: close");
        }
        Self::start(move |connection| {
            let _ = connection.write_all(&bytes);
        })
    }

    /// The last whole request, its lines ended as usual.
    pub(crate) fn last_request(&self) -> String {
        let request = self.last.lock().unwrap();
        String::from_utf8_lossy(&request).replace("\r\n", "\n")
    }

    /// How many whole requests have come.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

/// Reads one request to its end; `None` when the connection ends first.
fn read_request(connection: &mut TcpStream) -> Option<Vec<u8>> {
    let mut request = Vec::new();
    let mut piece = [0; 4096];
    loop {
        if let Some(end) = find(&request, b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&request[..end]).to_lowercase();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |length| length.parse().unwrap());
            if request.len() >= end + 4 + length {
                return Some(request);
            }
        }
        match connection.read(&mut piece) {
            Ok(0) | Err(_) => return None,
            Ok(count) => request.extend_from_slice(&piece[..count]),
        }
    }
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}
