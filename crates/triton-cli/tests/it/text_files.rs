//! Files of text as other programs write them: encodings, compression, delimiters. What cannot be read
//! is named.

use std::io::Write as _;

use crate::{Files, Run, command, triton};

pub(crate) const ECHO: &str = "CREATE MODEL echo INPUT (`value` FLOAT) OUTPUT (echo FLOAT)
    WITH ('provider' = 'triton', 'endpoint' = 'embedded', 'model-name' = 'echo')";

/// Runs over an input of this name and content, with the output on standard output.
pub(crate) fn echo(name: &str, content: impl AsRef<[u8]>, more: &[&str]) -> Run {
    let files = Files::new();
    let model = files.write("model.sql", ECHO);
    let input = files.path(name);
    std::fs::write(&input, content).unwrap();
    let run = triton(&[&["predict", &model, &input, "--quiet"], more].concat());
    Run {
        stderr: files.relative(&run.stderr),
        ..run
    }
}

/// What standard error says of an input that is refused as a whole.
pub(crate) fn refused(name: &str, content: impl AsRef<[u8]>) -> String {
    let run = echo(name, content, &[]);
    assert_eq!(
        (run.code, run.stdout.as_str()),
        (Some(2), ""),
        "{name}: {}",
        run.stderr
    );
    run.stderr.replace("\n ", "")
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

#[test]
fn files_are_read_in_utf_16_and_behind_marks() {
    for text in [
        "value,note\r\n1.5,ü 😀\r\n",
        "\u{feff}value,note\r\n1.5,ü 😀\r\n",
        // Who adds a mark to what has one leaves two.
        "\u{feff}\u{feff}value,note\r\n1.5,ü 😀\r\n",
    ] {
        let be: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        for bytes in [utf16(text), be, text.as_bytes().to_vec()] {
            let run = echo("in.csv", &bytes, &[]);
            assert_eq!(
                run.stdout, "value,note,echo\n1.5,ü 😀,1.5\n",
                "{}",
                run.stderr
            );
            let run = echo("in", &bytes, &[]);
            assert_eq!(
                run.stdout, "value,note,echo\n1.5,ü 😀,1.5\n",
                "{}",
                run.stderr
            );
        }
    }
    let object = "\u{feff}{\"value\":1.5,\"n\":\"ü\"}\n";
    for bytes in [utf16(object), object.as_bytes().to_vec()] {
        for name in ["in.ndjson", "in"] {
            let run = echo(name, &bytes, &[]);
            assert_eq!(
                run.stdout, "{\"value\":1.5,\"n\":\"ü\",\"echo\":1.5}\n",
                "{}",
                run.stderr
            );
        }
    }
    insta::assert_snapshot!(refused("in.csv", b"\xff\xfe\0\0v\0\0\0"), @"error: in.csv: it is text in UTF-32, which is not read: save it as UTF-8, for example with iconv -f UTF-32 -t UTF-8");
    // Half of a pair is no text: its row is at fault, and no other.
    let mut bytes = utf16("\u{feff}value,note\n1,a\n2,");
    bytes.extend([0x3d, 0xd8]);
    bytes.extend(utf16("\n3,c\n"));
    let run = echo("in.csv", bytes, &[]);
    assert_eq!(run.stdout, "value,note,echo\n1,a,1\n3,c,3\n");
    insta::assert_snapshot!(run.stderr, @"row 2 (line 3): column 'note': expected UTF-8 text, found other bytes");
}

/// As `cat` makes one file of several.
#[test]
fn objects_may_come_in_arrays_that_each_have_a_mark() {
    let one = "\u{feff}[{\"value\":1},\n{\"value\":2}]\n";
    for text in [[one, one].concat(), [one.trim_end(), one].concat()] {
        let run = echo("in.json", text.as_bytes(), &[]);
        assert_eq!(
            (run.code, run.stdout.lines().count()),
            (Some(0), 4),
            "{}",
            run.stderr
        );
    }
    // What begins as a mark does is none for that.
    let run = echo("in.json", "[{\"value\":1}]\n\u{fefe}".as_bytes(), &[]);
    insta::assert_snapshot!(run.said(), @r#"
    exit code 1
    {"value":1,"echo":1}
    row 2 (line 2): expected a JSON object: expected value at column 1
    "#);
}

#[test]
fn small_files_of_text_may_have_marks_and_utf_16_too() {
    let files = Files::new();
    let input = files.write("in.csv", "value\n1\n");
    let bench = "{\"value\": [1.5]}\n";
    for encoded in [
        |text: &str| utf16(&format!("\u{feff}{text}")),
        |text: &str| format!("\u{feff}{text}").into_bytes(),
    ] {
        let write = |name: &str, text: &str| {
            let path = files.path(name);
            std::fs::write(&path, encoded(text)).unwrap();
            path
        };
        let model = write("model.sql", ECHO);
        write("token.txt", "secret\n");
        let config = write(
            "config.toml",
            "auth-token = \"@token.txt\"\nendpoint = \"embedded\"\n",
        );
        let run = triton(&["predict", &model, &input, "--config", &config]);
        assert_eq!(run.stdout, "value,echo\n1,1\n", "{}", run.stderr);
        let samples = write("samples.ndjson", bench);
        let run = triton(&[
            "bench",
            "echo",
            "-O",
            "endpoint=embedded",
            "--input",
            &samples,
            "--duration",
            "100ms",
            "--warm-up",
            "10ms",
        ]);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
    }
}

#[test]
fn what_a_file_is_that_is_not_read_is_said() {
    for (name, start) in [
        ("bzip2", &b"BZh91AY&SY...."[..]),
        ("xz", b"\xfd7zXZ\0\0\x04"),
        ("lz4", b"\x04\x22\x4d\x18dd"),
        ("compress", b"\x1f\x9d\x90vv."),
        ("zip", b"PK\x03\x04\x14\0"),
        ("7z", b"7z\xbc\xaf\x27\x1c"),
        ("RAR", b"Rar!\x1a\x07\x01\0"),
        ("Avro", b"Obj\x01\x04\x14"),
    ] {
        for file in ["in.csv", "in.ndjson", "in"] {
            let stderr = refused(file, start);
            let expected = format!("error: {file}: it is ");
            assert!(
                stderr.starts_with(&expected) && stderr.contains(name),
                "{stderr}"
            );
        }
    }
    insta::assert_snapshot!(refused("in.csv.xz", b"\xfd7zXZ\0\0\x04"), @"error: in.csv.xz: it is compressed with xz, which is not read: decompress it on the way, as in xz -dc FILE | triton predict … -");
    insta::assert_snapshot!(refused("in.csv.br", b"\x1b\x0b\0\xf8\x8d\x94"), @"error: in.csv.br: it is compressed with Brotli, says its name, which is not read: decompress it on the way, as in brotli -dc FILE | triton predict … -");
    let mut tar = vec![b'a'; 257];
    tar.extend(b"ustar\0");
    insta::assert_snapshot!(refused("in.csv", &tar), @"error: in.csv: it is a tar archive: pass a file of it as in tar -xOf FILE NAME | triton predict … -");
    let tar = gzip(std::str::from_utf8(&tar).unwrap());
    assert!(refused("in.tar.gz", tar).contains("tar archive"));
    insta::assert_snapshot!(refused("in.csv", "PAR1\x15\x04\x15\x08"), @"error: in.csv: it should be CSV, but begins like Parquet: say --input-format parquet, or give it another name");
    insta::assert_snapshot!(refused("in.parquet", "value,note\n1,a\n"), @"error: in.parquet: it should be Parquet, but begins like CSV: say --input-format csv, or give it another name");
    insta::assert_snapshot!(refused("in.csv", "<!doctype html>\n<html>\n"), @"error: in.csv: no column is named 'value', which the model takes; there are: <!doctype html>; it begins like HTML or XML");
    insta::assert_snapshot!(refused("in.json", "<!doctype html>\n<html>\n"), @"error: in.json: expected JSON objects, one a line or in an array; it begins with '<', like HTML or XML");
    insta::assert_snapshot!(refused("in.csv", "[{\"value\":1}]"), @r#"error: in.csv: no column is named 'value', which the model takes; there are: [{"value":1}]; it begins like JSON: see --input-format ndjson"#);
    insta::assert_snapshot!(refused("in.json", "id,value\na,1\n"), @"error: in.json: it should be NDJSON, but begins like CSV: say --input-format csv, or give it another name");
    insta::assert_snapshot!(refused("in.csv", "{\"value\":1}\n{\"value\":2}\n"), @r#"error: in.csv: no column is named 'value', which the model takes; there are: {"value":1}; it begins like JSON: see --input-format ndjson"#);
    let run = echo("in.txt", gzip("value\n1\n"), &[]);
    assert_eq!(run.stdout, "value,echo\n1,1\n");
}

#[test]
fn a_header_may_begin_with_the_letters_of_another_format() {
    for letters in ["PARE", "PARENT", "FEA1", "PAR1", "ARROW1"] {
        for (name, more) in [
            ("in.csv", &[][..]),
            ("in", &[]),
            ("in.dat", &["--input-format", "csv"]),
        ] {
            let run = echo(name, format!("{letters},value\na,1\n"), more);
            let expected = format!("{letters},value,echo\na,1,1\n");
            assert_eq!(run.stdout, expected, "{name}: {}", run.stderr);
        }
    }
    // What no text has is text where the user says so.
    let run = echo(
        "in",
        "PAR1\u{1f}value\na\u{1f}1\n",
        &["--input-format", "csv", "--delimiter", "\u{1f}"],
    );
    assert_eq!(run.stdout, "PAR1\u{1f}value\u{1f}echo\na\u{1f}1\u{1f}1\n");
}

#[test]
fn compressed_files_that_are_damaged_say_so() {
    let whole = gzip("value\n1\n2\n");
    let padded = [&whole[..], &[0; 512]].concat();
    assert_eq!(
        echo("in.csv.gz", padded, &[]).stdout,
        "value,echo\n1,1\n2,2\n"
    );
    let run = echo("in.csv.gz", [&whole[..], b"more"].concat(), &[]);
    assert_eq!(run.code, Some(2));
    insta::assert_snapshot!(run.stderr, @"
    error: in.csv.gz: reading stopped
      caused by: behind the end of the gzip data come bytes that are not gzip: the file is damaged, or something was appended to it
    ");
    let run = echo("in.csv.gz", &whole[..whole.len() - 4], &[]);
    assert_eq!(run.code, Some(2));
    insta::assert_snapshot!(run.stderr, @"
    error: in.csv.gz: reading stopped
      caused by: the gzip data break off: the file is not whole
    ");
    let zstd = zstd::encode_all(&b"value\n1\n2\n"[..], 1).unwrap();
    let run = echo("in.csv.zst", &zstd[..zstd.len() - 4], &[]);
    assert_eq!(run.code, Some(2));
    insta::assert_snapshot!(run.stderr, @"
    error: in.csv.zst: reading stopped
      caused by: the zstd data break off: the file is not whole
    ");
    let twice = zstd::encode_all(&whole[..], 1).unwrap();
    insta::assert_snapshot!(refused("in.csv.gz.zst", twice), @"error: in.csv.gz.zst: what was compressed with zstd is compressed once more, with gzip: decompress it once before");
}

#[test]
fn other_delimiters_are_read_and_written() {
    let run = echo("in.tsv", "value\tnote\n1\ta,b\n", &[]);
    assert_eq!(run.stdout, "value\tnote\techo\n1\ta,b\t1\n");
    let run = echo(
        "in.tsv",
        "value\tnote\n1\ta,b\n",
        &["--output-format", "csv"],
    );
    assert_eq!(run.stdout, "value,note,echo\n1,\"a,b\",1\n");
    let run = echo(
        "in.csv",
        "value,note\n1,a\tb\n",
        &["--output-format", "tsv"],
    );
    assert_eq!(run.stdout, "value\tnote\techo\n1\t\"a\tb\"\t1\n");
    let run = echo("in.csv", "value;note\n1;\"a;b\"\n", &["--delimiter", ";"]);
    assert_eq!(run.stdout, "value;note;echo\n1;\"a;b\";1\n");
    for tab in ["tab", "\\t", "\t"] {
        let run = echo("in.csv", "value\tnote\n1\ta\n", &["--delimiter", tab]);
        assert_eq!(run.stdout, "value\tnote\techo\n1\ta\t1\n");
    }
    insta::assert_snapshot!(refused("in.csv", "value;note\n1;a\n"), @"error: in.csv: no column is named 'value', which the model takes; there are: value;note; its cells seem to be separated otherwise: say --delimiter ';'");
    insta::assert_snapshot!(refused("in.csv", "note\tvalue\n1\ta\n"), @"error: in.csv: no column is named 'value', which the model takes; there are: note	value; its cells seem to be separated otherwise: say --delimiter tab");
    insta::assert_snapshot!(refused("in.tsv", "value,note\n1,a\n"), @"error: in.tsv: no column is named 'value', which the model takes; there are: value,note; its cells seem to be separated otherwise: say --delimiter ','");
    insta::assert_snapshot!(refused("in.csv", "sep=;\nvalue;note\n1;a\n"), @"error: in.csv: no column is named 'value', which the model takes; there are: sep=;; its first line, 'sep=;', is one of Excel's: take it out and say --delimiter");
    for wrong in ["ab", "\"", "é", ""] {
        let run = echo("in.csv", "value\n1\n", &["--delimiter", wrong]);
        assert_eq!(run.code, Some(2), "{wrong}");
    }
}

#[test]
fn tab_separated_files_have_outputs_of_their_kind() {
    let files = Files::new();
    let model = files.write("model.sql", ECHO);
    let input = files.path("in.tsv.gz");
    std::fs::write(&input, gzip("value\tnote\n1\ta\n")).unwrap();
    let folder = files.path("scored/");
    let run = triton(&["predict", &model, &input, "-o", &folder]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(std::fs::exists(files.path("scored/in.tsv.gz")).unwrap());
    let csv = files.write("in.csv", "value;note\n1;a\n");
    let output = files.path("out.tsv");
    let run = triton(&["predict", &model, &csv, "-o", &output, "--delimiter", ";"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(
        std::fs::read_to_string(output).unwrap(),
        "value\tnote\techo\n1\ta\t1\n"
    );
}

#[test]
fn a_file_without_a_byte_says_so() {
    for name in [
        "in.csv",
        "in.tsv",
        "in.parquet",
        "in.arrow",
        "in",
        "in.csv.gz",
    ] {
        let content = if name.ends_with("gz") {
            gzip("")
        } else {
            Vec::new()
        };
        let stderr = refused(name, content);
        assert!(
            stderr.starts_with(&format!("error: {name}: it is empty")),
            "{stderr}"
        );
    }
    insta::assert_snapshot!(refused("in.csv", ""), @"error: in.csv: it is empty; expected CSV");
    insta::assert_snapshot!(refused("in.csv", "\u{feff}\n\n"), @"error: in.csv: it has no header: nothing but ends of lines is in it");
    let run = echo("in.ndjson", "", &[]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""));
    let run = echo("in.csv", "value,note\n", &[]);
    assert_eq!(
        (run.code, run.stdout.as_str()),
        (Some(0), "value,note,echo\n")
    );
}

#[test]
fn pipes_are_read_like_files() {
    for (input, expected) in [
        (
            &b"value,note\n1,\"a\nb\n2,c\n"[..],
            "value,note,echo\n2,c,2\n",
        ),
        (b"[{\"value\":1}]", "{\"value\":1,\"echo\":1}\n"),
        (b"\xff\xfev\0a\0l\0u\0e\0\n\x001\0\n\0", "value,echo\n1,1\n"),
    ] {
        let files = Files::new();
        let model = files.write("model.sql", ECHO);
        let mut child = command(&["predict", &model, "-", "--quiet"])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let run = Run::of(child.wait_with_output().unwrap());
        assert_eq!(run.stdout, expected, "{}", run.stderr);
    }
}
