//! Sequences per key: each row is answered as its key's history says, wherever it goes.

use std::collections::BTreeMap;

use triton_test_support::{EmbeddedTriton, on_both_servers};

use crate::{Files, triton};

/// The model file, with these options further on.
fn accumulate(options: &str) -> String {
    format!(
        "CREATE MODEL running_sum INPUT (`value` INT) OUTPUT (sum INT)
         WITH ('provider' = 'triton', 'model-name' = 'accumulate', 'sequence-id' = 'job',
               'sequence-id-auto-increment' = 'true', 'sequence-key' = 'user'{options})"
    )
}

/// A server that says what it was asked.
fn recording() -> EmbeddedTriton {
    EmbeddedTriton::builder()
        .built_in_models()
        .recorded_requests(100)
        .start()
        .unwrap()
}

/// Rows of 20 keys without any pattern, as CSV and as NDJSON with numbers for keys, and the
/// scored CSV.
fn rows() -> [String; 3] {
    let mut texts = [
        "user,value\n".to_owned(),
        String::new(),
        "user,value,sum\n".to_owned(),
    ];
    let mut sums = BTreeMap::new();
    for row in 0_u32..500 {
        let (user, value) = ((row.wrapping_mul(2_654_435_761) >> 7) % 20, row % 13);
        let sum = sums.entry(user).or_insert(0);
        *sum += value;
        texts[0] += &format!("{user},{value}\n");
        texts[1] += &format!("{{\"user\":{user},\"value\":{value}}}\n");
        texts[2] += &format!("{user},{value},{sum}\n");
    }
    texts
}

async fn every_key_has_a_history_of_its_own(endpoint: &str) {
    let files = Files::new();
    let model = files.write("model.sql", &accumulate(""));
    let [csv, ndjson, scored] = rows();
    let endpoint = format!("endpoint={endpoint}");
    let inputs = [
        files.write("input.csv", &csv),
        files.write("input.ndjson", &ndjson),
    ];
    for input in inputs {
        for parallelism in ["1", "3"] {
            let run = triton(&[
                "predict",
                &model,
                &input,
                "--parallelism",
                parallelism,
                "--output-format",
                "csv",
                "-O",
                &endpoint,
            ]);
            assert_eq!(run.code, Some(0), "{}", run.stderr);
            assert_eq!(run.stdout, scored, "{input} {parallelism}");
            // Every sequence was ended with the last row of its key.
            assert!(!run.stderr.contains("WARN"), "{}", run.stderr);
        }
    }
}

on_both_servers!(every_key_has_a_history_of_its_own);

