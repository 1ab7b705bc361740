//! What the log says of each sequence ID.
//!
//! It is a program of its own because `tracing` remembers for the whole process which events nobody
//! wanted, and the rows of other tests want none.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends where something unexpected comes"
)]

#[path = "logging/numbers.rs"]
mod numbers;

use std::io::Write;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use triton_embedded::{Fault, FaultScript};
use triton_model_fn::{
    Column, DataType, InferenceFunction, ModelFunction as _, Schema, Subtask, Value,
};
use triton_options::TritonOptions;
use triton_test_support::{EmbeddedTriton, scripted_server};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        log.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// The log of this process, set up by whoever comes first.
    fn begin() -> Self {
        static LOG: OnceLock<Log> = OnceLock::new();
        let log = LOG.get_or_init(|| {
            let log = Log::default();
            let writer = log.clone();
            tracing_subscriber::fmt()
                .with_env_filter("triton_model_fn=debug")
                .with_ansi(false)
                .without_time()
                .with_writer(move || writer.clone())
                .init();
            log
        });
        log.clone()
    }

    /// The lines that were written for one server, whose address is left out.
    fn lines(&self, endpoint: &str, about: &str) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let log = String::from_utf8(bytes.clone()).unwrap();
        let log = log.replace(endpoint, "http://server");
        let lines = log.lines().filter(|line| line.contains(about));
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// A subtask whose place is told as an engine does, so that its IDs are the same in each run.
fn subtask(job: &str, index: u32, attempt: u32) -> Subtask {
    let subtask = Subtask::new(index, 2, attempt).unwrap();
    let subtask = subtask.in_job(job).unwrap().in_operator("score").unwrap();
    subtask.in_execution("graph-1").unwrap()
}

async fn open(
    subtask: Subtask,
    server: &EmbeddedTriton,
    extra: &[(&str, &str)],
    schema: Schema,
) -> InferenceFunction {
    let endpoint = server.endpoint();
    let common = [
        ("endpoint", endpoint.as_str()),
        ("model-name", "accumulate"),
        ("sequence-id-auto-increment", "true"),
    ];
    let options = TritonOptions::parse(common.iter().chain(extra).copied()).unwrap();
    let function = InferenceFunction::new(options, schema).unwrap();
    function.open(subtask).await.unwrap();
    function
}

