//! Runs that end before their input does: by a signal, or because nobody reads on.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::{Files, on_both_builds, own};

on_both_builds!(
    a_signal_ends_the_run_in_good_order,
    a_run_with_checkpoints_goes_on_after_a_signal,
    a_reader_that_has_seen_enough_is_no_failure,
    a_second_signal_ends_the_run_at_once,
    a_signal_that_comes_twice_at_once_is_one,
);

/// How soon after a signal every run is over: before Kubernetes loses its patience.
const MOST: Duration = Duration::from_secs(29);

const ACCUMULATE: &str = "
    CREATE MODEL running_sum INPUT (`value` INT) OUTPUT (sum INT)
    WITH ('provider' = 'triton', 'endpoint' = 'embedded', 'model-name' = 'accumulate',
          'sequence-id' = 'job', 'sequence-id-auto-increment' = 'true')";

const SLOW: &str = "
    CREATE MODEL m INPUT (milliseconds INT UNSIGNED) OUTPUT (waited INT UNSIGNED)
    WITH ('provider' = 'triton', 'endpoint' = 'embedded', 'model-name' = 'slow')";

fn start(program: &str, arguments: &[&str]) -> Child {
    Command::from(own(program))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn signal(child: &Child, signal: Signal) {
    let id = i32::try_from(child.id().unwrap()).unwrap();
    kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
}

/// Runs over a pipe that stays open, sends the signal once two rows are answered, and returns
/// the exit code and what was said.
async fn ended_by(program: &str, by: Signal, more: &[&str]) -> (Option<i32>, String) {
    let files = Files::new();
    let model = files.write("model.sql", ACCUMULATE);
    let mut child = start(program, &[&["predict", &model, "-"], more].concat());
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"value\n1\n2\n").await.unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    // Answers come while the pipe is still open.
    for expected in ["value,sum", "1,1", "2,2"] {
        assert_eq!(output.next_line().await.unwrap().as_deref(), Some(expected));
    }
    signal(&child, by);
    let mut said = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .await
        .unwrap();
    assert_eq!(output.next_line().await.unwrap(), None);
    let code = child.wait().await.unwrap().code();
    drop(input);
    (code, said)
}

async fn a_signal_ends_the_run_in_good_order(program: &str) {
    for (by, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let (found, said) = ended_by(program, by, &[]).await;
        assert_eq!(found, Some(code), "{said}");
        assert!(
            said.starts_with("2 rows: 2 answered, 0 rejected; "),
            "{said}"
        );
        insta::allow_duplicates! {
            insta::assert_snapshot!(said.lines().last().unwrap(), @"interrupted");
        }
    }
}

async fn a_run_with_checkpoints_goes_on_after_a_signal(program: &str) {
    let files = Files::new();
    let model = files.write("model.sql", ACCUMULATE);
    let rows: String = (0..300).map(|value| format!("{value}\n")).collect();
    let input = files.write("input.csv", &format!("value\n{rows}"));
    let output = files.path("output.csv");
    let checkpoint = files.path("checkpoint");
    let arguments = [
        "predict",
        &model,
        &input,
        "--output",
        &output,
        "--checkpoint",
        &checkpoint,
        "--rate",
        "300",
    ];
    let child = start(program, &arguments);
    while std::fs::read_to_string(&output)
        .unwrap_or_default()
        .lines()
        .count()
        < 20
    {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    signal(&child, Signal::INT);
    let ended = child.wait_with_output().await.unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(130), "{said}");
    assert!(
        said.ends_with("interrupted; the same command goes on from here\n"),
        "{said}"
    );
    let first = std::fs::read_to_string(&output).unwrap().lines().count();
    assert!(first < 300, "{first}");
    let ended = start(program, &arguments).wait_with_output().await.unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    let resumed = format!(
        "300 rows: 300 answered, 0 rejected; resumed after {}; ",
        first - 1
    );
    assert!(said.starts_with(&resumed), "{said}");
    let expected: String = (0..300).map(|value| format!("{value},{value}\n")).collect();
    let written = std::fs::read_to_string(&output).unwrap();
    assert_eq!(written, format!("value,sum\n{expected}"));
}

async fn a_reader_that_has_seen_enough_is_no_failure(program: &str) {
    let files = Files::new();
    let model = files.write("model.sql", ACCUMULATE);
    let rows: String = (0..20_000).map(|value| format!("{value}\n")).collect();
    let input = files.write("input.csv", &format!("value\n{rows}"));
    let mut child = start(program, &["predict", &model, &input]);
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(
        output.next_line().await.unwrap().as_deref(),
        Some("value,sum")
    );
    drop(output);
    let ended = child.wait_with_output().await.unwrap();
    assert_eq!(String::from_utf8(ended.stderr).unwrap(), "");
    assert_eq!(ended.status.code(), Some(0));
}

