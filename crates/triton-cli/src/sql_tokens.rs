//! The words, names, texts and signs of a statement, as the parser of Apache Flink takes them.
//!
//! Flink's parser is Apache Calcite's with the lexical policy of Java: names in backquotes, texts
//! in single quotes, comments of one line (`--` and `//`) or of several, which do not nest. The
//! table in the tests was taken from the parser of Flink 2.3. That is too little to compile a
//! parser of all of SQL for. Two things are taken beyond it, because they harm nobody: names in
//! double quotes, and the white space of Unicode.

use std::str::Chars;

/// What a name or a text that misses its end is told as.
const NAME: &str = "the name";
const TEXT: &str = "the text in single quotes";

/// A piece of a statement.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token {
    /// A word, which may be a keyword or a name.
    Word(String),
    /// A name in quotes, without them.
    Name(String),
    /// A text in quotes, without them.
    Text(String),
    /// The digits of a whole number.
    Number(String),
    /// Anything else, a character at a time.
    Sign(char),
}

/// A line and a column, both counted from one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Location {
    pub(crate) line: u64,
    pub(crate) column: u64,
}

/// What is no token, and where.
pub(crate) type LexicalError = (Location, String);

/// Takes a statement apart. No error shows what stands in quotes: it may be a secret.
pub(crate) fn tokens(sql: &str) -> Result<Vec<(Location, Token)>, LexicalError> {
    let mut lexer = Lexer {
        characters: sql.chars(),
        location: Location { line: 1, column: 1 },
    };
    let mut tokens = Vec::new();
    while let Some(token) = lexer.token()? {
        tokens.push(token);
    }
    Ok(tokens)
}

struct Lexer<'a> {
    characters: Chars<'a>,
    /// That of the next character.
    location: Location,
}

impl<'a> Lexer<'a> {
    fn token(&mut self) -> Result<Option<(Location, Token)>, LexicalError> {
        self.skip_blanks()?;
        let location = self.location;
        let Some(first) = self.next() else {
            return Ok(None);
        };
        let token = match first {
            '\'' => Token::Text(self.quoted('\'', TEXT, location)?),
            '`' | '"' => Token::Name(self.name(first, location)?),
            'u' | 'U' if self.rest().starts_with("&'") => {
                self.next();
                self.next();
                let text = self.quoted('\'', TEXT, location)?;
                let escape = self.escape_character()?;
                let text = unescaped(&text, escape).map_err(|message| (location, message))?;
                Token::Text(text)
            }
            first if starts_word(first) => {
                Token::Word(self.run(first, |next| starts_word(next) || next.is_numeric()))
            }
            first if first.is_ascii_digit() => {
                Token::Number(self.run(first, |next| next.is_ascii_digit()))
            }
            sign => Token::Sign(sign),
        };
        Ok(Some((location, token)))
    }

    /// Goes on behind white space and comments.
    fn skip_blanks(&mut self) -> Result<(), LexicalError> {
        loop {
            let rest = self.rest();
            if rest.starts_with("--") || rest.starts_with("//") {
                while self.next_if(|next| next != '\n' && next != '\r').is_some() {}
            } else if let Some(comment) = rest.strip_prefix("/*") {
                let location = self.location;
                // What opens a comment does not close it as well: `/*/` is still open.
                let Some(length) = comment.find("*/") else {
                    let message = "the comment that begins here misses its '*/'";
                    return Err((location, message.to_owned()));
                };
                let behind = rest.len() - (2 + length + 2);
                while self.rest().len() > behind {
                    self.next();
                }
            } else if self.next_if(char::is_whitespace).is_none() {
                return Ok(());
            }
        }
    }

    fn name(&mut self, quote: char, location: Location) -> Result<String, LexicalError> {
        let name = self.quoted(quote, NAME, location)?;
        if name.is_empty() || name.contains(['\n', '\r']) {
            let message = format!("a name in {quote}{quote} needs a character, and no line break");
            return Err((location, message));
        }
        Ok(name)
    }

    /// What stands before the closing quote; a doubled one is one of the text.
    fn quoted(
        &mut self,
        quote: char,
        what: &str,
        location: Location,
    ) -> Result<String, LexicalError> {
        let mut text = String::new();
        while let Some(next) = self.next() {
            if next != quote || self.next_if(|next| next == quote).is_some() {
                text.push(next);
            } else {
                return Ok(text);
            }
        }
        let message = format!("{what} that begins here misses its closing {quote}");
        Err((location, message))
    }

