//! `triton completions` and `triton man`.

use triton_test_support::EmbeddedTriton;

use crate::{Files, Run, own, triton, triton_in};

/// What a shell is told to complete the last of the words with.
fn completed(words: &[&str]) -> Vec<String> {
    let run = triton_in(
        &[("_TRITON_COMPLETE", "fish")],
        &[&["--", "triton"], words].concat(),
    );
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{words:?}");
    let lines = run.stdout.lines();
    lines
        .map(|line| line.split('\t').next().unwrap().to_owned())
        .collect()
}

// Holds C22.
#[test]
fn completions_know_commands_options_models_and_columns() {
    let commands = completed(&[""]);
    for command in ["predict", "infer", "describe", "health", "completions"] {
        assert!(
            commands.iter().any(|it| it == command),
            "{command}: {commands:?}"
        );
    }
    assert_eq!(
        completed(&["bench", "echo", "-O", "connection-pool-max-i"]),
        ["connection-pool-max-idle="]
    );
    assert_eq!(
        completed(&["bench", "echo", "-O", "compression="]),
        ["compression=gzip", "compression=deflate"]
    );
    let server = EmbeddedTriton::start().unwrap();
    let endpoint = server.endpoint();
    let models = ["accumulate", "anomaly", "echo", "fails", "slow"];
    let bare = |words: &[&str]| -> Vec<String> {
        let candidates = completed(words).into_iter();
        candidates.filter(|it| !it.starts_with('-')).collect()
    };
    assert_eq!(bare(&["bench", "-e", &endpoint, ""]), models);
    assert_eq!(
        bare(&["predict", "-e", &endpoint, "--model", "a"]),
        ["accumulate", "anomaly"]
    );
    let option = format!("endpoint={endpoint}");
    assert_eq!(bare(&["describe", "-O", &option, "e"]), ["echo"]);
    assert_eq!(bare(&["bench", "-e", "http://127.0.0.1:1", ""]), [""; 0]);
    let files = Files::new();
    let csv = files.write("in.csv", "call,value,time\na,1,2\n");
    let lines = files.write("in.ndjson", "{\"b\": 1, \"a\": 2}\n");
    assert_eq!(
        bare(&["predict", "model.sql", &csv, "--key", ""]),
        ["call", "value", "time"]
    );
    assert_eq!(bare(&["predict", &lines, "--key", ""]), ["a", "b"]);
    let config = files.write("some.toml", "[profile.prod]\n[profile.lab]\n");
    assert_eq!(
        bare(&["health", "--config", &config, "--profile", ""]),
        ["lab", "prod"]
    );
    assert_eq!(bare(&["options", "timeo"]), ["timeout"]);
    assert_eq!(bare(&["serve", "--models", "a"]), ["accumulate", "anomaly"]);
    assert_eq!(bare(&["man", "be"]), ["bench"]);
    let begun = csv.strip_suffix(".csv").unwrap();
    assert_eq!(bare(&["predict", "model.sql", begun]).len(), 2);
}

