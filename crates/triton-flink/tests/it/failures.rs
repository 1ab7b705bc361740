//! What a user reads when something is wrong with a model, a row or a server.

use triton_embedded::{EmbeddedTriton, FaultScript};
use triton_test_support::live_endpoint;

use crate::cluster::{Cluster, Output};

/// A model and a query of it, with a comment that names the case.
fn case(number: usize, columns: &str, options: &str, query: &str) -> String {
    format!(
        "CREATE MODEL m{number} {columns} WITH ('provider' = 'triton', {options});
         {};\n",
        query.replace("MODEL m", &format!("MODEL m{number}"))
    )
}

const READINGS: &str = "CREATE TABLE readings (x INT, big BIGINT, price DECIMAL(10, 2)) WITH (
    'connector' = 'datagen', 'number-of-rows' = '4');\n";

const SUM: &str = "INPUT (`value` INT) OUTPUT (`sum` INT)";

const QUERY: &str = "SELECT * FROM ML_PREDICT(TABLE readings, MODEL m, DESCRIPTOR(x))";

/// The messages without what is different each time.
fn messages(output: &Output, endpoint: &str) -> String {
    assert!(!output.succeeded, "{}", output.text);
    let messages: Vec<_> = output
        .errors()
        .iter()
        .map(|message| {
            let message = without_time(&message.replace(endpoint, "http://ENDPOINT"));
            (0..4).fold(message, |message, subtask| {
                message.replace(&format!("subtask {subtask} of 4"), "subtask N of 4")
            })
        })
        .collect();
    messages.join("\n\n")
}

/// A message without the time that its last attempt had, which is another one each time.
fn without_time(message: &str) -> String {
    const WITHIN: &str = "no complete answer within ";
    let Some((before, behind)) = message.split_once(WITHIN) else {
        return message.to_owned();
    };
    let behind =
        behind.trim_start_matches(|letter: char| letter.is_alphanumeric() || letter == '.');
    format!("{before}{WITHIN}TIME{behind}")
}

