//! Whoever reads: pipes that are closed too early, disks that are full, and terminals.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, UInt32Array};
use flate2::Compression;
use flate2::write::GzEncoder;
use parquet::arrow::ArrowWriter;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::{Files, Run, on_both_builds, own, triton};

on_both_builds!(
    a_reader_that_goes_early_is_no_failure,
    a_reader_that_is_gone_is_no_failure_of_any_command,
    a_full_disk_is_named,
    messages_that_nobody_reads_change_nothing,
);

const ECHO: &str = "
    CREATE MODEL e INPUT (`value` FLOAT) OUTPUT (echo FLOAT)
    WITH ('provider' = 'triton', 'endpoint' = 'embedded', 'model-name' = 'echo')";

const SLOW: &str = "
    CREATE MODEL m INPUT (milliseconds INT UNSIGNED) OUTPUT (waited INT UNSIGNED)
    WITH ('provider' = 'triton', 'endpoint' = 'embedded', 'model-name' = 'slow')";

const FORMATS: [&str; 5] = ["csv", "ndjson", "parquet", "arrow", "arrow-stream"];

/// Rows that together are more than every buffer on their way to a pipe and within it.
fn wide_rows() -> String {
    let text = "x".repeat(1000);
    let rows = (0..500).map(|row| format!("{row},{text}\n"));
    format!("value,text\n{}", rows.collect::<String>())
}

/// The end of a pipe from which nobody reads.
fn unread() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

fn full() -> Stdio {
    OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap()
        .into()
}

fn run(command: &mut Command) -> Run {
    Run::of(command.output().unwrap())
}

async fn a_reader_that_goes_early_is_no_failure(program: &str) {
    let files = Files::new();
    let model = files.write("model.sql", ECHO);
    let input = files.write("in.csv", &wide_rows());
    for format in FORMATS {
        for bytes_read in [0, 1, 5000] {
            let mut child = own(program)
                .args(["predict", &model, &input, "--output-format", format, "-q"])
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            let mut output = child.stdout.take().unwrap();
            output.read_exact(&mut vec![0; bytes_read]).unwrap();
            drop(output);
            let run = Run::of(child.wait_with_output().unwrap());
            let ended = (run.code, run.stderr.as_str());
            assert_eq!(ended, (Some(0), ""), "{format}, {bytes_read}");
        }
    }
}

/// Commands that write to standard output.
const COMMANDS: [&str; 17] = [
    "predict MODEL INPUT --quiet",
    "predict MODEL INPUT --print-config",
    "models -O endpoint=embedded",
    "models --json -O endpoint=embedded",
    "describe echo -O endpoint=embedded",
    "describe echo --json -O endpoint=embedded",
    "describe echo --sql -O endpoint=embedded",
    "health -O endpoint=embedded",
    "stats echo -O endpoint=embedded",
    "stats echo --watch 1ms --json -O endpoint=embedded",
    "bench echo -O endpoint=embedded --warm-up 0 --duration 20ms --json",
    "options",
    "completions bash",
    "man",
    "--help",
    "predict --help",
    "--version",
];

async fn a_reader_that_is_gone_is_no_failure_of_any_command(program: &str) {
    let files = Files::new();
    let model = files.write("model.sql", ECHO);
    let input = files.write("in.csv", "value\n1\n");
    for line in COMMANDS {
        let line = line.replace("MODEL", &model).replace("INPUT", &input);
        let run = run(own(program).args(line.split(' ')).stdout(unread()));
        assert_eq!(run.code, Some(0), "{line}: {}", run.stderr);
        assert!(!run.stderr.contains("error"), "{line}: {}", run.stderr);
    }
    for format in FORMATS {
        let arguments = ["predict", &model, &input, "--output-format", format, "-q"];
        let run = run(own(program).args(arguments).stdout(unread()));
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{format}");
    }
}

