//! Text as other programs save it: with a byte order mark, or in UTF-16. What is read here is
//! UTF-8 without a mark.

use std::io::{self, BufRead, Cursor, Read};
use std::path::Path;

use anyhow::{anyhow, bail};
use fs_err::File;

/// What is compressed is said to be so where only text is taken.
const COMPRESSED: [(&str, &[u8]); 4] = [
    ("gzip", &[0x1f, 0x8b]),
    ("zstd", &[0x28, 0xb5, 0x2f, 0xfd]),
    ("bzip2", b"BZh"),
    ("xz", &[0xfd, b'7', b'z', b'X', b'Z']),
];

/// The byte order mark in UTF-8.
pub(crate) const MARK: &[u8] = "\u{feff}".as_bytes();

/// How many bytes tell an encoding.
const START: usize = 4;

/// How a text is encoded, and how long the mark is that says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// UTF-8, or whatever else is one byte a letter where letters are ASCII.
    Utf8 {
        mark: usize,
    },
    Utf16 {
        mark: usize,
        big_endian: bool,
    },
}

impl Encoding {
    /// The encoding that the first bytes of a text tell.
    pub(crate) fn of_start(start: &[u8]) -> anyhow::Result<Self> {
        Ok(match *start {
            [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => bail!(UTF_32),
            [first, 0, 0, 0, ..] | [0, 0, 0, first, ..] if is_text(first) => bail!(UTF_32),
            [0xef, 0xbb, 0xbf, ..] => Encoding::Utf8 { mark: 3 },
            [0xff, 0xfe, ..] => Encoding::Utf16 {
                mark: 2,
                big_endian: false,
            },
            [0xfe, 0xff, ..] => Encoding::Utf16 {
                mark: 2,
                big_endian: true,
            },
            // Without a mark, the zeros of ASCII letters tell.
            [first, 0, second, 0, ..] if is_text(first) && is_text(second) => Encoding::Utf16 {
                mark: 0,
                big_endian: false,
            },
            [0, first, 0, second, ..] if is_text(first) && is_text(second) => Encoding::Utf16 {
                mark: 0,
                big_endian: true,
            },
            _ => Encoding::Utf8 { mark: 0 },
        })
    }

    /// The text as UTF-8, from its first byte.
    pub(crate) fn decoded<'a>(
        self,
        mut bytes: impl BufRead + Send + 'a,
    ) -> io::Result<Box<dyn Read + Send + 'a>> {
        let (Encoding::Utf8 { mark } | Encoding::Utf16 { mark, .. }) = self;
        let mut marked = [0; START];
        bytes.read_exact(&mut marked[..mark])?;
        let text: Box<dyn Read + Send + 'a> = match self {
            Encoding::Utf8 { .. } => Box::new(bytes),
            Encoding::Utf16 { big_endian, .. } => Box::new(Utf16Reader::new(bytes, big_endian)),
        };
        match mark {
            0 => Ok(text),
            _ => without_marks(text),
        }
    }

    /// The beginning of a text as UTF-8, as far as it is there.
    pub(crate) fn decoded_start(self, start: &[u8]) -> Vec<u8> {
        let mut decoded = Vec::new();
        // Reading from memory cannot fail; an empty start tells as little as none.
        let _ = self
            .decoded(start)
            .and_then(|mut bytes| bytes.read_to_end(&mut decoded));
        decoded
    }
}

/// The text behind further marks: who adds one to what has one already leaves two.
fn without_marks<'a>(mut text: Box<dyn Read + Send + 'a>) -> io::Result<Box<dyn Read + Send + 'a>> {
    let mut begun = Vec::new();
    loop {
        let mut byte = [0];
        match text.read(&mut byte) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
            Ok(0) => break,
            Ok(_) => begun.push(byte[0]),
        }
        if !MARK.starts_with(&begun) {
            break;
        }
        if begun == MARK {
            begun.clear();
        }
    }
    Ok(Box::new(Cursor::new(begun).chain(text)))
}

const UTF_32: &str = "it is text in UTF-32, which is not read: save it as UTF-8, for example with \
                      iconv -f UTF-32 -t UTF-8";

fn is_text(byte: u8) -> bool {
    matches!(byte, b' '..=b'~' | b'\t' | b'\r' | b'\n')
}

/// Reads a whole file of text.
pub(crate) fn read_file(path: &Path) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.read_to_end(&mut bytes)?;
    decode(&bytes).map_err(|error| anyhow!("{}: {error}", path.display()))
}

/// A text that is in memory.
pub(crate) fn decode(bytes: &[u8]) -> anyhow::Result<String> {
    let mut text = Vec::new();
    Encoding::of_start(bytes)?
        .decoded(bytes)?
        .read_to_end(&mut text)?;
    String::from_utf8(text).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
        let bytes = error.as_bytes();
        if let Some((name, _)) = COMPRESSED
            .iter()
            .find(|(_, magic)| bytes.starts_with(magic))
        {
            return anyhow!("expected UTF-8 text, found {name} data: unpack it first");
        }
        anyhow!("line {line}: expected UTF-8 text, found other bytes: save it as UTF-8")
    })
}

/// UTF-16 as UTF-8.
///
/// What is no UTF-16, half of a pair or of a unit, becomes bytes that are no UTF-8 either, so that
/// it is refused where it stands.
struct Utf16Reader<R> {
    bytes: R,
    big_endian: bool,
    /// The first half of a unit, or of a pair of units.
    odd: Option<u8>,
    high: Option<u16>,
    decoded: Vec<u8>,
    /// How much of it was handed on.
    taken: usize,
}

