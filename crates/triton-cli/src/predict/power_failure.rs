//! What is on the disk before a checkpoint says so, call by call: a power failure may come between
//! any two of them.

use clap::Parser as _;

use crate::arguments::{Arguments, Command};
use crate::disk::recorded;

/// What a run over two files of three rows each brings to the disk, in this order.
fn calls(more: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let model = "CREATE MODEL m INPUT (`value` INT) OUTPUT (sum INT)
        WITH ('provider' = 'triton', 'endpoint' = 'embedded', 'model-name' = 'accumulate',
              'sequence-id' = 'job', 'sequence-id-auto-increment' = 'true')";
    std::fs::write(path("model.sql"), model).unwrap();
    for name in ["a.csv", "b.csv"] {
        std::fs::write(path(name), "value\n1\nnone\n3\n").unwrap();
    }
    std::fs::create_dir(path("out")).unwrap();
    let mut arguments = vec!["triton".to_owned(), "predict".to_owned(), path("model.sql")];
    arguments.extend([path("a.csv"), path("b.csv"), "--quiet".to_owned()]);
    // What begins with a slash is within the folder of the test.
    arguments.extend(
        more.iter()
            .map(|argument| match argument.strip_prefix('/') {
                Some(name) => path(name),
                None => (*argument).to_owned(),
            }),
    );
    let arguments = Arguments::try_parse_from(arguments).unwrap();
    let Command::Predict(arguments) = arguments.command else {
        panic!("another command");
    };
    let calls = recorded(|| {
        super::run(&arguments).unwrap();
    });
    let root = folder.path().file_name().unwrap().to_str().unwrap();
    let calls = calls.join("\n").replace(root, "ROOT");
    // Names of parts have a mark that is another one in every folder of checkpoints.
    match std::fs::read_to_string(path("state/lock")) {
        Ok(mark) => calls.replace(&mark, "MARK"),
        Err(_) => calls,
    }
}

#[test]
fn an_output_is_on_the_disk_before_it_has_its_name() {
    insta::assert_snapshot!(calls(&["-o", "/out.csv", "--errors", "/errors"]), @"
    sync folder ROOT
    sync .out.csv.triton-unfinished
    rename .out.csv.triton-unfinished -> out.csv
    sync folder ROOT
    sync errors
    ");
    insta::assert_snapshot!(calls(&["-o", "/out.arrow"]), @"
    sync .out.arrow.triton-unfinished
    rename .out.arrow.triton-unfinished -> out.arrow
    sync folder ROOT
    ");
}

#[test]
fn every_output_and_its_folder_are_on_the_disk_before_a_checkpoint_is() {
    let checkpoint = ["--checkpoint", "/state", "--checkpoint-every", "4"];
    let calls = |more: &[&str]| calls(&[more, &checkpoint].concat());
    // The output of the first input ends before there is a checkpoint.
    insta::assert_snapshot!(calls(&["-o", "/out", "--errors", "/errors"]), @"
    sync folder ROOT
    sync lock
    sync checkpoint.json.new
    rename checkpoint.json.new -> checkpoint.json
    sync folder state
    sync folder ROOT
    sync a.csv
    sync folder out
    sync b.csv
    sync folder out
    sync errors
    sync checkpoint.json.new
    rename checkpoint.json.new -> checkpoint.json
    sync folder state
    sync b.csv
    sync folder out
    sync errors
    sync checkpoint.json.new
    rename checkpoint.json.new -> checkpoint.json
    sync folder state
    sync errors
    ");
    insta::assert_snapshot!(calls(&["-o", "/out.ndjson.gz"]), @"
    sync folder ROOT
    sync lock
    sync checkpoint.json.new
    rename checkpoint.json.new -> checkpoint.json
    sync folder state
    sync out.ndjson.gz
    sync folder ROOT
    sync checkpoint.json.new
    rename checkpoint.json.new -> checkpoint.json
    sync folder state
    sync out.ndjson.gz
    sync folder ROOT
    sync checkpoint.json.new
    rename checkpoint.json.new -> checkpoint.json
    sync folder state
    ");
    insta::assert_snapshot!(calls(&["-o", "/out", "--output-format", "parquet"]), @"
    sync folder ROOT
    sync lock
    sync checkpoint.json.new
    rename checkpoint.json.new -> checkpoint.json
    sync folder state
    sync a.parquet.0.MARK.part
    sync folder state
    sync .a.parquet.triton-unfinished
    rename .a.parquet.triton-unfinished -> a.parquet
    sync folder out
    sync b.parquet.0.MARK.part
    sync folder state
    sync checkpoint.json.new
    rename checkpoint.json.new -> checkpoint.json
    sync folder state
    sync b.parquet.1.MARK.part
    sync folder state
    sync .b.parquet.triton-unfinished
    rename .b.parquet.triton-unfinished -> b.parquet
    sync folder out
    sync checkpoint.json.new
    rename checkpoint.json.new -> checkpoint.json
    sync folder state
    ");
    insta::assert_snapshot!(calls(&["-o", "/new/", "--output-format", "arrow-stream"]), @"
    sync folder ROOT
    sync lock
    sync folder ROOT
    sync checkpoint.json.new
    rename checkpoint.json.new -> checkpoint.json
    sync folder state
    sync a.arrows.0.MARK.part
    sync folder state
    sync .a.arrows.triton-unfinished
    rename .a.arrows.triton-unfinished -> a.arrows
    sync folder new
    sync b.arrows.0.MARK.part
    sync folder state
    sync checkpoint.json.new
    rename checkpoint.json.new -> checkpoint.json
    sync folder state
    sync b.arrows.1.MARK.part
    sync folder state
    sync .b.arrows.triton-unfinished
    rename .b.arrows.triton-unfinished -> b.arrows
    sync folder new
    sync checkpoint.json.new
    rename checkpoint.json.new -> checkpoint.json
    sync folder state
    ");
}