async fn a_full_disk_is_named(program: &str) {
    let files = Files::new();
    let model = files.write("model.sql", ECHO);
    let input = files.write("in.csv", "value\n1\n");
    let expected = "error: the output cannot be written\n  caused by: ";
    for line in COMMANDS {
        let line = line.replace("MODEL", &model).replace("INPUT", &input);
        let run = run(own(program).args(line.split(' ')).stdout(full()));
        assert_eq!(run.code, Some(2), "{line}: {}", run.stderr);
        let said = run.stderr.trim_end();
        assert!(said.contains(expected), "{line}: {said}");
        assert!(
            said.ends_with("No space left on device (os error 28)"),
            "{line}: {said}"
        );
    }
    for format in FORMATS {
        for input in [&input, &files.write("wide.csv", &wide_rows())] {
            let arguments = ["predict", &model, input, "--output-format", format, "-q"];
            let run = run(own(program).args(arguments).stdout(full()));
            assert_eq!(run.code, Some(2), "{format}: {}", run.stderr);
            assert!(run.stderr.starts_with(expected), "{format}: {}", run.stderr);
            assert_eq!(run.stderr.lines().count(), 2, "{format}: {}", run.stderr);
        }
    }
}

async fn messages_that_nobody_reads_change_nothing(program: &str) {
    let files = Files::new();
    let model = files.write("model.sql", ECHO);
    let input = files.write("in.csv", "value\n1\ntwo\n3\n");
    for gone in [unread, full] {
        let run = run(own(program)
            .args(["predict", &model, &input])
            // The log is the first to meet it.
            .env("RUST_LOG", "trace")
            .stderr(gone()));
        assert_eq!(
            (run.code, run.stdout.as_str()),
            (Some(1), "value,echo\n1,1\n3,3\n")
        );
        let run = run_quietly(program, &["predict", "no.sql", &input], gone());
        assert_eq!(run.code, Some(2));
        let run = run_quietly(program, &["no-command"], gone());
        assert_eq!(run.code, Some(2));
    }
    // Standard streams that are closed altogether.
    for (stream, code) in [("2>&-", 1), ("<&-", 1)] {
        let script = format!(r#"exec "$0" predict "$1" "$2" {stream}"#);
        let run = run(own("sh").args(["-c", &script, program, &model, &input]));
        assert_eq!(run.code, Some(code), "{stream}: {}", run.stderr);
        assert_eq!(run.stdout, "value,echo\n1,1\n3,3\n");
    }
    let script = r#"exec "$0" predict "$1" - <&-"#;
    let run = run(own("sh").args(["-c", script, program, &model]));
    assert_eq!(
        (run.code, run.stdout.as_str()),
        (Some(2), ""),
        "{}",
        run.stderr
    );
}

fn run_quietly(program: &str, arguments: &[&str], stderr: Stdio) -> Run {
    run(own(program).args(arguments).stderr(stderr))
}

/// A terminal of this many columns: its own end, and the one that a program gets.
fn terminal(columns: u16) -> (File, File) {
    let own_end = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&own_end).unwrap();
    unlockpt(&own_end).unwrap();
    let path = ptsname(&own_end, Vec::new()).unwrap();
    let program_end = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path.to_str().unwrap())
        .unwrap();
    let size = Winsize {
        ws_row: 24,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(&own_end, size).unwrap();
    (File::from(own_end), program_end)
}

