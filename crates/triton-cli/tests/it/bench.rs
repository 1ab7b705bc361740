//! `triton bench`: loads on both servers, and what it says of them.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use triton_embedded::{CorrelationId, FaultScript};
use triton_test_support::{EmbeddedTriton, embedded_corrid_models, on_both_servers};

use crate::{Files, Run, triton};

on_both_servers!(
    a_fixed_number_at_once,
    a_fixed_rate,
    sequences_of_a_stateful_model,
    inputs_of_a_file_in_batches,
    what_does_not_fit_is_refused_before_the_load,
    several_loads_are_measured_one_after_the_other,
    so_many_requests_are_measured_and_no_more,
);

fn bench(endpoint: &str, arguments: &[&str]) -> Run {
    let option = format!("endpoint={endpoint}");
    let mut quick = vec!["bench", "--warm-up", "50ms", "-O", &option];
    if !arguments.contains(&"--duration") {
        quick.extend(["--duration", "400ms"]);
    }
    triton(&[&quick[..], arguments].concat())
}

/// The JSON of a load that had no failure.
#[track_caller]
fn measured(endpoint: &str, arguments: &[&str]) -> Value {
    let run = bench(endpoint, &[arguments, &["--json"]].concat());
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(
        (&report["failed"], &report["unanswered"]),
        (&0.into(), &0.into())
    );
    report
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value}"))
}

async fn a_fixed_number_at_once(endpoint: &str) {
    let report = measured(endpoint, &["echo", "--concurrency", "3"]);
    assert!(number(&report["answered"]) > 10.0, "{report}");
    let latency = &report["latency_ns"];
    let percentiles = ["min", "p50", "p90", "p95", "p99", "p99_9", "max"];
    let percentiles = percentiles.map(|name| number(&latency[name]));
    assert!(percentiles[0] > 0.0 && percentiles.is_sorted(), "{latency}");
    // The server's time is a part of the client's.
    let server = number(&report["server_statistics"]["mean_ns"]["server"]);
    assert!(
        server > 0.0 && server < number(&latency["mean"]),
        "{report}"
    );
    // Three at once, each as long as the mean: Little's law.
    let at_once = number(&report["requests_per_second"]) * number(&latency["mean"]) / 1e9;
    assert!((2.0..4.0).contains(&at_once), "{at_once}: {report}");
}

async fn a_fixed_rate(endpoint: &str) {
    let report = measured(endpoint, &["echo", "--rate", "100"]);
    // Those that were due in 400 ms, wherever in a step the measurement began.
    assert!(
        (39.0..=41.0).contains(&number(&report["answered"])),
        "{report}"
    );
    let report = measured(endpoint, &["echo", "--rate", "500", "--arrivals", "random"]);
    assert!(
        (120.0..290.0).contains(&number(&report["answered"])),
        "{report}"
    );
}

async fn sequences_of_a_stateful_model(endpoint: &str) {
    let arguments = ["accumulate", "--sequences", "3", "--sequence-length", "4"];
    let report = measured(endpoint, &arguments);
    assert!(number(&report["answered"]) > 10.0, "{report}");
    assert_eq!(report["load"]["sequence_length"], 4);
    let paced = [&arguments[..], &["--rate", "100"]].concat();
    let report = measured(endpoint, &paced);
    assert!(
        (39.0..=41.0).contains(&number(&report["answered"])),
        "{report}"
    );
}

async fn inputs_of_a_file_in_batches(endpoint: &str) {
    let files = Files::new();
    let lines = files.write(
        "inputs.ndjson",
        "{\"value\": [1, 2]}\n\n{\"value\": [3, 4.5]}\n",
    );
    let report = measured(endpoint, &["echo", "--input", &lines, "--batch-size", "4"]);
    let ratio = number(&report["inferences_per_second"]) / number(&report["requests_per_second"]);
    assert!((ratio - 4.0).abs() < 1e-9, "{report}");
    let document = files.write(
        "inputs.json",
        r#"{"data": [{"value": [1, 2]}, {"value": {"content": [3], "shape": [1]}}]}"#,
    );
    measured(endpoint, &["echo", "--input", &document]);
    let run = bench(
        endpoint,
        &["echo", "--input", &document, "--batch-size", "2"],
    );
    assert_eq!(run.code, Some(2), "{}", run.stderr);
}

