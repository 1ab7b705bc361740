//! Every pair of files of a run: what must not be written over is found before anything is written.

use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use super::{ANSWERED, INPUT, MODEL, everything, names, prepared, said};
use crate::{Files, Run, command, triton};

/// What a run can be given a file for, with the name it has where it is a file of its own.
const ROLES: [(&str, &str); 11] = [
    ("model file", "model.sql"),
    ("input", "in.csv"),
    ("--config", "config.toml"),
    ("secret file", "token.txt"),
    ("--retry-errors", "retry.ndjson"),
    ("--output", "out.csv"),
    ("--errors", "errors.ndjson"),
    ("--json-summary", "summary.json"),
    ("--checkpoint", "state"),
    ("standard output", "stdout.csv"),
    ("standard error", "stderr.txt"),
];

/// How many of them are only read.
const READ: usize = 5;

const RETRY_ERRORS: usize = 4;
const OUTPUT: usize = 5;
const CHECKPOINT: usize = 8;
const STANDARD_OUTPUT: usize = 9;
const STANDARD_ERROR: usize = 10;

/// How a second name leads to a file.
#[derive(Clone, Copy, Debug, PartialEq)]
enum By {
    SameName,
    SymbolicLink,
    HardLink,
}

/// Runs with the file of one role taken for another one, too; whatever the shell would open is
/// opened for appending.
fn run_with_one_file_for_two(files: &Files, first: usize, second: usize, by: By) -> Run {
    let mut paths = ROLES.map(|(_, name)| files.path(name));
    let (one, other) = (paths[first].clone(), files.path("other-name"));
    paths[second] = match by {
        By::SameName => one,
        By::SymbolicLink => {
            symlink(ROLES[first].1, &other).unwrap();
            other
        }
        By::HardLink => {
            std::fs::hard_link(one, &other).unwrap();
            other
        }
    };
    let [
        model,
        input,
        config,
        secret,
        retry,
        output,
        errors,
        summary,
        checkpoint,
        stdout,
        stderr,
    ] = &paths;
    let secret = format!("auth-token=@{secret}");
    let summary = format!("--json-summary={summary}");
    let mut arguments = vec!["predict", model, input, "--config", config, "-O", &secret];
    arguments.extend(["--errors", errors, &summary]);
    let is_used = |role| first == role || second == role;
    if is_used(RETRY_ERRORS) {
        arguments.extend(["--retry-errors", retry]);
    }
    if !is_used(STANDARD_OUTPUT) {
        arguments.extend(["--output", output]);
    }
    if is_used(CHECKPOINT) {
        arguments.extend(["--checkpoint", checkpoint]);
    }
    let mut command = command(&arguments);
    let append = |path: &String| {
        std::fs::File::options()
            .append(true)
            .create(true)
            .open(path)
    };
    if is_used(STANDARD_OUTPUT) {
        command.stdout(append(stdout).unwrap());
    }
    if is_used(STANDARD_ERROR) {
        command.stderr(append(stderr).unwrap());
    }
    let mut run = Run::of(command.output().unwrap());
    if is_used(STANDARD_ERROR) {
        run.stderr = std::fs::read_to_string(stderr).unwrap();
    }
    run
}

fn files_for_roles(files: &Files) {
    files.write("model.sql", MODEL);
    files.write("in.csv", INPUT);
    files.write("config.toml", "timeout = \"7 s\"\n");
    files.write("token.txt", "secret");
    files.write("retry.ndjson", "");
}

/// What happens to a pair; everything in the folder must be as it was before.
fn refused(first: usize, second: usize, by: By, is_there: bool) -> String {
    let files = Files::new();
    files_for_roles(&files);
    if is_there {
        // What the run would write is there already, from an earlier one.
        let path = files.path(ROLES[first].1);
        if !Path::new(&path).exists() {
            std::fs::write(path, "earlier\n").unwrap();
        }
    }
    let before = everything(&files);
    let run = run_with_one_file_for_two(&files, first, second, by);
    let mut after = everything(&files);
    after.remove("other-name");
    let what = format!(
        "{} and {} by {by:?}: {}",
        ROLES[first].0, ROLES[second].0, run.stderr
    );
    assert_eq!(run.code, Some(2), "{what}");
    for (name, text) in after {
        match before.get(&name) {
            // The refusal itself may be written to it.
            Some(before) => assert!(text.starts_with(before), "{name}: {what}"),
            // The shell creates what it opens.
            None => {
                let by_shell = second >= STANDARD_OUTPUT && name == ROLES[first].1;
                assert!(by_shell || second == STANDARD_OUTPUT, "{name}: {what}");
            }
        }
    }
    // The first line of the message, behind what was in the file before.
    let (_, message) = run.stderr.split_once("error: ").unwrap();
    files.relative(message.lines().next().unwrap()) + "\n"
}

