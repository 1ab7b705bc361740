//! What text says: nothing in it changes silently, and what cannot be taken as it is rejects its row.

use crate::text_files::{ECHO, echo, refused};
use crate::{Files, triton};

#[test]
fn rows_behind_a_quote_that_is_never_closed_are_answered() {
    let run = echo(
        "in.csv",
        "value,note\n1.5,a\n2.5,\"open\n3.5,c\n4.5,d\n",
        &[],
    );
    assert_eq!(run.code, Some(1));
    insta::assert_snapshot!(run.stdout, @"
    value,note,echo
    1.5,a,1.5
    3.5,c,3.5
    4.5,d,4.5
    ");
    insta::assert_snapshot!(run.stderr, @"row 2 (line 3): column 'note': the quote opened on line 3 is never closed");
}

#[test]
fn a_cell_that_is_too_long_ends_its_row() {
    let mut text = "value,note\n1,\"open\n".to_owned();
    text.extend((2..2000).map(|row| format!("{row},note {row}\n")));
    let run = echo("in.csv", &text, &["--max-field-bytes", "1000"]);
    assert_eq!((run.code, run.stdout.lines().count()), (Some(1), 1999));
    insta::assert_snapshot!(run.stderr, @"row 1 (line 2): column 'note': the quote opened on line 2 is not closed within 1000 bytes, the most that --max-field-bytes lets a cell have");
    let long = format!("value,note\n1,{}\n2,b\n", "x".repeat(2000));
    let run = echo("in.csv", long, &["--max-field-bytes", "1000"]);
    assert_eq!(run.stdout, "value,note,echo\n2,b,2\n");
    insta::assert_snapshot!(run.stderr, @"row 1 (line 2): column 'note': the cell has more than 1000 bytes, the most that --max-field-bytes lets it have");
}

#[test]
fn text_behind_a_closing_quote_is_not_taken_for_a_part_of_the_cell() {
    let run = echo(
        "in.csv",
        "value,note\n1,\"a\"b\n2,\"a \"\"b\"\"\"\n\"3\"4,c\n5,a\"b\n",
        &[],
    );
    assert_eq!(run.code, Some(1));
    insta::assert_snapshot!(run.stdout, @r#"
    value,note,echo
    2,"a ""b""",2
    5,"a""b",5
    "#);
    insta::assert_snapshot!(run.stderr, @"
    row 1 (line 2): column 'note': text follows the closing quote of the cell whose quote opened on line 2: a quote within quotes is doubled
    row 3 (line 4): column 'value': text follows the closing quote of the cell whose quote opened on line 4: a quote within quotes is doubled
    ");
}

#[test]
fn a_resumed_run_counts_rows_as_they_were_read() {
    let files = Files::new();
    let model = files.write("model.sql", ECHO);
    // Rows over several lines, behind blank ones, and at last one at fault.
    let text = "value,note\n1,\"a\nb\"\n\n2,c\r\n3,\"d\"\"\n\"\n4,\"open\n5,e\n";
    let input = files.write("in.csv", text);
    let array = "[{\"value\":1},\n{\n\"value\":2},{\"value\":3},\n{\"value\":\"x\"},{\"value\":5}]";
    let array = files.write("in.json", array);
    for (input, place) in [(input, "row 4 (line 8)"), (array, "row 4 (line 4)")] {
        let (output, state) = (files.path("out.csv"), files.path("state"));
        let arguments = [
            "predict",
            &model,
            &input,
            "-o",
            &output,
            "--checkpoint",
            &state,
            "--checkpoint-every",
            "1",
            "--on-error",
            "fail",
        ];
        for _ in 0..2 {
            let run = triton(&arguments);
            assert_eq!(run.code, Some(1), "{}", run.stderr);
            assert!(run.stderr.contains(place), "{}", run.stderr);
        }
        std::fs::remove_dir_all(&state).unwrap();
    }
}

#[test]
fn many_open_quotes_are_read_in_one_go() {
    let mut text = "value,note\n".to_owned();
    text.extend((0..100_000).map(|_| "1,\"open\n"));
    let files = Files::new();
    let errors = files.path("errors.ndjson");
    let run = echo("in.csv", text, &["--errors", &errors]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    let errors = std::fs::read_to_string(errors).unwrap();
    assert_eq!(errors.lines().count(), 100_000);
}

/// The columns of a Parquet file: name, type and values.
fn columns(path: &str) -> String {
    use arrow_array::Array as _;
    use arrow_cast::display::array_value_to_string;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    let file = std::fs::File::open(path).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let mut shown = String::new();
    for batch in reader.build().unwrap() {
        let batch = batch.unwrap();
        let fields = batch.schema();
        for (field, column) in fields.fields().iter().zip(batch.columns()) {
            let values: Vec<String> = (0..column.len())
                .map(|row| match column.is_null(row) {
                    true => "NULL".to_owned(),
                    false => array_value_to_string(column, row).unwrap(),
                })
                .collect();
            let (name, data_type) = (field.name(), field.data_type());
            shown.push_str(&format!("{name} {data_type}: {}\n", values.join(" | ")));
        }
    }
    shown
}

/// Runs over lines of JSON with the output in a Parquet file, and shows that and the messages.
fn to_parquet(lines: &str) -> String {
    let files = Files::new();
    let output = files.path("out.parquet");
    let run = echo("in.ndjson", lines, &["-o", &output]);
    columns(&output) + &run.stderr
}

#[test]
fn a_typed_column_holds_what_the_objects_say_exactly_or_is_text() {
    let rows = "{\"value\":1,\"id\":9007199254740993,\"mixed\":9007199254740993,\"u\":18446744073709551615,\"huge\":18446744073709551616,\"long\":0.1234567890123456789012,\"e\":1E400,\"z\":-0,\"l\":[1],\"n\":NaN}\n\
                {\"value\":2,\"id\":-1,\"mixed\":0.5,\"u\":0,\"huge\":1,\"long\":1,\"e\":1,\"z\":1.50,\"l\":[0.5],\"n\":1}\n";
    insta::assert_snapshot!(to_parquet(rows), @"
    value Float64: 1.0 | 2.0
    id Int64: 9007199254740993 | -1
    mixed Utf8: 9007199254740993 | 0.5
    u UInt64: 18446744073709551615 | 0
    huge Utf8: 18446744073709551616 | 1
    long Utf8: 0.1234567890123456789012 | 1
    e Utf8: 1E400 | 1
    z Float64: -0.0 | 1.5
    l List(Float64): [1.0] | [0.5]
    n Float64: NaN | 1.0
    echo Float32: 1.0 | 2.0
    ");
}

#[test]
fn a_later_value_that_the_type_does_not_hold_exactly_rejects_its_row() {
    let mut rows: String = (0..1000)
        .map(|_| "{\"value\":1,\"d\":0.5,\"i\":1,\"l\":[0.5]}\n")
        .collect();
    for late in [
        "\"d\":9007199254740993",
        "\"d\":0.1234567890123456789012",
        "\"d\":1E400",
        "\"i\":9223372036854775808",
        "\"i\":-0",
        "\"i\":1.5",
        "\"l\":[9007199254740993]",
        "\"d\":9007199254740992",
    ] {
        rows.push_str(&format!("{{\"value\":2,{late}}}\n"));
    }
    let files = Files::new();
    let output = files.path("out.parquet");
    let run = echo("in.ndjson", &rows, &["-o", &output]);
    insta::assert_snapshot!(run.stderr, @"
    row 1001 (line 1001): column 'd': no DOUBLE is exactly '9007199254740993'; the first rows decide on the type
    row 1002 (line 1002): column 'd': no DOUBLE is exactly '0.1234567890123456789012'; the first rows decide on the type
    row 1003 (line 1003): column 'd': expected DOUBLE, found '1E400'; the first rows decide on the type
    row 1004 (line 1004): column 'i': expected BIGINT, found '9223372036854775808'; the first rows decide on the type
    row 1005 (line 1005): column 'i': no BIGINT is exactly '-0'; the first rows decide on the type
    row 1006 (line 1006): column 'i': expected BIGINT, found '1.5'; the first rows decide on the type
    row 1007 (line 1007): column 'l': element 0: no DOUBLE is exactly '9007199254740993'; the first rows decide on the type
    ");
    let run = echo("in.csv", "value,id\n1,9007199254740993\n", &["-o", &output]);
    insta::assert_snapshot!(columns(&output) + &run.stderr, @"
    value Float32: 1.0
    id Utf8: 9007199254740993
    echo Float32: 1.0
    ");
}

/// The model takes the nearest number of its own type; what passes through is what was there.
#[test]
fn a_column_of_the_model_passes_through_with_all_its_digits() {
    let rows =
        "{\"value\":0.123456789012345}\n{\"value\":\"NaN\"}\n{\"value\":null}\n{\"value\":\"x\"}\n";
    let files = Files::new();
    let output = files.path("out.parquet");
    let column = ["-o", &output, "--on-error", "column", "--model", "echo"];
    let run = echo("in.ndjson", rows, &["-o", &output]);
    insta::assert_snapshot!(columns(&output) + &run.stderr, @r#"
    value Float64: 0.123456789012345 | NaN
    echo Float32: 0.12345679 | NaN
    row 3 (line 3): column 'value': expected FLOAT, found NULL
    row 4 (line 4): column 'value': expected FLOAT, found '"x"'
    "#);
    let rows = "{\"value\":0.12345678901234567890123}\n{\"value\":1}\n{\"value\":\"NaN\"}\n";
    insta::assert_snapshot!(to_parquet(rows), @"
    value Utf8: 0.12345678901234567890123 | 1 | NaN
    echo Float32: 0.12345679 | 1.0 | NaN
    ");
    let input = files.write(
        "in.ndjson",
        "{\"value\":[0.123456789012345]}\n{\"value\":[0.123456789012345,\"x\"]}\n",
    );
    let common = ["predict", &input, "-q", "-e", "embedded"];
    let run = triton(&[&common[..], &column[..]].concat());
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    insta::assert_snapshot!(columns(&output), @r#"
    value List(Float64): [0.123456789012345] | NULL
    echo List(Float32): [0.12345679] | NULL
    prediction_status Utf8: answered | failed
    prediction_error Utf8: NULL | subtask 0 of 1, attempt 0: column 'value': element 1: expected FLOAT, found '"x"'
    "#);
}

#[test]
fn a_number_that_json_spells_otherwise_keeps_its_digits() {
    let cells = [
        ".1234567890123",
        "+0.1234567890123",
        "-.1234567890123e0",
        "007.1234567890123",
        "5.",
        " 1.50 ",
        "inf",
    ];
    let text = format!("value\n{}\n", cells.join("\n"));
    let run = echo("in.csv", &text, &["--output-format", "ndjson"]);
    insta::assert_snapshot!(run.stdout, @r#"
    {"value":0.1234567890123,"echo":0.12345679}
    {"value":0.1234567890123,"echo":0.12345679}
    {"value":-0.1234567890123e0,"echo":-0.12345679}
    {"value":7.1234567890123,"echo":7.123457}
    {"value":5.0,"echo":5}
    {"value":1.50,"echo":1.5}
    {"value":"Infinity","echo":"Infinity"}
    "#);
}

#[test]
fn an_object_without_the_column_says_what_it_has() {
    let text = "{\"id\":1,\"Value\":2}\n{\"id\":1,\"value\":null}\n{}\n";
    for more in [&[][..], &["--columns", "id"]] {
        let run = echo("in.ndjson", text, more);
        insta::allow_duplicates! {
            insta::assert_snapshot!(run.stderr, @"
            row 1 (line 1): column 'value': expected FLOAT, found NULL; the object has no member 'value'; it has: id, Value (differs by spaces or capital letters alone)
            row 2 (line 2): column 'value': expected FLOAT, found NULL
            row 3 (line 3): column 'value': expected FLOAT, found NULL
            ");
        }
    }
}

#[test]
fn two_columns_of_a_name_that_is_taken_are_refused() {
    insta::assert_snapshot!(refused("in.csv", "value,value\n1,2\n"), @"error: in.csv: two columns are named 'value', which the model takes, and nothing tells which of them is meant: rename one");
    let run = echo("in.csv", "value,note,note\n1,a,b\n", &[]);
    assert_eq!(run.stdout, "value,note,note,echo\n1,a,b,1\n");
    // Readers of JSON would see only one of them.
    let run = echo(
        "in.csv",
        "value,note,note\n1,a,b\n",
        &["--output-format", "ndjson"],
    );
    assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""));
    insta::assert_snapshot!(run.stderr, @"error: in.csv: two columns are named 'note', and a JSON object holds only one of them: rename one, or write another format");
}

#[test]
fn two_members_of_a_name_pass_through_but_are_not_chosen_from() {
    let text = "{\"value\":1,\"a\":1,\"a\":2}\n{\"value\":1,\"value\":2}\n";
    let run = echo("in.ndjson", text, &[]);
    assert_eq!(run.stdout, "{\"value\":1,\"a\":1,\"a\":2,\"echo\":1}\n");
    insta::assert_snapshot!(run.stderr, @"row 2 (line 2): column 'value': the object has two members of this name");
    let run = echo("in.ndjson", text, &["--output-format", "csv"]);
    assert_eq!(run.stdout, "value,a,echo\n");
    insta::assert_snapshot!(run.stderr, @"
    row 1 (line 1): column 'a': the object has two members of this name
    row 2 (line 2): column 'value': the object has two members of this name
    ");
}

#[test]
fn objects_may_be_elements_of_an_array_or_stand_on_several_lines() {
    let expected = "{\"value\":1,\"echo\":1}\n{\"value\": 2,\"echo\":2}\n";
    for text in [
        "[{\"value\":1},{\"value\": 2}]",
        "[\n{\"value\":1},\n{\"value\": 2}\n]\n",
        "{\n\"value\":1\n}\n{\n  \"value\": 2\n}\n",
        "\u{feff} [ {\"value\":1},\r\n  {\r\n    \"value\": 2\r\n  }\r\n ]\r\n",
    ] {
        for name in ["in.json", "in"] {
            let run = echo(name, text, &[]);
            assert_eq!(run.stdout, expected, "{text}: {}", run.stderr);
        }
    }
    // As when files are put behind each other that each have a mark.
    let run = echo("in.ndjson", "{\"value\":1}\n\u{feff}{\"value\": 2}\n", &[]);
    assert_eq!(run.stdout, expected, "{}", run.stderr);
    let run = echo("in.json", "[{\"value\":1},\n5,\n{\"value\":\"x\"}]", &[]);
    assert_eq!(
        (run.code, run.stdout.as_str()),
        (Some(1), "{\"value\":1,\"echo\":1}\n")
    );
    insta::assert_snapshot!(run.stderr, @r#"
    row 2 (line 2): expected a JSON object: invalid type: integer `5`, expected a JSON object at column 1
    row 3 (line 3): column 'value': expected FLOAT, found '"x"'
    "#);
    let run = echo("in.json", "[\n{\"value\":12\n5}]", &[]);
    insta::assert_snapshot!(run.stderr, @"row 1 (line 2): expected a JSON object: expected `,` or `}` at column 13");
    let run = echo("in.json", "[{\"value\":1},\n{\"value\":2}\n", &[]);
    assert_eq!(run.code, Some(2));
    insta::assert_snapshot!(run.stderr, @"
    error: in.json: reading stopped
      caused by: the array that begins on line 1 is not closed: the file is not whole
    ");
}

#[test]
fn numbers_that_json_lacks_are_taken_bare_and_pass_as_they_are() {
    let text = "{\"value\":NaN,\"a\":[1,NaN]}\n{\"value\":-Infinity, \"b\":\"NaN\"}\n{\"value\":\"Infinity\"}\n";
    let run = echo("in.ndjson", text, &[]);
    insta::assert_snapshot!(run.stdout, @r#"
    {"value":NaN,"a":[1,NaN],"echo":"NaN"}
    {"value":-Infinity, "b":"NaN","echo":"-Infinity"}
    {"value":"Infinity","echo":"Infinity"}
    "#);
    let run = echo("in.ndjson", text, &["--output-format", "csv"]);
    insta::assert_snapshot!(run.stdout, @r#"
    value,a,b,echo
    NaN,"[1,NaN]",,NaN
    -Infinity,,NaN,-inf
    Infinity,,,inf
    "#);
}

#[test]
fn values_of_json_keep_their_digits_on_the_way_to_csv() {
    let text = "{\"value\":1,\"id\":123456789012345678901234567890,\"e\":1E400,\"z\":-0,\"s\":\"\\ud83d\\ude00 \\u0001\",\"o\":{\"a\": 1.50}}\n\
                {\"value\":2,\"s\":\"\\ud83d\"}\n";
    let run = echo("in.ndjson", text, &["--output-format", "csv"]);
    insta::assert_snapshot!(run.stdout, @r#"
    value,id,e,z,s,o,echo
    1,123456789012345678901234567890,1E400,-0,😀 ,"{""a"": 1.50}",1
    "#);
    insta::assert_snapshot!(run.stderr, @r#"row 2 (line 2): column 's': expected text, found "\ud83d" with half of a surrogate pair in it"#);
    let run = echo(
        "in.csv",
        "value,id\n16777216,123456789012345678901234567890\n1.50,x\n",
        &["--output-format", "ndjson"],
    );
    insta::assert_snapshot!(run.stdout, @r#"
    {"value":16777216,"id":"123456789012345678901234567890","echo":16777216}
    {"value":1.50,"id":"x","echo":1.5}
    "#);
}
