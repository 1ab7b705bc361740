//! In which order rows that share a request go out, and by when they are answered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use tokio::time::{sleep, timeout};
use triton_embedded::{
    DataType as TensorType, Model, ModelConfig, ModelError, ModelRequest, Tensor,
};
use triton_model_fn::{DataType, ErrorKind, ModelFunction as _, Value};
use triton_test_support::EmbeddedTriton;

use crate::sinks::{function, row, server, sink};
use crate::{array, open, options, schema};

/// The rows that were counted, whatever became of them.
fn counted_rows(snapshotter: &Snapshotter) -> u64 {
    let all = snapshotter.snapshot().into_vec();
    let counts = all.iter().map(|(key, _, _, value)| match value {
        DebugValue::Counter(rows) if key.key().name() == "triton_function_rows_total" => *rows,
        _ => 0,
    });
    counts.sum()
}

// Holds F36.
#[tokio::test]
async fn a_late_row_that_nobody_waits_for_is_not_counted() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let guard = metrics::set_default_local_recorder(&recorder);
    let server = server();
    let settings = [
        ("batch-size", "2"),
        ("batch-timeout", "5 s"),
        ("row-deadline", "300 ms"),
    ];
    let function = function(&server, &settings).await;
    // It waits for another row to join it until its deadline.
    let given_up = timeout(Duration::from_millis(20), function.submit(&row(0.0, 1)));
    assert!(given_up.await.is_err());
    sleep(Duration::from_millis(400)).await;
    // It is in a request when its deadline comes, and the other row of it is answered.
    let given_up = tokio::spawn(function.submit(&row(200.0, 1)));
    sleep(Duration::from_millis(200)).await;
    let answered = tokio::spawn(function.submit(&row(200.0, 1)));
    sleep(Duration::from_millis(20)).await;
    given_up.abort();
    assert!(answered.await.unwrap().is_ok());
    function.close().await.unwrap();
    drop(guard);
    assert_eq!(counted_rows(&snapshotter), 1);
}

// Holds F36.
#[test]
fn a_row_that_is_late_is_counted_once() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let server = server();
        let function = function(
            &server,
            &[
                ("batch-size", "2"),
                ("batch-timeout", "5 s"),
                ("row-deadline", "600 ms"),
            ],
        )
        .await;
        let first = tokio::spawn(function.submit(&row(400.0, 1)));
        sleep(Duration::from_millis(400)).await;
        let second = tokio::spawn(function.submit(&row(400.0, 1)));
        assert!(first.await.unwrap().is_err());
        assert!(second.await.unwrap().is_ok());
        function.close().await.unwrap();
    });
    assert_eq!(counted_rows(&snapshotter), 2);
}

#[tokio::test]
async fn a_row_of_a_rare_shape_is_not_overtaken_by_full_requests() {
    let server = server();
    let function = function(
        &server,
        &[
            ("batch-size", "2"),
            ("batch-timeout", "1 ms"),
            ("max-in-flight", "1"),
        ],
    )
    .await;
    let (sink, mut answers) = sink();
    let mut number = 0;
    for _ in 0..2 {
        function.submit_to(number, &row(50.0, 1), &sink);
        number += 1;
    }
    sleep(Duration::from_millis(20)).await;
    function.submit_to(1000, &row(10.0, 3), &sink);
    sleep(Duration::from_millis(10)).await;
    for _ in 0..40 {
        function.submit_to(number, &row(10.0, 1), &sink);
        number += 1;
    }
    let mut order = Vec::new();
    while order.len() < 43 {
        order.extend(answers.recv().await.unwrap().into_iter().map(|a| {
            a.result.unwrap();
            a.number
        }));
    }
    let place = order.iter().position(|n| *n == 1000).unwrap();
    assert!(place < 6, "{order:?}");
}

// Holds F10.
#[tokio::test]
async fn a_row_waits_for_others_until_its_deadline_at_most() {
    let server = server();
    let function = function(
        &server,
        &[
            ("batch-size", "8"),
            ("batch-timeout", "5 s"),
            ("row-deadline", "300 ms"),
        ],
    )
    .await;
    let begun = Instant::now();
    let error = function.predict(&row(1.0, 1)).await.unwrap_err();
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "{:?} {error}",
        begun.elapsed()
    );
}

// Holds F10.
#[tokio::test]
async fn each_row_that_waits_keeps_to_its_own_deadline() {
    let server = server();
    let function = function(
        &server,
        &[
            ("batch-size", "2"),
            ("batch-timeout", "5 s"),
            ("max-in-flight", "1"),
            ("row-deadline", "1500 ms"),
        ],
    )
    .await;
    let (sink, mut answers) = sink();
    // Takes the only permit, until after the deadline of those that come next.
    function.submit_to(0, &row(6000.0, 9), &sink);
    sleep(Duration::from_millis(10)).await;
    let begun = Instant::now();
    function.submit_to(10, &row(1.0, 3), &sink);
    sleep(Duration::from_millis(900)).await;
    function.submit_to(1, &row(6000.0, 9), &sink);
    sleep(Duration::from_millis(100)).await;
    function.submit_to(11, &row(1.0, 1), &sink);
    function.submit_to(12, &row(1.0, 1), &sink);
    function.submit_to(13, &row(1.0, 3), &sink);
    loop {
        let group = answers.recv().await.unwrap();
        if group.iter().any(|a| a.number == 10) {
            break;
        }
    }
    assert!(
        begun.elapsed() < Duration::from_millis(1900),
        "{:?}",
        begun.elapsed()
    );
}

