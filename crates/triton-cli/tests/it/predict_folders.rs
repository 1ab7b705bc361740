//! What becomes of the files in a folder whose names tell no format: none is passed over without a word.

use crate::{Files, Run, triton};

const ECHO: &str = "
    CREATE MODEL e INPUT (`value` FLOAT) OUTPUT (echo FLOAT)
    WITH ('provider' = 'triton', 'endpoint' = 'embedded', 'model-name' = 'echo')";

/// What a run over the folder `data` says.
fn said(files: &Files, arguments: &[&str]) -> String {
    let model = files.write("model.sql", ECHO);
    let folder = files.path("data");
    let run = triton(&[&["predict", &model, &folder, "--dry-run"], arguments].concat());
    let code = run.code;
    let run = Run {
        stdout: String::new(),
        ..run
    };
    assert!(code.is_some(), "{}", run.stderr);
    files.relative(&run.said())
}

// Holds C24.
#[test]
fn files_that_are_passed_over_are_counted() {
    let files = Files::new();
    std::fs::create_dir_all(files.path("data/deep")).unwrap();
    let names = [
        "a.csv",
        "d.txt",
        "deep/part-00001",
        "_SUCCESS",
        ".b.csv.bz2",
    ];
    for name in names {
        files.write(&format!("data/{name}"), "value\n1\n");
    }
    insta::assert_snapshot!(said(&files, &[]), @"
    exit code 0
    data: 2 files are passed over, whose names tell no format (d.txt, part-00001); --input-format says it of all
    ");
    insta::assert_snapshot!(said(&files, &["--quiet"]), @"exit code 0");
    insta::assert_snapshot!(said(&files, &["--input-format", "csv"]), @"exit code 0");
    for name in ["b.md", "c.txt"] {
        files.write(&format!("data/{name}"), "nothing\n");
    }
    insta::assert_snapshot!(said(&files, &[]), @"
    exit code 0
    data: 4 files are passed over, whose names tell no format (b.md, c.txt, d.txt, …); --input-format says it of all
    ");
}

// Holds C24.
#[test]
fn what_is_no_compression_is_passed_over() {
    let files = Files::new();
    std::fs::create_dir_all(files.path("data")).unwrap();
    files.write("data/a.csv", "value\n1\n");
    for name in ["a.csv.xlsx", "a.csv.db", "b.json.avro"] {
        files.write(&format!("data/{name}"), "value\n2\n");
    }
    insta::assert_snapshot!(said(&files, &[]), @"
    exit code 0
    data: 3 files are passed over, whose names tell no format (a.csv.db, a.csv.xlsx, b.json.avro); --input-format says it of all
    ");
}

// Holds C24.
#[test]
fn files_whose_compression_is_not_read_are_refused_and_not_passed_over() {
    let files = Files::new();
    std::fs::create_dir_all(files.path("data")).unwrap();
    files.write("data/a.csv", "value\n1\n");
    let mut told = String::new();
    for (name, bytes) in [
        ("b.csv.bz2", &b"BZh91AY&SY\x01\x02"[..]),
        ("b.ndjson.XZ", b"\xfd7zXZ\0\0\x04"),
        ("b.tsv.br", b"\x0b\x02\x80abc\x03"),
        ("b.csv.snappy", b"\0\0\0\x08\0\0\0\x0a"),
        ("b.csv.zip", b"PK\x03\x04\x14\0\0\0"),
    ] {
        let path = files.path(&format!("data/{name}"));
        std::fs::write(&path, bytes).unwrap();
        told.push_str(&said(&files, &[]));
        std::fs::remove_file(path).unwrap();
    }
    insta::assert_snapshot!(told, @"
    exit code 2
    error: data/b.csv.bz2: it is compressed with bzip2, which is not read: decompress it on the way, as in bzip2 -dc FILE | triton predict … -
    exit code 2
    error: data/b.ndjson.XZ: it is compressed with xz, which is not read: decompress it on the way, as in xz -dc FILE | triton predict … -
    exit code 2
    error: data/b.tsv.br: it is compressed with Brotli, says its name, which is not read: decompress it on the way, as in brotli -dc FILE | triton predict … -
    exit code 2
    error: data/b.csv.snappy: it is compressed with Snappy, says its name, which is not read: decompress it on the way, as in snzip -t hadoop-snappy -dc FILE | triton predict … -
    exit code 2
    error: data/b.csv.zip: it is a zip archive, or a workbook such as .xlsx or .ods, which is one: pass a file of the archive as in unzip -p FILE | triton predict … -, or save the sheet as CSV
    ");
}
