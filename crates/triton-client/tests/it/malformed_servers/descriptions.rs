//! Answers of few bytes and many values: what is read of them takes many times their text.

use std::future::Future;
use std::io::Write as _;
use std::pin::Pin;
use std::time::Duration;

use triton_client::{
    Client, CudaRegion, Error, ErrorKind, GenerateRequest, IndexFilter, LoadModel,
    LogSettingsUpdate, ModelId, ModelName, SystemRegion, TraceSettingsUpdate, UnloadModel,
};

use super::bodies::many;
use super::{ALONE, LIMIT, MOST_MEMORY, Peak, answer, client, one_line, passes_alone};
use crate::raw_server::RawServer;

type Outcome<'a> = Pin<Box<dyn Future<Output = Result<(), Error>> + 'a>>;

/// A call, and what it asks.
type Ask = (&'static str, fn(&Client) -> Outcome<'_>);

fn model() -> ModelId {
    ModelId::latest(name())
}

fn name() -> ModelName {
    "m".parse().unwrap()
}

/// What a call gives is not looked at, only what it takes.
macro_rules! calls {
    ($($call:ident($($argument:expr),*)),* $(,)?) => {
        vec![$((stringify!($call), |client| {
            Box::pin(async move { client.$call($($argument),*).await.map(drop) })
        })),*]
    };
}

/// Every call that is answered with JSON, or with anything that is not looked at.
fn calls() -> Vec<Ask> {
    calls![
        live(),
        ready(),
        model_ready(&model()),
        server_metadata(),
        model_metadata(&model()),
        model_config(&model()),
        model_config_with_steps(&model()),
        describe_model(&model()),
        statistics(None),
        statistics(Some(&model())),
        repository_index(IndexFilter::All),
        load_model(&name(), &LoadModel::new()),
        unload_model(&name(), &UnloadModel::new()),
        trace_settings(None),
        update_trace_settings(None, &TraceSettingsUpdate::new()),
        log_settings(),
        update_log_settings(&LogSettingsUpdate::new()),
        system_shared_memory(None),
        register_system_shared_memory(
            "m",
            &SystemRegion {
                key: "/m".to_owned(),
                offset: 0,
                byte_size: 1
            }
        ),
        unregister_system_shared_memory(None),
        cuda_shared_memory(None),
        register_cuda_shared_memory(
            "m",
            &CudaRegion {
                raw_handle: vec![0; 64],
                device_id: 0,
                byte_size: 1
            }
        ),
        unregister_cuda_shared_memory(None),
        generate(&GenerateRequest::new(model())),
        first_of_a_stream(),
    ]
}

/// As the calls of a client are.
trait FirstOfAStream {
    async fn first_of_a_stream(&self) -> Result<(), Error>;
}

impl FirstOfAStream for Client {
    async fn first_of_a_stream(&self) -> Result<(), Error> {
        let request = GenerateRequest::new(model());
        let mut stream = self.generate_stream(&request).await?;
        stream.next().await.unwrap().map(drop)
    }
}

