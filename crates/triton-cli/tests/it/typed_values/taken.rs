//! What the model takes of typed columns: the value as it is, or the row is rejected.

use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, Float64Builder, ListBuilder};
use arrow_array::types::{Float64Type, Int8Type, Int32Type, Int64Type};
use arrow_array::*;
use arrow_buffer::i256;
use half::f16;
use serde_json::Value as Json;
use triton_embedded::{DataType, Model, ModelConfig, ModelError, ModelRequest, Tensor};
use triton_test_support::EmbeddedTriton;

use super::files;
use crate::{Files, triton};

/// Gives back what it takes, in any datatype.
struct Same(&'static str, DataType, i64);

impl Model for Same {
    type State = ();

    fn config(&self) -> ModelConfig {
        ModelConfig::new(self.0)
            .input("x", self.1, [self.2])
            .output("y", self.1, [self.2])
    }

    fn execute(&self, request: &ModelRequest, _: &mut ()) -> Result<Vec<Tensor>, ModelError> {
        Ok(vec![Tensor {
            name: "y".to_owned(),
            ..request.input("x")?.clone()
        }])
    }
}

fn server() -> EmbeddedTriton {
    let types = [
        ("bool", DataType::Bool),
        ("int8", DataType::Int8),
        ("int32", DataType::Int32),
        ("int64", DataType::Int64),
        ("uint8", DataType::Uint8),
        ("uint64", DataType::Uint64),
        ("fp16", DataType::Fp16),
        ("fp32", DataType::Fp32),
        ("fp64", DataType::Fp64),
        ("bytes", DataType::Bytes),
    ];
    let server = types
        .into_iter()
        .fold(EmbeddedTriton::builder(), |server, (name, datatype)| {
            server.model(Same(name, datatype, -1))
        });
    let server = server.model(Same("blob", DataType::Bytes, 1));
    server.start().unwrap()
}

/// A column for a model, and what happens to each row: the answer, or what is found in place of
/// what is expected.
struct Case {
    model: &'static str,
    sql: &'static str,
    array: ArrayRef,
    rows: Vec<Result<&'static str, &'static str>>,
}

fn case<const N: usize>(
    (model, sql): (&'static str, &'static str),
    array: impl Array + 'static,
    rows: [Result<&'static str, &'static str>; N],
) -> Case {
    assert_eq!(array.len(), N);
    let array = Arc::new(array);
    let rows = rows.into();
    Case {
        model,
        sql,
        array,
        rows,
    }
}

const INT: (&str, &str) = ("int32", "INT");
const BIGINT: (&str, &str) = ("int64", "BIGINT");
const FLOAT16: (&str, &str) = ("fp16", "FLOAT16");
const FLOAT: (&str, &str) = ("fp32", "FLOAT");
const DOUBLE: (&str, &str) = ("fp64", "DOUBLE");
const FLOATS: (&str, &str) = ("fp32", "ARRAY<FLOAT>");

const INEXACT: &str = ", a whole number that the type does not hold exactly";

fn numbers() -> Vec<Case> {
    let decimals = |values: Vec<i128>, scale| {
        Decimal128Array::from(values)
            .with_precision_and_scale(38, scale)
            .unwrap()
    };
    let large = i256::from_string(&format!("1{}", "0".repeat(60))).unwrap();
    vec![
        case(
            FLOAT,
            Float64Array::from(vec![
                0.1,
                1e300,
                f64::NAN,
                f64::NEG_INFINITY,
                1e-300,
                3.5e38,
            ]),
            [
                Ok("0.1"),
                Err("'1e300'"),
                Ok("\"NaN\""),
                Ok("\"-Infinity\""),
                Ok("0"),
                Err("'3.5e38'"),
            ],
        ),
        case(
            FLOAT16,
            Float64Array::from(vec![0.1, 65519.9, 65520.0, -1e300]),
            [
                Ok("0.099975586"),
                Ok("65504"),
                Err("'65520.0'"),
                Err("'-1e300'"),
            ],
        ),
        case(
            FLOAT16,
            Float32Array::from(vec![1.0, 70_000.0, f32::INFINITY]),
            [Ok("1"), Err("'70000.0'"), Ok("\"Infinity\"")],
        ),
        case(
            DOUBLE,
            Float16Array::from(vec![f16::from_f32(0.5), f16::INFINITY]),
            [Ok("0.5"), Ok("\"Infinity\"")],
        ),
        case(
            FLOAT,
            Int64Array::from(vec![1 << 24, (1 << 24) + 1, i64::MIN, i64::MAX]),
            [
                Ok("16777216"),
                Err("'16777217'"),
                Ok("-9223372000000000000"),
                Err("'9223372036854775807'"),
            ],
        ),
        case(
            DOUBLE,
            UInt64Array::from(vec![1 << 53, (1 << 53) + 1, 1 << 63, u64::MAX]),
            [
                Ok("9007199254740992"),
                Err("'9007199254740993'"),
                Ok("9223372036854776000"),
                Err("'18446744073709551615'"),
            ],
        ),
        case(
            FLOAT16,
            Int32Array::from(vec![2048, 2049, 65_504, 65_536]),
            [Ok("2048"), Err("'2049'"), Ok("65504"), Err("'65536'")],
        ),
        case(
            INT,
            Int64Array::from(vec![i64::from(i32::MAX), 1 << 31, i64::MIN]),
            [
                Ok("2147483647"),
                Err("'2147483648'"),
                Err("'-9223372036854775808'"),
            ],
        ),
        case(
            BIGINT,
            UInt64Array::from(vec![(1 << 63) - 1, 1 << 63]),
            [Ok("9223372036854775807"), Err("'9223372036854775808'")],
        ),
        case(
            ("uint8", "TINYINT UNSIGNED"),
            Int8Array::from(vec![127, -1]),
            [Ok("127"), Err("'-1'")],
        ),
        case(
            ("uint64", "BIGINT UNSIGNED"),
            Int64Array::from(vec![i64::MAX, -1]),
            [Ok("9223372036854775807"), Err("'-1'")],
        ),
        case(
            ("int8", "TINYINT"),
            UInt64Array::from(vec![127, u64::MAX]),
            [Ok("127"), Err("'18446744073709551615'")],
        ),
        case(
            DOUBLE,
            decimals(vec![1, -12_345_678_901_234_567_890], 19),
            [Ok("0.0000000000000000001"), Ok("-1.2345678901234567")],
        ),
        case(
            FLOAT,
            Decimal256Array::from(vec![i256::from_i128(15), large])
                .with_precision_and_scale(76, 1)
                .unwrap(),
            [
                Ok("1.5"),
                Err("'1000000000000000000000000000000000000000…'"),
            ],
        ),
        case(
            ("bool", "BOOLEAN"),
            BooleanArray::from(vec![true, false]),
            [Ok("true"), Ok("false")],
        ),
        case(
            ("bytes", "BYTES"),
            BinaryViewArray::from(vec![&b"\x00\xff"[..], b"longer than twelve bytes"]),
            [Ok("\"AP8=\""), Ok("\"bG9uZ2VyIHRoYW4gdHdlbHZlIGJ5dGVz\"")],
        ),
        case(
            ("bytes", "STRING"),
            StringViewArray::from(vec!["", "ümläut"]),
            [Ok("\"\""), Ok("\"ümläut\"")],
        ),
    ]
}

fn arrays() -> Vec<Case> {
    let doubles = || {
        ListArray::from_iter_primitive::<Float64Type, _, _>([
            Some(vec![Some(0.5), Some(1e300)]),
            Some(vec![Some(0.5)]),
            Some(vec![Some(1.5), None]),
        ])
    };
    let large = LargeListArray::from_iter_primitive::<Int64Type, _, _>([
        Some(vec![Some(1), Some(2)]),
        Some(vec![Some(1), Some(1 << 40)]),
    ]);
    let fixed = FixedSizeListArray::from_iter_primitive::<Int32Type, _, _>(
        [
            Some(vec![Some(1), Some(1 << 24)]),
            Some(vec![Some((1 << 24) + 1), Some(2)]),
        ],
        2,
    );
    let mut deep = ListBuilder::new(ListBuilder::new(Float64Builder::new()));
    for last in [2.0, 1e39] {
        deep.values().append_value([Some(1.0), Some(last)]);
        deep.append(true);
    }
    let dictionary = DictionaryArray::<Int8Type>::new(
        vec![1, 0].into(),
        Arc::new(Float64Array::from(vec![1e300, 0.25])),
    );
    let runs = RunArray::<Int32Type>::try_new(
        &Int32Array::from(vec![1, 2]),
        &Int64Array::from(vec![7, 1 << 31]),
    )
    .unwrap();
    let views: ListViewArray = doubles().into();
    vec![
        case(
            FLOATS,
            doubles(),
            [
                Err("'1e300' in place 2 of an array"),
                Ok("[0.5]"),
                Err("NULL"),
            ],
        ),
        case(
            FLOATS,
            views,
            [
                Err("'1e300' in place 2 of an array"),
                Ok("[0.5]"),
                Err("NULL"),
            ],
        ),
        case(
            ("int32", "ARRAY<INT>"),
            large,
            [Ok("[1,2]"), Err("'1099511627776' in place 2 of an array")],
        ),
        case(
            FLOATS,
            fixed,
            [Ok("[1,16777216]"), Err("'16777217' in place 1 of an array")],
        ),
        case(FLOAT, dictionary, [Ok("0.25"), Err("'1e300'")]),
        case(INT, runs, [Ok("7"), Err("'2147483648'")]),
    ]
}

#[test]
fn what_the_model_takes_is_exact_or_the_row_is_rejected() {
    let server = server();
    let endpoint = format!("endpoint={}", server.endpoint());
    let files = Files::new();
    let mut problems = Vec::new();
    for case in numbers().into_iter().chain(arrays()) {
        let Case { model, sql, .. } = case;
        let statement = format!(
            "CREATE MODEL m INPUT (x {sql}) OUTPUT (y {sql})
             WITH ('provider' = 'triton', 'endpoint' = 'embedded', 'model-name' = '{model}')"
        );
        let statement = files.write("model.sql", &statement);
        for format in ["parquet", "arrow"] {
            // The library writes no list views with what stands between their elements.
            let input = files.path(&format!("input.{format}"));
            let columns = [("x", Arc::clone(&case.array))];
            files::write(&input, &[files::with_values(&columns)]);
            let arguments = ["predict", &statement, &input, "-O", &endpoint, "--quiet"];
            let run = triton(&arguments);
            let label = format!("{:?} as {sql} from {format}", case.array.data_type());
            let mut answers = run.stdout.lines();
            let mut rejections = run.stderr.lines();
            for (row, expected) in case.rows.iter().enumerate() {
                let (found, is_right) = match expected {
                    Ok(value) => {
                        let line = answers.next().unwrap_or_default();
                        let found = line.rsplit_once("\"y\":").map_or("", |(_, found)| found);
                        (line, found == format!("{value}}}"))
                    }
                    Err(reason) => {
                        let line = rejections.next().unwrap_or_default();
                        let start = format!("row {}: ", row + 1);
                        (line, line.starts_with(&start) && line.contains(reason))
                    }
                };
                if !is_right {
                    problems.push(format!("{label}: expected {expected:?}, found {found}"));
                }
            }
            if let Some(more) = answers.next().or(rejections.next()) {
                problems.push(format!("{label}: {more}"));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn a_rejection_says_what_was_expected_and_found() {
    let files = Files::new();
    let model = files.write("model.sql", files::ECHO);
    let lists = files.write("lists.sql", &files::ECHO.replace("FLOAT", "ARRAY<FLOAT>"));
    let input = files.path("input.arrow");
    let run = |model: &str, array: ArrayRef| {
        let batch = RecordBatch::try_from_iter([("value", array)]).unwrap();
        files::write(&input, &[batch]);
        triton(&["predict", model, &input, "--quiet"]).stderr
    };
    let numbers = Arc::new(Int64Array::from(vec![(1 << 24) + 1]));
    let list = Some(vec![Some(1e300)]);
    let list = ListArray::from_iter_primitive::<Float64Type, _, _>([list]);
    let said = run(&model, numbers) + &run(&lists, Arc::new(list));
    assert!(said.contains(INEXACT));
    insta::assert_snapshot!(said, @"
    row 1: column 'value': expected FLOAT, found '16777217', a whole number that the type does not hold exactly
    row 1: column 'value': expected ARRAY<FLOAT>, found '1e300' in place 1 of an array
    ");
}

/// What no value of could be taken is refused as a whole.
#[test]
fn a_column_of_another_kind_is_refused() {
    let files = Files::new();
    let columns: [(&str, ArrayRef); 9] = [
        ("BIGINT", Arc::new(TimestampMicrosecondArray::from(vec![1]))),
        ("BIGINT", Arc::new(Date64Array::from(vec![1]))),
        ("BIGINT", Arc::new(DurationSecondArray::from(vec![1]))),
        ("STRING", Arc::new(TimestampMicrosecondArray::from(vec![1]))),
        ("INT", Arc::new(Float64Array::from(vec![1.0]))),
        ("INT", Arc::new(BooleanArray::from(vec![true]))),
        ("BOOLEAN", Arc::new(Int8Array::from(vec![1]))),
        ("FLOAT", Arc::new(StringArray::from(vec!["1"]))),
        ("STRING", Arc::new(Int32Array::from(vec![1]))),
    ];
    let mut said = String::new();
    for (sql, array) in columns {
        let statement = files::ECHO.replace("(`value` FLOAT)", &format!("(`value` {sql})"));
        let model = files.write("model.sql", &statement);
        let input = files.path("input.parquet");
        let batch = RecordBatch::try_from_iter([("value", array)]).unwrap();
        files::write(&input, &[batch]);
        let run = triton(&["predict", &model, &input, "-O", "default-value=0"]);
        assert_eq!(run.code, Some(2), "{}", run.stderr);
        said.push_str(&files.relative(&run.stderr));
    }
    insta::assert_snapshot!(said, @"
    error: input.parquet: column 'value': expected BIGINT, found Timestamp(µs), whose values do not all fit
    error: input.parquet: column 'value': expected BIGINT, found Date64, whose values do not all fit
    error: input.parquet: column 'value': expected BIGINT, found Duration(s), whose values do not all fit
    error: input.parquet: column 'value': expected STRING, found Timestamp(µs), whose values do not all fit
    error: input.parquet: column 'value': expected INT, found Float64, whose values do not all fit
    error: input.parquet: column 'value': expected INT, found Boolean, whose values do not all fit
    error: input.parquet: column 'value': expected BOOLEAN, found Int8, whose values do not all fit
    error: input.parquet: column 'value': expected FLOAT, found Utf8, whose values do not all fit
    error: input.parquet: column 'value': expected STRING, found Int32, whose values do not all fit
    ");
}

#[test]
fn a_column_of_bytes_is_scored_without_a_model_file() {
    let server = server();
    let endpoint = format!("endpoint={}", server.endpoint());
    let files = Files::new();
    let arguments = |model: &str, inputs: &[&str]| {
        let more = ["--model", model, "-O", &endpoint, "--quiet"];
        triton(&[&["predict"], inputs, &more].concat())
    };
    // What the model gives is text, because nobody declared it.
    let bytes = [&b"\x00\x7f"[..], b""];
    let lists = {
        let mut builder = ListBuilder::new(BinaryBuilder::new());
        bytes
            .iter()
            .for_each(|value| builder.append_value([Some(value)]));
        builder.finish()
    };
    let columns: [ArrayRef; 4] = [
        Arc::new(BinaryArray::from(bytes.to_vec())),
        Arc::new(LargeBinaryArray::from(bytes.to_vec())),
        Arc::new(BinaryViewArray::from(bytes.to_vec())),
        Arc::new(lists),
    ];
    for array in columns {
        for format in ["parquet", "arrow", "arrows"] {
            let input = files.path(&format!("input.{format}"));
            let batch = files::with_values(&[("x", Arc::clone(&array))]);
            files::write(&input, &[batch]);
            let model = match array.data_type().is_nested() {
                true => "bytes",
                false => "blob",
            };
            let run = arguments(model, &[&input, &input]);
            assert_eq!(run.code, Some(0), "{format}: {}", run.stderr);
            let lines: Vec<Json> = run
                .stdout
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect();
            assert_eq!(lines.len(), 4);
        }
    }
    // The first input decides for those behind it.
    let text = files.write("text.csv", "value,x\n1,a\n");
    let input = files.path("input.parquet");
    let batch: ArrayRef = Arc::new(BinaryArray::from(bytes.to_vec()));
    files::write(&input, &[files::with_values(&[("x", batch)])]);
    let run = arguments("blob", &[&text, &input]);
    assert_eq!(run.code, Some(2));
    insta::assert_snapshot!(files.relative(&run.stderr), @"error: input.parquet: column 'x': expected STRING, found Binary, whose values do not all fit; declare it BYTES in a MODEL.sql if the model takes bytes");
}
