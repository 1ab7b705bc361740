//! The work of four subtasks without an engine: rows go to a model and their answers are counted.
//! It is what `cargo xtask flink bench` compares Flink with.
//!
//! ```sh
//! cargo run --release -p triton-model-fn --example four_subtasks -- serve 8000 &
//! cargo run --release -p triton-model-fn --example four_subtasks -- \
//!     http://127.0.0.1:8000 1000000 512 batch-size=64 batch-timeout=2ms
//! ```
//!
//! The arguments are the endpoint, how many rows there are, how many of them a subtask has in
//! flight, and options. The server is a process of its own, so that its work is not counted here.

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc;
use triton_embedded::EmbeddedTriton;
use triton_model_fn::{
    AnswerSink, Column, DataType, InferenceFunction, ModelFunction as _, RowAnswer, Schema,
    Subtask, Value,
};
use triton_options::TritonOptions;

const SUBTASKS: u32 = 4;

type Failure = Box<dyn Error + Send + Sync>;

/// Serves the model `echo` until its standard input ends, and so no longer than who started it.
fn serve(port: u16) -> Result<(), Failure> {
    let server = EmbeddedTriton::builder()
        .built_in_models()
        .address(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        .recorded_requests(0)
        .start()?;
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    drop(server);
    Ok(())
}

/// What a subtask does; returns how many rows were answered with what they asked.
async fn answer(
    index: u32,
    options: TritonOptions,
    rows: u32,
    in_flight: usize,
) -> Result<u32, Failure> {
    let schema = Schema {
        inputs: vec![Column::new("value", DataType::Float)],
        outputs: vec![Column::new("echo", DataType::Float)],
    };
    let function = InferenceFunction::new(options, schema)?;
    function.open(Subtask::new(index, SUBTASKS, 0)?).await?;
    let (sink, mut answers) = mpsc::unbounded_channel();
    let sink: Arc<dyn AnswerSink> = Arc::new(sink);
    // The values of the rows in flight, each at its number.
    let mut values = vec![0.0; in_flight];
    let place = |number: u64| number as usize % in_flight;
    let (mut random, mut sent, mut answered, mut right) = (u64::from(index), 0, 0, 0);
    // The oldest row that is not answered: its place is not given to another one before.
    let mut oldest = 0;
    let mut is_answered = vec![true; in_flight];
    while answered < rows {
        while sent < rows && sent - oldest < in_flight as u32 {
            // Numbers as good as any, at no cost worth measuring.
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let value = (random >> 40) as f32;
            let number = u64::from(sent);
            (values[place(number)], is_answered[place(number)]) = (value, false);
            function.submit_to(number, &[Value::Float(value)], &sink);
            sent += 1;
        }
        for RowAnswer { number, result, .. } in answers.recv().await.ok_or("no more answers")? {
            right += u32::from(result?.row == [Value::Float(values[place(number)])]);
            is_answered[place(number)] = true;
            answered += 1;
        }
        while oldest < sent && is_answered[place(oldest.into())] {
            oldest += 1;
        }
    }
    function.close().await?;
    Ok(right)
}

async fn measure(
    endpoint: &str,
    rows: u32,
    in_flight: usize,
    options: &[String],
) -> Result<(), Failure> {
    let pairs = options.iter().map(|option| {
        let pair = option.split_once('=');
        pair.ok_or_else(|| format!("option '{option}': expected KEY=VALUE"))
    });
    let mut pairs = pairs.collect::<Result<Vec<_>, _>>()?;
    pairs.extend([("endpoint", endpoint), ("model-name", "echo")]);
    let options = TritonOptions::parse(pairs)?;
    let begun = Instant::now();
    let subtasks: Vec<_> = (0..SUBTASKS)
        .map(|index| {
            let share = rows / SUBTASKS + u32::from(index < rows % SUBTASKS);
            tokio::spawn(answer(index, options.clone(), share, in_flight))
        })
        .collect();
    let mut right = 0;
    for subtask in subtasks {
        right += subtask.await??;
    }
    println!("{right} {:.3}", begun.elapsed().as_secs_f64());
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments[..] {
        [serve_word, port] if serve_word == "serve" => {
            let port = port.parse()?;
            tokio::task::spawn_blocking(move || serve(port)).await?
        }
        [endpoint, rows, in_flight, options @ ..] => {
            measure(endpoint, rows.parse()?, in_flight.parse()?, options).await
        }
        _ => Err("expected `serve PORT` or `ENDPOINT ROWS IN_FLIGHT [KEY=VALUE]…`".into()),
    }
}
