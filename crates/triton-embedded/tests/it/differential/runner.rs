//! Runs cases against a server and writes down what a client could tell.

use std::io::{self, Read as _};
use std::net::TcpStream;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::case_file::{Case, Step};
use super::wire::{Answer, Peer, Request, receive};

/// The headers that matter to a client. `content-length` follows from the body.
const HEADERS: &[&str] = &[
    "content-type",
    "inference-header-content-length",
    "content-encoding",
    "accept-encoding",
    "transfer-encoding",
    "connection",
];

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a case; a line for each answer.
pub(crate) fn run(case: &Case, peer: &mut Peer) -> Vec<String> {
    let mut transcript = Vec::new();
    let mut started: Vec<TcpStream> = Vec::new();
    for step in &case.steps {
        match step {
            Step::Call(request) => {
                let answer = peer.call(request);
                transcript.push(describe(request, answer.ok()));
            }
            Step::Start(request) => started.push(peer.send(request).expect("it is sent")),
            Step::Await => {
                for mut connection in started.drain(..) {
                    let answer = receive(&mut connection).ok();
                    transcript.push(describe(&Request::default(), answer));
                }
            }
            Step::Wait(time) => wait(Duration::from_millis(*time)),
            Step::Settle => until(|| is_settled(peer)),
            // The real server counts an execution only after it has answered.
            Step::Counted {
                model,
                executions: count,
            } => until(|| executions(peer, model) >= *count),
            Step::Load { model, changes } => load(peer, model, changes.as_ref()),
        }
    }
    transcript
}

/// Lets real time pass, which the real server's clock cannot be spared.
pub(crate) fn wait(time: Duration) {
    let (_sender, never) = mpsc::channel::<()>();
    let _ = never.recv_timeout(time);
}

/// Waits for what takes the real server some time.
pub(crate) fn until(mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "it never comes to that");
        wait(Duration::from_millis(5));
    }
}

/// Whether no model is being loaded or unloaded.
fn is_settled(peer: &mut Peer) -> bool {
    let index = Request::new("POST", "/v2/repository/index", "");
    let states = peer.call(&index).expect("an answer").body;
    !String::from_utf8_lossy(&states).contains("LOADING")
}

/// How many requests the model has answered.
pub(crate) fn executions(peer: &mut Peer, model: &str) -> u64 {
    let request = Request::new("GET", &format!("/v2/models/{model}/stats"), "");
    let statistics = peer.call(&request).expect("statistics").body;
    let statistics: Value = serde_json::from_slice(&statistics).expect("JSON");
    let success = &statistics["model_stats"][0]["inference_stats"]["success"]["count"];
    success.as_u64().expect("a number")
}

/// The statistics of a model once they stay as they are: the real server counts an execution only after it
/// has answered.
pub(crate) fn settled_statistics(peer: &mut Peer, request: &Request) -> io::Result<Answer> {
    let mut answer = peer.call(request)?;
    until(|| {
        wait(Duration::from_millis(100));
        let before = answer.body.clone();
        answer = peer.call(request).expect("statistics");
        answer.body == before
    });
    Ok(answer)
}

/// Loads a model with some fields of its configuration changed, or as it was at first.
pub(crate) fn load(peer: &mut Peer, model: &str, changes: Option<&Value>) {
    if !peer.original_configs.contains_key(model) {
        let request = Request::new("GET", &format!("/v2/models/{model}/config"), "");
        let config = peer.call(&request).expect("an answer").body;
        let config = serde_json::from_slice(&config).expect("a configuration");
        peer.original_configs.insert(model.to_owned(), config);
    }
    let mut config = peer.original_configs[model].clone();
    for (field, value) in changes.and_then(Value::as_object).into_iter().flatten() {
        config[field] = value.clone();
    }
    let parameters = json!({"parameters": {"config": config.to_string()}});
    let path = format!("/v2/repository/models/{model}/load");
    let request = Request::new("POST", &path, parameters.to_string());
    let answer = peer.call(&request).expect("an answer");
    let text = String::from_utf8_lossy(&answer.body);
    assert_eq!(
        answer.status, 200,
        "{model} is loaded with {config}: {text}"
    );
}

/// What a client can tell of an answer.
pub(crate) fn describe(request: &Request, answer: Option<Answer>) -> String {
    let Request { method, path, .. } = request;
    let Some(answer) = answer else {
        return format!("{method} {path}: the connection ends without an answer");
    };
    let headers: Vec<String> = HEADERS
        .iter()
        .filter_map(|name| Some(format!("{name}: {}", answer.header(name)?)))
        .collect();
    let body = uncompressed(&answer);
    let body = with_numbers_by_value(&without_times(&body.escape_ascii().to_string()));
    format!("{method} {path}: {} {headers:?} {body}", answer.status)
}

/// Two compressors need not agree on bytes, only on what they hold.
fn uncompressed(answer: &Answer) -> Vec<u8> {
    let mut content = Vec::new();
    let read = match answer.header("content-encoding") {
        Some("gzip") => flate2::bufread::GzDecoder::new(&answer.body[..]).read_to_end(&mut content),
        Some("deflate") => {
            flate2::bufread::ZlibDecoder::new(&answer.body[..]).read_to_end(&mut content)
        }
        _ => return answer.body.clone(),
    };
    read.expect("what it says it is");
    content
}

/// Of two texts that are the same number the servers need not choose the same one.
fn with_numbers_by_value(body: &str) -> String {
    let is_part = |character: char| character.is_ascii_digit() || ".eE-+".contains(character);
    let mut text = String::new();
    let mut rest = body;
    while let Some(start) = rest.find(|character: char| character.is_ascii_digit()) {
        let end = rest[start..].find(|character| !is_part(character));
        let end = end.map_or(rest.len(), |length| start + length);
        let token = &rest[start..end];
        text.push_str(&rest[..start]);
        match token.parse::<f64>() {
            Ok(number) if token.contains('.') && token.len() > 16 => {
                text.push_str(&format!("{number:?}"));
            }
            _ => text.push_str(token),
        }
        rest = &rest[end..];
    }
    text.push_str(rest);
    text
}

/// Times differ from run to run.
fn without_times(body: &str) -> String {
    let mut text = String::new();
    let mut rest = body;
    const TIMES: &[&str] = &[r#"\"ns\":"#, r#"\"last_inference\":"#];
    while let Some((position, key)) = TIMES
        .iter()
        .filter_map(|key| Some((rest.find(key)?, key)))
        .min()
    {
        let after = position + key.len();
        text.push_str(&rest[..after]);
        rest = rest[after..].trim_start_matches(|digit: char| digit.is_ascii_digit());
        text.push('T');
    }
    text.push_str(rest);
    text
}