impl<R: BufRead> Utf16Reader<R> {
    fn new(bytes: R, big_endian: bool) -> Self {
        Self {
            bytes,
            big_endian,
            odd: None,
            high: None,
            decoded: Vec::new(),
            taken: 0,
        }
    }

    /// Decodes what is there; nothing comes out of it at the end.
    fn fill(&mut self) -> io::Result<()> {
        self.decoded.clear();
        self.taken = 0;
        while self.decoded.is_empty() {
            let bytes = self.bytes.fill_buf()?;
            if bytes.is_empty() {
                let high = self.high.take();
                high.into_iter().for_each(|unit| self.push_half(unit));
                self.decoded.extend(self.odd.take().map(|_| 0xff));
                return Ok(());
            }
            let bytes = bytes.to_vec();
            for byte in &bytes {
                match self.odd.take() {
                    None => self.odd = Some(*byte),
                    Some(first) => self.push(match self.big_endian {
                        true => u16::from_be_bytes([first, *byte]),
                        false => u16::from_le_bytes([first, *byte]),
                    }),
                }
            }
            self.bytes.consume(bytes.len());
        }
        Ok(())
    }

    fn push(&mut self, unit: u16) {
        let high = self.high.take();
        let units = high.into_iter().chain([unit]);
        for decoded in char::decode_utf16(units) {
            match decoded {
                Ok(character) => {
                    let mut bytes = [0; 4];
                    let text = character.encode_utf8(&mut bytes);
                    self.decoded.extend_from_slice(text.as_bytes());
                }
                Err(half) => match half.unpaired_surrogate() {
                    // Its other half may be the next unit.
                    last @ 0xd800..0xdc00 if last == unit => self.high = Some(last),
                    half => self.push_half(half),
                },
            }
        }
    }

    /// Half of a pair, in the three bytes that it would have if UTF-8 allowed it.
    fn push_half(&mut self, unit: u16) {
        let [high, low] = unit.to_be_bytes();
        self.decoded.extend([
            0xe0 | high >> 4,
            0x80 | (high & 0x0f) << 2 | low >> 6,
            0x80 | low & 0x3f,
        ]);
    }
}

impl<R: BufRead> Read for Utf16Reader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.decoded.len() {
            self.fill()?;
        }
        let read = (&self.decoded[self.taken..]).read(buffer)?;
        self.taken += read;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn utf16(text: &str, big_endian: bool) -> Vec<u8> {
        let bytes = |unit: u16| match big_endian {
            true => unit.to_be_bytes(),
            false => unit.to_le_bytes(),
        };
        text.encode_utf16().flat_map(bytes).collect()
    }

    #[test]
    fn marks_go_and_utf_16_becomes_utf_8() {
        let text = "value,näme 😀\r\n1,ü\n";
        for big_endian in [false, true] {
            assert_eq!(decode(&utf16(text, big_endian)).unwrap(), text);
            for marks in ["\u{feff}", "\u{feff}\u{feff}"] {
                let marked = utf16(&format!("{marks}{text}"), big_endian);
                assert_eq!(decode(&marked).unwrap(), text);
            }
        }
        assert_eq!(decode(text.as_bytes()).unwrap(), text);
        for text in [text, "", "a", "\u{fefe}a"] {
            for marks in ["\u{feff}", "\u{feff}\u{feff}\u{feff}"] {
                assert_eq!(decode(format!("{marks}{text}").as_bytes()).unwrap(), text);
            }
        }
        for short in ["", "a", "ab"] {
            assert_eq!(decode(short.as_bytes()).unwrap(), short);
        }
    }

    #[test]
    fn a_pair_may_be_read_in_two_halves() {
        let bytes = utf16("\u{feff}a😀b", false);
        for capacity in 1..6 {
            let mut text = String::new();
            let bytes = BufReader::with_capacity(capacity, &bytes[..]);
            let encoding = Encoding::of_start(&[0xff, 0xfe, b'a', 0]).unwrap();
            let mut decoded = encoding.decoded(bytes).unwrap();
            decoded.read_to_string(&mut text).unwrap();
            assert_eq!(text, "a😀b");
        }
    }

    #[test]
    fn what_is_no_utf_16_is_refused_where_it_stands() {
        let mut bytes = utf16("\u{feff}a\nb", false);
        bytes.extend([0x3d, 0xd8, b'c', 0]);
        insta::assert_snapshot!(decode(&bytes).unwrap_err(), @"line 2: expected UTF-8 text, found other bytes: save it as UTF-8");
        for end in [&[0x3d, 0xd8][..], b"x"] {
            let bytes = [&utf16("\u{feff}a", false), end].concat();
            assert!(decode(&bytes).is_err());
        }
    }

    #[test]
    fn utf_32_is_named() {
        for bytes in [
            &b"\xff\xfe\0\0a\0\0\0"[..],
            b"\0\0\xfe\xff\0\0\0a",
            b"a\0\0\0b\0\0\0",
            b"\0\0\0a\0\0\0b",
        ] {
            insta::allow_duplicates! {
                insta::assert_snapshot!(decode(bytes).unwrap_err(), @"it is text in UTF-32, which is not read: save it as UTF-8, for example with iconv -f UTF-32 -t UTF-8");
            }
        }
    }
}
