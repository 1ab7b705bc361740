//! Addresses that lead nowhere, and stores that refuse: named, with what the store said and what to do.

use super::ECHO;
use super::store::{BUCKET, Store, predict};
use crate::{Files, small_server};

/// What a run over an address says, and with which code it ends.
fn said(environment: &[(&'static str, String)], input: &str, more: &[&str]) -> String {
    let files = Files::new();
    let model = files.write("model.sql", ECHO);
    let run = predict(environment, &[&[&*model, input], more].concat());
    files.relative(&run.said())
}

// Holds C46.
#[test]
fn what_is_not_there_is_named() {
    let store = Store::start();
    let environment = store.environment();
    store.put("in.csv", b"value\n[1]\n");
    let said = |input: &str, more: &[&str]| said(&environment, input, more);
    insta::assert_snapshot!(said("s3://data/none.csv", &[]), @"");
    insta::assert_snapshot!(said("s3://none/in.csv", &[]), @"");
    insta::assert_snapshot!(said("s3://data/none/", &[]), @"");
    insta::assert_snapshot!(said("s3://data/*.parquet", &[]), @"");
    insta::assert_snapshot!(said("s3://data", &[]), @"");
    insta::assert_snapshot!(said("s3://data/a//b.csv", &[]), @"");
    insta::assert_snapshot!(said("s3://data/in.csv", &["-o", "s3://none/out.csv"]), @"");
    let address = format!("{}/{BUCKET}/none.csv?canary", store.endpoint);
    insta::assert_snapshot!(said(&address, &[]).replace(&store.endpoint, "http://server"), @"");
}

// Holds C47.
#[test]
fn who_is_not_let_in_is_told_what_to_check() {
    let store = Store::start_with_locks();
    let environment = store.environment();
    insta::assert_snapshot!(said(&environment, "s3://data/in.csv", &[]), @"");
    let mut unknown = environment.clone();
    unknown.retain(|(name, _)| !name.contains("_KEY"));
    unknown.push(("AWS_EC2_METADATA_DISABLED", "true".to_owned()));
    insta::assert_snapshot!(said(&unknown, "s3://data/in.csv", &[]), @"");
    let mut open = environment.clone();
    open.retain(|(name, _)| *name != "AWS_ALLOW_HTTP");
    insta::assert_snapshot!(said(&open, "s3://data/in.csv", &[]), @"");
    let nobody = Store::environment_of("http://127.0.0.1:9");
    insta::assert_snapshot!(said(&nobody, "s3://data/in.csv", &[]), @"");
}

// Holds C48.
#[test]
fn what_an_object_cannot_be_is_refused() {
    let store = Store::start();
    store.put("in.csv", b"value\n[1]\n");
    let files = Files::new();
    let checkpoint = files.path("checkpoint");
    let environment = store.environment();
    let said = |more: &[&str]| said(&environment, "s3://data/in.csv", more);
    insta::assert_snapshot!(said(&["-o", "s3://data/out.csv", "--checkpoint", &checkpoint]), @"");
    insta::assert_snapshot!(said(&["-o", "s3://data/in.csv"]), @"");
    insta::assert_snapshot!(said(&["-o", "https://host/out.csv"]), @"");
    insta::assert_snapshot!(said(&["--errors", "s3://data/errors.ndjson"]), @"");
    insta::assert_snapshot!(said(&["--json-summary=gs://data/summary.json"]), @"");
    assert_eq!(store.get("out.csv"), None);
}

/// Google's and Azure's stores are asked where they should be, with what the environment has.
// Holds C49.
#[test]
fn other_stores_are_asked_in_their_own_way() {
    let server = small_server::SmallServer::start(|_, _| {
        let body = "<?xml version='1.0'?><Error><Code>Gone</Code><Message>Once.</Message></Error>";
        small_server::Answer::new(404, body)
    });
    let files = Files::new();
    let account = files.write(
        "account.json",
        &format!(
            r#"{{"gcs_base_url":"{}","disable_oauth":true,"client_email":"","private_key":"","private_key_id":""}}"#,
            server.endpoint
        ),
    );
    let google = vec![
        ("GOOGLE_SERVICE_ACCOUNT", account),
        ("GOOGLE_ALLOW_HTTP", "true".to_owned()),
    ];
    insta::assert_snapshot!(said(&google, "gs://bucket/a/in.csv", &[]), @"");
    let azure = vec![
        ("AZURE_STORAGE_ACCOUNT", "account".to_owned()),
        ("AZURE_STORAGE_KEY", "Y2FuYXJ5".to_owned()),
        ("AZURE_STORAGE_ENDPOINT", server.endpoint.clone()),
        ("AZURE_ALLOW_HTTP", "true".to_owned()),
    ];
    insta::assert_snapshot!(said(&azure, "az://container/a/in.csv", &[]), @"");
    insta::assert_debug_snapshot!(server.paths(), @"");
}