#[test]
fn no_file_is_written_over_by_another() {
    let mut found = String::new();
    for first in 0..ROLES.len() {
        for second in first.max(READ - 1) + 1..ROLES.len() {
            // What standard output is does not matter beside --output, and a shell may put rows
            // and messages into one file.
            if [(OUTPUT, STANDARD_OUTPUT), (STANDARD_OUTPUT, STANDARD_ERROR)]
                .contains(&(first, second))
            {
                continue;
            }
            for by in [By::SymbolicLink, By::HardLink] {
                let (is_there, is_name_of_folder) = (by == By::HardLink, second == CHECKPOINT);
                // A shell would not open what does not exist by a link.
                if !is_name_of_folder && first != CHECKPOINT {
                    refused(first, second, by, is_there || second > CHECKPOINT);
                }
            }
            let message = refused(first, second, By::SameName, false);
            found.push_str(&message);
        }
    }
    insta::assert_snapshot!(found, @"
    --output model.sql is the model file model.sql: the run would write over what it reads; name another file
    --errors model.sql is the model file model.sql: the run would write over what it reads; name another file
    --json-summary=model.sql is the model file model.sql: the run would write over what it reads; name another file
    --checkpoint model.sql is the model file model.sql: checkpoints are kept in a folder that is for them alone; name another one
    standard output is the model file model.sql: the run would write over what it reads; name another file
    standard error is the model file model.sql: the run would write over what it reads; name another file
    --output in.csv is the input in.csv: the run would write over what it reads; name another file
    --errors in.csv is the input in.csv: the run would write over what it reads; name another file
    --json-summary=in.csv is the input in.csv: the run would write over what it reads; name another file
    --checkpoint in.csv is the input in.csv: checkpoints are kept in a folder that is for them alone; name another one
    standard output is the input in.csv: the run would write over what it reads; name another file
    standard error is the input in.csv: the run would write over what it reads; name another file
    --output config.toml is the configuration file config.toml: the run would write over what it reads; name another file
    --errors config.toml is the configuration file config.toml: the run would write over what it reads; name another file
    --json-summary=config.toml is the configuration file config.toml: the run would write over what it reads; name another file
    --checkpoint config.toml is the configuration file config.toml: checkpoints are kept in a folder that is for them alone; name another one
    standard output is the configuration file config.toml: the run would write over what it reads; name another file
    standard error is the configuration file config.toml: the run would write over what it reads; name another file
    --output token.txt is the file token.txt, which holds a secret option: the run would write over what it reads; name another file
    --errors token.txt is the file token.txt, which holds a secret option: the run would write over what it reads; name another file
    --json-summary=token.txt is the file token.txt, which holds a secret option: the run would write over what it reads; name another file
    --checkpoint token.txt is the file token.txt, which holds a secret option: checkpoints are kept in a folder that is for them alone; name another one
    standard output is the file token.txt, which holds a secret option: the run would write over what it reads; name another file
    standard error is the file token.txt, which holds a secret option: the run would write over what it reads; name another file
    --output retry.ndjson is --retry-errors retry.ndjson: the run would write over what it reads; name another file
    --errors retry.ndjson is --retry-errors retry.ndjson: the run would write over what it reads; name another file
    --json-summary=retry.ndjson is --retry-errors retry.ndjson: the run would write over what it reads; name another file
    the argument '--retry-errors <FILE>' cannot be used with '--checkpoint <DIR>'
    standard output is --retry-errors retry.ndjson: the run would write over what it reads; name another file
    standard error is --retry-errors retry.ndjson: the run would write over what it reads; name another file
    --output out.csv is --errors out.csv: each would destroy what the other is to hold; name another file
    --output out.csv is --json-summary=out.csv: each would destroy what the other is to hold; name another file
    --checkpoint out.csv is --output out.csv: checkpoints are kept in a folder that is for them alone; name another one
    --output out.csv is standard error: each would destroy what the other is to hold; name another file
    --errors errors.ndjson is --json-summary=errors.ndjson: each would destroy what the other is to hold; name another file
    --checkpoint errors.ndjson is --errors errors.ndjson: checkpoints are kept in a folder that is for them alone; name another one
    standard output is --errors errors.ndjson: each would destroy what the other is to hold; name another file
    standard error is --errors errors.ndjson: each would destroy what the other is to hold; name another file
    --checkpoint summary.json is --json-summary=summary.json: checkpoints are kept in a folder that is for them alone; name another one
    standard output is --json-summary=summary.json: each would destroy what the other is to hold; name another file
    standard error is --json-summary=summary.json: each would destroy what the other is to hold; name another file
    --checkpoint: what was written to standard output cannot be taken back: add --output FILE
    --checkpoint state: expected a folder, found something else; name another one
    ");
}

#[test]
fn a_shell_may_put_rows_and_messages_into_one_file() {
    let (files, model, input) = prepared();
    let both = std::fs::File::create(files.path("both.txt")).unwrap();
    let status = command(&["predict", &model, &input])
        .stdout(both.try_clone().unwrap())
        .stderr(both)
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(0));
    let text = std::fs::read_to_string(files.path("both.txt")).unwrap();
    assert!(
        text.contains("3,c,3\n") && text.contains("3 rows: 3 answered"),
        "{text}"
    );
}

