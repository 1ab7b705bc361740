//! Batches that differ from each other, and what lies around their columns.

use std::collections::HashMap;
use std::fs::File;
use std::sync::Arc;

use arrow_array::types::Int8Type;
use arrow_array::{
    Array as _, ArrayRef, Decimal128Array, DictionaryArray, Float32Array, IntervalDayTimeArray,
    ListArray, NullArray, RecordBatch, StringArray,
};
use arrow_buffer::{IntervalDayTime, OffsetBuffer};
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{DictionaryHandling, IpcWriteOptions, StreamWriter};
use arrow_schema::{Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;

use super::files::{self, ECHO};
use crate::{Files, triton};

const TYPED: [&str; 3] = ["parquet", "arrow", "arrows"];

fn stream(path: &str, batches: &[RecordBatch], options: IpcWriteOptions) {
    let file = File::create(path).unwrap();
    let schema = batches[0].schema();
    let mut writer = StreamWriter::try_new_with_options(file, &schema, options).unwrap();
    batches
        .iter()
        .for_each(|batch| writer.write(batch).unwrap());
    writer.finish().unwrap();
}

fn words(words: &[&str]) -> ArrayRef {
    let keys = (0..words.len()).map(|key| Some(key as i8));
    let keys = keys.collect::<arrow_array::Int8Array>();
    let values = Arc::new(StringArray::from(words.to_vec()));
    Arc::new(DictionaryArray::<Int8Type>::new(keys, values))
}

/// The second of two streams that were put into one file is not passed over.
#[test]
fn what_comes_behind_the_end_of_a_stream_is_refused() {
    let files = Files::new();
    let model = files.write("model.sql", ECHO);
    let (input, twice) = (files.path("in.arrows"), files.path("twice.arrows"));
    let rows = files::with_values(&[("w", words(&["a", "b"]))]);
    stream(&input, &[rows], IpcWriteOptions::default());
    let bytes = std::fs::read(&input).unwrap();
    std::fs::write(&twice, [bytes.clone(), bytes].concat()).unwrap();
    let run = triton(&["predict", &model, &twice, "--quiet"]);
    insta::assert_snapshot!(files.relative(&run.said()), @r#"
    exit code 2
    {"value":0,"w":"a","echo":0}
    {"value":1,"w":"b","echo":1}
    error: twice.arrows: reading stopped
      caused by: more bytes come behind the end of the stream: if these are several streams, one after the other, give each as an input of its own
    "#);
}

/// Replaced from batch to batch, or grown.
#[test]
fn dictionaries_that_change_keep_their_words() {
    let files = Files::new();
    let model = files.write("model.sql", ECHO);
    let list = |words: ArrayRef| -> ArrayRef {
        let item = Arc::new(Field::new("item", words.data_type().clone(), true));
        Arc::new(ListArray::new(
            item,
            OffsetBuffer::from_lengths([words.len()]),
            words,
            None,
        ))
    };
    let batch = |word: &str, more: &[&str]| {
        files::with_values(&[("w", words(&[word])), ("l", list(words(more)))])
    };
    for (handling, batches) in [
        (
            DictionaryHandling::Resend,
            [batch("x", &["a", "b"]), batch("y", &["c"])],
        ),
        (
            DictionaryHandling::Delta,
            [
                batch("x", &["a"]),
                files::with_values(&[
                    ("w", words(&["x", "y"]).slice(1, 1)),
                    ("l", list(words(&["a", "b"]))),
                ]),
            ],
        ),
    ] {
        let input = files.path("input.arrows");
        let options = IpcWriteOptions::default().with_dictionary_handling(handling);
        stream(&input, &batches, options);
        let text = triton(&[
            "predict",
            &model,
            &input,
            "--quiet",
            "--output-format",
            "csv",
        ]);
        assert_eq!(text.code, Some(0), "{}", text.stderr);
        let cells: Vec<&str> = text.stdout.lines().skip(1).collect();
        assert!(cells[0].starts_with("0,x,"), "{cells:?}");
        assert!(cells[1].starts_with("0,y,"), "{cells:?}");
        for format in TYPED {
            let output = files.path(&format!("output.{format}"));
            let run = triton(&["predict", &model, &input, "-o", &output, "--quiet"]);
            assert_eq!(run.code, Some(0), "{format}: {}", run.stderr);
            let column = Arc::clone(files::read(&output).column_by_name("w").unwrap());
            let expected: ArrayRef = Arc::new(StringArray::from(vec!["x", "y"]));
            assert_eq!(&column, &expected, "{format}");
        }
    }
}

#[test]
fn compressed_batches_are_read() {
    let files = Files::new();
    let model = files.write("model.sql", ECHO);
    let words: ArrayRef = Arc::new(StringArray::from(vec!["many times the same"; 500]));
    let batch = files::with_values(&[("w", words)]);
    for codec in [CompressionType::LZ4_FRAME, CompressionType::ZSTD] {
        let input = files.path("input.arrows");
        let options = IpcWriteOptions::default();
        let options = options.try_with_compression(Some(codec)).unwrap();
        stream(&input, std::slice::from_ref(&batch), options);
        let run = triton(&["predict", &model, &input, "--quiet"]);
        assert_eq!(run.code, Some(0), "{codec:?}: {}", run.stderr);
        assert_eq!(run.stdout.lines().count(), 500);
    }
}

/// Batches that have rows and no bytes, and batches that have neither.
#[test]
fn batches_without_a_body_are_not_lost() {
    let files = Files::new();
    let model = files.write("model.sql", ECHO);
    let input = files.path("input.arrows");
    let nulls = |rows| {
        let array: ArrayRef = Arc::new(NullArray::new(rows));
        RecordBatch::try_from_iter_with_nullable([("value", array, true)]).unwrap()
    };
    stream(
        &input,
        &[nulls(2), nulls(0), nulls(3)],
        IpcWriteOptions::default(),
    );
    let run = triton(&["predict", &model, &input]);
    assert_eq!(run.code, Some(1));
    assert!(
        run.stderr.contains("5 rows: 0 answered, 5 rejected"),
        "{}",
        run.stderr
    );
}

#[test]
fn metadata_of_a_field_stays_with_it() {
    let files = Files::new();
    let model = files.write("model.sql", ECHO);
    let known = [("ARROW:extension:name", "acme.temperature"), ("unit", "K")];
    let known: HashMap<String, String> = known
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    let value: ArrayRef = Arc::new(Float32Array::from(vec![1.0]));
    let field = Field::new("value", value.data_type().clone(), false).with_metadata(known.clone());
    let schema = Schema::new_with_metadata(vec![field], known.clone());
    let batch = RecordBatch::try_new(Arc::new(schema), vec![value]).unwrap();
    for from in TYPED {
        let input = files.path(&format!("input.{from}"));
        files::write(&input, std::slice::from_ref(&batch));
        for to in TYPED {
            let output = files.path(&format!("output.{to}"));
            let run = triton(&["predict", &model, &input, "-o", &output, "--quiet"]);
            assert_eq!(run.code, Some(0), "{}", run.stderr);
            let schema = files::read(&output).schema();
            assert_eq!(schema.field(0).metadata(), &known, "{from} to {to}");
            assert_eq!(schema.metadata().get("unit"), None);
        }
    }
}

/// Parquet would cut them off, without a word.
#[test]
fn decimals_of_more_digits_than_declared_are_rejected_where_they_are_typed() {
    let files = Files::new();
    let model = files.write("model.sql", ECHO);
    let input = files.path("input.arrow");
    let decimals = Decimal128Array::from(vec![99_999, 10_000_000_000, -1]);
    let decimals = decimals.with_precision_and_scale(5, 2).unwrap();
    let item = Arc::new(Field::new("item", decimals.data_type().clone(), true));
    let offsets = OffsetBuffer::from_lengths([1, 0, 2]);
    let lists = ListArray::new(item, offsets, Arc::new(decimals.clone()), None);
    let columns: [(&str, ArrayRef); 2] = [("d", Arc::new(decimals)), ("l", Arc::new(lists))];
    files::write(&input, &[files::with_values(&columns)]);
    let output = files.path("output.parquet");
    let run = triton(&["predict", &model, &input, "-o", &output, "--quiet"]);
    assert_eq!(run.code, Some(1));
    insta::assert_snapshot!(run.stderr, @"
    row 2: column 'd': the decimal 100000000.00 has more digits than Decimal128(5, 2) declares: write CSV or NDJSON, where it is text
    row 3: column 'l': the decimal 100000000.00 has more digits than Decimal128(5, 2) declares: write CSV or NDJSON, where it is text
    ");
    let run = triton(&["predict", &model, &input, "--quiet"]);
    assert!(run.stdout.contains("\"d\":100000000.00"), "{}", run.stdout);
}

#[test]
fn intervals_of_parquet_of_which_nothing_is_known_are_refused() {
    let files = Files::new();
    let model = files.write("model.sql", ECHO);
    let input = files.path("input.parquet");
    let days: ArrayRef = Arc::new(IntervalDayTimeArray::from(vec![IntervalDayTime::new(1, 2)]));
    let batch = files::with_values(&[("i", days)]);
    let file = File::create(&input).unwrap();
    let options = ArrowWriterOptions::new().with_skip_arrow_metadata(true);
    let mut writer = ArrowWriter::try_new_with_options(file, batch.schema(), options).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let run = triton(&["predict", &model, &input]);
    assert_eq!(run.code, Some(2));
    insta::assert_snapshot!(files.relative(&run.stderr), @"error: input.parquet: column 'i' is an INTERVAL, and the file does not say whether it is of months or of days and milliseconds, so that one of the two would be lost: leave it out, or write numbers");
}

/// Whatever one input promises of a column, another one need not.
#[test]
fn a_column_without_null_stands_beside_one_with_it() {
    let files = Files::new();
    let model = files.write("model.sql", ECHO);
    let values = |values: Vec<Option<i64>>, nullable| {
        let array: ArrayRef = Arc::new(arrow_array::Int64Array::from(values));
        let batch = files::with_values(&[("x", array)]);
        let fields = batch.schema_ref().fields().iter();
        let fields = fields.map(|field| field.as_ref().clone().with_nullable(nullable));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        RecordBatch::try_new(schema, batch.columns().to_vec()).unwrap()
    };
    let (required, optional) = (files.path("1.arrow"), files.path("2.arrow"));
    files::write(&required, &[values(vec![Some(1), Some(2)], false)]);
    files::write(&optional, &[values(vec![None, Some(3)], true)]);
    for format in ["parquet", "arrow", "arrows"] {
        let output = files.path(&format!("output.{format}"));
        let run = triton(&[
            "predict", &model, &required, &optional, "-o", &output, "--quiet",
        ]);
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{format}");
    }
}
