//! Several servers behind one endpoint, of which one does something unkind: no row and no sequence pays
//! for it that another server could have answered.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use triton_embedded::models::{Accumulate, AccumulateWithCorrid};
use triton_embedded::{
    DataType, EmbeddedTriton, Fault, FaultScript, Model, ModelConfig, ModelError, ModelRequest,
    SequenceBatching, SequenceStrategy, Tensor,
};
use triton_model_fn::triton_client::{Client, LoadModel, UnloadModel};
use triton_model_fn::{
    ErrorKind, FunctionBase, InferenceFunction, ModelFunction as _, OptionGroup, Resolver, Subtask,
    Value,
};

use crate::keyed::{Stateful, keyed_options};
use crate::replicas::{Addresses, Keys, address, endpoint, predict, rows, servers};
use crate::{echo_schema, open, options};

fn always(status: u16) -> FaultScript {
    let text = "not you".to_owned();
    FaultScript::new(0).rate(1.0, Fault::Status { status, text })
}

async fn unload(server: &EmbeddedTriton, model: &str) {
    let admin = Client::new(server.endpoint()).unwrap();
    let name = model.parse().unwrap();
    admin
        .unload_model(&name, &UnloadModel::new())
        .await
        .unwrap();
}

async fn load(server: &EmbeddedTriton, model: &str) {
    let admin = Client::new(server.endpoint()).unwrap();
    let name = model.parse().unwrap();
    admin.load_model(&name, &LoadModel::new()).await.unwrap();
}

async fn eventually(mut is_so: impl FnMut() -> bool, what: &str) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}");
        sleep(Duration::from_millis(5)).await;
    }
}

// Holds F84.
#[tokio::test]
async fn a_model_that_is_unloaded_at_one_server_costs_no_row() {
    let servers = servers(2);
    // Nobody asks by himself.
    let extra = [("endpoint-refresh", "1 h")];
    let options = options(&endpoint(&servers), "echo", &extra);
    let function = open(options, echo_schema(), 0, 1).await;
    for number in 0..4 {
        predict(&function, number as f32).await;
    }
    unload(&servers[0], "echo").await;
    for number in 0..50 {
        predict(&function, number as f32).await;
    }
    load(&servers[0], "echo").await;
    let begun = Instant::now();
    let before = rows(&servers)[0];
    while rows(&servers)[0] == before {
        predict(&function, 1.0).await;
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "it is not noticed"
        );
    }
    unload(&servers[1], "echo").await;
    for number in 0..50 {
        predict(&function, number as f32).await;
    }
}

// Holds S69.
#[tokio::test]
async fn sequences_leave_a_server_whose_model_is_unloaded() {
    let servers = servers(2);
    let extra = [("sequence-recovery", "replay"), ("endpoint-refresh", "1 h")];
    let mut keys = Keys::open(&endpoint(&servers), 20, &extra).await;
    keys.next_whole(false).await;
    unload(&servers[0], "accumulate").await;
    for row in 0..3 {
        keys.next_whole(row == 2).await;
    }
}

// Holds S69.
#[tokio::test]
async fn without_a_retry_sequences_of_a_server_that_is_gone_are_rebuilt_at_another() {
    for affinity in ["balance", "hash"] {
        let servers = servers(2);
        let extra = [
            ("sequence-recovery", "replay"),
            ("sequence-affinity", affinity),
            ("endpoint-refresh", "1 h"),
        ];
        let mut keys = Keys::open(&endpoint(&servers), 20, &extra).await;
        keys.next_whole(false).await;
        servers[0].stop();
        for row in 0..3 {
            keys.next_whole(row == 2).await;
        }
    }
}