#[tokio::test]
async fn a_wrong_model_is_refused_while_the_query_is_planned() {
    let endpoint = "'endpoint' = 'http://localhost:8000', 'model-name' = 'accumulate'";
    let sql = [
        READINGS.to_owned(),
        case(
            1,
            SUM,
            "'endpiont' = 'http://localhost:8000', 'timeout' = 'soon', \
             'custom-headers' = 'X-Key:canary', 'auth-token' = 'canary'",
            QUERY,
        ),
        case(
            2,
            SUM,
            &format!("{endpoint}, 'sequence-id-auto-increment' = 'true'"),
            QUERY,
        ),
        case(
            3,
            "INPUT (price DECIMAL(10, 2)) OUTPUT (`sum` INT, at_time TIMESTAMP(3), parts ROW<a INT>)",
            endpoint,
            &QUERY.replace("(x)", "(price)"),
        ),
    ];
    let output = Cluster::shared().await.run(&sql.concat()).await;
    assert!(!output.text.contains("canary"), "{}", output.text);
    insta::assert_snapshot!(messages(&output, "http://ENDPOINT"), @r"
    org.apache.flink.table.api.ValidationException: 4 problems in the options:
      - option 'endpoint' is required: set it to the http or https address of a Triton server, such as 'http://localhost:8000'
      - option 'model-name' is required: set it to the model's name, made of ASCII letters, digits and any of -_.~!$&'()*+,;=:@
      - option 'timeout': expected a duration longer than zero such as '30 s', '100 ms' or '1 min', found 'soon'
      - unknown option 'endpiont'; did you mean 'endpoint'?

    org.apache.flink.table.api.ValidationException: option 'sequence-id-auto-increment' is true but 'sequence-id' is not set: set 'sequence-id' to the text that every generated ID begins with, for example 'my-job'

    org.apache.flink.table.api.ValidationException: INPUT column 'price': no tensor holds DECIMAL(10, 2): use DOUBLE, or STRING where every digit counts, and CAST the column
    OUTPUT column 'at_time': no tensor holds TIMESTAMP(3): use STRING, or BIGINT counted from a day of your choice, and convert the column in the query
    OUTPUT column 'parts': no tensor holds ROW<`a` INT>: use a column for each field
    ");
}

#[tokio::test]
async fn a_model_that_does_not_fit_fails_the_job_when_it_starts() {
    let endpoint = live_endpoint();
    let auto = "'sequence-id' = 'a', 'sequence-id-auto-increment' = 'true'";
    let options = |model| format!("'endpoint' = '{endpoint}', 'model-name' = '{model}', {auto}");
    let sql = [
        READINGS.to_owned(),
        case(
            1,
            "INPUT (`value` BIGINT) OUTPUT (total INT)",
            &options("accumulate"),
            &QUERY.replace("(x)", "(big)"),
        ),
        case(2, SUM, &options("acumulate"), QUERY),
        case(
            3,
            SUM,
            "'endpoint' = 'http://localhost:9', 'model-name' = 'accumulate'",
            QUERY,
        ),
    ];
    let output = Cluster::shared().await.run(&sql.concat()).await;
    insta::assert_snapshot!(messages(&output, &endpoint), @r"
    triton.flink.TritonException: triton.flink.TritonException: subtask N of 4, attempt 0: model 'accumulate' does not fit the schema and options: input column 'value' is BIGINT, which needs INT64 of one element; the model's is INT32 [1]; output column 'total' is no output of the model, which has: sum, correlation_id

    triton.flink.TritonException: triton.flink.TritonException: subtask N of 4, attempt 0: the model could not be looked up: read metadata of model 'acumulate' at http://ENDPOINT/: status 404: Request for unknown model: 'acumulate' is not found

    triton.flink.TritonException: triton.flink.TritonException: subtask N of 4, attempt 0: the model could not be looked up: read metadata of model 'accumulate' at http://localhost:9/: no connection could be made; is the server running there?: client error (Connect): no connection: tcp connect error: Connection refused (os error 111)
    ");
}

#[tokio::test]
async fn a_row_that_fails_is_named() {
    // Longer than a run may take: whoever waited for it would never see the end.
    let script =
        br#"{"faults": [{"fault": "delay", "milliseconds": 600000, "model": "echo", "rate": 1}]}"#;
    let server = EmbeddedTriton::builder()
        .built_in_models()
        .faults(FaultScript::from_json(script).unwrap())
        .start()
        .unwrap();
    let options = format!(
        "'endpoint' = '{}', 'model-name' = 'accumulate', 'sequence-id' = 'a', \
         'sequence-id-auto-increment' = 'true'",
        server.endpoint()
    );
    let echo = format!(
        "'endpoint' = '{}', 'model-name' = 'echo'",
        server.endpoint()
    );
    let sql = [
        "CREATE TEMPORARY VIEW readings AS
           SELECT CAST(NULL AS INT) AS x, ARRAY[CAST(1 AS FLOAT)] AS signal;\n"
            .to_owned(),
        case(1, SUM, &options, QUERY),
        case(2, SUM, &format!("{options}, 'default-value' = '-1'"), QUERY),
        case(
            4,
            "INPUT (`value` INT) OUTPUT (`sum` INT, prediction_status STRING, prediction_error STRING)",
            &format!("{options}, 'on-error' = 'column'"),
            QUERY,
        ),
        case(
            3,
            "INPUT (`value` ARRAY<FLOAT>) OUTPUT (echo ARRAY<FLOAT>)",
            &echo,
            "SELECT * FROM ML_PREDICT(TABLE readings, MODEL m, DESCRIPTOR(signal), \
             MAP['async', 'true', 'timeout', '2 s'])",
        ),
    ];
    let output = Cluster::shared().await.run(&sql.concat()).await;
    assert_eq!(output.rows()[0].last().unwrap(), "-1");
    insta::assert_snapshot!(output.rows()[1].join(" | "), @"<NULL> | [1.0] | <NULL> | failed | subtask 0 of 1, attempt 0: ...");
    insta::assert_snapshot!(messages(&output, &server.endpoint()), @r"
    triton.flink.TritonException: triton.flink.TritonException: row 0 (value = NULL), subtask 0 of 1, attempt 0: column 'value': expected INT, found NULL

    triton.flink.TritonException: triton.flink.TritonException: row 0 (value = [1]), subtask 0 of 1, attempt 0: the row was not answered by its deadline (option 'row-deadline'): infer with model 'echo' at http://ENDPOINT/: no complete answer within TIME; raise 'table.exec.async-ml-predict.timeout', or lower the options 'timeout' and 'max-retries' of the model
    ");
}

#[tokio::test]
async fn redacted_values_are_in_no_message_of_flink() {
    let script = br#"{"faults": [{"fault": "status", "status": 400, "rate": 1}]}"#;
    let server = EmbeddedTriton::builder()
        .built_in_models()
        .faults(FaultScript::from_json(script).unwrap())
        .start()
        .unwrap();
    let secret = "1234567891";
    let options = format!(
        "'endpoint' = '{}', 'model-name' = 'accumulate', 'sequence-id' = 'redacted', \
         'sequence-id-auto-increment' = 'true', 'row-values-redacted' = 'true'",
        server.endpoint()
    );
    let blocking = QUERY.replace("(x)", "(x), MAP['async', 'false']");
    // Not a constant, which would be in the names of operators.
    let table = format!(
        "CREATE TABLE readings (x INT) WITH ('connector' = 'datagen', 'number-of-rows' = '1',
           'fields.x.min' = '{secret}', 'fields.x.max' = '{secret}');\n"
    );
    let sql = [
        table,
        case(1, SUM, &options, QUERY),
        case(2, SUM, &options, &blocking),
    ];
    let cluster = Cluster::shared().await;
    let output = cluster.run(&sql.concat()).await;
    assert_eq!(output.errors().len(), 2, "{}", output.text);
    assert!(!output.text.contains(secret), "{}", output.text);
    for job in output.jobs() {
        let told = cluster.get(&format!("/jobs/{job}/exceptions")).await;
        assert!(told.to_string().contains("row 0"), "{told}");
        assert!(!told.to_string().contains(secret), "{told}");
    }
    let logs = cluster.task_manager_logs().concat();
    let shown = logs.lines().find(|line| line.contains(secret));
    assert!(shown.is_none(), "{shown:?}");
}
