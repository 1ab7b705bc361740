//! A server with fixed answers, for what no server at hand would say.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};

/// A path, and the status and body of the answer to a question without a body. A path that ends in
/// `#2` is that of the second question for it, and goes before the same path without a number.
pub type ScriptedAnswer = (&'static str, u16, &'static str);

/// Answers these paths so, and others with 404 and no body, until the process ends; returns its
/// address.
///
/// # Panics
///
/// When no port of this machine can be had.
#[must_use]
pub fn scripted_server(answers: &[ScriptedAnswer]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port of this machine");
    let address = listener.local_addr().expect("the address of a listener");
    let answers = answers.to_vec();
    std::thread::spawn(move || {
        let mut questions = HashMap::new();
        for stream in listener.incoming().flatten() {
            let Some(path) = path_of_question(&stream) else {
                continue;
            };
            let count = questions.entry(path.clone()).or_insert(0_u32);
            *count += 1;
            let numbered = format!("{path}#{count}");
            let find = |name: &str| answers.iter().find(|(known, ..)| *known == name);
            let found = find(&numbered).or_else(|| find(&path));
            let (status, body) = found.map_or((404, ""), |(_, status, body)| (*status, *body));
            let length = body.len();
            let head =
                format!("HTTP/1.1 {status} -\r\nConnection: close\r\nContent-Length: {length}");
            // Whoever asked may have gone.
            let _ = write!(&stream, "{head}\r\n\r\n{body}");
        }
    });
    format!("http://{address}")
}

/// The path that is asked for, once the whole head of the request is there.
fn path_of_question(stream: &TcpStream) -> Option<String> {
    let lines = BufReader::new(stream).lines().map_while(Result::ok);
    let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let path = head.first()?.split(' ').nth(1)?;
    Some(path.to_owned())
}
