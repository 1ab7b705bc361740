//! Several servers behind one endpoint: rows are spread over them, and hardly notice what happens to one.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::{BoxFuture, Either, join_all};
use metrics_util::debugging::DebuggingRecorder;
use tokio::time::Instant;
use triton_embedded::{EmbeddedTriton, Fault, FaultScript};
use triton_model_fn::triton_client::{
    Client, ErrorKind as ClientErrorKind, LoadModel, UnloadModel,
};
use triton_model_fn::{
    Error, ErrorKind, InferenceFunction, ModelFunction as _, Prediction, Resolver, ServerWait,
    Subtask, Value,
};

use crate::keyed::{Place, Stateful, keyed_options};
use crate::monitoring::counted;
use crate::{AUTO_INCREMENT, echo_schema, open, options};

pub(crate) fn servers(count: usize) -> Vec<EmbeddedTriton> {
    let server = || EmbeddedTriton::builder().built_in_models().start().unwrap();
    (0..count).map(|_| server()).collect()
}

pub(crate) fn endpoint(servers: &[EmbeddedTriton]) -> String {
    let endpoints: Vec<String> = servers.iter().map(EmbeddedTriton::endpoint).collect();
    endpoints.join(",")
}

pub(crate) fn address(server: &EmbeddedTriton) -> SocketAddr {
    let endpoint = server.endpoint();
    endpoint.trim_start_matches("http://").parse().unwrap()
}

/// How many rows arrived at each server.
pub(crate) fn rows(servers: &[EmbeddedTriton]) -> Vec<usize> {
    servers
        .iter()
        .map(|server| server.requests().len())
        .collect()
}

pub(crate) async fn predict(function: &InferenceFunction, number: f32) {
    let prediction = function.predict(&[Value::Float(number)]).await.unwrap();
    assert_eq!(prediction.row, [Value::Float(number)]);
}

/// The addresses that a name stands for, as the test says.
#[derive(Debug, Default)]
pub(crate) struct Addresses(Mutex<Vec<SocketAddr>>);

impl Addresses {
    pub(crate) fn set(&self, servers: &[&EmbeddedTriton]) {
        *self.0.lock().unwrap() = servers.iter().map(|server| address(server)).collect();
    }
}

impl Resolver for Addresses {
    fn resolve<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        assert_eq!((host, port), ("triton.invalid", 8000));
        let found = self.0.lock().unwrap().clone();
        Box::pin(async move {
            match found.is_empty() {
                true => Err(io::Error::other("no such name")),
                false => Ok(found),
            }
        })
    }
}

// Holds F81.
#[tokio::test]
async fn rows_are_spread_over_all_servers() {
    let servers = servers(3);
    for extra in [&[][..], &AUTO_INCREMENT] {
        let before = rows(&servers);
        let model = if extra.is_empty() {
            "echo"
        } else {
            "accumulate"
        };
        let schema = match extra {
            [] => echo_schema(),
            _ => crate::accumulate_schema(),
        };
        let function = open(options(&endpoint(&servers), model, extra), schema, 0, 1).await;
        let row = match extra {
            [] => [Value::Float(1.0)],
            _ => [Value::Integer(1)],
        };
        for _ in 0..10 {
            let answers = join_all((0..30).map(|_| function.predict(&row))).await;
            assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        }
        for (before, now) in before.iter().zip(rows(&servers)) {
            assert!((60..=140).contains(&(now - before)), "{:?}", rows(&servers));
        }
    }
}

