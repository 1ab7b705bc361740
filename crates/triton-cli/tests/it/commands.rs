//! `triton models`, `describe`, `stats`, `load` and `unload`, on both servers.

use serde_json::{Value, json};
use triton_client::{Client, InferRequest, LoadModel, ModelId, Tensor};
use triton_test_support::{EmbeddedTriton, live_endpoint, on_both_servers};

use crate::{Files, READINESS, Run, example, triton};

on_both_servers!(
    models_are_listed,
    a_model_is_described,
    the_statement_of_every_model_is_one_that_predict_accepts,
    statistics_are_shown,
    statistics_are_watched,
    a_model_is_loaded_again,
    models_that_are_not_there,
);

/// Runs a command about the server at `endpoint`.
fn run(endpoint: &str, arguments: &[&str]) -> Run {
    let option = format!("endpoint={endpoint}");
    triton(&[arguments, &["-O", &option]].concat())
}

/// What a command that succeeds shows, without the server's address.
#[track_caller]
fn shown(endpoint: &str, arguments: &[&str]) -> String {
    let run = run(endpoint, arguments);
    assert_eq!(
        (run.code, run.stderr.as_str()),
        (Some(0), ""),
        "{arguments:?}"
    );
    run.stdout.replace(endpoint, "http://server")
}

