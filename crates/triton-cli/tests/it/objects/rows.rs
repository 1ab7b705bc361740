//! What comes out of objects is what comes out of files, byte by byte.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow_array::{ArrayRef, Float32Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

use super::store::{BUCKET, Store, Way, predict, way_to};
use super::{ECHO, long_rows};
use crate::{Files, table_file};

fn object(key: &str) -> String {
    format!("s3://{BUCKET}/{key}")
}

// Holds C40.
#[test]
fn every_format_goes_through_a_store_as_through_files() {
    let store = Store::start();
    let files = Files::new();
    let model = files.write("model.sql", ECHO);
    for name in ["csv", "csv.gz", "ndjson.zst", "parquet", "arrow", "arrows"] {
        let input = files.path(&format!("in.{name}"));
        let output = files.path(&format!("out.{name}"));
        table_file::write(&input, &table_file::rows());
        let run = store.predict(&[&model, &input, "-o", &output]);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        store.put(&format!("in.{name}"), &std::fs::read(&input).unwrap());
        let (from, to) = (
            object(&format!("in.{name}")),
            object(&format!("out.{name}")),
        );
        let run = store.predict(&[&model, &from, "-o", &to]);
        assert_eq!(run.code, Some(0), "{name}: {}", run.stderr);
        let written = store.get(&format!("out.{name}")).unwrap();
        assert_same(name, &written, &std::fs::read(&output).unwrap());
        // From a web server, with a signature in the address.
        let from = format!(
            "{}/{BUCKET}/in.{name}?X-Amz-Signature=canary/of+a/secret+key",
            store.endpoint
        );
        let other = files.path(&format!("other.{name}"));
        let run = predict(&[], &[&model, &from, "-o", &other]);
        assert_eq!(run.code, Some(0), "{name}: {}", run.stderr);
        assert_same(name, &written, &std::fs::read(&other).unwrap());
    }
    assert_eq!(store.unfinished(), 0);
}

/// Byte by byte, but for Arrow streams: how many rows a batch of theirs has is a matter of time.
fn assert_same(name: &str, one: &[u8], other: &[u8]) {
    if name != "arrows" {
        assert!(one == other, "{name}");
        return;
    }
    let files = Files::new();
    let rows = [one, other].map(|bytes| {
        let path = files.path("rows.arrows");
        std::fs::write(&path, bytes).unwrap();
        table_file::read(&path)
    });
    assert_eq!(rows[0], rows[1]);
}

// Holds C41.
#[test]
fn what_is_longer_than_a_part_is_put_together_from_several() {
    let store = Store::start();
    let files = Files::new();
    let model = files.write("model.sql", ECHO);
    // 17 MB.
    let text = long_rows(1_700);
    let input = files.write("in.csv", &text);
    store.put("in.csv", text.as_bytes());
    for format in ["csv", "parquet"] {
        let output = files.path(&format!("out.{format}"));
        // Parquet packs the letters too well to be long.
        let (from, more) = match format {
            "csv" => (input.clone(), object("in.csv")),
            _ => (files.path("in.parquet"), object("in.parquet")),
        };
        if format == "parquet" {
            let run = store.predict(&[&model, &input, "-o", &from, "--limit", "100"]);
            assert_eq!(run.code, Some(0), "{}", run.stderr);
            store.put("in.parquet", &std::fs::read(&from).unwrap());
        }
        let drop = ["--drop", "echo"];
        let drop = if format == "parquet" { &drop[..] } else { &[] };
        let run = store.predict(&[&[&*model, &from, "-o", &output], drop].concat());
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        let to = object(&format!("out.{format}"));
        let run = store.predict(&[&[&*model, &more, "-o", &to], drop].concat());
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        let written = store.get(&format!("out.{format}")).unwrap();
        assert!(written == std::fs::read(&output).unwrap());
    }
    assert_eq!(store.parts("out.csv"), 3);
}

