//! The CREATE MODEL statement of Apache Flink, in which a model's columns and options are written.
//!
//! <https://nightlies.apache.org/flink/flink-docs-master/docs/dev/table/sql/create/#create-model>
//! gives the grammar, which is too small for a parser of all of SQL, none of which knows this
//! statement. Names, texts and comments are read by the sibling module of tokens.

use std::collections::BTreeMap;

use triton_model_fn::{Column, DataType, Schema};
use triton_options::OptionMap;

use super::parser::{Parser, SqlError};
use crate::sql_tokens::Token;
use crate::unshown::value_may_be_secret;

/// The value of the option `provider` that names this project.
const PROVIDER: &str = "triton";

/// How deep arrays may be nested: no tensor comes near it, and a text that goes on would end the process
/// where the stack ends.
const DEEPEST: usize = 64;

/// The length of a VARCHAR or VARBINARY that has none.
const UNLIMITED: &str = "2147483647";

/// What Flink prints in place of a secret.
const HIDDEN: &str = "******";

/// A model as its statement defines it.
#[derive(Debug, PartialEq)]
pub(crate) struct ModelDefinition {
    pub(crate) schema: Schema,
    pub(crate) options: OptionMap,
    /// The line at which each option stands.
    pub(crate) option_lines: BTreeMap<String, u64>,
}

/// Reads the one CREATE MODEL statement in `sql`.
pub(crate) fn parse(sql: &str) -> Result<ModelDefinition, SqlError> {
    Parser::new(sql)?.statement()
}

impl Parser {
    fn statement(&mut self) -> Result<ModelDefinition, SqlError> {
        self.keyword("CREATE")?;
        self.optional_keyword("TEMPORARY");
        self.keyword("MODEL")?;
        if self.optional_keyword("IF") {
            self.keyword("NOT")?;
            self.keyword("EXISTS")?;
        }
        self.identifier("the model's name")?;
        while self.optional('.') {
            self.identifier("the model's name")?;
        }
        self.keyword("INPUT")?;
        let inputs = self.columns()?;
        self.keyword("OUTPUT")?;
        let outputs = self.columns()?;
        if self.optional_keyword("COMMENT") {
            self.string("the comment")?;
        }
        self.keyword("WITH")?;
        let (options, option_lines) = self.options()?;
        self.optional(';');
        match self.peek() {
            None => Ok(ModelDefinition {
                schema: Schema { inputs, outputs },
                options,
                option_lines,
            }),
            Some(_) => Err(self.unexpected("the end: a file holds one statement")),
        }
    }

    fn columns(&mut self) -> Result<Vec<Column>, SqlError> {
        self.expect('(')?;
        let mut columns = Vec::new();
        loop {
            let name = self.identifier("a column's name")?;
            let data_type = self.data_type(0)?;
            self.nullability()?;
            if self.optional_keyword("COMMENT") {
                self.string("the comment")?;
            }
            columns.push(Column::new(name, data_type));
            if !self.optional(',') {
                self.expect(')')?;
                return Ok(columns);
            }
        }
    }

