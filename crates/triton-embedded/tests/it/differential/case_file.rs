//! The cases as data. A file holds cases, a case holds steps:
//!
//! ```text
//! === name of the case
//! # what it is about
//! > POST /v2/models/echo/infer      a request; its answers are compared
//! Inference-Header-Content-Length: auto
//! | {"inputs":[…]}                  a part of the body, without a line end
//! x 0000803f                        bytes of the body; `auto` above counts what is before
//! gzip                              compresses the body so far; also `deflate`
//! & POST …                          a request whose answer is not awaited yet
//! await                             compares the answers to these, in the order of sending
//! wait 300                          lets so many milliseconds pass
//! counted accumulate 2              waits until the statistics know of so many executions
//! settle                            waits until no model is being loaded or unloaded
//! load accumulate {"…":…}           loads the model with these fields of its first configuration
//!                                   changed; without any, as it was at first
//! ```

use std::io::Write as _;

use super::wire::Request;

/// A named list of steps.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) steps: Vec<Step>,
}

/// Something that happens to both servers.
#[derive(Debug)]
pub(crate) enum Step {
    Call(Request),
    Start(Request),
    Await,
    Wait(u64),
    Settle,
    Counted {
        model: String,
        executions: u64,
    },
    Load {
        model: String,
        changes: Option<serde_json::Value>,
    },
}

const FILES: &[(&str, &str)] = &[
    ("routes", include_str!("../../differential/routes.cases")),
    ("infer", include_str!("../../differential/infer.cases")),
    ("binary", include_str!("../../differential/binary.cases")),
    (
        "sequences",
        include_str!("../../differential/sequences.cases"),
    ),
    ("control", include_str!("../../differential/control.cases")),
];

/// All cases, in the order of the files.
pub(crate) fn all() -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for (file, text) in FILES {
        for (index, line) in text.lines().enumerate() {
            let place = format!("{file}.cases:{}", index + 1);
            match line.strip_prefix("=== ") {
                Some(name) => {
                    let known = cases.iter().any(|case| case.name == name);
                    assert!(!known, "{place}: a second case '{name}'");
                    cases.push(Case {
                        name: name.to_owned(),
                        steps: Vec::new(),
                    });
                }
                None if line.is_empty() || line.starts_with('#') => {}
                None => {
                    let case = cases.last_mut().expect("a file begins with a case");
                    case.read_line(line, &place);
                }
            }
        }
    }
    cases
}

impl Case {
    fn read_line(&mut self, line: &str, place: &str) {
        if let Some(request) = line.strip_prefix("> ") {
            self.steps.push(Step::Call(request_line(request, place)));
        } else if let Some(request) = line.strip_prefix("& ") {
            self.steps.push(Step::Start(request_line(request, place)));
        } else if line == "await" {
            self.steps.push(Step::Await);
        } else if let Some(counted) = line.strip_prefix("counted ") {
            let (model, executions) = counted.split_once(' ').expect(place);
            self.steps.push(Step::Counted {
                model: model.to_owned(),
                executions: executions.parse().expect(place),
            });
        } else if line == "settle" {
            self.steps.push(Step::Settle);
        } else if let Some(time) = line.strip_prefix("wait ") {
            self.steps.push(Step::Wait(time.parse().expect(place)));
        } else if let Some(load) = line.strip_prefix("load ") {
            let (model, changes) = match load.split_once(' ') {
                Some((model, json)) => (model, Some(serde_json::from_str(json).expect(place))),
                None => (load, None),
            };
            self.steps.push(Step::Load {
                model: model.to_owned(),
                changes,
            });
        } else {
            let Some(Step::Call(request) | Step::Start(request)) = self.steps.last_mut() else {
                panic!("{place}: no request before this line");
            };
            read_request_line(request, line, place);
        }
    }
}

fn request_line(text: &str, place: &str) -> Request {
    let (method, path) = text.split_once(' ').expect(place);
    Request::new(method, path, "")
}

fn read_request_line(request: &mut Request, line: &str, place: &str) {
    if let Some(text) = line.strip_prefix("| ") {
        request.body.extend(text.bytes());
    } else if let Some(hex) = line.strip_prefix("x ") {
        let length = request.body.len().to_string();
        for (_, value) in &mut request.headers {
            if value == "auto" {
                value.clone_from(&length);
            }
        }
        let digits: Vec<char> = hex.chars().filter(|digit| *digit != ' ').collect();
        for pair in digits.chunks(2) {
            let pair: String = pair.iter().collect();
            request
                .body
                .push(u8::from_str_radix(&pair, 16).expect(place));
        }
    } else if line == "gzip" || line == "deflate" {
        request.body = compress(&request.body, line == "gzip");
    } else {
        let (name, value) = line.split_once(": ").expect(place);
        request.headers.push((name.to_owned(), value.to_owned()));
    }
}

fn compress(body: &[u8], gzip: bool) -> Vec<u8> {
    let level = flate2::Compression::default();
    let compressed = if gzip {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
        encoder.write_all(body).and_then(|()| encoder.finish())
    } else {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), level);
        encoder.write_all(body).and_then(|()| encoder.finish())
    };
    compressed.expect("memory takes it")
}
