//! The least that a client of this HTTP library can do: it sends bytes that are there already and
//! takes what comes as bytes.

use bench_rounds::{Case, Expected, Peer};
use bytes::Bytes;

use crate::{answers, client};

struct Bare {
    http: reqwest::Client,
    url: String,
    body: Bytes,
    json_length: Option<usize>,
    expected: Expected<u8>,
}

pub(super) fn run(endpoint: &str, case: &Case) -> Result<(), String> {
    let connect = || {
        let http = reqwest::Client::builder().no_proxy().build();
        let (body, json_length) = client::encoded(case)?;
        Ok(Bare {
            http: http.map_err(|error| error.to_string())?,
            url: format!("{endpoint}/v2/models/{}/infer", case.model),
            body,
            json_length,
            expected: Expected::new(answers::body(case).1),
        })
    };
    bench_rounds::run(connect, case.in_flight)
}

impl Peer for Bare {
    async fn ask(&self) -> Result<(), String> {
        let request = self.http.post(&self.url).body(self.body.clone());
        let request = match self.json_length {
            Some(length) => request
                .header("Content-Type", "application/octet-stream")
                .header("Inference-Header-Content-Length", length),
            None => request.header("Content-Type", "application/json"),
        };
        let response = request.send().await.map_err(|error| error.to_string())?;
        let body = response.bytes().await.map_err(|error| error.to_string())?;
        self.expected.check(&body)
    }
}
