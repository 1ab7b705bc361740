//! Pipes that have a name are inputs like standard input: opened once, and read once.

use std::process::{Command, Stdio};

use super::{ANSWERED, INPUT, MODEL, prepared, said};
use crate::{Files, Run, triton};

/// Runs a line of bash in which `$triton` is the command and `$model` its model file.
fn bash(files: &Files, line: &str) -> Run {
    let output = Command::new("bash")
        .args(["-c", &format!("set -o pipefail; cd \"$folder\"; {line}")])
        .env("triton", env!("CARGO_BIN_EXE_triton"))
        .env("folder", files.path(""))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Run::of(output)
}

#[test]
fn pipes_are_read_once_by_whatever_name() {
    let (files, _, _) = prepared();
    for line in [
        "$triton predict model.sql <(cat in.csv)",
        "cat in.csv | $triton predict model.sql /dev/stdin",
        "cat in.csv | $triton predict model.sql /dev/fd/0",
        "cat in.csv | $triton predict model.sql /proc/self/fd/0 --input-format csv",
        "mkfifo pipe.csv; cat in.csv >pipe.csv & $triton predict model.sql pipe.csv; rm pipe.csv",
        "ln -s /dev/stdin link.csv; cat in.csv | $triton predict model.sql link.csv",
        "$triton predict model.sql /dev/stdin <in.csv",
        "$triton predict model.sql <(gzip -c in.csv)",
    ] {
        let run = bash(&files, line);
        assert_eq!(
            (run.code, run.stdout.as_str()),
            (Some(0), ANSWERED),
            "{line}: {}",
            run.stderr
        );
    }
}

#[test]
fn several_pipes_and_files_go_one_after_the_other() {
    let (files, _, _) = prepared();
    let rows = ANSWERED.split_once('\n').unwrap().1;
    // What is compressed is further in its file than in its text.
    for inputs in [
        "<(cat in.csv) in.csv <(cat in.csv)",
        "<(gzip -c in.csv) <(gzip -c in.csv) <(cat in.csv)",
    ] {
        let run = bash(
            &files,
            &format!("$triton predict model.sql {inputs} -o out.csv"),
        );
        assert_eq!(run.code, Some(0), "{inputs}: {}", run.stderr);
        let written = std::fs::read_to_string(files.path("out.csv")).unwrap();
        assert_eq!(written, format!("{ANSWERED}{rows}{rows}"), "{inputs}");
    }
}

#[test]
fn a_pipe_with_keys_is_not_read_twice() {
    let files = Files::new();
    files.write(
        "model.sql",
        &MODEL.replace("'sequence-id' =", "'sequence-key' = 'k', 'sequence-id' ="),
    );
    files.write("in.csv", "k,value\na,1\nb,5\na,2\n");
    let run = bash(
        &files,
        "$triton predict model.sql <(cat in.csv) --input-format csv",
    );
    assert_eq!(
        run.stdout, "k,value,sum\na,1,1\nb,5,5\na,2,3\n",
        "{}",
        run.stderr
    );
    assert!(
        run.stderr.contains("; 2 sequences stayed open\n"),
        "{}",
        run.stderr
    );
}

#[test]
fn what_a_pipe_cannot_be() {
    let (files, _, _) = prepared();
    let said = |line: &str| {
        let run = bash(&files, line);
        let text = said(&files, &run);
        // The number of the pipe is whatever is free.
        text.replace("/dev/fd/63", "/dev/fd/N")
            .replace("/dev/fd/62", "/dev/fd/N")
    };
    insta::assert_snapshot!(said("$triton predict model.sql <(cat in.csv) -o out.csv --checkpoint state"), @"
    exit code 2
    error: --checkpoint: /dev/fd/N is no regular file, and cannot be read a second time: name a file
    ");
    insta::assert_snapshot!(said("cat in.csv | $triton predict model.sql - /dev/stdin"), @"
    exit code 2
    error: /dev/stdin: a pipe can be read only once
    ");
    insta::assert_snapshot!(said("cat in.csv | $triton predict model.sql /dev/stdin /dev/fd/0"), @"
    exit code 2
    error: /dev/fd/0: a pipe can be read only once
    ");
    insta::assert_snapshot!(said("$triton predict model.sql in.csv -o /dev/null --checkpoint state"), @"
    exit code 2
    error: --checkpoint: what was written to /dev/null cannot be taken back, because it is no regular file: name another --output
    ");
    insta::assert_snapshot!(said("$triton predict model.sql <(printf 'PAR1\\025\\004') -o out.csv"), @"
    exit code 2
    error: /dev/fd/N: Parquet is read from its end, so it must be a file, and compressed only within; pipe rows as NDJSON or as an Arrow stream
    ");
    assert!(!std::path::Path::new(&files.path("state")).exists());
}

#[test]
fn a_hidden_file_is_not_meant_by_a_pattern() {
    let (files, model, _) = prepared();
    files.write(".in.csv.triton-unfinished", "half");
    files.write(".hidden.csv", INPUT);
    std::fs::remove_file(model).unwrap();
    let elsewhere = Files::new();
    let model = elsewhere.write("model.sql", MODEL);
    let run = triton(&["predict", &model, &files.path("*")]);
    assert_eq!(
        (run.code, run.stdout.as_str()),
        (Some(0), ANSWERED),
        "{}",
        run.stderr
    );
}
