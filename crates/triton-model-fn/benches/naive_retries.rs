//! Two clients meet the same failures: one that sends a request again under its sequence ID, as a retry
//! loop around any client does, and the model function with `sequence-recovery` = `replay`. It counts the
//! answers that are wrong, and prints the table of the README:
//!
//! ```sh
//! cargo bench -p triton-model-fn --bench naive_retries
//! ```

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream;
use triton_client::{Client, ErrorKind, InferRequest, ModelId, Sequence, SequenceId, Tensor};
use triton_embedded::{EmbeddedTriton, Fault, FaultScript};
use triton_model_fn::{
    Column, DataType, InferenceFunction, ModelFunction as _, Schema, Subtask, Value,
};
use triton_options::TritonOptions;

const KEYS: i32 = 200;
const ROWS: i32 = 50;

type Failure = Box<dyn std::error::Error>;

/// What happened to all rows.
#[derive(Debug, Default)]
struct Count {
    right: usize,
    wrong: usize,
    failed: usize,
}

impl Count {
    fn add(&mut self, answer: Option<i32>, expected: i32) {
        match answer {
            Some(sum) if sum == expected => self.right += 1,
            Some(_) => self.wrong += 1,
            None => self.failed += 1,
        }
    }
}

/// One failure, at a rate that leaves most sequences with at least one of them.
fn troubles() -> Vec<(&'static str, FaultScript)> {
    let script = |fault: Fault| FaultScript::new(20_261_124).rate(0.02, fault);
    let crash = Fault::Crash {
        restart_after: Duration::from_millis(50),
    };
    // A crash hits every sequence, so a few are enough.
    let crashes = (1..=5).map(|number| number * 1500);
    let crashes = crashes.fold(FaultScript::new(0), |script, number| {
        script.request(number, crash.clone())
    });
    vec![
        (
            "the connection breaks before execution",
            script(Fault::ResetBefore),
        ),
        (
            "the connection breaks after execution",
            script(Fault::ResetAfter),
        ),
        (
            "the answer is cut off",
            script(Fault::Truncate { bytes: 60 }),
        ),
        ("the server crashes five times", crashes),
    ]
}

fn server(faults: FaultScript) -> Result<EmbeddedTriton, Failure> {
    let builder = EmbeddedTriton::builder().built_in_models();
    Ok(builder.faults(faults).recorded_requests(0).start()?)
}

fn value(key: i32, row: i32) -> i32 {
    key * 31 + row
}

fn expected(key: i32, row: i32) -> i32 {
    (0..=row).map(|row| value(key, row)).sum()
}

/// Sends each request up to 20 times, under the same ID; where the server says that START is
/// missing, it adds START.
async fn naive(endpoint: &str) -> Result<Count, Failure> {
    let client = &Client::new(endpoint)?;
    let model = &ModelId::latest("accumulate".parse()?);
    let keys = (0..KEYS).map(async |key| {
        let mut answers = Vec::new();
        for row in 0..ROWS {
            let mut start = row == 0;
            let mut answer = None;
            for _ in 0..20 {
                let sequence = Sequence {
                    id: SequenceId::text(format!("key-{key}"))?,
                    start,
                    end: row + 1 == ROWS,
                };
                let request = InferRequest::new(model.clone())
                    .input(Tensor::from_slice("value", [1, 1], &[value(key, row)])?)
                    .sequence(sequence);
                match client.infer(&request).await {
                    Ok(response) => {
                        answer = Some(response.output("sum")?.values::<i32>()?[0]);
                        break;
                    }
                    Err(error) => {
                        start |= error.kind() == ErrorKind::SequenceNotStarted;
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                }
            }
            answers.push((answer, expected(key, row)));
        }
        Ok::<_, Failure>(answers)
    });
    let mut count = Count::default();
    for answers in join_all(keys).await {
        for (answer, expected) in answers? {
            count.add(answer, expected);
        }
    }
    Ok(count)
}

/// Hands the rows of all keys to the model function, one key after the other in turn.
async fn ours(endpoint: &str) -> Result<Count, Failure> {
    let options = TritonOptions::parse([
        ("endpoint", endpoint),
        ("model-name", "accumulate"),
        ("sequence-id", "job"),
        ("sequence-id-auto-increment", "true"),
        ("sequence-key", "key"),
        ("sequence-recovery", "replay"),
        ("max-retries", "20"),
        ("retry-initial-backoff", "10 ms"),
        ("retry-max-backoff", "100 ms"),
    ])?;
    let schema = Schema {
        inputs: vec![
            Column::new("key", DataType::Integer),
            Column::new("value", DataType::Integer),
        ],
        outputs: vec![Column::new("sum", DataType::Integer)],
    };
    let function = InferenceFunction::new(options, schema)?.for_bounded_input();
    function.open(Subtask::new(0, 1, 0)?).await?;
    let rows = (0..ROWS).flat_map(|row| (0..KEYS).map(move |key| (key, row)));
    let answers = stream::iter(rows).map(|(key, row)| {
        let answer = function.submit(&[Value::Integer(key), Value::Integer(value(key, row))]);
        async move { (answer.await, expected(key, row)) }
    });
    let mut answers = answers.buffered(KEYS as usize);
    let mut count = Count::default();
    while let Some((answer, expected)) = answers.next().await {
        let sum = answer.ok().and_then(|prediction| match prediction.row[..] {
            [Value::Integer(sum)] => Some(sum),
            _ => None,
        });
        count.add(sum, expected);
    }
    drop(answers);
    function.close().await?;
    Ok(count)
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    println!("{} rows of {KEYS} sequences each time.\n", KEYS * ROWS);
    println!(
        "| What happens | Retry loop: wrong answers | failed | Here: wrong answers | failed |"
    );
    println!("| --- | --- | --- | --- | --- |");
    for (name, script) in troubles() {
        let naive = naive(&server(script.clone())?.endpoint()).await?;
        let ours = ours(&server(script)?.endpoint()).await?;
        println!(
            "| {name} | {} | {} | {} | {} |",
            naive.wrong, naive.failed, ours.wrong, ours.failed
        );
    }
    Ok(())
}
