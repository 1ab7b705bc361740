//! Replays what the fuzzer found interesting, and what broke something once, without a fuzzer.

use std::collections::BTreeSet;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::{TARGETS, Target};

/// How deep what is nested without an end is nested here.
const DEPTH: usize = 20_000;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The names in a folder.
fn names(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).expect("the folder is there");
    let names = entries.map(|entry| entry.expect("it can be read").file_name());
    names
        .map(|name| name.into_string().expect("text"))
        .collect()
}

/// The inputs of a target by their names.
fn inputs(target: &Target) -> Vec<(String, Vec<u8>)> {
    let seeds = folder("corpus_seeds").join(target.name);
    let seeds = names(&seeds).into_iter().map(|name| {
        let bytes = std::fs::read(seeds.join(&name)).expect("it can be read");
        (format!("corpus_seeds/{}/{name}", target.name), bytes)
    });
    let path = folder("corpus").join(format!("{}.base64", target.name));
    let corpus = std::fs::read_to_string(&path).expect("every target has a corpus");
    let corpus = corpus.lines().enumerate().map(|(index, line)| {
        let name = format!("corpus/{}.base64, line {}", target.name, index + 1);
        (name, BASE64.decode(line).expect("a line is base64"))
    });
    seeds.chain(corpus).collect()
}

/// Runs a target; what fails is named.
fn run(target: &Target, name: &str, input: &[u8]) {
    if catch_unwind(|| (target.run)(input)).is_err() {
        panic!("{name} breaks the target {}: see above", target.name);
    }
}

#[test]
fn every_input_of_every_corpus_is_read() {
    for target in TARGETS {
        let inputs = inputs(target);
        assert!(inputs.len() > 1, "{} has no corpus", target.name);
        for (name, input) in &inputs {
            run(target, name, input);
        }
        println!("{}: {} inputs", target.name, inputs.len());
    }
}

#[test]
fn every_corpus_has_a_target() {
    let seeds: BTreeSet<_> = TARGETS
        .iter()
        .map(|target| target.name.to_owned())
        .collect();
    assert_eq!(names(&folder("corpus_seeds")), seeds);
    let corpora = seeds.iter().map(|name| format!("{name}.base64")).collect();
    assert_eq!(names(&folder("corpus")), corpora);
}

/// A stack that overflows ends a process without a word, and no fuzzer makes inputs that long.
#[test]
fn what_is_nested_without_an_end_is_refused() {
    let text = |open: &str| open.repeat(DEPTH);
    let bombs = [
        text("["),
        text("{\"a\":"),
        text("("),
        format!("{{\"a\":{}", text("[")),
        format!("{{\"outputs\":[{{\"name\":\"a\",\"data\":{}", text("[")),
        format!(
            "{{\"outputs\":[{{\"name\":\"a\",\"datatype\":\"INT8\",\"shape\":[1],\"data\":{}",
            text("[")
        ),
        format!("data: {}\n\n", text("[")),
        format!("CREATE MODEL m INPUT (a {}", text("ARRAY<")),
        format!("a,b,c,d,e,f\n1,2,3,\"{}\",,\n", text("[")),
        format!("{{\"d\":{}", text("[")),
        format!(
            "POST /v2/models/echo/infer HTTP/1.1\r\nContent-Length: {DEPTH}\r\n\r\n{}",
            text("[")
        ),
        format!(
            "POST /v2/repository/models/echo/load HTTP/1.1\r\nContent-Length: {DEPTH}\r\n\r\n{}",
            text("{\"a\":")
        ),
    ];
    for target in TARGETS {
        for (number, bomb) in bombs.iter().enumerate() {
            // Many targets take their settings from the first bytes.
            for first in [&[][..], &[0, 0]] {
                let input = [first, bomb.as_bytes()].concat();
                run(target, &format!("bomb {number}"), &input);
            }
        }
    }
}
