//! Columns that arguments and options name: a name may have what separates names, and one that is nowhere
//! is told.

use crate::{Files, triton};

/// A model file with these options further on.
fn model(files: &Files, options: &str) -> String {
    let statement = format!(
        "CREATE MODEL e INPUT (`value` INT) OUTPUT (sum INT)
         WITH ('provider' = 'triton', 'endpoint' = 'embedded', 'model-name' = 'accumulate'{options})"
    );
    files.write("model.sql", &statement)
}

/// Each row is a sequence of its own.
const ALONE: &str = ", 'sequence-id' = 'job', 'sequence-id-auto-increment' = 'true'";

/// What stands for a column whose name has a comma.
const NAME: &str = "'a,b'";

// Holds C28.
#[test]
fn a_name_with_a_comma_stands_in_quotes() {
    let files = Files::new();
    let model = model(&files, ALONE);
    let csv = files.write("in.csv", "\"a,b\",value,c\n7,1,x\n");
    let ndjson = files.write("in.ndjson", r#"{"a,b":7,"value":1,"c":"x"}"#);
    let written = |input: &str, arguments: &[&str]| {
        let run = triton(&[&["predict", &model, input, "-q"], arguments].concat());
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        run.stdout
    };
    for (arguments, cells, object) in [
        (
            ["--columns", "c,\"a,b\""],
            "c,\"a,b\",sum\nx,7,1\n",
            r#"{"a,b":7,"c":"x","sum":1}"#,
        ),
        (
            ["--drop", NAME],
            "value,c,sum\n1,x,1\n",
            r#"{"value":1,"c":"x","sum":1}"#,
        ),
    ] {
        assert_eq!(written(&csv, &arguments), cells);
        assert_eq!(written(&ndjson, &arguments).trim_end(), object);
    }
    let run = triton(&["predict", &model, &csv, "-q", "--drop", "'a,b"]);
    insta::assert_snapshot!(run.said(), @"
    exit code 2
    error: invalid value ''a,b' for '--drop <COLUMN,…>': expected names such as a,b, of which one with a comma or semicolon stands in quotes, as in 'a,b',c

    For more information, try '--help'.
    ");
}

#[test]
fn a_column_may_have_no_name() {
    let files = Files::new();
    let model = model(&files, ALONE);
    // As pandas writes the index of a frame.
    let csv = files.write("in.csv", ",value,c\n0,1,x\n");
    for (arguments, expected) in [
        (["--drop", ""], "value,c,sum\n1,x,1\n"),
        (["--columns", ",c"], ",c,sum\n0,x,1\n"),
    ] {
        let run = triton(&[&["predict", &model, &csv, "-q"], &arguments[..]].concat());
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        assert_eq!(run.stdout, expected);
    }
}

#[test]
fn a_run_with_other_columns_is_another_one() {
    let files = Files::new();
    let model = model(&files, ALONE);
    let csv = files.write("in.csv", "value,a,b,\"a, b\"\n1,x,y,z\n");
    let (output, checkpoint) = (files.path("out.csv"), files.path("checkpoint"));
    for argument in ["--columns", "--drop"] {
        let run = |names: &str| {
            let to = ["-o", &output, "--checkpoint", &checkpoint, argument, names];
            triton(&[&["predict", &model, &csv, "-q"], &to[..]].concat())
        };
        assert_eq!(run("'a, b'").code, Some(0));
        let other = run("a,b");
        assert_eq!(other.code, Some(2));
        let told = format!("{argument}: was ''a, b'', is 'a, b'");
        assert!(other.stderr.contains(&told), "{}", other.stderr);
        std::fs::remove_dir_all(&checkpoint).unwrap();
        std::fs::remove_file(&output).unwrap();
    }
}

#[test]
fn a_key_may_have_a_comma_in_its_name() {
    let files = Files::new();
    let csv = files.write("in.csv", "\"a,b\",value\nx,1\ny,10\nx,2\n");
    let expected = "\"a,b\",value,sum\nx,1,1\ny,10,10\nx,2,3\n";
    let option = format!("{ALONE}, 'sequence-key' = '''a,b'''");
    for (options, arguments) in [("", &["--key", NAME][..]), (&option, &[])] {
        let model = model(&files, options);
        let run = triton(&[&["predict", &model, &csv, "-q"], arguments].concat());
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        assert_eq!(run.stdout, expected);
    }
}

// Holds C28.
#[test]
fn a_name_that_no_object_has_is_told_at_the_end() {
    let files = Files::new();
    let model = model(&files, ALONE);
    let rows = [r#"{"a,b":7,"value":1}"#, r#"{"value":2,"c":3}"#];
    let ndjson = files.write("in.ndjson", &rows.join("\n"));
    let told = |arguments: &[&str]| {
        let run = triton(&[&["predict", &model, &ndjson], arguments].concat());
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        let lines = run.stderr.lines().filter(|line| line.starts_with("--"));
        lines.collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(told(&["--drop", "a,b,c,c"]), @"
    --drop a: no row has a member of this name
    --drop b: no row has a member of this name
    ");
    insta::assert_snapshot!(told(&["--columns", "value,d"]), @"--columns d: no row has a member of this name");
    assert_eq!(told(&["--drop", "a,b", "--quiet"]), "");
    // Of rows that nobody read nobody knows.
    assert_eq!(told(&["--drop", "c", "--limit", "1"]), "");
}
