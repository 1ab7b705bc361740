//! One sequence for every row: in the order in which rows are handed over, and for one subtask.

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use triton_client::{Client, InferRequest, Sequence, SequenceId, Tensor};
use triton_model_fn::{InferenceFunction, ModelFunction as _, Subtask, Value};
use triton_test_support::EmbeddedTriton;

use crate::{accumulate_schema, open, options};

const STATIC: [(&str, &str); 1] = [("sequence-id", "call-7")];

/// Begins the sequence, with nothing in it, for functions that send no START themselves.
async fn begin(endpoint: &str) {
    let client = Client::new(endpoint).unwrap();
    let sequence = Sequence {
        id: SequenceId::text("call-7".to_owned()).unwrap(),
        start: true,
        end: false,
    };
    let request = InferRequest::new("accumulate".parse().unwrap())
        .input(Tensor::from_slice("value", [1, 1], &[0_i32]).unwrap())
        .sequence(sequence);
    client.infer(&request).await.unwrap();
}

// Holds S1.
#[tokio::test]
async fn rows_are_answered_in_the_order_in_which_they_were_handed_over() {
    const ROWS: i32 = 300;
    let server = EmbeddedTriton::start().unwrap();
    begin(&server.endpoint()).await;
    let options = options(&server.endpoint(), "accumulate", &STATIC);
    let function = open(options, accumulate_schema(), 0, 1).await;
    let rows: Vec<[Value; 1]> = (1..=ROWS).map(|row| [Value::Integer(row)]).collect();
    // Handed over one after the other, and then polled as it happens.
    let mut answers: Vec<_> = (1..=ROWS)
        .zip(&rows)
        .map(|(row, values)| (row, function.predict(values)))
        .collect();
    fastrand::Rng::with_seed(7).shuffle(&mut answers);
    let answers = answers
        .into_iter()
        .map(async |(row, answer)| (row, answer.await.unwrap()));
    let answers: Vec<_> = answers.collect::<FuturesUnordered<_>>().collect().await;
    let in_order = answers.iter().filter(|(row, prediction)| {
        // What the rows up to this one add up to.
        prediction.row[0] == Value::Integer(row * (row + 1) / 2)
    });
    let wrong = ROWS as usize - in_order.count();
    assert_eq!(wrong, 0, "{wrong} of {ROWS} answers are wrong");
}

// Holds S3.
#[tokio::test]
async fn two_subtasks_cannot_share_one() {
    let server = EmbeddedTriton::start().unwrap();
    let opened = async |extra: &[(&str, &str)], index| {
        let options = options(&server.endpoint(), "accumulate", extra);
        let function = InferenceFunction::new(options, accumulate_schema()).unwrap();
        let subtask = Subtask::new(index, 2, 0).unwrap();
        function.open(subtask).await.map_err(|error| error.kind())
    };
    // Where each request is a sequence of its own, nothing is shared.
    let whole = [("sequence-start", "true"), ("sequence-end", "true")];
    assert_eq!(opened(&[&STATIC[..], &whole].concat(), 0).await, Ok(()));
    for index in [0, 1] {
        assert!(opened(&STATIC, index).await.is_err());
    }
}

// Holds S2.
#[tokio::test]
async fn the_first_row_of_each_opening_starts_it_where_no_flag_is_given() {
    for (flags, expected) in [
        (&[][..], [(true, false), (false, false), (true, false)]),
        (&[("sequence-start", "true")], [(true, false); 3]),
        (
            &[("sequence-start", "true"), ("sequence-end", "false")],
            [(true, false); 3],
        ),
    ] {
        let server = EmbeddedTriton::start().unwrap();
        let options = options(
            &server.endpoint(),
            "accumulate",
            &[&STATIC[..], flags].concat(),
        );
        let function = InferenceFunction::new(options, accumulate_schema()).unwrap();
        for rows in [2, 1] {
            function.open(Subtask::new(0, 1, 0).unwrap()).await.unwrap();
            for _ in 0..rows {
                function.predict(&[Value::Integer(1)]).await.unwrap();
            }
            function.close().await.unwrap();
        }
        let sent = server.requests().into_iter();
        let sent: Vec<_> = sent
            .map(|request| (request.sequence_start, request.sequence_end))
            .collect();
        assert_eq!(sent, expected, "{flags:?}");
    }
}

// Holds S24.
#[tokio::test]
async fn a_sequence_that_begins_anew_after_a_restart_of_the_engine_is_marked() {
    let server = EmbeddedTriton::start().unwrap();
    let opened = async |attempt| {
        let options = options(&server.endpoint(), "accumulate", &STATIC);
        let function = InferenceFunction::new(options, accumulate_schema()).unwrap();
        let function = function.for_engine_without_state();
        let subtask = Subtask::new(0, 1, attempt).unwrap();
        function.open(subtask).await.unwrap();
        let mut marks = Vec::new();
        for _ in 0..2 {
            let answer = function.predict(&[Value::Integer(1)]).await.unwrap();
            marks.push(answer.sequence_restarted);
        }
        function.close().await.unwrap();
        marks
    };
    assert_eq!(opened(0).await, [false, false]);
    assert_eq!(opened(1).await, [true, false]);
}
