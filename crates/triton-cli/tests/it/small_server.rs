//! A server of a test's own, which answers what no real one would be brought to.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

/// An answer: a status, headers and a body.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn new(status: u16, body: impl Into<String>) -> Self {
        let headers = Vec::new();
        let body = body.into();
        Self {
            status,
            headers,
            body,
        }
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// It listens until the process ends.
pub(crate) struct SmallServer {
    pub(crate) endpoint: String,
    paths: Arc<Mutex<Vec<String>>>,
}

impl SmallServer {
    /// Answers each request as `answer` says of its path and body, but for those that only ask
    /// whether the server is there.
    pub(crate) fn start(answer: impl Fn(&str, &Value) -> Answer + Send + Sync + 'static) -> Self {
        Self::named_by("triton", answer)
    }

    /// As [`start`](Self::start), for a server that calls itself something.
    pub(crate) fn named_by(
        name: &'static str,
        answer: impl Fn(&str, &Value) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let paths: Arc<Mutex<Vec<String>>> = Arc::default();
        let seen = Arc::clone(&paths);
        let answer = Arc::new(answer);
        let endpoint = Self::raw(move |stream| {
            let mut reader = BufReader::new(&stream);
            let (mut path, mut length) = (String::new(), 0);
            let mut line = String::new();
            while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                if path.is_empty() {
                    line.split(' ')
                        .nth(1)
                        .unwrap_or_default()
                        .clone_into(&mut path);
                }
                if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                line.clear();
            }
            let mut body = vec![0; length];
            if path.is_empty() || reader.read_exact(&mut body).is_err() {
                return;
            }
            seen.lock().unwrap().push(path.clone());
            let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
            let answer = match path.as_str() {
                "/v2" => {
                    let server = json!({"name": name, "version": "2.51.0", "extensions": []});
                    Answer::new(200, server.to_string())
                }
                path if path.starts_with("/v2/health") => Answer::new(200, ""),
                path => answer(path, &body),
            };
            let mut head = format!("HTTP/1.1 {} -\r\nConnection: close\r\n", answer.status);
            for (name, value) in &answer.headers {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
            head.push_str(&format!("Content-Length: {}\r\n\r\n", answer.body.len()));
            // Whoever asked may have gone.
            let _ = (&stream).write_all((head + &answer.body).as_bytes());
        });
        Self { endpoint, paths }
    }

    /// Hands each connection to `talk`; returns the address as an endpoint of `http`.
    pub(crate) fn raw(talk: impl Fn(TcpStream) + Send + Sync + 'static) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let talk = Arc::new(talk);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let talk = Arc::clone(&talk);
                std::thread::spawn(move || talk(stream));
            }
        });
        endpoint
    }

    /// The paths that were asked for, in their order.
    pub(crate) fn paths(&self) -> Vec<String> {
        self.paths.lock().unwrap().clone()
    }

    /// How many inferences were asked for.
    pub(crate) fn inferences(&self) -> usize {
        let paths = self.paths();
        paths.iter().filter(|path| path.ends_with("/infer")).count()
    }

    /// `text` with a name in place of the address, which differs in every run.
    pub(crate) fn named(&self, text: &str) -> String {
        text.replace(&self.endpoint, "http://server")
    }
}

/// The metadata and the configuration of a model of one FP32 input `x` and one output `y`; members
/// of `more` are added to the configuration. `None` for any other path.
pub(crate) fn described(name: &str, more: Value, path: &str) -> Option<Answer> {
    let tensor = |tensor: &str| json!([{"name": tensor, "datatype": "FP32", "shape": [-1, 1]}]);
    let model = format!("/v2/models/{name}");
    if path == model {
        let metadata = json!({
            "name": name, "versions": ["1"], "platform": "python",
            "inputs": tensor("x"), "outputs": tensor("y"),
        });
        return Some(Answer::new(200, metadata.to_string()));
    }
    if path.strip_prefix(&model)? == "/config" {
        let mut config = json!({"name": name, "backend": "python", "max_batch_size": 8});
        if let (Value::Object(config), Value::Object(more)) = (&mut config, more) {
            config.extend(more);
        }
        return Some(Answer::new(200, config.to_string()));
    }
    None
}

/// The answer of a model that gives back as `y` what it gets as `x`.
pub(crate) fn inferred(request: &Value) -> Answer {
    let input = &request["inputs"][0];
    let output = json!({
        "name": "y", "datatype": "FP32", "shape": input["shape"], "data": input["data"],
    });
    let answer = json!({"model_name": "m", "model_version": "1", "outputs": [output]});
    Answer::new(200, answer.to_string())
}