// Holds S16.
#[test]
fn a_column_says_where_a_sequence_ends() {
    let files = Files::new();
    let model = files.write("model.sql", &accumulate(", 'sequence-end-column' = 'last'"));
    let input = files.write(
        "input.csv",
        "user,value,last\na,1,false\na,2,true\na,3,\nb,4,false\na,5,false\n",
    );
    let run = triton(&["predict", &model, &input, "-O", "endpoint=embedded"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    insta::assert_snapshot!(run.stdout, @"
    user,value,last,sum
    a,1,false,1
    a,2,true,3
    a,3,,3
    b,4,false,4
    a,5,false,8
    ");
}

// Holds S19.
#[test]
fn a_row_that_cannot_be_read_still_ends_its_sequence() {
    let files = Files::new();
    let model = files.write("model.sql", &accumulate(", 'sequence-end-column' = 'last'"));
    let inputs = [
        // No number, no number that an INT holds, and none at all.
        files.write(
            "input.csv",
            "user,value,last\na,1,false\na,two,true\na,3,false\na,99999999999,true\na,5,false\na,,true\na,7,false\n",
        ),
        files.write(
            "input.ndjson",
            r#"{"user":"a","value":1,"last":false}
{"user":"a","value":"two","last":true}
{"user":"a","value":3,"last":false}
{"user":"a","value":99999999999,"last":true}
{"user":"a","value":5,"last":false}
{"user":"a","value":null,"last":true}
{"user":"a","value":7,"last":false}
"#,
        ),
    ];
    for input in inputs {
        let run = triton(&[
            "predict",
            &model,
            &input,
            "-O",
            "endpoint=embedded",
            "--output-format",
            "csv",
        ]);
        assert_eq!(run.code, Some(1), "{}", run.stderr);
        insta::allow_duplicates! {
            insta::assert_snapshot!(run.stdout, @"
            user,value,last,sum
            a,1,false,1
            a,3,false,3
            a,5,false,5
            a,7,false,7
            ");
        }
    }
}

#[test]
fn a_row_that_cannot_be_read_has_its_place_among_the_positions() {
    let files = Files::new();
    let model = files.write(
        "model.sql",
        &accumulate(", 'sequence-position-column' = 'n', 'sequence-recovery' = 'fail'"),
    );
    let input = files.write("input.csv", "user,value,n\na,1,1\na,two,2\na,3,3\n");
    let run = triton(&["predict", &model, &input, "-O", "endpoint=embedded"]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    insta::assert_snapshot!(run.stdout, @"
    user,value,n,sum
    a,1,1,1
    a,3,3,4
    ");
}

// Holds S38, S40.
#[test]
fn a_row_that_does_not_follow_is_marked_or_rebuilt_from_its_history() {
    let files = Files::new();
    let position = ", 'sequence-position-column' = 'n'";
    let restart = format!("{position}, 'sequence-recovery' = 'restart'");
    let replay = format!(
        "{position}, 'sequence-recovery' = 'replay', 'sequence-history-columns' = 'value:values'"
    );
    let input = files.write(
        "input.csv",
        "user,value,n,values\na,1,1,[1]\na,2,2,\"[1,2]\"\na,4,4,\"[1,2,3,4]\"\na,5,5,\"[1,2,3,4,5]\"\n",
    );
    let scored = |options: &str| {
        let statement = accumulate(options).replace(
            "OUTPUT (sum INT)",
            "OUTPUT (sum INT, sequence_restarted BOOLEAN)",
        );
        let model = files.write("model.sql", &statement);
        let run = triton(&["predict", &model, &input, "-O", "endpoint=embedded"]);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        run.stdout
    };
    insta::assert_snapshot!(scored(&restart), @r#"
    user,value,n,values,sum,sequence_restarted
    a,1,1,[1],1,false
    a,2,2,"[1,2]",3,false
    a,4,4,"[1,2,3,4]",4,true
    a,5,5,"[1,2,3,4,5]",9,false
    "#);
    insta::assert_snapshot!(scored(&replay), @r#"
    user,value,n,values,sum,sequence_restarted
    a,1,1,[1],1,false
    a,2,2,"[1,2]",3,false
    a,4,4,"[1,2,3,4]",10,false
    a,5,5,"[1,2,3,4,5]",15,false
    "#);
}

#[test]
fn a_key_column_that_is_not_there_is_named() {
    let files = Files::new();
    let model = files.write("model.sql", &accumulate(""));
    let input = files.write("input.csv", "name,value\na,1\n");
    let run = triton(&["predict", &model, &input, "-O", "endpoint=embedded"]);
    assert_eq!(run.code, Some(2));
    insta::assert_snapshot!(files.relative(&run.stderr), @"error: input.csv: no column is named 'user', which the options of sequences name; there are: name, value");
}

/// An empty cell is no key either: all rows with one would share a sequence.
#[test]
fn rows_with_an_empty_key_are_rejected_in_csv_too() {
    let files = Files::new();
    let model = files.write("model.sql", &accumulate(""));
    let csv = files.write("input.csv", "user,value\na,1\n,2\n\"\",3\na,4\n");
    let row = |key: &str, value: u32| format!("{{\"user\":{key},\"value\":{value}}}\n");
    let rows = [
        row("\"a\"", 1),
        row("null", 2),
        row("null", 3),
        row("\"a\"", 4),
    ];
    let lines = files.write("input.ndjson", &rows.concat());
    let mut reasons = Vec::new();
    for input in [&csv, &lines] {
        for sorted in [&[][..], &["--sort-by-key"]] {
            let errors = files.path("errors.ndjson");
            let common = ["predict", &model, input, "-e", "embedded", "-q"];
            let more = ["--output-format", "csv", "--errors", &errors];
            let run = triton(&[&common[..], &more, sorted].concat());
            assert_eq!(
                run.stdout, "user,value,sum\na,1,1\na,4,5\n",
                "{}",
                run.stderr
            );
            let kept = std::fs::read_to_string(&errors).unwrap();
            let rows = kept.lines().map(|line| serde_json::from_str(line).unwrap());
            let told =
                rows.map(|row: serde_json::Value| format!("{}: {}", row["row"], row["reason"]));
            reasons.push(told.collect::<Vec<_>>().join("\n"));
        }
    }
    insta::assert_snapshot!(reasons[0], @r#"
    2: "column 'user' is NULL, and a row without its key (option 'sequence-key') belongs to no sequence"
    3: "column 'user' is NULL, and a row without its key (option 'sequence-key') belongs to no sequence"
    "#);
    assert!(
        reasons.iter().all(|told| *told == reasons[0]),
        "{reasons:#?}"
    );
}

/// A row without a key belongs to no sequence: it neither is one that is open, nor ends that of the key
/// whose text looks like it.
#[test]
fn rows_without_a_key_are_no_key() {
    let files = Files::new();
    let server = recording();
    let endpoint = format!("endpoint={}", server.endpoint());
    let model = files.write("model.sql", &accumulate(", 'sequence-max-open' = '1'"));
    let row = |key: &str, value: u32| format!("{{\"user\":{key},\"value\":{value}}}\n");
    let rows = [
        row("null", 1),
        row("\"a\"", 2),
        row("null", 3),
        row("\"a\"", 4),
        row("\"Null\"", 5),
        row("\"Null\"", 6),
        row("null", 7),
    ];
    let input = files.write("input.ndjson", &rows.concat());
    let arguments = ["predict", &model, &input, "-O", &endpoint];
    let run = triton(&[&arguments[..], &["--output-format", "csv"]].concat());
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    insta::assert_snapshot!(run.stdout, @"
    user,value,sum
    a,2,2
    a,4,6
    Null,5,5
    Null,6,11
    ");
    let requests = server.requests();
    let inferences = requests.iter();
    let inferences = inferences.filter(|request| request.path.ends_with("/infer"));
    let ends: Vec<bool> = inferences.map(|request| request.sequence_end).collect();
    assert_eq!(ends, [false, true, false, true]);
}

/// A row that is never sent is not the one that ends a sequence, or the server would keep it for a row
/// that does not come.
#[test]
fn a_row_of_null_behind_the_last_one_that_is_sent_leaves_no_sequence_open() {
    let files = Files::new();
    let server = recording();
    let model = files.write("model.sql", &accumulate(""));
    let input = files.write(
        "input.csv",
        "user,value\na,1\nb,\na,2\nb,3\na,\nb,99999999999\nc,\n",
    );
    let run_with = |arguments: &[&str]| {
        let endpoint = server.endpoint();
        let common = [
            "predict",
            &model,
            &input,
            "--endpoint",
            &endpoint,
            "--quiet",
        ];
        let run = triton(&[&common[..], arguments].concat());
        assert_eq!(run.code, Some(1), "{}", run.stderr);
        let requests = server.requests();
        let inferences = requests.iter();
        let inferences = inferences.filter(|request| request.path.ends_with("/infer"));
        let marks = inferences.map(|request| (request.sequence_start, request.sequence_end));
        // Which of the keys comes first is no matter.
        let mut marks: Vec<_> = marks.collect();
        marks.sort_unstable();
        (run.stdout, marks)
    };
    let first_and_last = [(false, true), (true, false), (true, true)];
    let (stdout, marks) = run_with(&[]);
    assert_eq!(stdout, "user,value,sum\na,1,1\na,2,3\nb,3,3\n");
    assert_eq!(marks, first_and_last);
    let (sorted, marks) = run_with(&["--sort-by-key"]);
    assert_eq!(sorted, stdout);
    let twice = first_and_last.map(|marks| [marks; 2]);
    assert_eq!(marks, twice.concat());
}
