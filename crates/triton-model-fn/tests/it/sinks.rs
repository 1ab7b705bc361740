//! Sinks of answers: whatever they do, and whatever becomes of the function.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{sleep, timeout};
use triton_embedded::{
    DataType as TensorType, Model, ModelConfig, ModelError, ModelRequest, Tensor,
};
use triton_model_fn::{
    AnswerSink, DataType, InferenceFunction, ModelFunction as _, RowAnswer, Value,
};
use triton_test_support::EmbeddedTriton;

use crate::{array, open, options, schema};

/// Echoes, after as many milliseconds as the largest number.
struct Naps;

impl Model for Naps {
    type State = ();
    fn config(&self) -> ModelConfig {
        ModelConfig::new("naps")
            .max_batch_size(16)
            .input("value", TensorType::Fp32, [-1])
            .output("echo", TensorType::Fp32, [-1])
    }
    #[expect(clippy::disallowed_methods, reason = "a model that takes its time")]
    fn execute(&self, request: &ModelRequest, _: &mut ()) -> Result<Vec<Tensor>, ModelError> {
        let input = request.input("value")?;
        let values = input.values::<f32>()?;
        let nap = values
            .iter()
            .fold(0.0_f32, |longest, nap| longest.max(*nap));
        std::thread::sleep(Duration::from_millis(nap as u64));
        Ok(vec![Tensor::new(
            "echo",
            input.shape.clone(),
            values.to_vec(),
        )])
    }
}

pub(crate) fn server() -> EmbeddedTriton {
    EmbeddedTriton::builder()
        .built_in_models()
        .model(Naps)
        .start()
        .unwrap()
}

pub(crate) async fn function(server: &EmbeddedTriton, extra: &[(&str, &str)]) -> InferenceFunction {
    let arrays = schema(
        &[("value", array(DataType::Float))],
        &[("echo", array(DataType::Float))],
    );
    open(options(&server.endpoint(), "naps", extra), arrays, 0, 1).await
}

/// A function with a sequence for each key.
async fn keyed(server: &EmbeddedTriton) -> InferenceFunction {
    let keyed = [
        ("sequence-id", "sinks"),
        ("sequence-id-auto-increment", "true"),
        ("sequence-key", "key"),
        ("max-in-flight", "2"),
    ];
    let columns = schema(
        &[("key", DataType::String), ("value", DataType::Integer)],
        &[("sum", DataType::Integer)],
    );
    open(
        options(&server.endpoint(), "accumulate", &keyed),
        columns,
        0,
        1,
    )
    .await
}

pub(crate) fn row(nap: f32, length: usize) -> [Value; 1] {
    [Value::from(vec![nap; length])]
}

pub(crate) fn sink() -> (Arc<dyn AnswerSink>, UnboundedReceiver<Vec<RowAnswer>>) {
    let (sender, receiver) = unbounded_channel();
    (Arc::new(sender), receiver)
}

/// A sink that panics, once or always.
struct Panics {
    calls: AtomicUsize,
    always: bool,
}
impl AnswerSink for Panics {
    fn take(&self, answers: Vec<RowAnswer>) {
        let n = self.calls.fetch_add(answers.len(), Ordering::SeqCst);
        assert!(!(self.always || n == 0), "a sink panics");
    }
}

// Holds F53.
#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_panics_costs_other_sinks_nothing() {
    let server = server();
    let function = function(&server, &[("batch-size", "8"), ("batch-timeout", "20 ms")]).await;
    let bad: Arc<dyn AnswerSink> = Arc::new(Panics {
        calls: AtomicUsize::new(0),
        always: false,
    });
    let (good, mut answers) = sink();
    for number in 0..8 {
        function.submit_to(
            number,
            &row(1.0, 1),
            if number % 2 == 0 { &bad } else { &good },
        );
    }
    let mut seen = Vec::new();
    while seen.len() < 4 {
        for a in answers.recv().await.unwrap() {
            assert!(a.result.is_ok(), "{a:?}");
            seen.push(a.number);
        }
    }
}

// Holds F53.
#[tokio::test(flavor = "multi_thread")]
async fn sinks_that_always_panic_are_told_of_each_row() {
    let server = server();
    let function = function(&server, &[("batch-size", "8"), ("batch-timeout", "20 ms")]).await;
    let bad = Arc::new(Panics {
        calls: AtomicUsize::new(0),
        always: true,
    });
    let dyn_bad: Arc<dyn AnswerSink> = bad.clone();
    let other: Arc<dyn AnswerSink> = Arc::new(Panics {
        calls: AtomicUsize::new(0),
        always: true,
    });
    for number in 0..8 {
        function.submit_to(
            number,
            &row(1.0, 1),
            if number % 2 == 0 { &dyn_bad } else { &other },
        );
    }
    sleep(Duration::from_millis(500)).await;
    assert_eq!(bad.calls.load(Ordering::SeqCst), 4);
}

