//! A store of a test's own: moto, which keeps objects as S3 does, and a way to it that a test can break.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use crate::small_server::SmallServer;
use crate::{Run, command};

/// Ends when its standard input does, whatever ends the tests.
const PROGRAM: &str = "
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer('127.0.0.1', 0, verbose=False)
server.start()
print('http://{}:{}'.format(*server.get_host_and_port()), flush=True)
sys.stdin.read()
";

/// The bucket of every store.
pub(super) const BUCKET: &str = "data";

/// What nobody may see of a run.
pub(super) const SECRET: &str = "canary/of+a/secret+key";

/// Without it the store shows nobody what others have put.
const SIGNED: &str = "X-Amz-Signature=some";

/// A server with one bucket.
pub(super) struct Store {
    pub(super) endpoint: String,
    server: Child,
}

impl Store {
    pub(super) fn start() -> Self {
        let store = Self::start_with(&[]);
        assert_eq!(store.request("PUT", "", b"").0, 200);
        store
    }

    /// One that answers nobody whom it does not know.
    pub(super) fn start_with_locks() -> Self {
        Self::start_with(&[("INITIAL_NO_AUTH_ACTION_COUNT", "0")])
    }

    fn start_with(environment: &[(&str, &str)]) -> Self {
        let python = std::env::var("TRITON_TEST_MOTO").unwrap_or_else(|_| {
            panic!(
                "this test needs a server of objects, and TRITON_TEST_MOTO names no Python that has \
                 one: run the tests with `cargo xtask test`, which installs it"
            )
        });
        let mut server = Command::new(python)
            .args(["-c", PROGRAM])
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let output = server.stdout.take().unwrap();
        BufReader::new(output).read_line(&mut line).unwrap();
        let endpoint = line.trim().to_owned();
        assert!(endpoint.starts_with("http://"), "moto could not be started");
        Self { endpoint, server }
    }

    pub(super) fn put(&self, key: &str, bytes: &[u8]) {
        assert_eq!(
            self.request("PUT", &format!("/{key}?{SIGNED}"), bytes).0,
            200
        );
    }

    /// The object, if there is one.
    pub(super) fn get(&self, key: &str) -> Option<Vec<u8>> {
        let (status, body) = self.request("GET", &format!("/{key}?{SIGNED}"), b"");
        (status == 200).then_some(body)
    }

    /// How many uploads were begun and are neither complete nor aborted.
    pub(super) fn unfinished(&self) -> usize {
        let (status, body) = self.request("GET", "?uploads", b"");
        assert_eq!(status, 200);
        String::from_utf8(body).unwrap().matches("<Upload>").count()
    }

    /// How many parts the object was put together from.
    pub(super) fn parts(&self, key: &str) -> usize {
        let head = self.head(&format!("/{key}?{SIGNED}"));
        let tag = head.lines().find_map(|line| line.strip_prefix("etag: \""));
        let (_, parts) = tag.unwrap().trim_end_matches('"').split_once('-').unwrap();
        parts.parse().unwrap()
    }

    fn request(&self, method: &str, path: &str, body: &[u8]) -> (u16, Vec<u8>) {
        let answer = forward(
            &self.endpoint,
            method,
            &format!("/{BUCKET}{path}"),
            "",
            body,
        );
        let (head, body) = taken_apart(&answer);
        (
            head.split(' ').nth(1).unwrap().parse().unwrap(),
            body.to_vec(),
        )
    }

    fn head(&self, path: &str) -> String {
        let answer = forward(&self.endpoint, "HEAD", &format!("/{BUCKET}{path}"), "", b"");
        taken_apart(&answer).0.to_ascii_lowercase()
    }

    /// The variables with which the command finds it.
    pub(super) fn environment(&self) -> Vec<(&'static str, String)> {
        Self::environment_of(&self.endpoint)
    }

