//! Who sends rows, one after the other, and looks at each answer.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use tokio::time::Instant;
use triton_model_fn::{Column, DataType, InferenceFunction, Schema, TritonOptions, Value};

/// A sequence that is longer costs more to replay than it shows.
const ROWS_OF_A_SEQUENCE: usize = 20;

/// How many requests of a function may be in flight, and how many connections it may have.
pub(super) const PERMITS: usize = 32;

const USUAL: [(&str, &str); 5] = [
    // A machine that is busy is slow without anything being wrong.
    ("timeout", "5 s"),
    ("open-wait", "1 min"),
    ("max-retries", "200"),
    ("retry-initial-backoff", "10 ms"),
    ("retry-max-backoff", "300 ms"),
];

const KEYED: [(&str, &str); 4] = [
    ("sequence-id", "load"),
    ("sequence-id-auto-increment", "true"),
    ("sequence-key", "key"),
    ("sequence-recovery", "replay"),
];

/// What a caller's rows go through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// A stateless model, without faults on the way.
    Healthy,
    /// The same, with faults.
    Stateless,
    /// A sequence for each caller, with faults and replays.
    Keyed,
}

impl Part {
    pub(super) const ALL: [Self; super::PARTS] = [Self::Healthy, Self::Stateless, Self::Keyed];

    pub(super) fn function(self, endpoint: &str) -> Result<InferenceFunction> {
        let model = if self == Self::Keyed {
            "accumulate"
        } else {
            "echo"
        };
        let permits = PERMITS.to_string();
        let mut options = vec![("endpoint", endpoint), ("model-name", model)];
        options.extend(USUAL);
        // Neither kind has more, so that one that is lost is missed.
        options.push(("max-in-flight", &permits));
        options.push(("connection-pool-max-total", &permits));
        let schema = match self {
            Self::Keyed => {
                options.extend(KEYED);
                // Functions whose settings are equal share connections, and so their permits.
                options.push(("connection-pool-keep-alive", "4 min"));
                Schema::new(
                    [("key", DataType::Integer), ("value", DataType::Integer)],
                    [("sum", DataType::Integer)],
                )
            }
            _ => Schema {
                inputs: vec![Column::new("value", DataType::Float)],
                outputs: vec![Column::new("echo", DataType::Float)],
            },
        };
        let function = InferenceFunction::new(TritonOptions::parse(options)?, schema)?;
        Ok(function.for_bounded_input())
    }

    pub(super) fn row(self, key: usize, value: i32) -> Vec<Value> {
        match self {
            Self::Keyed => vec![Value::Integer(key as i32), Value::Integer(value)],
            _ => vec![Value::Float(value as f32)],
        }
    }
}

/// One caller, and what came of its rows since somebody looked last.
pub(super) struct Caller {
    pub(super) part: Part,
    number: usize,
    begun: Instant,
    /// When its row was handed over, in microseconds since the beginning; 0 where it has none.
    waits_since: AtomicU64,
    latencies: Mutex<Vec<Duration>>,
    failed: AtomicU64,
    wrong: Mutex<Vec<String>>,
}

impl Caller {
    pub(super) fn new(part: Part, number: usize) -> Self {
        Self {
            part,
            number,
            begun: Instant::now(),
            waits_since: AtomicU64::new(0),
            latencies: Mutex::default(),
            failed: AtomicU64::new(0),
            wrong: Mutex::default(),
        }
    }

    pub(super) async fn calls(self: Arc<Self>, function: Arc<InferenceFunction>, until: Instant) {
        let mut sum = 0;
        for row in 0.. {
            let handed_over = Instant::now();
            if handed_over >= until {
                return;
            }
            let value = (row % 1000 + 1) as i32;
            let since = (handed_over - self.begun).as_micros() as u64;
            self.waits_since.store(since.max(1), Ordering::Relaxed);
            let is_last = row % ROWS_OF_A_SEQUENCE + 1 == ROWS_OF_A_SEQUENCE;
            let values = self.part.row(self.number, value);
            let answer = match is_last && self.part == Part::Keyed {
                true => function.submit_last(&values).await,
                false => function.submit(&values).await,
            };
            self.waits_since.store(0, Ordering::Relaxed);
            let answer = answer.map(|answer| answer.row.into_iter().next());
            match (self.part, answer) {
                (Part::Keyed, Ok(Some(Value::Integer(answer)))) if answer == sum + value => {
                    sum = if is_last { 0 } else { answer };
                }
                (Part::Keyed, Err(_)) => {
                    // A row that fails is not in its sequence.
                    self.failed.fetch_add(1, Ordering::Relaxed);
                    sum = if is_last { 0 } else { sum };
                }
                (_, Err(_)) => drop(self.failed.fetch_add(1, Ordering::Relaxed)),
                (Part::Healthy | Part::Stateless, Ok(Some(Value::Float(answer))))
                    if answer == value as f32 => {}
                (part, Ok(answer)) => {
                    let wrong = format!("{part:?}, row {row}: {answer:?} to {value} after {sum}");
                    lock(&self.wrong).push(wrong);
                    return;
                }
            }
            lock(&self.latencies).push(handed_over.elapsed());
        }
    }

    /// The time that each answered row took since the last look.
    pub(super) fn take_latencies(&self) -> Vec<Duration> {
        std::mem::take(&mut lock(&self.latencies))
    }

    pub(super) fn take_failed(&self) -> u64 {
        self.failed.swap(0, Ordering::Relaxed)
    }

    /// For how long its row has waited.
    pub(super) fn waits(&self) -> Duration {
        match self.waits_since.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            since => self
                .begun
                .elapsed()
                .saturating_sub(Duration::from_micros(since)),
        }
    }

    pub(super) fn wrong(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.wrong))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
