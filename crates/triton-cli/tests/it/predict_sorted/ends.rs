//! Runs that end while they sort, or behind it, and go on.

use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::AsyncWriteExt as _;

use super::{ACCUMULATE, LITTLE};
use crate::{Files, command, table_file, triton};

#[tokio::test]
async fn a_signal_ends_a_run_that_is_still_sorting() {
    let files = Files::new();
    let model = files.write("model.sql", ACCUMULATE);
    let output = files.path("output.csv");
    let arguments = ["predict", &model, "-", "--sort-by-key", "-o", &output];
    let mut child = tokio::process::Command::from(command(&arguments))
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut pipe = child.stdin.take().unwrap();
    // More than a pipe holds, so that it is being read; and then nothing more comes.
    let rows = format!("user,value\n{}", "a,1\n".repeat(50_000));
    pipe.write_all(rows.as_bytes()).await.unwrap();
    let begun = Instant::now();
    let id = i32::try_from(child.id().unwrap()).unwrap();
    kill_process(Pid::from_raw(id).unwrap(), Signal::TERM).unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(20), child.wait()).await;
    assert_eq!(ended.expect("the run hangs").unwrap().code(), Some(143));
    assert!(begun.elapsed() < Duration::from_secs(10));
    drop(pipe);
}

/// A random number below `limit`, another one in every run.
fn random(limit: u64) -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(0) % limit
}

#[tokio::test]
async fn a_killed_run_that_sorts_goes_on_where_it_was() {
    let files = Files::new();
    let model = files.write("model.sql", ACCUMULATE);
    let rows = (0..600).map(|row| match row % 50 {
        49 => format!("k{},none,{row}\n", row % 7),
        _ => format!("k{},{},{row}\n", row % 7, row * 3),
    });
    let rows = format!("user,value,id\n{}", rows.collect::<String>());
    let input = files.write("input.csv", &rows);
    for format in ["csv.gz", "parquet"] {
        let in_folder = |name: &str| files.path(&format!("{format}.out/{name}"));
        std::fs::create_dir(files.path(&format!("{format}.out"))).unwrap();
        let undisturbed = files.path(&format!("undisturbed.{format}"));
        let expected_errors = files.path(&format!("undisturbed.{format}.errors"));
        let common = ["predict", &model, &input, "--sort-by-key"];
        let more = ["--output", &undisturbed, "--errors", &expected_errors];
        let run = triton(&[&common[..], &more].concat());
        assert_eq!(run.code, Some(1), "{}", run.stderr);
        let (output, errors) = (in_folder(&format!("output.{format}")), in_folder("errors"));
        let checkpoint = files.path(&format!("checkpoint.{format}"));
        let more = [
            "--output",
            &output,
            "--errors",
            &errors,
            "--sort-memory",
            LITTLE,
            "--checkpoint",
            &checkpoint,
            "--checkpoint-every",
            "25",
        ];
        let arguments = [&common[..], &more].concat();
        for _ in 0..4 {
            // So slow that every kill comes before the end.
            let slow = [&arguments[..], &["--rate", "400"]].concat();
            let mut child = tokio::process::Command::from(command(&slow))
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let moment = Duration::from_millis(50 + random(550));
            assert!(tokio::time::timeout(moment, child.wait()).await.is_err());
            child.kill().await.unwrap();
            // Nothing of the sort is left.
            let left = std::fs::read_dir(files.path(&format!("{format}.out"))).unwrap();
            for entry in left {
                let name = entry.unwrap().file_name().into_string().unwrap();
                let known = ["output", "errors", ".output"];
                assert!(known.iter().any(|known| name.starts_with(known)), "{name}");
            }
        }
        let last = triton(&arguments);
        assert_eq!(last.code, Some(1), "{}", last.stderr);
        assert!(
            last.stderr.contains("600 rows: 588 answered, 12 rejected"),
            "{}",
            last.stderr
        );
        let read = |path: &str| table_file::read_cells(path);
        assert_eq!(read(&output), read(&undisturbed), "{format}");
        let text = |path: &str| std::fs::read_to_string(path).unwrap();
        assert_eq!(text(&errors), text(&expected_errors), "{format}");
        let again = triton(&arguments);
        assert!(
            again.stderr.starts_with("nothing is left to do"),
            "{}",
            again.stderr
        );
        let unsorted: Vec<&str> = arguments
            .iter()
            .copied()
            .filter(|argument| !argument.starts_with("--sort") && *argument != LITTLE)
            .collect();
        let refused = triton(&unsorted);
        assert_eq!(refused.code, Some(2));
        assert!(
            refused
                .stderr
                .contains("--sort-by-key: was 'true', is 'false'"),
            "{}",
            refused.stderr
        );
    }
}
