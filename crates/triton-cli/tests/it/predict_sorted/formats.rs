//! Every format, several inputs, and pipes.

use std::sync::Arc;

use arrow_array::{Array as _, ArrayRef, Int32Array, RecordBatch, StringArray};

use super::samples::{batch, samples, sorted, typed, write};
use super::{ACCUMULATE, LITTLE};
use crate::{Files, command, table_file, triton};

/// Some input formats to every output format, from memory and from files.
fn agrees_with_an_input_sorted_before(inputs: &[&str]) {
    let files = Files::new();
    let model = files.write("model.sql", ACCUMULATE);
    let rows = samples(200);
    for format in inputs {
        let before = write(&files, &format!("before.{format}"), &sorted(&rows));
        let input = write(&files, &format!("input.{format}"), &rows);
        for output in ["csv.gz", "ndjson", "parquet", "arrow", "arrows"] {
            let run = |input: &str, name: &str, more: &[&str]| {
                let path = files.path(&format!("{name}.{output}"));
                let common = ["predict", &model, input, "--output", &path, "-q"];
                let run = triton(&[&common[..], more].concat());
                assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{format}");
                table_file::read_cells(&path)
            };
            let expected = run(&before, "expected", &[]);
            if output == "ndjson" {
                let found = run(&input, "found", &["--sort-by-key"]);
                assert_eq!(found, expected, "{format} to {output}");
            }
            let spilled = ["--sort-by-key", "--sort-memory", LITTLE];
            let found = run(&input, "spilled", &spilled);
            assert_eq!(found, expected, "{format} to {output}, from files");
        }
    }
}

#[test]
fn cells_that_are_sorted_are_those_of_an_input_sorted_before() {
    agrees_with_an_input_sorted_before(&["csv", "tsv.zst"]);
}

#[test]
fn objects_that_are_sorted_are_those_of_an_input_sorted_before() {
    agrees_with_an_input_sorted_before(&["ndjson.gz"]);
}

#[test]
fn typed_columns_that_are_sorted_are_those_of_an_input_sorted_before() {
    agrees_with_an_input_sorted_before(&["parquet", "arrow", "arrows"]);
}

#[test]
fn several_inputs_become_one_order() {
    let files = Files::new();
    let model = files.write("model.sql", ACCUMULATE);
    let rows = samples(400);
    for format in ["csv", "ndjson", "parquet", "arrows"] {
        let before = write(&files, &format!("before.{format}"), &sorted(&rows));
        let expected = triton(&["predict", &model, &before, "--output-format", "ndjson"]);
        let inputs: Vec<String> = rows
            .chunks(150)
            .enumerate()
            .map(|(index, rows)| write(&files, &format!("{index}.{format}"), rows))
            .collect();
        let mut arguments = vec!["predict", &model, "--output-format", "ndjson"];
        arguments.extend(inputs.iter().map(String::as_str));
        arguments.extend(["--sort-by-key", "--sort-memory", LITTLE]);
        let run = triton(&arguments);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        assert_eq!(run.stdout, expected.stdout, "{format}");
    }
}

#[test]
fn columns_that_may_be_null_in_one_input_alone_go_together() {
    let files = Files::new();
    let model = files.write("model.sql", ACCUMULATE);
    let batch = |note: &[Option<&str>]| {
        let notes: ArrayRef = Arc::new(StringArray::from(note.to_vec()));
        let users: ArrayRef = Arc::new(StringArray::from(vec!["b", "a"]));
        let values: ArrayRef = Arc::new(Int32Array::from(vec![1, 2]));
        let nullable = notes.null_count() > 0;
        let columns = [
            ("user", users, false),
            ("value", values, false),
            ("note", notes, nullable),
        ];
        RecordBatch::try_from_iter_with_nullable(columns).unwrap()
    };
    for format in ["parquet", "arrow"] {
        let (full, some) = (files.path("full"), files.path("some"));
        let rows = [batch(&[Some("x"), Some("y")])];
        std::fs::write(&full, typed(format, rows.into_iter())).unwrap();
        let rows = [batch(&[None, Some("z")])];
        std::fs::write(&some, typed(format, rows.into_iter())).unwrap();
        let output = files.path(&format!("output.{format}"));
        for more in [&["--sort-by-key"][..], &[]] {
            let common = ["predict", &model, &full, &some, "-o", &output];
            let run = triton(&[&common[..], more].concat());
            assert_eq!(run.code, Some(0), "{}", run.stderr);
            let back = triton(&[
                "predict",
                "--model",
                "accumulate",
                "-O",
                "endpoint=embedded",
                "-O",
                "sequence-id=job",
                "-O",
                "sequence-id-auto-increment=true",
                "--map",
                "total=sum",
                "--output-format",
                "csv",
                &output,
            ]);
            let notes: Vec<&str> = back
                .stdout
                .lines()
                .skip(1)
                .map(|line| line.split(',').nth(2).unwrap())
                .collect();
            let expected = match more {
                [] => ["x", "y", "", "z"],
                _ => ["y", "z", "x", ""],
            };
            assert_eq!(notes, expected, "{format}: {}", back.stderr);
        }
    }
}

#[test]
fn rows_of_a_pipe_are_sorted_too() {
    let files = Files::new();
    let model = files.write("model.sql", ACCUMULATE);
    let rows = samples(200);
    for format in ["csv", "ndjson.gz", "arrows"] {
        let before = write(&files, &format!("before.{format}"), &sorted(&rows));
        let input = write(&files, &format!("input.{format}"), &rows);
        let expected = triton(&["predict", &model, &before, "--output-format", "csv"]);
        let arguments = ["predict", &model, "-", "--output-format", "csv"];
        let sorting = ["--sort-by-key", "--sort-memory", LITTLE];
        let output = command(&[&arguments[..], &sorting].concat())
            .stdin(std::fs::File::open(input).unwrap())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0));
        let found = String::from_utf8(output.stdout).unwrap();
        assert_eq!(found, expected.stdout, "{format}");
    }
}

#[test]
fn texts_that_rows_point_to_are_written_once() {
    let files = Files::new();
    let model = files.write("model.sql", ACCUMULATE);
    let mut rows = samples(1500);
    let mut state = 1_u64;
    for row in &mut rows {
        // Nothing that could be compressed.
        let letters = (0..500).map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            char::from(b' ' + (state >> 33) as u8 % 64)
        });
        row.note = letters.collect();
    }
    let input = files.path("input.arrow");
    std::fs::write(&input, typed("arrow", [batch(&rows)].into_iter())).unwrap();
    let output = files.path("output.arrow");
    for more in [&["--sort-by-key"][..], &[]] {
        let common = ["predict", &model, &input, "-o", &output];
        let run = triton(&[&common[..], more].concat());
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        let bytes = |path: &str| std::fs::metadata(path).unwrap().len();
        let (read, written) = (bytes(&input), bytes(&output));
        assert!(written < read + read / 4, "{read} became {written}");
    }
}
