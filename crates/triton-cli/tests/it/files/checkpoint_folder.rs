//! The folder of `--checkpoint`: a run touches what runs have made there, and nothing else; and
//! what has happened to the outputs meanwhile is seen before they are written on.

use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::{ANSWERED, MODEL, everything, names, prepared, said};
use crate::{Files, Run, triton};

/// Runs with a checkpoint folder, and ends at the fifth row if there is one.
fn run(files: &Files, output: &str, more: &[&str]) -> Run {
    let arguments = [
        "predict",
        &files.path("model.sql"),
        &files.path("in.csv"),
        "-o",
        &files.path(output),
        "--checkpoint",
        &files.path("state"),
        "--checkpoint-every",
        "2",
        "--on-error",
        "fail",
        "--max-in-flight",
        "1",
        "--quiet",
    ];
    triton(&[&arguments[..], more].concat())
}

/// A run that came as far as its fourth row.
fn ended_early(output: &str, more: &[&str]) -> Files {
    let files = Files::new();
    files.write("model.sql", MODEL);
    files.write("in.csv", "value\n1\n2\n3\n4\nnone\n6\n");
    let ended = run(&files, output, more);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    files
}

#[test]
fn a_folder_of_something_else_is_refused() {
    let (files, _, _) = prepared();
    std::fs::create_dir(files.path("state")).unwrap();
    for (name, text) in [
        ("download.part", "half"),
        ("lock", "of another program"),
        ("notes.txt", ""),
    ] {
        files.write(&format!("state/{name}"), text);
        let before = everything(&files);
        let refused = run(&files, "out.csv", &[]);
        assert_eq!(refused.code, Some(2));
        assert_eq!(everything(&files), before);
    }
    insta::assert_snapshot!(said(&files, &run(&files, "out.csv", &[])), @"
    exit code 2
    error: --checkpoint state: expected a new or empty folder, or one with a checkpoint, found one that holds download.part, lock and 1 more; name a folder that is for this run alone
    ");
    std::fs::remove_file(files.path("state/notes.txt")).unwrap();
    std::fs::remove_file(files.path("state/download.part")).unwrap();
    insta::assert_snapshot!(said(&files, &run(&files, "out.csv", &[])), @"
    exit code 2
    error: --checkpoint state: expected a new or empty folder, or one with a checkpoint, found one that holds lock; name a folder that is for this run alone
    ");
}

#[test]
fn files_of_others_stay_in_a_folder_with_a_checkpoint() {
    let files = ended_early("out.parquet", &[]);
    let kept = [
        "download.part",
        "out.parquet.7.part",
        "out.parquet.0.0123456789abcdef.part",
    ];
    for name in kept {
        files.write(&format!("state/{name}"), "of somebody else");
    }
    let parts = || names(&files).matches(".part").count() - kept.len();
    assert!(parts() > 0, "{}", names(&files));
    assert_eq!(run(&files, "out.parquet", &[]).code, Some(1));
    // Without the row that cannot be read, and with another folder, it comes to its end.
    let files = {
        let (other, _, _) = prepared();
        std::fs::create_dir(other.path("state")).unwrap();
        assert_eq!(run(&other, "out.parquet", &[]).code, Some(0));
        other
    };
    assert_eq!(
        names(&files),
        "out.parquet state state/checkpoint.json state/lock"
    );
}

#[test]
fn a_lock_without_a_checkpoint_locks_nobody_out() {
    for lock in ["", "0123456789abcdef"] {
        let (files, _, _) = prepared();
        std::fs::create_dir(files.path("state")).unwrap();
        files.write("state/lock", lock);
        files.write("state/checkpoint.json.new", "{");
        if !lock.is_empty() {
            files.write(&format!("state/out.csv.0.{lock}.part"), "half");
        }
        let ended = run(&files, "out.csv", &[]);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert_eq!(
            names(&files),
            "out.csv state state/checkpoint.json state/lock"
        );
        assert_eq!(
            std::fs::read_to_string(files.path("out.csv")).unwrap(),
            ANSWERED
        );
    }
}

// Holds C51.
#[test]
fn other_users_cannot_look_into_the_folder() {
    let (files, _, _) = prepared();
    let mode = |name: &str| {
        let metadata = std::fs::metadata(files.path(name)).unwrap();
        metadata.permissions().mode() & 0o777
    };
    assert_eq!(run(&files, "out.csv", &[]).code, Some(0));
    assert_eq!(mode("state"), 0o700);
    // One that was there is its owner's business.
    std::fs::remove_dir_all(files.path("state")).unwrap();
    std::fs::create_dir(files.path("state")).unwrap();
    let chosen = std::fs::Permissions::from_mode(0o750);
    std::fs::set_permissions(files.path("state"), chosen).unwrap();
    assert_eq!(run(&files, "out.csv", &[]).code, Some(0));
    assert_eq!(mode("state"), 0o750);
}

#[test]
fn links_in_the_folder_do_no_harm() {
    let (files, _, _) = prepared();
    let victim = files.write("victim", "precious");
    std::fs::create_dir(files.path("state")).unwrap();
    symlink(&victim, files.path("state/checkpoint.json.new")).unwrap();
    assert_eq!(run(&files, "out.csv", &[]).code, Some(0));
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious");
    std::fs::remove_file(files.path("state/lock")).unwrap();
    symlink(&victim, files.path("state/lock")).unwrap();
    insta::assert_snapshot!(said(&files, &run(&files, "out.csv", &[])), @"
    exit code 2
    error: state/lock: this is not the file by which runs of the command lock their folder of checkpoints; take another folder
    ");
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious");
}

/// A run over an input without its last bytes, so that it ends after the last row.
fn over_damaged_input(files: &Files, output: &str) -> Run {
    triton(&[
        "predict",
        &files.path("model.sql"),
        &files.path("in.csv.gz"),
        "-o",
        &files.path(output),
        "--errors",
        &files.path("errors.ndjson"),
        "--checkpoint",
        &files.path("state"),
        "--checkpoint-every",
        "2",
        "--max-in-flight",
        "1",
        "--quiet",
    ])
}

/// What is said when such a run is to go on after a file was changed, or taken away with `None`.
fn refusal(output: &str, changed: &str, text: Option<&str>) -> String {
    let files = Files::new();
    files.write("model.sql", MODEL);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder
        .write_all(b"value\nx\n1\n2\n3\n4\n5\n6\n7\n")
        .unwrap();
    let bytes = encoder.finish().unwrap();
    std::fs::write(files.path("in.csv.gz"), &bytes[..bytes.len() - 8]).unwrap();
    let ended = over_damaged_input(&files, output);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(!names(&files).contains(".partial"));
    let changed = match changed.strip_prefix('*') {
        // The first file that ends so.
        Some(end) => everything(&files)
            .into_keys()
            .find(|name| name.ends_with(end))
            .unwrap(),
        None => changed.to_owned(),
    };
    match text {
        Some(text) => drop(files.write(&changed, text)),
        None => std::fs::remove_file(files.path(&changed)).unwrap(),
    }
    let before = everything(&files);
    let resumed = over_damaged_input(&files, output);
    assert_eq!(everything(&files), before);
    let said = said(&files, &resumed);
    match changed.strip_prefix("state/") {
        Some(part) => said.replace(part, "PART"),
        None => said,
    }
}

#[test]
fn an_output_that_is_not_what_it_was_is_not_written_on() {
    insta::assert_snapshot!(refusal("out.csv", "out.csv", None), @"
    exit code 2
    error: out.csv is gone, which the checkpoint continues: put it back, or take another folder for --checkpoint to start over
    ");
    insta::assert_snapshot!(refusal("out.csv", "out.csv", Some("value,sum\n1,1\n")), @"
    exit code 2
    error: out.csv has 14 bytes, fewer than the 38 that the checkpoint recorded: put it back, or take another folder for --checkpoint to start over
    ");
    insta::assert_snapshot!(refusal("out.csv", "out.csv", Some(&"another,file\n".repeat(10))), @"
    exit code 2
    error: out.csv is not the file that the checkpoint recorded: it holds something else before byte 38; put that file back, or take another folder for --checkpoint to start over
    ");
    insta::assert_snapshot!(refusal("out.ndjson.gz", "out.ndjson.gz", None), @"
    exit code 2
    error: out.ndjson.gz is gone, which the checkpoint continues: put it back, or take another folder for --checkpoint to start over
    ");
    insta::assert_snapshot!(refusal("out.parquet", "*.part", None), @"
    exit code 2
    error: state/PART is gone, in which the checkpoint keeps rows of an output: put it back, or take another folder for --checkpoint to start over
    ");
    insta::assert_snapshot!(refusal("out.csv", "errors.ndjson", None), @"
    exit code 2
    error: the file of --errors cannot be written
      caused by: errors.ndjson is gone, which the checkpoint continues: put it back, or take another folder for --checkpoint to start over
    ");
    insta::assert_snapshot!(refusal("out.csv", "errors.ndjson", Some("")), @"
    exit code 2
    error: the file of --errors cannot be written
      caused by: errors.ndjson has 0 bytes, fewer than the 129 that the checkpoint recorded: put it back, or take another folder for --checkpoint to start over
    ");
    insta::assert_snapshot!(refusal("out.csv", "errors.ndjson", Some(&"x".repeat(999))), @"
    exit code 2
    error: the file of --errors cannot be written
      caused by: errors.ndjson is not the file that the checkpoint recorded: no line ends at byte 129; put it back, or take another folder for --checkpoint to start over
    ");
}

#[test]
fn a_completed_output_that_is_gone_is_missed() {
    let (files, _, _) = prepared();
    assert_eq!(run(&files, "out.csv", &[]).code, Some(0));
    std::fs::remove_file(files.path("out.csv")).unwrap();
    insta::assert_snapshot!(said(&files, &run(&files, "out.csv", &[])), @"
    exit code 2
    error: out.csv is gone, which was completed before: put it back, or take another folder for --checkpoint to start over
    ");
    // One of several, while a later one is being written.
    let files = ended_early("out/", &[]);
    let first = files.write("a.csv", "value\n1\n2\n3\n");
    let arguments = [
        "predict",
        &files.path("model.sql"),
        &first,
        &files.path("in.csv"),
        "-o",
        &files.path("out/"),
        "--checkpoint",
        &files.path("other"),
        "--checkpoint-every",
        "2",
        "--on-error",
        "fail",
        "--max-in-flight",
        "1",
        "--quiet",
    ];
    assert_eq!(triton(&arguments).code, Some(1));
    std::fs::remove_file(files.path("out/a.csv")).unwrap();
    insta::assert_snapshot!(said(&files, &triton(&arguments)), @"
    exit code 2
    error: out/a.csv is gone, which was completed before: put it back, or take another folder for --checkpoint to start over
    ");
}

#[test]
fn a_file_that_another_run_is_writing_is_refused() {
    let (files, _, _) = prepared();
    let (output, errors) = (
        files.write("out.csv", "its rows\n"),
        files.write("errors", "its rows\n"),
    );
    let hold = |path: &str| {
        let file = std::fs::File::options().write(true).open(path).unwrap();
        file.try_lock().unwrap();
        file
    };
    let before = everything(&files);
    let held = hold(&output);
    insta::assert_snapshot!(said(&files, &run(&files, "out.csv", &[])), @"
    exit code 2
    error: the output cannot be written
      caused by: out.csv: another run of the command is writing this file
    ");
    std::fs::remove_dir_all(files.path("state")).unwrap();
    let arguments = [
        "predict",
        &files.path("model.sql"),
        &files.path("in.csv"),
        "-o",
        &output,
    ];
    assert_eq!(triton(&arguments).code, Some(2));
    drop(held);
    let _held = hold(&errors);
    let refused = triton(&[&arguments[..], &["--errors", &errors]].concat());
    insta::assert_snapshot!(said(&files, &refused), @"
    exit code 2
    error: the file of --errors cannot be written
      caused by: errors: another run of the command is writing this file
    ");
    assert_eq!(everything(&files), before);
}