// Holds S31.
#[tokio::test]
async fn a_first_row_that_finds_nobody_begins_its_sequence_elsewhere() {
    for recovery in ["fail", "restart", "replay"] {
        let servers = servers(2);
        let extra = [("sequence-recovery", recovery), ("endpoint-refresh", "1 h")];
        let mut keys = Keys::open(&endpoint(&servers), 20, &extra).await;
        servers[0].stop();
        for row in 0..3 {
            keys.next_whole(row == 2).await;
        }
    }
}

// Holds S23, S66.
#[tokio::test]
async fn a_row_that_is_refused_by_a_server_that_drains_loses_no_sequence() {
    for recovery in ["restart", "fail"] {
        let servers = servers(2);
        let addresses = Arc::new(Addresses::default());
        addresses.set(&[&servers[0], &servers[1]]);
        let extra = [
            ("sequence-recovery", recovery),
            ("endpoint-refresh", "20 ms"),
            ("endpoint-drain", "1 h"),
        ];
        let mut keys = Keys::open_named(&addresses, 20, &extra).await;
        keys.next_whole(false).await;
        addresses.set(&[&servers[1]]);
        sleep(Duration::from_millis(200)).await;
        servers[0].set_faults(always(401));
        let refused = keys.next(false).await;
        let failed = refused.iter().filter(|answer| answer.is_err()).count();
        servers[0].set_faults(FaultScript::new(0));
        for answer in &refused {
            if let Err(error) = answer {
                assert_eq!(error.kind(), ErrorKind::Call, "{recovery}: {error}");
            }
        }
        assert_eq!(failed, 10, "{recovery}: those of the one that refuses");
        for answer in keys.next(true).await {
            let answer = answer.unwrap();
            assert!(!answer.sequence_restarted, "{recovery}");
        }
        assert!(refused.iter().flatten().all(|it| !it.sequence_restarted));
    }
}

// Holds F88.
#[tokio::test]
async fn new_sequences_keep_away_from_an_open_circuit() {
    let servers = servers(2);
    servers[0].set_faults(always(500));
    let extra = [
        ("sequence-recovery", "replay"),
        ("circuit-breaker-enabled", "true"),
        ("circuit-breaker-failure-threshold", "0.1"),
        ("max-retries", "3"),
        ("retry-initial-backoff", "1 ms"),
        ("endpoint-refresh", "1 h"),
    ];
    // So many at once that the circuit opens before the server is left alone.
    let mut keys = Keys::open(&endpoint(&servers), 30, &extra).await;
    keys.next(false).await;
    // The server is not left alone any more.
    sleep(Duration::from_millis(2600)).await;
    let mut others = Keys::open(&endpoint(&servers), 100, &extra).await;
    others.next_whole(false).await;
    others.next_whole(true).await;
}

// Holds F85.
#[tokio::test]
async fn a_server_that_could_not_be_set_up_joins_later() {
    let servers = servers(2);
    let addresses = Arc::new(Addresses::default());
    addresses.set(&[&servers[0]]);
    let path = std::env::temp_dir().join(format!("att-token-{}", std::process::id()));
    std::fs::write(&path, "first").unwrap();
    let extra = [
        ("endpoint-discovery", "dns"),
        ("endpoint-refresh", "20 ms"),
        ("auth-token-file", path.to_str().unwrap()),
    ];
    let options = options("http://triton.invalid:8000", "echo", &extra);
    let resolver: Arc<dyn Resolver> = Arc::<Addresses>::clone(&addresses);
    let function = InferenceFunction::new(options, echo_schema())
        .unwrap()
        .resolving_by(resolver);
    function.open(Subtask::new(0, 1, 0).unwrap()).await.unwrap();
    predict(&function, 1.0).await;
    // The token is being replaced while a server joins.
    std::fs::remove_file(&path).unwrap();
    addresses.set(&[&servers[0], &servers[1]]);
    sleep(Duration::from_millis(200)).await;
    std::fs::write(&path, "second").unwrap();
    let begun = Instant::now();
    while rows(&servers)[1] == 0 {
        predict(&function, 1.0).await;
        sleep(Duration::from_millis(5)).await;
        assert!(begun.elapsed() < Duration::from_secs(10), "it never joins");
    }
    std::fs::remove_file(&path).unwrap();
}

