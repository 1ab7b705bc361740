//! The rows of the protocol that older releases of Triton do not have, or have otherwise.

use triton_test_support::TritonVersion;

use super::{all_cases, on_live};

/// What some releases have and others lack.
struct Feature {
    is_there: fn(TritonVersion) -> bool,
    /// What releases without it do.
    otherwise: &'static str,
    /// The rows that need it. Where it is lacking they must fail, so that the list stays true.
    cases: &'static [&'static str],
}

const FEATURES: &[Feature] = &[
    Feature {
        is_there: TritonVersion::takes_text_ids,
        otherwise: "a text is no ID of a sequence for Python models",
        cases: &[
            "a_number_and_its_text_are_two_sequences",
            "an_id_of_128_bytes",
        ],
    },
    Feature {
        is_there: TritonVersion::has_statuses,
        otherwise: "every error is 400",
        cases: &[
            "metadata_of_an_unknown_model",
            "metadata_of_an_unknown_version",
            "configuration_of_an_unknown_model",
            "a_model_that_is_not_there_cannot_be_loaded",
            "an_unknown_region_has_no_status",
            "inference_with_an_unknown_model",
            "inference_with_an_unknown_version",
            "a_decoupled_model",
            "a_model_that_raises",
            "a_model_that_is_unavailable",
            "a_model_that_finds_nothing",
            "a_model_that_cannot_do_it",
            "a_model_that_says_what_servers_say",
        ],
    },
    Feature {
        is_there: TritonVersion::takes_any_number_as_parameter,
        otherwise: "a parameter is a whole number of 64 bits with a sign, or no number",
        cases: &[
            "parameters_of_every_scalar_reach_the_model",
            "a_parameter_beyond_64_bits_signed_reaches_the_model",
        ],
    },
    Feature {
        is_there: TritonVersion::tells_python_the_timeout,
        otherwise: "a Python model is told 0 as the time of a request",
        cases: &["a_server_side_timeout_reaches_the_model_in_microseconds"],
    },
    Feature {
        is_there: TritonVersion::has_bf16_in_python,
        otherwise: "Python models have no BF16",
        cases: &["bf16_in_binary"],
    },
    Feature {
        is_there: TritonVersion::generates_with_ids,
        otherwise: "an answer of `generate` has no ID",
        cases: &["a_generated_response_bears_the_id"],
    },
];

/// The rows that crash some releases, so that they are not asked for there.
const FATAL: &[Feature] = &[Feature {
    is_there: TritonVersion::survives_a_dropped_stream,
    otherwise: "not asked: a stream that its client gives up crashes the server",
    // The client gives up a stream that says an error, too.
    cases: &["a_stream_may_fail_midway", "a_stream_can_be_dropped"],
}];

/// Why a release would not survive a row; `None` for one that can be asked for.
pub(super) fn fatal(case: &str, version: TritonVersion) -> Option<&'static str> {
    let mut features = FATAL.iter();
    let feature =
        features.find(|feature| feature.cases.contains(&case) && !(feature.is_there)(version));
    feature.map(|feature| feature.otherwise)
}

/// Against the release that the run is about: see `cargo xtask test --triton`.
#[tokio::test]
async fn a_release_of_triton_keeps_to_the_protocol_but_for_what_it_lacks() {
    let version = TritonVersion::of_live_tests();
    let lacking = |case: &str| {
        let mut features = FEATURES.iter();
        features.find(|feature| feature.cases.contains(&case) && !(feature.is_there)(version))
    };
    let on_live = on_live().await;
    let mut problems = Vec::new();
    let mut otherwise = 0;
    for case in all_cases() {
        let name = case.name;
        if let Some(reason) = fatal(name, version) {
            println!("{name}: {reason}");
            continue;
        }
        match (on_live.get(name), lacking(name)) {
            (Some(failure), None) => problems.push(format!("{name}: {failure}")),
            (None, Some(_)) => problems.push(format!("{name}: listed as different, passes")),
            (Some(_), Some(feature)) => {
                println!("{name}: {}", feature.otherwise);
                otherwise += 1;
            }
            (None, None) => {}
        }
    }
    let count = all_cases().count();
    println!("{count} cases on Triton {version}, {otherwise} of them otherwise than today");
    for name in FEATURES
        .iter()
        .chain(FATAL)
        .flat_map(|feature| feature.cases)
    {
        let is_known = all_cases().any(|case| case.name == *name);
        assert!(is_known, "no case '{name}'");
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}