    pub(super) fn environment_of(endpoint: &str) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ENDPOINT_URL", endpoint.to_owned()),
            ("AWS_ALLOW_HTTP", "true".to_owned()),
            ("AWS_ACCESS_KEY_ID", "someone".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET.to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_MAX_ATTEMPTS", "2".to_owned()),
        ]
    }

    /// Runs `triton predict` with it.
    pub(super) fn predict(&self, arguments: &[&str]) -> Run {
        predict(&self.environment(), arguments)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// `triton predict` in nothing but such an environment.
pub(super) fn predicting(environment: &[(&'static str, String)], arguments: &[&str]) -> Command {
    let mut command = command(&[&["predict"], arguments].concat());
    let foreign = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    for name in foreign.filter(|name| name.starts_with("AWS_")) {
        command.env_remove(name);
    }
    command.envs(environment.iter().map(|(name, value)| (*name, value)));
    // What logs say must not hold a secret either.
    command.env("RUST_LOG", "debug,hyper_util=trace");
    command
}

pub(super) fn predict(environment: &[(&'static str, String)], arguments: &[&str]) -> Run {
    let output = predicting(environment, arguments).output().unwrap();
    let mut run = Run::of(output);
    assert!(!run.stderr.contains(SECRET), "{}", run.stderr);
    assert!(!run.stdout.contains(SECRET), "{}", run.stdout);
    // The log has the time and other things that differ.
    let lines = run.stderr.lines().filter(|line| !is_log(line));
    run.stderr = lines.map(|line| format!("{line}\n")).collect();
    run
}

fn is_log(line: &str) -> bool {
    let mut words = line.split_whitespace();
    let time = words.next().unwrap_or_default();
    let level = words.next().unwrap_or_default();
    time.ends_with('Z') && ["TRACE", "DEBUG", "INFO", "WARN", "ERROR"].contains(&level)
}

/// What happens to a request on its way.
pub(super) enum Way {
    /// It goes through.
    On,
    /// It is answered with a status by somebody in between.
    Answered(u16),
    /// The connection breaks, and no other comes about any more.
    Broken,
}

/// An endpoint that hands requests on to a store, as `way` says of each by its method and path.
pub(super) fn way_to(
    store: &Store,
    way: impl Fn(&str, &str) -> Way + Send + Sync + 'static,
) -> String {
    let endpoint = store.endpoint.clone();
    let is_broken = Arc::new(std::sync::atomic::AtomicBool::new(false));
    SmallServer::raw(move |stream| {
        use std::sync::atomic::Ordering;
        if is_broken.load(Ordering::SeqCst) {
            return;
        }
        let mut reader = BufReader::new(&stream);
        let (mut head, mut length) = (Vec::new(), 0);
        loop {
            let mut line = String::new();
            if !reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                break;
            }
            let lower = line.to_lowercase();
            if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            } else if !lower.starts_with("connection:") {
                head.push(line.trim_end().to_owned());
            }
        }
        let mut body = vec![0; length];
        if head.is_empty() || reader.read_exact(&mut body).is_err() {
            return;
        }
        let first = head.remove(0);
        let mut words = first.split(' ');
        let (method, path) = (words.next().unwrap(), words.next().unwrap());
        let answer = match way(method, path) {
            Way::On => forward(&endpoint, method, path, &head.join("\r\n"), &body),
            Way::Answered(status) => {
                format!("HTTP/1.1 {status} -\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
                    .into_bytes()
            }
            Way::Broken => {
                is_broken.store(true, Ordering::SeqCst);
                return;
            }
        };
        // Whoever asked may have gone.
        let _ = (&stream).write_all(&answer);
    })
}

/// An endpoint that hands requests on to a store, and breaks the connection after so many bytes of an
/// object.
pub(super) fn cutting(store: &Store, most: usize) -> String {
    let whole = way_to(store, |_, _| Way::On);
    SmallServer::raw(move |stream| {
        let mut head = Vec::new();
        let mut reader = BufReader::new(&stream);
        while reader
            .read_until(b'\n', &mut head)
            .is_ok_and(|read| read > 2)
        {}
        let mut through = TcpStream::connect(whole.trim_start_matches("http://")).unwrap();
        through.write_all(&head).unwrap();
        let mut answer = Vec::new();
        through.read_to_end(&mut answer).unwrap();
        let (head, body) = taken_apart(&answer);
        let end = head.len() + 4 + body.len().min(most);
        let _ = (&stream).write_all(&answer[..end]);
    })
}

/// Sends a request, and returns the answer as it came.
fn forward(endpoint: &str, method: &str, path: &str, head: &str, body: &[u8]) -> Vec<u8> {
    let host = endpoint.trim_start_matches("http://");
    let mut stream = TcpStream::connect(host).unwrap();
    let mut request = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
    if !head.is_empty() {
        request.push_str(&format!("{head}\r\n"));
    }
    if !head.to_ascii_lowercase().contains("host:") {
        request.push_str(&format!("Host: {host}\r\n"));
    }
    request.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
    stream.write_all(request.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    answer
}

/// The head of an answer and its body.
fn taken_apart(answer: &[u8]) -> (&str, &[u8]) {
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    let end = end.unwrap();
    (str::from_utf8(&answer[..end]).unwrap(), &answer[end + 4..])
}
