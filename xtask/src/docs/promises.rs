//! The numbered promises of the guide, and the tests that hold them.
//!
//! A page writes `**S7.**` before a promise, and a test says `// Holds S7.` above its attributes. A
//! promise without a test is only a claim, and a number that no page has leads readers nowhere: both
//! fail the check.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, Result};

/// The pages with promises, below the workspace's root, and the letter of each one's numbers.
const PAGES: [(&str, char); 5] = [
    ("docs/guide/sequences.md", 'S'),
    ("docs/guide/model-function.md", 'F'),
    ("docs/guide/command.md", 'C'),
    ("docs/guide/replicas.md", 'R'),
    ("docs/guide/flink.md", 'J'),
];

/// Where the tests are that hold them.
const FOLDERS: [&str; 4] = [
    "crates/triton-model-fn",
    "crates/triton-cli",
    "crates/triton-flink",
    "crates/triton-options",
];

/// A file by its path below the workspace's root, and its text.
type File = (String, String);

/// The number of a promise, as in `S7`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Number {
    page: char,
    number: u32,
}

/// How many promises there are, and everything that is wrong with them.
pub(super) fn check(root: &Path) -> Result<(usize, Vec<String>)> {
    let mut pages = Vec::new();
    for (path, _) in PAGES {
        pages.push((path.to_owned(), fs_err::read_to_string(root.join(path))?));
    }
    let mut sources = Vec::new();
    for folder in FOLDERS {
        sources_below(root, &root.join(folder), &mut sources)?;
    }
    Ok(problems(&pages, &sources))
}

/// Every source in a folder and those within it, in the order of their names.
pub(super) fn sources_below(root: &Path, folder: &Path, sources: &mut Vec<File>) -> Result<()> {
    let mut entries: Vec<_> = fs_err::read_dir(folder)?.collect::<Result<_, _>>()?;
    entries.sort_by_key(fs_err::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            sources_below(root, &path, sources)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root).context("a source lies elsewhere")?;
            let text = fs_err::read_to_string(&path)?;
            sources.push((name.display().to_string(), text));
        }
    }
    Ok(())
}

fn problems(pages: &[File], sources: &[File]) -> (usize, Vec<String>) {
    let mut problems = Vec::new();
    let mut promised = BTreeMap::<Number, String>::new();
    for ((path, text), (_, letter)) in pages.iter().zip(PAGES) {
        for (line, number) in promises(text) {
            if number.page != letter {
                problems.push(format!(
                    "{path}:{line}: the promise {number} has the letter of another page: begin it \
                     with {letter}"
                ));
            } else if let Some(other) = promised.insert(number, format!("{path}:{line}")) {
                problems.push(format!(
                    "{path}:{line}: the number {number} is taken at {other}: give this promise one \
                     that is free"
                ));
            }
        }
    }
    let mut held = BTreeSet::new();
    for (path, text) in sources {
        for holds in holds(text) {
            let line = holds.line;
            let Ok(numbers) = &holds.numbers else {
                problems.push(format!(
                    "{path}:{line}: `{}` names no promises: write it as `// Holds S7, S9.`",
                    holds.text
                ));
                continue;
            };
            if !holds.is_test {
                problems.push(format!(
                    "{path}:{line}: `{}` is not directly above a test that always runs: put it \
                     above the attributes of one",
                    holds.text
                ));
                continue;
            }
            for number in numbers {
                if promised.contains_key(number) {
                    held.insert(*number);
                } else {
                    problems.push(format!(
                        "{path}:{line}: the test names {number}, which {} does not promise: name \
                         the promise that it holds, or write that promise into the page",
                        number.page_path()
                    ));
                }
            }
        }
    }
    for (number, place) in &promised {
        if !held.contains(number) {
            problems.push(format!(
                "{place}: no test holds the promise {number}: write `// Holds {number}.` above the \
                 one that does, or write such a test"
            ));
        }
    }
    (promised.len(), problems)
}

/// Every promise of a page, with its line.
fn promises(page: &str) -> impl Iterator<Item = (usize, Number)> {
    let lines = page.lines().enumerate();
    lines.flat_map(|(index, line)| {
        // Every second piece stands between two pairs of asterisks.
        let bold = line.split("**").skip(1).step_by(2);
        let numbers = bold.filter_map(|text| Number::parse(text.strip_suffix('.')?));
        numbers.map(move |number| (index + 1, number))
    })
}

/// A comment that says which promises a test holds.
struct Holds {
    line: usize,
    text: String,
    numbers: Result<Vec<Number>, ()>,
    is_test: bool,
}

fn holds(source: &str) -> Vec<Holds> {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let comments = lines.iter().enumerate().filter_map(|(index, line)| {
        let comment = line.strip_prefix("///").or(line.strip_prefix("//"))?;
        let numbers = comment.trim_start().strip_prefix("Holds ")?;
        // A sentence that begins so and names no number is about something else.
        let mut characters = numbers.chars();
        let is_number = characters
            .next()
            .is_some_and(|first| first.is_ascii_uppercase())
            && characters
                .next()
                .is_some_and(|second| second.is_ascii_digit());
        is_number.then(|| Holds {
            line: index + 1,
            text: (*line).to_owned(),
            numbers: numbers_of(numbers).ok_or(()),
            is_test: is_test(&lines, index + 1),
        })
    });
    comments.collect()
}

fn numbers_of(text: &str) -> Option<Vec<Number>> {
    let numbers = text.strip_suffix('.')?.split(", ");
    numbers.map(Number::parse).collect()
}