/// Adds an offset, where there is one; a request with a negative number fails.
struct Picky;
impl Model for Picky {
    type State = ();
    fn config(&self) -> ModelConfig {
        ModelConfig::new("picky")
            .max_batch_size(16)
            .input("value", TensorType::Fp32, [-1])
            .optional_input("offset", TensorType::Fp32, [1])
            .output("echo", TensorType::Fp32, [-1])
    }
    #[expect(clippy::disallowed_methods, reason = "a model that takes its time")]
    fn execute(&self, request: &ModelRequest, _: &mut ()) -> Result<Vec<Tensor>, ModelError> {
        let input = request.input("value")?;
        let values = input.values::<f32>()?;
        if values.iter().any(|v| *v < 0.0) {
            return Err(ModelError::new("negative"));
        }
        let offsets = request
            .input("offset")
            .ok()
            .map(|o| o.values::<f32>().unwrap().to_vec());
        let width = input.shape[1].max(1);
        let out: Vec<f32> = values
            .iter()
            .enumerate()
            .map(|(i, v)| v + offsets.as_ref().map_or(0.0, |o| o[i / width]))
            .collect();
        if values.len() % 5 == 0 {
            std::thread::sleep(Duration::from_millis(3));
        }
        Ok(vec![Tensor::new("echo", input.shape.clone(), out)])
    }
}

// Holds F3, F5, F51, F53.
#[tokio::test(flavor = "multi_thread")]
async fn rows_of_all_kinds_get_their_own_answers() {
    let mut seed = 88172645463325252_u64;
    let mut random = move |n: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % n
    };
    for round in 0..12 {
        let server = EmbeddedTriton::builder().model(Picky).start().unwrap();
        let columns = schema(
            &[
                ("value", array(DataType::Float)),
                ("offset", DataType::Float),
            ],
            &[("echo", array(DataType::Float))],
        );
        let extra: &[(&str, &str)] = match round % 4 {
            0 => &[
                ("batch-size", "16"),
                ("batch-timeout", "2 ms"),
                ("max-in-flight", "1"),
            ],
            1 => &[("batch-size", "5"), ("max-in-flight", "3")],
            2 => &[
                ("batch-size", "16"),
                ("batch-timeout", "1 ms"),
                ("max-in-flight", "2"),
                ("row-deadline", "40 ms"),
            ],
            _ => &[("max-in-flight", "4")],
        };
        let function =
            Arc::new(open(options(&server.endpoint(), "picky", extra), columns, 0, 1).await);
        let (sink, mut answers) = sink();
        let mut expected = Vec::new();
        let mut waiting = Vec::new();
        for number in 0..600_u64 {
            let length = random(4) as usize;
            let bad = random(25);
            let first = if bad == 0 { -1.0 } else { number as f32 };
            let value = match bad {
                1 => Value::Null,
                2 => Value::Array(vec![Value::Float(1.0), Value::Null].into()),
                3 => Value::Integer(1),
                _ => Value::from(vec![first; length]),
            };
            let offset = random(2) == 0;
            let row = [
                value,
                if offset {
                    Value::Float(0.5)
                } else {
                    Value::Null
                },
            ];
            let good = bad > 3 || (bad == 0 && length == 0);
            let answer = Value::from(vec![first + if offset { 0.5 } else { 0.0 }; length]);
            match random(4) {
                0 => drop(function.submit(&row)),
                1 => waiting.push((tokio::spawn(function.submit(&row)), good, answer)),
                _ => {
                    function.submit_to(number, &row, &sink);
                    expected.push((number, good, answer));
                }
            }
            if random(50) == 0 {
                sleep(Duration::from_millis(2)).await;
            }
        }
        for (task, good, answer) in waiting {
            let result = timeout(Duration::from_secs(30), task)
                .await
                .expect("hangs")
                .unwrap();
            match result {
                Ok(p) => {
                    assert!(good);
                    assert_eq!(p.row, [answer]);
                }
                Err(e) if e.kind() == ErrorKind::Call && round % 4 == 2 && good => {}
                Err(e) => assert!(!good, "{round} {e}"),
            }
        }
        let mut got = BTreeMap::new();
        while got.len() < expected.len() {
            for a in timeout(Duration::from_secs(30), answers.recv())
                .await
                .expect("hangs")
                .unwrap()
            {
                assert!(got.insert(a.number, a.result).is_none());
            }
        }
        for (number, good, answer) in expected {
            match &got[&number] {
                Ok(p) => {
                    assert!(good);
                    assert_eq!(p.row, [answer]);
                }
                Err(e) if e.kind() == ErrorKind::Call && round % 4 == 2 && good => {}
                Err(e) => assert!(!good, "{round} {e}"),
            }
        }
        timeout(Duration::from_secs(10), function.close())
            .await
            .expect("hangs")
            .unwrap();
        assert!(answers.try_recv().is_err());
    }
}