/// The exit code and message of a command that fails.
#[track_caller]
fn refused(endpoint: &str, arguments: &[&str]) -> String {
    let run = run(endpoint, arguments);
    assert_eq!(run.stdout, "", "{arguments:?}");
    run.said().replace(endpoint, "http://server")
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

async fn models_are_listed(endpoint: &str) {
    let text = shown(endpoint, &["models"]);
    let mut lines = text.lines();
    assert!(lines.next().unwrap().starts_with("MODEL"), "{text}");
    let echo = lines.find(|line| line.starts_with("echo ")).unwrap();
    assert_eq!(
        echo.split_whitespace().collect::<Vec<_>>(),
        ["echo", "1", "READY"]
    );
    let list = json(&shown(endpoint, &["models", "--ready", "--json"]));
    let list = list.as_array().unwrap();
    let ready = json!({"name": "echo", "version": 1, "state": "READY", "reason": ""});
    assert!(list.contains(&ready), "{list:?}");
    assert!(list.iter().all(|entry| entry["state"] == "READY"));
}

async fn a_model_is_described(endpoint: &str) {
    insta::allow_duplicates! {
        insta::assert_snapshot!(shown(endpoint, &["describe", "anomaly"]), @"
        model anomaly (python), version 1

        INPUT    DATATYPE  SHAPE
        reading  FP32      [-1, -1]

        OUTPUT   DATATYPE  SHAPE
        z_score  FP32      [-1, -1]
        anomaly  BOOL      [-1, -1]

        batching: at most 8 rows in a request
        sequences: the model keeps a state for each (oldest strategy, at most 256 at once), which it forgets after 5 s without a request
        sequence IDs: text, because no control input of the model has them handed over

        -- The model keeps a state for each sequence. Here every row is a sequence
        -- of its own; 'sequence-key' = 'COLUMN' gives each value of a column one.
        CREATE MODEL `anomaly`
        INPUT (
          `reading` ARRAY<FLOAT>
        )
        OUTPUT (
          `z_score` ARRAY<FLOAT>,
          `anomaly` ARRAY<BOOLEAN>
        )
        WITH (
          'provider' = 'triton',
          'endpoint' = 'http://server/',
          'model-name' = 'anomaly',
          'sequence-id' = 'anomaly',
          'sequence-id-auto-increment' = 'true',
          'sequence-id-scope' = 'run'
        );
        ");
        insta::assert_snapshot!(shown(endpoint, &["describe", "echo"]), @"
        model echo (python), version 1

        INPUT  DATATYPE  SHAPE
        value  FP32      [-1, -1]

        OUTPUT  DATATYPE  SHAPE
        echo    FP32      [-1, -1]

        batching: at most 64 rows in a request; the server joins requests into batches
        sequences: none; the model is stateless

        CREATE MODEL `echo`
        INPUT (
          `value` ARRAY<FLOAT>
        )
        OUTPUT (
          `echo` ARRAY<FLOAT>
        )
        WITH (
          'provider' = 'triton',
          'endpoint' = 'http://server/',
          'model-name' = 'echo'
        );
        ");
    }
    let description = json(&shown(endpoint, &["describe", "accumulate", "--json"]));
    assert_eq!(description["stateful"], true);
    assert_eq!(description["config"]["max_batch_size"], 8);
    let value = json!([{"name": "value", "datatype": "INT32", "shape": [-1, 1]}]);
    assert_eq!(description["inputs"], value);
    let sql = shown(endpoint, &["describe", "accumulate", "--sql"]);
    assert_eq!(
        description["sql"]
            .as_str()
            .unwrap()
            .replace(endpoint, "http://server"),
        sql
    );
}

/// Two rows of ones for the inputs of a model.
fn rows(description: &Value) -> String {
    let inputs = description["inputs"].as_array().unwrap();
    let names: Vec<&str> = inputs
        .iter()
        .map(|input| input["name"].as_str().unwrap())
        .collect();
    let cells: Vec<&str> = inputs
        .iter()
        .map(
            |input| match input["shape"].as_array().unwrap().as_slice() {
                [_, one] if *one == 1 => "1",
                [_, _] => "[1]",
                other => panic!("a shape that no model here has: {other:?}"),
            },
        )
        .collect();
    let (names, cells) = (names.join(","), cells.join(","));
    format!("{names}\n{cells}\n{cells}\n")
}

async fn the_statement_of_every_model_is_one_that_predict_accepts(endpoint: &str) {
    let files = Files::new();
    for name in ["accumulate", "anomaly", "echo"] {
        let description = json(&run(endpoint, &["describe", name, "--json"]).stdout);
        let sql = run(endpoint, &["describe", name, "--sql"]).stdout;
        let model = files.write("model.sql", &sql);
        let input = files.write("input.csv", &rows(&description));
        let scored = triton(&["predict", &model, &input]);
        assert_eq!(scored.code, Some(0), "{name}: {}", scored.stderr);
        assert_eq!(scored.stdout.lines().count(), 3, "{}", scored.stdout);
    }
}

/// Sends `count` requests to `echo`.
async fn infer(endpoint: &str, count: usize) {
    let client = Client::new(endpoint).unwrap();
    let request = InferRequest::new(ModelId::latest("echo".parse().unwrap()))
        .input(Tensor::from_slice("value", [1, 1], &[1.0_f32]).unwrap());
    for _ in 0..count {
        client.infer(&request).await.unwrap();
    }
}

async fn statistics_are_shown(endpoint: &str) {
    infer(endpoint, 3).await;
    let text = shown(endpoint, &["stats", "echo"]);
    assert!(text.starts_with("model echo, version 1: "), "{text}");
    for phase in ["success", "failure", "queue", "compute infer", "BATCH SIZE"] {
        assert!(text.contains(phase), "{text}");
    }
    let before = json(&shown(endpoint, &["stats", "echo", "--json"]));
    infer(endpoint, 2).await;
    let after = json(&shown(endpoint, &["stats", "echo", "--json"]));
    let count = |statistics: &Value| {
        statistics[0]["requests"]["success"]["count"]
            .as_u64()
            .unwrap()
    };
    // Other tests may use the model at the same time.
    assert!(count(&after) >= count(&before) + 2, "{before} {after}");
}

async fn statistics_are_watched(endpoint: &str) {
    let watch = ["stats", "echo", "--watch", "50ms", "--count", "2"];
    let text = shown(endpoint, &watch);
    let lines: Vec<Vec<&str>> = text
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert_eq!(
        lines[0],
        [
            "inf/s", "fail/s", "server", "queue", "infer", "exec/s", "batch"
        ]
    );
    let text = shown(endpoint, &[&watch[..], &["--json"]].concat());
    let lines: Vec<Value> = text.lines().map(json).collect();
    assert_eq!(lines.len(), 2);
    for line in lines {
        assert!(line["seconds"].as_f64().unwrap() >= 0.05, "{text}");
    }
}

async fn a_model_is_loaded_again(endpoint: &str) {
    let _turn = READINESS.lock().await;
    assert_eq!(
        shown(endpoint, &["load", "accumulate", "--wait", "1min"]),
        "model 'accumulate' is loaded: version 1\n"
    );
}

async fn models_that_are_not_there(endpoint: &str) {
    insta::allow_duplicates! {
        insta::assert_snapshot!(refused(endpoint, &["describe", "nobody"]), @"
        exit code 3
        error: read metadata of model 'nobody' at http://server/: status 404: Request for unknown model: 'nobody' is not found
          try: `triton models` lists the models that the server has
        ");
        insta::assert_snapshot!(refused(endpoint, &["stats", "nobody"]), @"
        exit code 3
        error: read statistics of model 'nobody' at http://server/: status 400: requested model 'nobody' is not available
          try: `triton models` lists the models that the server has
        ");
        insta::assert_snapshot!(refused(endpoint, &["unload", "nobody"]), @"
        exit code 3
        error: the server has no model 'nobody'
          try: `triton models` lists the models that the server has
        ");
        insta::assert_snapshot!(refused(endpoint, &["describe", "no/body"]), @"
        exit code 2
        error: option 'model-name': expected the model's name, made of ASCII letters, digits and any of -_.~!$&'()*+,;=:@, found 'no/body' (from MODEL)
        ");
    }
}

/// Once unloaded, it is not ready, and the list says so.
#[test]
fn a_model_is_unloaded_and_loaded() {
    let server = EmbeddedTriton::start().unwrap();
    let endpoint = server.endpoint();
    assert_eq!(
        shown(&endpoint, &["unload", "echo"]),
        "model 'echo' is unloaded\n"
    );
    assert_eq!(run(&endpoint, &["health", "echo"]).code, Some(1));
    insta::assert_snapshot!(shown(&endpoint, &["models"]), @"
    MODEL       VERSION  STATE        REASON
    accumulate        1  READY
    anomaly           1  READY
    echo              1  UNAVAILABLE  unloaded
    fails             1  READY
    slow              1  READY
    ");
    shown(&endpoint, &["load", "echo"]);
    assert_eq!(run(&endpoint, &["health", "echo"]).code, Some(0));
}

/// A model of this test's own, because others need theirs.
#[tokio::test]
async fn a_model_of_a_real_server_is_unloaded() {
    let _turn = READINESS.lock().await;
    let endpoint = live_endpoint();
    let client = Client::new(&endpoint).unwrap();
    let tensor = |name: &str| json!([{"name": name, "data_type": "TYPE_FP32", "dims": [-1]}]);
    let config = json!({
        "name": "cli_spare", "backend": "python", "max_batch_size": 64,
        "input": tensor("value"), "output": tensor("echo"),
        "instance_group": [{"kind": "KIND_CPU", "count": 1}],
    });
    let code = std::fs::read(example("models/echo/1/model.py")).unwrap();
    let model = LoadModel::new().config(&config).file("1/model.py", code);
    client
        .load_model(&"cli_spare".parse().unwrap(), &model)
        .await
        .unwrap();
    assert_eq!(run(&endpoint, &["health", "cli_spare"]).code, Some(0));
    assert_eq!(
        shown(&endpoint, &["unload", "cli_spare"]),
        "model 'cli_spare' is unloaded\n"
    );
    assert_eq!(run(&endpoint, &["health", "cli_spare"]).code, Some(1));
}

#[test]
fn arguments_that_cannot_be_used() {
    let files = Files::new();
    let endpoint = "http://127.0.0.1:1";
    let broken = files.write("broken.json", "{");
    let refusal = |arguments: &[&str]| files.relative(&refused(endpoint, arguments));
    insta::assert_snapshot!(refusal(&["load", "echo", "--model-config", &broken]), @"
    exit code 2
    error: broken.json is no JSON document
      caused by: EOF while parsing an object at line 1 column 1
    ");
    insta::assert_snapshot!(refusal(&["stats", "echo", "--watch", "0"]), @"
    exit code 2
    error: --watch 0: expected a time longer than zero, such as 1s
    ");
    insta::assert_snapshot!(refusal(&["stats", "echo", "--count", "2"]), @"
    exit code 2
    error: the following required arguments were not provided:
      --watch [<TIME>]

    Usage: triton stats --watch [<TIME>] --count <N> -O <KEY=VALUE> <MODEL>

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(refusal(&["models"]), @"
    exit code 3
    error: list the model repository at http://server/: no connection could be made; is the server running there?
      caused by: client error (Connect)
      caused by: no connection
      caused by: tcp connect error
      caused by: Connection refused (os error 111)
      try: `triton health --wait 60s` waits for a server that is starting; -e URL or TRITON_ENDPOINT names another
    ");
}
