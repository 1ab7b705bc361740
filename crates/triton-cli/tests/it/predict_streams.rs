//! Decoupled models: an input row becomes any number of rows of the output.

use std::sync::Mutex;

use serde_json::{Value, json};
use triton_client::{Client, LoadModel};
use triton_test_support::live_endpoint;

use crate::small_server::{Answer, SmallServer};
use crate::{Files, triton};

/// What the function says of each row is among the columns.
const COUNTDOWN: &str = "
    CREATE MODEL countdown INPUT (`from` INT)
    OUTPUT (prediction_index INT, `left` INT, prediction_last BOOLEAN)
    WITH ('provider' = 'triton', 'model-name' = 'cli_countdown', 'decoupled' = 'stream')";

const INPUT: &str = "id,from\na,2\nb,0\nc,3\nd,-2\ne,1\n";

pub(crate) async fn load(endpoint: &str, name: &str) {
    let config = include_str!("../../../triton-client/tests/models/countdown/config.json");
    let mut config: Value = serde_json::from_str(config).unwrap();
    config["name"] = name.into();
    let source = include_str!("../../../triton-client/tests/models/countdown/1/model.py");
    let model = LoadModel::new().config(&config).file("1/model.py", source);
    let client = Client::new(endpoint).unwrap();
    let name = name.parse().unwrap();
    client.load_model(&name, &model).await.unwrap();
}

