//! Files that break off, are damaged, or are of another kind: the message says so, and nothing
//! ends with a panic.

use std::sync::Arc;

use arrow_array::{ArrayRef, StringArray, TimestampMicrosecondArray};
use arrow_ipc::writer::{IpcWriteOptions, StreamWriter};
use arrow_ipc::{
    CompressionType, Endianness, MessageBuilder, MessageHeader, MetadataVersion, SchemaBuilder,
};
use parquet::arrow::ArrowWriter;
use parquet::basic::{BrotliLevel, Compression};
use parquet::file::properties::WriterProperties;

use super::files::{self, ECHO};
use crate::{Files, Run, triton};

const FORMATS: [&str; 3] = ["parquet", "arrow", "arrows"];

/// A stream whose second column is compressed.
fn compressed() -> Vec<u8> {
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["many times the same"; 200]));
    let batch = files::with_values(&[("s", texts)]);
    let options = IpcWriteOptions::default();
    let options = options.try_with_compression(Some(CompressionType::LZ4_FRAME));
    let mut bytes = Vec::new();
    let mut writer =
        StreamWriter::try_new_with_options(&mut bytes, &batch.schema(), options.unwrap()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    drop(writer);
    bytes
}

/// A length that is damaged must not become the memory that is asked for.
#[test]
fn a_compressed_buffer_cannot_promise_more_than_it_holds() {
    let files = Files::new();
    let bytes = compressed();
    // The frames of LZ4 begin with this, behind the length that they have without compression.
    let magic = [0x04, 0x22, 0x4d, 0x18];
    let frames = bytes.windows(4).enumerate();
    let frames = frames.filter(|(_, bytes)| *bytes == magic);
    let places: Vec<usize> = frames.map(|(place, _)| place).collect();
    assert!(!places.is_empty());
    for place in places {
        let mut bytes = bytes.clone();
        bytes[place - 2] = 0x7f;
        let refused = run(&files, "promise.arrows", &bytes);
        assert_eq!(refused.code, Some(2), "{}", refused.stderr);
        assert!(
            refused.stderr.contains("a buffer of it promises"),
            "{}",
            refused.stderr
        );
    }
}

fn whole(files: &Files, format: &str) -> Vec<u8> {
    let path = files.path(&format!("whole.{format}"));
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["a", "longer than twelve bytes"]));
    let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![0, 1]));
    let batch = files::with_values(&[("s", texts), ("t", times)]);
    files::write(&path, &[batch.clone(), batch]);
    std::fs::read(path).unwrap()
}

fn run(files: &Files, name: &str, bytes: &[u8]) -> Run {
    let model = files.write("model.sql", ECHO);
    let input = files.path(name);
    std::fs::write(&input, bytes).unwrap();
    let run = triton(&["predict", &model, &input, "--quiet"]);
    assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
    Run {
        stderr: files.relative(&run.stderr),
        ..run
    }
}

