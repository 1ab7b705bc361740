//! How much memory the sequences of very many keys take, and how fast their rows go through.
//!
//! ```sh
//! cargo bench -p triton-model-fn --bench million_keys -- 1000000
//! ```
//!
//! First every key stays open; then each one idles out after a second, as those of a stream do.
//! The server runs in a process of its own, so that the memory shown is the function's alone.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream;
use triton_embedded::{
    DataType as TensorType, EmbeddedTriton, Model, ModelConfig, ModelError, ModelRequest,
    SequenceBatching, SequenceStrategy, Tensor,
};
use triton_model_fn::{
    Column, DataType, InferenceFunction, ModelFunction as _, Schema, Subtask, Value,
};
use triton_options::TritonOptions;

type Failure = Box<dyn std::error::Error>;

/// Counts the rows of a sequence, and keeps as many sequences as anyone asks for.
struct CountRows {
    idle: Duration,
}

impl Model for CountRows {
    type State = i64;

    fn config(&self) -> ModelConfig {
        ModelConfig::new("count")
            .max_batch_size(8)
            .input("value", TensorType::Int64, [1])
            .output("rows", TensorType::Int64, [1])
            .sequence_batching(SequenceBatching {
                max_sequence_idle: self.idle,
                strategy: SequenceStrategy::Oldest {
                    max_candidate_sequences: 2_000_000,
                },
            })
    }

    fn execute(&self, _: &ModelRequest, rows: &mut i64) -> Result<Vec<Tensor>, ModelError> {
        *rows += 1;
        Ok(vec![Tensor::new("rows", [1, 1], vec![*rows])])
    }
}

/// A server in another process, which ends with this.
struct Server(Child);

impl Server {
    fn start(idle: Duration) -> Result<(Self, String), Failure> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["serve", &idle.as_millis().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut endpoint = String::new();
        let output = child.stdout.take().ok_or("no output")?;
        BufReader::new(output).read_line(&mut endpoint)?;
        Ok((Self(child), endpoint.trim().to_owned()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn serve(idle: Duration) -> Result<(), Failure> {
    let server = EmbeddedTriton::builder()
        .model(CountRows { idle })
        .recorded_requests(0)
        .start()?;
    println!("{}", server.endpoint());
    // Until whoever started it is gone.
    std::io::stdin().read_line(&mut String::new())?;
    Ok(())
}

/// A line of `/proc/self/status`, in bytes.
fn memory(field: &str) -> Result<i64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with(field));
    let kibibytes = line.and_then(|line| line.split_whitespace().nth(1));
    Ok(kibibytes.ok_or("no such field")?.parse::<i64>()? * 1024)
}

async fn measure(name: &str, idle: Duration, recovery: &str, keys: i64) -> Result<(), Failure> {
    let (server, endpoint) = Server::start(idle)?;
    let options = TritonOptions::parse([
        ("endpoint", endpoint.as_str()),
        ("model-name", "count"),
        ("sequence-id", "job"),
        ("sequence-id-auto-increment", "true"),
        ("sequence-key", "key"),
        ("sequence-recovery", recovery),
    ])?;
    let schema = Schema {
        inputs: vec![
            Column::new("key", DataType::BigInt),
            Column::new("value", DataType::BigInt),
        ],
        outputs: vec![Column::new("rows", DataType::BigInt)],
    };
    let function = InferenceFunction::new(options, schema)?;
    function.open(Subtask::new(0, 1, 0)?).await?;
    let before = memory("VmRSS")?;
    let begun = Instant::now();
    let answers = stream::iter(0..keys).map(|key| {
        // Keys as long as those of real sensors.
        let key = 1_000_000_000_000 + key;
        function.submit(&[Value::BigInt(key), Value::BigInt(1)])
    });
    let mut answers = answers.buffered(256);
    let (mut most_memory, mut most_open, mut rows) = (before, 0, 0);
    while let Some(answer) = answers.next().await {
        answer?;
        rows += 1;
        if rows % 10_000 == 0 {
            most_memory = most_memory.max(memory("VmRSS")?);
            most_open = most_open.max(function.open_sequences());
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    let used = most_memory - before;
    println!(
        "| {name} | {recovery} | {:.0} | {most_open} | {:.0} MB | {:.0} |",
        rows as f64 / seconds,
        used as f64 / 1e6,
        used as f64 / most_open as f64,
    );
    drop(answers);
    function.close().await?;
    drop(server);
    Ok(())
}

/// Measures in a process of its own, because memory that was given back once is used again.
fn measure_apart(name: &str, idle: &str, recovery: &str, keys: i64) -> Result<(), Failure> {
    let program = std::env::current_exe()?;
    let measured = Command::new(program)
        .args(["measure", idle, recovery, name, &keys.to_string()])
        .status()?;
    match measured.success() {
        true => Ok(()),
        false => Err(format!("measuring failed: {measured}").into()),
    }
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    // `cargo bench` adds `--bench` to what it was given.
    let arguments = std::env::args().skip(1);
    let arguments: Vec<String> = arguments.filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["serve", idle] => serve(Duration::from_millis(idle.parse()?)),
        ["measure", idle, recovery, name, keys] => {
            let idle = Duration::from_millis(idle.parse()?);
            measure(name, idle, recovery, keys.parse()?).await
        }
        _ => {
            let keys = arguments
                .first()
                .map_or(Ok(1_000_000), |keys| keys.parse())?;
            println!("{keys} keys, one row each.\n");
            println!("| Sequences | Recovery | rows/s | most open | memory | bytes for each |");
            println!("| --- | --- | --- | --- | --- | --- |");
            measure_apart("idle out after 0.75 s", "1000", "fail", keys)?;
            measure_apart("stay open", "3600000", "fail", keys)?;
            measure_apart("stay open", "3600000", "replay", keys)
        }
    }
}
