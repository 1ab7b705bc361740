//! What becomes of columns that only pass through, type by type.

use std::collections::BTreeMap;

use arrow_array::{Array as _, ArrayRef};
use arrow_schema::DataType;

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
            let run = triton(&["predict", &model, &input, "-o", &output, "--quiet"]);
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
        // What was Parquet once has the types of Parquet.
        let typed = match [from, to].contains(&"parquet") {
            true => &case.parquet,
            false => &case.arrow,
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

/// In a row of its own, beside one whose value has a text.
#[test]
fn what_has_no_text_is_rejected_and_kept_where_it_is_typed() {
    use std::sync::Arc;

    use arrow_array::{
        Date32Array, ListArray, Time32SecondArray, Time64MicrosecondArray, TimestampSecondArray,
        types::Int64Type,
    };

    let late = i64::MAX;
    let lists = ListArray::from_iter_primitive::<Int64Type, _, _>([
        Some(vec![Some(0)]),
        Some(vec![Some(0), Some(late)]),
    ]);
    let lists = {
        let values = TimestampSecondArray::from(vec![0, 0, late]);
        let item = arrow_schema::Field::new("item", values.data_type().clone(), true);
        ListArray::new(
            Arc::new(item),
            lists.offsets().clone(),
            Arc::new(values),
            None,
        )
    };
    let columns: [(&str, ArrayRef); 6] = [
        ("Timestamp(s)", Arc::new(TimestampSecondArray::from(vec![0, late]))),
        (
            "Timestamp(s, UTC)",
            Arc::new(TimestampSecondArray::from(vec![0, late]).with_timezone("UTC")),
        ),
        ("Date32", Arc::new(Date32Array::from(vec![0, i32::MAX]))),
        ("Time32(s)", Arc::new(Time32SecondArray::from(vec![0, 86_400]))),
        ("Time64(µs)", Arc::new(Time64MicrosecondArray::from(vec![0, -1]))),
        ("List of Timestamp(s)", Arc::new(lists)),
    ];
    let files = Files::new();
    let model = files.write("model.sql", ECHO);
    let mut said = String::new();
    for (name, array) in columns {
        for from in TYPED {
            let input = files.path(&format!("input.{from}"));
            files::write(&input, &[files::with_values(&[(name, Arc::clone(&array))])]);
            for to in ["csv", "ndjson"] {
                // Nor is it written with a default answer.
                let run = triton(&[
                    "predict", &model, &input, "--quiet", "--output-format", to, "--on-error",
                    "default",
                ]);
                assert_eq!(run.code, Some(1), "{name}, {from} to {to}: {}", run.stderr);
                let rows = if to == "csv" { 2 } else { 1 };
                assert_eq!(run.stdout.lines().count(), rows, "{name}: {}", run.stdout);
                if (from, to) == ("arrow", "csv") {
                    said.push_str(&run.stderr);
                }
            }
            for to in TYPED {
                let output = files.path(&format!("output.{to}"));
                let run = triton(&["predict", &model, &input, "-o", &output, "--quiet"]);
                assert_eq!(run.code, Some(0), "{name}, {from} to {to}: {}", run.stderr);
                let batch = files::read(&output);
                assert_eq!(batch.column_by_name(name).unwrap(), &array, "{from} to {to}");
            }
        }
    }
    insta::assert_snapshot!(said, @r#"
    row 2: column 'Timestamp(s)': no calendar or clock has 9223372036854775807 of Timestamp(s), so it has no text: write Parquet or Arrow, which keep the number
    row 2: column 'Timestamp(s, UTC)': no calendar or clock has 9223372036854775807 of Timestamp(s, "UTC"), so it has no text: write Parquet or Arrow, which keep the number
    row 2: column 'Date32': no calendar or clock has 2147483647 of Date32, so it has no text: write Parquet or Arrow, which keep the number
    row 2: column 'Time32(s)': no calendar or clock has 86400 of Time32(s), so it has no text: write Parquet or Arrow, which keep the number
    row 2: column 'Time64(µs)': no calendar or clock has -1 of Time64(µs), so it has no text: write Parquet or Arrow, which keep the number
    row 2: column 'List of Timestamp(s)': no calendar or clock has 9223372036854775807 of Timestamp(s), so it has no text: write Parquet or Arrow, which keep the number
    "#);
}