/// Answers in which a list stands where some call reads one, and where none does.
fn answers() -> Vec<(ErrorKind, String)> {
    let documents = [
        r#"{"name":"m","parameters":LIST}"#,
        r#"{"name":"m","versions":LIST,"inputs":[],"outputs":[]}"#,
        r#"{"name":"m","version":"1","extensions":LIST}"#,
        r#"{"name":"m","inputs":[{"name":"x","datatype":"INT8","shape":LIST}]}"#,
        r#"{"model_stats":[{"name":"m","memory_usage":LIST}]}"#,
        r#"{"model_stats":[{"name":"m","batch_stats":LIST}]}"#,
        r#"{"model_stats":LIST}"#,
        r#"{"trace_level":LIST}"#,
        "LIST",
    ];
    let mut answers = Vec::new();
    for value in ["[]", "{}", "0", r#""""#, r#"[""]"#, r#"{"":0}"#] {
        let list = many(value);
        for document in documents {
            let document = document.replace("LIST", &list);
            answers.push((ErrorKind::ResponseTooLarge, document));
        }
        let refusal = format!(r#"{{"error":{list}}}"#);
        answers.push((ErrorKind::Rejected, refusal));
    }
    answers
}

/// A server that answers so, whatever it is asked.
fn answering(status: &'static str, document: String) -> RawServer {
    RawServer::answering_each(move |connection, path| {
        // What a stream has before and behind each of its events.
        let (before, after) = match path.ends_with("/generate_stream") {
            true => ("data: ", "\n\n"),
            false => ("", ""),
        };
        let length = before.len() + document.len() + after.len();
        let head =
            format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
        for part in [&head, before, &document, after] {
            let _ = connection.write_all(part.as_bytes());
        }
    })
}

#[tokio::test]
async fn every_call_refuses_what_would_take_more_memory_than_it_may() {
    let is_alone = std::env::var_os(ALONE).is_some();
    let mut problems = Vec::new();
    let mut most = 0;
    // All of them are asked for where memory is measured.
    let step = if is_alone { 1 } else { 7 };
    for (expected, document) in answers().into_iter().step_by(step) {
        assert!(document.len() <= LIMIT);
        let shown: String = document.chars().take(70).collect();
        let status = match expected {
            ErrorKind::Rejected => "400 Bad Request",
            _ => "200 OK",
        };
        let server = answering(status, document);
        let client = client(&server.endpoint).with_timeout(Duration::from_secs(20));
        for (call, ask) in calls() {
            let peak = is_alone.then(Peak::from_now);
            let outcome = ask(&client).await;
            let grown = peak.map_or(0, |peak| peak.grown());
            most = most.max(grown);
            if grown > MOST_MEMORY {
                problems.push(format!("{call} {shown}: took {grown} bytes"));
            }
            // Whoever looks at nothing but the status may be content.
            if let Err(error) = outcome
                && error.kind() != expected
            {
                problems.push(format!("{call} {shown}: {}", one_line(&error)));
            }
        }
    }
    println!("at most {most} bytes");
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn no_call_takes_more_memory_than_the_limit_allows() {
    passes_alone(
        "malformed_servers::descriptions::every_call_refuses_what_would_take_more_memory_than_it_may",
    );
}

/// A client with the limits that hold unless set.
fn usual(endpoint: &str) -> Client {
    Client::new(endpoint).unwrap()
}

fn words(error: &Error, server: &RawServer) -> String {
    assert_eq!(error.kind(), ErrorKind::ResponseTooLarge);
    assert_eq!(error.status(), Some(200));
    error.to_string().replace(&server.endpoint, "http://server")
}

#[tokio::test]
async fn a_description_has_a_limit_of_its_own() {
    // More is promised than is allowed; none of it has to come.
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
        (16 << 20) + 1
    );
    let server = RawServer::answering(head);
    let error = usual(&server.endpoint)
        .model_config(&model())
        .await
        .unwrap_err();
    insta::assert_snapshot!(words(&error, &server), @"read configuration of model 'm' at http://server/: status 200: the answer is larger than the limit of 16777216 bytes for descriptions: expected what a server tells of itself or of models, which is smaller, and no option raises this limit");
    let error = client(&server.endpoint)
        .model_config(&model())
        .await
        .unwrap_err();
    insta::assert_snapshot!(words(&error, &server), @"read configuration of model 'm' at http://server/: status 200: the answer is larger than the limit of 1048576 bytes");
    // What a model computes may be as large as the client allows.
    let generate = GenerateRequest::new(model());
    let error = usual(&server.endpoint)
        .generate(&generate)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    // Within it, values count by what they take.
    let objects = vec![r#"{"":0}"#; 1 << 20].join(",");
    let server = RawServer::start(answer("", format!(r#"{{"name":"m","more":[{objects}]}}"#)));
    let error = usual(&server.endpoint)
        .model_config(&model())
        .await
        .unwrap_err();
    insta::assert_snapshot!(words(&error, &server), @"read configuration of model 'm' at http://server/: status 200: expected JSON that takes at most 268435456 bytes of memory once it is read, found more values in the 7340053 bytes of the answer");
}

/// Many times those of the largest servers there are.
#[tokio::test]
async fn the_statistics_of_five_thousand_models_are_read() {
    let tally = r#"{"count":123456,"ns":123456789012}"#;
    let outcomes = [
        "success",
        "fail",
        "queue",
        "compute_input",
        "compute_infer",
        "compute_output",
    ];
    let outcomes = outcomes
        .map(|name| format!(r#""{name}":{tally}"#))
        .join(",");
    let batch = format!(
        r#"{{"batch_size":8,"compute_input":{tally},"compute_infer":{tally},"compute_output":{tally}}}"#
    );
    let models: Vec<_> = (0..5000)
        .map(|index| {
            format!(
                r#"{{"name":"model-{index}","version":"1","last_inference":1764230000000,"inference_count":123456,"execution_count":123456,"inference_stats":{{{outcomes},"cache_hit":{tally},"cache_miss":{tally}}},"response_stats":{{}},"batch_stats":[{batch},{batch}],"memory_usage":[]}}"#
            )
        })
        .collect();
    let body = format!(r#"{{"model_stats":[{}]}}"#, models.join(","));
    let server = RawServer::start(answer("", body));
    assert_eq!(
        usual(&server.endpoint)
            .statistics(None)
            .await
            .unwrap()
            .len(),
        5000
    );
}

/// Each step's configuration is within the limit, and an ensemble may have hundreds of them.
#[tokio::test]
async fn the_steps_of_an_ensemble_share_what_they_may_take() {
    let server = RawServer::answering_each(|connection, path| {
        let next = path.split('/').nth(3).unwrap().len() + 1;
        let next = "m".repeat(next);
        let lists = vec!["[]"; 2000].join(",");
        let body = format!(
            r#"{{"name":"m","more":[{lists}],"ensemble_scheduling":{{"step":[{{"model_name":"{next}"}}]}}}}"#
        );
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        let _ = connection.write_all((head + &body).as_bytes());
    });
    let client = client(&server.endpoint);
    let error = client.model_config_with_steps(&model()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ResponseTooLarge);
    // The model and two of its steps fit.
    assert_eq!(server.requests(), 4);
}
