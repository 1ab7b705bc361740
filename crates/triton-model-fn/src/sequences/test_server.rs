//! A picture of a server with an `accumulate` model, in memory and on paused time: every rule of
//! its sequence batcher that sequences per key rely on, and failures at the worst moments.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::time::Instant;
use triton_client::{ModelConfig, Sequence};
use triton_options::TritonOptions;

use super::{
    Answered, KeyedSequences, Pending, Row, RowPosition, SequenceKey, SequenceSettings,
    SequenceTransport, SourceTraits,
};
use crate::replicas::ReplicaId;
use crate::row_codec::EncodedCell;
use crate::tensor_plan::EncodedRow;
use crate::{CallContext, Column, DataType, Error, ErrorKind, Schema, Subtask, Value};

/// How long the server keeps an idle sequence.
pub(super) const SERVER_IDLE: Duration = Duration::from_secs(4);

/// What goes wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// It does not reach the server, for certain.
    NotSent,
    /// Its answer is lost; the model has taken the row in.
    AnswerLost,
    /// It is lost on the way, which looks the same from here.
    RequestLost,
    /// The server forgets all sequences, and then carries the request out.
    Restart,
    /// The server forgets all sequences, and the connection breaks.
    Crash,
    /// The answer comes late.
    Slow,
}

/// Any fault but slowness, or none.
pub(super) fn any_fault() -> impl Strategy<Value = Option<Fault>> {
    prop_oneof![
        Just(None),
        Just(Some(Fault::NotSent)),
        Just(Some(Fault::AnswerLost)),
        Just(Some(Fault::RequestLost)),
        Just(Some(Fault::Restart)),
        Just(Some(Fault::Crash)),
    ]
}

/// What a property test runs all its cases in, because functions of one runtime share their HTTP
/// client. Each test needs its own: those that wait make the time of the others go by.
pub(super) fn paused_runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().unwrap()
}

/// A request that the server carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) id: String,
    pub(super) value: i64,
    pub(super) start: bool,
    pub(super) end: bool,
}

#[derive(Debug, Default)]
struct State {
    open: HashMap<String, (i64, Instant)>,
    started: BTreeSet<String>,
    seen: Vec<Seen>,
    faults: VecDeque<Option<Fault>>,
    in_flight: BTreeMap<i64, usize>,
    most_open: usize,
    added_to_answers: i64,
}

/// The server; clones are the same one.
#[derive(Debug, Clone, Default)]
pub(super) struct TestServer(Arc<Mutex<State>>);

/// The key that a value belongs to: see [`row`].
fn key_of(value: i64) -> i64 {
    value / 1_000_000
}

impl TestServer {
    /// Says what goes wrong with the next request that has nothing said of it.
    pub(super) fn fault(&self, fault: Option<Fault>) {
        self.0.lock().unwrap().faults.push_back(fault);
    }

    pub(super) fn forget_everything(&self) {
        self.0.lock().unwrap().open.clear();
    }

    /// Makes every later answer another one than it would have been.
    pub(super) fn change_the_model(&self) {
        self.0.lock().unwrap().added_to_answers += 1;
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.0.lock().unwrap().seen.clone()
    }

    /// The most sequences that were open at once.
    pub(super) fn most_open(&self) -> usize {
        self.0.lock().unwrap().most_open
    }

    fn execute(&self, value: i64, sequence: &Sequence) -> Result<Vec<Value>, Error> {
        let mut state = self.0.lock().unwrap();
        let now = Instant::now();
        state
            .open
            .retain(|_, (_, last)| now.duration_since(*last) < SERVER_IDLE);
        let id = sequence.id.to_string();
        if sequence.start {
            assert!(state.started.insert(id.clone()), "{id} is started twice");
            state.open.insert(id.clone(), (0, now));
        }
        let Some((sum, last)) = state.open.get_mut(&id) else {
            return Err(Error::new(ErrorKind::SequenceLost, "START is missing"));
        };
        (*sum, *last) = (*sum + value, now);
        let sum = *sum;
        state.most_open = state.most_open.max(state.open.len());
        if sequence.end {
            state.open.remove(&id);
        }
        state.seen.push(Seen {
            id,
            value,
            start: sequence.start,
            end: sequence.end,
        });
        Ok(vec![Value::BigInt(sum + state.added_to_answers)])
    }
}

impl SequenceTransport for TestServer {
    async fn send(
        &self,
        row: &EncodedRow,
        sequence: Sequence,
        _server: ReplicaId,
        _deadline: Option<Instant>,
    ) -> Result<Vec<Value>, Error> {
        let data = <[u8; 8]>::try_from(&*row.cells()[0].as_ref().unwrap().data).unwrap();
        let value = i64::from_le_bytes(data);
        let fault = {
            let mut state = self.0.lock().unwrap();
            let in_flight = state.in_flight.entry(key_of(value)).or_default();
            *in_flight += 1;
            assert_eq!(*in_flight, 1, "key {} has two requests", key_of(value));
            state.faults.pop_front().flatten()
        };
        tokio::time::sleep(Duration::from_millis(1)).await;
        let uncertain = || Error::new(ErrorKind::SequenceUncertain, "no answer came");
        let answer = match fault {
            None => self.execute(value, &sequence),
            Some(Fault::NotSent) => Err(Error::new(ErrorKind::Call, "no connection")),
            Some(Fault::RequestLost) => Err(uncertain()),
            Some(Fault::AnswerLost) => self
                .execute(value, &sequence)
                .and_then(|_| Err(uncertain())),
            Some(Fault::Restart) => {
                self.forget_everything();
                self.execute(value, &sequence)
            }
            Some(Fault::Crash) => {
                self.forget_everything();
                Err(uncertain())
            }
            Some(Fault::Slow) => {
                let answer = self.execute(value, &sequence);
                tokio::time::sleep(SERVER_IDLE / 2).await;
                answer
            }
        };
        let mut state = self.0.lock().unwrap();
        *state.in_flight.entry(key_of(value)).or_default() -= 1;
        answer
    }
}