/// The rows of the second file must not be missing without a word.
#[test]
fn files_behind_each_other_are_refused() {
    let files = Files::new();
    let mut said = String::new();
    for format in FORMATS {
        let one = whole(&files, format);
        assert_eq!(run(&files, &format!("one.{format}"), &one).code, Some(0));
        let twice = [&one[..], &one].concat();
        let run = run(&files, &format!("twice.{format}"), &twice);
        assert_eq!(run.code, Some(2), "{format}");
        said.push_str(&run.stderr);
    }
    insta::assert_snapshot!(said, @"
    error: twice.parquet: it is several files, one after the other, of which only the last would be read: give each as an input of its own
    error: twice.arrow: reading stopped
      caused by: more bytes come behind its end: if these are several files, one after the other, give each as an input of its own
    error: twice.arrows: reading stopped
      caused by: more bytes come behind the end of the stream: if these are several streams, one after the other, give each as an input of its own
    ");
}

#[test]
fn a_file_that_breaks_off_is_named_with_what_is_missing() {
    let files = Files::new();
    let mut said = String::new();
    for format in FORMATS {
        let bytes = whole(&files, format);
        let name = format!("cut.{format}");
        for length in [0, 4, 10, bytes.len() / 2, bytes.len() - 4] {
            let cut = run(&files, &name, &bytes[..length]);
            assert_eq!(cut.code, Some(2), "{format} of {length} bytes");
            said.push_str(&format!("{length} of {}: {}", bytes.len(), cut.stderr));
        }
    }
    insta::assert_snapshot!(said, @"
    0 of 1096: error: cut.parquet: it is empty; expected Parquet
    4 of 1096: error: cut.parquet: it is too short for a Parquet file: it has 4 bytes
    10 of 1096: error: cut.parquet: its end is missing: a Parquet file ends with PAR1
    548 of 1096: error: cut.parquet: its end is missing: a Parquet file ends with PAR1
    1092 of 1096: error: cut.parquet: its end is missing: a Parquet file ends with PAR1
    0 of 1666: error: cut.arrow: it is empty; expected Arrow
    4 of 1666: error: cut.arrow: it breaks off in the middle of a message
    10 of 1666: error: cut.arrow: it breaks off in the middle of a message
    833 of 1666: error: cut.arrow: its end is missing: an Arrow file ends with ARROW1
    1662 of 1666: error: cut.arrow: its end is missing: an Arrow file ends with ARROW1
    0 of 1288: error: cut.arrows: it is empty; expected Arrow stream
    4 of 1288: error: cut.arrows: it breaks off in the middle of a message
    10 of 1288: error: cut.arrows: it breaks off in the middle of a message
    644 of 1288: error: cut.arrows: reading stopped
      caused by: it breaks off in the middle of a message
    1284 of 1288: error: cut.arrows: reading stopped
      caused by: it breaks off in the middle of a message
    ");
}

#[test]
fn a_damaged_file_ends_with_a_message() {
    let files = Files::new();
    for format in FORMATS {
        let whole = whole(&files, format);
        // Enough places to meet lengths, offsets, types and data.
        for place in (0..whole.len()).step_by(whole.len() / 24) {
            for damage in [0xff, 0x80] {
                let mut bytes = whole.clone();
                bytes[place] ^= damage;
                let run = run(&files, &format!("damaged.{format}"), &bytes);
                assert!(
                    matches!(run.code, Some(0..=2)),
                    "{format}, byte {place}: {:?}",
                    run.code
                );
            }
        }
    }
}

#[test]
fn what_a_file_is_instead_is_said() {
    let files = Files::new();
    let mut said = String::new();
    for (name, bytes) in [
        ("a.parquet", &b"value\n1\n2\n3\n"[..]),
        ("encrypted.parquet", b"PARE\x1c\0\0\0 0123456789 PARE"),
        ("footer.parquet", b"PAR1\x15\x04 0123456789 PARE"),
        ("a.arrow", b"value\n1\n"),
        ("old.feather", b"FEA1\0\0\0\0 and so on"),
        ("a.arrows", b"value\n1\n"),
    ] {
        let run = run(&files, name, bytes);
        assert_eq!(run.code, Some(2), "{name}");
        said.push_str(&run.stderr);
    }
    insta::assert_snapshot!(said, @"
    error: a.parquet: it should be Parquet, but begins like CSV: say --input-format csv, or give it another name
    error: encrypted.parquet: it is a Parquet file whose footer is encrypted, which is not read: write it in the clear
    error: footer.parquet: its footer is encrypted, and encrypted Parquet is not read: write it in the clear
    error: a.arrow: it should be Arrow, but begins like CSV: say --input-format csv, or give it another name
    error: old.feather: it is a Feather file of the first version, which is not read: write it as version 2 or Parquet
    error: a.arrows: it should be Arrow stream, but begins like CSV: say --input-format csv, or give it another name
    ");
}

#[test]
fn numbers_of_the_other_byte_order_are_refused() {
    let mut builder = flatbuffers::FlatBufferBuilder::new();
    let fields = builder.create_vector::<flatbuffers::WIPOffset<arrow_ipc::Field<'_>>>(&[]);
    let mut schema = SchemaBuilder::new(&mut builder);
    schema.add_endianness(Endianness::Big);
    schema.add_fields(fields);
    let schema = schema.finish().as_union_value();
    let mut message = MessageBuilder::new(&mut builder);
    message.add_version(MetadataVersion::V5);
    message.add_header_type(MessageHeader::Schema);
    message.add_header(schema);
    let message = message.finish();
    builder.finish(message, None);
    let message = builder.finished_data();
    let length = u32::try_from(message.len()).unwrap().to_le_bytes();
    let bytes = [&[0xff; 4][..], &length, message, &[0xff; 4], &[0; 4]].concat();
    let files = Files::new();
    let refused = run(&files, "big.arrows", &bytes);
    assert_eq!(refused.code, Some(2));
    insta::assert_snapshot!(refused.stderr, @"error: big.arrows: its numbers are big-endian, which is not read: write it on a little-endian machine, or as Parquet");
}

/// Some writers leave a number at 0, and a reader that believes it ends at once.
#[test]
fn numbers_of_rows_that_contradict_each_other_are_refused() {
    let files = Files::new();
    let whole = whole(&files, "parquet");
    let mut said = String::new();
    // A number of 64 bits, the 4 rows doubled, and what tells whose it is: the list of row groups
    // behind it, or the codec before it.
    for (what, number) in [
        (&[0x16, 2 * 4, 0x19, 0x1c][..], 1),
        (&[0x15, 0, 0x16, 2 * 4], 3),
    ] {
        let mut bytes = whole.clone();
        let place = bytes.windows(4).position(|bytes| bytes == what).unwrap();
        bytes[place + number] = 0;
        let refused = run(&files, "rows.parquet", &bytes);
        assert_eq!(refused.code, Some(2), "{}", refused.stdout);
        said.push_str(&refused.stderr);
    }
    insta::assert_snapshot!(said, @"
    error: rows.parquet: its footer says that the file has 0 rows, and that its row groups have 4, so that rows could be lost: it is damaged, or its writer has a fault; write it again with another
    error: rows.parquet: its footer says that row group 1 has 4 rows, and 0 values of column 'value', so that rows could be lost: it is damaged, or its writer has a fault; write it again with another
    ");
}

/// A file may be the last of several although something lies before its footer that it does not
/// describe.
#[test]
fn bytes_before_a_footer_do_not_hide_another_file() {
    let files = Files::new();
    let one = whole(&files, "parquet");
    let footer = &one[one.len() - 8..][..4];
    let footer = one.len() - 8 - u32::from_le_bytes(footer.try_into().unwrap()) as usize;
    let padded = [&one[..footer], &[0; 1000], &one[footer..]].concat();
    let alone = run(&files, "padded.parquet", &padded);
    assert_eq!(alone.code, Some(0), "{}", alone.stderr);
    assert_eq!(alone.stdout.lines().count(), 4);
    let twice = run(&files, "twice.parquet", &[&one[..], &padded].concat());
    assert_eq!(twice.code, Some(2));
    assert!(twice.stderr.contains("several files"), "{}", twice.stderr);
    // What stands there may be a value, which says nothing of a footer.
    let value = [
        &one[..footer],
        b"a value: PAR1PAR1",
        &[0; 9],
        &one[footer..],
    ]
    .concat();
    let alone = run(&files, "value.parquet", &value);
    assert_eq!(alone.code, Some(0), "{}", alone.stderr);
}

#[test]
fn pages_of_lzo_are_refused_by_name() {
    let files = Files::new();
    let bytes = with_codec(Compression::GZIP(parquet::basic::GzipLevel::default()));
    // In the footer the codec stands before the number of values, as its number doubled.
    let place = bytes
        .windows(3)
        .rposition(|bytes| bytes == [0x15, 2 * 2, 0x16]);
    let mut bytes = bytes;
    bytes[place.unwrap() + 1] = 2 * 3;
    let refused = run(&files, "lzo.parquet", &bytes);
    assert_eq!(refused.code, Some(2));
    insta::assert_snapshot!(refused.stderr, @"error: lzo.parquet: column 's' is compressed with LZO, which is not read: write the file with zstd, Snappy or without compression");
}

fn with_codec(codec: Compression) -> Vec<u8> {
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["a"; 100]));
    let batch = files::with_values(&[("s", texts)]);
    let properties = WriterProperties::builder().set_compression(codec).build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}

#[test]
fn every_codec_of_parquet_but_one_is_read() {
    let files = Files::new();
    let codecs = [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(parquet::basic::GzipLevel::default()),
        Compression::BROTLI(BrotliLevel::default()),
        Compression::LZ4,
        Compression::LZ4_RAW,
        Compression::ZSTD(parquet::basic::ZstdLevel::default()),
    ];
    for codec in codecs {
        let read = run(&files, "codec.parquet", &with_codec(codec));
        if matches!(codec, Compression::BROTLI(_)) && !cfg!(feature = "brotli") {
            assert!(read.stderr.contains("--features brotli"), "{}", read.stderr);
            continue;
        }
        assert_eq!(read.code, Some(0), "{codec}: {}", read.stderr);
        assert_eq!(read.stdout.lines().count(), 100, "{codec}");
    }
}