    fn data_type(&mut self, depth: usize) -> Result<DataType, SqlError> {
        const EXPECTED: &str = "a type: BOOLEAN, TINYINT, SMALLINT, INT, BIGINT, each with UNSIGNED \
                                or without, FLOAT16, BFLOAT16, FLOAT, DOUBLE, STRING, BYTES or \
                                ARRAY<…> of these";
        let location = self.location();
        let name = match self.peek() {
            Some(Token::Word(word)) => word.to_uppercase(),
            _ => return Err(self.unexpected(EXPECTED)),
        };
        let data_type = match name.as_str() {
            "BOOLEAN" => DataType::Boolean,
            "TINYINT" => DataType::TinyInt,
            "SMALLINT" => DataType::SmallInt,
            "INT" | "INTEGER" => DataType::Integer,
            "BIGINT" => DataType::BigInt,
            "FLOAT16" => DataType::Float16,
            "BFLOAT16" => DataType::BFloat16,
            "FLOAT" | "REAL" => DataType::Float,
            "DOUBLE" => DataType::Double,
            "STRING" => DataType::String,
            "BYTES" => DataType::Bytes,
            // What Flink prints for the two types above.
            "VARCHAR" | "VARBINARY" => {
                self.position += 1;
                self.unlimited_length(&name)?;
                return Ok(match name.as_str() {
                    "VARCHAR" => DataType::String,
                    _ => DataType::Bytes,
                });
            }
            "ARRAY" => {
                if depth == DEEPEST {
                    let message = format!("expected arrays that are nested {DEEPEST} deep at most");
                    return Err(SqlError::new(location, message));
                }
                self.position += 1;
                self.expect('<')?;
                let element = self.data_type(depth + 1)?;
                self.nullability()?;
                self.expect('>')?;
                return Ok(DataType::Array(Box::new(element)));
            }
            _ => {
                let message = format!("expected {EXPECTED}, found '{name}'");
                return Err(SqlError::new(location, message));
            }
        };
        self.position += 1;
        if data_type == DataType::Double {
            self.optional_keyword("PRECISION");
        }
        if let Some(unsigned) = unsigned(&data_type)
            && self.optional_keyword("UNSIGNED")
        {
            return Ok(unsigned);
        }
        Ok(data_type)
    }

    /// The length of a text, which must be the one that stands for any.
    fn unlimited_length(&mut self, name: &str) -> Result<(), SqlError> {
        let location = self.location();
        let is_unlimited =
            self.optional('(') && self.optional_number(UNLIMITED) && self.optional(')');
        if is_unlimited {
            return Ok(());
        }
        let message = format!(
            "{name} needs the length {UNLIMITED}, as Flink prints STRING and BYTES: texts are not \
             cut to another one, so write STRING or BYTES"
        );
        Err(SqlError::new(location, message))
    }

    /// `NULL` or `NOT NULL`; a NULL is refused where the model takes none, whatever stands here.
    fn nullability(&mut self) -> Result<(), SqlError> {
        match self.optional_keyword("NOT") {
            true => self.keyword("NULL"),
            false => {
                self.optional_keyword("NULL");
                Ok(())
            }
        }
    }

    /// The options, and the line of each.
    fn options(&mut self) -> Result<(OptionMap, BTreeMap<String, u64>), SqlError> {
        self.expect('(')?;
        let mut options = OptionMap::new();
        let mut lines = BTreeMap::new();
        let mut provider = None;
        let start = self.location();
        loop {
            let location = self.location();
            let key = self.string("an option's key")?;
            self.at_secret = key != "provider" && value_may_be_secret(&key);
            self.expect('=')?;
            let value_location = self.location();
            let value = self.string("the option's value")?;
            if value == HIDDEN {
                let message = format!(
                    "option '{key}' is '{HIDDEN}', as Flink hides secrets in what it prints: write \
                     the secret, or take the option out and set it elsewhere"
                );
                return Err(SqlError::new(value_location, message));
            }
            let repeated = if key == "provider" {
                provider.replace((value, value_location)).is_some()
            } else {
                lines.insert(key.clone(), location.line);
                options.set(&key, value).is_some()
            };
            if repeated {
                let message = format!("option '{key}' is given twice");
                return Err(SqlError::new(location, message));
            }
            if !self.optional(',') {
                self.expect(')')?;
                self.at_secret = false;
                break;
            }
            self.at_secret = false;
        }
        match provider {
            Some((name, _)) if name == PROVIDER => Ok((options, lines)),
            Some((name, location)) => {
                let message = format!("option 'provider': expected '{PROVIDER}', found '{name}'");
                Err(SqlError::new(location, message))
            }
            None => {
                let message = format!("the options lack 'provider' = '{PROVIDER}'");
                Err(SqlError::new(start, message))
            }
        }
    }
}

