//! Runs that are killed and go on: in the end, the output is as if nothing had happened.

use std::time::Duration;

use triton_test_support::on_both_servers;

use crate::{Files, command, table_file, triton};

/// How often each run is killed; the variable raises it for a long trial.
const KILLS: usize = 3;
const KILLS_VARIABLE: &str = "TRITON_TEST_KILLS";

const ROWS: usize = 600;

/// A running sum for each of the keys in the column `user`.
const ACCUMULATE: &str = "
    CREATE MODEL running_sum INPUT (`value` INT) OUTPUT (sum INT)
    WITH ('provider' = 'triton', 'model-name' = 'accumulate',
          'sequence-id' = 'job', 'sequence-id-auto-increment' = 'true',
          'sequence-key' = 'user', 'sequence-recovery' = 'replay')";

fn kills() -> usize {
    std::env::var(KILLS_VARIABLE).map_or(KILLS, |kills| kills.parse().unwrap())
}

/// A random number below `limit`, another one in every run.
fn random(limit: u64) -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(0) % limit
}

/// Rows of which some cannot be used.
fn input() -> String {
    let rows = (0..ROWS).map(|row| match row % 50 {
        49 => format!("{row},{},none\n", row % 7),
        _ => format!("{row},{},{}\n", row % 7, row * 3),
    });
    format!("id,user,value\n{}", rows.collect::<String>())
}

/// How a run ends that was not killed.
struct End {
    code: i32,
    summary: &'static str,
}

/// Rows that cannot be used are rejected.
const REJECTED: End = End {
    code: 1,
    summary: "600 rows: 588 answered, 12 rejected",
};

/// Rows that cannot be used are in the output.
const WRITTEN: End = End {
    code: 0,
    summary: "600 rows: 588 answered, 12 failed, 0 rejected",
};

/// Runs to the end, killed every so often on the way; returns how often it was.
async fn run_killed(arguments: &[&str], kills: usize, end: &End) -> usize {
    for killed in 0..kills {
        let mut child = tokio::process::Command::from(command(arguments))
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let moment = Duration::from_millis(random(600));
        if let Ok(status) = tokio::time::timeout(moment, child.wait()).await {
            assert_eq!(status.unwrap().code(), Some(end.code));
            return killed;
        }
        child.kill().await.unwrap();
    }
    let last = triton(arguments);
    assert_eq!(last.code, Some(end.code), "{}", last.stderr);
    assert!(last.stderr.contains(end.summary), "{}", last.stderr);
    kills
}

async fn a_killed_run_goes_on_where_it_was(endpoint: &str) {
    let files = Files::new();
    let model = files.write("model.sql", ACCUMULATE);
    let input = files.write("input.csv", &input());
    let endpoint = format!("endpoint={endpoint}");
    // So slow that every kill comes before the end.
    let rate = (1700 / kills()).to_string();
    for format in ["csv", "ndjson.gz", "parquet", "arrows"] {
        let (undisturbed, expected_errors) = (
            files.path(&format!("undisturbed.{format}")),
            files.path(&format!("undisturbed.{format}.errors")),
        );
        let (killed, errors) = (
            files.path(&format!("killed.{format}")),
            files.path(&format!("killed.{format}.errors")),
        );
        let checkpoint = files.path(&format!("checkpoint.{format}"));
        let common = [
            "predict",
            &model,
            &input,
            "-O",
            &endpoint,
            "--parallelism",
            "2",
        ];
        let run = triton(
            &[
                &common[..],
                &["--output", &undisturbed, "--errors", &expected_errors],
            ]
            .concat(),
        );
        assert_eq!(run.code, Some(1), "{}", run.stderr);
        let arguments = [
            &common[..],
            &[
                "--output",
                &killed,
                "--errors",
                &errors,
                "--checkpoint",
                &checkpoint,
            ],
            &["--checkpoint-every", "25", "--rate", &rate],
        ]
        .concat();
        let kills = run_killed(&arguments, kills(), &REJECTED).await;
        println!("{format}: killed {kills} times");
        let read = |path: &str| table_file::read_cells(path);
        assert_eq!(read(&killed), read(&undisturbed), "{format}");
        let text = |path: &str| std::fs::read_to_string(path).unwrap();
        assert_eq!(text(&errors), text(&expected_errors), "{format}");
        // There is nothing more to do, and nothing is done.
        let again = triton(&arguments);
        // It rejected rows, and the same command says so again.
        assert_eq!(again.code, Some(1));
        assert!(
            again.stderr.starts_with("nothing is left to do: "),
            "{}",
            again.stderr
        );
        assert_eq!(read(&killed), read(&undisturbed), "{format}");
    }
}

