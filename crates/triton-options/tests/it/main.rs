//! The crate as its users see it: every message. Generated pages are held by `cargo xtask docs --check`.

use std::collections::BTreeSet;

use proptest::prelude::*;
use triton_options::{
    CATALOG, OptionDefinition, OptionMap, SEQUENCE_ID, SequenceBase, TritonOptions,
};

fn message(options: &[(&str, &str)]) -> String {
    TritonOptions::parse(options.iter().copied())
        .expect_err("must be refused")
        .to_string()
}

#[test]
fn nothing_given() {
    insta::assert_snapshot!(message(&[]), @"
    2 problems in the options:
      - option 'endpoint' is required: set it to the http or https address of a Triton server, such as 'http://localhost:8000'
      - option 'model-name' is required: set it to the model's name, made of ASCII letters, digits and any of -_.~!$&'()*+,;=:@
    ");
}

#[test]
fn every_problem_is_reported_at_once() {
    let options = [
        ("endpoint", "ftp://user:canary@triton"),
        ("model-version", "newest"),
        ("timeout", "soon"),
        ("auth-token", "canary\ncanary"),
        ("sequence-id-auto-increment", "yes"),
        ("Max_Retrys", "3"),
        ("batch-colour", "green"),
    ];
    let message = message(&options);
    assert!(!message.contains("canary"), "{message}");
    insta::assert_snapshot!(message, @"
    8 problems in the options:
      - option 'endpoint': expected the http or https address of a Triton server, such as 'http://localhost:8000', found 'ftp://(hidden)@triton/'
      - option 'model-name' is required: set it to the model's name, made of ASCII letters, digits and any of -_.~!$&'()*+,;=:@
      - option 'model-version': expected 'latest' or a version number such as '3', found 'newest'
      - option 'timeout': expected a duration longer than zero such as '30 s', '100 ms' or '1 min', found 'soon'
      - option 'sequence-id-auto-increment': expected true or false, found 'yes'
      - option 'auth-token': expected a text of printable ASCII, not empty, found (hidden)
      - unknown option 'Max_Retrys'; did you mean 'max-retries'?
      - unknown option 'batch-colour'
    ");
}

#[test]
fn a_secret_in_the_wrong_place_is_hidden_there_too() {
    let options = [
        ("endpoint", "http://user:12/canary@triton"),
        ("model-name", "http://user:canary@triton"),
        ("timeout", "http://user:canary@triton"),
        ("auth-token:canary", ""),
        ("http://user:canary@triton", ""),
        ("a\nb", ""),
    ];
    let errors = TritonOptions::parse(options).expect_err("must be refused");
    assert!(!format!("{errors:?}").contains("canary"), "{errors:?}");
    insta::assert_snapshot!(errors, @r"
    6 problems in the options:
      - option 'endpoint': expected the http or https address of a Triton server, such as 'http://localhost:8000', without an '@' behind the host: in a user name or a password write '/' as %2F and '\' as %5C, and in a path '@' as %40, found (hidden)
      - option 'model-name': expected the model's name, made of ASCII letters, digits and any of -_.~!$&'()*+,;=:@, found 'http://(hidden)@triton/'
      - option 'timeout': expected a duration longer than zero such as '30 s', '100 ms' or '1 min', found 'http://(hidden)@triton/'
      - unknown option 'a\nb'
      - unknown option 'auth-token:(hidden)'
      - unknown option '(hidden)'
    ");
}

#[test]
fn rules_are_checked_beside_malformed_values() {
    let options = [
        ("endpoint", "triton:8000"),
        ("model-name", "m"),
        ("timeout", "soon"),
        ("sequence-id-auto-increment", "true"),
        ("max-retries", "1"),
        ("retry-max-backoff", "1 ms"),
    ];
    insta::assert_snapshot!(message(&options), @"
    3 problems in the options:
      - option 'timeout': expected a duration longer than zero such as '30 s', '100 ms' or '1 min', found 'soon'
      - option 'retry-max-backoff' (1 ms) is shorter than 'retry-initial-backoff' (100 ms): the longest wait cannot be shorter than the first
      - option 'sequence-id-auto-increment' is true but 'sequence-id' is not set: set 'sequence-id' to the text that every generated ID begins with, for example 'my-job'
    ");
}

#[test]
fn a_value_is_shown_escaped_and_cut() {
    let long = format!("line\nbreak{}", "x".repeat(500));
    let options = [
        ("endpoint", "localhost:8000"),
        ("model-name", long.as_str()),
    ];
    insta::assert_snapshot!(message(&options), @r"option 'model-name': expected the model's name, made of ASCII letters, digits and any of -_.~!$&'()*+,;=:@, found 'line\nbreakxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…' (510 bytes)");
}

#[test]
fn the_debug_form_of_a_map_hides_what_may_be_secret() {
    let map = OptionMap::new()
        .with("endpoint", "http://user:canary@triton:8000")
        .with("pasword", "canary");
    let shown = format!("{map:?}");
    assert!(!shown.contains("canary"), "{shown}");
}

/// Text that every type refuses, where there is any, and what is said then.
#[test]
fn every_type_says_what_it_expects() {
    // Once for each type, so that an option of a type that is there changes nothing.
    let refused = |definition: &&OptionDefinition| definition.canonical("\0").err();
    let messages = CATALOG.iter().filter_map(refused);
    let messages: BTreeSet<_> = messages.map(|invalid| invalid.to_string()).collect();
    let messages: Vec<_> = messages.into_iter().collect();
    insta::assert_snapshot!(messages.join("\n"), @"
    expected 'ZERO', 'EPOCH_MILLIS' or 'NANO_TIME'
    expected 'auto', 'binary' or 'json'
    expected 'auto', 'mark' or 'new'
    expected 'auto', 'text' or 'number'
    expected 'balance' or 'hash'
    expected 'fail' or 'restart'
    expected 'fail', 'default' or 'column'
    expected 'fail', 'restart' or 'replay'
    expected 'gzip' or 'deflate'
    expected 'latest' or a version number such as '3'
    expected 'move' or 'stay'
    expected 'refuse' or 'stream'
    expected 'static' or 'dns'
    expected 'subtask' or 'run'
    expected 'wait' or 'end'
    expected a DNS name such as 'triton.example'
    expected a duration longer than zero such as '30 s', '100 ms' or '1 min'
    expected a duration such as '30 s', '100 ms' or '1 min'
    expected a number above 0 and up to 1, such as '0.5'
    expected a size of memory such as '64 mb' or '1 gb'
    expected a size of memory such as '64 mb' or '1 gb', or '0' for none
    expected a text of printable ASCII, not empty
    expected a whole number from 0 to 18446744073709551615
    expected a whole number from 0 to 4294967295
    expected a whole number from 1 to 4294967295
    expected a whole number from 1 to 4294967295, or 'auto'
    expected headers such as 'X-A:1,X-B:2', a value with commas in single or double quotes
    expected pairs of names such as 'column:NAME,other:NAME', no name twice on either side
    expected the http or https address of a Triton server, such as 'http://localhost:8000'
    expected the http, https, socks5 or socks5h address of a proxy, such as 'http://proxy:3128'
    expected the model's name, made of ASCII letters, digits and any of -_.~!$&'()*+,;=:@
    expected the path of a file
    expected true or false
    ");
}

#[test]
fn the_text_of_sequence_id_names_the_limits_in_force() {
    let text = format!("{:?}", SEQUENCE_ID.definition().description());
    for limit in [
        triton_options::MAX_SEQUENCE_ID_BYTES,
        SequenceBase::MAX_BYTES,
    ] {
        assert!(text.contains(&format!("at most {limit} bytes")), "{text}");
    }
    let in_run = SequenceBase::MAX_BYTES_IN_RUN;
    assert!(text.contains(&format!("or {in_run} where")), "{text}");
}

#[test]
fn a_number_without_a_unit_has_one_in_flink_alone() {
    let map: OptionMap = [
        ("endpoint", "localhost:8000"),
        ("model-name", "m"),
        ("timeout", "3"),
        ("batch-timeout", "0"),
        ("response-limit", "4096"),
        ("max-retries", "2"),
    ]
    .into_iter()
    .collect();
    insta::assert_snapshot!(map.parse().expect_err("must be refused"), @"
    2 problems in the options:
      - option 'timeout': expected a duration with its unit: '3 s' or '3 ms', found '3'
      - option 'response-limit': expected a size of memory with its unit: '4096 mb' or '4096 b', found '4096'
    ");
    let options = map.with_flink_units().parse().unwrap();
    assert_eq!(options.timeout.get().as_millis(), 3);
    assert_eq!(options.response_limit.bytes(), 4096);
    assert_eq!(
        (options.batch_timeout.as_nanos(), options.max_retries),
        (0, 2)
    );
}

/// Text with every sign that has a meaning in a map.
fn odd_text() -> impl Strategy<Value = String> {
    "[a-c:,'\"= \u{e9}\\\\@]{0,6}"
}

proptest! {
    #[test]
    fn a_map_in_its_canonical_form_is_read_back(
        pairs in proptest::collection::btree_map(odd_text(), odd_text(), 0..4),
    ) {
        let table = serde_json::to_string(&pairs).unwrap();
        for definition in CATALOG.iter().filter(|definition| definition.type_name == "Map") {
            let json = format!(r#"{{"endpoint": "t", "model-name": "m", "{}": {table}}}"#, definition.key);
            let map: OptionMap = serde_json::from_str(&json).unwrap();
            let text = map.iter().find(|(key, _)| *key == definition.key).unwrap().1;
            // What is secret has no form that could be read.
            if let Ok(canonical) = definition.canonical(text)
                && !definition.is_secret()
            {
                prop_assert_eq!(definition.canonical(&canonical), Ok(canonical.clone()));
            }
            let Ok(options) = map.parse() else { continue };
            let found: std::collections::BTreeMap<String, String> = match definition.key {
                "input-names" => names(options.input_names.as_ref()),
                "output-names" => names(options.output_names.as_ref()),
                "sequence-history-columns" => names(options.sequence_history_columns.as_ref()),
                "custom-headers" => {
                    let headers = options.custom_headers.as_ref();
                    let headers = headers.into_iter().flat_map(|headers| headers.iter());
                    headers.map(|(name, value)| (name.to_owned(), value.expose().to_owned())).collect()
                }
                other => panic!("option '{other}' is a map and not looked at"),
            };
            prop_assert_eq!(&found, &pairs);
        }
    }
}

fn names(names: Option<&triton_options::NameMap>) -> std::collections::BTreeMap<String, String> {
    let names = names.into_iter().flat_map(triton_options::NameMap::iter);
    names
        .map(|(column, name)| (column.to_owned(), name.to_owned()))
        .collect()
}
