//! A server that goes away in the middle of a run: a file waits for it, and no row is lost.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use triton_embedded::{EmbeddedTriton, Fault, FaultScript};

use crate::{Files, Run, command, triton};

const KEYS: usize = 50;
const ROWS: usize = 1000;

/// A running sum for each of the keys in the column `user`, with the options of a run.
fn accumulate(options: &str) -> String {
    format!(
        "CREATE MODEL m INPUT (`value` INT) OUTPUT (sum INT)
         WITH ('provider' = 'triton', 'model-name' = 'accumulate', 'sequence-id' = 'job',
               'sequence-id-auto-increment' = 'true'{options})"
    )
}

const KEYED: &str = ", 'sequence-key' = 'user'";

/// Rows of all keys in turn, and what the model answers to them.
fn rows(keyed: bool) -> (String, String) {
    let (mut input, mut scored) = ("user,value\n".to_owned(), "user,value,sum\n".to_owned());
    let mut sums = BTreeMap::new();
    for row in 0..ROWS {
        let (user, value) = (row % KEYS, row % 7);
        let sum = sums.entry(user).or_insert(0);
        *sum = if keyed { *sum + value } else { value };
        input += &format!("{user},{value}\n");
        scored += &format!("{user},{value},{sum}\n");
    }
    (input, scored)
}

fn server() -> EmbeddedTriton {
    EmbeddedTriton::builder()
        .built_in_models()
        .recorded_requests(100_000)
        .start()
        .unwrap()
}

fn inferences(server: &EmbeddedTriton) -> usize {
    let requests = server.requests();
    let inferences = requests.iter();
    inferences
        .filter(|request| request.path.ends_with("/infer"))
        .count()
}