// Holds F35.
#[tokio::test]
async fn each_id_is_logged_with_its_parts() {
    let log = Log::begin();
    let server = EmbeddedTriton::start().unwrap();
    let schema = Schema {
        inputs: vec![Column::new("value", DataType::Integer)],
        outputs: vec![Column::new("sum", DataType::Integer)],
    };
    let subtask = Subtask::new(1, 2, 3).unwrap();
    let extra = [("sequence-id", "flink-job-123")];
    let function = open(subtask, &server, &extra, schema).await;
    for _ in 0..2 {
        function.predict(&[Value::Integer(1)]).await.unwrap();
    }
    function.close().await.unwrap();
    insta::assert_snapshot!(log.lines(&server.endpoint(), "http://server"), @" INFO triton_model_fn::base: opened model='accumulate' endpoint=http://server/ subtask=1 parallelism=2 attempt=3 ran_before=attempt 3");
    insta::assert_snapshot!(log.lines(&server.endpoint(), "flink-job-123"), @"
    DEBUG triton_model_fn::sequence_id_generator: took a sequence ID sequence_id=flink-job-123-1-0 base=flink-job-123 subtask_index=1 counter=0
    DEBUG triton_model_fn::sequence_id_generator: took a sequence ID sequence_id=flink-job-123-1-1 base=flink-job-123 subtask_index=1 counter=1
    ");
}

// Holds S54.
#[tokio::test]
async fn a_sequence_is_logged_with_its_key_unless_that_is_redacted() {
    let log = Log::begin();
    for (base, redacted) in [("shown", "false"), ("hidden", "true")] {
        let server = EmbeddedTriton::builder()
            .built_in_models()
            .faults(FaultScript::new(0).request(2, Fault::ResetAfter))
            .start()
            .unwrap();
        let extra = [
            ("sequence-id", base),
            ("sequence-key", "sensor"),
            ("sequence-key-redacted", redacted),
            ("sequence-recovery", "restart"),
        ];
        let schema = Schema {
            inputs: vec![
                Column::new("sensor", DataType::String),
                Column::new("value", DataType::Integer),
            ],
            outputs: vec![Column::new("sum", DataType::Integer)],
        };
        let function = open(subtask(base, 1, 3), &server, &extra, schema).await;
        let row = |value| [Value::String("canary".into()), Value::Integer(value)];
        function.predict(&row(1)).await.unwrap();
        function.predict(&row(2)).await.unwrap();
        function.submit_last(&row(3)).await.unwrap();
        function.close().await.unwrap();
        let lines = log.lines(&server.endpoint(), base);
        match redacted {
            "true" => assert!(
                lines.contains("key=\"#") && !lines.contains("canary"),
                "{lines}"
            ),
            _ => insta::assert_snapshot!(lines, @r#"
             INFO triton_model_fn::base: opened model='accumulate' endpoint=http://server/ job="shown" operator="score" execution="graph-1" subtask=1 parallelism=2 attempt=3 run="3fnrppmdk7bsgor5jddoae3i8n" ran_before=attempt 3
            DEBUG triton_model_fn::sequence_id_generator: took a sequence ID sequence_id=shown-3fnrppmdk7bsgor5jddoae3i8n-1-0 key="canary" base=shown run="3fnrppmdk7bsgor5jddoae3i8n" subtask_index=1 counter=0
            DEBUG triton_model_fn::sequences::teller: the sequence has begun key="canary" sequence_id="shown-3fnrppmdk7bsgor5jddoae3i8n-1-0" subtask=1
            DEBUG triton_model_fn::sequence_id_generator: took a sequence ID sequence_id=shown-3fnrppmdk7bsgor5jddoae3i8n-1-1 key="canary" base=shown run="3fnrppmdk7bsgor5jddoae3i8n" subtask_index=1 counter=1
             WARN triton_model_fn::sequences::teller: the state of the sequence is lost or uncertain key="canary" sequence_id="shown-3fnrppmdk7bsgor5jddoae3i8n-1-0" rows=1 subtask=1 attempt=3 endpoint="http://server/" recovery="restart" error=the row was not answered, and the model may have taken it into its sequence all the same cause=infer with model 'accumulate' at http://server/: the connection broke before the answer was complete
             WARN triton_model_fn::sequences::teller: the sequence starts again without its earlier rows key="canary" lost="shown-3fnrppmdk7bsgor5jddoae3i8n-1-0" rows=1 cause=a request failed that the server may have executed subtask=1 attempt=3
            DEBUG triton_model_fn::sequences::teller: the sequence has begun key="canary" sequence_id="shown-3fnrppmdk7bsgor5jddoae3i8n-1-1" subtask=1
            DEBUG triton_model_fn::sequences::teller: the sequence has ended key="canary" sequence_id="shown-3fnrppmdk7bsgor5jddoae3i8n-1-1" rows=2 subtask=1
            "#),
        }
    }
}

// Holds S9.
#[tokio::test]
async fn rows_of_a_key_that_go_astray_are_told_of() {
    let log = Log::begin();
    let server = EmbeddedTriton::start().unwrap();
    let extra = [
        ("sequence-id", "astray"),
        ("sequence-key", "sensor"),
        ("sequence-position-column", "n"),
        ("sequence-recovery", "restart"),
    ];
    let schema = Schema {
        inputs: vec![
            Column::new("sensor", DataType::String),
            Column::new("value", DataType::Integer),
            Column::new("n", DataType::BigInt),
        ],
        outputs: vec![Column::new("sum", DataType::Integer)],
    };
    let mut functions = Vec::new();
    for index in 0..2 {
        let subtask = subtask("astray", index, 0);
        functions.push(open(subtask, &server, &extra, schema.clone()).await);
    }
    for number in 1..=4 {
        let sensor = Value::String("lost-sheep".into());
        let row = [sensor, Value::Integer(1), Value::BigInt(number)];
        let function = &functions[usize::from(number == 3)];
        function.predict(&row).await.unwrap();
    }
    for function in &functions {
        function.close().await.unwrap();
    }
    insta::assert_snapshot!(log.lines(&server.endpoint(), "http://server"), @r#"
    INFO triton_model_fn::base: opened model='accumulate' endpoint=http://server/ job="astray" operator="score" execution="graph-1" subtask=0 parallelism=2 attempt=0 run="1khchiesb2bdaon3vikf9pb14m"
    INFO triton_model_fn::base: opened model='accumulate' endpoint=http://server/ job="astray" operator="score" execution="graph-1" subtask=1 parallelism=2 attempt=0 run="1khchiesb2bdaon3vikf9pb14m"
    "#);
    let lines = log.lines(&server.endpoint(), "lost-sheep");
    let warnings = lines.lines().filter(|line| line.contains("WARN"));
    insta::assert_snapshot!(warnings.collect::<Vec<_>>().join("\n"), @r#"
    WARN triton_model_fn::sequences::teller: rows of one key reach two subtasks, and neither sees those of the other: their answers are wrong; partition the rows by the columns of 'sequence-key' before they come here key="lost-sheep" subtask=1 other=0
    WARN triton_model_fn::sequences::teller: the sequence starts again without its earlier rows key="lost-sheep" rows=2 cause=row 3 of the key came, and those before it are not known here subtask=1 attempt=0
    WARN triton_model_fn::sequences::teller: the sequence starts again without its earlier rows key="lost-sheep" lost="astray-1khchiesb2bdaon3vikf9pb14m-0-0" rows=3 cause=row 4 of the key came, and the last one seen here was row 2 subtask=0 attempt=0
    "#);
}

// Holds F48.
#[tokio::test]
async fn what_a_server_without_configurations_does_not_say_is_logged() {
    let log = Log::begin();
    let ready = ("/v2/models/silent/ready", 200, "");
    let model = ("/v2/models/silent", 200, r#"{"name":"silent"}"#);
    let schema = Schema {
        inputs: vec![Column::new("x", DataType::Float)],
        outputs: vec![Column::new("y", DataType::Float)],
    };
    for server in [
        r#"{"name":"quiet","version":"1"}"#,
        r#"{"name":"quiet","version":"2","extensions":["sequence"]}"#,
    ] {
        let endpoint = scripted_server(&[model, ready, ("/v2", 200, server)]);
        let options = [
            ("endpoint", endpoint.as_str()),
            ("model-name", "silent"),
            ("sequence-id", "s"),
            ("sequence-id-auto-increment", "true"),
        ];
        let options = TritonOptions::parse(options).unwrap();
        let function = InferenceFunction::new(options, schema.clone()).unwrap();
        function.open(Subtask::new(0, 1, 0).unwrap()).await.unwrap();
    }
    let endpoint = scripted_server(&[model, ready]);
    let options = [
        ("endpoint", endpoint.as_str()),
        ("model-name", "silent"),
        ("batch-size", "4"),
    ];
    let function = InferenceFunction::new(TritonOptions::parse(options).unwrap(), schema).unwrap();
    function.open(Subtask::new(0, 1, 0).unwrap()).await.unwrap();
    let lines = log.lines(&endpoint, "model=silent");
    insta::assert_snapshot!(lines, @"
    WARN triton_model_fn::tensor_plan::fit: option 'sequence-id' is sent, but the server (quiet 1) does not say whether it has sequences at all: it may ignore the option and mix what belongs to different sequences model=silent
    WARN triton_model_fn::tensor_plan::fit: option 'sequence-id' is sent, but the server (quiet 2) does not say whether this model keeps a state: it may ignore the option and mix what belongs to different sequences model=silent
    WARN triton_model_fn::tensor_plan: the server keeps no configuration of the model, so the option 'model-max-batch-size' says how many rows a request may carry, and that is less than the option 'batch-size' model=silent wanted=4 possible=1
    ");
}

// Holds F55.
#[tokio::test]
async fn rows_that_fail_are_not_logged_one_by_one() {
    let log = Log::begin();
    let server = EmbeddedTriton::start().unwrap();
    for (index, extra) in [(7, ("on-error", "column")), (8, ("default-value", "null"))] {
        let options = [
            ("endpoint", &*server.endpoint()),
            ("model-name", "echo"),
            extra,
        ];
        let schema = Schema {
            inputs: vec![Column::new("value", DataType::Float)],
            outputs: vec![
                Column::new("echo", DataType::Float),
                Column::new("prediction_error", DataType::String),
            ],
        };
        let options = TritonOptions::parse(options).unwrap();
        let function = InferenceFunction::new(options, schema).unwrap();
        function
            .open(Subtask::new(index, 9, 0).unwrap())
            .await
            .unwrap();
        for _ in 0..5 {
            function.predict(&[Value::Null]).await.unwrap();
        }
        function.close().await.unwrap();
    }
    let lines = [7, 8].map(|index| log.lines("-", &format!("model='echo' subtask={index}")));
    insta::assert_snapshot!(lines.join("\n"), @"
    WARN triton_model_fn::answering: a row failed, and its columns say why model='echo' subtask=7 attempt=0 error=subtask 7 of 9, attempt 0: column 'value': expected FLOAT, found NULL
    WARN triton_model_fn::answering: further rows were not answered before the function ended model='echo' subtask=7 attempt=0 kept_quiet=4
    WARN triton_model_fn::answering: a row got the default value model='echo' subtask=8 attempt=0 error=subtask 8 of 9, attempt 0: column 'value': expected FLOAT, found NULL
    WARN triton_model_fn::answering: further rows were not answered before the function ended model='echo' subtask=8 attempt=0 kept_quiet=4
    ");
}
