//! Runs that answer rows.

use std::collections::BTreeMap;

use triton_test_support::live_endpoint;

use crate::{Files, Run, example, triton};

const ACCUMULATE: &str = "
    CREATE MODEL running_sum INPUT (value INT) OUTPUT (sum INT, correlation_id STRING)
    WITH ('provider' = 'triton', 'endpoint' = 'embedded', 'model-name' = 'accumulate',
          'sequence-id' = 'flink-job-123', 'sequence-id-auto-increment' = 'true',
          'sequence-start' = 'true', 'sequence-end' = 'true');";

fn predict_storms(endpoint: Option<&str>) -> Run {
    let (model, input) = (
        example("anomaly/model.sql"),
        example("anomaly/readings.csv"),
    );
    let mut arguments = vec!["predict", model.to_str().unwrap(), input.to_str().unwrap()];
    let endpoint = endpoint.map(|endpoint| format!("endpoint={endpoint}"));
    if let Some(endpoint) = &endpoint {
        arguments.extend(["-O", endpoint]);
    }
    triton(&arguments)
}

/// Two outputs agree: numbers within 1e-5 of their size, everything else to the letter.
fn assert_same_table(left: &str, right: &str) {
    fn tokens(text: &str) -> impl Iterator<Item = &str> {
        text.split([',', '[', ']', '"', '\n'])
    }
    assert_eq!(tokens(left).count(), tokens(right).count());
    for (left, right) in tokens(left).zip(tokens(right)) {
        match (left.parse::<f64>(), right.parse::<f64>()) {
            (Ok(left), Ok(right)) => {
                assert!(
                    (left - right).abs() <= 1e-5 * left.abs().max(1.0),
                    "{left} {right}"
                );
            }
            _ => assert_eq!(left, right),
        }
    }
}

#[test]
fn the_example_runs_on_the_embedded_server() {
    let run = predict_storms(None);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let rows: Vec<csv::StringRecord> = csv::Reader::from_reader(run.stdout.as_bytes())
        .records()
        .map(Result::unwrap)
        .collect();
    assert_eq!(rows.len(), 511);
    // The second storm intensifies at its 20th reading: 25 knots all along, then 35.
    let scores: Vec<f64> = serde_json::from_str(&rows[1][3]).unwrap();
    assert_eq!(scores.iter().position(|score| *score > 3.0), Some(19));
    assert!(
        run.stderr
            .starts_with("511 rows: 511 answered, 0 rejected; "),
        "{}",
        run.stderr
    );
    assert!(
        run.stderr.trim_end().ends_with("with 1 subtask"),
        "{}",
        run.stderr
    );
}

/// The scores of each storm of the year of `by_storm.csv`, one after the other.
fn scores(table: &str, year: Option<&str>) -> BTreeMap<String, Vec<f64>> {
    let mut storms: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    let mut reader = csv::Reader::from_reader(table.as_bytes());
    let headers = reader.headers().unwrap().clone();
    let place = |name: &str| headers.iter().position(|header| header == name);
    let (storm, score) = (place("storm").unwrap(), place("z_score").unwrap());
    for row in reader.records().map(Result::unwrap) {
        if year.is_some_and(|year| !row[place("first_observed").unwrap()].starts_with(year)) {
            continue;
        }
        // A list, or one of its elements.
        let text = row[score].trim_matches(['[', ']']);
        let all = storms.entry(row[storm].to_owned()).or_default();
        all.extend(text.split(',').map(|score| score.parse::<f64>().unwrap()));
    }
    storms
}

