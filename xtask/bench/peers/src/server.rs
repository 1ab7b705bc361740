//! The instant server: it has every answer in hand and only reads requests to their ends.
//!
//! It is a process of its own, so that the processor time of a measured one is the client's alone.
//! That each request brings the right values is checked here, where it costs the client nothing.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bench_rounds::Format;
use serde::Deserialize;

use crate::answers::{Answers, Inference, answer};
use crate::requests::{Request, Requests};

/// Where a client that counts badly can be counted.
const COUNT: &str = "/bench/requests";

struct Server {
    answers: Answers,
    /// The inferences that were answered.
    answered: AtomicU64,
}

/// Prints the endpoint and serves until the standard input ends.
pub(super) fn serve() -> Result<(), String> {
    let text = |error: std::io::Error| error.to_string();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(text)?;
    println!("http://{}", listener.local_addr().map_err(text)?);
    let server = Arc::new(Server {
        answers: Answers::new(),
        answered: AtomicU64::new(0),
    });
    std::thread::spawn(move || {
        while let Ok((connection, _)) = listener.accept() {
            let server = Arc::clone(&server);
            std::thread::spawn(move || {
                // Clients break connections off when they end.
                let _ = server.serve_connection(&connection);
            });
        }
    });
    std::io::stdin()
        .read_to_end(&mut Vec::new())
        .map_err(text)?;
    Ok(())
}

impl Server {
    fn serve_connection(&self, connection: &TcpStream) -> std::io::Result<()> {
        connection.set_nodelay(true)?;
        // The request lies in the buffer of `requests` while its answer goes out.
        let mut sender = connection;
        let mut requests = Requests::new(connection);
        let mut checks_json = true;
        while let Some(request) = requests.next()? {
            let (path, is_last) = (request.path, request.is_last);
            if let Some(known) = self.answers.inference(path, request.format) {
                match check(&request, known, checks_json) {
                    Ok(()) => {
                        self.answered.fetch_add(1, Ordering::Relaxed);
                        sender.write_all(&known.answer)?;
                        checks_json = false;
                    }
                    Err(message) => sender.write_all(&refusal("400 Bad Request", &message))?,
                }
            } else if let Some(known) = self.answers.about(path) {
                sender.write_all(known)?;
            } else if path == COUNT {
                let count = self.answered.load(Ordering::Relaxed).to_string();
                sender.write_all(&answer("200 OK", None, count.as_bytes()))?;
            } else {
                let message = format!("nothing is at '{path}'");
                sender.write_all(&refusal("404 Not Found", &message))?;
            }
            if is_last {
                break;
            }
        }
        Ok(())
    }
}

fn refusal(status: &str, message: &str) -> Vec<u8> {
    let body = serde_json::json!({ "error": message }).to_string();
    answer(status, None, body.as_bytes())
}

#[derive(Deserialize)]
struct Body {
    inputs: Vec<Input>,
}

#[derive(Deserialize)]
struct Input {
    name: String,
    datatype: String,
    shape: Vec<usize>,
    data: Option<Vec<f32>>,
}

/// Whether a request brings these values. Bytes are compared each time; JSON takes longer to read,
/// so only the first of each connection is.
fn check(request: &Request<'_>, known: &Inference, checks_json: bool) -> Result<(), String> {
    let values = known.values.as_slice();
    if request.format == Format::Binary {
        let found = request.tensors.chunks_exact(4);
        let same = found
            .zip(values)
            .all(|(found, value)| found == value.to_le_bytes());
        if !same || request.tensors.len() != 4 * values.len() {
            return Err("the binary input is not the expected one".to_owned());
        }
    }
    if !checks_json {
        return Ok(());
    }
    let body: Body = serde_json::from_slice(request.json).map_err(|error| error.to_string())?;
    let [input] = &body.inputs[..] else {
        return Err("expected one input".to_owned());
    };
    let about = (&*input.name, &*input.datatype, &*input.shape);
    if about != ("value", "FP32", &known.shape[..]) {
        return Err(format!("expected another input than {about:?}"));
    }
    match (request.format, &input.data) {
        (Format::Binary, None) => Ok(()),
        (Format::Json, Some(data)) if data == values => Ok(()),
        _ => Err("the input in JSON is not the expected one".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use bench_rounds::CASES;

    use super::*;
    use crate::client;

    #[test]
    fn what_the_client_sends_is_right_and_anything_else_is_not() {
        for case in CASES {
            let (body, json_length) = client::encoded(case).unwrap();
            let (json, tensors) = body.split_at(json_length.unwrap_or(body.len()));
            let request = Request {
                path: "",
                format: case.format,
                json,
                tensors,
                is_last: false,
            };
            let mut expected = Inference::of(case);
            check(&request, &expected, true).unwrap();
            *expected.values.last_mut().unwrap() += 0.25;
            check(&request, &expected, true).unwrap_err();
        }
    }

    #[test]
    fn every_model_is_known_with_and_without_its_version() {
        let answers = Answers::new();
        for case in CASES {
            for model in [case.model.to_owned(), format!("{}/versions/1", case.model)] {
                let path = |end: &str| format!("/v2/models/{model}{end}");
                assert!(answers.inference(&path("/infer"), case.format).is_some());
                for end in ["", "/config", "/ready", "/stats"] {
                    assert!(answers.about(&path(end)).is_some(), "{}", path(end));
                }
            }
        }
        assert!(answers.about("/v2").is_some());
        assert!(answers.about("/v2/models/other").is_none());
    }
}
