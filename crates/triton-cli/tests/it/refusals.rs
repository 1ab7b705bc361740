//! Runs that cannot do their work: what is said, and the exit code.

use triton_test_support::live_endpoint;

use crate::{Files, triton};

const INPUT: &str = "value\n1\n";

/// A model file for `model` with these columns and further options.
fn statement(columns: &str, options: &[(&str, &str)]) -> String {
    let options = options
        .iter()
        .map(|(key, value)| format!(", '{key}' = '{value}'"));
    format!(
        "CREATE MODEL m {columns} WITH ('provider' = 'triton'{})",
        options.collect::<String>()
    )
}

const ACCUMULATE_COLUMNS: &str = "INPUT (value INT) OUTPUT (sum INT)";

/// The exit code and message of a run over a model file and an input.
fn refusal(model: &str, input: &str, more: &[&str]) -> String {
    let files = Files::new();
    let model = files.write("model.sql", model);
    let input = files.write("input.csv", input);
    let output = files.path("output.csv");
    let mut arguments = vec![
        "predict",
        model.as_str(),
        input.as_str(),
        "--output",
        &output,
    ];
    arguments.extend_from_slice(more);
    let run = triton(&arguments);
    assert_eq!(run.stdout, "");
    assert!(
        !std::path::Path::new(&output).exists(),
        "an output was begun"
    );
    files.relative(&run.said())
}

/// As [`refusal`], for the options of a model on the embedded server.
fn options_refusal(options: &[(&str, &str)], more: &[&str]) -> String {
    let mut all = vec![("endpoint", "embedded"), ("model-name", "accumulate")];
    all.extend_from_slice(options);
    refusal(&statement(ACCUMULATE_COLUMNS, &all), INPUT, more)
}

const AUTO: (&str, &str) = ("sequence-id-auto-increment", "true");

