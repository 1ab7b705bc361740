//! The commands of two pages of the guide are run as they stand there, and print what stands behind them.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use triton_test_support::EmbeddedTriton;

/// Where the pages are, below the crate.
const PAGES: &str = "../../docs";

/// The server that the page speaks of.
const SERVER: &str = "http://localhost:8000";

/// The blocks of code of a page: their language, and their text.
fn blocks(page: &str) -> Vec<(&str, &str)> {
    let mut blocks = Vec::new();
    let mut rest = page;
    while let Some((_, begun)) = rest.split_once("\n```") {
        let (language, behind) = begun.split_once('\n').unwrap();
        let (text, behind) = behind.split_once("\n```\n").unwrap();
        blocks.push((language, text));
        rest = behind;
    }
    blocks
}

/// Without what differs from run to run: how fast it was.
fn comparable(printed: &str) -> String {
    let lines = printed.trim_end().lines();
    let lines = lines.map(|line| match line.split_once(" rows/s over ") {
        Some((counted, _)) => counted.trim_end_matches(|last: char| last.is_ascii_digit()),
        None => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_first_steps_print_what_the_page_shows() {
    assert_eq!(walk("start/first-prediction.md"), 5);
}

#[test]
fn scoring_files_prints_what_the_page_shows() {
    assert_eq!(walk("guide/score-files.md"), 6);
}

/// Runs each block of commands that has a block of output behind it, in one folder, and compares what it prints.
/// Returns how many there were.
fn walk(page: &str) -> usize {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGES).join(page);
    let page = std::fs::read_to_string(page).unwrap();
    let server = EmbeddedTriton::start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_triton"));
    let mut path = OsString::from(program.parent().unwrap());
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());

    let mut steps = 0;
    for pair in blocks(&page).windows(2) {
        let [("sh", script), ("text", expected)] = pair else {
            continue;
        };
        let output = Command::new("sh")
            .args(["-c", script])
            .current_dir(folder.path())
            .env("PATH", &path)
            .env("TRITON_ENDPOINT", server.endpoint())
            // What the user of this machine has configured is not for this test.
            .env("XDG_CONFIG_HOME", folder.path())
            .env_remove("RUST_LOG")
            .output()
            .unwrap();
        let printed = [output.stdout, output.stderr].concat();
        let printed = String::from_utf8(printed).unwrap();
        let printed = printed.replace(&server.endpoint(), SERVER);
        assert_eq!(comparable(&printed), comparable(expected), "{script}");
        steps += 1;
    }
    steps
}
