//! Files that are not read, told by their first bytes, so that a message can say what they are.

use std::path::Path;

use super::format::{Format, begins_no_text, is_text};

/// Where the name of a tar archive's own format stands.
const TAR_NAME: usize = 257;

/// What a file is that begins like this, and what could be done with it.
///
/// Rows that happen to begin so do not exist, unless the user says that `is_text`: each beginning has bytes
/// that no text has, or is long.
pub(super) fn told(start: &[u8], is_text: bool) -> Option<String> {
    let compressed = |name: &str, command: &str| {
        format!(
            "it is compressed with {name}, which is not read: decompress it on the way, as in \
             {command} FILE | triton predict … -"
        )
    };
    let is_bzip2 = start.starts_with(b"BZh")
        && (start[3..].get(1..).is_some_and(|block| {
            block.starts_with(b"1AY&SY") || block.starts_with(b"\x17rE8P\x90")
        }));
    Some(if is_bzip2 {
        compressed("bzip2", "bzip2 -dc")
    } else if start.starts_with(b"\xfd7zXZ\0") {
        compressed("xz", "xz -dc")
    } else if start.starts_with(b"\x04\x22\x4d\x18") || start.starts_with(b"\x02\x21\x4c\x18") {
        compressed("lz4", "lz4 -dc")
    } else if start.starts_with(b"\x1f\x9d") || start.starts_with(b"\x1f\xa0") {
        compressed("compress (.Z)", "zcat")
    } else if start.starts_with(b"\x5d\0\0") {
        compressed("lzma", "xz -dc --format=lzma")
    } else if start.starts_with(b"LZIP\x01") {
        compressed("lzip", "lzip -dc")
    } else if start.starts_with(b"\x89LZO") {
        compressed("lzop", "lzop -dc")
    } else if start.starts_with(b"\xff\x06\0\0sNaPpY") {
        compressed("snappy", "snzip -dc")
    } else if matches!(start, [0x78, 0x01 | 0x9c | 0xda, ..]) {
        compressed("zlib, without a gzip header", "zlib-flate -uncompress <")
    } else if start.starts_with(b"PK\x03\x04") || start.starts_with(b"PK\x05\x06") {
        "it is a zip archive, or a workbook such as .xlsx or .ods, which is one: pass a file of \
         the archive as in unzip -p FILE | triton predict … -, or save the sheet as CSV"
            .to_owned()
    } else if start.starts_with(b"7z\xbc\xaf\x27\x1c") {
        "it is a 7z archive: pass a file of it as in 7z x -so FILE | triton predict … -".to_owned()
    } else if start.starts_with(b"Rar!\x1a\x07") {
        "it is a RAR archive: pass a file of it as in unrar p -inul FILE | triton predict … -"
            .to_owned()
    } else if start
        .get(TAR_NAME..)
        .is_some_and(|name| name.starts_with(b"ustar"))
    {
        "it is a tar archive: pass a file of it as in tar -xOf FILE NAME | triton predict … -"
            .to_owned()
    } else if start.starts_with(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1") {
        "it is a document of an old Office program, such as .xls: save the sheet as CSV".to_owned()
    } else if start.starts_with(b"Obj\x01") {
        "it is an Avro file, which is not read: write it as Parquet or NDJSON".to_owned()
    } else if matches!(start, [b'O', b'R', b'C', 0..=8, ..]) {
        "it is an ORC file, which is not read: write it as Parquet or NDJSON".to_owned()
    } else if !is_text && begins_no_text(start, b"PARE") {
        "it is a Parquet file whose footer is encrypted, which is not read: write it in the clear"
            .to_owned()
    } else if !is_text && begins_no_text(start, b"FEA1") {
        "it is a Feather file of the first version, which is not read: write it as version 2 or \
         Parquet"
            .to_owned()
    } else if start.starts_with(b"SQLite format 3\0") {
        "it is a SQLite database: export a table as CSV".to_owned()
    } else if start.starts_with(b"\x89HDF\r\n") || start.starts_with(b"\x93NUMPY") {
        "it holds arrays of HDF5 or NumPy, which are not read: write them as Parquet".to_owned()
    } else {
        return None;
    })
}

/// What a file is that only its name tells: no byte of Brotli does, nor of Snappy as Hadoop writes it.
pub(super) fn told_by_name(path: &Path) -> Option<String> {
    let extension = path.extension()?.to_str()?.to_ascii_lowercase();
    let command = match extension.as_str() {
        "br" => "brotli -dc",
        "snappy" => "snzip -t hadoop-snappy -dc",
        _ => return None,
    };
    Some(format!(
        "it is compressed with {}, says its name, which is not read: decompress it on the way, as \
         in {command} FILE | triton predict … -",
        compression_by_name(path)?
    ))
}

