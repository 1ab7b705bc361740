//! What a typed output or a model cannot take is refused before a row is sent.

use std::path::Path;
use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{Array as _, ArrayRef, BinaryArray, DictionaryArray, ListArray, StructArray};
use arrow_buffer::OffsetBuffer;
use arrow_schema::Field;
use triton_test_support::EmbeddedTriton;

use super::cases::{self, Typed};
use super::files::{self, ECHO};
use crate::{Files, triton};

#[test]
fn a_type_that_parquet_lacks_is_named_before_a_row_is_sent() {
    let files = Files::new();
    let model = files.write("model.sql", ECHO);
    let refused = cases::all().into_iter();
    let mut said = String::new();
    for case in refused.filter(|case| matches!(case.parquet, Typed::Refused)) {
        let array = case.array;
        let item = Arc::new(Field::new("item", array.data_type().clone(), true));
        let list = ListArray::new(
            item,
            OffsetBuffer::from_lengths([1, 1, 1]),
            Arc::clone(&array),
            None,
        );
        let group = StructArray::from(vec![(
            Arc::new(Field::new("a", array.data_type().clone(), true)),
            Arc::clone(&array),
        )]);
        let dictionary =
            DictionaryArray::<Int32Type>::new(vec![0, 1, 2].into(), Arc::clone(&array));
        let wrapped: [ArrayRef; 4] = [array, Arc::new(list), Arc::new(group), Arc::new(dictionary)];
        for (index, array) in wrapped.into_iter().enumerate() {
            let input = files.path("input.arrow");
            // The library writes no dictionary of unions either.
            files::write(&input, &[files::with_values(&[("odd", array)])]);
            let output = files.path("output.parquet");
            let run = triton(&["predict", &model, &input, "-o", &output]);
            assert_eq!(run.code, Some(2), "{}: {}", case.name, run.stderr);
            assert!(run.stderr.contains("column 'odd' is "), "{}", run.stderr);
            assert!(!Path::new(&output).exists(), "{}", case.name);
            if index < 2 {
                said.push_str(&files.relative(&run.stderr));
            }
        }
    }
    insta::assert_snapshot!(said, @r#"
    error: input.arrow: column 'odd' is Decimal128(5, -2), for which Parquet has no type: write Arrow, as --output-format arrow does, or leave the column out
    error: input.arrow: column 'odd' is List(Decimal128(5, -2)), in which Parquet has no type for Decimal128(5, -2): write Arrow, as --output-format arrow does, or leave the column out
    error: input.arrow: column 'odd' is Interval(MonthDayNano), for which Parquet has no type: write Arrow, as --output-format arrow does, or leave the column out
    error: input.arrow: column 'odd' is List(Interval(MonthDayNano)), in which Parquet has no type for Interval(MonthDayNano): write Arrow, as --output-format arrow does, or leave the column out
    error: input.arrow: column 'odd' is Union(Sparse, 0: ("n": Int32), 1: ("s": Utf8)), for which Parquet has no type: write Arrow, as --output-format arrow does, or leave the column out
    error: input.arrow: column 'odd' is List(Union(Sparse, 0: ("n": Int32), 1: ("s": Utf8))), in which Parquet has no type for Union(Sparse, 0: ("n": Int32), 1: ("s": Utf8)): write Arrow, as --output-format arrow does, or leave the column out
    error: input.arrow: column 'odd' is Union(Dense, 0: ("n": Int32), 1: ("s": Utf8)), for which Parquet has no type: write Arrow, as --output-format arrow does, or leave the column out
    error: input.arrow: column 'odd' is List(Union(Dense, 0: ("n": Int32), 1: ("s": Utf8))), in which Parquet has no type for Union(Dense, 0: ("n": Int32), 1: ("s": Utf8)): write Arrow, as --output-format arrow does, or leave the column out
    "#);
}

#[test]
fn no_row_of_another_input_is_sent_before() {
    let server = EmbeddedTriton::start().unwrap();
    let files = Files::new();
    let model = files.write("model.sql", ECHO);
    let good = files.write("a.csv", "value\n1\n");
    let odd = files.path("b.arrow");
    let unions = cases::all().into_iter();
    let mut unions = unions.filter(|case| case.name.starts_with("Union"));
    let array = unions.next().unwrap().array;
    files::write(&odd, &[files::with_values(&[("odd", array)])]);
    let endpoint = format!("endpoint={}", server.endpoint());
    for more in [&[][..], &["--checkpoint", &files.path("state")]] {
        let folder = files.path("scored/");
        let arguments = [
            "predict",
            &model,
            &good,
            &odd,
            "-o",
            &folder,
            "--output-format",
            "parquet",
            "-O",
            &endpoint,
        ];
        let run = triton(&[&arguments[..], more].concat());
        assert_eq!(run.code, Some(2), "{}", run.stderr);
        assert!(
            run.stderr.contains("b.arrow: column 'odd' is Union"),
            "{}",
            run.stderr
        );
        let sent = server.requests();
        let mut paths = sent.iter().map(|request| request.path.as_str());
        assert!(!paths.any(|path| path.ends_with("/infer")));
    }
}

#[test]
fn bytes_for_text_are_refused_with_what_to_declare() {
    let files = Files::new();
    let model = files.write("model.sql", &ECHO.replace("FLOAT)", "STRING)"));
    let input = files.path("input.parquet");
    let bytes: ArrayRef = Arc::new(BinaryArray::from(vec![&b"\xff"[..]]));
    let batch = files::with_values(&[("image", bytes)]);
    files::write(&input, &[batch]);
    let run = triton(&["predict", &model, &input, "--map", "image=value"]);
    assert_eq!(run.code, Some(2));
    insta::assert_snapshot!(files.relative(&run.stderr), @"error: input.parquet: column 'image': expected STRING, found Binary, whose values do not all fit; declare it BYTES in a MODEL.sql if the model takes bytes");
}
