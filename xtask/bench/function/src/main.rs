//! The model function and the client that it calls, in one program: what differs between them is
//! what the function adds, whatever features the client was built with.

mod client;
mod function;
mod limit;

use std::process::ExitCode;

use bench_rounds::Case;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let words: Vec<_> = arguments.iter().map(String::as_str).collect();
    let outcome = match words[..] {
        ["limit", endpoint, limit, seconds] => match seconds.parse() {
            Ok(seconds) => limit::run(endpoint, limit, seconds),
            Err(_) => Err(format!("expected a number of seconds, found '{seconds}'")),
        },
        [program, endpoint, case] => match (program, Case::named(case)) {
            (_, None) => Err(format!("there is no case '{case}'")),
            ("client-beside", Some(case)) => client::run(endpoint, case),
            ("function", Some(case)) => function::run(endpoint, case, &[]),
            ("function-ids", Some(case)) => function::run(endpoint, case, function::GUARDED),
            _ => Err(format!("there is no program '{program}'")),
        },
        _ => Err(
            "usage: bench-function client-beside|function|function-ids ENDPOINT CASE, or \
             bench-function limit ENDPOINT LIMIT SECONDS"
                .to_owned(),
        ),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}