/// Whether a name tells a format behind a compression that is not read, as `rows.csv.bz2` does.
pub(super) fn is_packed_table(path: &Path) -> bool {
    compression_by_name(path).is_some() && Format::of_path(&path.with_extension("")).0.is_some()
}

/// The compression that a name tells and that is not read.
fn compression_by_name(path: &Path) -> Option<&'static str> {
    let extension = path.extension()?.to_str()?.to_ascii_lowercase();
    Some(match extension.as_str() {
        "bz2" => "bzip2",
        "xz" => "xz",
        "lzma" => "lzma",
        "lz" => "lzip",
        "lzo" => "lzop",
        "z" => "compress (.Z)",
        "deflate" => "zlib",
        "snappy" => "Snappy",
        "zip" => "a zip archive",
        "7z" => "a 7z archive",
        "br" => "Brotli",
        "lz4" => "lz4",
        _ => return None,
    })
}

/// What a name promises that is neither written nor read.
pub(crate) fn promised_by_name(path: &Path) -> Option<&'static str> {
    if let Some(compression) = compression_by_name(path) {
        return Some(compression);
    }
    let extension = path.extension()?.to_str()?.to_ascii_lowercase();
    Some(match extension.as_str() {
        "xlsx" | "xls" | "ods" => "a workbook",
        "orc" => "ORC",
        "avro" => "Avro",
        "db" | "sqlite" | "duckdb" => "a database",
        _ => return None,
    })
}

/// What speaks against a file being of a format, although its name or an argument says so.
pub(super) fn contradiction(format: Format, start: &[u8]) -> Option<String> {
    let found = if begins_no_text(start, b"PAR1") {
        Format::Parquet
    } else if begins_no_text(start, b"ARROW1") {
        Format::Arrow
    } else if start.starts_with(&[0xff; 4]) {
        Format::ArrowStream
    } else if b"PAR1".starts_with(start) || b"ARROW1".starts_with(start) {
        // It breaks off before it tells.
        return None;
    } else if !start.is_empty() && start.iter().take(6).all(|byte| is_text(*byte)) {
        Format::of_bytes(start)
    } else {
        return None;
    };
    // Both forms of Arrow are read alike, and what kind of text it is shows only further on.
    let family = |format| match format {
        Format::Csv | Format::Tsv | Format::Ndjson => 0,
        Format::Arrow | Format::ArrowStream => 1,
        Format::Parquet => 2,
    };
    let is_table = || format == Format::Ndjson && is_table(start);
    if family(format) == family(found) && !is_table() {
        return None;
    }
    let argument = clap::ValueEnum::to_possible_value(&found)?;
    Some(format!(
        "it should be {format}, but begins like {found}: say --input-format {}, or give it \
         another name",
        argument.get_name()
    ))
}

/// Whether what should be objects begins with two lines or more, and none of them has the bracket of one.
fn is_table(start: &[u8]) -> bool {
    let lines = start.split(|byte| *byte == b'\n');
    let mut lines = lines
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty());
    let (first, second) = (lines.next(), lines.next());
    let separates = |byte: &u8| matches!(byte, b',' | b';' | b'\t' | b'|');
    let has_bracket = start.iter().any(|byte| matches!(byte, b'{' | b'[' | b'<'));
    let has_cells = first.is_some_and(|line| line.iter().any(separates));
    second.is_some() && !has_bracket && has_cells
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_beginning_of_rows_is_taken_for_something_else() {
        for text in [
            "BZh9,value",
            "PK,value",
            "ORC,value",
            "x,value",
            "LZIP,value",
            "7zip,value",
            "PART,value",
            "PARE,value",
            "PARENT\n1\n",
            "FEA1,value",
            "{\"a\":1}",
            "",
            "ü,value",
        ] {
            assert_eq!(told(text.as_bytes(), false), None, "{text}");
        }
    }

    #[test]
    fn what_the_name_says_must_not_be_what_the_bytes_refute() {
        for (format, start) in [
            (Format::Csv, &b"{\"a\":1}"[..]),
            (Format::Ndjson, b"value,a"),
            (Format::Arrow, &[0xff; 6]),
            (Format::Parquet, b""),
            (Format::Csv, b"\xe4,value"),
            (Format::Csv, b"PAR1,value\n"),
            (Format::Csv, b"ARROW1;value\n"),
        ] {
            assert_eq!(contradiction(format, start), None, "{format} {start:?}");
        }
        insta::assert_snapshot!(contradiction(Format::Csv, b"PAR1\x15\x04").unwrap(), @"it should be CSV, but begins like Parquet: say --input-format parquet, or give it another name");
        insta::assert_snapshot!(contradiction(Format::Parquet, b"value,").unwrap(), @"it should be Parquet, but begins like CSV: say --input-format csv, or give it another name");
    }
}