    /// What `UESCAPE '!'` behind a text says, or the backslash.
    fn escape_character(&mut self) -> Result<char, LexicalError> {
        const KEYWORD: &str = "UESCAPE";
        self.skip_blanks()?;
        let rest = self.rest();
        let is_given = rest
            .get(..KEYWORD.len())
            .is_some_and(|word| word.eq_ignore_ascii_case(KEYWORD))
            && !rest[KEYWORD.len()..].starts_with(|next: char| starts_word(next));
        if !is_given {
            return Ok('\\');
        }
        for _ in KEYWORD.chars() {
            self.next();
        }
        self.skip_blanks()?;
        let location = self.location;
        let text = match self.next() {
            Some('\'') => self.quoted('\'', TEXT, location)?,
            _ => String::new(),
        };
        let mut characters = text.chars();
        match (characters.next(), characters.next()) {
            (Some(escape), None)
                if !(escape.is_ascii_hexdigit()
                    || escape.is_whitespace()
                    || ['+', '\'', '"'].contains(&escape)) =>
            {
                Ok(escape)
            }
            _ => Err((
                location,
                "UESCAPE needs one character in single quotes that is no hexadecimal digit, \
                 blank, plus or quote"
                    .to_owned(),
            )),
        }
    }

    fn run(&mut self, first: char, belongs: impl Fn(char) -> bool) -> String {
        let mut text = String::from(first);
        while let Some(next) = self.next_if(&belongs) {
            text.push(next);
        }
        text
    }

    fn next_if(&mut self, wanted: impl Fn(char) -> bool) -> Option<char> {
        self.rest().starts_with(wanted).then(|| self.next())?
    }

    fn rest(&self) -> &'a str {
        self.characters.as_str()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.characters.next()?;
        match next {
            '\n' => {
                self.location.line += 1;
                self.location.column = 1;
            }
            _ => self.location.column += 1,
        }
        Some(next)
    }
}

fn starts_word(character: char) -> bool {
    character.is_alphabetic() || character == '_' || character == '$'
}

