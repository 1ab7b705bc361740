//! The guide shows the table that the tests run.

use std::fmt::Write as _;
use std::path::Path;

use super::cases::{self, Case, Typed};

/// Where the page is, below the crate.
const PAGE: &str = "../../docs/guide/column-types.md";

/// Where the table begins and ends in it.
const MARKS: [&str; 2] = [
    "<!-- The tests write this table. -->\n",
    "<!-- Its end. -->\n",
];

/// Set, it makes the test write the table.
const WRITE: &str = "TRITON_TEST_WRITE_PAGES";

#[test]
fn the_guide_shows_the_table_that_is_tested() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(MARKS[0]).unwrap();
    let (found, after) = rest.split_once(MARKS[1]).unwrap();
    let table = table(&cases::all());
    if std::env::var_os(WRITE).is_some() {
        let page = [before, MARKS[0], &table, MARKS[1], after].concat();
        std::fs::write(&path, page).unwrap();
        return;
    }
    assert_eq!(
        found, table,
        "the table of {PAGE} is not what is tested; write it with \
         {WRITE}=1 cargo test -p triton-cli --test it typed_values::page"
    );
}

fn table(cases: &[Case]) -> String {
    let mut table = String::from(
        "\n| Type | To CSV | To NDJSON | To Parquet | To Arrow, file or stream |\n\
         | --- | --- | --- | --- | --- |\n",
    );
    for case in cases {
        let (cells, members): (Vec<_>, Vec<_>) = case.texts.iter().cloned().unzip();
        let _ = writeln!(
            table,
            "| {} | {} | {} | {} | {} |",
            case.name,
            shown(&cells),
            shown(&members),
            typed(&case.parquet),
            typed(&case.arrow)
        );
    }
    table.push('\n');
    table
}

fn typed(typed: &Typed) -> &'static str {
    match typed {
        Typed::Kept => "as it is",
        Typed::As(note, _) => note,
        Typed::Refused => "refused",
    }
}

/// The texts of the rows; of NULL, with which most columns end, only where it is all there is.
fn shown(texts: &[String]) -> String {
    let is_null = |text: &&String| text.is_empty() || *text == "null";
    let mut texts: Vec<&String> = texts.iter().collect();
    while texts.len() > 1 && texts.last().is_some_and(is_null) {
        texts.pop();
    }
    let texts = texts.into_iter().map(|text| match text.as_str() {
        "" => "(empty)".to_owned(),
        text => format!("`{}`", text.replace('\n', "⏎").replace('|', "\\|")),
    });
    texts.collect::<Vec<_>>().join(", ")
}