// Holds F82.
#[tokio::test]
async fn a_server_that_is_gone_costs_no_row() {
    let servers = servers(3);
    // A kept connection may break while a row is on its way, which is what the one retry is for; where
    // nobody is there, no retry is needed.
    let extra = [("max-retries", "1"), ("retry-initial-backoff", "1 ms")];
    let function = open(
        options(&endpoint(&servers), "echo", &extra),
        echo_schema(),
        0,
        1,
    )
    .await;
    for number in 0..20 {
        predict(&function, number as f32).await;
    }
    servers[0].stop();
    for number in 0..100 {
        predict(&function, number as f32).await;
    }
    servers[1].stop();
    for number in 0..100 {
        predict(&function, number as f32).await;
    }
    servers[2].stop();
    let error = function.predict(&[Value::Float(1.0)]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Call);
    // The one that was tried last is named.
    let shown = error.client_error().unwrap().to_string();
    assert!(
        servers
            .iter()
            .any(|server| shown.contains(&server.endpoint())),
        "{shown}"
    );
}

// Holds F82.
#[tokio::test]
async fn a_failed_attempt_is_made_again_at_another_server() {
    let unavailable = Fault::Status {
        status: 503,
        text: "not now".to_owned(),
    };
    let bad = EmbeddedTriton::builder()
        .built_in_models()
        .faults(FaultScript::new(0).rate(1.0, unavailable))
        .start()
        .unwrap();
    let servers = [bad, servers(1).remove(0)];
    let extra = [("max-retries", "1"), ("retry-initial-backoff", "1 ms")];
    let function = open(
        options(&endpoint(&servers), "echo", &extra),
        echo_schema(),
        0,
        1,
    )
    .await;
    for number in 0..40 {
        predict(&function, number as f32).await;
    }
    // It was left alone before long.
    let [bad, good] = rows(&servers)[..] else {
        unreachable!()
    };
    assert!((1..=10).contains(&bad) && good == 40, "{bad} {good}");
}

// Holds F84.
#[tokio::test]
async fn a_server_whose_model_is_not_ready_gets_no_rows() {
    let servers = servers(2);
    let admin = Client::new(servers[0].endpoint()).unwrap();
    let name = "echo".parse().unwrap();
    admin
        .unload_model(&name, &UnloadModel::new())
        .await
        .unwrap();
    let extra = [("endpoint-refresh", "50 ms")];
    let function = open(
        options(&endpoint(&servers), "echo", &extra),
        echo_schema(),
        0,
        1,
    )
    .await;
    for number in 0..20 {
        predict(&function, number as f32).await;
    }
    assert_eq!(rows(&servers), [0, 20]);
    admin.load_model(&name, &LoadModel::new()).await.unwrap();
    let begun = Instant::now();
    while rows(&servers)[0] < 5 {
        predict(&function, 1.0).await;
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "it is not noticed"
        );
    }
}

// Holds F85, F86.
#[tokio::test]
async fn a_name_is_looked_up_again_and_rows_follow_it() {
    let servers = servers(3);
    let addresses = Arc::new(Addresses::default());
    let extra = [("endpoint-discovery", "dns"), ("endpoint-refresh", "50 ms")];
    let options = options("http://user:canary@triton.invalid:8000", "echo", &extra);
    let resolver: Arc<dyn Resolver> = Arc::<Addresses>::clone(&addresses);
    let function = InferenceFunction::new(options, echo_schema())
        .unwrap()
        .resolving_by(resolver);
    let error = function
        .open(Subtask::new(0, 1, 0).unwrap())
        .await
        .unwrap_err();
    insta::assert_snapshot!(error, @"subtask 0 of 1, attempt 0: the servers of http://triton.invalid:8000/ could not be looked up ('endpoint-discovery' = 'dns'): no such name");
    addresses.set(&[&servers[0], &servers[1]]);
    function.open(Subtask::new(0, 1, 0).unwrap()).await.unwrap();
    for number in 0..20 {
        predict(&function, number as f32).await;
    }
    let seen = rows(&servers);
    assert!(seen[0] > 0 && seen[1] > 0 && seen[2] == 0, "{seen:?}");
    let request = &servers[0].requests()[0];
    assert_eq!(request.header("host"), Some("triton.invalid:8000"));
    addresses.set(&[&servers[1], &servers[2]]);
    let begun = Instant::now();
    while rows(&servers)[2] == 0 {
        predict(&function, 1.0).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "it is not noticed"
        );
    }
    let first = rows(&servers)[0];
    for number in 0..20 {
        predict(&function, number as f32).await;
    }
    assert_eq!(rows(&servers)[0], first, "it drains");
    // A name that cannot be looked up leaves everything as it is.
    addresses.set(&[]);
    tokio::time::sleep(Duration::from_millis(200)).await;
    for number in 0..20 {
        predict(&function, number as f32).await;
    }
    for server in &servers {
        server.stop();
    }
    // A connection that was kept breaks first.
    let error = loop {
        let error = function.predict(&[Value::Float(1.0)]).await.unwrap_err();
        if error.client_error().unwrap().kind() == ClientErrorKind::Connect {
            break error;
        }
    };
    let mut shown = error.client_error().unwrap().to_string();
    for server in &servers {
        shown = shown.replace(&address(server).to_string(), "REPLICA");
    }
    insta::assert_snapshot!(shown, @"infer with model 'echo' at http://triton.invalid:8000/ (REPLICA): no connection could be made; is the server running there?");
}

