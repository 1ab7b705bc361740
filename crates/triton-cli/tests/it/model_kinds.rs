//! Models that must not be taken for what they are not: decoupled ones, ensembles whose steps keep a
//! state, and stateful ones whose rows have no key.

use serde_json::{Value, json};

use crate::small_server::{Answer, SmallServer, described, inferred};
use crate::{Files, Run, triton};

/// A server of these models, each with its own additions to a configuration.
fn server(models: Vec<(&'static str, Value)>) -> SmallServer {
    SmallServer::start(move |path, request| {
        let mut models = models.iter();
        let description = models.find_map(|(name, more)| described(name, more.clone(), path));
        match description {
            Some(description) => description,
            None if path.ends_with("/infer") => inferred(request),
            None => Answer::new(404, json!({"error": format!("no {path}")}).to_string()),
        }
    })
}

fn steps(names: &[&str]) -> Value {
    let steps = names
        .iter()
        .map(|name| json!({"model_name": name, "model_version": -1}));
    json!({"ensemble_scheduling": {"step": steps.collect::<Value>()}})
}

fn stateful() -> Value {
    json!({"sequence_batching": {"direct": {}, "max_sequence_idle_microseconds": 5_000_000}})
}

fn predict(server: &SmallServer, model: &str, more: &[&str]) -> Run {
    let files = Files::new();
    let input = files.write("in.csv", "x,sensor\n1,a\n2,b\n3,a\n");
    let endpoint = format!("endpoint={}", server.endpoint);
    let arguments = ["predict", "--model", model, &input, "-O", &endpoint];
    triton(&[&arguments[..], more].concat())
}

fn describe(server: &SmallServer, model: &str, more: &[&str]) -> Run {
    let endpoint = format!("endpoint={}", server.endpoint);
    triton(&[&["describe", model, "-O", &endpoint], more].concat())
}

#[test]
fn a_decoupled_model_is_refused_before_the_first_row() {
    let decoupled = json!({"model_transaction_policy": {"decoupled": true}});
    let server = server(vec![
        ("stream", decoupled),
        ("pipeline", steps(&["inner", "m"])),
        ("inner", steps(&["stream"])),
        ("m", json!({})),
    ]);
    let run = predict(&server, "stream", &[]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(3), ""));
    insta::assert_snapshot!(run.stderr, @"error: model 'stream' is decoupled: a request may have any number of responses, which only a stream can carry: set the option 'decoupled' to 'stream', and each response is an output row");
    let run = predict(&server, "pipeline", &[]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(3), ""));
    insta::assert_snapshot!(run.stderr, @"error: model 'pipeline' is decoupled: a request of its step 'stream' may have any number of responses, which only a stream can carry: set the option 'decoupled' to 'stream', and each response is an output row");
    assert_eq!(server.inferences(), 0);
    for model in ["stream", "pipeline"] {
        let run = describe(&server, model, &["--sql"]);
        assert_eq!((run.code, run.stdout.as_str()), (Some(3), ""));
        assert!(run.stderr.contains("is decoupled"), "{}", run.stderr);
        let run = describe(&server, model, &[]);
        assert_eq!(run.code, Some(0));
        let said = "responses: any number to a request (decoupled)";
        assert!(run.stdout.contains(said), "{}", run.stdout);
        assert!(
            run.stdout.contains("predict cannot call it: "),
            "{}",
            run.stdout
        );
        let run = describe(&server, model, &["--json"]);
        let described: Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!(described["decoupled"], true);
        assert_eq!(described["sql"], Value::Null);
    }
}

/// The ensembles name each other in a circle, too.
fn ensembles() -> SmallServer {
    server(vec![
        ("outer", steps(&["scale", "inner", "outer"])),
        ("inner", steps(&["scale", "outer", "memory"])),
        ("memory", stateful()),
        ("scale", json!({})),
        ("circle", steps(&["circle", "scale"])),
        ("broken", steps(&["nobody"])),
    ])
}

