//! Rows that are sorted by their key on the way: the output is that of an input sorted before.

mod ends;
mod formats;
mod samples;

use std::collections::BTreeMap;

use crate::{Files, triton, triton_in};

/// A running sum for each key.
const ACCUMULATE: &str = "
    CREATE MODEL running_sum INPUT (`value` INT) OUTPUT (sum INT)
    WITH ('provider' = 'triton', 'endpoint' = 'embedded', 'model-name' = 'accumulate',
          'sequence-id' = 'job', 'sequence-id-auto-increment' = 'true', 'sequence-key' = 'user')";

/// What makes most of these runs put rows into many temporary files.
const LITTLE: &str = "2000";

#[test]
fn more_keys_than_places_are_no_matter() {
    let files = Files::new();
    let model = files.write("model.sql", ACCUMULATE);
    let rows = (0..900).map(|row| format!("k{:03},{}\n", row % 300, row / 300 + 1));
    let input = files.write(
        "input.csv",
        &format!("user,value\n{}", rows.collect::<String>()),
    );
    let run = triton(&[
        "predict",
        &model,
        &input,
        "--sort-by-key",
        "-O",
        "sequence-max-open=1",
    ]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let expected = (0..300).flat_map(|key| {
        let sums = [(1, 1), (2, 3), (3, 6)];
        sums.map(|(value, sum)| format!("k{key:03},{value},{sum}\n"))
    });
    let expected = format!("user,value,sum\n{}", expected.collect::<String>());
    assert_eq!(run.stdout, expected);
}

#[test]
fn rows_that_cannot_be_used_keep_their_places() {
    let files = Files::new();
    let model = files.write("model.sql", ACCUMULATE);
    // What comes last of a key cannot be used, so that the row before it ends the sequence.
    let one = files.write(
        "one.csv",
        "user,value\nb,1\na,1\nb,two\na\nb,\"thr\"ee\n!,7\n",
    );
    let two = files.write("two.csv", "user,value\na,4\nb,5\nb,six\na,none\nc,none\n");
    let errors = files.path("errors.ndjson");
    for memory in ["1", LITTLE] {
        let run = triton(&[
            "predict",
            &model,
            &one,
            &two,
            "--sort-by-key",
            "--sort-memory",
            memory,
            "--errors",
            &errors,
            "-O",
            "sequence-max-open=1",
        ]);
        assert_eq!(run.code, Some(1), "{}", run.stderr);
        insta::allow_duplicates! {
            insta::assert_snapshot!(run.stdout, @"
            user,value,sum
            !,7,7
            a,1,1
            a,4,5
            b,1,1
            b,5,6
            ");
            insta::assert_snapshot!(files.relative(&std::fs::read_to_string(&errors).unwrap()), @r#"
            {"file":"one.csv","row":4,"line":5,"column":null,"kind":"row","reason":"expected 2 cells, found 1","raw":"a"}
            {"file":"one.csv","row":5,"line":6,"column":"value","kind":"row","reason":"text follows the closing quote of the cell whose quote opened on line 6: a quote within quotes is doubled","raw":"b,\"thr\"ee"}
            {"file":"two.csv","row":4,"line":5,"column":"value","kind":"row","reason":"expected INT, found 'none'","raw":"a,none"}
            {"file":"one.csv","row":3,"line":4,"column":"value","kind":"row","reason":"expected INT, found 'two'","raw":"b,two"}
            {"file":"two.csv","row":3,"line":4,"column":"value","kind":"row","reason":"expected INT, found 'six'","raw":"b,six"}
            {"file":"two.csv","row":5,"line":6,"column":"value","kind":"row","reason":"expected INT, found 'none'","raw":"c,none"}
            "#);
        }
        // No sequence stayed open, which the summary would tell.
        let last = run.stderr.lines().last().unwrap();
        assert!(
            last.starts_with("11 rows: 5 answered, 6 rejected"),
            "{last}"
        );
        assert!(!last.contains("open"), "{last}");
    }
}

#[test]
fn several_columns_are_sorted_one_after_the_other() {
    let files = Files::new();
    let model = files.write("model.sql", &ACCUMULATE.replace("'user'", "'site,line'"));
    let input = files.write(
        "input.csv",
        "site,line,value\na b,1,1\na,2,2\na,10,3\na,2,4\na!,0,5\n!,9,6\n",
    );
    let run = triton(&["predict", &model, &input, "--sort-by-key"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    insta::assert_snapshot!(run.stdout, @"
    site,line,value,sum
    !,9,6,6
    a,10,3,3
    a,2,2,2
    a,2,4,6
    a b,1,1,1
    a!,0,5,5
    ");
}

#[test]
fn sequences_still_end_where_a_column_says_so() {
    let files = Files::new();
    let options = "'sequence-key' = 'user', 'sequence-end-column' = 'last'";
    let model = files.write(
        "model.sql",
        &ACCUMULATE.replace("'sequence-key' = 'user'", options),
    );
    let input = files.write(
        "input.csv",
        "user,value,last\nb,1,false\na,1,false\nb,2,true\na,2,true\nb,3,false\na,3,true\nb,4,true\n",
    );
    let run = triton(&["predict", &model, &input, "--sort-by-key"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    insta::assert_snapshot!(run.stdout, @"
    user,value,last,sum
    a,1,false,1
    a,2,true,3
    a,3,true,3
    b,1,false,1
    b,2,true,3
    b,3,false,3
    b,4,true,7
    ");
}

#[test]
fn many_rows_are_sorted_through_many_files() {
    let files = Files::new();
    let model = files.write("model.sql", ACCUMULATE);
    let mut sums: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    let mut rows = String::from("user,value\n");
    for row in 0_u32..6000 {
        let user = format!("u{}", (row.wrapping_mul(2_654_435_761) >> 5) % 1500);
        rows += &format!("{user},{row}\n");
        sums.entry(user).or_default().push(row);
    }
    let input = files.write("input.csv", &rows);
    let run = triton(&[
        "predict",
        &model,
        &input,
        "--sort-by-key",
        "--sort-memory",
        "1000",
        "--parallelism",
        "2",
        "-O",
        "sequence-max-open=8",
    ]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let mut expected = String::from("user,value,sum\n");
    for (user, values) in sums {
        let mut sum = 0;
        for value in values {
            sum += value;
            expected += &format!("{user},{value},{sum}\n");
        }
    }
    assert_eq!(run.stdout, expected);
}

#[test]
fn what_cannot_be_sorted_is_refused() {
    let files = Files::new();
    let model = files.write("model.sql", ACCUMULATE);
    let without = ACCUMULATE.replace(", 'sequence-key' = 'user'", "");
    let without_key = files.write("without.sql", &without);
    let input = files.write("input.csv", "user,value\na,1\n");
    let folder = files.path("folder/");
    let refused = |arguments: &[&str]| {
        let run = triton(&[&["predict"], arguments].concat());
        assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""));
        run.stderr
    };
    insta::assert_snapshot!(refused(&[&model, &input, "--sort-by-key", "-o", &folder]), @"error: --sort-by-key: the rows of all inputs are sorted together, so each input cannot have an output of its own: name a file for --output, or run each input by itself");
    insta::assert_snapshot!(refused(&[&without_key, &input, "--sort-by-key"]), @"error: --sort-by-key: rows have no key, because the option 'sequence-key' is not set: name the columns that make it, as with -O sequence-key=COLUMN, or leave the argument out");
    let nowhere = files.path("nowhere");
    let run = triton_in(
        &[("TMPDIR", &nowhere)],
        &[
            "predict",
            &model,
            &input,
            "--sort-by-key",
            "--sort-memory",
            "1",
        ],
    );
    assert_eq!(run.code, Some(2));
    insta::assert_snapshot!(files.relative(&run.stderr), @"
    error: the rows cannot be sorted with temporary files in nowhere, which is beside --output, or where TMPDIR says if that is no file
      caused by: No such file or directory (os error 2)
    ");
    insta::assert_snapshot!(refused(&[&model, &input, "--sort-memory", "1000"]), @"
    error: the following required arguments were not provided:
      --sort-by-key

    Usage: triton predict [OPTIONS] [MODEL.sql] <INPUT>...

    For more information, try '--help'.
    ");
    assert!(!std::path::Path::new(&folder).exists());
}
