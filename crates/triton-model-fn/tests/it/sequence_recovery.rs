//! Sequences per key on a real Triton that is killed, reloaded and cut off in the middle of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use triton_client::{Client, LoadModel, ModelId};
use triton_model_fn::{Error, ErrorKind, ModelFunction as _, Prediction};
use triton_test_support::{CrashTriton, CuttingProxy};

use crate::keyed::{Place, Stateful, keyed_options, open_all, run, shuffled};

const KEYS: u32 = 60;
const ROWS: u32 = 50;

/// Enough for the time that a killed server takes to come back.
const RETRIES: [(&str, &str); 3] = [
    ("max-retries", "200"),
    ("retry-initial-backoff", "10 ms"),
    ("retry-max-backoff", "300 ms"),
];

/// Something that makes a server lose its sequences.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    /// SIGKILL, and a start on the same port.
    Crash,
    /// The model is loaded again with another configuration; the server goes on.
    Reload,
}

/// What happened to the rows of a model.
struct Outcome {
    model: Stateful,
    places: Vec<Place>,
    results: Vec<Result<Prediction, Error>>,
}

/// Runs all rows of all models, at the same time, through a proxy that cuts one response in 700,
/// with trouble in between.
async fn run_through(models: &[Stateful], recovery: &str, trouble: &[Trouble]) -> Vec<Outcome> {
    let triton = tokio::task::spawn_blocking(CrashTriton::start);
    let triton = Arc::new(triton.await.unwrap());
    let proxy = CuttingProxy::start(triton.endpoint(), 700).await;
    let recovery = [("sequence-recovery", recovery)];
    let extra = [&RETRIES[..], &recovery].concat();
    let answered = AtomicUsize::new(0);
    let runs = models.iter().map(async |model| {
        let options = keyed_options(&proxy.endpoint(), *model, &extra);
        let functions = open_all(&options, *model).await;
        let places = shuffled(KEYS, ROWS, 42);
        let results = run(&functions, *model, &places, ROWS, || {
            answered.fetch_add(1, Ordering::Relaxed);
        });
        let results = results.await;
        for function in &functions {
            function.close().await.unwrap();
        }
        assert_eq!(results.len(), places.len());
        Outcome {
            model: *model,
            places,
            results,
        }
    });
    let rows = (KEYS * ROWS) as usize * models.len();
    let (count, mut happened) = (trouble.len(), 0);
    let troubles = async {
        for (number, trouble) in trouble.iter().enumerate() {
            // At equal distances, whatever the speed of the machine.
            let when = rows * (number + 1) / (count + 1);
            while answered.load(Ordering::Relaxed) < when {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            match trouble {
                Trouble::Crash => {
                    let triton = Arc::clone(&triton);
                    let crash = move || triton.crash_and_restart();
                    tokio::task::spawn_blocking(crash).await.unwrap();
                }
                Trouble::Reload => {
                    for model in models {
                        reload(triton.endpoint(), *model).await;
                    }
                }
            }
            happened += 1;
        }
    };
    let (outcomes, ()) = tokio::join!(join_all(runs), troubles);
    assert_eq!(happened, count, "the rows were over before the trouble");
    assert!(proxy.cuts() > 0, "no response was cut");
    outcomes
}

/// Loads the model with a configuration that differs in nothing that matters: an equal one would
/// change nothing, and the sequences would live on.
async fn reload(endpoint: &str, model: Stateful) {
    let client = Client::new(endpoint).unwrap();
    let model = ModelId::latest(model.model().parse().unwrap());
    let config = client.model_config(&model).await.unwrap();
    let mut config = config.document().clone();
    config["parameters"] = json!({ "reloaded": { "string_value": "yes" } });
    let load = LoadModel::new().config(&config);
    client.load_model(model.name(), &load).await.unwrap();
}

/// What the model knows of a key, as far as its answers tell.
#[derive(Debug, Default)]
struct Known {
    numbers: Vec<i32>,
    failed: bool,
}

/// Every row in its order: the answers must be those of the rows that count. How many answers were
/// marked, and why rows failed.
fn check(outcome: Outcome) -> (usize, Vec<String>) {
    let Outcome {
        model,
        places,
        results,
    } = outcome;
    let mut known = BTreeMap::<u32, Known>::new();
    let (mut restarts, mut failures) = (0, Vec::new());
    for (place, result) in places.iter().zip(results) {
        let known = known.entry(place.key).or_default();
        match result {
            Ok(prediction) => {
                if prediction.sequence_restarted {
                    known.numbers.clear();
                    restarts += 1;
                }
                // The row after one that failed says that it stands alone.
                assert!(
                    !known.failed || prediction.sequence_restarted,
                    "{failures:?}"
                );
                known.failed = false;
                known.numbers.push(model.number(*place));
                let answer = model.answer(&prediction);
                let reference = model.reference(&known.numbers);
                assert!(
                    model.agrees(answer, reference),
                    "{place:?}: {answer} {reference}"
                );
            }
            Err(error) => {
                let lost = [ErrorKind::SequenceLost, ErrorKind::SequenceUncertain];
                assert!(lost.contains(&error.kind()), "{error}");
                let key = format!("sensor-{}", place.key);
                assert_eq!(error.sequence_key(), Some(key.as_str()));
                assert!(error.sequence_id().is_some() && error.sequence_row().is_some());
                known.failed = true;
                let cause = error.client_error().map(ToString::to_string);
                failures.push(format!("{error}: {}", cause.unwrap_or_default()));
            }
        }
    }
    (restarts, failures)
}

const FIVE_CRASHES_AND_A_RELOAD: [Trouble; 6] = [
    Trouble::Crash,
    Trouble::Crash,
    Trouble::Reload,
    Trouble::Crash,
    Trouble::Crash,
    Trouble::Crash,
];

// Holds S28.
#[tokio::test(flavor = "multi_thread")]
async fn with_replay_no_answer_shows_that_the_server_was_killed() {
    let models = [Stateful::Accumulate, Stateful::Anomaly];
    for outcome in run_through(&models, "replay", &FIVE_CRASHES_AND_A_RELOAD).await {
        assert_eq!(check(outcome), (0, Vec::new()));
    }
}

// Holds S27.
#[tokio::test(flavor = "multi_thread")]
async fn with_restart_every_row_is_answered_and_says_where_its_sequence_begins() {
    let trouble = [Trouble::Crash, Trouble::Reload];
    for outcome in run_through(&[Stateful::Accumulate], "restart", &trouble).await {
        let (restarts, failures) = check(outcome);
        assert_eq!(failures, Vec::<String>::new());
        // Most keys were in the middle of their sequence both times.
        assert!(restarts > KEYS as usize, "{restarts}");
    }
}

// Holds S25, S26.
#[tokio::test(flavor = "multi_thread")]
async fn with_fail_one_row_of_each_lost_sequence_fails() {
    let trouble = [Trouble::Crash, Trouble::Reload];
    for outcome in run_through(&[Stateful::Accumulate], "fail", &trouble).await {
        let (restarts, failures) = check(outcome);
        assert!(failures.len() > KEYS as usize, "{failures:?}");
        // A key whose last row failed has no row that could be marked.
        assert!(
            restarts <= failures.len() && restarts > KEYS as usize,
            "{restarts}"
        );
    }
}
