//! The table of exit codes in the guide, from the definition that the command itself uses.

#[path = "../../../crates/triton-cli/src/exit_codes.rs"]
mod definition;

use std::fmt::Write as _;

use anyhow::{Context as _, Result};

use self::definition::Exit;

/// The page, below the workspace's root.
pub(super) const PATH: &str = "docs/guide/command.md";

/// What stands before the table and behind it.
const BEGIN: &str = "<!-- The table is written by `cargo xtask docs`. -->\n";
const END: &str = "<!-- Here it ends. -->\n";

/// The page with the table as it should be.
pub(super) fn render(page: &str) -> Result<String> {
    let parts = page.split_once(BEGIN).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(END)?;
        Some((before, after))
    });
    let (before, after) = parts.with_context(|| {
        format!(
            "{PATH} has no place for the exit codes: put the lines {} and {} where they belong",
            BEGIN.trim(),
            END.trim()
        )
    })?;
    let table = table();
    Ok(format!("{before}{BEGIN}\n{table}\n{END}{after}"))
}

/// The table alone.
pub(super) fn table() -> String {
    let mut table = "| Code | Meaning | In `predict` |\n| --- | --- | --- |\n".to_owned();
    for exit in Exit::ALL {
        let (code, meaning, rows) = (exit.code(), exit.meaning(), exit.of_rows());
        // Writing to a String cannot fail.
        let _ = writeln!(table, "| {code} | {meaning} | {rows} |");
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_takes_the_place_of_an_old_one_and_of_nothing_else() {
        let page = format!("before\n{BEGIN}old\n{END}after\n");
        let written = render(&page).unwrap();
        assert!(written.starts_with(&format!("before\n{BEGIN}\n| Code |")));
        assert!(written.ends_with(&format!("|\n\n{END}after\n")));
        assert_eq!(render(&written).unwrap(), written);
        let refused = render("before\n").unwrap_err().to_string();
        assert!(refused.contains(PATH), "{refused}");
    }
}
