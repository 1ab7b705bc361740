//! Texts that a server makes up: none is obeyed by a terminal, whichever command shows it.

use serde_json::{Value, json};

use crate::small_server::{Answer, SmallServer};
use crate::{Run, triton};

/// It clears the screen, names the window, turns the direction of the line and begins another one.
const EVIL: &str = "evil\u{1b}[2J\u{1b}]0;pwn\u{7}\u{9b}31m\u{202e}\u{2066}\u{200f}\u{7f}\r\n\tend";

/// How it looks within a line.
const SHOWN: &str =
    "evil\\u{1b}[2J\\u{1b}]0;pwn\\u{7}\\u{9b}31m\\u{202e}\\u{2066}\\u{200f}\\u{7f}\\r\\n\\tend";

/// A server that says it wherever it says something of its own.
fn server() -> SmallServer {
    let tensor = |name: &str| json!([{"name": name, "datatype": "FP32", "shape": [-1, 1]}]);
    let tally = json!({"count": 1, "ns": 1000});
    SmallServer::named_by(EVIL, move |path, _| {
        let document = match path {
            "/v2/repository/index" => json!([
                {"name": EVIL, "version": EVIL, "state": "READY", "reason": ""},
                {"name": "m", "version": EVIL, "state": "READY", "reason": EVIL},
                {"name": "n", "version": "1", "state": EVIL, "reason": ""},
            ]),
            "/v2/models/m" => json!({
                "name": "m", "versions": [EVIL], "platform": EVIL,
                "inputs": tensor("x"), "outputs": tensor(EVIL),
            }),
            "/v2/models/m/config" => json!({"name": "m", "backend": EVIL, "max_batch_size": 8}),
            "/v2/models/m/stats" => json!({"model_stats": [{
                "name": EVIL, "version": EVIL, "inference_count": 1, "execution_count": 1,
                "inference_stats": {"success": tally, "fail": tally},
            }]}),
            "/v2/repository/models/m/load" => json!({}),
            _ => return Answer::new(400, json!({"error": EVIL}).to_string()),
        };
        Answer::new(200, document.to_string())
    })
}

/// What a command says, in which a terminal obeys nothing but the ends of lines.
fn said(server: &SmallServer, arguments: &[&str]) -> String {
    let endpoint = format!("endpoint={}", server.endpoint);
    let run: Run = triton(&[arguments, &["-O", &endpoint]].concat());
    let said = run.said();
    let obeyed = said.chars().find(|character| {
        let turns = matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        turns || (character.is_control() && !matches!(character, '\n' | '\t'))
    });
    assert_eq!(obeyed, None, "{arguments:?}: {said:?}");
    said
}

// Holds C54.
#[test]
fn no_text_of_a_server_is_obeyed_by_a_terminal() {
    let server = server();
    for (arguments, times) in [
        (&["models"][..], 3),
        (&["describe", "m"], 3),
        (&["describe", "m", "--sql"], 0),
        (&["stats", "m"], 2),
        (&["health"], 1),
        (&["load", "m"], 1),
        (&["unload", "m"], 0),
        (&["infer", "m", "{\"x\": 1}"], 0),
        (&["bench", "m", "-n", "1"], 0),
    ] {
        let said = said(&server, arguments);
        let found = said.matches(SHOWN).count();
        assert!(
            found >= times,
            "{arguments:?} shows it {found} times:\n{said}"
        );
        let begins = said
            .lines()
            .any(|line| line.trim_start().starts_with("end"));
        assert!(!begins, "{arguments:?}:\n{said}");
    }
}

#[test]
fn json_has_the_texts_of_a_server_as_escapes() {
    let server = server();
    for (arguments, pointer) in [
        (&["models", "--json"][..], "/0/name"),
        (&["describe", "m", "--json"], "/platform"),
        (&["stats", "m", "--json"], "/0/model"),
        (&["health", "--json"], "/server/name"),
    ] {
        let said = said(&server, arguments);
        let (code, document) = said.split_once('\n').unwrap();
        assert_eq!(code, "exit code 0", "{arguments:?}");
        let document: Value = serde_json::from_str(document).unwrap();
        assert_eq!(
            document.pointer(pointer),
            Some(&json!(EVIL)),
            "{arguments:?}"
        );
    }
}
