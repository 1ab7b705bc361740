//! CPU time of the client against a bare POST of the same bytes through the same HTTP library.
//!
//! A server in a process of its own answers at once. Sixteen requests are in flight, rounds of
//! both kinds take turns, and only this process's CPU time counts.

#![expect(
    clippy::unwrap_used,
    reason = "a benchmark ends where something unexpected comes"
)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use triton_client::{Client, InferRequest, ModelId, Tensor, TensorFormat};

const IN_FLIGHT: usize = 16;
const REQUESTS: usize = 10_000;
const ROUNDS: usize = 12;
const SERVE: &str = "TRITON_BENCH_SERVE";

const JSON: &str = r#"{"model_name":"echo","model_version":"1","outputs":[{"name":"echo","datatype":"FP32","shape":[1,8],"parameters":{"binary_data_size":32}}]}"#;

fn main() {
    if std::env::var_os(SERVE).is_some() {
        return serve();
    }
    let mut server = Command::new(std::env::current_exe().unwrap())
        .env(SERVE, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut endpoint = String::new();
    BufReader::new(server.stdout.take().unwrap())
        .read_line(&mut endpoint)
        .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (mut bare, mut ours) = (Vec::new(), Vec::new());
    runtime.block_on(async {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = format!("{}/v2/models/echo/infer", endpoint.trim());
        let client = Client::builder(endpoint.trim().parse().unwrap());
        let client = client.tensor_format(TensorFormat::Binary).build().unwrap();
        for _ in 0..ROUNDS {
            bare.push(cpu_time(post_bare(&http, &url)).await);
            ours.push(cpu_time(infer(&client)).await);
        }
    });
    server.kill().unwrap();
    server.wait().unwrap();
    // The first round of each opened the connections.
    let (bare, ours) = (median(&mut bare[1..]), median(&mut ours[1..]));
    println!(
        "CPU seconds per {REQUESTS} requests, {IN_FLIGHT} in flight: bare POST {:.3}, client {:.3}, {:.2} times as much",
        bare.as_secs_f64(),
        ours.as_secs_f64(),
        ours.as_secs_f64() / bare.as_secs_f64()
    );
}

fn request() -> InferRequest {
    InferRequest::new(ModelId::latest("echo".parse().unwrap()))
        .input(Tensor::from_slice("value", [1, 8], &[0.5_f32; 8]).unwrap())
        .output("echo")
}

async fn infer(client: &Client) {
    let request = Arc::new(request());
    let tasks = (0..IN_FLIGHT).map(|_| {
        let (client, request) = (client.clone(), Arc::clone(&request));
        tokio::spawn(async move {
            for _ in 0..REQUESTS / IN_FLIGHT {
                let response = client.infer(&request).await.unwrap();
                let output = response.output("echo").unwrap();
                assert_eq!(output.values::<f32>().unwrap().len(), 8);
            }
        })
    });
    join(tasks.collect()).await;
}

async fn post_bare(http: &reqwest::Client, url: &str) {
    let encoded = request().encode(TensorFormat::Binary).unwrap();
    let json_length = encoded.json_length().unwrap();
    let body: Bytes = encoded.into_bytes();
    let tasks = (0..IN_FLIGHT).map(|_| {
        let (http, url, body) = (http.clone(), url.to_owned(), body.clone());
        tokio::spawn(async move {
            for _ in 0..REQUESTS / IN_FLIGHT {
                let request = http.post(&url).body(body.clone());
                let request = request.header("Content-Type", "application/octet-stream");
                let request = request.header("Inference-Header-Content-Length", json_length);
                let response = request.send().await.unwrap();
                assert_eq!(response.bytes().await.unwrap().len(), JSON.len() + 32);
            }
        })
    });
    join(tasks.collect()).await;
}

async fn join(tasks: Vec<tokio::task::JoinHandle<()>>) {
    for task in tasks {
        task.await.unwrap();
    }
}

async fn cpu_time(work: impl Future<Output = ()>) -> Duration {
    let before = used();
    work.await;
    used() - before
}

/// The CPU time that this process has used, in user mode and in the kernel.
fn used() -> Duration {
    let clock = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(
        clock.tv_sec.try_into().unwrap(),
        clock.tv_nsec.try_into().unwrap(),
    )
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// Answers every request at once with the same bytes, until the parent is gone.
fn serve() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        while let Ok((connection, _)) = listener.accept() {
            std::thread::spawn(move || answer_all(connection));
        }
    });
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

fn answer_all(mut connection: TcpStream) {
    let length = JSON.len();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nInference-Header-Content-Length: {length}\r\nContent-Length: {}\r\n\r\n{JSON}",
        length + 32
    );
    let answer = [head.as_bytes(), &[0; 32]].concat();
    connection.set_nodelay(true).unwrap();
    let mut received = vec![0; 1 << 16];
    let mut filled = 0;
    while let Ok(count @ 1..) = connection.read(&mut received[filled..]) {
        filled += count;
        let text = String::from_utf8_lossy(&received[..filled]).to_lowercase();
        let Some((head, _)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        if filled >= head.len() + 4 + length.unwrap().parse::<usize>().unwrap() {
            filled = 0;
            if connection.write_all(&answer).is_err() {
                return;
            }
        }
    }
}
