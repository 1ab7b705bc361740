//! Without a MODEL.sql, the columns of a file decide which optional inputs of the model are sent.

use serde_json::json;

use crate::small_server::{Answer, SmallServer};
use crate::{Files, Run, triton};

/// A server whose model takes `a` and, if they are there, `b`, `c` and `v`; it answers with what it
/// was sent.
fn server() -> SmallServer {
    let tensor = |name: &str, datatype: &str, elements: i64| json!({"name": name, "datatype": datatype, "shape": [-1, elements]});
    SmallServer::start(move |path, request| match path {
        "/v2/models/opt" => {
            let metadata = json!({
                "name": "opt", "versions": ["1"], "platform": "python",
                "inputs": [
                    tensor("a", "FP32", 1), tensor("b", "FP32", 1), tensor("c", "BYTES", 1),
                    tensor("v", "FP32", -1),
                ],
                "outputs": [tensor("y", "BYTES", 1)],
            });
            Answer::new(200, metadata.to_string())
        }
        "/v2/models/opt/config" => {
            let optional = ["b", "c", "v"].map(|name| json!({"name": name, "optional": true}));
            let config = json!({
                "name": "opt", "backend": "python", "max_batch_size": 1, "input": optional,
            });
            Answer::new(200, config.to_string())
        }
        _ => {
            let inputs = request["inputs"].as_array().unwrap().iter();
            let inputs = inputs.map(|input| {
                let name = input["name"].as_str().unwrap();
                format!("{name}={}", input["data"].to_string().replace(',', " "))
            });
            let sent = inputs.collect::<Vec<_>>().join(" ").replace('"', "");
            let output = json!({"name": "y", "datatype": "BYTES", "shape": [1, 1], "data": [sent]});
            let answer = json!({"model_name": "opt", "model_version": "1", "outputs": [output]});
            Answer::new(200, answer.to_string())
        }
    })
}

fn predict(name: &str, content: &str, more: &[&str]) -> Run {
    let files = Files::new();
    let input = files.write(name, content);
    let mut run = predict_file(&input, more);
    run.stderr = run.stderr.replace(&input, name);
    run
}

fn predict_file(input: &str, more: &[&str]) -> Run {
    let server = server();
    let endpoint = format!("endpoint={}", server.endpoint);
    let arguments = ["predict", "--model", "opt", input, "-O", &endpoint];
    let json = ["-O", "tensor-format=json"];
    triton(&[&arguments[..], &json, more].concat())
}

#[test]
fn a_column_named_like_an_optional_input_is_sent() {
    let run = predict("in.csv", "a,b,note\n1,2,x\n3,,y\n", &[]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    insta::assert_snapshot!(run.stdout, @"
    a,b,note,y
    1,2,x,a=[1.0] b=[2.0]
    3,,y,a=[3.0]
    ");
    let rows = "{\"a\":1}\n{\"a\":2,\"v\":[1,2],\"c\":\"x\"}\n{\"a\":3,\"b\":null}\n";
    let run = predict("in.ndjson", rows, &[]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    insta::assert_snapshot!(run.stdout, @r#"
    {"a":1,"y":"a=[1.0]"}
    {"a":2,"v":[1,2],"c":"x","y":"a=[2.0] c=[x] v=[1.0 2.0]"}
    {"a":3,"b":null,"y":"a=[3.0]"}
    "#);
}

#[test]
fn an_optional_input_that_an_argument_names_has_to_be_there() {
    let run = predict("in.csv", "a,weight\n1,2\n", &["--map", "weight=b"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    insta::assert_snapshot!(run.stdout, @"
    a,weight,y
    1,2,a=[1.0] b=[2.0]
    ");
    let run = predict("in.csv", "a,b\n1,2\n", &["--map", "b=b"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(run.stdout, "a,b,y\n1,2,a=[1.0] b=[2.0]\n");
    let run = predict("in.csv", "a\n1\n", &["--map", "weight=b"]);
    assert_eq!(run.code, Some(2));
    insta::assert_snapshot!(run.stderr, @"error: in.csv: no column is named 'weight', which the model takes; there are: a");
    let run = predict("in.csv", "a,b\n1,two\n", &[]);
    assert_eq!(run.code, Some(1));
    let line = run.stderr.lines().next().unwrap();
    insta::assert_snapshot!(line, @"row 1 (line 2): column 'b': expected FLOAT, found 'two'");
}

#[test]
fn a_file_of_columns_may_lack_optional_inputs_too() {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Float32Array, RecordBatch, StringArray};

    let files = Files::new();
    let numbers: ArrayRef = Arc::new(Float32Array::from(vec![1.0, 2.0]));
    let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("x"), None]));
    let batch = RecordBatch::try_from_iter([("a", numbers), ("c", texts)]).unwrap();
    let input = files.path("in.parquet");
    let file = std::fs::File::create(&input).unwrap();
    let mut writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let run = predict_file(&input, &[]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    insta::assert_snapshot!(run.stdout, @r#"
    {"a":1,"c":"x","y":"a=[1.0] c=[x]"}
    {"a":2,"c":null,"y":"a=[2.0]"}
    "#);
}
