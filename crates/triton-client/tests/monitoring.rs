//! What monitoring sees: one span for each call, and counts under documented names.
//!
//! It is a program of its own because `tracing` remembers for the whole process which spans nobody
//! wanted, and the calls of other tests want none.

#![cfg(feature = "metrics")]
#![expect(
    clippy::unwrap_used,
    reason = "a test ends where something unexpected comes"
)]

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use metrics::{
    Counter, CounterFn, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use triton_client::{Client, InferRequest, ModelId, Sequence, SequenceId, Tensor};

/// What was recorded, by name and labels.
type Values = Arc<Mutex<BTreeMap<String, u64>>>;

#[derive(Clone, Default)]
struct Metrics(Values);

struct Metric(Values, String);

impl Metric {
    fn add(&self, value: u64) {
        *self.0.lock().unwrap().entry(self.1.clone()).or_default() += value;
    }
}

impl CounterFn for Metric {
    fn increment(&self, value: u64) {
        self.add(value);
    }

    fn absolute(&self, _: u64) {
        panic!("counters only grow");
    }
}

impl HistogramFn for Metric {
    fn record(&self, _: f64) {
        self.add(1);
    }
}

fn named(key: &Key) -> String {
    let labels: Vec<_> = key
        .labels()
        .map(|label| format!("{}={}", label.key(), label.value()))
        .collect();
    format!("{}{{{}}}", key.name(), labels.join(","))
}

impl Recorder for Metrics {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(Arc::new(Metric(self.0.clone(), named(key))))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        panic!("there are no gauges")
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(Arc::new(Metric(self.0.clone(), named(key))))
    }
}

/// The fields of every span of the client's.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<Vec<BTreeMap<&'static str, String>>>>);

struct Fields<'a>(&'a mut BTreeMap<&'static str, String>);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}

impl Subscriber for Spans {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.is_span() && metadata.name() == "triton_call"
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let mut fields = BTreeMap::new();
        attributes.record(&mut Fields(&mut fields));
        let mut spans = self.0.lock().unwrap();
        spans.push(fields);
        Id::from_u64(spans.len() as u64)
    }

    fn record(&self, id: &Id, record: &Record<'_>) {
        let index = usize::try_from(id.into_u64()).unwrap() - 1;
        record.record(&mut Fields(&mut self.0.lock().unwrap()[index]));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[test]
fn every_call_is_one_span_and_is_counted() {
    let (metrics, spans) = (Metrics::default(), Spans::default());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let server = triton_test_support::EmbeddedTriton::start().unwrap();
    tracing::subscriber::with_default(spans.clone(), || {
        metrics::with_local_recorder(&metrics, || {
            runtime.block_on(calls(&server.endpoint()));
        });
    });

    let values = metrics.0.lock().unwrap();
    let count = |name: &str| values.get(name).copied().unwrap_or_default();
    assert_eq!(
        count("triton_client_calls_total{operation=infer,outcome=ok}"),
        1
    );
    assert_eq!(
        count("triton_client_calls_total{operation=infer,outcome=not_found}"),
        1
    );
    assert_eq!(
        count("triton_client_calls_total{operation=infer,outcome=cancelled}"),
        1
    );
    assert_eq!(
        count("triton_client_call_duration_seconds{operation=infer,outcome=ok}"),
        1
    );
    assert!(count("triton_client_request_bytes_total{operation=infer}") > 100);
    assert!(count("triton_client_response_bytes_total{operation=infer}") > 100);

    let spans = spans.0.lock().unwrap();
    let inferences: Vec<_> = spans
        .iter()
        .filter(|span| span["operation"] == "\"infer\"")
        .collect();
    assert_eq!(inferences.len(), 3);
    let first = inferences[0];
    assert_eq!(
        (first["model"].as_str(), first["version"].as_str()),
        ("\"accumulate\"", "1")
    );
    assert_eq!(
        (first["sequence_id"].as_str(), first["status"].as_str()),
        ("call-7", "200")
    );
    assert!(first["bytes_out"].parse::<usize>().unwrap() > 100);
    assert!(first["bytes_in"].parse::<usize>().unwrap() > 100);
    let second = inferences[1];
    assert_eq!(
        (second["status"].as_str(), second["error"].as_str()),
        ("404", "\"not_found\"")
    );
    assert!(!format!("{spans:?} {values:?}").contains("canary"));
}

async fn calls(endpoint: &str) {
    let endpoint = endpoint.replace("http://", "http://canary:canary@");
    let client = Client::new(endpoint).unwrap();
    let request = |name: &str| {
        let model = ModelId::new(name.parse().unwrap(), "1".parse().unwrap());
        InferRequest::new(model)
            .input(Tensor::from_slice("value", [1, 1], &[1]).unwrap())
            .sequence(Sequence {
                id: SequenceId::text("call-7").unwrap(),
                start: true,
                end: true,
            })
    };
    client.infer(&request("accumulate")).await.unwrap();
    client.infer(&request("nobody")).await.unwrap_err();
    let dropped = request("accumulate");
    let mut call = Box::pin(client.infer(&dropped));
    // Polled once, it has begun; then it is given up.
    std::future::poll_fn(|task| {
        assert!(call.as_mut().poll(task).is_pending());
        std::task::Poll::Ready(())
    })
    .await;
}
