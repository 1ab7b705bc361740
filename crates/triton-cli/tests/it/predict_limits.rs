//! Runs that cannot go on, or are not to: they end with the reason and what to do, within seconds.

use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::{Files, Run, command, triton};

const KEYED: &str = "
    CREATE MODEL m INPUT (`value` INT) OUTPUT (sum INT)
    WITH ('provider' = 'triton', 'endpoint' = 'embedded', 'model-name' = 'accumulate',
          'sequence-id' = 'job', 'sequence-id-auto-increment' = 'true', 'sequence-key' = 'user')";

/// It fails with the status that a row asks for, and answers with every other number.
const FAILS: &str = "
    CREATE MODEL m INPUT (`value` INT) OUTPUT (echo INT)
    WITH ('provider' = 'triton', 'endpoint' = 'embedded', 'model-name' = 'fails',
          'input-names' = 'value:status', 'output-names' = 'echo:status')";

/// So many rows of each of so many keys, one of each key in turn.
fn interleaved(keys: usize, rounds: usize) -> String {
    let rows = (0..keys * rounds).map(|row| format!("k{},{}\n", row % keys, row / keys + 1));
    format!("user,value\n{}", rows.collect::<String>())
}

#[test]
fn more_open_keys_than_the_model_keeps_are_refused_before_the_first_row() {
    let files = Files::new();
    let model = files.write("model.sql", KEYED);
    let input = files.write("input.csv", &interleaved(300, 3));
    let run = |more: &[&str]| {
        let run = triton(&[&["predict", &model, &input], more].concat());
        assert_eq!(
            (run.code, run.stdout.as_str()),
            (Some(2), ""),
            "{}",
            run.stderr
        );
        run.stderr
    };
    insta::assert_snapshot!(run(&["-O", "sequence-max-open=2"]), @"error: up to 300 keys are open at once (past their first row and before their last), but only 2 sequences of model 'accumulate' can be ('sequence-max-open'), so rows would wait for each other for ever: sort the input by its key (--sort-by-key), raise the model's max_candidate_sequences, or let sequences end sooner by the option 'sequence-end-column', 'sequence-max-length' or 'sequence-idle-timeout'");
    insta::assert_snapshot!(run(&["-O", "sequence-max-open=100", "--parallelism", "2"]), @"error: up to 152 keys are open at once in subtask 1 of 2 (past their first row and before their last), but only 100 sequences of model 'accumulate' can be ('sequence-max-open'), so rows would wait for each other for ever: sort the input by its key (--sort-by-key), raise the model's max_candidate_sequences, or let sequences end sooner by the option 'sequence-end-column', 'sequence-max-length' or 'sequence-idle-timeout'");
    insta::assert_snapshot!(run(&["--parallelism", "8"]), @"error: up to 39 keys are open at once in subtask 3 of 8 (past their first row and before their last), but only 28 sequences of model 'accumulate' can be (the 8 subtasks divide those that the model keeps among them; with --parallelism 1 there is one, which has them all), so rows would wait for each other for ever: sort the input by its key (--sort-by-key), raise the model's max_candidate_sequences, or let sequences end sooner by the option 'sequence-end-column', 'sequence-max-length' or 'sequence-idle-timeout'");
}

#[test]
fn keys_whose_sequences_end_in_time_are_not_refused() {
    let files = Files::new();
    let model = files.write("model.sql", KEYED);
    let sorted: String = (0..300)
        .map(|row| format!("k{},{}\n", row / 3, row % 3 + 1))
        .collect();
    let sorted = files.write("sorted.csv", &format!("user,value\n{sorted}"));
    let interleaved = files.write("interleaved.csv", &interleaved(100, 4));
    for (input, more) in [
        (&sorted, "sequence-max-open=1"),
        // No sequence is longer than one row, so none is open behind it.
        (&interleaved, "sequence-max-length=1"),
    ] {
        let limit = ["-O", "sequence-max-open=1", "-O", more];
        let run = triton(&[&["predict", &model, input][..], &limit].concat());
        assert_eq!(run.code, Some(0), "{}", run.stderr);
    }
}