// Holds F79.
#[tokio::test(flavor = "multi_thread")]
async fn each_answer_is_a_row_of_the_output_beside_its_input_row() {
    let endpoint = live_endpoint();
    load(&endpoint, "cli_countdown").await;
    let endpoint = format!("endpoint={endpoint}");
    let files = Files::new();
    let model = files.write("model.sql", COUNTDOWN);
    let input = files.write("in.csv", INPUT);
    let summary = files.path("summary.json");
    let json_summary = format!("--json-summary={summary}");
    let arguments = [
        "predict",
        &model,
        &input,
        "-O",
        &endpoint,
        "--parallelism",
        "2",
    ];
    let run = triton(&[&arguments[..], &[&json_summary]].concat());
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    insta::assert_snapshot!(run.stdout, @"
    id,from,prediction_index,left,prediction_last
    a,2,0,2,false
    a,2,1,1,true
    c,3,0,3,false
    c,3,1,2,false
    c,3,2,1,true
    e,1,0,1,true
    ");
    assert!(
        run.stderr.contains("the stream broke after 1 row:"),
        "{}",
        run.stderr
    );
    let summary: Value =
        serde_json::from_str(&std::fs::read_to_string(files.path("summary.json")).unwrap())
            .unwrap();
    let counted = ["rows", "answered", "rejected", "written"].map(|name| summary[name].as_u64());
    assert_eq!(counted, [5, 4, 1, 6].map(Some));

    // Without a MODEL.sql, and with what failed in the output.
    let arguments = [
        "predict",
        "--model",
        "cli_countdown",
        &input,
        "-O",
        &endpoint,
        "-O",
        "decoupled=stream",
        "--on-error",
        "column",
        "--output-format",
        "ndjson",
    ];
    let run = triton(&arguments);
    let output = run.stdout.replace(&endpoint["endpoint=".len()..], "URL");
    insta::assert_snapshot!(output, @r#"
    {"id":"a","from":2,"left":2,"prediction_index":0,"prediction_last":false,"prediction_status":"answered","prediction_error":null}
    {"id":"a","from":2,"left":1,"prediction_index":1,"prediction_last":true,"prediction_status":"answered","prediction_error":null}
    {"id":"c","from":3,"left":3,"prediction_index":0,"prediction_last":false,"prediction_status":"answered","prediction_error":null}
    {"id":"c","from":3,"left":2,"prediction_index":1,"prediction_last":false,"prediction_status":"answered","prediction_error":null}
    {"id":"c","from":3,"left":1,"prediction_index":2,"prediction_last":true,"prediction_status":"answered","prediction_error":null}
    {"id":"d","from":-2,"left":2,"prediction_index":0,"prediction_last":false,"prediction_status":"answered","prediction_error":null}
    {"id":"d","from":-2,"left":null,"prediction_index":1,"prediction_last":true,"prediction_status":"failed","prediction_error":"subtask 0 of 1, attempt 0: the stream broke after 1 row: stream from model 'cli_countdown' at URL/: status 200: the countdown was called off"}
    {"id":"e","from":1,"left":1,"prediction_index":0,"prediction_last":true,"prediction_status":"answered","prediction_error":null}
    "#);
    assert!(
        run.stderr
            .contains("5 rows: 4 answered, 1 failed, 0 rejected; 8 rows written; "),
        "{}",
        run.stderr
    );
}

/// A model that counts down, and whose stream breaks once, from 4 on after two rows.
fn breaking_once() -> SmallServer {
    let broken = Mutex::new(false);
    SmallServer::start(move |path, request| match path {
        "/v2/models/cli_countdown" => {
            let tensor = |name| json!([{"name": name, "datatype": "INT32", "shape": [1]}]);
            let metadata = json!({
                "name": "cli_countdown", "versions": ["1"], "platform": "python",
                "inputs": tensor("from"), "outputs": tensor("left"),
            });
            Answer::new(200, metadata.to_string())
        }
        "/v2/models/cli_countdown/config" => {
            let policy = json!({"decoupled": true});
            let config = json!({"name": "cli_countdown", "model_transaction_policy": policy});
            Answer::new(200, config.to_string())
        }
        _ => {
            let from = request["from"].as_i64().unwrap();
            let mut events: Vec<Value> =
                (1..=from).rev().map(|left| json!({"left": left})).collect();
            let mut broken = broken.lock().unwrap();
            if from == 4 && !std::mem::replace(&mut broken, true) {
                events.truncate(2);
                events.push(json!({"error": "called off"}));
            }
            let events = events.iter().map(|event| format!("data: {event}\n\n"));
            Answer::new(200, events.collect::<String>()).header("Content-Type", "text/event-stream")
        }
    })
}

// Holds F79.
#[test]
fn a_run_that_goes_on_neither_loses_nor_doubles_answers() {
    let files = Files::new();
    let model = files.write("model.sql", COUNTDOWN);
    let rows: String = (0..20).map(|row| format!("{row},{}\n", row % 5)).collect();
    let input = files.write("in.csv", &format!("id,from\n{rows}"));
    let (output, state) = (files.path("out.csv"), files.path("state"));
    let server = breaking_once();
    let endpoint = format!("endpoint={}", server.endpoint);
    let arguments = [
        "predict",
        &model,
        &input,
        "-O",
        &endpoint,
        "--output",
        &output,
        "--checkpoint",
        &state,
        "--checkpoint-every",
        "3",
        "--on-error",
        "fail",
        "--max-in-flight",
        "1",
    ];
    let run = triton(&arguments);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(
        run.stderr
            .contains("row 5 (line 6): the stream broke after 2 rows:"),
        "{}",
        run.stderr
    );
    let run = triton(&arguments);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let said = "20 rows: 20 answered, 0 rejected; 40 rows written; resumed after 3; ";
    assert!(run.stderr.contains(said), "{}", run.stderr);
    let expected = (0..20).flat_map(|row| {
        let from = row % 5;
        (0..from).map(move |index| {
            let (left, last) = (from - index, index + 1 == from);
            format!("{row},{from},{index},{left},{last}\n")
        })
    });
    let expected: String = expected.collect();
    let header = "id,from,prediction_index,left,prediction_last\n";
    assert_eq!(
        std::fs::read_to_string(files.path("out.csv")).unwrap(),
        format!("{header}{expected}")
    );
}
