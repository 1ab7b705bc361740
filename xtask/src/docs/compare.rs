//! Finds every difference between the pages that should be and the files that are.

use std::collections::BTreeMap;

use triton_options::render::{COLUMNS, Page};

use super::table::{Row, rows};

/// What is wrong with the files, each line beginning with a file's name; empty if nothing is.
///
/// Rows are compared in both directions and in every column. What differs outside of them is
/// found by comparing the whole file.
pub(super) fn problems(pages: &[Page], files: &BTreeMap<String, Vec<u8>>) -> Vec<String> {
    let mut problems = Vec::new();
    for page in pages {
        let name = &page.file_name;
        match files.get(name) {
            None => problems.push(format!("{name}: is missing")),
            Some(file) => {
                let found = page_problems(page, file);
                problems.extend(
                    found
                        .into_iter()
                        .map(|problem| format!("{name}: {problem}")),
                );
            }
        }
    }
    for name in files.keys() {
        if pages.iter().all(|page| page.file_name != *name) {
            problems.push(format!("{name}: is an orphan: nothing generates it"));
        }
    }
    problems
}

fn page_problems(page: &Page, file: &[u8]) -> Vec<String> {
    if file == page.text.as_bytes() {
        return Vec::new();
    }
    let Ok(text) = std::str::from_utf8(file) else {
        return vec!["is not UTF-8 text".to_owned()];
    };
    let (expected, found) = match (
        rows(&page.file_name, &page.text),
        rows(&page.file_name, text),
    ) {
        (Ok(expected), Ok(found)) => (expected, found),
        (Err(error), _) | (_, Err(error)) => return vec![error],
    };
    let mut problems = row_problems(&expected, &found);
    if problems.is_empty() {
        problems.push(format!(
            "was edited by hand: {}",
            first_difference(&page.text, text)
        ));
    }
    problems
}

fn row_problems(expected: &[Row], found: &[Row]) -> Vec<String> {
    let mut problems = Vec::new();
    for row in expected {
        let key = &row[0];
        let mut same_key = found.iter().filter(|other| other[0] == *key);
        let Some(other) = same_key.next() else {
            problems.push(format!("option {key} is missing"));
            continue;
        };
        if same_key.next().is_some() {
            problems.push(format!("option {key} stands in it more than once"));
        }
        for (column, heading) in COLUMNS.iter().enumerate().skip(1) {
            if row[column] != other[column] {
                problems.push(format!(
                    "option {key} is stale: {heading} is '{}', expected '{}'",
                    other[column], row[column]
                ));
            }
        }
    }
    for row in found {
        if expected.iter().all(|other| other[0] != row[0]) {
            problems.push(format!(
                "option {} is unknown: no such option is defined",
                row[0]
            ));
        }
    }
    problems
}