// Holds C42.
#[test]
fn a_folder_and_a_pattern_stand_for_objects() {
    let store = Store::start();
    let files = Files::new();
    let model = files.write("model.sql", ECHO);
    for (key, value) in [("b", 2), ("a", 1), ("deep/c", 3), ("_temporary/d", 4)] {
        store.put(
            &format!("in/{key}.csv"),
            format!("value\n[{value}]\n").as_bytes(),
        );
    }
    store.put("in/_SUCCESS", b"");
    store.put("in/notes.txt", b"nothing");
    store.put("inside.csv", b"value\n[5]\n");
    let run = store.predict(&[&model, &object("in/"), "--quiet"]);
    assert_eq!(
        (run.code, &*run.stdout),
        (Some(0), "value,echo\n[1],[1]\n[2],[2]\n[3],[3]\n"),
        "{}",
        run.stderr
    );
    let run = store.predict(&[
        &model,
        &object("in/*.csv"),
        "-o",
        &object("out/"),
        "--quiet",
    ]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let written = ["a", "b", "c"].map(|name| store.get(&format!("out/{name}.csv")));
    assert_eq!(written[0].as_deref(), Some(&b"value,echo\n[1],[1]\n"[..]));
    assert_eq!(written[1].as_deref(), Some(&b"value,echo\n[2],[2]\n"[..]));
    assert_eq!(written[2], None);
}

// Holds C43.
#[test]
fn a_run_over_objects_goes_on_from_its_checkpoint() {
    let store = Store::start();
    let files = Files::new();
    let model = files.write("model.sql", ECHO);
    store.put("in.csv", b"value\n[1]\n[two]\n[3]\n");
    let (output, checkpoint) = (files.path("out.csv"), files.path("checkpoint"));
    let input = object("in.csv");
    let arguments = [
        &model,
        &input,
        "-o",
        &output,
        "--checkpoint",
        &checkpoint,
        "--quiet",
    ];
    let first = [
        &arguments[..],
        &["--max-errors", "0", "--checkpoint-every", "1"],
    ]
    .concat();
    let run = store.predict(&first);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    let run = store.predict(&arguments);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    let written = std::fs::read_to_string(&output).unwrap();
    assert_eq!(written, "value,echo\n[1],[1]\n[3],[3]\n");
    // Another object of that name is another input.
    store.put("in.csv", b"value\n[1]\n[3]\n[3.5]\n");
    let run = store.predict(&arguments);
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    assert!(
        run.stderr.contains("version of s3://data/in.csv: was"),
        "{}",
        run.stderr
    );
}

/// A Parquet file of several row groups.
fn row_groups(count: usize) -> Vec<u8> {
    let values: Vec<f32> = (0..count * 500).map(|row| row as f32).collect();
    // Long enough that the end of the file is not all of it.
    let names = values.iter().map(|value| format!("{value:064}"));
    let names: Vec<String> = names.collect();
    let columns: [(&str, ArrayRef); 2] = [
        ("value", Arc::new(Float32Array::from(values))),
        ("name", Arc::new(StringArray::from(names))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(500))
        .build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}

#[test]
fn parquet_is_read_a_row_group_at_a_time() {
    let store = Store::start();
    let files = Files::new();
    let model = files.write("model.sql", crate::text_files::ECHO);
    let bytes = row_groups(6);
    let (input, output) = (files.path("in.parquet"), files.path("out.parquet"));
    std::fs::write(&input, &bytes).unwrap();
    store.put("in.parquet", &bytes);
    let run = store.predict(&[&model, &input, "-o", &output]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let gets = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&gets);
    let endpoint = way_to(&store, move |method, _| {
        counted.fetch_add(usize::from(method == "GET"), Ordering::SeqCst);
        Way::On
    });
    let (from, other) = (object("in.parquet"), files.path("other.parquet"));
    let run = predict(
        &Store::environment_of(&endpoint),
        &[&model, &from, "-o", &other],
    );
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(std::fs::read(&output).unwrap() == std::fs::read(&other).unwrap());
    // Looked at twice and opened twice, with its first and last bytes, before its row groups.
    let gets = gets.load(Ordering::SeqCst);
    assert!((8..=16).contains(&gets), "{gets} requests");
}
