//! Which rows of which files `triton predict` takes: folders, limits, CSV without a header; and what
//! it says of them without sending any.

use std::process::Stdio;

use triton_test_support::{EmbeddedTriton, on_both_servers};

use crate::{Files, Run, command, triton};

on_both_servers!(a_dry_run_says_what_would_become_of_the_rows);

/// Runs `echo` over rows of single numbers.
fn predict(arguments: &[&str]) -> Run {
    let folder = Files::new();
    let model = folder.write("model.sql", ECHO);
    triton(&[&["predict", &model, "-q", "-e", "embedded"], arguments].concat())
}

const ECHO: &str = "
    CREATE MODEL e INPUT (`value` FLOAT) OUTPUT (echo FLOAT)
    WITH ('provider' = 'triton', 'model-name' = 'echo')";

/// What a run writes that is well.
#[track_caller]
fn written(arguments: &[&str]) -> String {
    let run = predict(arguments);
    assert_eq!(
        (run.code, run.stderr.as_str()),
        (Some(0), ""),
        "{arguments:?}"
    );
    run.stdout
}

// Holds C24.
#[test]
fn a_folder_stands_for_the_files_in_it() {
    let files = Files::new();
    std::fs::create_dir_all(files.path("data/deep/.git")).unwrap();
    for (name, value) in [
        ("data/b.csv", 2),
        ("data/a.csv", 1),
        ("data/deep/c.tsv", 3),
        ("data/.hidden.csv", 4),
        ("data/_temporary.csv", 5),
        ("data/deep/.git/d.csv", 6),
    ] {
        files.write(name, &format!("value\n{value}\n"));
    }
    files.write("data/README.txt", "nothing\n");
    files.write("data/_SUCCESS", "");
    let shown = written(&[&files.path("data")]);
    assert_eq!(shown, "value,echo\n1,1\n2,2\n3,3\n");
    std::fs::create_dir(files.path("empty")).unwrap();
    files.write("empty/README.txt", "nothing\n");
    let run = predict(&[&files.path("empty")]);
    insta::assert_snapshot!(files.relative(&run.said()), @"
    exit code 2
    error: empty: no file in this folder has a name by which its format is known, such as .csv or .parquet; --input-format says it of all
    ");
    // Each has an output of its own.
    let out = files.path("out/");
    assert_eq!(written(&[&files.path("data"), "--output", &out]), "");
    let one = std::fs::read_to_string(files.path("out/c.tsv")).unwrap();
    assert_eq!(one, "value\techo\n3\t3\n");
}

// Holds C25.
#[test]
fn only_the_first_rows_of_each_input_are_read() {
    let files = Files::new();
    let rows: String = (1..=1000).map(|row| format!("{row}\n")).collect();
    let csv = files.write("in.csv", &format!("value\n{rows}"));
    let lines: String = (1..=1000)
        .map(|row| format!("{{\"value\":{row}}}\n"))
        .collect();
    let lines = files.write("in.ndjson", &lines);
    assert_eq!(written(&[&csv, "--limit", "2"]), "value,echo\n1,1\n2,2\n");
    assert_eq!(
        written(&[&lines, "--limit", "2", "--output-format", "csv"]),
        "value,echo\n1,1\n2,2\n"
    );
    let parquet = files.path("in.parquet");
    written(&[&csv, "--limit", "7", "-o", &parquet]);
    for (limit, count) in [("3", 3), ("7", 7), ("100", 7)] {
        let shown = written(&[
            "--map",
            "out=echo",
            &parquet,
            "--limit",
            limit,
            "--output-format",
            "ndjson",
        ]);
        assert_eq!(shown.lines().count(), count, "{limit}");
    }
    // Of a key that goes on behind the limit the last row is the last one that is read.
    let server = EmbeddedTriton::builder()
        .built_in_models()
        .recorded_requests(100)
        .start()
        .unwrap();
    let keyed = files.write("keyed.csv", "call,value\na,1\nb,10\na,2\nb,20\na,3\n");
    let endpoint = server.endpoint();
    let run = triton(&[
        "predict",
        "--model",
        "accumulate",
        "-q",
        "-e",
        &endpoint,
        &keyed,
        "--key",
        "call",
        "--limit",
        "3",
    ]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let ends = server
        .requests()
        .iter()
        .filter(|request| request.sequence_end)
        .count();
    assert_eq!((server.requests().len(), ends), (3, 2));
    let run = predict(&[&csv, "--limit", "0"]);
    assert_eq!(run.code, Some(2));
}

// Holds C26.
#[test]
fn csv_may_lack_its_header() {
    let files = Files::new();
    let csv = files.write("in.csv", "1,a\n\"2\",\"b,c\"\n3,d\n");
    let map = ["--no-header", "--map", "column1=value"];
    let shown = written(&[&map[..], &[&csv]].concat());
    insta::assert_snapshot!(shown, @r#"
    column1,column2,echo
    1,a,1
    2,"b,c",2
    3,d,3
    "#);
    assert_eq!(
        written(&[&map[..], &[&csv, "--limit", "1"]].concat())
            .lines()
            .count(),
        2
    );
    let bad = files.write("bad.csv", "x\n1,2\n");
    let run = predict(&[&map[..], &[&bad]].concat());
    insta::assert_snapshot!(files.relative(&run.said()), @"
    exit code 1
    column1,echo
    row 1 (line 1): column 'column1': expected FLOAT, found 'x'
    row 2 (line 2): expected 1 cells, found 2
    ");
    let run = predict(&["--no-header", &csv]);
    insta::assert_snapshot!(files.relative(&run.said()), @"
    exit code 2
    error: in.csv: no column is named 'value', which the model takes; there are: column1, column2
    ");
    let none = files.write("none.csv", "\n");
    let run = predict(&[&map[..], &[&none]].concat());
    insta::assert_snapshot!(files.relative(&run.said()), @"
    exit code 2
    error: none.csv: it has no row that tells how many columns there are
    ");
}

// Holds C27.
async fn a_dry_run_says_what_would_become_of_the_rows(endpoint: &str) {
    let files = Files::new();
    let rows: String = (1..=20).map(|row| format!("{row},x\n")).collect();
    let csv = files.write("in.csv", &format!("value,name\n{rows}"));
    let bad = files.write("bad.csv", "value,name\n1,a\nx,b\n3,c\n");
    let out = files.path("out.parquet");
    let dry = |arguments: &[&str]| {
        let model = files.write("model.sql", ECHO);
        let echo = ["predict", &model, "-e", endpoint, "--dry-run"];
        let run = triton(&[&echo[..], arguments].concat());
        files
            .relative(&run.said())
            .replace(endpoint, "http://server")
    };
    insta::allow_duplicates! {
        insta::assert_snapshot!(dry(&[&csv, "-o", &out]), @"
        exit code 0
        model echo at http://server/: takes value FLOAT, gives echo FLOAT
        input in.csv: value, name
        output out.parquet: Parquet
        10 rows were read, each can be sent; nothing was sent
        ");
        insta::assert_snapshot!(dry(&[&bad, &csv]), @"
        exit code 1
        model echo at http://server/: takes value FLOAT, gives echo FLOAT
        input bad.csv: value, name
        input in.csv: value, name
        standard output: CSV
        10 rows were read, 1 would be rejected; nothing was sent
          bad.csv, row 2 (line 3): column 'value': expected FLOAT, found 'x'
        ");
        insta::assert_snapshot!(dry(&[&bad, "--map", "nothing=value"]), @"
        exit code 2
        error: bad.csv: no column is named 'nothing', which the model takes; there are: value, name
        ");
        insta::assert_snapshot!(dry(&[&bad, "--model", "nobody"]), @"
        exit code 3
        error: the model could not be looked up
          caused by: read metadata of model 'nobody' at http://server/: status 404: Request for unknown model: 'nobody' is not found
        ");
    }
    assert!(!std::path::Path::new(&out).exists());
}

#[test]
fn a_dry_run_sends_nothing() {
    let server = EmbeddedTriton::builder()
        .built_in_models()
        .recorded_requests(100)
        .start()
        .unwrap();
    let endpoint = server.endpoint();
    let piped = command(&[
        "predict",
        "--model",
        "echo",
        "-e",
        &endpoint,
        "--dry-run",
        "-",
    ])
    .stdin(Stdio::piped())
    .stdout(Stdio::piped())
    .stderr(Stdio::piped())
    .spawn()
    .unwrap();
    let mut piped = piped;
    std::io::Write::write_all(&mut piped.stdin.take().unwrap(), b"value\n[1]\n").unwrap();
    let run = Run::of(piped.wait_with_output().unwrap());
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(
        run.stdout
            .ends_with("1 row was read, each can be sent; nothing was sent\n"),
        "{}",
        run.stdout
    );
    assert!(server.requests().is_empty());
}

// Holds C28.
#[test]
fn columns_pass_through_or_do_not() {
    let files = Files::new();
    let csv = files.write("in.csv", "id,value,name\n7,1,\"a,b\"\n8,2,c\n");
    assert_eq!(
        written(&[&csv, "--columns", "name,id"]),
        "name,id,echo\n\"a,b\",7,1\nc,8,2\n"
    );
    assert_eq!(
        written(&[&csv, "--drop", "value"]),
        "id,name,echo\n7,\"a,b\",1\n8,c,2\n"
    );
    assert_eq!(
        written(&[&csv, "--drop", "value,name", "--output-format", "ndjson"]),
        "{\"id\":\"7\",\"echo\":1}\n{\"id\":\"8\",\"echo\":2}\n"
    );
    let lines = files.write(
        "in.ndjson",
        "{\"id\":7, \"value\":1, \"x\":[1, 2]}\n{\"value\":2,\"id\":8}\n",
    );
    assert_eq!(
        written(&[&lines, "--columns", "x,id"]),
        "{\"id\":7,\"x\":[1, 2],\"echo\":1}\n{\"id\":8,\"echo\":2}\n"
    );
    let parquet = files.path("in.parquet");
    written(&[&lines, "--drop", "x", "-o", &parquet]);
    // The column of the first answers does not pass, so that its name is free.
    let narrow = ["--columns", "id", "--output-format"];
    let shown = written(&[&[parquet.as_str()], &narrow[..], &["ndjson"]].concat());
    assert_eq!(shown, "{\"id\":7,\"echo\":1}\n{\"id\":8,\"echo\":2}\n");
    let second = files.path("second.parquet");
    written(&[
        &parquet,
        "--columns",
        "echo,id",
        "--map",
        "out=echo",
        "-o",
        &second,
    ]);
    let map = [
        "--map",
        "out=value",
        "--output-format",
        "csv",
        "--drop",
        "out",
    ];
    let shown = written(&[&[second.as_str()], &map[..], &["--map", "last=echo"]].concat());
    assert_eq!(shown, "echo,id,last\n1,7,1\n2,8,2\n");
    let run = predict(&[&csv, "--columns", "id,nothing"]);
    insta::assert_snapshot!(files.relative(&run.said()), @"
    exit code 2
    error: in.csv: --columns nothing: no column has this name; there are: id, value, name
    ");
    let run = predict(&[&csv, "--drop", "id,value,name"]);
    insta::assert_snapshot!(files.relative(&run.said()), @"
    exit code 2
    error: in.csv: --drop leaves no column of the input
    ");
    // A row that is rejected is named with all that can be said of it.
    let bad = files.write("bad.csv", "id,value,name\n7,x,a\n8,2\n9,3,c\n");
    let run = predict(&[&bad, "--columns", "id"]);
    insta::assert_snapshot!(files.relative(&run.said()), @"
    exit code 1
    id,echo
    9,3
    row 1 (line 2): column 'value': expected FLOAT, found 'x'
    row 2 (line 3): expected 3 cells, found 2
    ");
}

// Holds C28.
#[test]
fn a_column_is_chosen_once() {
    let files = Files::new();
    let csv = files.write("in.csv", "id,value\n7,1\n");
    let lines = files.write("in.ndjson", "{\"id\":7,\"value\":1}\n");
    let parquet = files.path("in.parquet");
    written(&[&csv, "-o", &parquet, "--drop", "value"]);
    for input in [&csv, &lines, &parquet] {
        let run = predict(&[input, "--columns", "id,value,id"]);
        insta::allow_duplicates! {
            insta::assert_snapshot!(files.relative(&run.said()), @"
            exit code 2
            error: --columns: 'id' is named twice, and a column is in the output once: leave one out
            ");
        }
    }
    assert_eq!(written(&[&csv, "--drop", "value,value"]), "id,echo\n7,1\n");
}

// Holds C29.
#[test]
fn a_row_that_is_rejected_is_kept_as_a_whole() {
    let files = Files::new();
    let csv = files.write("bad.csv", "id,value\n7,x\n8,1\n");
    let lines = files.write(
        "bad.ndjson",
        "{\"id\":7,\"value\":\"x\"}\n{\"id\":8,\"value\":1}\n",
    );
    let errors = files.path("errors.ndjson");
    for (input, raw) in [
        (&csv, r#""raw":"7,x""#),
        (&lines, r#""raw":"{\"id\":7,\"value\":\"x\"}""#),
    ] {
        let run = predict(&[input, "--columns", "id", "--errors", &errors]);
        assert_eq!(run.code, Some(1), "{}", run.stderr);
        let kept = std::fs::read_to_string(&errors).unwrap();
        assert!(kept.contains(raw), "{kept}");
        // Whoever runs the rows again may want other columns.
        let run = predict(&[input, "--drop", "id", "--retry-errors", &errors]);
        let reason = if input == &csv { "'x'" } else { r#"'"x"'"# };
        let expected = format!(
            "row 1 (line {}): column 'value': expected FLOAT, found {reason}\n",
            2 - u64::from(input == &lines)
        );
        assert_eq!((run.code, files.relative(&run.stderr)), (Some(1), expected));
    }
}

// Holds C27.
#[test]
fn a_dry_run_sees_what_the_model_does_not_take() {
    let files = Files::new();
    let csv = files.write("in.csv", "value,user\n1,a\n,a\nx,a\n");
    let dry = |arguments: &[&str]| {
        let run = predict(&[&[csv.as_str(), "--dry-run"], arguments].concat());
        let said = files.relative(&run.said());
        let (code, rest) = said.split_once('\n').unwrap();
        let found = rest.lines().skip(3).collect::<Vec<_>>().join("\n");
        format!("{code}\n{found}")
    };
    insta::assert_snapshot!(dry(&[]), @"
    exit code 1
    3 rows were read, 2 would be rejected; nothing was sent
      row 2 (line 3): column 'value': expected FLOAT, found NULL
      row 3 (line 4): column 'value': expected FLOAT, found 'x'
    ");
    insta::assert_snapshot!(dry(&["--on-error", "default", "-O", "default-value=0"]), @"
    exit code 1
    3 rows were read, 1 would be rejected, 1 would get the default; nothing was sent
      row 3 (line 4): column 'value': expected FLOAT, found 'x'
      row 2 (line 3): column 'value': expected FLOAT, found NULL
    ");
    let keyed = "
        CREATE MODEL a INPUT (`value` INT) OUTPUT (sum INT)
        WITH ('provider' = 'triton', 'model-name' = 'accumulate', 'endpoint' = 'embedded')";
    let model = files.write("keyed.sql", keyed);
    let lines = files.write(
        "in.ndjson",
        "{\"value\":1,\"user\":null}\n{\"value\":2,\"user\":\"a\"}\n",
    );
    let run = triton(&["predict", &model, &lines, "--key", "user", "--dry-run"]);
    let found = run.stdout.lines().skip(3).collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!(files.relative(&found), @"
    2 rows were read, 1 would be rejected; nothing was sent
      row 1 (line 1): column 'user' is NULL, and a row without its key (option 'sequence-key') belongs to no sequence
    ");
    assert_eq!(run.code, Some(1));
}

#[test]
fn a_header_may_be_longer_than_a_cell() {
    let files = Files::new();
    let csv = files.write("in.csv", "value,a_name,another_name\n1,b,c\n");
    let short = ["--max-field-bytes", "12"];
    assert_eq!(
        written(&[&[csv.as_str()], &short[..]].concat()),
        "value,a_name,another_name,echo\n1,b,c,1\n"
    );
    let rows = files.write("rows.csv", "1,aaaaaaaaaaaa,bbbbbbbbbbbb\n");
    let numbered = ["--no-header", "--map", "column1=value"];
    let shown = written(&[&[rows.as_str()], &short[..], &numbered[..]].concat());
    assert_eq!(
        shown,
        "column1,column2,column3,echo\n1,aaaaaaaaaaaa,bbbbbbbbbbbb,1\n"
    );
    let long = files.write("long.csv", "value,another_name_\n1,b\n");
    assert_eq!(
        predict(&[&[long.as_str()], &short[..]].concat()).code,
        Some(2)
    );
}

/// The rate is one of rows: nothing is waited for behind the last one.
#[test]
fn a_low_rate_does_not_hold_back_the_end() {
    let files = Files::new();
    let csv = files.write("in.csv", "value\n1\n");
    for more in [&[][..], &["-O", "batch-size=1"]] {
        let begun = std::time::Instant::now();
        let shown = written(&[&[&csv, "--rate", "0.01"], more].concat());
        assert_eq!(shown, "value,echo\n1,1\n");
        assert!(begun.elapsed() < std::time::Duration::from_secs(60));
    }
}
