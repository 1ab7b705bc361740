//! Several servers behind one endpoint: rows are spread over them, and hardly notice what happens to one.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use metrics_util::debugging::DebuggingRecorder;
use tokio::time::Instant;
use triton_embedded::{EmbeddedTriton, Fault, FaultScript};
use triton_model_fn::triton_client::{
    Client, ErrorKind as ClientErrorKind, LoadModel, UnloadModel,
};
use triton_model_fn::{
    ErrorKind, InferenceFunction, ModelFunction as _, Resolver, ServerWait, Subtask, Value,
};

use crate::monitoring::counted;
use crate::{AUTO_INCREMENT, echo_schema, open, options};

fn servers(count: usize) -> Vec<EmbeddedTriton> {
    let server = || EmbeddedTriton::builder().built_in_models().start().unwrap();
    (0..count).map(|_| server()).collect()
}

fn endpoint(servers: &[EmbeddedTriton]) -> String {
    let endpoints: Vec<String> = servers.iter().map(EmbeddedTriton::endpoint).collect();
    endpoints.join(",")
}

fn address(server: &EmbeddedTriton) -> SocketAddr {
    let endpoint = server.endpoint();
    endpoint.trim_start_matches("http://").parse().unwrap()
}

/// How many rows arrived at each server.
fn rows(servers: &[EmbeddedTriton]) -> Vec<usize> {
    servers
        .iter()
        .map(|server| server.requests().len())
        .collect()
}

async fn predict(function: &InferenceFunction, number: f32) {
    let prediction = function.predict(&[Value::Float(number)]).await.unwrap();
    assert_eq!(prediction.row, [Value::Float(number)]);
}

/// The addresses that a name stands for, as the test says.
#[derive(Debug, Default)]
struct Addresses(Mutex<Vec<SocketAddr>>);

impl Addresses {
    fn set(&self, servers: &[&EmbeddedTriton]) {
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
    let function = InferenceFunction::new(options(&endpoint(&servers), "echo", &[]), echo_schema())
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

#[tokio::test]
async fn sequences_that_last_are_refused_where_there_are_several_servers() {
    let key = [
        ("sequence-id", "job"),
        ("sequence-id-auto-increment", "true"),
        ("sequence-key", "value"),
    ];
    let refused = |extra: &[(&str, &str)]| {
        let options = options("http://user:canary@a:8000,b:8000", "accumulate", extra);
        InferenceFunction::new(options, crate::accumulate_schema()).unwrap_err()
    };
    insta::assert_snapshot!(refused(&key), @"option 'sequence-key' makes sequences that last for several rows, and 'endpoint' (http://a:8000/,http://b:8000/) stands for several servers, of which each would have a part of their state: name one server");
    insta::assert_snapshot!(refused(&[("sequence-id", "7")]), @"option 'sequence-id' makes sequences that last for several rows, and 'endpoint' (http://a:8000/,http://b:8000/) stands for several servers, of which each would have a part of their state: name one server");
}
