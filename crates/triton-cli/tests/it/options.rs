//! `triton options` in each of its formats.

use crate::triton;

fn shown(arguments: &[&str]) -> String {
    let run = triton(&[&["options"], arguments].concat());
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    run.stdout
}

#[test]
fn one_option_in_every_format() {
    insta::assert_snapshot!(shown(&["retry-max-backoff"]), @"
    retry-max-backoff
        Duration, default 30 s
        The longest wait between two retries.
    ");
    let required = shown(&["endpoint"]);
    assert!(
        required.starts_with("endpoint\n    String, required\n    "),
        "{required}"
    );
    insta::assert_snapshot!(shown(&["compression", "--format", "markdown"]), @"
    | Key | Default | Type | Description |
    | --- | --- | --- | --- |
    | `compression` | (none) | Enum: gzip, deflate | Compresses the bodies of inference requests. It saves bandwidth on slow links and costs time on both sides; on a fast network leave it out. The server takes it for inference only, so other calls are never compressed. |
    ");
    insta::assert_snapshot!(shown(&["timeout", "--format", "html"]), @r#"
    <table class="configuration table table-bordered">
        <thead>
            <tr>
                <th class="text-left" style="width: 20%">Key</th>
                <th class="text-left" style="width: 15%">Default</th>
                <th class="text-left" style="width: 15%">Type</th>
                <th class="text-left" style="width: 50%">Description</th>
            </tr>
        </thead>
        <tbody>
            <tr>
                <td><h5 id="timeout">timeout</h5></td>
                <td style="word-wrap: break-word;">30 s</td>
                <td>Duration</td>
                <td>The longest time one call to the server may take, from connecting until the whole answer is read. The server is not told and may finish the work all the same, unless <code>server-timeout</code> ends it. Raise it for models that are slow or wait long in a queue. <code>row-deadline</code> bounds a row with all its calls.</td>
            </tr>
        </tbody>
    </table>
    "#);
    insta::assert_snapshot!(shown(&["model-version", "--format", "json"]), @r#"
    [
      {
        "key": "model-version",
        "section": "common",
        "required": false,
        "default": "latest",
        "type": "String",
        "description": "Version of the model that answers: a version number, or `latest` to leave the choice to the model's [version policy](https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/user_guide/model_configuration.html#version-policy) on the server. A number keeps answers comparable while a new version is rolled out."
      }
    ]
    "#);
}

#[test]
fn a_default_that_depends_on_another_option_is_told_with_it() {
    let text = shown(&["sequence-id-scope"]);
    let facts: Vec<&str> = text.lines().take(2).collect();
    insta::assert_snapshot!(facts.join("\n"), @"
    sequence-id-scope
        Enum: subtask, run, default subtask (run with sequence-key)
    ");
    let json = shown(&["sequence-id-scope", "--format", "json"]);
    let defaults: Vec<&str> = json
        .lines()
        .filter(|line| line.contains("\"default"))
        .collect();
    insta::assert_snapshot!(defaults.join("\n"), @r#"
    "default": "subtask",
    "default_with_sequence_key": "run",
    "#);
}

#[test]
fn all_options_in_every_format() {
    let text = shown(&[]);
    let json: Vec<serde_json::Value> = serde_json::from_str(&shown(&["--format", "json"])).unwrap();
    let keys: Vec<&str> = json
        .iter()
        .map(|option| option["key"].as_str().unwrap())
        .collect();
    assert!(keys.is_sorted() && keys.len() > 25, "{keys:?}");
    for format in ["markdown", "html"] {
        let table = shown(&["--format", format]);
        assert!(
            keys.iter()
                .all(|key| table.contains(key) && text.contains(key))
        );
    }
    // Each as it is shown alone, so that nothing of an option has to be repeated here.
    let one_by_one: Vec<_> = keys.iter().map(|key| shown(&[key])).collect();
    assert_eq!(text, one_by_one.join("\n"));
}

#[test]
fn an_unknown_option() {
    let run = triton(&["options", "retry-max-backof"]);
    assert_eq!(run.code, Some(2));
    insta::assert_snapshot!(run.stderr, @"error: no option is called 'retry-max-backof'; did you mean 'retry-max-backoff'?");
}
