//! `triton completions` and `triton man`.

use crate::{Files, triton};

#[test]
fn completions_know_every_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let run = triton(&["completions", shell]);
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
        for command in ["predict", "describe", "health", "completions"] {
            assert!(run.stdout.contains(command), "{shell}: {command}");
        }
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