/// As `timeout` sends it: to the process, and then to the group that the process is in.
async fn a_signal_that_comes_twice_at_once_is_one(program: &str) {
    let files = Files::new();
    let model = files.write("model.sql", SLOW);
    let mut child = start(program, &["predict", &model, "-"]);
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    input.write_all(b"milliseconds\n0\n300\n").await.unwrap();
    for expected in ["milliseconds,waited", "0,0"] {
        assert_eq!(output.next_line().await.unwrap().as_deref(), Some(expected));
    }
    signal(&child, Signal::TERM);
    // So that the second one is not taken for the first.
    tokio::time::sleep(Duration::from_millis(20)).await;
    signal(&child, Signal::TERM);
    assert_eq!(
        output.next_line().await.unwrap().as_deref(),
        Some("300,300")
    );
    let ended = child.wait_with_output().await.unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(143), "{said}");
    assert!(
        said.starts_with("2 rows: 2 answered, 0 rejected; "),
        "{said}"
    );
    drop(input);
}

async fn a_second_signal_ends_the_run_at_once(program: &str) {
    let files = Files::new();
    let model = files.write("model.sql", SLOW);
    let mut child = start(program, &["predict", &model, "-"]);
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    input.write_all(b"milliseconds\n0\n20000\n").await.unwrap();
    for expected in ["milliseconds,waited", "0,0"] {
        assert_eq!(output.next_line().await.unwrap().as_deref(), Some(expected));
    }
    // The second row is in flight for longer than any test takes.
    let ended = async {
        loop {
            signal(&child, Signal::INT);
            let patience = Duration::from_millis(100);
            if let Ok(status) = tokio::time::timeout(patience, child.wait()).await {
                return status.unwrap();
            }
        }
    };
    let ended = tokio::time::timeout(Duration::from_secs(10), ended).await;
    assert_eq!(ended.unwrap().code(), Some(130));
}

/// Waits until the first signal to a process will be heard.
async fn listens(child: &Child) {
    let status = format!("/proc/{}/status", child.id().unwrap());
    loop {
        let status = std::fs::read_to_string(&status).unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let caught = u64::from_str_radix(caught.unwrap().trim(), 16).unwrap();
        if caught & (1 << (Signal::TERM.as_raw() - 1)) != 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until a pipe that nobody reads takes nothing more.
async fn is_full(pipe: &tokio::process::ChildStdout) {
    let (mut before, mut looks) = (0, 0);
    while looks < 10 {
        let waiting = rustix::io::ioctl_fionread(pipe).unwrap();
        looks = if waiting == before && waiting > 16 * 1024 {
            looks + 1
        } else {
            0
        };
        before = waiting;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// How a process ends after SIGTERM, and what it says last.
async fn terminated(child: Child) -> String {
    signal(&child, Signal::TERM);
    let ended = tokio::time::timeout(MOST, child.wait_with_output()).await;
    let ended = ended.expect("it goes on").unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    let last = said.lines().last().unwrap_or_default();
    format!("exit code {:?}\n{last}", ended.status.code().unwrap())
}

// Holds C53.
#[tokio::test]
async fn a_signal_ends_a_run_whose_output_nobody_reads() {
    let program = env!("CARGO_BIN_EXE_triton");
    let files = Files::new();
    let model = files.write("model.sql", ACCUMULATE);
    let rows: String = (0..20_000).map(|value| format!("{value}\n")).collect();
    let input = files.write("input.csv", &format!("value\n{rows}"));
    let fifo = files.path("fifo.csv");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let unread = async {
        let child = start(program, &["predict", &model, &input, "-o", &fifo]);
        listens(&child).await;
        // Nothing tells when it has come to the pipe.
        tokio::time::sleep(Duration::from_secs(2)).await;
        terminated(child).await
    };
    let full = async {
        let mut child = start(program, &["predict", &model, &input]);
        // Held until the process is over.
        let output = child.stdout.take().unwrap();
        is_full(&output).await;
        terminated(child).await
    };
    let (unread, full) = tokio::join!(unread, full);
    // On a machine that is very busy the signal may have been there before.
    assert!(
        unread.starts_with("exit code 143\ninterrupted; "),
        "{unread}"
    );
    insta::assert_snapshot!(full, @"
    exit code 143
    interrupted; nobody reads the output, which lacks its last rows
    ");
}