/// Whether the function that begins at `line`, behind comments and attributes, is a test that runs
/// wherever tests run.
fn is_test(lines: &[&str], line: usize) -> bool {
    let mut has_attribute = false;
    for line in &lines[line..] {
        if line.starts_with("#[ignore") {
            return false;
        }
        if line.starts_with("#[") {
            has_attribute |= line.contains("test]") || line.contains("test(");
        } else if !line.starts_with("//") {
            let function = line.strip_prefix("async ").unwrap_or(line);
            let Some(name) = function
                .strip_prefix("fn ")
                .and_then(|rest| rest.split('(').next())
            else {
                return false;
            };
            return has_attribute || is_on_servers(lines, name);
        }
    }
    false
}

/// Whether a function is one of those that `on_both_servers!` or `on_other_servers!` makes tests of.
fn is_on_servers(lines: &[&str], name: &str) -> bool {
    let is_macro =
        |line: &&&str| line.contains("on_both_servers!(") || line.contains("on_other_servers!(");
    let behind = lines.iter().skip_while(|line| !is_macro(line));
    let listed = behind.take_while(|line| !line.starts_with(')'));
    listed
        .flat_map(|line| line.split(['(', ',', ')', ' ']))
        .any(|listed| listed == name)
}

impl Number {
    fn parse(text: &str) -> Option<Self> {
        let mut characters = text.chars();
        let page = characters.next().filter(char::is_ascii_uppercase)?;
        let digits = characters.as_str();
        // `S07` would be another name of the same promise.
        let is_plain = !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit());
        let number = digits.parse().ok().filter(|_| is_plain)?;
        Some(Self { page, number })
    }

    /// The page that its letter stands for.
    fn page_path(self) -> &'static str {
        PAGES
            .iter()
            .find(|(_, letter)| *letter == self.page)
            .map_or("no page", |(path, _)| path)
    }
}

impl std::fmt::Display for Number {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}{}", self.page, self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(sequences: &str, function: &str, source: &str) -> (usize, Vec<String>) {
        let pages = [
            (PAGES[0].0.to_owned(), sequences.to_owned()),
            (PAGES[1].0.to_owned(), function.to_owned()),
        ];
        problems(
            &pages,
            &[("crates/a/src/tests.rs".to_owned(), source.to_owned())],
        )
    }

    #[test]
    fn every_promise_has_a_test_and_every_number_a_promise() {
        let sequences = "# Page\n\n**S1.** Rows are **answered**. **S2.** In order.\n";
        let function = "| **F1.** a | b |\n";
        let source = "\
            // Holds S1, F1.\n#[test]\nfn one() {}\n\n\
            /// What it is about.\n/// Holds S2.\n#[tokio::test(start_paused = true)]\nasync fn two() {}\n";
        assert_eq!(found(sequences, function, source), (3, Vec::new()));

        let (_, problems) = found(
            sequences,
            function,
            "// Holds S1, S9.\n#[test]\nfn one() {}\n",
        );
        assert_eq!(
            problems,
            [
                "crates/a/src/tests.rs:1: the test names S9, which docs/guide/sequences.md does not \
                 promise: name the promise that it holds, or write that promise into the page",
                "docs/guide/model-function.md:1: no test holds the promise F1: write `// Holds F1.` \
                 above the one that does, or write such a test",
                "docs/guide/sequences.md:3: no test holds the promise S2: write `// Holds S2.` above \
                 the one that does, or write such a test",
            ]
        );
    }

    #[test]
    fn what_holds_a_promise_is_a_test_that_runs() {
        let problem = |source: &str| found("**S1.** a\n", "", source).1[0].clone();
        for source in [
            "// Holds S1.\nfn no_test() {}\n",
            "// Holds S1.\n\n#[test]\nfn apart() {}\n",
            "// Holds S1.\n#[test]\n#[ignore = \"slow\"]\nfn seldom() {}\n",
            "// Holds S1.\n",
        ] {
            assert_eq!(
                problem(source),
                "crates/a/src/tests.rs:1: `// Holds S1.` is not directly above a test that always \
                 runs: put it above the attributes of one",
                "{source}"
            );
        }
        let both =
            "on_both_servers!(\n    there,\n);\n\n// Holds S1.\nasync fn there(_: &str) {}\n";
        assert_eq!(found("**S1.** a\n", "", both).1, [""; 0]);
        assert!(problem(&both.replace("    there", "    other")).contains("not directly above"));
        let others = both.replace("on_both_servers", "on_other_servers");
        assert_eq!(found("**S1.** a\n", "", &others).1, [""; 0]);
    }

    #[test]
    fn numbers_are_written_in_one_way() {
        let (_, problems) = found(
            "**S1.** a\n**S1.** b\n**F2.** c\n",
            "",
            "// Holds S1 and more\n",
        );
        assert_eq!(
            problems,
            [
                "docs/guide/sequences.md:2: the number S1 is taken at docs/guide/sequences.md:1: give \
                 this promise one that is free",
                "docs/guide/sequences.md:3: the promise F2 has the letter of another page: begin it \
                 with S",
                "crates/a/src/tests.rs:1: `// Holds S1 and more` names no promises: write it as \
                 `// Holds S7, S9.`",
                "docs/guide/sequences.md:2: no test holds the promise S1: write `// Holds S1.` above \
                 the one that does, or write such a test",
            ]
        );
        // Bold text and sentences that are about something else.
        let (count, problems) = found("**S.** **A1** **S01.**\n", "", "// Holds the row.\n");
        assert_eq!((count, problems), (0, Vec::new()));
    }
}