/// Runs the command with standard error, and standard output if `rows_too`, on a terminal of 80
/// columns; what comes back is the exit code, and all that the terminal got.
fn on_terminal(arguments: &[&str], rows_too: bool) -> (Option<i32>, String) {
    let (mut own_end, program_end) = terminal(80);
    let mut command = crate::command(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    if rows_too {
        command.stdout(program_end.try_clone().unwrap());
    }
    let mut child = command.stderr(program_end).spawn().unwrap();
    // It holds the program's end of the terminal, which would never close.
    drop(command);
    let reader = std::thread::spawn(move || {
        let (mut said, mut buffer) = (Vec::new(), [0; 4096]);
        // A terminal that the program has left is an error of the system.
        while let Ok(read @ 1..) = own_end.read(&mut buffer) {
            said.extend_from_slice(&buffer[..read]);
        }
        String::from_utf8_lossy(&said).into_owned()
    });
    let code = child.wait().unwrap().code();
    (code, reader.join().unwrap())
}

/// Each state that a bar showed: the rows, and the percents.
fn states(said: &str) -> Vec<(usize, usize)> {
    let parts = said.split('%').filter_map(|before| {
        let (before, percents) = before.rsplit_once(" rows (")?;
        let digits = |character: char| !character.is_ascii_digit();
        let rows = before.rsplit(digits).next()?;
        Some((rows.parse().ok()?, percents.parse().ok()?))
    });
    parts.collect()
}

#[test]
fn a_bar_shows_what_was_answered_and_not_what_was_read() {
    let files = Files::new();
    let model = files.write("model.sql", SLOW);
    let header = "milliseconds\n";
    let csv = files.write("in.csv", &(header.to_owned() + &"60\n".repeat(25)));
    let object = "{\"milliseconds\": 60}\n";
    let objects = files.write("in.ndjson", &object.repeat(25));
    let shown = |input: &str| {
        let arguments = ["predict", &model, input, "-O", "max-in-flight=1"];
        let (code, said) = on_terminal(&arguments, false);
        assert_eq!(code, Some(0), "{said}");
        let states = states(&said);
        assert!(states.len() > 3, "{input}: {said}");
        states
    };
    for (input, before, row) in [(&csv, header.len(), 3), (&objects, 0, object.len())] {
        for (rows, percents) in shown(input) {
            let done = (before + rows * row) * 100 / (before + 25 * row);
            assert_eq!(percents, done, "{input}: {rows} rows");
        }
    }
    // Where a few bytes become many rows at once.
    let zipped = files.path("zipped.ndjson.gz");
    let mut encoder = GzEncoder::new(File::create(&zipped).unwrap(), Compression::default());
    for row in 0..25 {
        // Digits that hardly shrink, or the checksum would be much of the file.
        let digits: String = (1..9)
            .map(|n| (u128::MAX / (row * 8 + n)).to_string())
            .collect();
        let object = format!(r#"{{"milliseconds": 60, "digits": "{digits}"}}"#);
        writeln!(encoder, "{object}").unwrap();
    }
    encoder.finish().unwrap();
    let parquet = files.path("in.parquet");
    let column: ArrayRef = Arc::new(UInt32Array::from(vec![60; 25]));
    let batch = RecordBatch::try_from_iter([("milliseconds", column)]).unwrap();
    let file = File::create(&parquet).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    for input in [&zipped, &parquet] {
        for (rows, percents) in shown(input) {
            let done = rows * 100 / 25;
            assert!(
                percents.abs_diff(done) <= 3,
                "{input}: {rows} rows, {percents}%"
            );
        }
    }
}

#[test]
fn rows_on_a_terminal_are_not_drawn_over() {
    let files = Files::new();
    let model = files.write("model.sql", SLOW);
    let input = files.write("in.csv", &format!("milliseconds\n{}", "60\n".repeat(10)));
    let (code, said) = on_terminal(&["predict", &model, &input, "-O", "max-in-flight=1"], true);
    assert_eq!(code, Some(0));
    assert!(!said.contains('\u{1b}'), "{said:?}");
    let lines: Vec<&str> = said.lines().map(str::trim_end).collect();
    assert_eq!(lines[0], "milliseconds,waited");
    assert!(lines[1..11].iter().all(|line| *line == "60,60"), "{said:?}");
    assert!(lines[11].starts_with("10 rows: 10 answered"), "{said:?}");
}

#[test]
fn messages_are_broken_where_the_terminal_ends_and_nowhere_else() {
    let (code, said) = on_terminal(&["models", "-O", "endpoint=127.0.0.1:1"], false);
    assert_eq!(code, Some(3));
    assert!(
        said.lines().all(|line| line.trim_end().len() <= 80),
        "{said}"
    );
    let plain = triton(&["models", "-O", "endpoint=127.0.0.1:1"]);
    assert!(
        plain.stderr.lines().any(|line| line.len() > 80),
        "{}",
        plain.stderr
    );
    let words = |text: &str| {
        text.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(words(&said), words(&plain.stderr));
}