/// A function's sequences on a server.
pub(super) struct Running {
    pub(super) sequences: KeyedSequences<TestServer>,
    pub(super) server: TestServer,
}

impl Running {
    /// The sequences of subtask 0 with some options beyond those that must be.
    pub(super) fn start(server: &TestServer, extra: &[(&str, &str)], bounded: bool) -> Self {
        let source = SourceTraits {
            bounded,
            ..SourceTraits::default()
        };
        Self::start_attempt(server, extra, 0, source)
    }

    pub(super) fn start_attempt(
        server: &TestServer,
        extra: &[(&str, &str)],
        attempt: u32,
        source: SourceTraits,
    ) -> Self {
        let common = [
            ("endpoint", "http://localhost:8000"),
            ("model-name", "m"),
            ("sequence-id", "job"),
            ("sequence-id-auto-increment", "true"),
            ("sequence-key", "key"),
        ];
        // The same IDs in every run, where a test does not ask for others.
        let scope = [("sequence-id-scope", "subtask")];
        let has_scope = extra.iter().any(|(key, _)| *key == scope[0].0);
        let scope = scope.iter().filter(|_| !has_scope);
        let options = common.iter().chain(scope).chain(extra).copied();
        let options = TritonOptions::parse(options).unwrap();
        let subtask = Subtask::new(0, 1, attempt).unwrap();
        // As long as one of them lives, their HTTP client does, which takes long to set up.
        static FIRST: OnceLock<Arc<CallContext>> = OnceLock::new();
        let open = Arc::new(
            CallContext::new(&options, subtask, false, Arc::default(), None, None).unwrap(),
        );
        // It lives on, so what it shows in gauges must not be seen.
        FIRST.get_or_init(|| {
            let context = || CallContext::new(&options, subtask, false, Arc::default(), None, None);
            Arc::new(metrics::with_local_recorder(&metrics::NoopRecorder, context).unwrap())
        });
        let config: ModelConfig = serde_json::from_value(serde_json::json!({
            "name": "m",
            "max_batch_size": 8,
            "sequence_batching": {
                "max_sequence_idle_microseconds": SERVER_IDLE.as_micros() as u64,
                "oldest": {"max_candidate_sequences": 4},
            },
        }))
        .unwrap();
        let schema = Schema {
            inputs: vec![Column::new("value", DataType::BigInt)],
            outputs: vec![Column::new("sum", DataType::BigInt)],
        };
        let mut rows = schema.clone();
        rows.inputs.push(Column::new("key", DataType::BigInt));
        let settings = SequenceSettings::agree(&options, &rows, &schema, &config, &open, source);
        let settings = settings.unwrap().unwrap();
        Self {
            sequences: KeyedSequences::start(
                Arc::clone(&open),
                server.clone(),
                settings,
                Arc::default(),
            ),
            server: server.clone(),
        }
    }

    /// Hands over row `number` of a key; its value is in [`value`].
    pub(super) fn submit(&self, key: i64, number: i64, last: bool) -> Asked {
        self.hand_over(key, number, last, None)
    }

    /// Hands over a row that says something of its place.
    pub(super) fn hand_over(
        &self,
        key: i64,
        number: i64,
        last: bool,
        position: Option<RowPosition>,
    ) -> Asked {
        let row = Row {
            encoded: Ok(Arc::new(row(value(key, number)))),
            last,
            position,
        };
        let sequences = &self.sequences;
        Asked(sequences.submit(&SequenceKey::new(&key.to_string()), row))
    }

    pub(super) async fn answer(&self, key: i64, number: i64) -> Result<Answered, Error> {
        self.submit(key, number, false).await.unwrap()
    }
}

/// Somebody who asks for a row, and who has seen what its answer says once it is taken.
#[derive(Debug)]
pub(super) struct Asked(pub(super) Pending);

impl Asked {
    /// The answer, if it is there by now.
    pub(super) fn try_recv(
        &mut self,
    ) -> Result<Result<Answered, Error>, oneshot::error::TryRecvError> {
        self.0.try_recv().map(|answer| answer.map(Answered::seen))
    }
}

impl Future for Asked {
    type Output = <Pending as Future>::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let polled = Pin::new(&mut self.0).poll(context);
        polled.map_ok(|answer| answer.map(Answered::seen))
    }
}

/// The value of a row, which tells its key.
pub(super) fn value(key: i64, number: i64) -> i64 {
    key * 1_000_000 + number
}

pub(super) fn row(value: i64) -> EncodedRow {
    let data = Bytes::copy_from_slice(&value.to_le_bytes());
    let shape = vec![1];
    EncodedRow::new(vec![Some(EncodedCell { shape, data })])
}

/// The sum that an answer gives.
pub(super) fn sum(answered: &Answered) -> i64 {
    match answered.values[..] {
        [Value::BigInt(sum)] => sum,
        ref other => panic!("expected one BIGINT, found {other:?}"),
    }
}
