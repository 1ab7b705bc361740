//! A sequence that all rows share has one ID for good, so its next START has to wait until nothing of
//! what came before can be alive.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use triton_client::SequenceId;
use triton_options::{ReplayOverflow, SequenceRecovery, StaticFlags};

use super::{
    Asker, Effect, Failed, FailureEffect, Machine, MostRecovering, Offer, Outcome, RecoveryLimits,
    Request,
};
use crate::retry::RetryPolicy;
use crate::row_codec::EncodedCell;
use crate::sequences::key::KeyDisplay;
use crate::sequences::settings::FixedSequence;
use crate::sequences::{Row, SequenceKey, SequenceSettings};
use crate::tensor_plan::EncodedRow;
use crate::{Error, ErrorKind, Value};

const IDLE: Duration = Duration::from_secs(4);

/// Somebody who waits for the answer.
struct Patient;

impl Asker for Patient {
    fn is_gone(&self) -> bool {
        false
    }
}

fn machine(now: Instant) -> Machine<Patient> {
    let settings = SequenceSettings {
        fixed: Some(FixedSequence {
            id: SequenceId::text("call-7".to_owned()).unwrap(),
            flags: StaticFlags::FirstRow,
        }),
        max_length: None,
        boundary: None,
        server_idle: Some(IDLE),
        server_forgets: Some(IDLE),
        offers: vec![Offer::only(1, 0)],
        most_open: usize::MAX,
        most_recovering: MostRecovering::any(),
        by_hash: false,
        several: None,
        recovery: SequenceRecovery::Fail,
        overflow: ReplayOverflow::Fail,
        history: None,
        ends_abandoned: false,
        most_lost: 10,
        row_deadline: None,
        positions: false,
        has_run_before: false,
        marks_unknown: false,
        marks_expired: false,
        trusts_unknown: false,
        display: KeyDisplay::new(false),
        key_columns: Vec::new(),
        columns: vec!["value BIGINT".to_owned()],
    };
    let limits = RecoveryLimits {
        retry: RetryPolicy {
            max_retries: 0,
            initial_backoff: Duration::from_millis(1),
            max_backoff: Duration::from_millis(1),
        },
        budget: Duration::from_secs(1),
    };
    Machine::new(Arc::new(settings), None, limits, now)
}

fn submit(machine: &mut Machine<Patient>, now: Instant) {
    let cell = EncodedCell {
        shape: vec![1],
        data: Bytes::copy_from_slice(&1_i64.to_le_bytes()),
    };
    let row = Row {
        encoded: Ok(Arc::new(EncodedRow::new(vec![Some(cell)]))),
        last: false,
        position: None,
    };
    let refused = machine.submit(now, &SequenceKey::new(""), row, Patient);
    assert!(refused.is_none());
}

/// The request that is to be sent, and whether a row failed before it.
fn next(machine: &mut Machine<Patient>) -> (Option<Request>, bool) {
    let mut failed = false;
    while let Some(effect) = machine.next_effect() {
        match effect {
            Effect::Send(request) => return (Some(request), failed),
            Effect::Answer(_, answer) => failed |= answer.is_err(),
            Effect::Report(_) | Effect::Cancel(_) => {}
        }
    }
    (None, failed)
}

/// Answers the first row, and has the second one fail; `true` where the third is sent at once.
fn is_sent_at_once_after(kind: ErrorKind, effect: FailureEffect) -> bool {
    let begun = Instant::now();
    let mut machine = machine(begun);
    let key = SequenceKey::new("");
    submit(&mut machine, begun);
    let (first, _) = next(&mut machine);
    let first = first.unwrap();
    assert!(first.start);
    let outcome = Outcome::Answered {
        values: vec![Value::BigInt(1)],
        kept: None,
        digest: None,
    };
    machine.outcome(begun, &key, first.number, outcome);
    submit(&mut machine, begun);
    let (second, _) = next(&mut machine);
    let second = second.unwrap();
    assert!(!second.start);
    let failed_at = begun + Duration::from_secs(1);
    let error = Error::new(kind, "a fault");
    let outcome = Outcome::Failed(Failed {
        error,
        effect,
        server: None,
    });
    machine.outcome(failed_at, &key, second.number, outcome);
    assert!(matches!(next(&mut machine), (None, true)), "the row fails");
    submit(&mut machine, failed_at);
    if let (Some(third), _) = next(&mut machine) {
        assert!(third.start);
        return true;
    }
    machine.advance(failed_at + IDLE - Duration::from_millis(1));
    assert!(next(&mut machine).0.is_none(), "the old one may be alive");
    machine.advance(failed_at + IDLE);
    let (third, _) = next(&mut machine);
    assert!(third.unwrap().start);
    false
}

// Holds S4.
#[test]
fn a_start_waits_until_the_server_has_certainly_dropped_what_there_was() {
    assert!(!is_sent_at_once_after(
        ErrorKind::SequenceUncertain,
        FailureEffect::Uncertain
    ));
    assert!(is_sent_at_once_after(
        ErrorKind::SequenceLost,
        FailureEffect::Forgotten
    ));
}
