//! The page from which Prometheus takes the metrics of a running command.
//!
//! The exporter has a listener too, but one that speaks HTTP/2 as well, and more code comes with
//! that than with the whole page. The server here is the other half of the client's HTTP/1.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::anyhow;
use http::{HeaderValue, Request, Response, header};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tokio::runtime::{self, Runtime};

use crate::failure::Failure;

/// The upper bounds of histograms of seconds: a fast local model is answered in a tenth of a
/// millisecond, a large one in half a minute.
const SECONDS: [f64; 16] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    10.0, 30.0,
];

/// The upper bounds of histograms of rows in a request.
const ROWS: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// What is shown is gathered at least so often; until then it takes memory.
const UPKEEP: Duration = Duration::from_secs(5);

/// Serves the metrics for as long as what it returns is kept. The listener has a thread of its
/// own, so that it answers however busy the command is.
pub(crate) fn serve(address: SocketAddr) -> Result<Runtime, Failure> {
    let runtime = runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("metrics")
        .enable_all()
        .build()
        .map_err(Failure::usage)?;
    let listener = runtime
        .block_on(TcpListener::bind(address))
        .map_err(|error| {
            Failure::usage(anyhow!(
                "--metrics-listen {address}: {error}; is the port free, and the address one of \
                 this machine?"
            ))
        })?;
    let recorder = recorder()
        .map_err(|error| Failure::usage(anyhow!("--metrics-listen {address}: {error}")))?;
    let page = recorder.handle();
    metrics::set_global_recorder(recorder).map_err(|error| Failure::usage(anyhow!("{error}")))?;
    runtime.spawn(keep_up(page.clone()));
    runtime.spawn(listen(listener, page));
    Ok(runtime)
}

fn recorder() -> Result<metrics_exporter_prometheus::PrometheusRecorder, BuildError> {
    let seconds = Matcher::Suffix("_seconds".to_owned());
    let rows = Matcher::Suffix("_rows".to_owned());
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(seconds, &SECONDS)?
        .set_buckets_for_metric(rows, &ROWS)?;
    Ok(builder.build_recorder())
}

async fn keep_up(page: PrometheusHandle) {
    let mut ticks = tokio::time::interval(UPKEEP);
    loop {
        ticks.tick().await;
        page.run_upkeep();
    }
}

async fn listen(listener: TcpListener, page: PrometheusHandle) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let page = page.clone();
                let service = service_fn(move |request| {
                    let response = respond(&request, &page);
                    async move { Ok::<_, Infallible>(response) }
                });
                // A timer is what ends a connection that never sends its request.
                let connection = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .serve_connection(TokioIo::new(stream), service);
                // What goes wrong on it is the other side's to see.
                tokio::spawn(async move { connection.await.ok() });
            }
            Err(error) => wait_after(&error).await,
        }
    }
}

/// A connection that was given up before it was accepted is nothing; where file descriptors are
/// out, the next attempt fails as well until some are back.
async fn wait_after(error: &io::Error) {
    tracing::debug!(%error, "a connection for metrics was not accepted");
    tokio::time::sleep(Duration::from_millis(100)).await;
}

/// The metrics, at any path as the exporter's own listener has it, and at `/health` a word.
fn respond(request: &Request<hyper::body::Incoming>, page: &PrometheusHandle) -> Response<String> {
    let body = match request.uri().path() {
        "/health" => "OK".to_owned(),
        _ => page.render(),
    };
    let mut response = Response::new(body);
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"),
    );
    response
}
