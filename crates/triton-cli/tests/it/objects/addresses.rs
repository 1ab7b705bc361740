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
    insta::assert_snapshot!(said("s3://data/none.csv", &[]), @"
    exit code 2
    error: s3://data/none.csv: the store answers 404 NoSuchKey (The specified key does not exist): check the address
    ");
    insta::assert_snapshot!(said("s3://none/in.csv", &[]), @"
    exit code 2
    error: s3://none/in.csv: the store answers 404 NoSuchBucket (The specified bucket does not exist): check the bucket, AWS_ENDPOINT_URL and AWS_REGION
    ");
    insta::assert_snapshot!(said("s3://data/none/", &[]), @"
    exit code 2
    error: s3://data/none/: no object in this folder has a name by which its format is known, such as .csv or .parquet; --input-format says it of all
    ");
    insta::assert_snapshot!(said("s3://data/*.parquet", &[]), @"
    exit code 2
    error: no object matches the pattern 's3://data/*.parquet'
    ");
    insta::assert_snapshot!(said("s3://data", &[]), @"
    exit code 2
    error: s3://data: this is all of the bucket: name an object, or end it with / for all
    ");
    insta::assert_snapshot!(said("s3://data/a//b.csv", &[]), @r#"
    exit code 2
    error: s3://data/a//b.csv: this cannot be the name of an object
      caused by: Path "a//b.csv" contained empty path segment
    "#);
    insta::assert_snapshot!(said("s3://data/in.csv", &["-o", "s3://none/out.csv"]), @"
    exit code 2
    error: the output cannot be written
      caused by: s3://none/out.csv: the store answers 404 NoSuchBucket (The specified bucket does not exist): check the bucket, AWS_ENDPOINT_URL and AWS_REGION
    ");
    let address = format!("{}/{BUCKET}/none.csv?canary", store.endpoint);
    insta::assert_snapshot!(said(&address, &[]).replace(&store.endpoint, "http://server"), @"
    exit code 2
    error: http://server/data/none.csv?(hidden): the store answers 404 NoSuchKey (The specified key does not exist): check the address
    ");
}

// Holds C47.
#[test]
fn who_is_not_let_in_is_told_what_to_check() {
    let store = Store::start_with_locks();
    let environment = store.environment();
    insta::assert_snapshot!(said(&environment, "s3://data/in.csv", &[]), @"
    exit code 2
    error: s3://data/in.csv: the store answers 403 InvalidAccessKeyId (The AWS Access Key Id you provided does not exist in our records): check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN and AWS_REGION, and what they allow there
    ");
    let mut unknown = environment.clone();
    unknown.retain(|(name, _)| !name.contains("_KEY"));
    unknown.push(("AWS_EC2_METADATA_DISABLED", "true".to_owned()));
    insta::assert_snapshot!(said(&unknown, "s3://data/in.csv", &[]), @r#"
    exit code 2
    error: s3://data/in.csv: there are no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (those of a profile come with eval "$(aws configure export-credentials --format env)"), or AWS_SKIP_SIGNATURE=true for what everybody may read
    "#);
    let mut open = environment.clone();
    open.retain(|(name, _)| *name != "AWS_ALLOW_HTTP");
    insta::assert_snapshot!(said(&open, "s3://data/in.csv", &[]), @"
    exit code 2
    error: s3://data/in.csv: AWS_ENDPOINT_URL is an address of http, which keeps nothing secret: set AWS_ALLOW_HTTP=true where that is meant, or use https
    ");
    let nobody = Store::environment_of("http://127.0.0.1:9");
    insta::assert_snapshot!(said(&nobody, "s3://data/in.csv", &[]), @"
    exit code 2
    error: s3://data/in.csv: the connection to the store failed: Connection refused (os error 111); check the network, AWS_ENDPOINT_URL and AWS_REGION
    ");
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
    insta::assert_snapshot!(said(&["-o", "s3://data/out.csv", "--checkpoint", &checkpoint]), @"
    exit code 2
    error: --checkpoint: s3://data/out.csv is an object of a store, which appears when it is whole and cannot be written on: name a file for --output, and copy it when the run is over
    ");
    insta::assert_snapshot!(said(&["-o", "s3://data/in.csv"]), @"
    exit code 2
    error: --output s3://data/in.csv is the input s3://data/in.csv: the run would write over what it reads; name another file
    ");
    insta::assert_snapshot!(said(&["-o", "https://host/out.csv"]), @"
    exit code 2
    error: --output https://host/out.csv: what is at an address of a web server is only read: name a file, or an object of s3://, gs:// or az://
    ");
    insta::assert_snapshot!(said(&["--errors", "s3://data/errors.ndjson"]), @"
    exit code 2
    error: --errors s3://data/errors.ndjson: only inputs and --output can be objects of a store; name a file of this machine
    ");
    insta::assert_snapshot!(said(&["--json-summary=gs://data/summary.json"]), @"
    exit code 2
    error: --json-summary=gs://data/summary.json: only inputs and --output can be objects of a store; name a file of this machine
    ");
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
    insta::assert_snapshot!(said(&google, "gs://bucket/a/in.csv", &[]), @"
    exit code 2
    error: gs://bucket/a/in.csv: the store answers 404 Gone (Once): check the address
    ");
    let azure = vec![
        ("AZURE_STORAGE_ACCOUNT", "account".to_owned()),
        ("AZURE_STORAGE_KEY", "Y2FuYXJ5".to_owned()),
        ("AZURE_STORAGE_ENDPOINT", server.endpoint.clone()),
        ("AZURE_ALLOW_HTTP", "true".to_owned()),
    ];
    insta::assert_snapshot!(said(&azure, "az://container/a/in.csv", &[]), @"
    exit code 2
    error: az://container/a/in.csv: the store answers 404 Gone (Once): check the address
    ");
    insta::assert_debug_snapshot!(server.paths(), @r#"
    [
        "/bucket/a%2Fin%2Ecsv",
        "/container/a/in.csv",
    ]
    "#);
}
