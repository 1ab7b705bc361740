//! Texts without the escapes that addresses, pages and JSON have. Encoders do not agree on what they
//! escape, nor on how, so that a text is found in any of these forms only once all are undone.

/// How many escapes within each other are undone.
const MOST_WITHIN: usize = 3;

/// The names that pages have for what a text may not have there.
const ENTITIES: [(&str, char); 6] = [
    ("amp", '&'),
    ("quot", '"'),
    ("apos", '\''),
    ("lt", '<'),
    ("gt", '>'),
    ("nbsp", ' '),
];

/// A text without its escapes and with spaces for `+`, and where in it each byte comes from.
pub(super) struct Unescaped {
    pub(super) bytes: Vec<u8>,
    /// Where the byte of this index, or its escape, begins; and the end of the text.
    pub(super) starts: Vec<usize>,
}

impl Unescaped {
    pub(super) fn of(text: &str) -> Self {
        let mut unescaped = Self {
            bytes: text.as_bytes().to_vec(),
            starts: (0..=text.len()).collect(),
        };
        for _ in 0..MOST_WITHIN {
            if !unescaped.undo() {
                break;
            }
        }
        // A form has one for the other, so that they have to be the same here.
        for byte in &mut unescaped.bytes {
            if *byte == b'+' {
                *byte = b' ';
            }
        }
        unescaped
    }

    /// Undoes each escape once, and says whether there was one.
    fn undo(&mut self) -> bool {
        let mut bytes = Vec::with_capacity(self.bytes.len());
        let mut starts = Vec::with_capacity(self.starts.len());
        let mut position = 0;
        while let Some(&byte) = self.bytes.get(position) {
            let rest = &self.bytes[position..];
            let start = self.starts[position];
            let known = bytes.len();
            let length = escape(rest, &mut bytes).unwrap_or_else(|| {
                bytes.push(byte);
                1
            });
            starts.extend(std::iter::repeat_n(start, bytes.len() - known));
            position += length;
        }
        starts.extend(self.starts.last());
        let is_shorter = bytes.len() < self.bytes.len();
        *self = Self { bytes, starts };
        is_shorter
    }
}

/// Appends what the escape that a text begins with stands for, and gives its length.
fn escape(text: &[u8], bytes: &mut Vec<u8>) -> Option<usize> {
    match text[0] {
        b'%' => {
            bytes.push(u8::try_from(number(text.get(1..3)?, 16)?).ok()?);
            Some(3)
        }
        b'&' => {
            const LONGEST: usize = 12;
            let end = text.iter().take(LONGEST).position(|byte| *byte == b';')?;
            push(entity(&text[1..end])?, bytes);
            Some(end + 1)
        }
        b'\\' => json_escape(&text[1..], bytes).map(|length| 1 + length),
        _ => None,
    }
}

fn entity(name: &[u8]) -> Option<char> {
    let code = match name {
        [b'#', b'x' | b'X', digits @ ..] => number(digits, 16),
        [b'#', digits @ ..] => number(digits, 10),
        _ => None,
    };
    let named = ENTITIES.iter().find(|(known, _)| known.as_bytes() == name);
    code.and_then(char::from_u32)
        .or(named.map(|(_, character)| *character))
}

fn json_escape(text: &[u8], bytes: &mut Vec<u8>) -> Option<usize> {
    let character = match text.first()? {
        character @ (b'"' | b'\\' | b'/' | b'\'') => char::from(*character),
        b'u' => {
            // Half of a character beyond these is left as it is: no header has one.
            push(char::from_u32(number(text.get(1..5)?, 16)?)?, bytes);
            return Some(5);
        }
        b'x' => {
            push(char::from_u32(number(text.get(1..3)?, 16)?)?, bytes);
            return Some(3);
        }
        _ => return None,
    };
    push(character, bytes);
    Some(1)
}

fn push(character: char, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
}

/// A number of nothing but digits.
fn number(digits: &[u8], radix: u32) -> Option<u32> {
    let text = str::from_utf8(digits).ok()?;
    let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_plain.then(|| u32::from_str_radix(text, radix).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(escaped: &str) -> String {
        String::from_utf8(Unescaped::of(escaped).bytes).unwrap()
    }

    #[test]
    fn every_escape_is_undone() {
        for (escaped, expected) in [
            ("a%2Bb%2bc", "a b c"),
            ("a%2Fb%c3%a9", "a/bé"),
            (
                "&#43;&#x2F;&#X2f;&amp;&quot;&apos;&#39;&lt;&gt;",
                " //&\"''<>",
            ),
            (r#"\"\\\/\u0041\x41"#, r#""/AA"#),
            // Within each other, as a page that shows an address.
            ("a%26amp%3Bb", "a&b"),
            ("%252541", "A"),
            ("%25252B", " "),
            // None of these is one.
            (
                "100% &c; \\n %zz %+1 &#; &#x110000; \\ud800 &toolongtobeone;",
                "100% &c; \\n %zz % 1 &#; &#x110000; \\ud800 &toolongtobeone;",
            ),
        ] {
            assert_eq!(text(escaped), expected, "{escaped}");
        }
    }

    #[test]
    fn each_byte_knows_where_it_comes_from() {
        let unescaped = Unescaped::of("é%2Fb&amp;%2541");
        assert_eq!(unescaped.bytes, "é/b&A".as_bytes());
        assert_eq!(unescaped.starts, [0, 1, 2, 5, 6, 11, 16]);
    }
}
