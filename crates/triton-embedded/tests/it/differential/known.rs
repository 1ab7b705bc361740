//! The known differences, which are a table in the guide: cases and reasons.

use std::collections::BTreeSet;

const GUIDE: &str = include_str!("../../../../../docs/guide/embedded-server.md");

/// The names of the cases in the last column of the table.
pub(crate) fn cases() -> BTreeSet<String> {
    let heading = "## Known differences";
    let (_, section) = GUIDE
        .split_once(heading)
        .expect("the guide has the section");
    let rows = section.lines().filter(|line| line.starts_with("| "));
    let mut cases = BTreeSet::new();
    // The heading of the table is a row, too.
    for row in rows.skip(1) {
        let columns: Vec<&str> = row.trim_matches('|').split(" | ").collect();
        let [difference, reason, names] = columns[..] else {
            panic!("a row needs a difference, a reason and cases: {row}");
        };
        assert!(!reason.trim().is_empty(), "no reason for{difference}");
        let names = names.split('`').skip(1).step_by(2);
        cases.extend(names.map(str::to_owned));
    }
    cases
}
