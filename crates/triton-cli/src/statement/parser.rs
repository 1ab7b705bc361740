//! Takes the tokens of a statement one after the other, and says where another one was expected.

use std::fmt;

use crate::sql_tokens::{self, Location, Token};

/// A statement that is not understood, and where.
#[derive(Debug, thiserror::Error, PartialEq)]
#[error("line {line}, column {column}: {message}")]
pub(crate) struct SqlError {
    line: u64,
    column: u64,
    message: String,
}

impl SqlError {
    pub(super) fn new(location: Location, message: impl Into<String>) -> Self {
        Self {
            line: location.line,
            column: location.column,
            message: message.into(),
        }
    }
}

/// The tokens of a statement, which are taken one after the other.
pub(super) struct Parser {
    tokens: Vec<(Location, Token)>,
    pub(super) position: usize,
    /// Whether what comes next may belong to the value of a secret option.
    pub(super) at_secret: bool,
    end: Location,
}

impl Parser {
    /// The parser of a text, before its first token.
    pub(super) fn new(sql: &str) -> Result<Self, SqlError> {
        let tokens = sql_tokens::tokens(sql);
        Ok(Self {
            tokens: tokens.map_err(|(location, message)| SqlError::new(location, message))?,
            position: 0,
            at_secret: false,
            end: end_of(sql),
        })
    }

    pub(super) fn identifier(&mut self, what: &str) -> Result<String, SqlError> {
        match self.peek() {
            Some(Token::Word(name) | Token::Name(name)) => {
                let name = name.clone();
                self.position += 1;
                Ok(name)
            }
            _ => Err(self.unexpected(what)),
        }
    }

    pub(super) fn string(&mut self, what: &str) -> Result<String, SqlError> {
        match self.peek() {
            Some(Token::Text(text)) => {
                let text = text.clone();
                self.position += 1;
                Ok(text)
            }
            _ => Err(self.unexpected(&format!("{what} in single quotes"))),
        }
    }

    pub(super) fn keyword(&mut self, keyword: &str) -> Result<(), SqlError> {
        if self.optional_keyword(keyword) {
            Ok(())
        } else {
            Err(self.unexpected(keyword))
        }
    }

    pub(super) fn optional_keyword(&mut self, keyword: &str) -> bool {
        let found = matches!(
            self.peek(),
            Some(Token::Word(word)) if word.eq_ignore_ascii_case(keyword)
        );
        self.position += usize::from(found);
        found
    }

    pub(super) fn expect(&mut self, sign: char) -> Result<(), SqlError> {
        if self.optional(sign) {
            Ok(())
        } else {
            Err(self.unexpected(&format!("'{sign}'")))
        }
    }

    pub(super) fn optional(&mut self, sign: char) -> bool {
        let found = matches!(self.peek(), Some(Token::Sign(next)) if *next == sign);
        self.position += usize::from(found);
        found
    }

    pub(super) fn optional_number(&mut self, digits: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Number(next)) if next == digits);
        self.position += usize::from(found);
        found
    }

    pub(super) fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.position).map(|(_, token)| token)
    }

    pub(super) fn location(&self) -> Location {
        let token = self.tokens.get(self.position);
        token.map_or(self.end, |(location, _)| *location)
    }

    pub(super) fn unexpected(&self, expected: &str) -> SqlError {
        let found = match self.peek() {
            Some(token) if self.at_secret && !matches!(token, Token::Sign(')' | ',')) => {
                "something else, which may be a secret".to_owned()
            }
            token => Found(token).to_string(),
        };
        SqlError::new(
            self.location(),
            format!("expected {expected}, found {found}"),
        )
    }
}

fn end_of(sql: &str) -> Location {
    let last_line = sql.lines().last().unwrap_or_default();
    Location {
        line: sql.lines().count().max(1) as u64,
        column: last_line.chars().count() as u64 + 1,
    }
}

/// The token at which reading stopped, as a message names it.
struct Found<'a>(Option<&'a Token>);

impl fmt::Display for Found<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => formatter.write_str("the end of the file"),
            // A text may be the value of a secret option.
            Some(Token::Text(_)) => formatter.write_str("a quoted text"),
            Some(Token::Word(text) | Token::Number(text)) => write!(formatter, "'{text}'"),
            Some(Token::Name(name)) => write!(formatter, "the name `{name}`"),
            Some(Token::Sign(sign)) => write!(formatter, "'{sign}'"),
        }
    }
}