#[test]
fn options_that_do_not_fit_together() {
    insta::assert_snapshot!(options_refusal(&[AUTO], &[]), @"
    exit code 2
    error: option 'sequence-id-auto-increment' is true but 'sequence-id' is not set: set 'sequence-id' to the text that every generated ID begins with, for example 'my-job' (from model.sql, line 1)
    ");
    insta::assert_snapshot!(
        options_refusal(&[AUTO, ("sequence-id", "j"), ("sequence-start", "false")], &[]), @"
    exit code 2
    error: option 'sequence-start' is false but 'sequence-id-auto-increment' is true: every generated ID is used for one request, which must both start and end its sequence; leave 'sequence-start' out or set it to true ('sequence-start' from model.sql, line 1; 'sequence-id-auto-increment' from model.sql, line 1)
    ");
    insta::assert_snapshot!(
        options_refusal(&[AUTO, ("sequence-id", "j")], &["-O", "sequence-end=false"]), @"
    exit code 2
    error: option 'sequence-end' is false but 'sequence-id-auto-increment' is true: every generated ID is used for one request, which must both start and end its sequence; leave 'sequence-end' out or set it to true ('sequence-end' from -O; 'sequence-id-auto-increment' from model.sql, line 1)
    ");
    insta::assert_snapshot!(options_refusal(&[AUTO, ("sequence-id", &"j".repeat(97))], &[]), @"
    exit code 2
    error: option 'sequence-id' is 97 bytes long: 'jjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjj'; at most 96 bytes are possible, because generated IDs add the subtask index and a counter and the server takes 128 bytes (from model.sql, line 1)
    ");
    insta::assert_snapshot!(options_refusal(&[("sequence-id", "")], &[]), @"
    exit code 2
    error: option 'sequence-id' is empty, which the server takes as no sequence at all: set it to a text or leave it out (from model.sql, line 1)
    ");
    insta::assert_snapshot!(options_refusal(&[("model-version", "newest")], &[]), @"
    exit code 2
    error: option 'model-version': expected 'latest' or a version number such as '3', found 'newest' (from model.sql, line 1)
    ");
    insta::assert_snapshot!(options_refusal(&[("sequence-ids", "j"), ("time-out", "1 s")], &[]), @"
    exit code 2
    error: 2 problems in the options:
      - unknown option 'sequence-ids'; did you mean 'sequence-id'? (from model.sql, line 1)
      - unknown option 'time-out'; did you mean 'timeout'? (from model.sql, line 1)
    ");
}

// Holds S3.
#[test]
fn checkpoints_of_a_sequence_that_all_rows_share() {
    let run = options_refusal(&[("sequence-id", "j")], &["--checkpoint", "checkpoints"]);
    insta::assert_snapshot!(run, @"
    exit code 2
    error: --checkpoint: all rows share the sequence of 'sequence-id', whose state the model loses when the run ends, so that a run could not go on from there; leave --checkpoint out, or give each entity a sequence of its own by 'sequence-id-auto-increment' and 'sequence-key'
    ");
}

#[test]
fn subtasks_that_would_share_a_sequence() {
    let run = options_refusal(&[("sequence-id", "j")], &["--parallelism", "2"]);
    insta::assert_snapshot!(run, @"
    exit code 2
    error: --parallelism 2: all subtasks would share the sequence of 'sequence-id', and the model would mix their states; use one subtask, or set 'sequence-id-auto-increment' to true
    ");
}

#[test]
fn files_that_cannot_be_used() {
    let good = statement(
        ACCUMULATE_COLUMNS,
        &[("endpoint", "embedded"), ("model-name", "echo")],
    );
    insta::assert_snapshot!(refusal("CREATE MODEL m INPUT (x DECIMAL)", INPUT, &[]), @"
    exit code 2
    error: model.sql: line 1, column 25: expected a type: BOOLEAN, TINYINT, SMALLINT, INT, BIGINT, each with UNSIGNED or without, FLOAT16, BFLOAT16, FLOAT, DOUBLE, STRING, BYTES or ARRAY<…> of these, found 'DECIMAL'
    ");
    insta::assert_snapshot!(refusal(&good, "other,columns\n1,2\n", &[]), @"
    exit code 2
    error: input.csv: no column is named 'value', which the model takes; there are: other, columns
    ");
    insta::assert_snapshot!(triton(&["predict", "no.sql", "no.csv"]).stderr, @"error: failed to open file `no.sql`: No such file or directory (os error 2)");
}

#[test]
fn an_output_column_that_exists_already() {
    let options = [
        ("endpoint", "embedded"),
        ("model-name", "accumulate"),
        ("sequence-id", "j"),
        AUTO,
    ];
    let model = statement(ACCUMULATE_COLUMNS, &options);
    insta::assert_snapshot!(refusal(&model, "value,sum\n1,1\n", &[]), @"
    exit code 2
    error: input.csv: the output would have two columns named 'sum': rename the input's, or call the model's something else with --map NAME=sum
    ");
    let told = "INPUT (value INT)
                OUTPUT (sum INT, prediction_status STRING, sequence_id STRING)";
    let told = statement(told, &options);
    insta::assert_snapshot!(refusal(&told, "value,prediction_status\n1,failed\n", &[]), @"
    exit code 2
    error: input.csv: the output would have two columns named 'prediction_status': rename the input's, or leave it out of OUTPUT in a MODEL.sql
    ");
    insta::assert_snapshot!(refusal(&told, "value\n1\n", &["--with-sequence-id"]), @"
    exit code 2
    error: input.csv: the output would have two columns named 'sequence_id': rename the input's, or take it either from OUTPUT or from --with-sequence-id
    ");
}

#[test]
fn arguments_that_cannot_be_read() {
    insta::assert_snapshot!(options_refusal(&[], &["-O", "timeout"]), @"
    exit code 2
    error: invalid value 'timeout' for '-O <KEY=VALUE>': expected KEY=VALUE, for example timeout=5s

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(options_refusal(&[], &["--parallelism", "0"]), @"
    exit code 2
    error: invalid value '0' for '--parallelism <N>': 0 is not in 1..=1024

    For more information, try '--help'.
    ");
}

/// Each with its address left out.
fn server_refusals(endpoint: &str) -> String {
    let run = |columns, model, options: &[(&str, &str)]| {
        let mut all = vec![("endpoint", "embedded"), ("model-name", model)];
        all.extend_from_slice(options);
        let endpoint = format!("endpoint={endpoint}");
        refusal(&statement(columns, &all), INPUT, &["-O", &endpoint])
    };
    let sequence = [("sequence-id", "j"), AUTO];
    let runs = [
        run(ACCUMULATE_COLUMNS, "nobody", &[]),
        run(
            "INPUT (value STRING) OUTPUT (total INT)",
            "accumulate",
            &sequence,
        ),
        run(ACCUMULATE_COLUMNS, "accumulate", &[]),
        run(
            ACCUMULATE_COLUMNS,
            "accumulate",
            &[sequence[0], sequence[1], ("model-version", "9")],
        ),
    ];
    let address = first_address(&runs.join("\n"));
    runs.join("\n").replace(&address, "http://server/")
}

/// The first address in a text.
fn first_address(text: &str) -> String {
    let start = text.find("http://").unwrap();
    let length = text[start..].find("/:").unwrap() + 1;
    text[start..start + length].to_owned()
}

#[test]
fn models_that_do_not_fit() {
    insta::assert_snapshot!(server_refusals(&live_endpoint()), @"
    exit code 3
    error: the model could not be looked up
      caused by: read metadata of model 'nobody' at http://server/: status 404: Request for unknown model: 'nobody' is not found

    exit code 3
    error: model 'accumulate' does not fit the schema and options: input column 'value' is STRING, which needs BYTES of one element; the model's is INT32 [1]; output column 'total' is no output of the model, which has: sum, correlation_id
      try: `triton describe MODEL --sql` writes a statement that fits

    exit code 3
    error: model 'accumulate' does not fit the schema and options: the model is stateful, so every request needs a sequence: set the option 'sequence-id'

    exit code 3
    error: the model could not be looked up
      caused by: read metadata of model 'accumulate' version 9 at http://server/: status 404: Request for unknown model: 'accumulate' version 9 is not found
    ");
}

#[test]
fn a_dead_endpoint() {
    let address = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let endpoint = format!("http://user:canary@{address}");
    let options = [("endpoint", endpoint.as_str()), ("model-name", "echo")];
    let run = refusal(&statement(ACCUMULATE_COLUMNS, &options), INPUT, &[]);
    insta::assert_snapshot!(run.replace(&address.to_string(), "server"), @"
    exit code 3
    error: the model could not be looked up
      caused by: read metadata of model 'echo' at http://server/: no connection could be made; is the server running there?
      caused by: client error (Connect)
      caused by: no connection
      caused by: tcp connect error
      caused by: Connection refused (os error 111)
    ");
}
