//! Takes the rows through model functions, one for each subtask, as an engine does.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use futures_util::future::BoxFuture;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use triton_model_fn::{
    Column, DataType, InferenceFunction, ModelFunction as _, Resolver, Schema, Subtask,
    TritonOptions, Value,
};

use super::disturbance::Disturbance;
use super::{Answers, Names, Plan, SUBTASKS};
use crate::options::Lane;
use crate::server::Server;

/// All that is not the model's, and not `endpoint`.
const OPTIONS: [(&str, &str); 6] = [
    ("timeout", "2 s"),
    // So long may a row wait for its sequence to be rebuilt, on a machine that is busy with all of this.
    ("max-retries", "60"),
    ("retry-initial-backoff", "20 ms"),
    ("retry-max-backoff", "500 ms"),
    ("endpoint-refresh", "1 s"),
    ("endpoint-drain", "3 s"),
];

const KEYED: [(&str, &str); 4] = [
    ("sequence-id", "replicas"),
    ("sequence-id-auto-increment", "true"),
    ("sequence-key", "key"),
    ("sequence-recovery", "replay"),
];

const STATELESS: [(&str, &str); 2] = [("batch-size", "16"), ("batch-timeout", "5 ms")];

impl Resolver for Names {
    fn resolve<'a>(&'a self, _: &'a str, _: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async { Ok(self.all()) })
    }
}

pub(super) async fn run(
    plan: &Plan,
    servers: &[Arc<Server>],
    names: Arc<Names>,
) -> Result<Answers> {
    let functions = open(plan, &names).await?;
    let mut in_flight = JoinSet::new();
    let mut disturbing = None;
    let begun = Instant::now();
    for row in 0..plan.rows {
        sleep_until(begun + plan.due(row)).await;
        if row == plan.rows / 5 {
            let (servers, names) = (servers.to_vec(), Arc::clone(&names));
            let disturbance = plan.disturbance;
            let happens = move || disturbance.happens(&servers, &names);
            disturbing = Some(tokio::task::spawn_blocking(happens));
        }
        // The last rows come when all is over, whatever it takes.
        if row == plan.rows * 9 / 10
            && let Some(disturbing) = disturbing.take()
        {
            disturbing.await??;
        }
        let is_last = row + 1 == plan.rows;
        for key in 0..plan.keys {
            let function = &functions[key % SUBTASKS];
            let values = values(plan, key, row);
            let answer: Pin<Box<dyn Future<Output = _> + Send>> = match is_last {
                true if plan.lane != Lane::Stateless => Box::pin(function.submit_last(&values)),
                _ => Box::pin(function.submit(&values)),
            };
            in_flight.spawn(async move { (key, row, answer.await) });
        }
    }
    let mut answers = Answers {
        numbers: vec![None; plan.keys * plan.rows],
        ..Answers::default()
    };
    while let Some(settled) = in_flight.join_next().await {
        let (key, row, answer) = settled?;
        match answer {
            Ok(answer) => {
                answers.marked += usize::from(answer.sequence_restarted);
                answers.numbers[key * plan.rows + row] = Some(match answer.row[0] {
                    Value::Integer(sum) => sum.into(),
                    Value::Float(value) => value as i64,
                    _ => i64::MIN,
                });
            }
            Err(error) => {
                let cause = error.client_error().map(ToString::to_string);
                let cause = cause.unwrap_or_default();
                answers
                    .failures
                    .push(format!("key {key}, row {row}: {error}: {cause}"));
            }
        }
    }
    for function in &functions {
        function.close().await.context("closing")?;
    }
    Ok(answers)
}

async fn open(plan: &Plan, names: &Arc<Names>) -> Result<Vec<InferenceFunction>> {
    let (endpoint, discovery) = match plan.disturbance {
        Disturbance::Renamed => ("http://triton.invalid:8000".to_owned(), "dns"),
        _ => {
            let addresses = names.all();
            let addresses = addresses.iter().map(|address| format!("http://{address}"));
            (addresses.collect::<Vec<_>>().join(","), "static")
        }
    };
    let mut functions = Vec::new();
    for index in 0..SUBTASKS {
        let mut options = vec![
            ("endpoint", &*endpoint),
            ("endpoint-discovery", discovery),
            ("model-name", plan.lane.model()),
        ];
        options.extend(OPTIONS);
        match plan.lane {
            Lane::Stateless => options.extend(STATELESS),
            _ => options.extend(KEYED),
        }
        if plan.disturbance == (Disturbance::Updated { stays: true }) {
            options.push(("sequence-model-version", "stay"));
        }
        let resolver: Arc<dyn Resolver> = Arc::<Names>::clone(names);
        // A key waits for its last rows for as long as servers need to restart, and time ends no sequence.
        let function = InferenceFunction::new(TritonOptions::parse(options)?, schema(plan))?
            .for_bounded_input()
            .resolving_by(resolver);
        let subtask = Subtask::new(index as u32, SUBTASKS as u32, 0)?;
        function.open(subtask).await.context("opening")?;
        functions.push(function);
    }
    Ok(functions)
}

fn schema(plan: &Plan) -> Schema {
    match plan.lane {
        Lane::Stateless => Schema {
            inputs: vec![Column::new("value", DataType::Float)],
            outputs: vec![Column::new("echo", DataType::Float)],
        },
        _ => Schema {
            inputs: vec![
                Column::new("key", DataType::Integer),
                Column::new("value", DataType::Integer),
            ],
            outputs: vec![Column::new("sum", DataType::Integer)],
        },
    }
}

fn values(plan: &Plan, key: usize, row: usize) -> Vec<Value> {
    let value = plan.value(key, row);
    match plan.lane {
        Lane::Stateless => vec![Value::Float(value as f32)],
        _ => vec![Value::Integer(key as i32), Value::Integer(value)],
    }
}
