//! Every row of the protocol that a client can meet, by one code path on both servers.

mod controls;
mod describing;
mod embedded_models;
mod generation;
mod inference;
mod managing;
mod older_servers;
mod refusals;
mod sequences;
pub(crate) mod target;
pub(crate) mod tensors;

use std::collections::BTreeMap;
use std::pin::Pin;

use tokio::sync::OnceCell;
use triton_test_support::TritonVersion;

use target::{Kind, Target};

/// One row of the table.
pub(crate) struct Case {
    name: &'static str,
    run: fn(Target) -> Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// Makes a list of cases of functions that take a [`Target`]; their names are the rows' names.
macro_rules! cases {
    ($($function:ident),+ $(,)?) => {
        pub(super) const CASES: &[crate::conformance::Case] = &[$(
            crate::conformance::Case::new(stringify!($function), |target| {
                Box::pin($function(target))
            }),
        )+];
    };
}
pub(crate) use cases;

impl Case {
    pub(crate) const fn new(
        name: &'static str,
        run: fn(Target) -> Pin<Box<dyn Future<Output = ()> + Send>>,
    ) -> Self {
        Self { name, run }
    }
}

/// What the embedded server does not do, or does otherwise, and why. A row that is listed and
/// passes all the same makes the test fail, so that the list stays true.
const EMBEDDED_DIFFERS: &[(&str, &str)] = &[
    ("configuration_of_a_decoupled_model", ONE_RESPONSE),
    ("many_responses_where_one_is_wanted", ONE_RESPONSE),
    ("a_stream_brings_one_response_after_another", ONE_RESPONSE),
    ("a_stream_may_fail_midway", ONE_RESPONSE),
    ("a_stream_can_be_dropped", ONE_RESPONSE),
    ("a_decoupled_model", ONE_RESPONSE),
    (
        "a_server_side_timeout_reaches_the_model_in_microseconds",
        "its models are not told the timeout",
    ),
    (
        "a_model_is_loaded_from_files_in_the_request",
        "it has no Python to run a file with",
    ),
    ("system_shared_memory_is_listed", NO_SHARED_MEMORY),
    ("an_unknown_region_has_no_status", NO_SHARED_MEMORY),
    ("a_region_that_cannot_be_opened", NO_SHARED_MEMORY),
    ("a_region_is_registered_once", NO_SHARED_MEMORY),
    ("an_unknown_region_may_be_unregistered", NO_SHARED_MEMORY),
    ("cuda_shared_memory_is_listed", NO_SHARED_MEMORY),
    ("cuda_shared_memory_is_unregistered", NO_SHARED_MEMORY),
];

const ONE_RESPONSE: &str = "its models have one response to a request";
const NO_SHARED_MEMORY: &str = "it answers 501 to all of shared memory";

fn all_cases() -> impl Iterator<Item = &'static Case> {
    [
        describing::CASES,
        inference::CASES,
        tensors::CASES,
        controls::CASES,
        sequences::CASES,
        generation::CASES,
        managing::CASES,
        refusals::CASES,
    ]
    .into_iter()
    .flatten()
}

/// The failures by the name of their row, of those that are `asked` for.
async fn outcomes(target: Target, asked: impl Fn(&Case) -> bool) -> BTreeMap<&'static str, String> {
    let mut failures = BTreeMap::new();
    for case in all_cases().filter(|case| asked(case)) {
        failures.extend(outcome(case, target.clone()).await);
    }
    failures
}

/// The failure of a row, if it fails.
async fn outcome(case: &Case, target: Target) -> Option<(&'static str, String)> {
    // A task of its own turns the panic of a failed assertion into a value.
    let error = tokio::spawn((case.run)(target)).await.err()?;
    let panic = error.into_panic();
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
    Some((case.name, text.unwrap_or_else(|| "panicked".to_owned())))
}

static ON_LIVE: OnceCell<BTreeMap<&str, String>> = OnceCell::const_new();
static ON_MLSERVER: OnceCell<BTreeMap<&str, String>> = OnceCell::const_new();
static ON_KSERVE: OnceCell<BTreeMap<&str, String>> = OnceCell::const_new();

/// The failures on a real Triton, which is asked once for all tests.
async fn on_live() -> &'static BTreeMap<&'static str, String> {
    let ask = async || {
        let endpoint = triton_test_support::live_endpoint();
        let version = TritonVersion::of_live_tests();
        let target = Target::new(Kind::Live, &endpoint).await;
        outcomes(target, |case| {
            older_servers::fatal(case.name, version).is_none()
        })
        .await
    };
    ON_LIVE.get_or_init(ask).await
}

/// The failures on MLServer and on KServe's own server: rows of which these have no part. They are
/// asked once for all tests.
async fn on_others() -> [&'static BTreeMap<&'static str, String>; 2] {
    [
        ON_MLSERVER.get_or_init(|| on_other("MLSERVER")).await,
        ON_KSERVE.get_or_init(|| on_other("KSERVE")).await,
    ]
}

async fn on_other(kind: &str) -> BTreeMap<&'static str, String> {
    let endpoint = triton_test_support::other_endpoint(kind);
    let mut failures = BTreeMap::new();
    for case in all_cases() {
        // With connections of its own: MLServer closes one after a request that it cannot read,
        // which the next row would meet.
        let target = Target::new(Kind::Other, &endpoint).await;
        failures.extend(outcome(case, target).await);
    }
    failures
}

