//! Parquet's old timestamps of 96 bits: exact, or their row is rejected.

use std::fs::File;
use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{TimestampMicrosecondType, TimestampNanosecondType};
use arrow_schema::{DataType, TimeUnit};
use parquet::data_type::{FloatType, Int32Type, Int96, Int96Type};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use super::files::{self, ECHO};
use crate::{Files, triton};

const FLAT: &str = "message m { required float value; required int96 t; }";
const IN_GROUP: &str =
    "message m { required float value; required group g { required int96 t; required int64 n; } }";

/// The Julian day of 1970-01-01.
const EPOCH: i64 = 2_440_588;

/// Days after 1970-01-01, and nanoseconds of the day.
type Time = (i64, u64);

const YEAR_1000: Time = (-354_285, 0);
const YEAR_9999: Time = (2_932_896, 86_399_999_999_000);
const WITH_NANOSECONDS: Time = (18_262, 1);
/// After the last year of the calendar.
const NO_YEAR: Time = (1_000_000_000, 0);

fn write(path: &str, schema_text: &str, times: &[Time], writer: Option<&str>) {
    let file = File::create(path).unwrap();
    let schema = Arc::new(parse_message_type(schema_text).unwrap());
    let known = writer.map(|name| vec![KeyValue::new(name.to_owned(), "3.5".to_owned())]);
    let properties = WriterProperties::builder().set_key_value_metadata(known);
    let properties = Arc::new(properties.build());
    let mut writer = SerializedFileWriter::new(file, schema, properties).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let values = 0..times.len() as i32;
    if schema_text.contains("int32 value") {
        let values: Vec<i32> = values.collect();
        column
            .typed::<Int32Type>()
            .write_batch(&values, None, None)
            .unwrap();
    } else {
        let values: Vec<f32> = values.map(|value| value as f32).collect();
        column
            .typed::<FloatType>()
            .write_batch(&values, None, None)
            .unwrap();
    }
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let values: Vec<Int96> = times
        .iter()
        .map(|(day, nanoseconds)| {
            let mut value = Int96::new();
            let day = u32::try_from(day + EPOCH).unwrap();
            value.set_data(*nanoseconds as u32, (nanoseconds >> 32) as u32, day);
            value
        })
        .collect();
    column
        .typed::<Int96Type>()
        .write_batch(&values, None, None)
        .unwrap();
    column.close().unwrap();
    if let Some(mut column) = group.next_column().unwrap() {
        let values = vec![i64::MAX; times.len()];
        let typed = column.typed::<parquet::data_type::Int64Type>();
        typed.write_batch(&values, None, None).unwrap();
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
}

#[test]
fn as_text_every_instant_is_exact() {
    let files = Files::new();
    let model = files.write("model.sql", ECHO);
    let input = files.path("input.parquet");
    write(
        &input,
        FLAT,
        &[YEAR_1000, YEAR_9999, WITH_NANOSECONDS, NO_YEAR],
        None,
    );
    let run = triton(&[
        "predict",
        &model,
        &input,
        "--quiet",
        "--output-format",
        "csv",
    ]);
    assert_eq!(run.code, Some(1));
    insta::assert_snapshot!(run.stdout + &run.stderr, @"
    value,t,echo
    0,1000-01-01T00:00:00,0
    1,9999-12-31T23:59:59.999999,1
    2,2020-01-01T00:00:00.000000001,2
    row 4: column 't': no calendar has the timestamp 86400000000000 seconds after 1970, so it has no text
    ");
    let run = triton(&["predict", &model, &input, "--quiet"]);
    assert!(
        run.stdout.contains("\"t\":\"9999-12-31T23:59:59.999999\""),
        "{}",
        run.stdout
    );
    // A key is text as well.
    let keyed = files.write(
        "keyed.sql",
        "CREATE MODEL m INPUT (`value` INT) OUTPUT (sum INT)
         WITH ('provider' = 'triton', 'endpoint' = 'embedded', 'model-name' = 'accumulate',
               'sequence-id' = 's', 'sequence-id-auto-increment' = 'true',
               'sequence-key' = 't')",
    );
    let schema = FLAT.replace("float", "int32");
    write(
        &input,
        &schema,
        &[YEAR_9999, YEAR_1000, YEAR_9999, YEAR_1000],
        None,
    );
    let run = triton(&[
        "predict",
        &keyed,
        &input,
        "--quiet",
        "--output-format",
        "csv",
    ]);
    insta::assert_snapshot!(run.stdout + &run.stderr, @"
    value,t,sum
    0,9999-12-31T23:59:59.999999,0
    1,1000-01-01T00:00:00,1
    2,9999-12-31T23:59:59.999999,2
    3,1000-01-01T00:00:00,4
    ");
}

#[test]
fn typed_they_have_the_unit_that_holds_them() {
    let files = Files::new();
    let model = files.write("model.sql", ECHO);
    let input = files.path("input.parquet");
    let spark = Some("org.apache.spark.version");
    for format in ["parquet", "arrow", "arrows"] {
        let output = files.path(&format!("output.{format}"));
        let column = |times: &[Time], writer| {
            write(&input, FLAT, times, writer);
            let run = triton(&["predict", &model, &input, "-o", &output, "--quiet"]);
            assert_eq!(run.code, Some(0), "{}", run.stderr);
            Arc::clone(files::read(&output).column_by_name("t").unwrap())
        };
        let far = column(&[YEAR_1000, YEAR_9999], None);
        assert_eq!(
            far.as_primitive::<TimestampMicrosecondType>().values(),
            &[-30_610_224_000_000_000, 253_402_300_799_999_999]
        );
        let near = column(&[WITH_NANOSECONDS], None);
        assert_eq!(
            near.as_primitive::<TimestampNanosecondType>().values(),
            &[1_577_836_800_000_000_001]
        );
        let of_spark = column(&[(0, 0)], spark);
        let microseconds = DataType::Timestamp(TimeUnit::Microsecond, None);
        assert_eq!(of_spark.data_type(), &microseconds);
    }
}

#[test]
fn what_no_unit_holds_beside_the_others_is_rejected() {
    let files = Files::new();
    let model = files.write("model.sql", ECHO);
    let input = files.path("input.parquet");
    let mut said = String::new();
    for (schema, format) in [(FLAT, "parquet"), (IN_GROUP, "parquet"), (IN_GROUP, "csv")] {
        write(
            &input,
            schema,
            &[YEAR_9999, WITH_NANOSECONDS, NO_YEAR],
            None,
        );
        let output = files.path("output");
        let run = triton(&[
            "predict",
            &model,
            &input,
            "-o",
            &output,
            "--output-format",
            format,
            "--quiet",
        ]);
        assert_eq!(run.code, Some(1), "{}", run.stderr);
        said.push_str(&run.stderr);
    }
    insta::assert_snapshot!(said, @r#"
    row 1: column 't': the INT96 timestamp 9999-12-31T23:59:59.999999 is beyond what nanoseconds in 64 bits hold: write CSV or NDJSON, where it is text, or let the input have timestamps of microseconds
    row 3: column 't': the INT96 timestamp 86400000000000 seconds after 1970 is beyond what nanoseconds in 64 bits hold: write CSV or NDJSON, where it is text, or let the input have timestamps of microseconds
    row 1: column 'g': the INT96 timestamp 9999-12-31T23:59:59.999999 is beyond what nanoseconds in 64 bits hold: write CSV or NDJSON, where it is text, or let the input have timestamps of microseconds
    row 3: column 'g': the INT96 timestamp 86400000000000 seconds after 1970 is beyond what nanoseconds in 64 bits hold: write CSV or NDJSON, where it is text, or let the input have timestamps of microseconds
    row 1: column 'g': the INT96 timestamp 9999-12-31T23:59:59.999999 is beyond what Struct("t": non-null Timestamp(ns), "n": non-null Int64) holds: let the input have timestamps of microseconds
    row 3: column 'g': the INT96 timestamp 86400000000000 seconds after 1970 is beyond what Struct("t": non-null Timestamp(ns), "n": non-null Int64) holds: let the input have timestamps of microseconds
    "#);
}
