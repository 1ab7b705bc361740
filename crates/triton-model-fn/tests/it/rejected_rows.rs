//! What is said of a row that no recovery brought through.

use triton_embedded::{Fault, FaultScript};
use triton_model_fn::ModelFunction as _;
use triton_test_support::EmbeddedTriton;

use crate::keyed::{Place, Stateful, keyed_options};
use crate::open;

// Holds S37.
#[tokio::test]
async fn the_reason_says_how_often_it_was_sent_and_which_row_it_is() {
    // Three rows are answered, and then no answer comes any more.
    let faults = (4..100).fold(FaultScript::new(0), |script, number| {
        script.request(number, Fault::ResetAfter)
    });
    let server = EmbeddedTriton::builder()
        .built_in_models()
        .faults(faults)
        .start()
        .unwrap();
    let model = Stateful::Accumulate;
    let extra = [
        ("sequence-recovery", "replay"),
        ("max-retries", "25"),
        ("retry-initial-backoff", "1 ms"),
        ("retry-max-backoff", "2 ms"),
    ];
    let options = keyed_options(&server.endpoint(), model, &extra);
    let function = open(options, model.schema(), 0, 1).await;
    let predict = async |row| {
        let row = model.row(Place { key: 1, row });
        function.predict(&row).await
    };
    for row in 0..3 {
        predict(row).await.unwrap();
    }
    let error = predict(3).await.unwrap_err();
    let sendings = server.requests().len() - 3;
    let text = error.to_string();
    assert!(
        !text.contains("was not sent again")
            && text.contains("its sequence was recovered ")
            && text.contains(" rows sent again")
            && error.sequence_row() == Some(3),
        "after {sendings} sendings: {text}"
    );
}