/// The text of `U&'…'`, in which the escape character and four digits stand for a code unit of
/// UTF-16, and the character doubled for itself. Flink prints texts so that are not all ASCII.
fn unescaped(text: &str, escape: char) -> Result<String, String> {
    let mut units = Vec::new();
    let mut rest = text.chars();
    while let Some(next) = rest.next() {
        if next != escape {
            units.extend_from_slice(next.encode_utf16(&mut [0; 2]));
            continue;
        }
        let behind = rest.as_str();
        if behind.starts_with(escape) {
            units.extend_from_slice(escape.encode_utf16(&mut [0; 2]));
            rest.next();
            continue;
        }
        let digits = behind.get(..4).filter(|digits| {
            let mut digits = digits.chars();
            digits.all(|digit| digit.is_ascii_hexdigit())
        });
        let unit = digits.and_then(|digits| u16::from_str_radix(digits, 16).ok());
        units.push(unit.ok_or_else(|| {
            format!("an escape of the text in U&'' is not {escape} and four hexadecimal digits")
        })?);
        rest = behind[4..].chars();
    }
    String::from_utf16(&units).map_err(|_| {
        "the escapes of the text in U&'' have half of a character: those beyond \\FFFF take two"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kinds(sql: &str) -> Result<Vec<Token>, String> {
        match tokens(sql) {
            Ok(tokens) => Ok(tokens.into_iter().map(|(_, token)| token).collect()),
            Err((Location { line, column }, message)) => {
                Err(format!("line {line}, column {column}: {message}"))
            }
        }
    }

    fn word(text: &str) -> Token {
        Token::Word(text.to_owned())
    }

    fn name(text: &str) -> Token {
        Token::Name(text.to_owned())
    }

    fn text(text: &str) -> Token {
        Token::Text(text.to_owned())
    }

    /// What the parser of Flink 2.3 takes, and what it makes of it.
    #[test]
    fn what_flink_takes_is_taken_alike() {
        let taken = [
            ("'it''s'", vec![text("it's")]),
            ("'b\nc' 'b\\'", vec![text("b\nc"), text("b\\")]),
            ("''", vec![text("")]),
            ("'a''''b'", vec![text("a''b")]),
            ("'ü😀\u{7}'", vec![text("ü😀\u{7}")]),
            (r"u&'\0041b'", vec![text("Ab")]),
            // Four digits, whatever other databases do with a plus and six.
            (r"U&'\00fc\d83d\de00'", vec![text("ü😀")]),
            (r"U&'!0041\' UESCAPE '!'", vec![text(r"A\")]),
            (
                r"U&'!!' /* … */ uescape '!' , x",
                vec![text("!"), Token::Sign(','), word("x")],
            ),
            (r"U&'\\x'", vec![text(r"\x")]),
            ("U&'it''s'", vec![text("it's")]),
            ("U& 'x'", vec![word("U"), Token::Sign('&'), text("x")]),
            ("u&'a' uescaped", vec![text("a"), word("uescaped")]),
            (
                "`a``b` `x y` `ü`",
                vec![name("a`b"), name("x y"), name("ü")],
            ),
            ("`it's` '`'", vec![name("it's"), text("`")]),
            (
                "ü $a _b a1 日本 a$b",
                ["ü", "$a", "_b", "a1", "日本", "a$b"].map(word).to_vec(),
            ),
            ("a /* a /* b */ c", vec![word("a"), word("c")]),
            (
                "a /**/ b /** x **/ c /*/ x */ d",
                ["a", "b", "c", "d"].map(word).to_vec(),
            ),
            (
                "a // b '\n c -- d `\r e --",
                ["a", "c", "e"].map(word).to_vec(),
            ),
            ("'--' '/*' `//`", vec![text("--"), text("/*"), name("//")]),
            ("a\u{c}b\tc", ["a", "b", "c"].map(word).to_vec()),
            (
                "1b>>",
                vec![
                    Token::Number("1".to_owned()),
                    word("b"),
                    Token::Sign('>'),
                    Token::Sign('>'),
                ],
            ),
            ("a-b", vec![word("a"), Token::Sign('-'), word("b")]),
        ];
        for (sql, expected) in taken {
            assert_eq!(kinds(sql), Ok(expected), "{sql}");
        }
    }

    #[test]
    fn what_flink_refuses_is_refused_with_its_place() {
        let refused = |sql: &str| kinds(sql).expect_err("must be refused");
        insta::assert_snapshot!(refused("a\n  'b"), @"line 2, column 3: the text in single quotes that begins here misses its closing '");
        insta::assert_snapshot!(refused("a `b"), @"line 1, column 3: the name that begins here misses its closing `");
        insta::assert_snapshot!(refused("ü ``"), @"line 1, column 3: a name in `` needs a character, and no line break");
        insta::assert_snapshot!(refused("`a\nb`"), @"line 1, column 1: a name in `` needs a character, and no line break");
        insta::assert_snapshot!(refused("'a' /* b"), @"line 1, column 5: the comment that begins here misses its '*/'");
        insta::assert_snapshot!(refused(r"U&'\00'"), @r"line 1, column 1: an escape of the text in U&'' is not \ and four hexadecimal digits");
        insta::assert_snapshot!(refused(r"U&'\00ü'"), @r"line 1, column 1: an escape of the text in U&'' is not \ and four hexadecimal digits");
        insta::assert_snapshot!(refused(r"U&'\d83d'"), @r"line 1, column 1: the escapes of the text in U&'' have half of a character: those beyond \FFFF take two");
        insta::assert_snapshot!(refused("U&'a' UESCAPE 'f'"), @"line 1, column 15: UESCAPE needs one character in single quotes that is no hexadecimal digit, blank, plus or quote");
    }

    /// A text as Flink prints it where not all of it is ASCII.
    fn printed(text: &str) -> String {
        let mut printed = String::from("u&'");
        for unit in text.encode_utf16() {
            match u8::try_from(unit) {
                Ok(b'\'') => printed.push_str("''"),
                Ok(b'\\') => printed.push_str(r"\\"),
                Ok(byte @ b' '..=b'~') => printed.push(char::from(byte)),
                _ => printed.push_str(&format!("\\{unit:04x}")),
            }
        }
        printed + "'"
    }

    fn any_token() -> impl Strategy<Value = (String, Token)> {
        prop_oneof![
            "[a-zA-Z_$ü日][a-zA-Z0-9_$é]{0,8}".prop_map(|word| (word.clone(), Token::Word(word))),
            "[^\n\r]{1,8}"
                .prop_map(|name| (format!("`{}`", name.replace('`', "``")), Token::Name(name))),
            any::<String>()
                .prop_map(|text| (format!("'{}'", text.replace('\'', "''")), Token::Text(text))),
            any::<String>().prop_map(|text| (printed(&text), Token::Text(text))),
            "[0-9]{1,12}".prop_map(|digits| (digits.clone(), Token::Number(digits))),
            prop::sample::select(vec!['(', ')', ',', '.', ';', '=', '<', '>'])
                .prop_map(|sign| (sign.to_string(), Token::Sign(sign))),
        ]
    }

    fn any_blank() -> impl Strategy<Value = String> {
        prop_oneof![
            "[ \t\n\r\u{c}]{1,3}",
            "--[^\n\r]{0,8}\n",
            "//[^\n\r]{0,8}\r\n",
            "[^*]{0,8}".prop_map(|comment| format!("/*{comment}*/")),
        ]
    }

    proptest! {
        #[test]
        fn tokens_survive_whatever_stands_between_them(
            pieces in prop::collection::vec((any_token(), any_blank()), 0..12)
        ) {
            let sql: String = pieces.iter().flat_map(|((written, _), blank)| [written, blank])
                .map(String::as_str).collect();
            let expected: Vec<_> = pieces.into_iter().map(|((_, token), _)| token).collect();
            prop_assert_eq!(kinds(&sql), Ok(expected));
        }

        #[test]
        fn nothing_panics_and_places_are_within_the_statement(sql in "[ua&'`\"\\\\\n/*\\- é0-9U]{0,24}") {
            let lines = sql.split('\n').count() as u64;
            let places: Vec<_> = match tokens(&sql) {
                Ok(tokens) => tokens.into_iter().map(|(location, _)| location).collect(),
                Err((location, _)) => vec![location],
            };
            for place in places {
                prop_assert!((1..=lines).contains(&place.line));
                let line = sql.split('\n').nth(place.line as usize - 1).unwrap();
                prop_assert!(place.column <= line.chars().count() as u64 + 1);
            }
        }
    }
}
