//! What models see of the ID of a sequence: each type of control with each form of an ID.

use triton_test_support::{OwnTriton, corrid_models, embedded_corrid_models};

use super::runner::{describe, settled_statistics};
use super::wire::{Peer, Request};

const MODELS: [&str; 5] = [
    "accumulate_uint64",
    "accumulate_int64",
    "accumulate_uint32",
    "accumulate_int32",
    "accumulate_string",
];

/// As they stand in the JSON of a request.
const IDS: &[&str] = &[
    // Numbers, at the limits of what a type can hold.
    "1",
    "124",
    "129",
    "2147483647",
    "2147483648",
    "4294967295",
    "4294967296",
    "4294967297",
    "5000000000",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    // No IDs.
    "0",
    "\"\"",
    // Numbers that cannot be read.
    "18446744073709551616",
    "-1",
    "-9223372036854775808",
    "-0",
    "1.0",
    "1.5",
    "0.0",
    "1e3",
    "1E0",
    // What is neither a number nor a text.
    "true",
    "false",
    "null",
    "[]",
    "[1]",
    "{}",
    // Texts. Between 125 and 128 bytes they end the process of a model with a control of text, and
    // from 21 bytes on they corrupt the memory of a server that has a control of a number.
    "\"0000\"",
    "\"1234\"",
    "\"abcd\"",
    "\"abce\"",
    "\"abcdefg\"",
    "\"job-0-0\"",
    "\"job-1-12345678901\"",
    "\"\\u00e9\\u00e9\\u00e9\"",
    "\"abcd\\u0000efg\"",
];

/// Of a control with 8 bytes, a text of less than four sets less: the rest is chance.
const SHORT_IDS: &[&str] = &["\"0\"", "\"5\"", "\"abc\"", "\"\\u00e9\"", "\"a\\u0000b\""];

const SHORT_ID_MODELS: [&str; 3] = ["accumulate_uint32", "accumulate_int32", "accumulate_string"];

#[test]
fn a_model_is_told_the_id_of_a_sequence_as_by_the_real_server() {
    let real = OwnTriton::start("corrid-differential", &corrid_models());
    let embedded = embedded_corrid_models().start().expect("a server");
    let mut peers = [Peer::new(real.endpoint()), Peer::new(&embedded.endpoint())];
    let requests = requests();
    let mut problems = Vec::new();
    for request in &requests {
        let [real, ours] = peers.each_mut().map(|peer| {
            let answer = match request.path.ends_with("/stats") {
                true => settled_statistics(peer, request),
                false => peer.call(request),
            };
            let answer = answer.ok();
            describe(request, answer)
        });
        if real != ours {
            let body = String::from_utf8_lossy(&request.body);
            problems.push(format!("{body}\n  real:     {real}\n  embedded: {ours}"));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    println!("{} requests about IDs without a difference", requests.len());
}

fn requests() -> Vec<Request> {
    let mut requests = Vec::new();
    for model in MODELS {
        requests.push(Request::new("GET", &format!("/v2/models/{model}"), ""));
        requests.push(Request::new(
            "GET",
            &format!("/v2/models/{model}/config"),
            "",
        ));
        for id in IDS {
            requests.extend(sequence(model, id));
        }
        if SHORT_ID_MODELS.contains(&model) {
            requests.extend(SHORT_IDS.iter().flat_map(|id| sequence(model, id)));
        }
        requests.extend(controls_as_tensors(model));
        requests.push(Request::new(
            "GET",
            &format!("/v2/models/{model}/stats"),
            "",
        ));
    }
    requests
}

/// Three requests of one sequence: of an ID that is refused, it shows whether it was opened.
fn sequence(model: &str, id: &str) -> [Request; 3] {
    let flags = [r#","sequence_start":true"#, "", r#","sequence_end":true"#];
    flags.map(|flags| {
        let parameters = format!(r#"{{"sequence_id":{id}{flags}}}"#);
        infer(model, &parameters, VALUE, "")
    })
}

const VALUE: &str = r#"{"name":"value","shape":[1,1],"datatype":"INT32","data":[3]}"#;

/// A control is no input and no output that a request can name.
fn controls_as_tensors(model: &str) -> [Request; 4] {
    let control = r#"{"name":"CORRID","shape":[1,1],"datatype":"UINT64","data":[7]}"#;
    let both = format!("{VALUE},{control}");
    let one_request = r#"{"sequence_id":7000,"sequence_start":true,"sequence_end":true}"#;
    [
        infer(model, one_request, control, ""),
        infer(model, one_request, &both, ""),
        infer(
            model,
            one_request,
            VALUE,
            r#","outputs":[{"name":"CORRID"}]"#,
        ),
        infer(
            model,
            one_request,
            VALUE,
            r#","outputs":[{"name":"corrid"}]"#,
        ),
    ]
}

fn infer(model: &str, parameters: &str, inputs: &str, outputs: &str) -> Request {
    let body = format!(r#"{{"parameters":{parameters},"inputs":[{inputs}]{outputs}}}"#);
    Request::new("POST", &format!("/v2/models/{model}/infer"), body)
}