// Holds F87.
#[tokio::test]
async fn only_where_all_servers_are_away_rows_wait() {
    let servers = servers(2);
    let wait = ServerWait::new(Duration::from_secs(60));
    // For a connection that was kept and breaks while a row is on its way.
    let extra = [("max-retries", "3"), ("retry-initial-backoff", "1 ms")];
    let function =
        InferenceFunction::new(options(&endpoint(&servers), "echo", &extra), echo_schema())
            .unwrap()
            .waiting_for_server(&wait);
    function.open(Subtask::new(0, 1, 0).unwrap()).await.unwrap();
    predict(&function, 1.0).await;
    let second = address(&servers[1]);
    servers[0].stop();
    for number in 0..20 {
        predict(&function, number as f32).await;
        assert!(wait.away().is_none());
    }
    servers[1].stop();
    servers[1].ended().await;
    let waiting = function.predict(&[Value::Float(7.0)]);
    let mut waiting = std::pin::pin!(waiting);
    let away = async {
        while wait.away().is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        answer = &mut waiting => panic!("it does not wait: {answer:?}"),
        () = away => {}
    }
    let builder = EmbeddedTriton::builder().built_in_models().address(second);
    let _server = builder.start().unwrap();
    assert_eq!(waiting.await.unwrap().row, [Value::Float(7.0)]);
}