// Holds F53.
#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_panics_costs_the_rows_of_a_key_nothing() {
    let server = EmbeddedTriton::start().unwrap();
    let function = keyed(&server).await;
    let bad: Arc<dyn AnswerSink> = Arc::new(Panics {
        calls: AtomicUsize::new(0),
        always: false,
    });
    let (good, mut answers) = sink();
    let row = |value| [Value::String("a".into()), Value::Integer(value)];
    function.submit_to(0, &row(1), &bad);
    for number in 1..10 {
        function.submit_to(number, &row(1), &good);
    }
    let mut seen = 0;
    while seen < 9 {
        let group = timeout(Duration::from_secs(10), answers.recv())
            .await
            .expect("hangs")
            .unwrap();
        for a in group {
            assert!(a.result.is_ok(), "{a:?}");
            seen += 1;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_can_be_handed_over_from_any_thread() {
    for extra in [&[("batch-size", "8"), ("batch-timeout", "20 ms")][..], &[]] {
        let server = server();
        let function = Arc::new(function(&server, extra).await);
        let (sink, mut answers) = sink();
        let there = Arc::clone(&function);
        let thread = std::thread::spawn(move || there.submit_to(1, &row(1.0, 1), &sink));
        assert!(thread.join().is_ok(), "{extra:?}");
        assert!(answers.recv().await.unwrap()[0].result.is_ok());
    }
}

// Holds F30, F33.
#[tokio::test(flavor = "multi_thread")]
async fn every_row_is_answered_when_abort_returns() {
    for extra in [
        &[
            ("batch-size", "8"),
            ("batch-timeout", "20 ms"),
            ("max-in-flight", "2"),
        ][..],
        &[("max-in-flight", "2")],
    ] {
        let server = server();
        let function = Arc::new(function(&server, extra).await);
        let (sink, mut answers) = sink();
        for n in 0..2000 {
            function.submit_to(n, &row(2000.0, 1), &sink);
        }
        sleep(Duration::from_millis(100)).await;
        function.abort().await;
        let mut seen = 0;
        while let Ok(group) = answers.try_recv() {
            seen += group.len();
        }
        assert_eq!(seen, 2000, "{extra:?}");
    }
}

// Holds F28.
#[tokio::test]
async fn close_waits_for_the_rows_of_a_sink() {
    for extra in [
        &[("batch-size", "8"), ("batch-timeout", "20 ms")][..],
        &[],
        &[("max-in-flight", "1")],
    ] {
        let server = server();
        let function = function(&server, extra).await;
        let (sink, mut answers) = sink();
        for n in 0..5 {
            function.submit_to(n, &row(20.0, 1), &sink);
        }
        function.close().await.unwrap();
        let mut seen = Vec::new();
        while let Ok(group) = answers.try_recv() {
            seen.extend(group);
        }
        assert_eq!(seen.len(), 5);
        for answer in seen {
            assert!(answer.result.is_ok(), "{extra:?} {answer:?}");
        }
    }
}

// Holds F53.
#[tokio::test(flavor = "multi_thread")]
async fn a_sink_may_hand_rows_over() {
    struct Again {
        function: Mutex<Option<Arc<InferenceFunction>>>,
        me: Mutex<Option<Arc<dyn AnswerSink>>>,
        done: AtomicUsize,
        left: AtomicUsize,
        stop: AtomicBool,
    }
    impl AnswerSink for Again {
        fn take(&self, answers: Vec<RowAnswer>) {
            for _ in answers {
                self.done.fetch_add(1, Ordering::SeqCst);
                if self.stop.load(Ordering::SeqCst) {
                    continue;
                }
                if self
                    .left
                    .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                        left.checked_sub(1)
                    })
                    .is_ok()
                {
                    let function = self.function.lock().unwrap().clone().unwrap();
                    let me = self.me.lock().unwrap().clone().unwrap();
                    function.submit_to(1, &row(1.0, 2), &me);
                }
            }
        }
    }
    for end in ["none", "close", "abort"] {
        let server = server();
        let function =
            Arc::new(function(&server, &[("batch-size", "8"), ("batch-timeout", "1 ms")]).await);
        let again = Arc::new(Again {
            function: Mutex::new(Some(Arc::clone(&function))),
            me: Mutex::new(None),
            done: 0.into(),
            left: 200.into(),
            stop: false.into(),
        });
        let me: Arc<dyn AnswerSink> = again.clone();
        *again.me.lock().unwrap() = Some(Arc::clone(&me));
        for n in 0..10 {
            function.submit_to(n, &row(1.0, 1), &me);
        }
        if end == "close" {
            sleep(Duration::from_millis(20)).await;
            timeout(Duration::from_secs(20), function.close())
                .await
                .expect("hangs")
                .unwrap();
        }
        if end == "abort" {
            sleep(Duration::from_millis(20)).await;
            timeout(Duration::from_secs(20), function.abort())
                .await
                .expect("hangs");
        }
        timeout(Duration::from_secs(20), async {
            while again.done.load(Ordering::SeqCst) < 210 {
                sleep(Duration::from_millis(5)).await;
            }
        })
        .await
        .expect(end);
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

/// Hands each row that fails over once more.
struct OnceMore {
    row: Vec<Value>,
    function: Arc<InferenceFunction>,
    answered: Arc<dyn AnswerSink>,
}

impl AnswerSink for OnceMore {
    fn take(&self, answers: Vec<RowAnswer>) {
        for answer in answers {
            let number = answer.number + 1000;
            self.function.submit_to(number, &self.row, &self.answered);
        }
    }
}

// Holds F53.
#[test]
fn a_row_that_is_handed_over_again_after_the_end_of_the_runtime_is_answered() {
    let server = server();
    let lanes = [("batches", true), ("single", false), ("keyed", false)];
    for (lane, batches) in lanes {
        let runtime = runtime();
        let (function, row) = match lane {
            "keyed" => (
                runtime.block_on(keyed(&server)),
                vec![Value::String("a".to_owned()), Value::Integer(1)],
            ),
            _ => {
                let extra = [("batch-size", "8"), ("batch-timeout", "20 ms")];
                let extra = if batches { &extra[..] } else { &[] };
                (
                    runtime.block_on(function(&server, extra)),
                    row(1.0, 1).to_vec(),
                )
            }
        };
        let function = Arc::new(function);
        runtime.shutdown_timeout(Duration::from_secs(5));
        let (answered, mut answers) = sink();
        let (finished, finish) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let once_more: Arc<dyn AnswerSink> = Arc::new(OnceMore {
                row: row.clone(),
                function: Arc::clone(&function),
                answered,
            });
            function.submit_to(1, &row, &once_more);
            // A test that has failed waits no more.
            let _ = finished.send(());
        });
        let waited = finish.recv_timeout(Duration::from_secs(10));
        waited.unwrap_or_else(|_| panic!("{lane} hangs"));
        let group = answers.try_recv().unwrap();
        assert_eq!((group.len(), group[0].number), (1, 1001), "{lane}");
        assert!(group[0].result.is_err());
    }
}

