//! Sees to it that tests which are chosen by their names are there: a filter that meets no test, because
//! the test was renamed, runs nothing, and that passes.

use std::process::{Command, Stdio};

use anyhow::{Result, ensure};

use crate::command;

/// What a test program runs.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Filters<'a> {
    names: Vec<&'a str>,
    /// Whether each is the whole name of a test, and not a part of one.
    are_exact: bool,
}

/// Options of a test program whose value is an argument of its own.
const WITH_VALUE: [&str; 7] = [
    "--color",
    "--format",
    "--logfile",
    "--shuffle-seed",
    "--skip",
    "--test-threads",
    "-Z",
];

impl<'a> Filters<'a> {
    /// Parts of names.
    pub(crate) fn parts(names: &[&'a str]) -> Self {
        Self {
            names: names.to_vec(),
            are_exact: false,
        }
    }

    /// Those among the arguments of `cargo test`: what follows its `--` goes to the test programs.
    pub(crate) fn of(arguments: &'a [String]) -> Self {
        let mut filters = Self::default();
        let mut arguments = arguments.iter().map(String::as_str);
        if !arguments.by_ref().any(|argument| argument == "--") {
            return filters;
        }
        while let Some(argument) = arguments.next() {
            match argument {
                "--exact" => filters.are_exact = true,
                _ if WITH_VALUE.contains(&argument) => _ = arguments.next(),
                _ if argument.starts_with('-') => {}
                name => filters.names.push(name),
            }
        }
        filters
    }

    /// Fails unless each of them meets a test; `tests` is the command that runs them, without what
    /// its test programs would be told.
    pub(crate) fn check(&self, tests: &mut Command) -> Result<()> {
        if self.names.is_empty() {
            return Ok(());
        }
        tests.arg("--list").stderr(Stdio::inherit());
        let output = tests.output()?;
        let described = command::describe(tests);
        ensure!(output.status.success(), "`{described}` failed");
        let unmet = self.unmet(&String::from_utf8_lossy(&output.stdout));
        ensure!(
            unmet.is_empty(),
            "no test is called {}: `{described}` shows how they are called now",
            unmet.join(", ")
        );
        Ok(())
    }

    /// Those that meet none of the tests that `--list` has printed.
    fn unmet(&self, listed: &str) -> Vec<&'a str> {
        let tests: Vec<&str> = listed
            .lines()
            .filter_map(|line| line.strip_suffix(": test"))
            .collect();
        let meets = |name: &str| {
            tests.iter().any(|test| match self.are_exact {
                true => *test == name,
                false => test.contains(name),
            })
        };
        let names = self.names.iter().copied();
        names.filter(|name| !meets(name)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTED: &str = "\
machine::tests::a_place_is_given_back: test
loom_tests::loom_one: test
benches::slow: benchmark

2 tests, 1 benchmark
other::b: test

1 test, 0 benchmarks
";

    #[test]
    fn a_name_that_no_test_has_is_found() {
        let parts = Filters::parts(&["machine::", "loom_", "renamed::", "slow"]);
        assert_eq!(parts.unmet(LISTED), ["renamed::", "slow"]);
        let exact = Filters {
            names: vec!["other::b", "other", "tests, 1 benchmark"],
            are_exact: true,
        };
        assert_eq!(exact.unmet(LISTED), ["other", "tests, 1 benchmark"]);
        assert_eq!(Filters::parts(&["other"]).unmet(""), ["other"]);
    }

    #[test]
    fn the_names_are_what_follows_and_is_no_option() {
        let of = |text: &str| {
            let arguments: Vec<_> = text.split(' ').map(str::to_owned).collect();
            let Filters { names, are_exact } = Filters::of(&arguments);
            let names: Vec<_> = names.into_iter().map(str::to_owned).collect();
            (names.join(" "), are_exact)
        };
        let expected = |names: &str, are_exact| (names.to_owned(), are_exact);
        assert_eq!(of("-p x --test it a"), expected("", false));
        assert_eq!(of("--test it -- --exact a b"), expected("a b", true));
        let options = "-- a --skip b --nocapture --test-threads 1 --test-threads=2 c";
        assert_eq!(of(options), expected("a c", false));
    }

    #[test]
    fn a_run_of_no_test_fails() {
        let listing = |filters: &[&str]| {
            // It prints its arguments, of which `--list` is the last.
            let mut program = Command::new("printf");
            program.arg("one::two: test\\n%s");
            Filters::parts(filters).check(&mut program)
        };
        assert!(listing(&["two"]).is_ok());
        let error = listing(&["two", "three"]).unwrap_err().to_string();
        assert!(error.starts_with("no test is called three: "), "{error}");
    }
}