on_both_servers!(a_killed_run_goes_on_where_it_was);

// Holds F59.
#[tokio::test]
async fn rows_that_failed_before_a_kill_are_counted_after_it() {
    const TOLD: &str = "
        CREATE MODEL running_sum INPUT (`value` INT) OUTPUT (sum INT, prediction_error STRING)
        WITH ('provider' = 'triton', 'endpoint' = 'embedded', 'model-name' = 'accumulate',
              'sequence-id' = 'job', 'sequence-id-auto-increment' = 'true')";
    let files = Files::new();
    let model = files.write("model.sql", TOLD);
    let input = files.write("input.csv", &input());
    let (undisturbed, killed) = (files.path("undisturbed.csv"), files.path("killed.csv"));
    let common = ["predict", &model, &input, "--on-error", "column"];
    let run = triton(&[&common[..], &["--output", &undisturbed]].concat());
    assert_eq!(run.code, Some(WRITTEN.code), "{}", run.stderr);
    let checkpoint = files.path("checkpoint");
    let rate = (1700 / kills()).to_string();
    let arguments = [
        &common[..],
        &["--output", &killed, "--checkpoint", &checkpoint],
        &["--checkpoint-every", "25", "--rate", &rate],
    ];
    run_killed(&arguments.concat(), kills(), &WRITTEN).await;
    let read = |path: &str| table_file::read_cells(path);
    assert_eq!(read(&killed), read(&undisturbed));
}

#[tokio::test]
async fn one_output_for_each_input_goes_on_too() {
    let files = Files::new();
    let model = files.write("model.sql", ACCUMULATE);
    for name in ["a", "b", "c"] {
        files.write(&format!("{name}.csv"), &input());
    }
    let pattern = files.path("?.csv");
    let folder = files.path("scored/");
    let arguments = [
        "predict",
        &model,
        &pattern,
        "-O",
        "endpoint=embedded",
        "--output",
        &folder,
        "--checkpoint",
        &files.path("checkpoint"),
        "--checkpoint-every",
        "20ms",
        "--rate",
        "1500",
    ];
    for _ in 0..kills() {
        let mut child = tokio::process::Command::from(command(&arguments))
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let moment = Duration::from_millis(100 + random(500));
        if tokio::time::timeout(moment, child.wait()).await.is_err() {
            child.kill().await.unwrap();
        }
    }
    triton(&arguments);
    // The keys of the inputs are the same ones, so their sums go on from file to file.
    let undisturbed = files.path("undisturbed/");
    triton(&[
        "predict",
        &model,
        &pattern,
        "-O",
        "endpoint=embedded",
        "--output",
        &undisturbed,
    ]);
    let written = |name: &str| std::fs::read_to_string(files.path(name)).unwrap();
    for name in ["a", "b", "c"] {
        let expected = written(&format!("undisturbed/{name}.csv"));
        assert_eq!(expected.lines().count(), 1 + 588);
        assert_eq!(written(&format!("scored/{name}.csv")), expected, "{name}");
    }
}