/// The type that `UNSIGNED` makes of another, as in MySQL; Flink's SQL has none such.
fn unsigned(data_type: &DataType) -> Option<DataType> {
    match data_type {
        DataType::TinyInt => Some(DataType::UnsignedTinyInt),
        DataType::SmallInt => Some(DataType::UnsignedSmallInt),
        DataType::Integer => Some(DataType::UnsignedInteger),
        DataType::BigInt => Some(DataType::UnsignedBigInt),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: &str = "
        CREATE MODEL my_triton_model
        INPUT (`value` INT NOT NULL, words ARRAY<ARRAY<STRING>>) -- two columns
        OUTPUT (sum INT, p DOUBLE PRECISION)
        WITH (
          'provider' = 'triton',
          'endpoint' = 'https://triton-server:8000/v2/models',
          'model-name' = 'it''s',
          'sequence-id' = 'flink-job-123'
        );";

    #[test]
    fn arrays_without_an_end_are_refused() {
        let nested = |depth: usize| {
            let (open, close) = ("ARRAY<".repeat(depth), ">".repeat(depth));
            parse(&format!(
                "CREATE MODEL m INPUT (a {open}INT{close}) OUTPUT (b INT) WITH ('provider' = 'triton')"
            ))
        };
        assert!(nested(64).is_ok());
        let error = nested(100_000).unwrap_err();
        insta::assert_snapshot!(error, @"line 1, column 409: expected arrays that are nested 64 deep at most");
    }

    #[test]
    fn a_statement_gives_columns_and_options() {
        let model = parse(SEED).unwrap();
        let words = DataType::Array(Box::new(DataType::Array(Box::new(DataType::String))));
        assert_eq!(
            model.schema,
            Schema {
                inputs: vec![
                    Column::new("value", DataType::Integer),
                    Column::new("words", words)
                ],
                outputs: vec![
                    Column::new("sum", DataType::Integer),
                    Column::new("p", DataType::Double)
                ],
            }
        );
        let options = OptionMap::new()
            .with("endpoint", "https://triton-server:8000/v2/models")
            .with("model-name", "it's")
            .with("sequence-id", "flink-job-123");
        assert_eq!(model.options, options);
        let lines = [("endpoint", 7), ("model-name", 8), ("sequence-id", 9)];
        let lines = lines.map(|(key, line)| (key.to_owned(), line));
        assert_eq!(model.option_lines, BTreeMap::from(lines));
    }

    #[test]
    fn long_forms_of_the_head_are_read() {
        let sql = "create temporary model if not exists `c`.d.m input(x float) output(y float) \
                   comment 'c' with ('provider'='triton')";
        assert!(parse(sql).is_ok());
    }

    #[test]
    fn every_type_is_read_as_it_is_written() {
        for data_type in DataType::SCALARS {
            let sql = format!(
                "CREATE MODEL m INPUT (x {data_type}) OUTPUT (y ARRAY<{data_type}> NOT NULL) \
                 WITH ('provider' = 'triton')"
            );
            let schema = parse(&sql).unwrap().schema;
            assert_eq!(schema.inputs[0].data_type, *data_type);
            let array = DataType::Array(Box::new(data_type.clone()));
            assert_eq!(schema.outputs[0].data_type, array);
        }
    }

    #[test]
    fn what_flink_prints_of_a_model_is_read() {
        let sql = "CREATE TEMPORARY MODEL `default_catalog`.`default_database`.`st``x`
            INPUT (`a` VARCHAR(2147483647) NOT NULL COMMENT 'it''s', `b` REAL NULL,
                   `c` ARRAY<ARRAY<INTEGER NOT NULL> NOT NULL>)
            OUTPUT (`d` VARBINARY(2147483647), `e` ARRAY<VARCHAR(2147483647)>)
            COMMENT 'a model' /* of
            mine */
            WITH ('provider' = 'triton')";
        let schema = parse(sql).unwrap().schema;
        let array = |element| DataType::Array(Box::new(element));
        let columns = [
            ("a", DataType::String),
            ("b", DataType::Float),
            ("c", array(array(DataType::Integer))),
        ];
        assert_eq!(
            schema.inputs,
            columns.map(|(name, data_type)| Column::new(name, data_type))
        );
        let columns = [("d", DataType::Bytes), ("e", array(DataType::String))];
        assert_eq!(
            schema.outputs,
            columns.map(|(name, data_type)| Column::new(name, data_type))
        );
        insta::assert_snapshot!(message("CREATE MODEL m INPUT (x VARCHAR(10))"), @"line 1, column 32: VARCHAR needs the length 2147483647, as Flink prints STRING and BYTES: texts are not cut to another one, so write STRING or BYTES");
        insta::assert_snapshot!(message(&SEED.replace("'flink-job-123'", "'******'")), @"line 9, column 27: option 'sequence-id' is '******', as Flink hides secrets in what it prints: write the secret, or take the option out and set it elsewhere");
    }

    #[test]
    fn what_stands_behind_the_key_of_a_secret_is_not_shown() {
        for value in [
            "= \"canary\"",
            "= canary",
            "canary",
            "= 'a'canary",
            "= 'a' 'canary'",
            "= u:canary@h",
        ] {
            for key in ["auth-token", "endpoint", "proxy", "colour"] {
                let refused = message(
                    &SEED
                        .replace(
                            "'sequence-id' = 'flink-job-123'",
                            &format!("'{key}' {value}"),
                        )
                        .replace("'endpoint' = 'https://triton-server:8000/v2/models',", ""),
                );
                assert!(!refused.contains("canary"), "{refused}");
            }
        }
        insta::assert_snapshot!(message(&SEED.replace("'sequence-id' = 'flink-job-123'", "'auth-token' = \"canary\"")), @"line 9, column 26: expected the option's value in single quotes, found something else, which may be a secret");
    }

    fn message(sql: &str) -> String {
        parse(sql).expect_err("must be refused").to_string()
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        insta::assert_snapshot!(message(""), @"line 1, column 1: expected CREATE, found the end of the file");
        insta::assert_snapshot!(message("CREATE TABLE t"), @"line 1, column 8: expected MODEL, found 'TABLE'");
        insta::assert_snapshot!(message("CREATE MODEL m INPUT (x DECIMAL(3, 1))"), @"line 1, column 25: expected a type: BOOLEAN, TINYINT, SMALLINT, INT, BIGINT, each with UNSIGNED or without, FLOAT16, BFLOAT16, FLOAT, DOUBLE, STRING, BYTES or ARRAY<…> of these, found 'DECIMAL'");
        insta::assert_snapshot!(message("CREATE MODEL m INPUT (x INT) WITH ()"), @"line 1, column 30: expected OUTPUT, found 'WITH'");
        insta::assert_snapshot!(message("CREATE MODEL m INPUT (x ARRAY<INT) OUTPUT"), @"line 1, column 34: expected '>', found ')'");
        insta::assert_snapshot!(message(&SEED.replace("'triton'", "'openai'")), @"line 6, column 24: option 'provider': expected 'triton', found 'openai'");
        insta::assert_snapshot!(message(&SEED.replace("'provider' = 'triton',", "")), @"line 7, column 11: the options lack 'provider' = 'triton'");
        insta::assert_snapshot!(message(&SEED.replace("'model-name'", "'endpoint'")), @"line 8, column 11: option 'endpoint' is given twice");
        insta::assert_snapshot!(message(&SEED.replace("= 'it''s'", "it"),), @"line 8, column 24: expected '=', found 'it'");
        insta::assert_snapshot!(message(&format!("{SEED} SELECT 1")), @"line 10, column 12: expected the end: a file holds one statement, found 'SELECT'");
        insta::assert_snapshot!(message("CREATE MODEL m INPUT (x INT) OUTPUT (y INT) WITH ('a"), @"line 1, column 51: the text in single quotes that begins here misses its closing '");
    }
}
