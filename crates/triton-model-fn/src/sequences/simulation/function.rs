//! A function's sequences on the simulation: all that the tests here know of the core.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::{self, Handle};
use tokio::time::Instant;
use triton_client::ModelConfig;
use triton_options::TritonOptions;

use super::transport::SimulatedNetwork;
use crate::row_codec::EncodedCell;
use crate::sequences::row_position::EarlierRows;
use crate::sequences::test_server::Asked;
use crate::sequences::{
    Answered, KeyedSequences, LeftBehind, Row, RowPosition, SequenceKey, SequenceSettings,
    SequenceSnapshot, SourceTraits,
};
use crate::tensor_plan::EncodedRow;
use crate::{CallContext, Column, DataType, Error, Schema, Subtask, Value};

/// The answer to a row, once it is there.
pub(super) type Answer = Asked;

/// How a function is opened.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Opening<'a> {
    /// Beyond those that must be.
    pub(super) options: &'a [(&'a str, &'a str)],
    pub(super) attempt: u32,
    /// Whether the input has an end.
    pub(super) bounded: bool,
    /// Whether the engine begins an attempt again without anything of the one before.
    pub(super) without_state: bool,
    /// What earlier openings of the function have left.
    pub(super) left: Option<&'a Arc<LeftBehind>>,
}

/// What a row says of its place among those of its key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Position {
    /// Its number, from 1 on.
    pub(super) number: u64,
    /// How many rows of its sequence came before it, where that can be told.
    pub(super) before: Option<u64>,
}

/// An open function.
pub(super) struct Function {
    sequences: KeyedSequences<SimulatedNetwork>,
}

impl Function {
    /// Subtask 0 of 1 of a job.
    pub(super) fn open(network: &SimulatedNetwork, opening: Opening<'_>) -> Self {
        let common = [
            ("endpoint", "http://localhost:8000"),
            ("model-name", "m"),
            ("sequence-id", "job"),
            ("sequence-id-auto-increment", "true"),
            ("sequence-id-scope", "run"),
            ("sequence-key", "key"),
        ];
        let options = common.iter().chain(opening.options).copied();
        let options = TritonOptions::parse(options).unwrap();
        let subtask = Subtask::new(0, 1, opening.attempt).unwrap();
        let subtask = subtask.in_job("simulated").unwrap();
        let open = Arc::new(
            CallContext::new(&options, subtask, false, Arc::default(), None, None).unwrap(),
        );
        keep_client(&open);
        let settings = network.world().server.settings();
        let config: ModelConfig = serde_json::from_value(serde_json::json!({
            "name": "m",
            "max_batch_size": 8,
            "sequence_batching": {
                "max_sequence_idle_microseconds": settings.idle.as_micros() as u64,
                "oldest": {"max_candidate_sequences": settings.candidates},
            },
        }))
        .unwrap();
        let schema = Schema {
            inputs: vec![Column::new("value", DataType::BigInt)],
            outputs: vec![Column::new("sum", DataType::BigInt)],
        };
        let source = SourceTraits {
            bounded: opening.bounded,
            without_state: opening.without_state,
            ..SourceTraits::default()
        };
        let mut rows = schema.clone();
        rows.inputs.push(Column::new("key", DataType::BigInt));
        let settings = SequenceSettings::agree(&options, &rows, &schema, &config, &open, source);
        let settings = settings.unwrap().unwrap();
        Self {
            sequences: KeyedSequences::start(
                open,
                network.clone(),
                settings,
                opening.left.map(Arc::clone).unwrap_or_default(),
            ),
        }
    }

    /// Hands over a row of a key.
    pub(super) fn submit(&self, key: i64, value: i64, last: bool) -> Answer {
        self.hand_over(key, value, last, None)
    }

    /// Hands over a row that says which one it is.
    pub(super) fn submit_at(&self, key: i64, value: i64, last: bool, position: Position) -> Answer {
        self.hand_over(key, value, last, Some(position))
    }

    /// Hands over a row that carries the values of all rows of its sequence before it.
    pub(super) fn submit_carrying(
        &self,
        key: i64,
        value: i64,
        last: bool,
        number: u64,
        earlier: Vec<i64>,
    ) -> Answer {
        let count = earlier.len() as u64;
        let encode = move |index: u64| Ok(value_row(earlier[index as usize]));
        let position = RowPosition {
            position: number,
            before: Some(count),
            earlier: Some(Arc::new(EarlierRows::new(count, encode))),
        };
        self.put(key, value, last, Some(position))
    }

    fn hand_over(&self, key: i64, value: i64, last: bool, position: Option<Position>) -> Answer {
        let position = position.map(|position| RowPosition {
            position: position.number,
            before: position.before,
            earlier: None,
        });
        self.put(key, value, last, position)
    }

    fn put(&self, key: i64, value: i64, last: bool, position: Option<RowPosition>) -> Answer {
        let row = Row {
            encoded: Ok(Arc::new(value_row(value))),
            last,
            position,
        };
        let sequences = &self.sequences;
        Asked(sequences.submit(&SequenceKey::new(&key.to_string()), row))
    }

    /// The answer to a row in the middle.
    pub(super) async fn answer(&self, key: i64, value: i64) -> Result<Answered, Error> {
        self.submit(key, value, false).await.unwrap()
    }

    pub(super) fn snapshot(&self) -> Result<SequenceSnapshot, Error> {
        self.sequences.snapshot()
    }

    pub(super) fn restore(&self, snapshot: SequenceSnapshot) -> Result<(), Error> {
        self.sequences.restore(snapshot)
    }

    /// Closes the function, and gives up after so long.
    pub(super) async fn close(&self, patience: Duration) -> Result<(), Error> {
        self.sequences.close(Instant::now() + patience).await
    }

    pub(super) fn open_sequences(&self) -> usize {
        self.sequences.open_sequences()
    }
}

/// A row of one value, as it is sent.
pub(super) fn value_row(value: i64) -> EncodedRow {
    let cell = EncodedCell {
        shape: vec![1],
        data: Bytes::copy_from_slice(&value.to_le_bytes()),
    };
    EncodedRow::new(vec![Some(cell)])
}

/// The sum that an answer gives.
pub(super) fn sum(answered: &Answered) -> i64 {
    match answered.values[..] {
        [Value::BigInt(sum)] => sum,
        ref other => panic!("expected one BIGINT, found {other:?}"),
    }
}

/// Keeps the HTTP client that functions of one runtime share: it takes long to set up.
fn keep_client(open: &Arc<CallContext>) {
    static KEPT: Mutex<Vec<(runtime::Id, Arc<CallContext>)>> = Mutex::new(Vec::new());
    let runtime = Handle::current().id();
    let mut kept = KEPT.lock().unwrap();
    if kept.iter().all(|(known, _)| *known != runtime) {
        kept.push((runtime, Arc::clone(open)));
    }
}
