//! What happens to columns that only pass through, type by type.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{
    Array as _, ArrayRef, Date32Array, Int32Array, ListArray, MapArray, StringArray, StructArray,
    Time32SecondArray, Time64MicrosecondArray, TimestampSecondArray,
};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, Field, Fields, Schema};

use super::cases::{self, Case, Typed};
use super::files::{self, ECHO};
use crate::{Files, triton};

const TYPED: [&str; 3] = ["parquet", "arrow", "arrows"];

fn kept<'a>(typed: &'a Typed, case: &'a Case) -> Option<&'a ArrayRef> {
    match typed {
        Typed::Kept => Some(&case.array),
        Typed::As(_, array) => Some(array),
        Typed::Refused => None,
    }
}

/// The column of an input: the library writes no dictionary of lists to Parquet.
fn written<'a>(case: &'a Case, from: &str) -> &'a ArrayRef {
    let nested = match case.array.data_type() {
        DataType::Dictionary(_, values) => values.is_nested(),
        _ => false,
    };
    match (nested && from == "parquet", &case.parquet) {
        (true, Typed::As(_, array)) => array,
        _ => &case.array,
    }
}

/// One run for each pair of formats, with a column for each type.
#[test]
fn every_type_goes_to_every_format() {
    let cases = cases::all();
    let files = Files::new();
    let model = files.write("model.sql", ECHO);
    let mut problems = Vec::new();
    for from in TYPED {
        for to in ["csv", "ndjson", "parquet", "arrow", "arrows"] {
            // Parquet holds some types neither as an input nor as an output.
            let held = cases.iter().filter(|case| {
                !matches!(case.parquet, Typed::Refused) || (from != "parquet" && to != "parquet")
            });
            let held: Vec<&Case> = held.collect();
            let columns: Vec<(&str, ArrayRef)> = held
                .iter()
                .map(|case| (case.name, ArrayRef::clone(written(case, from))))
                .collect();
            let input = files.path(&format!("input.{from}"));
            files::write(&input, &[files::with_values(&columns)]);
            let output = files.path(&format!("{from}.to.{to}"));
            let state = files.path(&format!("{from}.{to}.state"));
            let mut arguments = vec!["predict", &model, &input, "-o", &output, "--quiet"];
            if from == "arrow" {
                // An output that is joined from parts holds the same.
                arguments.extend(["--checkpoint", &state]);
            }
            let run = triton(&arguments);
            if run.code != Some(0) {
                problems.push(format!("{from} to {to}: {}", run.stderr));
                continue;
            }
            match to {
                "csv" => compare_cells(&output, &held, &mut problems, from),
                "ndjson" => compare_members(&output, &held, &mut problems, from),
                _ => compare_arrays(&output, &held, &mut problems, (from, to)),
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

fn compare_cells(output: &str, cases: &[&Case], problems: &mut Vec<String>, from: &str) {
    let mut reader = csv::Reader::from_path(output).unwrap();
    let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
    for (position, case) in cases.iter().enumerate() {
        let found: Vec<&str> = rows.iter().map(|row| &row[position + 1]).collect();
        let expected: Vec<&str> = case.texts.iter().map(|(cell, _)| cell.as_str()).collect();
        if found != expected {
            problems.push(format!(
                "{} from {from} to csv: expected {expected:?}, found {found:?}",
                case.name
            ));
        }
    }
}

fn compare_members(output: &str, cases: &[&Case], problems: &mut Vec<String>, from: &str) {
    let text = std::fs::read_to_string(output).unwrap();
    let rows: Vec<BTreeMap<String, Box<serde_json::value::RawValue>>> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for case in cases {
        let found: Vec<&str> = rows.iter().map(|row| row[case.name].get()).collect();
        let expected: Vec<&str> = case.texts.iter().map(|(_, json)| json.as_str()).collect();
        if found != expected {
            problems.push(format!(
                "{} from {from} to ndjson: expected {expected:?}, found {found:?}",
                case.name
            ));
        }
    }
}

fn compare_arrays(
    output: &str,
    cases: &[&Case],
    problems: &mut Vec<String>,
    (from, to): (&str, &str),
) {
    let batch = files::read(output);
    for case in cases {
        let typed = match to {
            "parquet" => &case.parquet,
            _ => &case.arrow,
        };
        let found = batch.column_by_name(case.name).unwrap();
        let Some(expected) = kept(typed, case) else {
            continue;
        };
        if found != expected {
            problems.push(format!(
                "{} from {from} to {to}: expected {expected:?}, found {found:?}",
                case.name
            ));
        }
    }
}

/// A file says of a column that its values were in a dictionary, as those of pandas often are; what the
/// library makes of that differs from type to type.
#[test]
fn values_of_every_type_may_have_been_in_a_dictionary() {
    let files = Files::new();
    let model = files.write("model.sql", ECHO);
    let cases = cases::all();
    let cases = cases.iter().filter(|case| {
        let data_type = case.array.data_type();
        let is_encoded = matches!(
            data_type,
            DataType::Dictionary(..) | DataType::RunEndEncoded(..)
        );
        !data_type.is_nested() && !is_encoded && !matches!(case.parquet, Typed::Refused)
    });
    let cases: Vec<&Case> = cases.collect();
    let columns: Vec<_> = cases
        .iter()
        .map(|case| (case.name, ArrayRef::clone(&case.array)))
        .collect();
    let batch = files::with_values(&columns);
    let fields = batch.schema_ref().fields().iter();
    let in_dictionaries = fields.map(|field| match field.name().as_str() {
        "value" => Field::clone(field),
        _ => Field::clone(field).with_data_type(DataType::Dictionary(
            Box::new(DataType::Int8),
            Box::new(field.data_type().clone()),
        )),
    });
    let claimed = Schema::new(in_dictionaries.collect::<Vec<_>>());
    let input = files.path("input.parquet");
    files::write_claiming(&input, &batch, &claimed);
    let mut problems = Vec::new();
    for to in ["csv", "parquet"] {
        let output = files.path(&format!("output.{to}"));
        let run = triton(&["predict", &model, &input, "-o", &output, "--quiet"]);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        match to {
            "csv" => compare_cells(&output, &cases, &mut problems, "dictionaries"),
            _ => compare_arrays(&output, &cases, &mut problems, ("dictionaries", to)),
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// Only their places tell them apart.
#[test]
fn two_columns_of_one_name_pass_through_with_their_types() {
    let files = Files::new();
    let model = files.write("model.sql", ECHO);
    let columns: [(&str, ArrayRef); 2] = [
        ("n", Arc::new(Int32Array::from(vec![7, 8]))),
        ("n", Arc::new(StringArray::from(vec!["x", "y"]))),
    ];
    let input = files.path("in.parquet");
    files::write(&input, &[files::with_values(&columns)]);
    for to in TYPED {
        let output = files.path(&format!("out.{to}"));
        let run = triton(&["predict", &model, &input, &input, "-o", &output, "--quiet"]);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        let batch = files::read(&output);
        assert_eq!(batch.num_rows(), 4);
        for (position, (name, column)) in columns.iter().enumerate() {
            assert_eq!(batch.schema().field(position + 1).name(), name);
            assert_eq!(
                batch.column(position + 1).slice(2, 2).as_ref(),
                column.as_ref()
            );
        }
    }
}

/// A JSON object holds one member of a name, and whoever reads one that has two finds either.
#[test]
fn two_members_of_one_name_are_refused_where_they_would_be_one_object() {
    let numbers = || Arc::new(Int32Array::from(vec![1])) as ArrayRef;
    let member = |name: &str| Arc::new(Field::new(name, DataType::Int32, true));
    let doubled = StructArray::new(
        Fields::from(vec![member("k"), member("k")]),
        vec![numbers(), numbers()],
        None,
    );
    let keys: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "a"]));
    let values: ArrayRef = Arc::new(Int32Array::from(vec![1, 2, 3]));
    let fields = Fields::from(vec![
        Field::new("key", DataType::Utf8, false),
        Field::new("value", DataType::Int32, true),
    ]);
    let entries = StructArray::new(fields.clone(), vec![keys, values], None);
    let entry = Arc::new(Field::new("entries", DataType::Struct(fields), false));
    let map = MapArray::new(entry, OffsetBuffer::from_lengths([3]), entries, None, false);
    let files = Files::new();
    let model = files.write("model.sql", ECHO);
    let mut said = String::new();
    for (name, column) in [("s", Arc::new(doubled) as ArrayRef), ("m", Arc::new(map))] {
        let input = files.path(&format!("{name}.arrow"));
        files::write(&input, &[files::with_values(&[(name, column)])]);
        for to in ["csv", "ndjson"] {
            let run = triton(&["predict", &model, &input, "--quiet", "--output-format", to]);
            said = format!(
                "{said}{name} {to}: {:?} {}",
                run.code,
                files.relative(&run.stderr)
            );
        }
        let output = files.path(&format!("{name}.out.arrow"));
        let run = triton(&["predict", &model, &input, "-o", &output, "--quiet"]);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
    }
    insta::assert_snapshot!(said, @r#"
    s csv: Some(2) error: s.arrow: column 's' has two members named 'k', and a JSON object holds only one of them: rename one, leave the column out, or write Parquet or Arrow
    s ndjson: Some(2) error: s.arrow: column 's' has two members named 'k', and a JSON object holds only one of them: rename one, leave the column out, or write Parquet or Arrow
    m csv: Some(1) row 1: column 'm': the map has the key "a" twice, and a JSON object holds only one of them
    m ndjson: Some(1) row 1: column 'm': the map has the key "a" twice, and a JSON object holds only one of them
    "#);
}

/// Each in a row of its own, beside values that have one.
#[test]
fn what_has_no_text_is_rejected_and_kept_where_it_is_typed() {
    const BAD: usize = 5;
    // In milliseconds, as Parquet has it, it still fits 64 bits.
    let late = i64::MAX / 1000;
    // The value of the one bad row, among zeros.
    let only =
        |bad: usize, value: i64| (0..=BAD).map(move |row| if row == bad { value } else { 0 });
    let days = only(2, i32::MAX.into()).map(|days| days as i32);
    let seconds = only(3, 86_400).map(|seconds| seconds as i32);
    let items: ArrayRef = Arc::new(TimestampSecondArray::from_iter_values(only(BAD, late)));
    let item = Arc::new(Field::new("item", items.data_type().clone(), true));
    let lists = ListArray::new(item, OffsetBuffer::from_lengths([1; BAD + 1]), items, None);
    let zoned = TimestampSecondArray::from_iter_values(only(1, late)).with_timezone("UTC");
    let columns: [(&str, ArrayRef); 6] = [
        (
            "a",
            Arc::new(TimestampSecondArray::from_iter_values(only(0, late))),
        ),
        ("b", Arc::new(zoned)),
        ("c", Arc::new(Date32Array::from_iter_values(days))),
        ("d", Arc::new(Time32SecondArray::from_iter_values(seconds))),
        (
            "e",
            Arc::new(Time64MicrosecondArray::from_iter_values(only(4, -1))),
        ),
        ("f", Arc::new(lists)),
    ];
    let files = Files::new();
    let model = files.write("model.sql", ECHO);
    let mut said = String::new();
    for from in TYPED {
        let input = files.path(&format!("input.{from}"));
        files::write(&input, &[files::with_values(&columns)]);
        for to in ["csv", "ndjson"] {
            // Nor is it written with a default answer.
            let default = ["--quiet", "--on-error", "default", "--output-format", to];
            let run = triton(&[&["predict", &model, &input], &default[..]].concat());
            assert_eq!(run.code, Some(1), "{from} to {to}: {}", run.stderr);
            assert_eq!(run.stdout.lines().count(), usize::from(to == "csv"));
            said = run.stderr;
        }
        for to in TYPED {
            let output = files.path(&format!("output.{to}"));
            let run = triton(&["predict", &model, &input, "-o", &output, "--quiet"]);
            assert_eq!(run.code, Some(0), "{from} to {to}: {}", run.stderr);
            let batch = files::read(&output);
            // Seconds have another unit in Parquet.
            let is_kept = |array: &ArrayRef| {
                to != "parquet"
                    || ["Date32", "Time64(µs)"].contains(&&*array.data_type().to_string())
            };
            for (name, array) in columns.iter().filter(|(_, array)| is_kept(array)) {
                assert_eq!(batch.column_by_name(name).unwrap(), array, "{from} to {to}");
            }
        }
    }
    insta::assert_snapshot!(said, @r#"
    row 1: column 'a': no calendar or clock has 9223372036854775 of Timestamp(s), so it has no text: write Parquet or Arrow, which keep the number
    row 2: column 'b': no calendar or clock has 9223372036854775 of Timestamp(s, "UTC"), so it has no text: write Parquet or Arrow, which keep the number
    row 3: column 'c': no calendar or clock has 2147483647 of Date32, so it has no text: write Parquet or Arrow, which keep the number
    row 4: column 'd': no calendar or clock has 86400 of Time32(s), so it has no text: write Parquet or Arrow, which keep the number
    row 5: column 'e': no calendar or clock has -1 of Time64(µs), so it has no text: write Parquet or Arrow, which keep the number
    row 6: column 'f': no calendar or clock has 9223372036854775 of Timestamp(s), so it has no text: write Parquet or Arrow, which keep the number
    "#);
}
