//! OpenVINO Model Server, which is not to be had here: a server that answers as it does.

use serde_json::json;

use super::{run, said};
use crate::Files;
use crate::small_server::{Answer, SmallServer};

/// What its sources and its documentation say of OpenVINO Model Server: no extensions, 400 for a
/// path that it does not have, and a batch of a fixed size.
fn openvino() -> SmallServer {
    SmallServer::start(|path, body| match path {
        "/v2/models/m" => {
            let tensor = |name| json!({"name": name, "datatype": "FP32", "shape": [1, 3]});
            let model = json!({
                "name": "m",
                "versions": ["1"],
                "platform": "OpenVINO",
                "inputs": [tensor("x")],
                "outputs": [tensor("y")],
            });
            Answer::new(200, model.to_string())
        }
        "/v2/models/m/ready" => Answer::new(200, ""),
        "/v2/models/m/infer" => {
            let mut output = body["inputs"][0].clone();
            assert_eq!(output["shape"], json!([1, 3]));
            output["name"] = "y".into();
            let answer = json!({"id": body["id"], "model_name": "m", "outputs": [output]});
            Answer::new(200, answer.to_string())
        }
        _ => Answer::new(400, json!({"error": "Invalid request URL"}).to_string()),
    })
}

#[test]
fn a_server_without_any_extension_says_what_it_lacks() {
    let server = openvino();
    let endpoint = server.endpoint.as_str();
    insta::assert_snapshot!(said(endpoint, &["models"]), @"
    exit code 3
    error: the server lists no models
      caused by: list the model repository at http://server/: status 400: Invalid request URL
      try: `triton health MODEL` asks about one
    ");
    insta::assert_snapshot!(said(endpoint, &["load", "m"]), @"
    exit code 3
    error: the server loads and unloads no models for its clients
      caused by: load model 'm' at http://server/: status 400: Invalid request URL
    ");
    insta::assert_snapshot!(said(endpoint, &["unload", "m"]), @"
    exit code 3
    error: the server loads and unloads no models for its clients
      caused by: unload model 'm' at http://server/: status 400: Invalid request URL
    ");
    insta::assert_snapshot!(said(endpoint, &["stats", "m"]), @"
    exit code 3
    error: the server keeps no statistics of its models
      caused by: read statistics of model 'm' at http://server/: status 400: Invalid request URL
    ");
    insta::assert_snapshot!(said(endpoint, &["describe", "m"]), @"
    exit code 0
    model m (OpenVINO), version 1

    INPUT  DATATYPE  SHAPE
    x      FP32      [1, 3]

    OUTPUT  DATATYPE  SHAPE
    y       FP32      [1, 3]

    batching: 1 row in a request; the server keeps no configuration, so option 'model-max-batch-size' says how many there may be
    sequences: none; the server names no extension for them

    CREATE MODEL `m`
    INPUT (
      `x` ARRAY<ARRAY<FLOAT>>
    )
    OUTPUT (
      `y` ARRAY<ARRAY<FLOAT>>
    )
    WITH (
      'provider' = 'triton',
      'endpoint' = 'http://server/',
      'model-name' = 'm'
    );
    ");

    let files = Files::new();
    let input = files.write("rows.ndjson", "{\"x\":[[1,2,3]]}\n{\"x\":[[4,5,6]]}\n");
    let scored = run(endpoint, &["predict", "--model", "m", &input]);
    assert_eq!(
        scored.stdout,
        "{\"x\":[[1,2,3]],\"y\":[[1,2,3]]}\n{\"x\":[[4,5,6]],\"y\":[[4,5,6]]}\n"
    );
    assert_eq!(scored.code, Some(0), "{}", scored.stderr);
    let sql = "CREATE MODEL m INPUT (x ARRAY<FLOAT>) OUTPUT (y ARRAY<FLOAT>) \
               WITH ('provider' = 'triton', 'model-name' = 'm');";
    let sql = files.write("model.sql", sql);
    let input = files.write("rows.ndjson", "{\"x\":[1,2,3]}\n");
    let scored = run(endpoint, &["predict", &sql, &input]);
    assert_eq!(
        scored.stdout, "{\"x\":[1,2,3],\"y\":[1,2,3]}\n",
        "{}",
        scored.stderr
    );
}
