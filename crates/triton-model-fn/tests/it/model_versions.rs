//! A sequence stays with the version of the model that began it, where the options say so.

use triton_embedded::{EmbeddedTriton, Fault, FaultScript, RestrictedApi};

use crate::replicas::{Keys, endpoint};

const STAY: [(&str, &str); 2] = [
    ("sequence-model-version", "stay"),
    ("sequence-recovery", "replay"),
];

fn paths(server: &EmbeddedTriton) -> Vec<String> {
    let requests = server.requests().into_iter();
    requests.map(|request| request.path).collect()
}

const LATEST: &str = "/v2/models/accumulate/infer";
const FIRST: &str = "/v2/models/accumulate/versions/1/infer";

// Holds S73.
#[tokio::test]
async fn a_sequence_stays_with_the_version_that_answered_its_first_row() {
    let server = EmbeddedTriton::start().unwrap();
    let mut keys = Keys::open_in(&server.endpoint(), 1, &STAY, 0, 1).await;
    for last in [false, false, true] {
        keys.next_whole(last).await;
    }
    assert_eq!(paths(&server), [LATEST, FIRST, FIRST]);
}

// Holds S74.
#[tokio::test]
async fn a_sequence_whose_version_is_dropped_is_rebuilt_on_the_one_there_is() {
    let dropped = Fault::Status {
        status: 404,
        text: "Request for unknown model: 'accumulate' version 1 is not found".to_owned(),
    };
    let server = EmbeddedTriton::builder()
        .built_in_models()
        .faults(FaultScript::new(0).model_request("accumulate", 3, dropped))
        .start()
        .unwrap();
    let mut keys = Keys::open_in(&server.endpoint(), 1, &STAY, 0, 1).await;
    for _ in 0..4 {
        keys.next_whole(false).await;
    }
    let paths = paths(&server);
    // The replay begins at whatever version there is, and then stays with that one.
    assert_eq!(
        paths,
        [LATEST, FIRST, FIRST, LATEST, FIRST, FIRST, FIRST],
        "{paths:?}"
    );
}

// Holds F83, S74.
#[tokio::test]
async fn a_server_that_has_dropped_a_version_takes_sequences_all_the_same() {
    let dropped = Fault::Status {
        status: 404,
        text: "Request for unknown model: 'accumulate' version 1 is not found".to_owned(),
    };
    let start = |faults| {
        // Nobody hears of it that it is ready, so one that is ejected stays so.
        EmbeddedTriton::builder()
            .built_in_models()
            .restrict(RestrictedApi::Health, "Admin", "secret")
            .faults(faults)
            .start()
            .unwrap()
    };
    let servers = [
        start(FaultScript::new(0).model_request("accumulate", 2, dropped)),
        start(FaultScript::new(0)),
    ];
    let mut keys = Keys::open(&endpoint(&servers), 4, &STAY).await;
    for last in [false, false, true] {
        keys.next_whole(last).await;
    }
    let is_start = |path: &&String| *path == LATEST;
    let begun = |server| paths(server).iter().filter(is_start).count();
    assert_eq!(begun(&servers[0]) + begun(&servers[1]), 5, "one is rebuilt");
    let before = begun(&servers[0]);
    let mut others = Keys::open(&endpoint(&servers), 4, &STAY).await;
    others.next_whole(true).await;
    assert_eq!(begun(&servers[0]) - before, 2);
}

#[tokio::test]
async fn a_sequence_goes_to_the_latest_version_unless_told_otherwise() {
    let server = EmbeddedTriton::start().unwrap();
    let mut keys = Keys::open_in(&server.endpoint(), 1, &[], 0, 1).await;
    for last in [false, true] {
        keys.next_whole(last).await;
    }
    assert_eq!(paths(&server), [LATEST, LATEST]);
}
