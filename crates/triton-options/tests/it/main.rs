//! The crate as its users see it: every message and every generated page.

use triton_options::{OptionMap, SEQUENCE_ID, SequenceBase, TritonOptions, render};

fn message(options: &[(&str, &str)]) -> String {
    TritonOptions::parse(options.iter().copied())
        .expect_err("must be refused")
        .to_string()
}

#[test]
fn generated_pages() {
    for page in render::pages() {
        insta::assert_snapshot!(page.file_name, page.text);
    }
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
        ("endpoint", "ftp://user:secret@triton"),
        ("model-name", "a b"),
        ("model-version", "newest"),
        ("timeout", "soon"),
        ("sequence-id-auto-increment", "yes"),
        ("Sequence_Id", "job"),
        ("batch-colour", "green"),
    ];
    insta::assert_snapshot!(message(&options), @"
    7 problems in the options:
      - option 'endpoint': expected the http or https address of a Triton server, such as 'http://localhost:8000', found '(hidden)@triton'
      - option 'model-name': expected the model's name, made of ASCII letters, digits and any of -_.~!$&'()*+,;=:@, found 'a b'
      - option 'model-version': expected 'latest' or a version number such as '3', found 'newest'
      - option 'timeout': expected a duration such as '30 s', '100 ms' or '1 min' (a bare number is milliseconds), found 'soon'
      - option 'sequence-id-auto-increment': expected true or false, found 'yes'
      - unknown option 'Sequence_Id'; did you mean 'sequence-id'?
      - unknown option 'batch-colour'
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

#[test]
fn the_text_of_sequence_id_names_the_limits_in_force() {
    let text = format!("{:?}", SEQUENCE_ID.definition().description());
    for limit in [
        triton_options::MAX_SEQUENCE_ID_BYTES,
        SequenceBase::MAX_BYTES,
    ] {
        assert!(text.contains(&format!("at most {limit} bytes")), "{text}");
    }
}
