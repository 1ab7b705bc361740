//! Every type stays as it is where rows are sorted, also through temporary files.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use arrow_select::interleave::interleave;

use super::cases::{self, Typed};
use super::files;
use crate::{Files, triton};

const ACCUMULATE: &str = "
    CREATE MODEL running_sum INPUT (number INT) OUTPUT (sum INT)
    WITH ('provider' = 'triton', 'endpoint' = 'embedded', 'model-name' = 'accumulate',
          'sequence-id' = 'job', 'sequence-id-auto-increment' = 'true', 'sequence-key' = 'user', 'input-names' = 'number:value')";

#[test]
fn every_type_is_sorted_as_it_is() {
    let cases = cases::all();
    let files = Files::new();
    let model = files.write("model.sql", ACCUMULATE);
    for to in ["csv", "ndjson", "parquet", "arrows"] {
        let held = cases
            .iter()
            .filter(|case| to != "parquet" || !matches!(case.parquet, Typed::Refused));
        let mut columns: Vec<(&str, ArrayRef)> = held
            .map(|case| (case.name, Arc::clone(&case.array)))
            .collect();
        let users: ArrayRef = Arc::new(StringArray::from(vec!["c", "a", "b"]));
        let numbers: ArrayRef = Arc::new(Int32Array::from(vec![1, 2, 3]));
        columns.extend([("user", users), ("number", numbers)]);
        let batch = files::with_values(&columns);
        let ordered = batch.columns().iter().map(|column| {
            let rows = [(0, 1), (0, 2), (0, 0)];
            interleave(&[column.as_ref()], &rows).unwrap()
        });
        let ordered = RecordBatch::try_new(batch.schema(), ordered.collect()).unwrap();
        let (input, before) = (files.path("input.arrow"), files.path("before.arrow"));
        files::write(&input, &[batch]);
        files::write(&before, &[ordered]);
        let run = |input: &str, more: &[&str]| {
            let output = files.path(&format!("output.{to}"));
            let common = ["predict", &model, input, "-o", &output, "--quiet"];
            let run = triton(&[&common[..], more].concat());
            assert_eq!(run.code, Some(0), "{to}: {}", run.stderr);
            match to {
                "csv" | "ndjson" => std::fs::read_to_string(&output).unwrap(),
                _ => {
                    let columns = files::read(&output);
                    let columns = columns.columns().iter();
                    let columns = columns.map(|column| format!("{column:?}\n"));
                    columns.collect()
                }
            }
        };
        let expected = run(&before, &[]);
        assert_eq!(run(&input, &["--sort-by-key"]), expected, "{to}");
        let spilled = ["--sort-by-key", "--sort-memory", "1"];
        assert_eq!(run(&input, &spilled), expected, "{to}, from files");
    }
}
