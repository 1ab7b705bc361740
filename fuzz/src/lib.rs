//! What a fuzzer calls: a function for each thing that reads bytes from elsewhere, with the
//! properties that must hold of whatever it reads.
//!
//! The program beside it fuzzes them; the tests here replay what was found, on any compiler.

mod cells;
mod descriptions;
mod files;
mod flink;
mod options;
mod refusals;
mod requests;
mod responses;
mod snapshots;

#[cfg(test)]
mod replay;

/// The environment variable that tells the program which target it runs.
pub const VARIABLE: &str = "FUZZ_TARGET";

/// Something that reads bytes from elsewhere.
#[derive(Debug)]
pub struct Target {
    /// Its name, and that of the folder of its seeds and of its corpus.
    pub name: &'static str,
    /// Reads the bytes; panics where a property does not hold.
    pub run: fn(&[u8]),
}

const fn target(name: &'static str, run: fn(&[u8])) -> Target {
    Target { name, run }
}

/// Every target.
pub const TARGETS: &[Target] = &[
    // What a server sends.
    target("json_response", responses::json),
    target("binary_response", responses::binary),
    target("server_sent_events", responses::events),
    target("description", descriptions::description),
    target("refusal", refusals::refusal),
    // What a user writes.
    target("option_map", options::map),
    target("duration", options::duration),
    target("create_model", options::statement),
    target("csv", files::csv),
    target("ndjson", files::ndjson),
    target("cell", cells::cell),
    // What was written by this project, and may be damaged.
    target("snapshot", snapshots::snapshot),
    target("flink_row", flink::row),
    target("flink_description", flink::description),
    // What clients send to the embedded server.
    target("embedded_request", requests::request),
];

impl Target {
    /// The target of that name.
    #[must_use]
    pub fn called(name: &str) -> Option<&'static Self> {
        TARGETS.iter().find(|target| target.name == name)
    }
}