// Holds F88.
#[tokio::test]
async fn each_server_has_numbers_and_a_breaker_of_its_own() {
    let recorder = DebuggingRecorder::new();
    let snapshots = recorder.snapshotter();
    let guard = metrics::set_default_local_recorder(&recorder);
    let refused = Fault::Status {
        status: 500,
        text: "out of order".to_owned(),
    };
    let bad = EmbeddedTriton::builder()
        .built_in_models()
        .faults(FaultScript::new(0).rate(1.0, refused))
        .start()
        .unwrap();
    let servers = [bad, servers(1).remove(0)];
    let extra = [
        ("circuit-breaker-enabled", "true"),
        ("circuit-breaker-failure-threshold", "0.1"),
        // What is shown stands still.
        ("endpoint-refresh", "1 h"),
    ];
    let function = open(
        options(&endpoint(&servers), "echo", &extra),
        echo_schema(),
        0,
        1,
    )
    .await;
    let mut failed = 0;
    for number in 0..100 {
        let answer = function.predict(&[Value::Float(number as f32)]).await;
        failed += usize::from(answer.is_err());
    }
    assert!((1..=12).contains(&failed), "{failed}");
    let mut shown = counted(&snapshots, "triton_replica_");
    for (server, name) in servers.iter().zip(["BAD", "GOOD"]) {
        shown = shown.replace(&server.endpoint(), name);
    }
    drop(guard);
    let shown = shown.replace(
        &format!("replica=BAD/,result=failed}} {failed}"),
        "replica=BAD/,result=failed} FAILED",
    );
    let shown = shown.replace(&(100 - failed).to_string(), "ANSWERED");
    let mut lines: Vec<&str> = shown.lines().collect();
    lines.sort_unstable();
    let shown = lines.join("\n");
    insta::assert_snapshot!(shown, @"
    triton_replica_attempt_seconds{model=echo,replica=BAD/} 0 values
    triton_replica_attempt_seconds{model=echo,replica=GOOD/} ANSWERED values
    triton_replica_attempts_total{model=echo,replica=BAD/,result=answered} 0
    triton_replica_attempts_total{model=echo,replica=BAD/,result=failed} FAILED
    triton_replica_attempts_total{model=echo,replica=BAD/,result=not_reached} 0
    triton_replica_attempts_total{model=echo,replica=BAD/,result=refused} 0
    triton_replica_attempts_total{model=echo,replica=BAD/,result=unknown} 0
    triton_replica_attempts_total{model=echo,replica=GOOD/,result=answered} ANSWERED
    triton_replica_attempts_total{model=echo,replica=GOOD/,result=failed} 0
    triton_replica_attempts_total{model=echo,replica=GOOD/,result=not_reached} 0
    triton_replica_attempts_total{model=echo,replica=GOOD/,result=refused} 0
    triton_replica_attempts_total{model=echo,replica=GOOD/,result=unknown} 0
    triton_replica_in_flight{model=echo,replica=BAD/} 0
    triton_replica_in_flight{model=echo,replica=GOOD/} 0
    triton_replica_state{model=echo,replica=BAD/} 3
    triton_replica_state{model=echo,replica=GOOD/} 1
    ");
}

/// Sequences of many keys, and what the model must answer to their rows.
pub(crate) struct Keys {
    function: InferenceFunction,
    keys: u32,
    rows: u32,
}

impl Keys {
    const MODEL: Stateful = Stateful::Accumulate;

    pub(crate) async fn open(endpoint: &str, keys: u32, extra: &[(&str, &str)]) -> Self {
        Self::open_in(endpoint, keys, extra, 0, 1).await
    }

    pub(crate) async fn open_in(
        endpoint: &str,
        keys: u32,
        extra: &[(&str, &str)],
        subtask: u32,
        parallelism: u32,
    ) -> Self {
        let options = keyed_options(endpoint, Self::MODEL, extra);
        let function = open(options, Self::MODEL.schema(), subtask, parallelism).await;
        Self {
            function,
            keys,
            rows: 0,
        }
    }

    /// How many sequences may be open at once.
    pub(crate) fn limit(&self) -> usize {
        self.function.sequence_places().unwrap().limit.unwrap()
    }

    /// How many places are held for sequences that are over here.
    pub(crate) fn held(&self) -> usize {
        self.function.sequence_places().unwrap().held
    }

    /// With servers that a name stands for.
    pub(crate) async fn open_named(
        addresses: &Arc<Addresses>,
        keys: u32,
        extra: &[(&str, &str)],
    ) -> Self {
        let named = [("endpoint-discovery", "dns")];
        let extra: Vec<_> = named.iter().chain(extra).copied().collect();
        let options = keyed_options("http://triton.invalid:8000", Self::MODEL, &extra);
        let resolver: Arc<dyn Resolver> = Arc::<Addresses>::clone(addresses);
        let function = InferenceFunction::new(options, Self::MODEL.schema())
            .unwrap()
            .resolving_by(resolver);
        function.open(Subtask::new(0, 1, 0).unwrap()).await.unwrap();
        Self {
            function,
            keys,
            rows: 0,
        }
    }

    pub(crate) async fn close(&self) {
        self.function.close().await.unwrap();
    }

    /// The next row of each key, all at once, as the last one where `last` says so.
    pub(crate) async fn next(&mut self, last: bool) -> Vec<Result<Prediction, Error>> {
        let row = self.rows;
        self.rows += 1;
        let rows = (0..self.keys).map(|key| {
            let row = Self::MODEL.row(Place { key, row });
            match last {
                true => Either::Left(self.function.submit_last(&row)),
                false => Either::Right(self.function.submit(&row)),
            }
        });
        join_all(rows.collect::<Vec<_>>()).await
    }

    /// As [`next`](Self::next), where each answer is that of all rows so far, and none is marked.
    pub(crate) async fn next_whole(&mut self, last: bool) {
        let rows = self.rows + 1;
        for (key, answer) in (0..).zip(self.next(last).await) {
            let answer = answer.unwrap();
            let number = |row| Self::MODEL.number(Place { key, row });
            let numbers: Vec<i32> = (0..rows).map(number).collect();
            let expected = Self::MODEL.reference(&numbers);
            assert_eq!(
                Self::MODEL.answer(&answer),
                expected,
                "key {key}, {rows} rows"
            );
            assert_eq!(answer.row[2], Value::Boolean(false));
        }
    }
}

/// Which sequences were begun at each server.
fn begun(servers: &[EmbeddedTriton]) -> Vec<Vec<String>> {
    let of_server = |server: &EmbeddedTriton| {
        let requests = server.requests().into_iter();
        let starts = requests.filter(|request| request.sequence_start && request.executed);
        starts
            .map(|request| format!("{:?}", request.sequence_id))
            .collect()
    };
    servers.iter().map(of_server).collect()
}

const REPLAY: [(&str, &str); 2] = [("sequence-recovery", "replay"), ("max-retries", "3")];

// Holds S65, S68.
#[tokio::test]
async fn a_sequence_stays_with_the_server_that_it_was_given_to() {
    let servers = servers(3);
    let mut keys = Keys::open(&endpoint(&servers), 60, &[]).await;
    for row in 0..5 {
        keys.next_whole(row == 4).await;
    }
    let counts: Vec<usize> = begun(&servers).iter().map(Vec::len).collect();
    assert_eq!(counts, [20, 20, 20]);
    assert_eq!(rows(&servers), [100, 100, 100]);
}

// Holds S69.
#[tokio::test]
async fn sequences_of_a_server_that_is_gone_are_rebuilt_at_others() {
    let servers = servers(3);
    let mut keys = Keys::open(&endpoint(&servers), 30, &REPLAY).await;
    for _ in 0..3 {
        keys.next_whole(false).await;
    }
    servers[1].stop();
    for row in 0..3 {
        keys.next_whole(row == 2).await;
    }
    let counts: Vec<usize> = begun(&servers).iter().map(Vec::len).collect();
    assert_eq!(counts.iter().sum::<usize>(), 40, "{counts:?}");
    // No ID was ever begun twice.
    let mut ids = begun(&servers).concat();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 40);
}