// Holds F85.
#[tokio::test]
async fn the_name_is_looked_up_again_whatever_health_checks_there_are() {
    let servers = servers(2);
    let addresses = Arc::new(Addresses::default());
    addresses.set(&[&servers[0]]);
    let extra = [
        ("endpoint-discovery", "dns"),
        ("endpoint-refresh", "20 ms"),
        ("circuit-breaker-enabled", "true"),
        ("health-check-enabled", "true"),
        ("health-check-interval", "1 h"),
    ];
    let options = options("http://triton.invalid:8000", "echo", &extra);
    let resolver: Arc<dyn Resolver> = Arc::<Addresses>::clone(&addresses);
    let function = InferenceFunction::new(options, echo_schema())
        .unwrap()
        .resolving_by(resolver);
    function.open(Subtask::new(0, 1, 0).unwrap()).await.unwrap();
    predict(&function, 1.0).await;
    addresses.set(&[&servers[1]]);
    let begun = Instant::now();
    while rows(&servers)[1] == 0 {
        predict(&function, 1.0).await;
        sleep(Duration::from_millis(5)).await;
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "it is not noticed"
        );
    }
}

// Holds S10, S68.
#[tokio::test]
async fn a_server_that_comes_back_has_the_places_that_are_left_there() {
    let servers = servers(2);
    let addresses = Arc::new(Addresses::default());
    addresses.set(&[&servers[0], &servers[1]]);
    let extra = [
        ("sequence-recovery", "replay"),
        ("endpoint-refresh", "20 ms"),
        ("endpoint-drain", "50 ms"),
    ];
    let mut keys = Keys::open_named(&addresses, 20, &extra).await;
    keys.next_whole(false).await;
    assert_eq!(keys.held(), 0);
    addresses.set(&[&servers[1]]);
    sleep(Duration::from_millis(300)).await;
    // They move, and nobody has ended them where they were.
    keys.next_whole(false).await;
    assert_eq!(keys.held(), 10);
    addresses.set(&[&servers[0], &servers[1]]);
    sleep(Duration::from_millis(300)).await;
    assert_eq!(keys.held(), 10, "they are alive there all the same");
    keys.next_whole(true).await;
}