/// What the servers of other kinds have of the protocol. They have neither Triton's extensions nor
/// its test models, so the list is of what works, and whoever breaks that sees it here.
#[tokio::test]
async fn servers_of_other_kinds_keep_to_their_part_of_the_protocol() {
    let passed = |failures: &BTreeMap<_, _>| {
        let names = all_cases().map(|case| case.name);
        let passed: Vec<_> = names.filter(|name| !failures.contains_key(name)).collect();
        passed.join("\n")
    };
    let [on_mlserver, on_kserve] = on_others().await;
    insta::assert_snapshot!(passed(on_mlserver), @"
    live
    ready
    a_model_is_ready
    an_unknown_model_is_not_ready
    an_unknown_version_is_not_ready
    metadata_of_an_unknown_version
    configuration_of_an_unknown_model
    an_id_is_echoed
    an_id_that_is_absent_is_made
    a_batch_is_answered_whole
    a_gzip_request
    a_gzip_answer
    a_deflate_answer
    a_small_answer_may_stay_uncompressed
    fp16_is_never_sent_as_json
    byte_strings_that_are_no_text_are_not_sent_as_json
    an_image_of_150528_numbers_in_json
    floats_that_are_hard_to_read_in_json
    a_priority_is_taken
    a_header_can_be_sent_with_one_call
    a_header_can_be_sent_with_every_call
    a_deadline_of_nothing_ends_before_sending
    an_id_of_129_bytes_is_refused_before_sending
    an_id_with_nul_is_refused_before_sending
    generation_with_an_unknown_model
    generation_without_an_input
    a_stream_from_an_unknown_model
    files_without_a_configuration_are_refused_before_sending
    an_unknown_region_has_no_status
    a_region_that_no_path_can_name_is_refused_before_sending
    a_cuda_region_without_a_gpu
    inference_with_an_unknown_model
    inference_with_an_unknown_version
    an_answer_above_the_limit
    ");
    insta::assert_snapshot!(passed(on_kserve), @"
    live
    ready
    a_model_is_ready
    an_unknown_model_is_not_ready
    configuration_of_an_unknown_model
    an_id_is_echoed
    an_id_that_is_absent_is_made
    an_id_may_hold_anything
    a_batch_is_answered_whole
    a_gzip_answer
    a_deflate_answer
    a_small_answer_may_stay_uncompressed
    fp16_is_never_sent_as_json
    nan_and_infinities_in_binary
    byte_strings_that_are_no_text_are_not_sent_as_json
    an_image_of_150528_numbers_in_binary
    an_image_of_150528_numbers_in_json
    floats_that_are_hard_to_read_in_json
    tensors_are_lent_without_a_copy
    a_priority_is_taken
    a_header_can_be_sent_with_one_call
    a_header_can_be_sent_with_every_call
    a_deadline_of_nothing_ends_before_sending
    an_id_of_129_bytes_is_refused_before_sending
    an_id_with_nul_is_refused_before_sending
    generation_with_an_unknown_model
    a_stream_from_an_unknown_model
    files_without_a_configuration_are_refused_before_sending
    an_unknown_region_has_no_status
    a_region_that_no_path_can_name_is_refused_before_sending
    a_cuda_region_without_a_gpu
    inference_with_an_unknown_model
    an_unknown_output
    an_answer_above_the_limit
    ");
}

#[tokio::test]
async fn the_client_keeps_to_the_protocol_on_both_servers() {
    let embedded = triton_test_support::EmbeddedTriton::builder();
    let embedded = embedded_models::add_to(embedded.built_in_models())
        .start()
        .unwrap();
    let on_embedded = outcomes(
        Target::new(Kind::Embedded, &embedded.endpoint()).await,
        |_| true,
    )
    .await;
    let on_live = on_live().await;
    let [on_mlserver, on_kserve] = on_others().await;

    let differences: BTreeMap<_, _> = EMBEDDED_DIFFERS.iter().copied().collect();
    let mut problems = Vec::new();
    let mark = |failures: &BTreeMap<_, _>, name: &str| match failures.contains_key(name) {
        true => "FAIL",
        false => "pass",
    };
    let offered = |failures: &BTreeMap<_, _>, name: &str| match failures.contains_key(name) {
        true => "not offered",
        false => "pass",
    };
    println!("| case | embedded | Triton | MLServer | KServe |\n|---|---|---|---|---|");
    for case in all_cases() {
        let name = case.name;
        let embedded = match differences.get(name) {
            Some(reason) => format!("differs: {reason}"),
            None => mark(&on_embedded, name).to_owned(),
        };
        println!(
            "| {name} | {embedded} | {} | {} | {} |",
            mark(on_live, name),
            offered(on_mlserver, name),
            offered(on_kserve, name)
        );
        match (on_embedded.get(name), differences.contains_key(name)) {
            (Some(failure), false) => problems.push(format!("{name} (embedded): {failure}")),
            (None, true) => {
                problems.push(format!("{name} (embedded): listed as different, passes"));
            }
            _ => {}
        }
        if let Some(failure) = on_live.get(name) {
            problems.push(format!("{name} (Triton): {failure}"));
        }
    }
    let count = all_cases().count();
    println!("{count} cases, {} differences", differences.len());
    assert!(count >= 80);
    for name in differences.keys() {
        assert!(
            all_cases().any(|case| case.name == *name),
            "no case '{name}'"
        );
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}