/// Rows that failed are rows of the output, so a run that goes on has to know them as written.
#[test]
fn a_run_with_failed_rows_in_its_output_goes_on_too() {
    let files = Files::new();
    let input = files.write("input.csv", "value\n[1]\ntwo\n[3]\nfour\n[5],5\n[6]\n");
    let run = |more: &[&str]| {
        let common = [
            "predict",
            "--model",
            "echo",
            "-O",
            "endpoint=embedded",
            "--on-error",
            "column",
            &input,
            "--output",
            &files.path("output.csv"),
            "--checkpoint",
            &files.path("checkpoint"),
            "--checkpoint-every",
            "2",
            "--max-in-flight",
            "1",
        ];
        triton(&[&common[..], more].concat())
    };
    let ended = run(&["--max-errors", "0"]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    // Versions before this one wrote the state alone, without a checksum.
    let state = files.path("checkpoint/checkpoint.json");
    let stored = std::fs::read_to_string(&state).unwrap();
    let earlier: serde_json::Value = serde_json::from_str(&stored).unwrap();
    std::fs::write(&state, earlier["state"].to_string()).unwrap();
    insta::assert_snapshot!(files.relative(&run(&[]).said()), @"
    exit code 2
    error: checkpoint/checkpoint.json: this is no checkpoint of this version of the command: go on with the version that began the run, or take another folder for --checkpoint to start over
      caused by: unknown field `counts`, expected `crc32` or `state` at line 1 column 9
    ");
    std::fs::write(&state, stored).unwrap();
    let resumed = run(&[]);
    assert_eq!(resumed.code, Some(1), "{}", resumed.stderr);
    let summary = resumed.stderr.lines().find(|line| line.contains(" rows: "));
    let counts = summary.and_then(|line| line.split(';').next()).unwrap();
    insta::assert_snapshot!(counts, @"6 rows: 3 answered, 2 failed, 1 rejected");
    let output = std::fs::read_to_string(files.path("output.csv")).unwrap();
    let scored = output.lines().map(|line| line.split(',').next().unwrap());
    let scored = scored.collect::<Vec<_>>().join(" ");
    insta::assert_snapshot!(scored, @"value [1] two [3] four [6]");
}

/// One number of a checkpoint that another one stands for makes rows wrong, missing or doubled.
// Holds C52.
#[test]
fn a_checkpoint_that_was_edited_is_refused_and_nothing_is_touched() {
    let files = Files::new();
    let model = files.write("model.sql", ACCUMULATE);
    let rows: String = (0..40)
        .map(|row| match row {
            30 => "30,2,none\n".to_owned(),
            row => format!("{row},{},{row}\n", row % 7),
        })
        .collect();
    let input = files.write("input.csv", &format!("id,user,value\n{rows}"));
    let (output, errors) = (files.path("output.csv"), files.path("errors.ndjson"));
    let (folder, state) = (files.path("state"), files.path("state/checkpoint.json"));
    let run = |more: &[&str]| {
        let common = ["predict", &model, &input, "-O", "endpoint=embedded"];
        let files = [
            "--output",
            &output,
            "--errors",
            &errors,
            "--checkpoint",
            &folder,
        ];
        let every = ["--checkpoint-every", "5", "--max-in-flight", "1"];
        triton(&[&common[..], &files, &every, more].concat())
    };
    let ended = run(&["--max-errors", "0"]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let stored = std::fs::read_to_string(&state).unwrap();
    let written = std::fs::read_to_string(&output).unwrap();
    let number = |name: &str| {
        let (_, rest) = stored.split_once(&format!("\"{name}\": ")).unwrap();
        let end = rest.find([',', '\n']).unwrap();
        format!("\"{name}\": {}", &rest[..end])
    };
    let most = u64::MAX.to_string();
    let mut edited: Vec<String> = [
        ("input", "1"),
        ("input", most.as_str()),
        ("rows", "0"),
        ("read", most.as_str()),
        ("answered", "0"),
        ("bytes", "0"),
        ("tail", "0"),
        ("errors_bytes", "1"),
        ("first_free_counter", "0"),
        ("finished", "true"),
    ]
    .into_iter()
    .map(|(name, value)| stored.replacen(&number(name), &format!("\"{name}\": {value}"), 1))
    .collect();
    let (before, list) = stored.split_once("\"sequences\": [").unwrap();
    let (_, after) = list.split_once(']').unwrap();
    edited.push(format!("{before}\"sequences\": []{after}"));
    edited.push(stored[..stored.len() / 2].to_owned());
    for text in edited {
        assert_ne!(text, stored);
        std::fs::write(&state, &text).unwrap();
        let refused = run(&[]);
        assert_eq!(refused.code, Some(2), "{text}\n{}", refused.stderr);
        assert_eq!(std::fs::read_to_string(&output).unwrap(), written);
        assert_eq!(std::fs::read_to_string(&state).unwrap(), text);
    }
    std::fs::write(&state, stored.replacen(&number("read"), "\"read\": 7", 1)).unwrap();
    let said = files.relative(&run(&[]).said());
    let (before, sums) = said.split_once("its checksum is ").unwrap();
    let (_, after) = sums.split_once("';").unwrap();
    insta::assert_snapshot!(format!("{before}its checksum is …;{after}"), @"
    exit code 2
    error: state/checkpoint.json is not what the run wrote: its checksum is …; put that file back, or take another folder for --checkpoint to start over
    ");
    // What the run wrote goes on as if nothing had happened.
    std::fs::write(&state, stored).unwrap();
    let resumed = run(&[]);
    assert_eq!(resumed.code, Some(1), "{}", resumed.stderr);
    let summary = "40 rows: 39 answered, 1 rejected; resumed after ";
    assert!(resumed.stderr.contains(summary), "{}", resumed.stderr);
    let written = std::fs::read_to_string(&output).unwrap();
    assert_eq!(written.lines().count(), 40);
}

#[test]
fn what_cannot_go_on_is_refused() {
    let files = Files::new();
    let model = files.write("model.sql", ACCUMULATE);
    let input = files.write("input.csv", "user,value\na,1\n");
    let output = files.path("output.csv");
    let checkpoint = files.path("checkpoint");
    let run = |more: &[&str]| {
        let common = [
            "predict",
            &model,
            "-O",
            "endpoint=embedded",
            "--checkpoint",
            &checkpoint,
        ];
        let run = triton(&[&common[..], more].concat());
        files.relative(&run.said())
    };
    insta::assert_snapshot!(run(&[&input]), @"
    exit code 2
    error: --checkpoint: what was written to standard output cannot be taken back: add --output FILE
    ");
    insta::assert_snapshot!(run(&["-", "--output", &output]), @"
    exit code 2
    error: --checkpoint: standard input cannot be read a second time: name a file
    ");
    assert!(run(&[&input, "--output", &output]).starts_with("exit code 0\n1 rows: 1 answered"));
    let other = files.path("other.csv");
    insta::assert_snapshot!(run(&[&input, "--output", &other, "-O", "timeout=7s", "--unordered"]), @"
    exit code 2
    error: checkpoint: the checkpoint is of another run, which differs in:
      - --unordered: was 'false', is 'true'
      - output 1: was 'output.csv', is 'other.csv'
    Run the same command as before to go on, or take another folder to start over
    ");
    let other = run(&[
        &input,
        "--output",
        &output,
        "--on-error",
        "fail",
        "--limit",
        "1",
    ]);
    insta::assert_snapshot!(files.relative(&other), @"
    exit code 2
    error: checkpoint: the checkpoint is of another run, which differs in:
      - --limit: was 'not given', is '1'
      - --on-error: was 'not given', is 'fail'
    Run the same command as before to go on, or take another folder to start over
    ");
    files.write("input.csv", "user,value\na,1\na,2\n");
    let changed = run(&[&input, "--output", &output]);
    let (size, time) = changed.split_once("  - time").unwrap();
    insta::assert_snapshot!(size, @"
    exit code 2
    error: checkpoint: the checkpoint is of another run, which differs in:
      - size of input.csv: was '15 bytes', is '19 bytes'
    ");
    assert!(time.starts_with(" of change of input.csv: was '"), "{time}");
}