/// A server that says that it is ready, and never answers anything else. It counts its connections.
fn silent(open: &Arc<AtomicUsize>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let open = Arc::clone(open);
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            let open = Arc::clone(&open);
            open.fetch_add(1, Ordering::SeqCst);
            std::thread::spawn(move || {
                answer(stream);
                open.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
    address
}

fn answer(mut stream: TcpStream) {
    let mut read = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(count) = stream.read(&mut buffer)
        && count > 0
    {
        read.extend_from_slice(&buffer[..count]);
        if !read.ends_with(b"\r\n\r\n") {
            continue;
        }
        let request = String::from_utf8_lossy(&read).into_owned();
        read.clear();
        let line = request.lines().next().unwrap_or_default();
        if line.contains("/health/live") || line.contains("/ready") {
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
            let _ = stream.write_all(answer);
        }
    }
}

// Holds F33.
#[tokio::test]
async fn nothing_asks_a_silent_server_once_the_function_is_closed() {
    let open = Arc::new(AtomicUsize::new(0));
    let silent = silent(&open);
    let servers = servers(1);
    let both = format!("{},http://{silent}", endpoint(&servers));
    let keys = Keys::open(&both, 1, &[]).await;
    eventually(|| open.load(Ordering::SeqCst) > 0, "it is not asked").await;
    sleep(Duration::from_millis(300)).await;
    keys.close().await;
    drop(keys);
    let begun = Instant::now();
    while open.load(Ordering::SeqCst) > 0 {
        assert!(
            begun.elapsed() < Duration::from_secs(3),
            "it is still asked"
        );
        sleep(Duration::from_millis(20)).await;
    }
}

// Holds F88.
#[tokio::test]
async fn rows_that_wait_for_a_connection_go_elsewhere_where_the_circuit_opens() {
    let servers = servers(2);
    servers[0].set_faults(always(500));
    let extra = [
        ("circuit-breaker-enabled", "true"),
        ("circuit-breaker-failure-threshold", "0.1"),
        ("connection-pool-max-total", "1"),
        ("max-in-flight", "100"),
        ("endpoint-refresh", "1 h"),
    ];
    let options = options(&endpoint(&servers), "echo", &extra);
    let function = open(options, echo_schema(), 0, 1).await;
    let numbers: Vec<[Value; 1]> = (0..100).map(|it| [Value::Float(it as f32)]).collect();
    let rows = numbers.iter().map(|row| function.predict(row));
    let answers = futures_util::future::join_all(rows).await;
    let kinds = answers
        .iter()
        .filter_map(|it| Some(it.as_ref().err()?.kind()));
    let rejected = kinds.filter(|kind| *kind == ErrorKind::CircuitOpen).count();
    assert_eq!(rejected, 0);
}

// Holds S68.
#[tokio::test]
async fn a_function_of_ones_own_spreads_no_sequence_over_servers() {
    let servers = servers(2);
    let extra = [("sequence-id", "7")];
    let options = options(&endpoint(&servers), "accumulate", &extra);
    let base = FunctionBase::<()>::serving("Own", options, &[OptionGroup::Sequences]).unwrap();
    let opened = base.open(Subtask::new(0, 1, 0).unwrap(), |_, _| Ok(()));
    let shown = opened.await.unwrap_err().to_string();
    let shown = shown.replace(&endpoint(&servers).replace(',', "/,"), "A,B");
    insta::assert_snapshot!(shown, @"subtask 0 of 1, attempt 0: 'sequence-id' is '7' for all requests of this function, which go to any of the servers of 'endpoint' (A,B/), and a sequence is on one of them: name one server, or let each request be a sequence of its own ('sequence-id-auto-increment')");
}

/// `accumulate`, which has its sequence IDs handed over as numbers.
struct Numbered(AccumulateWithCorrid);

impl Model for Numbered {
    type State = i64;

    fn config(&self) -> ModelConfig {
        let mut config = self.0.config();
        config.name = "accumulate".to_owned();
        config
    }

    fn execute(&self, request: &ModelRequest, sum: &mut i64) -> Result<Vec<Tensor>, ModelError> {
        self.0.execute(request, sum)
    }
}

// Holds S56.
#[tokio::test]
async fn a_server_that_takes_other_ids_gets_no_sequences() {
    let numbered = Numbered(AccumulateWithCorrid::new(DataType::Uint64));
    let numbered = EmbeddedTriton::builder().model(numbered).start().unwrap();
    let servers = [servers(1).remove(0), numbered];
    let mut keys = Keys::open(&endpoint(&servers), 20, &[]).await;
    keys.next_whole(false).await;
    keys.next_whole(true).await;
    assert_eq!(rows(&servers), [40, 0], "text is not what it takes");
    let servers = {
        let [text, numbered] = servers;
        [numbered, text]
    };
    let extra = [("endpoint-refresh", "9 s")];
    let mut keys = Keys::open(&endpoint(&servers), 20, &extra).await;
    keys.next_whole(true).await;
    assert_eq!(rows(&servers), [10, 50], "numbers are taken by both");
}

/// `accumulate`, which keeps 16 sequences.
struct Few;

impl Model for Few {
    type State = i64;

    fn config(&self) -> ModelConfig {
        Accumulate.config().sequence_batching(SequenceBatching {
            max_sequence_idle: Duration::from_secs(5),
            strategy: SequenceStrategy::Oldest {
                max_candidate_sequences: 16,
            },
        })
    }

    fn execute(&self, request: &ModelRequest, sum: &mut i64) -> Result<Vec<Tensor>, ModelError> {
        Accumulate.execute(request, sum)
    }
}

// Holds S65.
#[tokio::test]
async fn a_server_that_was_started_again_is_asked_again_how_many_sequences_it_keeps() {
    let servers = servers(2);
    let first = address(&servers[0]);
    let extra = [
        ("sequence-recovery", "replay"),
        ("endpoint-refresh", "20 ms"),
    ];
    let mut keys = Keys::open(&endpoint(&servers), 8, &extra).await;
    let of_256 = 256 - 32;
    assert_eq!(keys.limit(), 2 * of_256);
    servers[0].stop();
    servers[0].ended().await;
    eventually(|| keys.limit() == of_256, "it is not missed").await;
    let builder = EmbeddedTriton::builder().model(Few).address(first);
    let _server = builder.start().unwrap();
    let of_16 = 16 - 2;
    eventually(|| keys.limit() == of_256 + of_16, "it is not asked").await;
    keys.next_whole(true).await;
}

// Holds S65.
#[tokio::test]
async fn a_subtask_for_which_no_server_has_a_place_does_not_open() {
    let few = || EmbeddedTriton::builder().model(Few).start().unwrap();
    let servers = [few(), few()];
    let mut refused = Vec::new();
    for subtask in 0..40 {
        let options = keyed_options(&endpoint(&servers), Stateful::Accumulate, &[]);
        let function = InferenceFunction::new(options, Stateful::Accumulate.schema()).unwrap();
        let subtask = Subtask::new(subtask, 40, 0).unwrap();
        match function.open(subtask).await {
            Ok(()) => function.close().await.unwrap(),
            Err(error) => refused.push((subtask.index(), error)),
        }
    }
    // Where both have one for the same subtask, another one goes empty.
    assert!((8..=24).contains(&refused.len()), "{refused:?}");
    let (index, error) = &refused[0];
    assert_eq!(error.kind(), ErrorKind::Mismatch);
    let message = error
        .to_string()
        .replace(&format!("subtask {index} "), "subtask N ");
    insta::assert_snapshot!(message, @"subtask N of 40, attempt 0: the 2 servers of 'endpoint' have no place for a sequence of this subtask, because model 'accumulate' keeps too few of them at once: use fewer subtasks, or raise its max_candidate_sequences");
}

// Holds F84.
#[tokio::test]
async fn rows_that_wait_for_a_connection_go_elsewhere_where_a_server_is_not_ready_any_more() {
    let start = || {
        let server = EmbeddedTriton::builder().built_in_models();
        server.latency(Duration::from_millis(100)).start().unwrap()
    };
    let servers = [start(), start()];
    let extra = [
        ("connection-pool-max-total", "1"),
        ("max-in-flight", "100"),
        ("endpoint-refresh", "20 ms"),
    ];
    let options = options(&endpoint(&servers), "echo", &extra);
    let function = open(options, echo_schema(), 0, 1).await;
    let numbers: Vec<[Value; 1]> = (0..60).map(|it| [Value::Float(it as f32)]).collect();
    let sent = |server: &EmbeddedTriton| {
        let requests = server.requests().into_iter();
        requests.filter(|it| it.path.ends_with("/infer")).count()
    };
    let unloads = async {
        eventually(|| sent(&servers[0]) > 0, "it is not called").await;
        unload(&servers[0], "echo").await;
    };
    let predictions = numbers.iter().map(|row| function.predict(row));
    let (answers, ()) = tokio::join!(futures_util::future::join_all(predictions), unloads);
    assert!(answers.iter().all(Result::is_ok));
    // Thirty have waited there; it was called by some until somebody had asked.
    assert!(sent(&servers[0]) < 15, "{}", sent(&servers[0]));
    assert!(sent(&servers[1]) > 40);
}