// Holds F53.
#[test]
fn the_end_of_the_runtime_answers_every_row() {
    for extra in [&[("batch-size", "8"), ("batch-timeout", "20 ms")][..], &[]] {
        let server = server();
        let runtime = runtime();
        let (sink, mut answers) = sink();
        let function = runtime.block_on(async {
            let function = function(&server, extra).await;
            for n in 0..40 {
                function.submit_to(n, &row(500.0, 1), &sink);
            }
            function
        });
        runtime.shutdown_timeout(Duration::from_secs(5));
        drop(function);
        drop(sink);
        let mut numbers = Vec::new();
        while let Ok(group) = answers.try_recv() {
            numbers.extend(group.into_iter().map(|answer| answer.number));
        }
        numbers.sort_unstable();
        assert_eq!(numbers, (0..40).collect::<Vec<_>>(), "{extra:?}");
    }
}

// Holds F53.
#[tokio::test(flavor = "multi_thread")]
async fn rows_of_keys_are_answered_once_whatever_becomes_of_the_function() {
    for end in ["close", "abort", "drop", "drop-while-unusable-waits"] {
        let server = EmbeddedTriton::start().unwrap();
        let function = keyed(&server).await;
        let (sink, mut answers) = sink();
        let row = |number: u64| [Value::String(format!("k{}", number % 7)), Value::Integer(1)];
        for number in 0..200 {
            function.submit_to(number, &row(number), &sink);
        }
        let unusable = function.submit_unusable(&row(3));
        let mut held = Some(Box::pin(unusable));
        if end != "drop-while-unusable-waits" {
            held = None;
        }
        match end {
            "close" => function.close().await.unwrap(),
            "abort" => function.abort().await,
            _ => drop(function),
        }
        drop(sink);
        let mut numbers = Vec::new();
        while let Some(group) = timeout(Duration::from_secs(5), answers.recv())
            .await
            .unwrap_or_else(|_| panic!("{end} hangs after {}", numbers.len()))
        {
            for answer in group {
                assert!(end != "close" || answer.result.is_ok(), "{answer:?}");
                numbers.push(answer.number);
            }
        }
        numbers.sort_unstable();
        assert_eq!(numbers, (0..200).collect::<Vec<_>>(), "{end}");
        if let Some(held) = held {
            timeout(Duration::from_secs(5), held).await.expect("hangs");
        }
    }
}