// Holds S70.
#[tokio::test]
async fn without_a_replay_the_rows_of_a_lost_server_say_so() {
    for (recovery, marked) in [("restart", true), ("fail", false)] {
        let servers = servers(2);
        let extra = [
            ("sequence-recovery", recovery),
            ("endpoint-refresh", "50 ms"),
        ];
        let mut keys = Keys::open(&endpoint(&servers), 10, &extra).await;
        keys.next_whole(false).await;
        servers[0].stop();
        let begun = Instant::now();
        let mut lost = 0;
        // Until it is known that nobody is there, rows fail and leave their sequence as it is.
        while lost < 5 {
            for answer in keys.next(false).await {
                lost += match answer {
                    Ok(answer) => usize::from(answer.sequence_restarted),
                    Err(error) if marked => {
                        assert_ne!(error.kind(), ErrorKind::SequenceLost, "{error}");
                        0
                    }
                    Err(_) => 0,
                };
            }
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "{recovery}: {lost}"
            );
        }
    }
}

// Holds S66.
#[tokio::test]
async fn sequences_stay_with_a_server_that_drains_until_the_time_is_over() {
    let servers = servers(3);
    let addresses = Arc::new(Addresses::default());
    addresses.set(&[&servers[0], &servers[1]]);
    let extra = [
        ("endpoint-discovery", "dns"),
        ("endpoint-refresh", "50 ms"),
        ("endpoint-drain", "3 s"),
        REPLAY[0],
        REPLAY[1],
    ];
    let endpoint = "http://triton.invalid:8000";
    let options = keyed_options(endpoint, Keys::MODEL, &extra);
    let resolver: Arc<dyn Resolver> = Arc::<Addresses>::clone(&addresses);
    let function = InferenceFunction::new(options, Keys::MODEL.schema())
        .unwrap()
        .resolving_by(resolver);
    function.open(Subtask::new(0, 1, 0).unwrap()).await.unwrap();
    let mut keys = Keys {
        function,
        keys: 20,
        rows: 0,
    };
    keys.next_whole(false).await;
    addresses.set(&[&servers[1], &servers[2]]);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let before = rows(&servers);
    keys.next_whole(false).await;
    let drains = rows(&servers);
    assert_eq!(drains[0], before[0] + 10, "they stay");
    let begun = Instant::now();
    loop {
        let before = rows(&servers)[0];
        keys.next_whole(false).await;
        if rows(&servers)[0] == before {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "they never move");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    keys.next_whole(true).await;
    assert!(rows(&servers)[2] > 0);
}

// Holds S67.
#[tokio::test]
async fn a_key_goes_where_its_hash_says_in_every_function() {
    let servers = servers(3);
    let extra = [("sequence-affinity", "hash")];
    let mut first = Keys::open(&endpoint(&servers), 30, &extra).await;
    first.next_whole(true).await;
    let values = |servers: &[EmbeddedTriton], from: &[usize]| -> Vec<Vec<String>> {
        let each = servers.iter().zip(from);
        let values = each.map(|(server, from)| {
            let requests = server.requests();
            let mut bodies: Vec<String> = requests[*from..]
                .iter()
                .map(|request| format!("{:?}", &request.body[request.body.len() - 4..]))
                .collect();
            bodies.sort();
            bodies
        });
        values.collect()
    };
    let there = values(&servers, &[0, 0, 0]);
    assert!(there.iter().all(|keys| !keys.is_empty()), "{there:?}");
    let from = rows(&servers);
    let mut second = Keys::open(&endpoint(&servers), 30, &extra).await;
    second.next_whole(true).await;
    assert_eq!(values(&servers, &from), there);
}

// Holds S71.
#[tokio::test]
async fn a_static_sequence_has_one_server_and_its_next_one_another() {
    let servers = servers(2);
    let id = [("sequence-id", "7")];
    let endpoint = endpoint(&servers);
    let function = open(
        options(&endpoint, "accumulate", &id),
        crate::accumulate_schema(),
        0,
        1,
    )
    .await;
    for number in 1..=5 {
        let answer = function.predict(&[Value::Integer(1)]).await.unwrap();
        assert_eq!(answer.row[0], Value::Integer(number));
    }
    let seen = rows(&servers);
    assert!(seen == [5, 0] || seen == [0, 5], "{seen:?}");
    servers[usize::from(seen[0] == 0)].stop();
    let begun = Instant::now();
    loop {
        // The first ones fail, because the sequence is lost.
        if let Ok(answer) = function.predict(&[Value::Integer(1)]).await {
            assert_eq!(answer.row[0], Value::Integer(1));
            assert!(answer.sequence_restarted);
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(60));
    }
    let elsewhere = [("sequence-id", "7"), ("sequence-start", "false")];
    let elsewhere = options(&endpoint, "accumulate", &elsewhere);
    let function = InferenceFunction::new(elsewhere, crate::accumulate_schema()).unwrap();
    let error = function.open(Subtask::new(0, 1, 0).unwrap()).await;
    let shown = error
        .unwrap_err()
        .to_string()
        .replace(&endpoint.replace(',', "/,"), "A,B");
    insta::assert_snapshot!(shown, @"subtask 0 of 1, attempt 0: 'sequence-start' is false, so the sequence '7' was begun elsewhere, and 'endpoint' (A,B/) stands for several servers, of which one has it: name that one");
}
