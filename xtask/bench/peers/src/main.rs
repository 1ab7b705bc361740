//! The instant server, and the two programs that are measured in every run.
//!
//! One program for both, so that they are built of the same dependencies with the same features.

mod answers;
mod bare;
mod client;
mod requests;
mod server;

use std::process::ExitCode;

use bench_rounds::Case;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let words: Vec<_> = arguments.iter().map(String::as_str).collect();
    let outcome = match words[..] {
        ["serve"] => server::serve(),
        [program @ ("client" | "bare"), endpoint, case] => match Case::named(case) {
            Some(case) if program == "client" => client::run(endpoint, case),
            Some(case) => bare::run(endpoint, case),
            None => Err(format!("there is no case '{case}'")),
        },
        _ => Err("usage: bench-peers serve | client ENDPOINT CASE | bare ENDPOINT CASE".to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}
