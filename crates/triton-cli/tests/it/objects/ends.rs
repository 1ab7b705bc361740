//! However a run ends, an object is there as a whole or not at all, and its parts are given up.

use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use super::store::{BUCKET, SECRET, Store, Way, predict, predicting, way_to};
use super::{ECHO, long_rows};
use crate::{Files, Run};

const FAILED: &str = "the connection to the store failed: ";

const BEFORE: &[u8] = b"what was there before";

/// A run over some MB into an object, of which an earlier version is there.
fn run_by(store: &Store, endpoint: &str) -> Run {
    let files = Files::new();
    let model = files.write("model.sql", ECHO);
    let input = files.write("in.csv", &long_rows(1_000));
    store.put("out.csv", BEFORE);
    let output = format!("s3://{BUCKET}/out.csv");
    let run = predict(
        &Store::environment_of(endpoint),
        &[&model, &input, "-o", &output],
    );
    assert_eq!(store.get("out.csv").as_deref(), Some(BEFORE));
    run
}

// Holds C44.
#[test]
fn a_store_that_refuses_a_part_is_told_to_forget_the_others() {
    let store = Store::start();
    let endpoint = way_to(&store, |method, path| {
        match method == "PUT" && path.contains("partNumber=2") {
            true => Way::Answered(503),
            false => Way::On,
        }
    });
    let run = run_by(&store, &endpoint);
    assert_eq!(run.code, Some(2));
    assert_eq!(store.unfinished(), 0);
    insta::assert_snapshot!(without_counts(&run.stderr), @"
    the N rows answered so far are not kept: s3://data/out.csv is there as a whole or not at all
    error: the output cannot be written
      caused by: s3://data/out.csv: the store answers 503: it was asked several times in vain; try later
    ");
}

#[test]
fn a_store_that_goes_away_leaves_nothing_half_written() {
    let store = Store::start();
    let endpoint = way_to(&store, |method, path| {
        match method == "PUT" && path.contains("partNumber=2") {
            true => Way::Broken,
            false => Way::On,
        }
    });
    let run = run_by(&store, &endpoint);
    assert_eq!(run.code, Some(2));
    // Nobody could tell it.
    assert_eq!(store.unfinished(), 1);
    insta::assert_snapshot!(without_counts(&run.stderr), @"
    the N rows answered so far are not kept: s3://data/out.csv is there as a whole or not at all; the store could not be told to forget the parts that it has (the connection to the store failed: HOW; check the network, AWS_ENDPOINT_URL and AWS_REGION): they take space until its rule for uploads that are not complete removes them
    error: the output cannot be written
      caused by: s3://data/out.csv: the connection to the store failed: HOW; check the network, AWS_ENDPOINT_URL and AWS_REGION
    ");
}

#[test]
fn an_object_that_cannot_be_completed_is_not_there() {
    let store = Store::start();
    let endpoint = way_to(&store, |method, path| {
        match method == "POST" && path.contains("uploadId=") {
            true => Way::Answered(500),
            false => Way::On,
        }
    });
    let run = run_by(&store, &endpoint);
    assert_eq!(run.code, Some(2));
    assert_eq!(store.unfinished(), 0);
    insta::assert_snapshot!(without_counts(&run.stderr), @"
    the N rows answered so far are not kept: s3://data/out.csv is there as a whole or not at all
    error: the output cannot be written
      caused by: s3://data/out.csv: the store answers 500: it was asked several times in vain; try later
    ");
}

#[test]
fn a_run_that_is_killed_leaves_what_was_there_before() {
    let store = Store::start();
    let (sent, came) = mpsc::channel();
    let sent = Mutex::new(sent);
    let (release, released) = mpsc::channel::<()>();
    let released = Arc::new(Mutex::new(released));
    let endpoint = way_to(&store, move |method, path| {
        if method == "PUT" && path.contains("partNumber=2") {
            let _ = sent.lock().unwrap().send(());
            // Until the run is over.
            let _ = released.lock().unwrap().recv();
        }
        Way::On
    });
    let files = Files::new();
    let model = files.write("model.sql", ECHO);
    let input = files.write("in.csv", &long_rows(1_000));
    store.put("out.csv", BEFORE);
    let output = format!("s3://{BUCKET}/out.csv");
    let arguments = [&model, &input, "-o", &output, "--quiet"];
    let mut run = predicting(&Store::environment_of(&endpoint), &arguments)
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    came.recv().unwrap();
    run.kill().unwrap();
    run.wait().unwrap();
    drop(release);
    assert_eq!(store.get("out.csv").as_deref(), Some(BEFORE));
}

/// An input whose connection breaks is continued from where it broke, as often as it takes.
// Holds C45.
#[test]
fn an_input_that_breaks_off_is_read_on() {
    let store = Store::start();
    let files = Files::new();
    let model = files.write("model.sql", ECHO);
    let text = long_rows(600);
    let input = files.write("in.csv", &text);
    store.put("in.csv", text.as_bytes());
    let files_run = files.path("expected.csv");
    let run = store.predict(&[&model, &input, "-o", &files_run]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    // Some MB of every answer come, and not the rest.
    let endpoint = super::store::cutting(&store, 2_000_000);
    let output = files.path("out.csv");
    let from = format!("s3://{BUCKET}/in.csv");
    let environment = Store::environment_of(&endpoint);
    let run = predict(&environment, &[&model, &from, "-o", &output]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(std::fs::read(&output).unwrap() == std::fs::read(&files_run).unwrap());
    // One that brings nothing any more is an error.
    let endpoint = super::store::cutting(&store, 0);
    let environment = Store::environment_of(&endpoint);
    let run = predict(&environment, &[&model, &from, "-o", &output]);
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    insta::assert_snapshot!(run.stderr, @"error: s3://data/in.csv: the connection to the store failed: end of file before message length reached; check the network, AWS_ENDPOINT_URL and AWS_REGION");
    assert!(!run.stderr.contains(SECRET));
}

/// What differs from run to run is left out: how many rows there were, and how connections ended.
fn without_counts(text: &str) -> String {
    let (first, rest) = text.split_once(FAILED).unwrap_or((text, ""));
    if let Some((_, rest)) = rest.split_once("; check") {
        return format!(
            "{}{FAILED}HOW; check{}",
            without_counts(first),
            without_counts(rest)
        );
    }
    let words = text.split(' ').map(|word| match word.parse::<u64>() {
        Ok(_) => "N",
        Err(_) => word,
    });
    words.collect::<Vec<_>>().join(" ")
}
