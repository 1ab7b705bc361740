//! Functions of your own, as the examples show them: what the base does for them.

use std::error::Error as _;
use std::num::NonZeroU32;
use std::time::Duration;

use metrics_util::debugging::DebuggingRecorder;
use tokio::time::timeout;
use triton_embedded::{Fault, FaultScript};
use triton_model_fn::triton_client;
use triton_model_fn::{
    DataType, Error, ErrorKind, FunctionBase, ModelFunction, OptionGroup, PredictionFuture, Schema,
    Subtask, Value, async_trait,
};
use triton_test_support::{EmbeddedTriton, live_endpoint};

use self::classification::classification;
use self::generate_function::generate_function;
use crate::monitoring::counted;
use crate::sinks::sink;
use crate::{AUTO_INCREMENT, options};

#[path = "../../examples/classification.rs"]
#[expect(dead_code, reason = "its main is for those who try it")]
pub(crate) mod classification;
#[path = "../../examples/generate_function.rs"]
#[expect(dead_code, reason = "its main is for those who try it")]
pub(crate) mod generate_function;

/// How long a test may wait for what comes at once on a machine that is busy with other tests.
const AT_ONCE: Duration = Duration::from_secs(30);

const ROW: [f32; 3] = [0.125, 0.75, 0.5];

fn subtask() -> Subtask {
    Subtask::new(0, 1, 0).unwrap()
}

fn generate(endpoint: &str, extra: &[(&str, &str)]) -> impl ModelFunction + use<> {
    generate_function(options(endpoint, "echo", extra)).unwrap()
}

/// A function that is open and has the two best classes of arrays.
async fn best_two(endpoint: &str, extra: &[(&str, &str)]) -> Box<dyn ModelFunction> {
    let inputs = Schema::of_inputs([("value", DataType::Float.array())]);
    let options = options(endpoint, "echo", extra);
    let function = classification(options, inputs, "echo", NonZeroU32::new(2).unwrap());
    let function = function.unwrap();
    function.open(subtask()).await.unwrap();
    Box::new(function)
}

fn unavailable() -> Fault {
    Fault::Status {
        status: 503,
        text: "not now".to_owned(),
    }
}

fn server_with(script: FaultScript) -> EmbeddedTriton {
    let server = EmbeddedTriton::builder().built_in_models().faults(script);
    server.start().unwrap()
}

// Holds F70.
#[tokio::test]
async fn rows_of_ones_own_function_are_retried_counted_and_told_of() {
    let recorder = DebuggingRecorder::new();
    let snapshots = recorder.snapshotter();
    // It holds for this thread, on which the test's runtime runs everything.
    let guard = metrics::set_default_local_recorder(&recorder);
    // The second row needs two attempts; the third fails twice.
    let script = FaultScript::new(0).request(2, unavailable());
    let server = server_with(script.request(4, unavailable()).request(5, unavailable()));
    let retries = [("max-retries", "1"), ("retry-initial-backoff", "1 ms")];
    let function = best_two(&server.endpoint(), &retries).await;
    for _ in 0..2 {
        function.predict(&[ROW.into()]).await.unwrap();
    }
    let error = function.predict(&[ROW.into()]).await.unwrap_err();
    let twice = "the row was not answered in 2 attempts over ";
    assert!(error.message().starts_with(twice), "{error}");
    assert_eq!(error.subtask(), Some(subtask()));
    let source = error.source().and_then(|source| source.downcast_ref());
    let source: &triton_client::Error = source.unwrap();
    assert_eq!(source.status(), Some(503));
    // A row that cannot be sent is one, too.
    let error = function.predict(&["text".into()]).await.unwrap_err();
    insta::assert_snapshot!(error, @"subtask 0 of 1, attempt 0: column 'value': expected an ARRAY, found a STRING");
    function.close().await.unwrap();
    drop(guard);
    let counted = counted(&snapshots, "triton_function_");
    let lines = counted.lines().filter(|line| line.contains("total"));
    insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"), @"
    triton_function_calls_total{model=echo,subtask=0} 3
    triton_function_failed_rows_total{model=echo,subtask=0,kind=connection} 0
    triton_function_failed_rows_total{model=echo,subtask=0,kind=input} 1
    triton_function_failed_rows_total{model=echo,subtask=0,kind=other} 0
    triton_function_failed_rows_total{model=echo,subtask=0,kind=output} 0
    triton_function_failed_rows_total{model=echo,subtask=0,kind=refused} 0
    triton_function_failed_rows_total{model=echo,subtask=0,kind=sequence} 0
    triton_function_failed_rows_total{model=echo,subtask=0,kind=server} 0
    triton_function_failed_rows_total{model=echo,subtask=0,kind=timeout} 0
    triton_function_failed_rows_total{model=echo,subtask=0,kind=unavailable} 1
    triton_function_failures_total{model=echo,subtask=0,kind=call} 1
    triton_function_failures_total{model=echo,subtask=0,kind=sequence_uncertain} 0
    triton_function_retries_refused_total{model=echo,subtask=0} 0
    triton_function_retries_total{model=echo,subtask=0} 2
    triton_function_rows_total{model=echo,subtask=0,result=answered} 2
    triton_function_rows_total{model=echo,subtask=0,result=default} 0
    triton_function_rows_total{model=echo,subtask=0,result=failed} 2
    ");
}

