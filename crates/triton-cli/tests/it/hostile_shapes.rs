//! Shapes that a server makes up: whatever their sizes come to, a run ends, says what is wrong and
//! does not panic.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::small_server::{Answer, SmallServer};
use crate::{Files, Run, command};

const LARGE: u64 = 1 << 40;

/// A server of a model of one input `x` and one output `y` without a dimension for rows, each of
/// this shape; it answers with an empty `y` of the shape `answered`.
fn server(input: Value, output: Value, answered: Value) -> SmallServer {
    SmallServer::start(move |path, _| {
        let tensor =
            |name: &str, shape: &Value| json!([{"name": name, "datatype": "FP32", "shape": shape}]);
        let document = match path {
            "/v2/models/m" => json!({
                "name": "m", "versions": ["1"], "platform": "python",
                "inputs": tensor("x", &input), "outputs": tensor("y", &output),
            }),
            "/v2/models/m/config" => json!({"name": "m", "backend": "python", "max_batch_size": 0}),
            _ => json!({"model_name": "m", "model_version": "1", "outputs": [
                {"name": "y", "datatype": "FP32", "shape": answered, "data": []},
            ]}),
        };
        Answer::new(200, document.to_string())
    })
}

/// Runs the command, which may not take longer than a wrong answer is allowed to.
#[expect(
    clippy::disallowed_methods,
    reason = "it is looked after until a deadline"
)]
fn triton(server: &SmallServer, arguments: &[&str]) -> Run {
    let endpoint = format!("endpoint={}", server.endpoint);
    let mut command = command(arguments);
    command.args(["-O", &endpoint, "-O", "tensor-format=json"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let begun = Instant::now();
    // What these runs say fits in a pipe, unless they go on without end.
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > Duration::from_secs(20) {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("{arguments:?} goes on without end");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let run = Run::of(child.wait_with_output().unwrap());
    assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
    run
}

#[test]
fn an_answer_whose_zero_hides_a_large_size_fails_its_row() {
    let files = Files::new();
    let input = files.write("in.ndjson", "{\"x\": 1}\n");
    let cases = [
        json!([1, 268_435_456, 0]),
        json!([1, 1_u64 << 33, 1_u64 << 33, 0]),
        json!([0, 1_u64 << 33, 1_u64 << 33]),
    ];
    for answered in cases {
        let open = vec![-1; answered.as_array().unwrap().len()];
        let server = server(json!([1]), json!(open), answered.clone());
        for format in ["ndjson", "csv", "arrow", "parquet"] {
            let output = files.path(&format!("out.{format}"));
            let run = triton(&server, &["predict", "--model", "m", &input, "-o", &output]);
            assert_eq!(run.code, Some(1), "{answered} {format}: {}", run.stderr);
            let said = run.stderr.contains("holds no elements, so");
            assert!(said, "{answered} {format}: {}", run.stderr);
        }
        for full in [&["--full"][..], &[]] {
            let run = triton(&server, &[&["infer", "m", "{\"x\": [1]}"], full].concat());
            assert_eq!((run.code, &*run.stdout), (Some(3), ""), "{}", run.stderr);
            assert!(
                run.stderr.contains("holds no elements, so"),
                "{}",
                run.stderr
            );
        }
    }
}

#[test]
fn a_description_whose_sizes_are_beyond_all_numbers_is_refused_by_name() {
    let files = Files::new();
    let schema = "CREATE MODEL m INPUT (x ARRAY<FLOAT>) OUTPUT (y ARRAY<FLOAT>) WITH \
                  ('provider' = 'triton', 'endpoint' = 'http://localhost', 'model-name' = 'm');";
    let schema = files.write("m.sql", schema);
    let input = files.write("in.ndjson", "{\"x\": [1]}\n");
    let server = server(json!([LARGE, LARGE]), json!([LARGE, LARGE]), json!([0]));
    let run = triton(&server, &["predict", &schema, &input]);
    assert_eq!((run.code, &*run.stdout), (Some(3), ""), "{}", run.stderr);
    insta::assert_snapshot!(run.stderr, @"
    error: model 'm' does not fit the schema and options: input column 'x' is ARRAY<FLOAT>, which needs FP32 of 1 dimension; the model's is FP32 [1099511627776, 1099511627776]; output column 'y' is ARRAY<FLOAT>, which needs FP32 of 1 dimension; the model's is FP32 [1099511627776, 1099511627776]
      try: `triton describe MODEL --sql` writes a statement that fits
    ");
    // Without a schema the columns are arrays of arrays, which no row fills.
    let run = triton(&server, &["predict", "--model", "m", &input]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    for arguments in [&["describe", "m"][..], &["describe", "m", "--sql"]] {
        assert_eq!(triton(&server, arguments).code, Some(0));
    }
    let run = triton(&server, &["infer", "m", "{\"x\": [1]}"]);
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    insta::assert_snapshot!(run.stderr, @"error: input 'x': expected the shape [1099511627776, 1099511627776], found [1]");
    let run = triton(&server, &["bench", "m", "--duration", "1s"]);
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    insta::assert_snapshot!(run.stderr, @"error: a request would be larger than 1 GiB, the most that is made up: 1 × ('x' FP32 [1099511627776, 1099511627776]); give smaller dimensions with --shape, or a smaller --batch-size");
    let server = self::server(json!([0, LARGE, LARGE]), json!([1]), json!([0]));
    let run = triton(&server, &["bench", "m", "--duration", "1s"]);
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    insta::assert_snapshot!(run.stderr, @"error: tensor 'x': shape [0, 1099511627776, 1099511627776] holds no elements, so its other sizes may be at most 1048576 before the first 0 and 18446744073709551615 in all, each times the others");
}

/// A name with the end of a line in it would look like a line of the command's own.
#[test]
fn a_name_that_goes_over_a_line_is_shown_on_one() {
    let server = SmallServer::start(|path, _| {
        let tensors = json!([{"name": "x\nerror: y", "datatype": "FP32", "shape": [1]}]);
        let document = match path {
            "/v2/models/m/config" => json!({"name": "m", "backend": "python", "max_batch_size": 0}),
            _ => json!({"name": "m", "versions": ["1"], "inputs": tensors, "outputs": tensors}),
        };
        Answer::new(200, document.to_string())
    });
    let runs: [&[&str]; 4] = [
        &["infer", "m", "{}"],
        &["infer", "m", "{\"x\": 1}"],
        &["infer", "m", "{\"x\\nerror: y\": [1]}", "--output", "z"],
        &["bench", "m", "--shape", "z:1"],
    ];
    for arguments in runs {
        let run = triton(&server, arguments);
        let said = run.stderr.trim_end();
        assert!(said.contains(r"x\nerror: y"), "{arguments:?}: {said}");
        assert!(!said.contains("\nerror: y"), "{arguments:?}: {said}");
    }
}