#[test]
fn a_file_may_be_read_twice() {
    let (files, model, input) = prepared();
    let output = files.path("out.csv");
    let run = triton(&["predict", &model, &input, &input, "-o", &output]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(std::fs::read_to_string(output).unwrap().lines().count(), 7);
}

#[test]
fn outputs_in_the_folder_of_the_inputs() {
    let files = Files::new();
    let model = files.write("model.sql", MODEL);
    std::fs::create_dir(files.path("data")).unwrap();
    std::fs::create_dir(files.path("empty")).unwrap();
    symlink("data", files.path("link")).unwrap();
    for name in ["data/a.csv", "data/b.csv"] {
        files.write(name, INPUT);
    }
    symlink("../data/b.csv", files.path("empty/b.csv")).unwrap();
    let before = everything(&files);
    let run = |inputs: &str, folder: &str, more: &[&str]| {
        let (inputs, folder) = (files.path(inputs), files.path(folder));
        let run = triton(&[&["predict", &model, &inputs, "-o", &folder], more].concat());
        assert_eq!(everything(&files), before);
        said(&files, &run)
    };
    insta::assert_snapshot!(run("data/*.csv", "data", &[]), @"
    exit code 2
    error: the output data/a.csv in the folder of --output is the input data/a.csv: the run would write over what it reads; name another file
    ");
    insta::assert_snapshot!(run("data/*.csv", "link/", &[]), @"
    exit code 2
    error: the output link/a.csv in the folder of --output is the input data/a.csv, by another name: the run would write over what it reads; name another file
    ");
    insta::assert_snapshot!(run("data/b.csv", "empty", &[]), @"
    exit code 2
    error: the output empty/b.csv in the folder of --output is the input data/b.csv, by another name: the run would write over what it reads; name another file
    ");
    insta::assert_snapshot!(run("link/a.csv", "data/", &["--output-format", "csv"]), @"
    exit code 2
    error: the output data/a.csv in the folder of --output is the input link/a.csv, by another name: the run would write over what it reads; name another file
    ");
    let errors = files.path("new/b.csv");
    insta::assert_snapshot!(run("data/*.csv", "new/", &["--errors", &errors]), @"
    exit code 2
    error: the output new/b.csv in the folder of --output is --errors new/b.csv: each would destroy what the other is to hold; name another file
    ");
    let checkpoint = files.path("data");
    insta::assert_snapshot!(run("data/*.csv", "new/", &["--checkpoint", &checkpoint]), @"
    exit code 2
    error: --checkpoint data: the input data/a.csv lies in this folder, which is for checkpoints alone; name another folder
    ");
    let checkpoint = files.path("new");
    insta::assert_snapshot!(run("data/*.csv", "new/", &["--checkpoint", &checkpoint]), @"
    exit code 2
    error: --checkpoint new: the output new/a.csv in the folder of --output lies in this folder, which is for checkpoints alone; name another folder
    ");
}

#[test]
fn standard_streams_that_are_files() {
    let (files, model, _) = prepared();
    let input = files.path("in.csv");
    // < in.csv -o in.csv
    let run = command(&["predict", &model, "-", "-o", &input])
        .stdin(std::fs::File::open(&input).unwrap())
        .output()
        .unwrap();
    insta::assert_snapshot!(said(&files, &Run::of(run)), @"
    exit code 2
    error: --output in.csv is standard input: the run would write over what it reads; name another file
    ");
    // < in.csv >> in.csv
    let run = command(&["predict", &model, "-"])
        .stdin(std::fs::File::open(&input).unwrap())
        .stdout(std::fs::File::options().append(true).open(&input).unwrap())
        .output()
        .unwrap();
    insta::assert_snapshot!(said(&files, &Run::of(run)), @"
    exit code 2
    error: standard output is standard input: the run would write over what it reads; name another file
    ");
    // in.csv -o /dev/stdout >> in.csv
    let run = command(&["predict", &model, &input, "-o", "/dev/stdout"])
        .stdout(std::fs::File::options().append(true).open(&input).unwrap())
        .output()
        .unwrap();
    insta::assert_snapshot!(said(&files, &Run::of(run)), @"
    exit code 2
    error: --output /dev/stdout is the input in.csv, by another name: the run would write over what it reads; name another file
    ");
    assert_eq!(std::fs::read_to_string(&input).unwrap(), INPUT);
    // -o /dev/stdout >> log
    let log = files.write("log", "earlier\n");
    let run = command(&[
        "predict",
        &model,
        &input,
        "-o",
        "/dev/stdout",
        "--output-format",
        "csv",
    ])
    .stdout(std::fs::File::options().append(true).open(&log).unwrap())
    .output()
    .unwrap();
    assert_eq!(run.status.code(), Some(0));
    assert_eq!(
        std::fs::read_to_string(&log).unwrap(),
        format!("earlier\n{ANSWERED}")
    );
    // What is not a regular file may be anything at once.
    let null = "/dev/null";
    let summary = format!("--json-summary={null}");
    let run = triton(&[
        "predict", &model, &input, "-o", null, "--errors", null, &summary,
    ]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(
        std::fs::metadata(null)
            .unwrap()
            .file_type()
            .is_char_device()
    );
}

#[test]
fn files_that_could_not_be_written_in_the_end() {
    let (files, model, input) = prepared();
    std::fs::create_dir(files.path("folder")).unwrap();
    let (missing, folder) = (files.path("no/folder"), files.path("folder"));
    let summary = format!("--json-summary={missing}");
    let output = files.path("out.csv");
    let mut refusals = Vec::new();
    for arguments in [
        vec!["-o", &missing],
        vec!["-o", &output, "--errors", &missing],
        vec!["-o", &output, &summary],
        vec!["-o", &output, "--errors", &folder],
        vec!["-o", &output, "--checkpoint", "/dev/null"],
    ] {
        let run = triton(&[&["predict", &model, &input], &arguments[..]].concat());
        refusals.push(said(&files, &run));
        assert_eq!(names(&files), "folder");
    }
    let run = triton(&["predict", &model, &folder, "-o", &output]);
    refusals.push(said(&files, &run));
    insta::assert_snapshot!(refusals.concat(), @"
    exit code 2
    error: --output no/folder: the folder no does not exist; make it, or name another file
    exit code 2
    error: --errors no/folder: the folder no does not exist; make it, or name another file
    exit code 2
    error: --json-summary=no/folder: the folder no does not exist; make it, or name another file
    exit code 2
    error: --errors folder: expected a file, found a folder
    exit code 2
    error: --checkpoint /dev/null: expected a folder, found something else; name another one
    exit code 2
    error: folder: no file in this folder has a name by which its format is known, such as .csv or .parquet; --input-format says it of all
    ");
    // Whoever takes away the right to write a file does not want it replaced. Root may all the same.
    let kept = files.write("kept.csv", "kept\n");
    std::fs::set_permissions(&kept, std::fs::Permissions::from_mode(0o444)).unwrap();
    let may = std::fs::File::options().write(true).open(&kept).is_ok();
    let run = triton(&["predict", &model, &input, "-o", &kept]);
    assert_eq!(run.code, Some(if may { 0 } else { 2 }), "{}", run.stderr);
    assert_eq!(std::fs::read_to_string(&kept).unwrap() == "kept\n", !may);
}