#[test]
fn readings_one_by_one_get_the_scores_of_their_storm() {
    let (model, input) = (
        example("anomaly/by_storm.sql"),
        example("anomaly/by_storm.csv"),
    );
    let (model, input) = (model.to_str().unwrap(), input.to_str().unwrap());
    let run = triton(&["predict", model, input, "--parallelism", "3"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let found = scores(&run.stdout, None);
    assert_eq!(found, scores(&predict_storms(None).stdout, Some("2005")));
    assert_eq!(found.len(), 21);
}

#[test]
fn a_real_triton_gives_the_same_output_as_the_embedded_server() {
    let live = predict_storms(Some(&live_endpoint()));
    assert_eq!(live.code, Some(0), "{}", live.stderr);
    assert_same_table(&predict_storms(None).stdout, &live.stdout);
}

/// Runs rows 1 to 100 through `accumulate` in three subtasks, and checks every ID.
fn every_row_takes_an_id_of_its_own(endpoint: &str) {
    let files = Files::new();
    let model = files.write("model.sql", ACCUMULATE);
    let rows: String = (1..=100)
        .map(|value| format!("row {value},{value}\n"))
        .collect();
    let input = files.write("input.csv", &format!("label,value\n{rows}"));
    let output = files.path("output.csv");
    let endpoint = format!("endpoint={endpoint}");
    let run = triton(&[
        "predict",
        &model,
        &input,
        "--output",
        &output,
        "--parallelism",
        "3",
        "--with-sequence-id",
        "-O",
        &endpoint,
    ]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(run.stdout, "");
    let mut counters: BTreeMap<u32, Vec<u64>> = BTreeMap::new();
    let mut table = csv::Reader::from_path(&output).unwrap();
    let header = ["label", "value", "sum", "correlation_id", "sequence_id"];
    assert_eq!(table.headers().unwrap(), header.as_slice());
    for (number, row) in (1_u64..).zip(table.records()) {
        let row = row.unwrap();
        // In the order of the input, and no row sees the sum of another.
        assert_eq!(row[0], format!("row {number}"));
        assert_eq!(
            (&row[1], &row[2]),
            (&*number.to_string(), &*number.to_string())
        );
        // The server saw the ID that was sent.
        assert_eq!(row[3], row[4]);
        let (subtask, counter) = row[4]
            .strip_prefix("flink-job-123-")
            .unwrap()
            .split_once('-')
            .unwrap();
        let counters = counters.entry(subtask.parse().unwrap()).or_default();
        counters.push(counter.parse().unwrap());
    }
    for (subtask, rows) in [(0, 34), (1, 33), (2, 33)] {
        let mut found = counters.remove(&subtask).unwrap();
        found.sort_unstable();
        assert_eq!(found, (0..rows).collect::<Vec<_>>(), "subtask {subtask}");
    }
    assert!(counters.is_empty());
}

#[test]
fn every_row_takes_an_id_of_its_own_on_the_embedded_server() {
    every_row_takes_an_id_of_its_own("embedded");
}

#[test]
fn every_row_takes_an_id_of_its_own_on_a_real_triton() {
    every_row_takes_an_id_of_its_own(&live_endpoint());
}

#[test]
fn rows_that_cannot_be_used_are_named_and_the_others_answered() {
    let files = Files::new();
    let model = files.write("model.sql", ACCUMULATE);
    let input = files.write("input.csv", "value\n1\ntwo\n3\n\"\"\n5,5\n\"6\"\n");
    let run = triton(&["predict", &model, &input]);
    assert_eq!(run.code, Some(1));
    let sums: Vec<&str> = run
        .stdout
        .lines()
        .skip(1)
        .map(|line| line.split(',').next().unwrap())
        .collect();
    assert_eq!(sums, ["1", "3", "6"]);
    let (failures, summary) = run.stderr.trim_end().rsplit_once('\n').unwrap();
    insta::assert_snapshot!(failures, @"
    row 2 (line 3): column 'value': expected INT, found 'two'
    row 4 (line 5): column 'value': expected INT, found NULL
    row 5 (line 6): expected 1 cells, found 2
    ");
    assert!(
        summary.starts_with("6 rows: 3 answered, 3 rejected; "),
        "{summary}"
    );
}

#[test]
fn logs_go_to_standard_error_without_colours() {
    let files = Files::new();
    let model = files.write("model.sql", ACCUMULATE);
    let input = files.write("input.csv", "value\n1\n");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_triton"))
        .args(["predict", &model, &input])
        .env("RUST_LOG", "triton_model_fn=debug")
        .output()
        .unwrap();
    assert!(output.stdout.starts_with(b"value,sum,correlation_id\n"));
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(
        log.contains(
            "took a sequence ID sequence_id=flink-job-123-0-0 base=flink-job-123 subtask_index=0 \
             counter=0"
        ),
        "{log}"
    );
}