fn start(arguments: &[&str]) -> Child {
    Command::from(command(arguments))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

async fn ended(child: Child) -> Run {
    let limit = Duration::from_secs(60);
    let output = tokio::time::timeout(limit, child.wait_with_output()).await;
    Run::of(output.expect("the run hangs").unwrap())
}

/// Waits until the server has had so many inferences.
async fn until(server: &EmbeddedTriton, requests: usize) {
    while inferences(server) < requests {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn away_until_cleared(server: &EmbeddedTriton, fault: Fault, time: Duration) {
    until(server, 100).await;
    server.set_faults(FaultScript::new(0).rate(1.0, fault));
    tokio::time::sleep(time).await;
    server.set_faults(FaultScript::new(0));
}

/// A run of each lane, during which `go_away` is what the server does.
async fn nothing_is_lost(go_away: impl AsyncFn(&EmbeddedTriton)) {
    for options in [KEYED, ", 'max-in-flight' = '4'"] {
        let files = Files::new();
        let server = server();
        let model = files.write("model.sql", &accumulate(options));
        let (input, scored) = rows(options == KEYED);
        let input = files.write("input.csv", &input);
        let endpoint = format!("endpoint={}", server.endpoint());
        let output = files.path("output.csv");
        let child = start(&[
            "predict",
            &model,
            &input,
            "-O",
            &endpoint,
            "--output",
            &output,
            "--rate",
            "700",
            "--parallelism",
            "2",
        ]);
        go_away(&server).await;
        let run = ended(child).await;
        assert_eq!(run.code, Some(0), "{options} {}", run.stderr);
        assert!(
            run.stderr.contains("1000 rows: 1000 answered, 0 rejected"),
            "{}",
            run.stderr
        );
        assert_eq!(
            std::fs::read_to_string(output).unwrap(),
            scored,
            "{options}"
        );
        // However many rows wait, it is said once.
        let said = run.stderr.matches("the server is away").count();
        assert!(said <= 1, "{}", run.stderr);
    }
}

#[tokio::test]
async fn a_crash_is_waited_out() {
    nothing_is_lost(async |server| {
        let restart_after = Duration::from_secs(2);
        until(server, 100).await;
        server.set_faults(FaultScript::new(0).request(150, Fault::Crash { restart_after }));
    })
    .await;
}

#[tokio::test]
async fn error_pages_of_a_gateway_are_waited_out() {
    for status in [502, 503] {
        let text = "<html><title>Bad Gateway</title></html>".to_owned();
        let fault = Fault::Status { status, text };
        nothing_is_lost(async |server| {
            away_until_cleared(server, fault.clone(), Duration::from_millis(1500)).await;
        })
        .await;
    }
}

#[tokio::test]
async fn connections_that_break_are_waited_out() {
    for fault in [Fault::ResetBefore, Fault::ResetAfter] {
        nothing_is_lost(async |server| {
            away_until_cleared(server, fault.clone(), Duration::from_millis(1500)).await;
        })
        .await;
    }
}

#[tokio::test]
async fn a_model_that_is_unloaded_and_loaded_again_is_waited_for() {
    nothing_is_lost(async |server| {
        until(server, 100).await;
        let endpoint = format!("endpoint={}", server.endpoint());
        let unloaded = triton(&["unload", "accumulate", "-O", &endpoint]);
        assert_eq!(unloaded.code, Some(0), "{}", unloaded.stderr);
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let loaded = triton(&["load", "accumulate", "-O", &endpoint]);
        assert_eq!(loaded.code, Some(0), "{}", loaded.stderr);
    })
    .await;
}

/// What a run says whose server does not come back; it may go on from a checkpoint.
async fn lost(more: &[&str], files: &Files) -> (Run, Duration) {
    let server = server();
    let model = files.write("model.sql", &accumulate(KEYED));
    let input = files.write("input.csv", &rows(true).0);
    let endpoint = format!("endpoint={}", server.endpoint());
    let output = files.path("output.csv");
    let common = [
        "predict",
        &model,
        &input,
        "-O",
        &endpoint,
        "--output",
        &output,
        "--rate",
        "500",
        "--give-up-after",
        "1s",
        "--checkpoint-every",
        "50",
    ];
    let child = start(&[&common[..], more].concat());
    until(&server, 300).await;
    server.stop();
    let stopped = Instant::now();
    (ended(child).await, stopped.elapsed())
}

#[tokio::test]
async fn a_server_that_stays_away_ends_the_run_with_its_own_exit_code() {
    let files = Files::new();
    let (run, time) = lost(&[], &files).await;
    assert_eq!(run.code, Some(3), "{}", run.stderr);
    assert!(time < Duration::from_secs(10), "{time:?}");
    let last = run.stderr.lines().find(|line| line.starts_with("error: "));
    let last = last.unwrap();
    assert!(
        last.starts_with("error: the server was away for 1s, which is as long as it was to be waited for: infer with model 'accumulate' at http://127.0.0.1:"),
        "{last}"
    );
    assert!(
        last.ends_with("were in flight and are not counted as done: with --checkpoint DIR the same command could go on from there"),
        "{last}"
    );
    assert!(!run.stderr.contains("row "), "{}", run.stderr);
}

#[tokio::test]
async fn a_run_goes_on_at_another_server_with_other_subtasks() {
    let files = Files::new();
    let checkpoint = files.path("checkpoint");
    let (run, _) = lost(&["--checkpoint", &checkpoint, "--parallelism", "2"], &files).await;
    assert_eq!(run.code, Some(3), "{}", run.stderr);
    let server = server();
    let endpoint = format!("endpoint={}", server.endpoint());
    let run = triton(&[
        "predict",
        &files.path("model.sql"),
        &files.path("input.csv"),
        "-O",
        &endpoint,
        "--output",
        &files.path("output.csv"),
        "--checkpoint",
        &checkpoint,
        "--parallelism",
        "3",
        "-O",
        "timeout=9s",
        "-O",
        "max-retries=2",
    ]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let written = std::fs::read_to_string(files.path("output.csv")).unwrap();
    assert_eq!(written, rows(true).1);
}

#[tokio::test]
async fn a_signal_ends_a_run_that_waits_within_seconds() {
    for checkpoint in [false, true] {
        let files = Files::new();
        let server = server();
        let model = files.write("model.sql", &accumulate(KEYED));
        let input = files.write("input.csv", &rows(true).0);
        let endpoint = format!("endpoint={}", server.endpoint());
        let (output, errors) = (files.path("output.csv"), files.path("errors.ndjson"));
        let folder = files.path("checkpoint");
        let mut arguments = vec![
            "predict", &model, &input, "-O", &endpoint, "--output", &output, "--rate", "500",
            "--errors", &errors,
        ];
        if checkpoint {
            arguments.extend(["--checkpoint", &folder]);
        }
        let child = start(&arguments);
        until(&server, 300).await;
        server.stop();
        tokio::time::sleep(Duration::from_millis(500)).await;
        let id = i32::try_from(child.id().unwrap()).unwrap();
        let told = Instant::now();
        kill_process(Pid::from_raw(id).unwrap(), Signal::TERM).unwrap();
        let run = ended(child).await;
        assert_eq!(run.code, Some(143), "{}", run.stderr);
        assert!(
            told.elapsed() < Duration::from_secs(5),
            "{:?}",
            told.elapsed()
        );
        let last = run.stderr.lines().last().unwrap();
        if checkpoint {
            assert_eq!(
                last,
                "interrupted; the same command goes on from the last checkpoint"
            );
            continue;
        }
        // Every row that was read is in the output or in the file of rejected rows.
        assert!(
            last.starts_with("interrupted; with --checkpoint DIR"),
            "{last}"
        );
        let lines = |path: &str| std::fs::read_to_string(path).unwrap().lines().count();
        let summary = run
            .stderr
            .lines()
            .find(|line| line.contains(" rows: "))
            .unwrap();
        let read: usize = summary.split(' ').next().unwrap().parse().unwrap();
        assert_eq!(lines(&output) - 1 + lines(&errors), read, "{}", run.stderr);
        assert!(read < ROWS);
    }
}

/// Every sequence ID that was started, in the order of the requests.
fn started(server: &EmbeddedTriton) -> Vec<String> {
    let requests = server.requests();
    let starts = requests.iter().filter(|request| request.sequence_start);
    let starts = starts.map(|request| format!("{:?}", request.sequence_id));
    starts.collect()
}

#[tokio::test]
async fn a_resumed_run_takes_no_id_of_the_one_that_was_killed() {
    for options in [KEYED, ""] {
        let files = Files::new();
        let server = server();
        let model = files.write("model.sql", &accumulate(options));
        let input = files.write("input.csv", &rows(true).0);
        let endpoint = format!("endpoint={}", server.endpoint());
        let (output, checkpoint) = (files.path("output.csv"), files.path("checkpoint"));
        let arguments = [
            "predict",
            &model,
            &input,
            "-O",
            &endpoint,
            "--output",
            &output,
            "--rate",
            "900",
            "--checkpoint",
            &checkpoint,
            "--checkpoint-every",
            "200",
        ];
        for killed_after in [0, 150, 400] {
            let mut child = start(&arguments);
            until(&server, inferences(&server) + killed_after).await;
            child.kill().await.unwrap();
        }
        let run = triton(&arguments);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        let ids = started(&server);
        let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
        assert!(ids.len() > KEYS);
        assert_eq!(distinct.len(), ids.len(), "{options}");
    }
}

/// Rows of which some make the model fail for ever, and what a run over them comes to.
fn with_hopeless_rows(hopeless: &[usize], more: &[&str]) -> Run {
    let files = Files::new();
    let model = files.write(
        "model.sql",
        "CREATE MODEL m INPUT (`value` INT) OUTPUT (echo INT)
         WITH ('provider' = 'triton', 'endpoint' = 'embedded', 'model-name' = 'fails',
               'input-names' = 'value:status', 'output-names' = 'echo:status')",
    );
    let rows = (0..ROWS).map(|row| match hopeless.contains(&row) {
        true => "503\n",
        false => "1\n",
    });
    let input = files.write("input.csv", &format!("value\n{}", rows.collect::<String>()));
    let output = files.path("output.csv");
    let limits = ["-O", "retry-max-backoff=200ms", "--give-up-after", "5s"];
    // A server that is too busy for a request says nothing of its rows.
    let alone = ["-O", "batch-size=1"];
    triton(
        &[
            &["predict", &model, &input, "-o", &output][..],
            &limits,
            &alone,
            more,
        ]
        .concat(),
    )
}

#[test]
fn rows_that_nobody_can_answer_are_no_outage() {
    for (hopeless, more) in [
        (&[250][..], &[][..]),
        (&[250], &["--unordered"]),
        (&[250, 251, 260], &[]),
        (&[ROWS - 1], &["--parallelism", "2"]),
        (&[250], &["-O", "circuit-breaker-enabled=true"]),
    ] {
        let run = with_hopeless_rows(hopeless, more);
        assert_eq!(run.code, Some(1), "{hopeless:?} {more:?} {}", run.stderr);
        let (answered, rejected) = (ROWS - hopeless.len(), hopeless.len());
        let expected = format!("1000 rows: {answered} answered, {rejected} rejected");
        assert!(
            run.stderr.contains(&expected),
            "{hopeless:?} {}",
            run.stderr
        );
    }
}

#[tokio::test]
async fn the_only_row_in_flight_waits_as_well_and_reading_goes_on_after_it() {
    for options in [", 'max-retries' = '1', 'max-in-flight' = '1'", KEYED] {
        let files = Files::new();
        let server = server();
        let model = files.write("model.sql", &accumulate(options));
        let (input, scored) = rows(options == KEYED);
        // All rows of a key behind each other, so that one sequence is open at a time.
        let sort = |text: &str| {
            let (header, rows) = text.split_once('\n').unwrap();
            let mut rows: Vec<&str> = rows.lines().collect();
            rows.sort_by_key(|row| row.split(',').next().unwrap().parse::<usize>().unwrap());
            format!("{header}\n{}\n", rows.join("\n"))
        };
        let (input, scored) = (files.write("input.csv", &sort(&input)), sort(&scored));
        let endpoint = format!("endpoint={}", server.endpoint());
        let output = files.path("output.csv");
        let mut arguments = vec![
            "predict", &model, &input, "-O", &endpoint, "-o", &output, "--rate", "900",
        ];
        if options == KEYED {
            arguments.extend(["-O", "sequence-max-open=1", "-O", "max-retries=1"]);
        }
        let child = start(&arguments);
        let (status, text) = (502, "<html>".to_owned());
        away_until_cleared(
            &server,
            Fault::Status { status, text },
            Duration::from_secs(3),
        )
        .await;
        let run = ended(child).await;
        assert_eq!(run.code, Some(0), "{options} {}", run.stderr);
        assert_eq!(
            std::fs::read_to_string(output).unwrap(),
            scored,
            "{options}"
        );
    }
}

#[tokio::test]
async fn a_model_without_a_statement_is_waited_for_as_its_function_is() {
    let gone = server();
    let endpoint = gone.endpoint();
    gone.stop();
    gone.ended().await;
    let files = Files::new();
    let input = files.write("in.csv", "value\n[1]\n[2]\n");
    let arguments = ["predict", "--model", "echo", &input, "-e", &endpoint];
    let at_once = tokio::task::spawn_blocking({
        let arguments = arguments.map(str::to_owned);
        move || triton(&arguments.each_ref().map(String::as_str))
    });
    assert_eq!(at_once.await.unwrap().code, Some(3));
    let waiting = start(&[&arguments[..], &["-O", "open-wait=30 s"]].concat());
    tokio::time::sleep(Duration::from_millis(700)).await;
    let address = endpoint.trim_start_matches("http://").parse().unwrap();
    let builder = EmbeddedTriton::builder().built_in_models().address(address);
    let _server = builder.start().unwrap();
    let run = ended(waiting).await;
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(
        run.stderr.contains("waiting for the server"),
        "{}",
        run.stderr
    );
}