async fn piped(arguments: &[&str], input: &str, keep_open: bool) -> (Run, Duration) {
    let mut child = Command::from(command(arguments))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let begun = Instant::now();
    let mut pipe = child.stdin.take().unwrap();
    // It reads no more than it has room for.
    let input = input.to_owned();
    let writing = tokio::spawn(async move {
        let _ = pipe.write_all(input.as_bytes()).await;
        if keep_open {
            std::future::pending::<()>().await;
        }
    });
    let limit = Duration::from_secs(60);
    let output = tokio::time::timeout(limit, child.wait_with_output()).await;
    writing.abort();
    let run = Run::of(output.expect("the run hangs").unwrap());
    (run, begun.elapsed())
}

#[tokio::test]
async fn a_pipe_with_more_open_keys_than_the_model_keeps_is_ended_within_seconds() {
    let files = Files::new();
    let model = files.write("model.sql", KEYED);
    let arguments = ["predict", &model, "-", "-O", "sequence-max-open=2"];
    for (rounds, keep_open) in [(4, true), (4, false), (1, false)] {
        let (run, time) = piped(&arguments, &interleaved(300, rounds), keep_open).await;
        assert_eq!(run.code, Some(2), "{}", run.stderr);
        assert!(time < Duration::from_secs(20), "{time:?}");
        let last = run.stderr.lines().last().unwrap();
        assert!(
            last.starts_with(
                "error: no row can go on: 2 sequences are open, which is all that can be, and the "
            ),
            "{last}"
        );
        assert!(last.contains("sort the input by its key"), "{last}");
    }
}

/// Rows of which every third meets an error of the model.
fn partly_refused(rows: usize) -> String {
    let rows = (0..rows).map(|row| match row % 3 {
        0 => "500,x\n".to_owned(),
        _ => "1,x\n".to_owned(),
    });
    format!("value,note\n{}", rows.collect::<String>())
}

#[test]
fn of_many_rejected_rows_the_first_are_told_and_the_others_counted() {
    let files = Files::new();
    let model = files.write("model.sql", FAILS);
    let input = files.write("input.csv", &partly_refused(3000));
    let output = files.path("o.csv");
    let run = triton(&[
        "predict",
        &model,
        &input,
        "--output",
        &output,
        "-O",
        "batch-size=1",
    ]);
    assert_eq!(run.code, Some(1));
    // A machine that is busy has time for a line of progress.
    let lines = run.stderr.lines().filter(|line| !line.contains("ETA"));
    let said: Vec<&str> = lines.collect();
    assert_eq!(said.len(), 12, "{}", run.stderr);
    // The port is another one in every run.
    let (before, after) = said[0].split_once("127.0.0.1:").unwrap();
    insta::assert_snapshot!(before, @"row 1 (line 2): the row was not answered: infer with model 'fails' at http://");
    assert!(after.ends_with(": status 500: failed with 500"), "{after}");
    insta::assert_snapshot!(said[10], @"990 more rows were rejected: 990 by status 500 (--errors FILE keeps each with its reason)");
    assert!(said[11].starts_with("3000 rows: 2000 answered, 1000 rejected; "));
}