pub(super) fn first_difference(expected: &str, found: &str) -> String {
    let mut lines = (1..).zip(expected.split('\n').zip(found.split('\n')));
    match lines.find(|(_, (expected, found))| expected != found) {
        Some((number, (expected, found))) => {
            format!(
                "line {number} is '{}', expected '{}'",
                found.trim(),
                expected.trim()
            )
        }
        None => "it ends too early or too late".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use triton_options::render;

    use super::*;

    const HTML: &str = "model_triton_common_section.html";
    const MARKDOWN: &str = "triton_configuration.md";

    fn committed() -> BTreeMap<String, Vec<u8>> {
        let pages = render::pages().into_iter();
        pages
            .map(|page| (page.file_name, page.text.into_bytes()))
            .collect()
    }

    /// The problems after one file was changed.
    fn after(name: &str, change: impl FnOnce(String) -> String) -> Vec<String> {
        let mut files = committed();
        let file = files.get_mut(name).unwrap();
        let changed = change(String::from_utf8(file.clone()).unwrap());
        assert_ne!(
            changed.as_bytes(),
            file.as_slice(),
            "the test changes nothing"
        );
        *file = changed.into_bytes();
        problems(&render::pages(), &files)
    }

    fn without_lines_of(text: &str, begin: &str, end: &str) -> String {
        let start = text.find(begin).unwrap();
        let stop = start + text[start..].find(end).unwrap() + end.len();
        format!("{}{}", &text[..start], &text[stop..])
    }

    #[test]
    fn what_was_just_generated_has_no_problems() {
        assert_eq!(
            problems(&render::pages(), &committed()),
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_deleted_row_is_named() {
        let found = after(HTML, |text| {
            let row = text.find("<h5 id=\"timeout\">").unwrap();
            let start = text[..row].rfind("        <tr>").unwrap();
            let before = &text[..start];
            format!(
                "{before}{}",
                without_lines_of(&text[start..], "        <tr>", "</tr>\n")
            )
        });
        assert_eq!(
            found,
            ["model_triton_common_section.html: option timeout is missing"]
        );
        let found = after(MARKDOWN, |text| {
            without_lines_of(&text, "| `timeout`", "\n")
        });
        assert_eq!(
            found,
            ["triton_configuration.md: option `timeout` is missing"]
        );
    }

    #[test]
    fn a_changed_cell_is_named_with_its_column() {
        let found = after(MARKDOWN, |text| {
            text.replace(
                "`timeout` | 30 s | Duration |",
                "`timeout` | 30 s | Integer |",
            )
        });
        assert_eq!(
            found,
            [
                "triton_configuration.md: option `timeout` is stale: Type is 'Integer', expected \
              'Duration'"
            ]
        );
        let found = after(HTML, |text| text.replace("30 s", "31 s"));
        assert_eq!(
            found,
            [
                "model_triton_common_section.html: option timeout is stale: Default is '31 s', \
              expected '30 s'"
            ]
        );
        let found = after(HTML, |text| {
            text.replace("Name of the model", "Name of the muddle")
        });
        assert!(
            found[0].contains("option model-name is stale: Description"),
            "{found:?}"
        );
    }

    #[test]
    fn an_unknown_option_and_a_doubled_one_are_named() {
        let row = "| `colour` | (none) | String | None. |\n";
        let found = after(MARKDOWN, |text| format!("{text}{row}{row}"));
        assert_eq!(found.len(), 2);
        assert!(found[0].contains("option `colour` is unknown"), "{found:?}");
        let found = after(MARKDOWN, |text| {
            let start = text.find("| `timeout`").unwrap();
            let row = text[start..].lines().next().unwrap().to_owned();
            text.replace(&row, &format!("{row}\n{row}"))
        });
        assert!(found[0].contains("more than once"), "{found:?}");
    }

    #[test]
    fn an_edit_outside_of_the_rows_is_found() {
        let found = after(HTML, |text| text.replace("width: 20%", "width: 21%"));
        assert!(found[0].contains("was edited by hand: line 4"), "{found:?}");
        let found = after(HTML, |text| format!("{text}\n"));
        assert!(found[0].contains("was edited by hand"), "{found:?}");
        let found = after(HTML, |text| text.replace('\n', "\r\n"));
        assert!(!found.is_empty());
    }

    #[test]
    fn missing_unreadable_and_orphan_files_are_named_together() {
        let mut files = committed();
        files.remove(HTML);
        files.insert(MARKDOWN.to_owned(), vec![0xff]);
        files.insert("old_section.html".to_owned(), Vec::new());
        assert_eq!(
            problems(&render::pages(), &files),
            [
                "model_triton_common_section.html: is missing",
                "triton_configuration.md: is not UTF-8 text",
                "old_section.html: is an orphan: nothing generates it",
            ]
        );
    }

    #[test]
    fn malformed_html_is_a_problem() {
        let found = after(HTML, |text| text.replace("</td>", "</td"));
        assert!(!found.is_empty());
    }
}
