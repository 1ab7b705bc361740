//! Flags of `triton predict` in place of options, and what they imply.

use triton_embedded::{CorrelationId, FaultScript};
use triton_test_support::EmbeddedTriton;

use crate::{Files, Run, triton};

fn server() -> EmbeddedTriton {
    EmbeddedTriton::builder()
        .built_in_models()
        .recorded_requests(1000)
        .start()
        .unwrap()
}

fn predict(server: &EmbeddedTriton, arguments: &[&str]) -> Run {
    triton(&[&["predict", "-q", "-e", &server.endpoint()], arguments].concat())
}

const MODEL: &str = "
    CREATE MODEL a INPUT (`value` INT) OUTPUT (sum INT)
    WITH ('provider' = 'triton', 'model-name' = 'accumulate')";

// Holds C20.
#[test]
fn a_key_is_all_that_sequences_need() {
    let files = Files::new();
    let input = files.write("in.csv", "call,value\na,1\nb,10\na,2\nb,20\na,3\n");
    let model = files.write("model.sql", MODEL);
    for model in [&[model.as_str()][..], &["--model", "accumulate"]] {
        let server = server();
        let arguments = [model, &[&input, "--key", "call", "--map", "value=value"]].concat();
        let run = predict(&server, &arguments);
        assert_eq!(
            (run.code, run.stderr.as_str()),
            (Some(0), ""),
            "{}",
            run.stdout
        );
        let sums = run.stdout.lines().map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            format!("{} {}", cells[0], cells[2])
        });
        assert_eq!(
            sums.collect::<Vec<_>>(),
            ["call sum", "a 1", "b 10", "a 3", "b 30", "a 6"]
        );
        let mut ids: Vec<_> = server
            .requests()
            .iter()
            .map(|request| {
                let Some(CorrelationId::Text(id)) = &request.sequence_id else {
                    panic!("{request:?}");
                };
                id.clone()
            })
            .collect();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 2, "{ids:?}");
        // The name of the model, and the scope that tells runs from each other.
        assert!(
            ids.iter()
                .all(|id| id.starts_with("accumulate-") && id.len() > 20),
            "{ids:?}"
        );
    }
    let run = triton(&["predict", &model, &input, "--key", "call", "--print-config"]);
    let shown = run.stdout.lines().filter(|line| line.ends_with("# --key"));
    insta::assert_snapshot!(shown.collect::<Vec<_>>().join("\n"), @r#"
    sequence-id = "accumulate"                        # --key
    sequence-id-auto-increment = "true"               # --key
    sequence-id-scope = "run"                         # --key
    sequence-key = "call"                             # --key
    "#);
}

#[test]
fn batches_and_retries_have_flags() {
    let files = Files::new();
    let input = files.write("in.csv", "value\n[1]\n[2]\n[3]\n[4]\n[5]\n[6]\n");
    let server = server();
    let echo = ["--model", "echo", input.as_str()];
    let run = predict(&server, &[&echo[..], &["--batch-size", "3"]].concat());
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(server.requests().len(), 2);
    let script = || {
        FaultScript::from_json(
            br#"{"faults": [
        {"fault": "status", "status": 503, "text": "later", "request": 1},
        {"fault": "status", "status": 503, "text": "later", "request": 2}]}"#,
        )
        .unwrap()
    };
    for (retries, code) in [("0", 1), ("1", 1), ("2", 0)] {
        server.set_faults(script());
        let one = files.write("one.csv", "value\n[1]\n");
        let arguments = [
            "--model",
            "echo",
            &one,
            "--retries",
            retries,
            "-O",
            "retry-initial-backoff=1ms",
        ];
        let run = predict(&server, &[&arguments[..], &["--max-errors", "9"]].concat());
        assert_eq!(run.code, Some(code), "{retries}: {}", run.stderr);
    }
}

#[test]
fn numbers_and_formats_are_taken_as_they_are_written() {
    let files = Files::new();
    let input = files.write("in.csv", "value\n[1]\n[2]\n");
    let run = |more: &[&str]| {
        let arguments = ["predict", "--model", "echo", "-e", "embedded", "-q", &input];
        triton(&[&arguments[..], more].concat())
    };
    let first = |more: &[&str]| {
        run(more)
            .said()
            .lines()
            .take(2)
            .collect::<Vec<_>>()
            .join("\n")
    };
    insta::assert_snapshot!(first(&["--limit", "0"]), @"
    exit code 2
    error: invalid value '0' for '--limit <ROWS>': expected a whole number, 1 at least
    ");
    insta::assert_snapshot!(first(&["--limit", "-1"]), @"
    exit code 2
    error: invalid value '-1' for '--limit <ROWS>': expected a whole number, 1 at least
    ");
    insta::assert_snapshot!(first(&["--limit", "99999999999999999999"]), @"
    exit code 2
    error: invalid value '99999999999999999999' for '--limit <ROWS>': it is too large
    ");
    // The option that has the value is named, whichever it is.
    for option in [
        "--rate",
        "--parallelism",
        "--batch-size",
        "--max-in-flight",
        "--retries",
        "--max-errors",
        "--max-field-bytes",
        "--checkpoint-every",
        "--give-up-after",
    ] {
        let said = first(&[option, "-1"]);
        let named = said.contains(option) || said.contains(&format!("'{}'", &option[2..]));
        assert!(
            named || option == "--retries" && said.contains("max-retries"),
            "{said}"
        );
        assert!(said.starts_with("exit code 2"), "{said}");
    }
    insta::assert_snapshot!(first(&["--errors", "-"]), @"
    exit code 2
    error: invalid value '-' for '--errors <FILE>': expected a file; without this option they are named on standard error
    ");
    assert!(first(&["--retry-errors", "none"]).contains("--retry-errors"));
    insta::assert_snapshot!(first(&["--limit", "1", "--output-format", "jsonl"]), @r#"
    exit code 0
    {"value":[1],"echo":[1]}
    "#);
    // A single value, where the model takes a list of any length.
    let input = files.write("single.csv", "value\n1.5\n");
    let run = triton(&["predict", "--model", "echo", "-e", "embedded", "-q", &input]);
    insta::assert_snapshot!(run.stderr, @"row 1 (line 2): column 'value': expected ARRAY<FLOAT>, found '1.5'; declare it FLOAT in a MODEL.sql where a row has one value");
    let names = files.write("names.csv", "id, Value\n1,[1]\n");
    let predict = |arguments: &[&str]| {
        let first = ["predict", "-e", "embedded", "-q"];
        files.relative(&triton(&[&first[..], arguments].concat()).said())
    };
    insta::assert_snapshot!(predict(&["--model", "echo", &names]), @"
    exit code 2
    error: names.csv: no column is named 'value', which the model takes; there are: id,  Value; ' Value' differs from it by spaces or capital letters alone
    ");
    let model = files.write("model.sql", "CREATE MODEL m");
    insta::assert_snapshot!(predict(&[&input, &model]), @"
    exit code 2
    error: model.sql: a model file stands before the inputs: triton predict model.sql INPUT…
    ");
    insta::assert_snapshot!(predict(&[&input]), @"
    exit code 2
    error: option 'model-name' is required: set it to the model's name, made of ASCII letters, digits and any of -_.~!$&'()*+,;=:@, with --model NAME, -O model-name=…, as TRITON_MODEL_NAME in the environment or in a file
    ");
}