#[test]
fn too_many_rejected_rows_end_the_run() {
    let files = Files::new();
    let model = files.write("model.sql", FAILS);
    let input = files.write("input.csv", &partly_refused(3000));
    let last = |most: &str| {
        let output = files.path("o.csv");
        let run = triton(&[
            "predict",
            &model,
            &input,
            "-o",
            &output,
            "--max-errors",
            most,
            "--max-in-flight",
            "1",
        ]);
        assert_eq!(run.code, Some(1), "{}", run.stderr);
        run.stderr.lines().last().unwrap().to_owned()
    };
    insta::assert_snapshot!(last("5"), @"ended by --max-errors 5");
    insta::assert_snapshot!(last("20%"), @"ended by --max-errors 20%");
    assert!(last("50%").starts_with("3000 rows"));
    let refused = |most: &str| {
        let run = triton(&["predict", &model, &input, "--max-errors", most]);
        assert_eq!(run.code, Some(2));
        run.stderr
    };
    insta::assert_snapshot!(refused("101%"), @"
    error: invalid value '101%' for '--max-errors <N|P%>': expected a number of rows, or a share such as 1%

    For more information, try '--help'.
    ");
}

#[test]
fn rejected_rows_can_be_run_again() {
    let files = Files::new();
    let model = files.write("model.sql", FAILS);
    let input = files.write("input.csv", "value,note\n1,a\n400,b\nthree,c\n4,d\n");
    let other = files.write("other.csv", "value,note\n500,e\n6,f\n");
    let errors = files.path("errors.ndjson");
    let run = triton(&["predict", &model, &input, &other, "--errors", &errors]);
    assert_eq!(
        (run.code, run.stdout.lines().count()),
        (Some(1), 4),
        "{}",
        run.stderr
    );
    // What was wrong with the model has been put right, what is wrong with the input has not.
    let model = files.write("model.sql", &KEYED.replace(", 'sequence-key' = 'user'", ""));
    let run = triton(&["predict", &model, &input, &other, "--retry-errors", &errors]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    insta::assert_snapshot!(run.stdout, @"
    value,note,sum
    400,b,400
    500,e,500
    ");
    // The same command once more would put these rows in the place of all others.
    let output = files.write("output.csv", "value,note,sum\n1,a,1\n");
    let run = triton(&[
        "predict",
        &model,
        &input,
        &other,
        "--retry-errors",
        &errors,
        "-o",
        &output,
    ]);
    assert_eq!(run.code, Some(2));
    insta::assert_snapshot!(files.relative(&run.stderr), @"error: --retry-errors: the output output.csv is there already, and the rows that are run again would take the place of all others: give them an output of their own");
    assert_eq!(
        std::fs::read_to_string(&output).unwrap(),
        "value,note,sum\n1,a,1\n"
    );
    let elsewhere = files.write("elsewhere.csv", "value,note\n1,a\n");
    let run = triton(&["predict", &model, &elsewhere, "--retry-errors", &errors]);
    assert_eq!(run.code, Some(2));
    insta::assert_snapshot!(files.relative(&run.stderr), @"error: --retry-errors errors.ndjson, line 1: the row is of the input 'input.csv', which is none of this run's: elsewhere.csv");
    let keyed = files.write("keyed.sql", KEYED);
    let sequences = files.write("keyed.csv", "user,value\na,1\n");
    let run = triton(&["predict", &keyed, &sequences, "--retry-errors", &errors]);
    assert_eq!(run.code, Some(2));
    insta::assert_snapshot!(run.stderr, @"error: --retry-errors: with 'sequence-key' a row means nothing without the rows of its key before it; run the whole input again");
}

#[test]
fn rows_before_the_break_of_an_input_are_answered_and_kept() {
    let files = Files::new();
    let model = files.write("model.sql", &KEYED.replace(", 'sequence-key' = 'user'", ""));
    let input = files.path("input.ndjson");
    // Every row is read at once, the last bytes can be no row, and answers take their time.
    let rows: String = (0..100)
        .map(|row| format!("{{\"value\":{row}}}\n"))
        .collect();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut gzip, rows.as_bytes()).unwrap();
    let mut bytes = gzip.finish().unwrap();
    bytes.truncate(bytes.len() - 4);
    std::fs::write(&input, bytes).unwrap();
    let output = files.path("output.ndjson");
    let run = triton(&[
        "predict",
        &model,
        &input,
        "-o",
        &output,
        "--max-in-flight",
        "64",
    ]);
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    let kept = std::fs::read_to_string(files.path("output.ndjson.partial")).unwrap();
    assert_eq!(kept.lines().count(), 100, "{}", run.stderr);
    assert!(
        run.stderr
            .contains("the 100 rows answered so far are kept in"),
        "{}",
        run.stderr
    );
}