// Holds F70.
#[tokio::test]
async fn a_breaker_and_a_deadline_hold_for_ones_own_function() {
    let server = server_with(FaultScript::new(0).rate(1.0, unavailable()));
    let breaker = [("circuit-breaker-enabled", "true"), ("max-in-flight", "1")];
    let function = best_two(&server.endpoint(), &breaker).await;
    let mut kinds = Vec::new();
    for _ in 0..20 {
        kinds.push(function.predict(&[ROW.into()]).await.unwrap_err().kind());
    }
    assert_eq!(kinds.first(), Some(&ErrorKind::Call));
    assert_eq!(kinds.last(), Some(&ErrorKind::CircuitOpen));

    let slow = Fault::Delay {
        time: Duration::from_secs(600),
    };
    let server = server_with(FaultScript::new(0).rate(1.0, slow));
    let function = best_two(&server.endpoint(), &[("row-deadline", "50 ms")]).await;
    let late = timeout(AT_ONCE, function.predict(&[ROW.into()])).await;
    assert_eq!(late.unwrap().unwrap_err().kind(), ErrorKind::Call);
}

// Holds F70.
#[tokio::test]
async fn ones_own_function_is_closed_and_given_up_like_any() {
    let slow = Fault::Delay {
        time: Duration::from_millis(300),
    };
    let server = server_with(FaultScript::new(0).rate(1.0, slow));
    let function = best_two(&server.endpoint(), &[]).await;
    let reached = async |requests: usize| {
        while server.requests().len() < requests {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    // What somebody waits for finishes, and further rows are refused.
    let before = server.requests().len();
    let closing = async {
        reached(before + 1).await;
        function.close().await.unwrap();
        function.predict(&[ROW.into()]).await.unwrap_err()
    };
    let (answer, refused) = tokio::join!(function.submit(&[ROW.into()]), closing);
    answer.unwrap();
    insta::assert_snapshot!(refused, @"the function was closed or given up: it takes no further rows unless open is called again");

    function.open(subtask()).await.unwrap();
    let before = server.requests().len();
    let giving_up = async {
        reached(before + 1).await;
        function.abort().await;
    };
    let (answer, ()) = tokio::join!(function.submit(&[ROW.into()]), giving_up);
    insta::assert_snapshot!(answer.unwrap_err(), @"subtask 0 of 1, attempt 0: the function was given up before the row was answered");
}

/// Makes two calls for a row, one after the other.
struct Twice(FunctionBase<()>);

#[async_trait]
impl ModelFunction for Twice {
    async fn open(&self, subtask: Subtask) -> Result<(), Error> {
        self.0.open(subtask, |_, _| Ok(())).await
    }

    fn submit(&self, _: &[Value]) -> PredictionFuture {
        self.0.row(|call, _| async move {
            for _ in 0..2 {
                let echo = async |client: triton_client::Client| client.infer(&ones(&call)).await;
                call.call(echo).await?;
            }
            Ok(call.prediction(Vec::new()))
        })
    }

    async fn close(&self) -> Result<(), Error> {
        self.0.close().await
    }

    async fn abort(&self) {
        self.0.abort().await;
    }
}

fn ones(call: &triton_model_fn::RowCall) -> triton_client::InferRequest {
    let tensor = triton_client::Tensor::from_slice("value", [1, 1], &[1.0_f32]).unwrap();
    triton_client::InferRequest::new(call.context().model.clone()).input(tensor)
}

// Holds F70.
#[tokio::test]
async fn closing_waits_for_a_row_between_two_of_its_calls() {
    let slow = Fault::Delay {
        time: Duration::from_millis(100),
    };
    let server = server_with(FaultScript::new(0).request(1, slow));
    let function = Twice(FunctionBase::new(options(&server.endpoint(), "echo", &[])));
    function.open(subtask()).await.unwrap();
    let closing = async {
        while server.requests().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        function.close().await
    };
    let (answer, closed) = tokio::join!(function.submit(&[]), closing);
    answer.unwrap();
    closed.unwrap();
    assert_eq!(server.requests().len(), 2);
}

// Holds F71.
#[tokio::test]
async fn the_model_is_looked_up_and_what_is_wrong_keeps_its_source() {
    let server = EmbeddedTriton::start().unwrap();
    let missing = generate_function(options(&server.endpoint(), "missing", &[])).unwrap();
    let error = missing.open(subtask()).await.unwrap_err();
    insta::assert_snapshot!(error, @"subtask 0 of 1, attempt 0: the model could not be looked up");
    let source = error.source().and_then(|source| source.downcast_ref());
    let source: &triton_client::Error = source.unwrap();
    assert_eq!(source.status(), Some(404));
    // It is not open, and can be opened again.
    let error = missing.predict(&[1.0.into()]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::State);

    let inputs = Schema::of_inputs([("values", DataType::Float)]);
    let options = options(&server.endpoint(), "echo", &[]);
    let function = classification(options, inputs, "echo", NonZeroU32::MIN).unwrap();
    let error = function.open(subtask()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Mismatch);
    insta::assert_snapshot!(error, @"subtask 0 of 1, attempt 0: model 'echo' does not fit the schema and options: input column 'values' is no input of the model, which has: value; the model's input 'value' (FP32 [-1, -1]) has no column");
}

// Holds F72.
#[test]
fn options_that_a_function_does_not_serve_are_refused() {
    let refused = |extra: &[(&str, &str)]| {
        let options = options("http://localhost:8000", "echo", extra);
        let error = generate_function(options).map(drop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Options);
        error
    };
    insta::assert_snapshot!(refused(&[("batch-size", "8")]), @"generate_function does not serve the option 'batch-size' = '8', and would ignore it: leave it out, or use a function that serves it, as InferenceFunction does");
    insta::assert_snapshot!(refused(&[("sequence-id", "walk"), ("priority", "1"), ("default-value", "null")]), @"generate_function does not serve the options 'priority' = '1', 'sequence-id' = 'walk', 'default-value' = 'null', and would ignore them: leave them out, or use a function that serves them, as InferenceFunction does");
    // What says the same as the default asks for nothing.
    generate(
        "http://localhost:8000",
        &[("batch-size", "1"), ("max-retries", "7")],
    );

    let inputs = Schema::of_inputs([("value", DataType::Float)]);
    let keyed = [&AUTO_INCREMENT[..], &[("sequence-key", "value")]].concat();
    let options = options("http://localhost:8000", "echo", &keyed);
    let function = classification(options, inputs, "echo", NonZeroU32::MIN);
    insta::assert_snapshot!(function.map(drop).unwrap_err(), @"classification does not serve the option 'sequence-key' = 'value', and would ignore it: leave it out, or use a function that serves it, as InferenceFunction does");
}

// Holds F72.
#[test]
fn every_function_serves_what_belongs_to_no_group() {
    let served = triton_options::CATALOG.iter();
    let served = served.filter(|definition| OptionGroup::of(definition).is_none());
    let keys: Vec<&str> = served.map(|definition| definition.key).collect();
    // Whoever adds an option says here that the base serves it, or puts it into a group.
    insta::assert_snapshot!(keys.join("\n"), @"
    endpoint
    model-name
    model-version
    timeout
    endpoint-discovery
    endpoint-refresh
    endpoint-drain
    row-deadline
    compression
    response-limit
    auth-token
    auth-token-file
    tls-ca-file
    tls-certificate-file
    tls-key-file
    tls-server-name
    proxy
    custom-headers
    max-in-flight
    open-wait
    health-check-enabled
    health-check-interval
    circuit-breaker-enabled
    circuit-breaker-failure-threshold
    circuit-breaker-timeout
    circuit-breaker-half-open-requests
    max-retries
    retry-budget
    retry-initial-backoff
    retry-max-backoff
    connection-timeout
    connection-pool-max-idle
    connection-pool-keep-alive
    connection-pool-max-total
    connection-reuse-enabled
    ");
}

#[tokio::test]
async fn classes_become_columns() {
    let embedded = EmbeddedTriton::start().unwrap();
    for endpoint in [embedded.endpoint(), live_endpoint()] {
        let function = best_two(&endpoint, &[]).await;
        let answer = function.predict(&[[0.125_f32, 0.75, 0.5].into()]).await;
        let best = ["1".into(), 0.75.into(), "2".into(), 0.5.into()];
        assert_eq!(answer.unwrap().row, best);
        // There are no more classes than elements.
        let answer = function.predict(&[[0.5_f32].into()]).await.unwrap();
        assert_eq!(
            answer.row,
            ["0".into(), 0.5.into(), Value::Null, Value::Null]
        );
        let error = function.predict(&[Value::Null]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NullInput);
        insta::allow_duplicates! {
            insta::assert_snapshot!(error, @"subtask 0 of 1, attempt 0: column 'value': expected an ARRAY, found NULL");
        }
        function.close().await.unwrap();
    }
}

#[tokio::test]
async fn text_is_generated_on_both_servers() {
    let embedded = EmbeddedTriton::start().unwrap();
    for endpoint in [embedded.endpoint(), live_endpoint()] {
        let function = generate(&endpoint, &[]);
        function.open(subtask()).await.unwrap();
        let answer = function.predict(&[2.5.into()]).await.unwrap();
        assert_eq!(answer.row, ["2.5".into()]);
    }
}

// Holds F70.
#[tokio::test]
async fn rows_of_ones_own_function_have_sequences() {
    let embedded = EmbeddedTriton::start().unwrap();
    for endpoint in [embedded.endpoint(), live_endpoint()] {
        let inputs = Schema::of_inputs([("value", DataType::Integer)]);
        let options = options(&endpoint, "accumulate", &AUTO_INCREMENT);
        let function = classification(options, inputs, "sum", NonZeroU32::MIN).unwrap();
        function.open(subtask()).await.unwrap();
        for number in 0..2 {
            let answer = function.predict(&[7_i32.into()]).await.unwrap();
            assert_eq!(answer.row, ["0".into(), 7.0.into()]);
            let id = format!("flink-job-123-0-{number}");
            assert_eq!(answer.sequence_id, Some(id));
        }
        // After a failover the counter goes on where the snapshot was taken.
        let snapshot = function.snapshot().unwrap();
        function.close().await.unwrap();
        function.open(subtask()).await.unwrap();
        function.restore(snapshot).unwrap();
        let answer = function.predict(&[7_i32.into()]).await.unwrap();
        assert_eq!(answer.sequence_id.as_deref(), Some("flink-job-123-0-2"));
        let error = function.predict(&["seven".into()]).await.unwrap_err();
        insta::allow_duplicates! {
            insta::assert_snapshot!(error, @"subtask 0 of 1, attempt 0: column 'value': expected INT, found a STRING");
        }
    }
}

// Holds F28.
#[tokio::test]
async fn rows_that_were_handed_to_a_sink_are_answered_before_ones_own_function_is_closed() {
    let server = server_with(FaultScript::new(0));
    for in_flight in ["1", "32"] {
        let function = best_two(&server.endpoint(), &[("max-in-flight", in_flight)]).await;
        let (sink, mut answers) = sink();
        for number in 0..5 {
            function.submit_to(number, &[ROW.into()], &sink);
        }
        function.close().await.unwrap();
        drop(sink);
        let mut answered = 0;
        while let Some(group) = answers.recv().await {
            for answer in group {
                answer.result.unwrap();
                answered += 1;
            }
        }
        assert_eq!(answered, 5);
    }
}

// Holds F74.
#[tokio::test]
async fn a_sink_hears_of_a_row_whose_work_panics() {
    let server = server_with(FaultScript::new(0));
    let options = options(&server.endpoint(), "echo", &[]);
    let base: FunctionBase<()> = FunctionBase::serving("Panics", options, &[]).unwrap();
    let function = base.answering(|_, _| Ok(()), |_, _, _| async { panic!("a row") });
    function.open(subtask()).await.unwrap();
    let (sink, mut answers) = sink();
    function.submit_to(7, &[], &sink);
    let group = answers.recv().await.unwrap();
    assert_eq!((group.len(), group[0].number), (1, 7));
    let error = group[0].result.as_ref().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::State);
}
