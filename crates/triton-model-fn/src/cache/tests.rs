//! The cache by itself: its limit, its order, and what is told to equal rows.

use proptest::prelude::*;

use super::*;
use crate::Array;

fn cache(limit: u64) -> Arc<RowCache> {
    Arc::new(RowCache::new(limit, CacheMetrics::none()))
}

fn prediction(text: &str) -> Outcome {
    Ok(Prediction::new(vec![Value::String(text.to_owned())], None))
}

fn keep(cache: &Arc<RowCache>, key: &[u8], text: &str) {
    match cache.look_up(key) {
        Found::Missing(sending) => sending.ends(&prediction(text)),
        found => panic!("{found:?}"),
    }
}

fn is_known(cache: &Arc<RowCache>, key: &[u8]) -> bool {
    matches!(cache.look_up(key), Found::Answer(_))
}

// Holds F65.
#[test]
fn what_was_used_least_lately_is_forgotten_first() {
    let cache = cache(3 * (ENTRY as u64 + 40));
    for key in [b"a", b"b", b"c"] {
        keep(&cache, key, "1");
    }
    assert!(is_known(&cache, b"a"));
    keep(&cache, b"d", "1");
    let known = [b"a", b"b", b"c", b"d"].map(|key| cache.lock().answers.contains_key(&key[..]));
    assert_eq!(known, [true, false, true, true]);
}

// Holds F65.
#[test]
fn an_array_is_kept_without_the_answer_that_it_came_in() {
    let answer = bytes::Bytes::from(vec![0_u8; 1 << 20]);
    let part = answer.slice(0..8);
    let array = Array::from_raw(&crate::DataType::Float, [2], part).unwrap();
    let value = Value::Array(array);
    let compact = value.compact();
    assert_eq!(value, compact);
    drop(value);
    // Nobody else holds the answer.
    assert!(answer.try_into_mut().is_ok());
    assert!(compact.memory() < 256);
}

// Holds F64.
#[tokio::test]
async fn a_failure_is_told_to_equal_rows_and_not_kept() {
    let cache = cache(10_000);
    let Found::Missing(sending) = cache.look_up(b"key") else {
        panic!()
    };
    let Found::InFlight(other) = cache.look_up(b"key") else {
        panic!()
    };
    sending.ends(&Err(Error::new(ErrorKind::CircuitOpen, "no")));
    let error = other.outcome().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CircuitOpen);
    assert_eq!(cache.bytes(), 0);
    assert!(matches!(cache.look_up(b"key"), Found::Missing(_)));
}

// Holds F64.
#[tokio::test]
async fn a_row_that_is_given_up_leaves_its_place_to_an_equal_one() {
    let cache = cache(10_000);
    for own in [None, Some(Error::new(ErrorKind::Call, "too late"))] {
        let Found::Missing(sending) = cache.look_up(b"key") else {
            panic!()
        };
        let Found::InFlight(other) = cache.look_up(b"key") else {
            panic!()
        };
        match own {
            None => drop(sending),
            Some(error) => sending.ends(&Err(error)),
        }
        assert!(other.outcome().await.is_none());
    }
    assert!(matches!(cache.look_up(b"key"), Found::Missing(_)));
}

#[test]
fn without_room_a_row_is_sent_like_any_other() {
    let cache = cache(ENTRY as u64 + 8);
    assert!(matches!(cache.look_up(&[0; 9]), Found::NoRoom));
    let sending = cache.look_up(&[0; 8]);
    assert!(matches!(sending, Found::Missing(_)));
    // A key in flight counts, and is not forgotten.
    assert!(matches!(cache.look_up(&[1; 8]), Found::NoRoom));
    drop(sending);
    assert_eq!(cache.bytes(), 0);
}

proptest! {
    // Holds F65.
    #[test]
    fn it_never_has_more_than_its_limit(
        limit in 0_u64..4000,
        steps in proptest::collection::vec((0_u8..12, 0_usize..600, 0_usize..600, 0_u8..3), 0..80),
    ) {
        let cache = cache(limit);
        let mut in_flight = Vec::new();
        for (key, key_length, answer_length, end) in steps {
            if let Found::Missing(sending) = cache.look_up(&vec![key; key_length]) {
                in_flight.push((sending, answer_length));
            }
            prop_assert!(cache.bytes() as u64 <= limit);
            if end > 0 && !in_flight.is_empty() {
                let (sending, length) = in_flight.remove(0);
                match end {
                    1 => sending.ends(&prediction(&"x".repeat(length))),
                    _ => drop(sending),
                }
            }
            let counted: usize = {
                let state = cache.lock();
                let answers = state.answers.iter().map(|(key, answer)| {
                    ENTRY + key.len() + answer.row.iter().map(Value::memory).sum::<usize>()
                });
                let keys = state.in_flight.keys().map(|key| ENTRY + key.len());
                answers.chain(keys).sum()
            };
            prop_assert_eq!(counted, cache.bytes());
            prop_assert!(cache.bytes() as u64 <= limit);
        }
        in_flight.clear();
        prop_assert!(cache.lock().in_flight.is_empty());
    }
}