/// What Bash would put in place of `typed`, the end of the line that it replaces, where it has split
/// the line at its `COMP_WORDBREAKS` into these words.
fn completed_by_bash(files: &Files, line: &str, words: &[&str], typed: &str) -> Vec<String> {
    let script = files.write("triton.bash", &triton(&["completions", "bash"]).stdout);
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_triton"));
    let path = format!(
        "{}:{}",
        program.parent().unwrap().display(),
        std::env::var("PATH").unwrap()
    );
    let ask = r#"
        source "$1" || exit
        COMP_LINE=$2 COMP_POINT=${#2} typed=$3
        shift 3
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        _triton_complete triton "$typed" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let run = own("bash")
        .args(["--norc", "-c", ask, "bash", &script, line, typed])
        .args(words)
        .env("PATH", path)
        .current_dir(files.path(""))
        .output()
        .unwrap();
    let run = Run::of(run);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{line}");
    run.stdout.lines().map(str::to_owned).collect()
}

// Holds C22.
#[test]
fn bash_completes_what_it_takes_apart() {
    let server = EmbeddedTriton::start().unwrap();
    let endpoint = server.endpoint();
    let (host, port) = endpoint
        .strip_prefix("http://")
        .and_then(|address| address.trim_end_matches('/').split_once(':'))
        .unwrap();
    let files = Files::new();
    files.write("in.csv", "call,value\n1,2\n");
    files.write("my data.csv", "a\n1\n");
    let bash =
        |line: &str, words: &[&str], typed: &str| completed_by_bash(&files, line, words, typed);
    assert_eq!(
        bash(
            "triton bench echo -O compr",
            &["triton", "bench", "echo", "-O", "compr"],
            "compr"
        ),
        ["compression="]
    );
    let of_option = |value: &str, typed: &str| {
        let line = format!("triton bench echo -O compression={typed}");
        bash(
            &line,
            &["triton", "bench", "echo", "-O", "compression", value],
            typed,
        )
    };
    // With the cursor behind it, the sign itself is the word.
    assert_eq!(of_option("=", ""), ["gzip", "deflate"]);
    let words = ["triton", "bench", "echo", "-O", "compression", "=", "gz"];
    assert_eq!(
        bash("triton bench echo -O compression=gz", &words, "gz"),
        ["gzip"]
    );
    let line = format!("triton describe -e http://{host}:{port} ec");
    let rest = format!("//{host}");
    let words = [
        "triton", "describe", "-e", "http", ":", &rest, ":", port, "ec",
    ];
    assert_eq!(bash(&line, &words, "ec"), ["echo"]);
    let line = format!("triton predict -e {host}:{port} --model=");
    let words = ["triton", "predict", "-e", host, ":", port, "--model", "="];
    assert_eq!(bash(&line, &words, "").len(), 5);
    // Files stand alone, until a dash asks for flags.
    assert_eq!(
        bash("triton predict in", &["triton", "predict", "in"], "in"),
        ["in.csv"]
    );
    assert_eq!(
        bash(
            "triton predict m.sql ",
            &["triton", "predict", "m.sql", ""],
            ""
        ),
        ["in.csv", r"my\ data.csv", "triton.bash"]
    );
    assert_eq!(
        bash("triton predict m", &["triton", "predict", "m"], "m"),
        [r"my\ data.csv"]
    );
    assert_eq!(
        bash(
            "triton predict --dr",
            &["triton", "predict", "--dr"],
            "--dr"
        ),
        ["--dry-run", "--drop"]
    );
    assert_eq!(
        bash(
            "triton predict in.csv --key ",
            &["triton", "predict", "in.csv", "--key", ""],
            ""
        ),
        ["call", "value"]
    );
}

#[test]
fn there_is_a_script_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let run = triton(&["completions", shell]);
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
        assert!(
            run.stdout.contains("_TRITON_COMPLETE"),
            "{shell}: {}",
            run.stdout
        );
    }
    let files = Files::new();
    let script = files.write("triton.bash", &triton(&["completions", "bash"]).stdout);
    let check = std::process::Command::new("bash")
        .args(["-n", &script])
        .status();
    assert!(check.unwrap().success());
}

#[test]
fn manual_pages() {
    let page = triton(&["man", "health"]);
    assert_eq!((page.code, page.stderr.as_str()), (Some(0), ""));
    assert!(
        page.stdout.contains(".TH triton-health 1"),
        "{}",
        page.stdout
    );
    assert!(page.stdout.contains("\\-\\-wait"), "{}", page.stdout);
    let files = Files::new();
    let folder = files.path("man1");
    assert_eq!(triton(&["man", "--output", &folder]).code, Some(0));
    let mut pages: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    pages.sort();
    assert!(pages.contains(&"triton.1".to_owned()), "{pages:?}");
    assert!(pages.contains(&"triton-health.1".to_owned()), "{pages:?}");
    insta::assert_snapshot!(triton(&["man", "heal"]).stderr, @"
    error: there is no command 'heal'
      try: `triton --help` lists them
    ");
}