#[test]
fn an_ensemble_is_stateful_if_a_step_is() {
    let server = ensembles();
    let files = Files::new();
    let model = files.write(
        "model.sql",
        "CREATE MODEL m INPUT (x FLOAT) OUTPUT (y FLOAT)
         WITH ('provider' = 'triton', 'endpoint' = 'http://localhost', 'model-name' = 'outer')",
    );
    let input = files.write("in.csv", "x\n1\n");
    let endpoint = format!("endpoint={}", server.endpoint);
    let run = triton(&["predict", &model, &input, "-O", &endpoint]);
    assert_eq!(run.code, Some(3));
    insta::assert_snapshot!(run.stderr, @"error: model 'outer' does not fit the schema and options: the model is stateful, so every request needs a sequence: set the option 'sequence-id'");
    assert_eq!(server.inferences(), 0);
    // With a sequence nobody is told that the model keeps no state.
    let sequence = [
        "-O",
        "sequence-id=s",
        "-O",
        "sequence-id-auto-increment=true",
    ];
    let run = triton(
        &[
            &["predict", &model, &input, "-O", &endpoint, "-q"],
            &sequence[..],
        ]
        .concat(),
    );
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    let run = describe(&server, "outer", &[]);
    let about: Vec<&str> = run.stdout.lines().skip(8).take(3).collect();
    insta::assert_snapshot!(about.join("\n"), @"
    steps: scale, inner, memory (the model is an ensemble)
    batching: at most 8 rows in a request
    sequences: its step 'memory' keeps a state for each (direct strategy, at most 8 at once), which it forgets after 5 s without a request
    ");
    let run = describe(&server, "outer", &["--json"]);
    let described: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(described["stateful"], true);
    assert_eq!(described["steps"], json!(["scale", "inner", "memory"]));
    let run = describe(&server, "circle", &[]);
    let said = "sequences: none; the model and its steps are stateless";
    assert!(run.stdout.contains(said), "{}", run.stdout);
}

#[test]
fn a_step_that_cannot_be_looked_at_is_no_stateless_one() {
    let server = ensembles();
    let run = predict(&server, "broken", &[]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(3), ""));
    insta::assert_snapshot!(server.named(&run.stderr), @"
    error: read configuration of model 'nobody' at http://server/: status 404: no /v2/models/nobody/config
      try: `triton models` lists the models that the server has
    ");
}

#[test]
fn a_key_is_enough_for_a_model_that_the_server_describes() {
    let server = server(vec![("memory", stateful()), ("scale", json!({}))]);
    let run = predict(&server, "memory", &["-O", "sequence-key=sensor", "-q"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    assert_eq!(run.stdout, "x,sensor,y\n1,a,1\n2,b,2\n3,a,3\n");
    let run = predict(
        &server,
        "memory",
        &["-O", "sequence-key=sensor", "--with-sequence-id", "-q"],
    );
    let ids = run
        .stdout
        .lines()
        .skip(1)
        .map(|line| line.rsplit(',').next().unwrap());
    let ids: Vec<&str> = ids.collect();
    assert!(ids[0] == ids[2] && ids[0] != ids[1], "{ids:?}");
    let run = predict(&server, "scale", &["-O", "sequence-key=sensor"]);
    assert_eq!(run.code, Some(2));
    insta::assert_snapshot!(run.stderr, @"error: option 'sequence-key' gives each key a sequence, but model 'scale' keeps no state: leave it out");
}

#[test]
fn rows_that_are_sequences_of_their_own_are_mentioned() {
    let server = server(vec![("memory", stateful()), ("scale", json!({}))]);
    let first = |run: &Run| run.stderr.lines().next().unwrap_or_default().to_owned();
    let run = predict(&server, "memory", &[]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    insta::assert_snapshot!(first(&run), @"model 'memory' keeps a state for each sequence, and every row is a sequence of its own: with -O sequence-key=COLUMN the rows of each value of a column share one");
    for (model, more) in [
        ("scale", &[][..]),
        ("memory", &["-O", "sequence-key=sensor"]),
        // Whoever asks for it need not be told.
        ("memory", &["-O", "sequence-id-auto-increment=true"]),
        (
            "memory",
            &[
                "-O",
                "sequence-id=one",
                "-O",
                "sequence-start=false",
                "-O",
                "sequence-end=false",
            ],
        ),
    ] {
        let run = predict(&server, model, more);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        assert!(first(&run).starts_with("3 rows: "), "{}", run.stderr);
    }
    let run = predict(&server, "memory", &["--quiet"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
}

/// What hands a sequence's ID over as such a type.
fn control(data_type: &str) -> Value {
    let control = json!([{"kind": "CONTROL_SEQUENCE_CORRID", "data_type": data_type}]);
    json!({"sequence_batching": {
        "max_sequence_idle_microseconds": 5_000_000,
        "oldest": {"max_candidate_sequences": 4},
        "control_input": [{"name": "CORRID", "control": control}],
    }})
}

// Holds S64.
#[test]
fn describe_says_what_sequence_ids_will_be() {
    let server = server(vec![
        ("plain", stateful()),
        ("narrow", control("TYPE_INT32")),
        ("text", control("TYPE_STRING")),
        ("none", json!({})),
    ]);
    let said = |model: &str, more: &[&str]| {
        let run = describe(&server, model, more);
        let lines = run.stdout.lines();
        let lines = lines.skip_while(|line| !line.starts_with("sequence IDs: "));
        let lines: Vec<&str> = lines.take_while(|line| !line.is_empty()).collect();
        lines.join("\n")
    };
    insta::assert_snapshot!(said("plain", &[]), @"sequence IDs: text, because no control input of the model has them handed over");
    insta::assert_snapshot!(said("plain", &["-O", "sequence-id-type=number"]), @"sequence IDs: numbers of 63 bits, because 'sequence-id-type' is 'number'");
    insta::assert_snapshot!(said("narrow", &[]), @"sequence IDs: numbers of 31 bits, because of the control input 'CORRID' of model 'narrow', which is TYPE_INT32");
    insta::assert_snapshot!(said("text", &[]), @"sequence IDs: none work: sequence IDs are handed over by the control input 'CORRID' of model 'text', which is TYPE_STRING, which no Triton up to 2.51 can do (it answers 400 'unexpected number of string elements'): make the control TYPE_UINT64 in the model's config.pbtxt, or leave it out and let the model read the ID of its request; where the server is known to do it right, set 'sequence-id-type' to 'text'");
    assert_eq!(said("none", &[]), "");
    for (model, expected) in [
        ("plain", json!("text")),
        ("narrow", json!("number")),
        ("text", Value::Null),
        ("none", Value::Null),
    ] {
        let run = describe(&server, model, &["--json"]);
        let described: Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!(described["sequence_id_type"], expected, "{model}");
    }
}

#[test]
fn a_statement_is_tried_with_the_type_of_ids_that_was_asked_for() {
    let server = server(vec![
        ("plain", stateful()),
        ("wide", control("TYPE_UINT64")),
        ("text", control("TYPE_STRING")),
    ]);
    let number = ["-O", "sequence-id-type=number", "--sql"];
    let text = ["-O", "sequence-id-type=text", "--sql"];
    let run = describe(&server, "plain", &number);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    let said = "\'sequence-id-scope\' = \'run\',\n  \'sequence-id-type\' = \'number\'\n";
    assert!(run.stdout.contains(said), "{}", run.stdout);
    let run = describe(&server, "text", &text);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    assert!(
        run.stdout.contains("\'sequence-id-type\' = \'text\'"),
        "{}",
        run.stdout
    );
    let run = describe(&server, "wide", &text);
    assert_eq!((run.code, run.stdout.as_str()), (Some(3), ""));
    insta::assert_snapshot!(run.stderr, @"
    error: predict cannot call this model
      caused by: subtask 0 of 1, attempt 0: 'sequence-id-type' is 'text', but sequence IDs are handed over by the control input 'CORRID' of model 'wide', which is TYPE_UINT64: of a text the server would hand over nothing but its length and its first four letters, without a word, so that different sequences would be one to the model, and a text of more than 20 bytes can crash the server; leave 'sequence-id-type' out for numbers, or take the control out of the model
    ");
}

#[test]
fn no_option_is_warned_of_that_the_user_did_not_give() {
    let server = server(vec![("wide", control("TYPE_UINT64"))]);
    let one = [
        "-O",
        "sequence-id=7",
        "-O",
        "sequence-id-auto-increment=false",
        "--quiet",
    ];
    let run = predict(&server, "wide", &one);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(!run.stderr.contains("has no effect"), "{}", run.stderr);
}

// Holds S62.
#[test]
fn a_row_error_names_the_number_of_its_sequence() {
    let models = [("wide", control("TYPE_UINT64"))];
    let server = SmallServer::start(move |path, _| {
        let mut models = models.iter();
        let description = models.find_map(|(name, more)| described(name, more.clone(), path));
        description
            .unwrap_or_else(|| Answer::new(400, json!({"error": "no such value"}).to_string()))
    });
    let run = predict(
        &server,
        "wide",
        &["-O", "sequence-key=sensor", "-O", "max-retries=0"],
    );
    assert_eq!(run.code, Some(1));
    let mut lines = run.stderr.lines();
    let line = lines.find(|line| line.starts_with("row 1 ")).unwrap();
    let (start, rest) = line.split_once("sequence 'wide-").unwrap();
    insta::assert_snapshot!(start, @"row 1 (line 2): key 'a', ");
    let (_, rest) = rest.split_once("' = ").unwrap();
    let (number, reason) = rest.split_once(": ").unwrap();
    assert!(reason.ends_with(": status 400: no such value"), "{line}");
    assert!(number.parse::<u64>().is_ok(), "{line}");
}
