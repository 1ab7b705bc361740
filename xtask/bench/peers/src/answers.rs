//! The bytes of every answer, made once: an answer costs the server one write.

use bench_rounds::{CASES, Case, Format, Lane};

/// How many bytes of an inference's answer are JSON if a tensor follows, and all of them.
///
/// As a real server writes them: an FP32 in JSON has the digits of the double that it becomes.
pub(super) fn body(case: &Case) -> (Option<usize>, Vec<u8>) {
    let model = case.model;
    let values = case.values();
    let data = match case.format {
        Format::Binary => format!(
            r#""parameters":{{"binary_data_size":{}}}"#,
            4 * values.len()
        ),
        Format::Json => {
            let digits: Vec<_> = values
                .iter()
                .map(|value| f64::from(*value).to_string())
                .collect();
            format!(r#""data":[{}]"#, digits.join(","))
        }
    };
    let json = format!(
        r#"{{"model_name":"{model}","model_version":"1","outputs":[{{"name":"echo","datatype":"FP32","shape":{:?},{data}}}]}}"#,
        case.shape()
    );
    let mut body = json.into_bytes();
    match case.format {
        Format::Json => (None, body),
        Format::Binary => {
            let json_length = body.len();
            body.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            (Some(json_length), body)
        }
    }
}

/// Every answer of the server, whole.
pub(super) struct Answers {
    by_path: Vec<(String, Vec<u8>)>,
    inference: Vec<Inference>,
}

/// What a model answers to requests of one form.
pub(super) struct Inference {
    path: String,
    format: Format,
    /// What the request has to bring.
    pub(super) values: Vec<f32>,
    pub(super) shape: [usize; 2],
    pub(super) answer: Vec<u8>,
}

impl Inference {
    pub(super) fn of(case: &Case) -> Self {
        let (json_length, body) = body(case);
        Self {
            path: format!("/v2/models/{}/infer", case.model),
            format: case.format,
            values: case.values(),
            shape: case.shape(),
            answer: answer("200 OK", json_length, &body),
        }
    }
}

impl Answers {
    pub(super) fn new() -> Self {
        let mut by_path = vec![
            (
                "/v2".to_owned(),
                r#"{"name":"instant","version":"1","extensions":["classification","model_configuration","statistics","binary_tensor_data"]}"#.to_owned(),
            ),
            ("/v2/health/live".to_owned(), String::new()),
            ("/v2/health/ready".to_owned(), String::new()),
        ];
        let mut inference: Vec<Inference> = Vec::new();
        for case in CASES {
            let (model, elements) = (case.model, case.elements);
            let path = format!("/v2/models/{model}/infer");
            let known = |known: &&Inference| known.path == path && known.format == case.format;
            if inference.iter().any(|one| known(&one)) {
                continue;
            }
            inference.push(Inference::of(case));
            if by_path
                .iter()
                .any(|(known, _)| *known == format!("/v2/models/{model}"))
            {
                continue;
            }
            let (shape, dims, most_rows, sequences) = match case.lane {
                // Its models know of no batches, so that a request is all that they can be sent.
                Lane::Alone => (format!("[1,{elements}]"), format!("[1,{elements}]"), 0, ""),
                Lane::Batched(rows) => (
                    format!("[-1,{elements}]"),
                    format!("[{elements}]"),
                    rows,
                    "",
                ),
                Lane::Keyed(_) => (
                    format!("[-1,{elements}]"),
                    format!("[{elements}]"),
                    1,
                    SEQUENCES,
                ),
            };
            let about = [
                ("/ready", String::new()),
                (
                    "",
                    format!(
                        r#"{{"name":"{model}","versions":["1"],"platform":"instant","inputs":[{{"name":"value","datatype":"FP32","shape":{shape}}}],"outputs":[{{"name":"echo","datatype":"FP32","shape":{shape}}}]}}"#
                    ),
                ),
                (
                    "/config",
                    format!(
                        r#"{{"name":"{model}","platform":"","backend":"instant","version_policy":{{"latest":{{"num_versions":1}}}},"max_batch_size":{most_rows}{sequences},"input":[{{"name":"value","data_type":"TYPE_FP32","dims":{dims}}}],"output":[{{"name":"echo","data_type":"TYPE_FP32","dims":{dims}}}]}}"#
                    ),
                ),
                (
                    "/stats",
                    format!(
                        r#"{{"model_stats":[{{"name":"{model}","version":"1","last_inference":0,"inference_count":0,"execution_count":0,"inference_stats":{STATISTICS},"batch_stats":[]}}]}}"#
                    ),
                ),
            ];
            for (end, json) in about {
                by_path.push((format!("/v2/models/{model}{end}"), json));
            }
        }
        let by_path = by_path.into_iter();
        Self {
            by_path: by_path
                .map(|(path, json)| (path, answer("200 OK", None, json.as_bytes())))
                .collect(),
            inference,
        }
    }

    /// The answer to a question about the server or a model.
    pub(super) fn about(&self, path: &str) -> Option<&[u8]> {
        let mut all = self.by_path.iter();
        all.find(|(known, _)| is(path, known))
            .map(|(_, answer)| answer.as_slice())
    }

    /// What a model answers to requests in that form.
    pub(super) fn inference(&self, path: &str, format: Format) -> Option<&Inference> {
        let mut all = self.inference.iter();
        all.find(|one| one.format == format && is(path, &one.path))
    }
}

const SEQUENCES: &str = r#","sequence_batching":{"oldest":{"max_candidate_sequences":256},"max_sequence_idle_microseconds":3600000000}"#;

const STATISTICS: &str = r#"{"success":{"count":0,"ns":0},"fail":{"count":0,"ns":0},"queue":{"count":0,"ns":0},"compute_input":{"count":0,"ns":0},"compute_infer":{"count":0,"ns":0},"compute_output":{"count":0,"ns":0},"cache_hit":{"count":0,"ns":0},"cache_miss":{"count":0,"ns":0}}"#;

/// Whether a path is this one, or the same with the version.
fn is(path: &str, known: &str) -> bool {
    path == known
        || path
            .split_once("/versions/1")
            .is_some_and(|(model, end)| known.strip_prefix(model).is_some_and(|known| known == end))
}

/// An answer with its head.
pub(super) fn answer(status: &str, json_length: Option<usize>, body: &[u8]) -> Vec<u8> {
    let kind = match json_length {
        Some(length) => {
            format!("application/octet-stream\r\nInference-Header-Content-Length: {length}")
        }
        None => "application/json".to_owned(),
    };
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}
