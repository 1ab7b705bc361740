//! `triton completions` and `triton man`.

use triton_test_support::EmbeddedTriton;

use crate::{Files, triton, triton_in};

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