async fn what_does_not_fit_is_refused_before_the_load(endpoint: &str) {
    let files = Files::new();
    let refused = |arguments: &[&str]| {
        let run = bench(endpoint, arguments);
        assert_eq!(run.stdout, "", "{arguments:?}");
        let said = files.relative(&run.said());
        said.replace(endpoint, "http://server")
    };
    let file = |text: &str| {
        let path = files.write("inputs.ndjson", text);
        refused(&["echo", "--input", &path])
    };
    insta::allow_duplicates! {
        insta::assert_snapshot!(refused(&["nobody"]), @"
        exit code 3
        error: read metadata of model 'nobody' at http://server/: status 404: Request for unknown model: 'nobody' is not found
          try: `triton models` lists the models that the server has
        ");
        insta::assert_snapshot!(refused(&["echo", "--sequences", "2"]), @"
        exit code 2
        error: --sequences and --sequence-length are for stateful models, and 'echo' keeps no state; use --concurrency
        ");
        insta::assert_snapshot!(refused(&["echo", "--batch-size", "65"]), @"
        exit code 2
        error: --batch-size 65: the model takes at most 64
        ");
        insta::assert_snapshot!(refused(&["accumulate", "--batch-size", "2"]), @"
        exit code 2
        error: --batch-size 2: requests of a stateful model carry one inference each
        ");
        insta::assert_snapshot!(refused(&["echo", "--shape", "other:1"]), @"
        exit code 2
        error: --shape other: the model has no such input; it has: value
        ");
        insta::assert_snapshot!(refused(&["echo", "--batch-size", "4294967295"]), @"
        exit code 2
        error: --batch-size 4294967295: the model takes at most 64
        ");
        insta::assert_snapshot!(refused(&["echo", "--shape", "value:18446744073709551615"]), @"
        exit code 2
        error: a request would be larger than 1 GiB, the most that is made up: 1 × ('value' FP32 [18446744073709551615]); give smaller dimensions with --shape, or a smaller --batch-size
        ");
        insta::assert_snapshot!(refused(&["echo", "--shape", "value:20000000", "--batch-size", "64"]), @"
        exit code 2
        error: a request would be larger than 1 GiB, the most that is made up: 64 × ('value' FP32 [20000000]); give smaller dimensions with --shape, or a smaller --batch-size
        ");
        insta::assert_snapshot!(refused(&["accumulate", "--shape", "value:2"]), @"
        exit code 2
        error: --shape value: [2] does not fit [1], the model's own without the batch dimension
        ");
        insta::assert_snapshot!(file("{\"value\": [1]}\n{\"value\": [\"a\"]}\n"), @r#"
        exit code 2
        error: inputs.ndjson, line 2: input 'value': expected FP32, found "a"
        "#);
        insta::assert_snapshot!(file("{\"value\": [1]}\n{\"valu\": [1]}\n"), @"
        exit code 2
        error: inputs.ndjson, line 2: the model has no input 'valu'; it has: value
        ");
        insta::assert_snapshot!(file("{}"), @"
        exit code 2
        error: inputs.ndjson, line 1: input 'value' is missing
        ");
        insta::assert_snapshot!(file("{\"value\": [1]}\nvalue\n"), @"
        exit code 2
        error: inputs.ndjson
          caused by: line 2: expected a JSON object of tensors by their names
          caused by: expected value at line 1 column 1
        ");
        insta::assert_snapshot!(file(""), @"
        exit code 2
        error: inputs.ndjson holds no inputs
        ");
    }
}

/// One request at a time within each sequence, the flags at its ends, and nothing left open.
#[test]
fn every_sequence_is_whole() {
    let server = EmbeddedTriton::builder()
        .built_in_models()
        .recorded_requests(1_000_000)
        .start()
        .unwrap();
    let arguments = ["accumulate", "--sequences", "5", "--sequence-length", "3"];
    measured(&server.endpoint(), &arguments);
    let mut sequences: BTreeMap<String, Vec<(bool, bool)>> = BTreeMap::new();
    for request in server.requests() {
        assert_eq!(request.status, Some(200));
        let id = format!("{:?}", request.sequence_id.unwrap());
        let flags = (request.sequence_start, request.sequence_end);
        sequences.entry(id).or_default().push(flags);
    }
    assert!(sequences.len() > 5);
    let whole = [(true, false), (false, false), (false, true)];
    let shorter = sequences
        .values()
        .filter(|flags| **flags != whole)
        .inspect(|flags| {
            assert!(flags[0].0 && flags[flags.len() - 1].1, "{flags:?}");
        });
    // The probe, and those in flight at the end.
    assert!(shorter.count() <= 6);
}

// Holds S64.
#[test]
fn a_model_with_a_numeric_control_is_measured_with_numbers() {
    let server = embedded_corrid_models()
        .recorded_requests(1_000_000)
        .start()
        .unwrap();
    let arguments = ["--sequences", "5", "--sequence-length", "3"];
    measured(
        &server.endpoint(),
        &[&["accumulate_int32"], &arguments[..]].concat(),
    );
    let requests = server.requests();
    assert!(requests.len() > 15);
    for request in requests {
        assert_eq!(request.status, Some(200));
        let Some(CorrelationId::Number(number)) = request.sequence_id else {
            panic!("{request:?}");
        };
        assert!(number <= i32::MAX as u64, "{number}");
    }
}

/// A server that hangs for a while makes every request late that is due meanwhile.
#[test]
fn a_stall_is_not_hidden_by_the_requests_that_it_held_back() {
    let script = br#"{"faults": [
        {"fault": "delay", "milliseconds": 300, "request": 20}]}"#;
    let server = EmbeddedTriton::builder()
        .built_in_models()
        .faults(FaultScript::from_json(script).unwrap())
        .start()
        .unwrap();
    let arguments = [
        "echo",
        "--rate",
        "100",
        "--concurrency",
        "1",
        "--duration",
        "500ms",
    ];
    let report = measured(&server.endpoint(), &arguments);
    // Only one request was slow; thirty or so were due before it ended.
    assert!(number(&report["latency_ns"]["p50"]) > 50e6, "{report}");
    assert!(number(&report["send_delay_ns"]["max"]) > 200e6, "{report}");
}

#[test]
fn failures_are_counted_and_told_apart() {
    let script = br#"{"seed": 7, "faults": [
        {"fault": "status", "status": 503, "text": "later", "rate": 0.2}]}"#;
    let server = EmbeddedTriton::builder()
        .built_in_models()
        .faults(FaultScript::from_json(script).unwrap())
        .start()
        .unwrap();
    let run = bench(&server.endpoint(), &["echo", "--json", "--rate", "100"]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    let (failed, answered) = (number(&report["failed"]), number(&report["answered"]));
    assert!(
        failed >= 1.0 && (39.0..=41.0).contains(&(failed + answered)),
        "{report}"
    );
    let errors = report["errors"].as_object().unwrap();
    let error = format!(
        "infer with model 'echo' at {}/: status 503: later",
        server.endpoint()
    );
    assert_eq!(number(&errors[&error]), failed, "{report}");
}

/// Answers that come at once and say no are no sign of a server that is too slow.
#[test]
fn instant_refusals_are_told_and_not_taken_for_a_slow_server() {
    let server = EmbeddedTriton::builder()
        .built_in_models()
        .recorded_requests(10)
        .start()
        .unwrap();
    let endpoint = server.endpoint();
    let load = std::thread::spawn(move || bench(&endpoint, &["echo", "--json", "--rate", "100"]));
    // The one that it begins with, whose failure would be the end.
    while server.requests().is_empty() {
        std::thread::yield_now();
    }
    let refuse = br#"{"seed": 7, "faults": [
        {"fault": "status", "status": 503, "text": "later", "rate": 1.0}]}"#;
    server.set_faults(FaultScript::from_json(refuse).unwrap());
    let run = load.join().unwrap();
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    let failed = &report["failed"];
    let failures = json!([{"kind": "unavailable", "status": 503, "count": failed}]);
    assert_eq!(report["failures"], failures, "{report}");
    let note = format!(
        "{failed} of {failed} requests (100%) failed, of these {failed} unavailable (status 503): \
         throughput and latencies are those of the others"
    );
    assert_eq!(report["notes"], json!([note]), "{report}");
}

// Holds C30.
#[test]
fn reports_that_cannot_be_written_are_refused_before_the_load() {
    let files = Files::new();
    let earlier = files.write("earlier.json", "{}");
    let (nowhere, folder) = (files.path("nowhere/report.html"), files.path("folder"));
    std::fs::create_dir(&folder).unwrap();
    let page = files.path("report.html");
    let refused = |arguments: &[&str]| {
        // A server that nobody needs: nothing is asked of it.
        let run = bench("localhost:1", &[&["echo"], arguments].concat());
        files.relative(&run.said())
    };
    insta::assert_snapshot!(refused(&["--html", &nowhere]), @"
    exit code 2
    error: --html nowhere/report.html: its folder does not exist; make it, or name another file
    ");
    insta::assert_snapshot!(refused(&["--csv", &folder]), @"
    exit code 2
    error: --csv folder: expected a file, found a folder
    ");
    insta::assert_snapshot!(refused(&["--csv", &page, "--html", &page]), @"
    exit code 2
    error: --csv report.html: it is the file of --html, too, and would be written over it; name another one
    ");
    insta::assert_snapshot!(refused(&["--csv", &earlier, "--compare", &earlier]), @"
    exit code 2
    error: --csv earlier.json: it is the file of --compare, too, and would be written over it; name another one
    ");
}

// Holds C19.
#[test]
fn the_report_is_one_page_that_needs_nothing_else() {
    let files = Files::new();
    let path = files.path("report.html");
    let run = bench("embedded", &["echo", "--concurrency", "2", "--html", &path]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    for part in [
        "throughput",
        "LATENCY",
        "p99.9",
        "MEAN TIME OF A REQUEST",
        "compute infer",
    ] {
        assert!(run.stdout.contains(part), "{part}: {}", run.stdout);
    }
    check_page(&path, 3);
}

/// Looks whether a page with so many plots stands alone, fits every screen, and says what it is of.
#[track_caller]
fn check_page(path: &str, plots: usize) -> String {
    let page = std::fs::read_to_string(path).unwrap();
    for screens in ["wide", "narrow"] {
        let plot = format!("<svg class=\"{screens}\"");
        assert_eq!(page.matches(&plot).count(), plots, "{screens}");
    }
    assert!(page.contains("prefers-color-scheme: dark"));
    for foreign in [
        "src=", "href=", "url(", "@import", "<script", "NaN", "inf\"",
    ] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    let version = format!("measured by triton {} on ", env!("CARGO_PKG_VERSION"));
    for part in [
        &version,
        " GMT:",
        "Version 1 of the model",
        "<p class=\"command\">triton bench --warm-up 50ms",
        "name=\"viewport\"",
    ] {
        assert!(page.contains(part), "{part}");
    }
    page
}

/// What was measured until then is shown.
#[cfg(unix)]
#[test]
fn ctrl_c_ends_the_measurement() {
    let mut process = Command::new(env!("CARGO_BIN_EXE_triton"))
        .args(["bench", "echo", "-O", "endpoint=embedded", "--json"])
        .args(["--warm-up", "0", "--duration", "10min"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let stderr = process.stderr.take().unwrap();
    BufReader::new(stderr).read_line(&mut line).unwrap();
    assert!(
        line.starts_with("model echo at embedded: 1 request at once"),
        "{line}"
    );
    let id = process.id().to_string();
    let killed = Command::new("kill").args(["-INT", &id]).status().unwrap();
    assert!(killed.success());
    let output = process.wait_with_output().unwrap();
    let report = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(130), "{report}");
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["interrupted"], true);
}

#[test]
fn arguments_that_cannot_be_used() {
    let refused = |arguments: &[&str]| {
        let run = bench("http://127.0.0.1:1", arguments);
        assert_eq!(run.code, Some(2));
        run.stderr
    };
    insta::assert_snapshot!(refused(&["echo", "--rate", "0"]), @"
    error: invalid value '0' for '--rate <R|FROM:TO>': expected requests a second, more than 0 and at most 1000000

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(refused(&["echo", "--arrivals", "random"]), @"
    error: the following required arguments were not provided:
      --rate <R|FROM:TO>

    Usage: triton bench --rate <R|FROM:TO> --warm-up <TIME> -O <KEY=VALUE> --duration <TIME> --arrivals <HOW> <MODEL>

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(refused(&["echo", "--shape", "value"]), @"
    error: invalid value 'value' for '--shape <NAME:N,N>': expected NAME:N,N such as image:3,224,224

    For more information, try '--help'.
    ");
    for rate in ["nan", "inf", "-1", "1e300", "-0"] {
        let said = refused(&["echo", &format!("--rate={rate}")]);
        assert!(said.contains("more than 0 and at most 1000000"), "{said}");
    }
    for rate in ["1e-20", "5e-324", "2"] {
        let said = refused(&["echo", "--rate", rate]);
        assert!(
            said.contains("not one request would be due within the 400 ms"),
            "{said}"
        );
    }
    for number in ["0", "65536", "4294967295", "99999999999"] {
        let said = refused(&["echo", "--concurrency", number]);
        assert!(
            said.contains("expected a whole number from 1 to 65535"),
            "{said}"
        );
        let said = refused(&["echo", "--sequences", number]);
        assert!(
            said.contains("expected a whole number from 1 to 65535"),
            "{said}"
        );
    }
    for duration in ["36501d", "99999999999999999999999d"] {
        let said = refused(&["echo", "--duration", duration]);
        assert!(said.contains("no longer than 36500 d"), "{said}");
    }
    insta::assert_snapshot!(refused(&["echo", "--duration", "0"]), @"error: --duration 0: expected a time longer than zero, such as 10s");
}

async fn several_loads_are_measured_one_after_the_other(endpoint: &str) {
    let files = Files::new();
    let (page, lines) = (files.path("sweep.html"), files.path("sweep.csv"));
    let report = |arguments: &[&str]| -> Value {
        let quick = ["echo", "--duration", "150ms", "--json"];
        let run = bench(endpoint, &[&quick[..], arguments].concat());
        assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
        serde_json::from_str(&run.stdout).unwrap()
    };
    let sweep = report(&["--concurrency", "1:3", "--html", &page, "--csv", &lines]);
    let loads = sweep["loads"].as_array().unwrap();
    let at_once = loads
        .iter()
        .map(|load| load["load"]["requests_at_once"].as_u64().unwrap());
    assert_eq!(at_once.collect::<Vec<_>>(), [1, 2, 3]);
    assert!(
        loads.iter().all(|load| number(&load["answered"]) > 0.0),
        "{sweep}"
    );
    let page = check_page(&page, 2);
    assert!(
        page.contains("Latency over load") && page.contains("3 at once"),
        "{page}"
    );
    let lines = std::fs::read_to_string(lines).unwrap();
    let cells: Vec<Vec<&str>> = lines
        .lines()
        .map(|line| line.split(',').collect())
        .collect();
    assert_eq!(
        (cells.len(), cells[0][0], cells[3][0]),
        (4, "requests_at_once", "3")
    );
    assert!(
        cells.iter().all(|line| line.len() == cells[0].len()),
        "{lines}"
    );
    let rates = report(&["--rate", "40,80", "--concurrency", "4"]);
    let rates = rates["loads"].as_array().unwrap();
    let rates = rates
        .iter()
        .map(|load| load["load"]["rate"].as_f64().unwrap());
    assert_eq!(rates.collect::<Vec<_>>(), [40.0, 80.0]);
}

async fn so_many_requests_are_measured_and_no_more(endpoint: &str) {
    let counted = |arguments: &[&str]| -> Value {
        let command = ["bench", "echo", "-e", endpoint, "--json", "-q"];
        let run = triton(&[&command[..], arguments].concat());
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
        serde_json::from_str(&run.stdout).unwrap()
    };
    for arguments in [
        &["-n", "7"][..],
        &["-n", "7", "--concurrency", "3"],
        &["-n", "7", "--rate", "200"],
        &["-n", "7", "--warm-up", "30ms"],
    ] {
        let report = counted(arguments);
        assert_eq!(report["answered"], 7, "{arguments:?}: {report}");
        assert!(number(&report["requests_per_second"]) > 0.0, "{report}");
        assert!(!report["timeline"].as_array().unwrap().is_empty());
    }
}

/// Requests of 20 ms each, one at a time.
fn slow_inputs(files: &Files) -> String {
    files.write("slow.ndjson", "{\"milliseconds\": 20}\n")
}

// Holds C14, C15.
#[test]
fn what_is_asserted_decides_on_the_exit_code() {
    let server = EmbeddedTriton::start().unwrap();
    let endpoint = server.endpoint();
    let asserted = |code: i32, arguments: &[&str]| {
        let quick = ["echo", "-n", "5"];
        let run = triton(&[&["bench", "-e", &endpoint][..], &quick, arguments].concat());
        assert_eq!(
            run.code,
            Some(code),
            "{arguments:?}: {}{}",
            run.stdout,
            run.stderr
        );
        run.stdout
    };
    let shown = asserted(0, &["--assert", "p99<10min", "--assert", "failed<=0"]);
    assert!(shown.contains("assert p99<10min: held, it is "), "{shown}");
    assert!(shown.contains("assert failed<=0: held, it is 0"), "{shown}");
    let shown = asserted(1, &["--assert", "p50<1ns", "--assert", "failed<=0"]);
    assert!(
        shown.contains("assert p50<1ns: NOT HELD, it is "),
        "{shown}"
    );
    let shown = asserted(1, &["--assert", "mean<1ns", "--concurrency", "1,2"]);
    assert!(
        shown.contains("2 at once: assert mean<1ns: NOT HELD"),
        "{shown}"
    );
    // Half of the requests fail, which is only well where it is asserted to be.
    let script = br#"{"seed": 3, "faults": [
        {"fault": "status", "status": 503, "text": "later", "rate": 0.5}]}"#;
    server.set_faults(FaultScript::from_json(script).unwrap());
    asserted(1, &["--assert", "p99<10min"]);
    let shown = asserted(0, &["--assert", "failed<=100%"]);
    assert!(shown.contains("FAILED       STATUS"), "{shown}");
    assert!(shown.contains("unavailable     503"), "{shown}");
}

// Holds C16.
#[test]
fn the_highest_load_that_holds_is_found() {
    let server = EmbeddedTriton::start().unwrap();
    let endpoint = server.endpoint();
    let files = Files::new();
    let slow = slow_inputs(&files);
    let search = |arguments: &[&str]| {
        let quick = ["slow", "--input", &slow, "--duration", "300ms", "--search"];
        bench(&endpoint, &[&quick[..], arguments].concat())
    };
    // Four at once wait for each other, so that each takes 80 ms.
    let run = search(&["--concurrency", "1:16", "--assert", "p50<75ms", "--json"]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    let highest = number(&report["highest_that_holds"]);
    assert!((1.0..=3.0).contains(&highest), "{report}");
    let tried = report["loads"].as_array().unwrap();
    let tried = tried
        .iter()
        .map(|load| number(&load["load"]["requests_at_once"]));
    let tried: Vec<f64> = tried.collect();
    assert!(tried.contains(&4.0) && !tried.contains(&16.0), "{tried:?}");
    let run = search(&["--rate", "10:40", "--assert", "p50<1ns"]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(
        run.stdout
            .ends_with("highest load that holds: none, not even the least\n"),
        "{}",
        run.stdout
    );
    let run = search(&["--concurrency", "1:2", "--assert", "p50<10min"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(
        run.stdout.ends_with(
            "highest load that holds: 2 requests at once, the most that was to be tried\n"
        ),
        "{}",
        run.stdout
    );
}

// Holds C17.
#[test]
fn figures_are_shown_beside_those_of_an_earlier_report() {
    let server = EmbeddedTriton::start().unwrap();
    let endpoint = server.endpoint();
    let files = Files::new();
    let run = |arguments: &[&str]| {
        let run = triton(
            &[
                &["bench", "echo", "-q", "-n", "5", "-e", &endpoint],
                arguments,
            ]
            .concat(),
        );
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
        run.stdout
    };
    let before = files.write("before.json", &run(&["--json"]));
    let shown = run(&["--compare", &before]);
    for part in [
        "Beside ",
        " GMT.",
        "COMPARED",
        "requests/s",
        "p99.9",
        "client CPU",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(!shown.contains("note: what is compared"), "{shown}");
    let shown = run(&[
        "--compare",
        &before,
        "--batch-size",
        "2",
        "--concurrency",
        "2",
    ]);
    assert!(
        shown.contains("differs in more than time: the loads are not the same"),
        "{shown}"
    );
    assert!(
        shown.contains("differs in more than time: batch size: 1 before, 2 now"),
        "{shown}"
    );
    let sweep = files.write("sweep.json", &run(&["--json", "--concurrency", "1,2"]));
    let json = run(&["--compare", &sweep, "--concurrency", "2,3", "--json"]);
    let report: Value = serde_json::from_str(&json).unwrap();
    let compared = report["compared"]["figures"].as_array().unwrap();
    let compared = compared.iter().map(|row| {
        (
            row["load"].as_str().unwrap(),
            row["figure"].as_str().unwrap(),
        )
    });
    assert_eq!(
        compared.collect::<Vec<_>>(),
        ["requests/s", "p50", "p99"].map(|figure| ("2 at once", figure))
    );
    let other = files.write("other.json", "{}");
    let run = triton(&["bench", "echo", "--compare", &other]);
    insta::assert_snapshot!(files.relative(&run.said()), @"
    exit code 2
    error: --compare other.json: expected what `triton bench --json` writes, found other JSON
    ");
}

// Holds C18.
#[test]
fn the_first_request_is_sent_again_where_that_may_help() {
    let server = |status: u16| {
        let script = format!(
            r#"{{"faults": [{{"fault": "status", "status": {status}, "text": "no", "request": 1}}]}}"#
        );
        EmbeddedTriton::builder()
            .built_in_models()
            .faults(FaultScript::from_json(script.as_bytes()).unwrap())
            .start()
            .unwrap()
    };
    let first =
        |server: &EmbeddedTriton| triton(&["bench", "echo", "-n", "3", "-e", &server.endpoint()]);
    let run = first(&server(503));
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let broken = server(400);
    let run = first(&broken);
    assert_eq!(
        (run.code, broken.requests().len()),
        (Some(3), 1),
        "{}",
        run.stderr
    );
}

#[test]
fn loads_that_do_not_go_together() {
    let refused = |arguments: &[&str]| {
        let run = bench("http://127.0.0.1:1", &[&["echo"], arguments].concat());
        assert_eq!(run.code, Some(2));
        run.stderr
    };
    insta::assert_snapshot!(refused(&["--concurrency", "1:4", "--rate", "100:400"]), @"error: --concurrency names several loads, and --rate has several, too: with --rate, --concurrency is the most in flight, a single number");
    insta::assert_snapshot!(refused(&["--concurrency", "4", "--assert", "p99<1s", "--search"]), @"error: --search looks between two loads: give --rate FROM:TO or --concurrency FROM:TO");
    insta::assert_snapshot!(refused(&["--concurrency", "4:1"]), @"
    error: invalid value '4:1' for '--concurrency <N|FROM:TO>': expected FROM:TO or FROM:TO:STEP with FROM less than TO, found 4 and 1

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(refused(&["--rate", "1:1000:1"]), @"
    error: invalid value '1:1000:1' for '--rate <R|FROM:TO>': expected at most 100 loads; take larger steps

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(refused(&["--assert", "p98<1s"]), @"
    error: invalid value 'p98<1s' for '--assert <FIGURE<VALUE>': expected such as p99<50ms, mean<=2ms, throughput>1000 or failed<1%: one of mean, p50, p90, p95, p99, p99.9, max, throughput and failed; one of <, <=, > and >=; and a value

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(refused(&["--assert", "p99<50"]), @"
    error: invalid value 'p99<50' for '--assert <FIGURE<VALUE>': expected a duration with its unit: '50 s' or '50 ms'

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(refused(&["-n", "5", "--duration", "1s"]), @"
    error: the argument '--requests <N>' cannot be used with '--duration <TIME>'

    Usage: triton bench --warm-up <TIME> -O <KEY=VALUE> --requests <N> <MODEL>

    For more information, try '--help'.
    ");
}
