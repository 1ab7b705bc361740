//! The trace of OpenTelemetry's current span, as the server is told it.

use std::io::Write as _;
use std::sync::{Arc, Mutex};

use opentelemetry::trace::{TraceContextExt as _, Tracer as _, TracerProvider as _};
use opentelemetry::{Context, trace::FutureExt as _};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
use tracing::Instrument as _;
use tracing::instrument::WithSubscriber as _;
use tracing_subscriber::layer::SubscriberExt as _;
use triton_client::{Client, TraceContext};

use crate::raw_server::RawServer;

/// A client whose requests bear the trace, and the `traceparent` of those that have come.
fn client() -> (Client, Arc<Mutex<Vec<Option<String>>>>) {
    let parents = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&parents);
    let server = RawServer::reading(move |request, connection| {
        let request = String::from_utf8_lossy(request).to_lowercase();
        let parent = request
            .lines()
            .find_map(|line| line.strip_prefix("traceparent: "));
        seen.lock().unwrap().push(parent.map(str::to_owned));
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        let _ = connection.write_all(answer);
    });
    let client = Client::builder(&server.endpoint)
        .header_provider(TraceContext)
        .build()
        .unwrap();
    (client, parents)
}

#[tokio::test]
async fn a_span_of_opentelemetry_is_the_parent() {
    let (client, parents) = client();
    client.live().await.unwrap();
    let tracer = SdkTracerProvider::builder().build().tracer("test");
    let context = Context::current_with_span(tracer.start("work"));
    let span = context.span().span_context().clone();
    client.live().with_context(context).await.unwrap();
    let expected = format!("00-{}-{}-01", span.trace_id(), span.span_id());
    assert_eq!(*parents.lock().unwrap(), [None, Some(expected)]);
}

#[tokio::test]
async fn a_span_of_tracing_is_the_parent_by_way_of_its_layer() {
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder()
        .with_simple_exporter(exporter.clone())
        .build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    let subscriber = tracing_subscriber::registry().with(layer);
    let (client, parents) = client();
    let work = async {
        let call = client.live().instrument(tracing::info_span!("work"));
        call.await.unwrap();
    };
    work.with_subscriber(subscriber).await;
    let spans = exporter.get_finished_spans().unwrap();
    let span = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
    let (call, work) = (span("triton_call"), span("work"));
    assert_eq!(call.parent_span_id, work.span_context.span_id());
    let expected = format!(
        "00-{}-{}-01",
        work.span_context.trace_id(),
        call.span_context.span_id()
    );
    assert_eq!(*parents.lock().unwrap(), [Some(expected)]);
}
