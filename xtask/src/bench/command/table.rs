//! The table of a run in Markdown.

use std::fmt::Write as _;

use super::growth::Curve;
use super::machine::Machine;
use super::work::Beside;
use crate::bench::ratio::Ratio;

/// A work beside one peer.
pub(super) struct Row {
    pub(super) work: &'static str,
    /// What a row costs the command.
    pub(super) microseconds: Option<Ratio>,
    pub(super) target: Option<f64>,
    pub(super) beside: Beside,
    /// The processor time of the command as a multiple of what the peer takes.
    pub(super) ratio: Option<Ratio>,
    /// The most that it may be.
    pub(super) most: Option<f64>,
    /// Rows a second as a multiple of the peer's.
    pub(super) rate: Option<Ratio>,
    /// The processors at work, those of the server included.
    pub(super) busy: Option<Ratio>,
    pub(super) instructions: Option<f64>,
    pub(super) note: String,
}

impl Row {
    /// What was to be reached, and whether it was.
    pub(super) fn verdict(&self) -> String {
        let judge = |found: Option<Ratio>, most: f64, unit: &str| {
            let word = match found {
                Some(found) if found.median <= most => "met",
                Some(_) => "missed",
                None => "not measured",
            };
            format!("≤ {most}{unit}: {word}")
        };
        let own = self
            .target
            .map(|most| judge(self.microseconds, most, " µs"));
        let beside = self.most.map(|most| judge(self.ratio, most, " ×"));
        let verdicts: Vec<_> = own.into_iter().chain(beside).collect();
        verdicts.join("; ")
    }

    pub(super) fn cells(&self) -> [String; 8] {
        let show = |value: Option<String>| value.unwrap_or_else(|| "–".to_owned());
        [
            self.work.to_owned(),
            show(self.microseconds.map(number)),
            show(self.instructions.map(|count| format!("{count:.0}"))),
            self.beside.title().to_owned(),
            show(self.ratio.map(|ratio| ratio.to_string())),
            show(self.rate.map(|rate| format!("{:.2}", rate.median))),
            self.verdict(),
            match (self.beside, self.busy) {
                (Beside::OneSubtask, Some(busy)) => {
                    format!("{:.2} processors at work, server included", busy.median)
                }
                _ => self.note.clone(),
            },
        ]
    }
}

fn number(ratio: Ratio) -> String {
    match ratio.median {
        many if many >= 100.0 => format!("{many:.0}"),
        few => format!("{few:.2}"),
    }
}

pub(super) const HEADINGS: [&str; 8] = [
    "Work",
    "µs a row",
    "Instructions a row",
    "Beside",
    "CPU, × the peer's",
    "Rows/s, × the peer's",
    "Target",
    "Note",
];

/// The rows as a table.
pub(super) fn text(rows: &[Row]) -> String {
    let mut text = format!(
        "| {} |\n| --- | ---: | ---: | --- | --- | ---: | --- | --- |\n",
        HEADINGS.join(" | ")
    );
    for row in rows {
        // Writing to a String cannot fail, here and below.
        let _ = writeln!(text, "| {} |", row.cells().join(" | "));
    }
    text
}

/// All that is said in text.
pub(super) fn page(rows: &[Row], curves: &[Curve], machine: &Machine) -> String {
    let mut page = String::new();
    if !rows.is_empty() {
        page.push_str(&text(rows));
        page.push('\n');
    }
    for curve in curves {
        let _ = write!(
            page,
            "{}: µs a row (expected: {})\n\n| | measured | expected |\n| ---: | ---: | ---: |\n",
            curve.title, curve.expected_as
        );
        for (size, measured, expected) in &curve.points {
            let _ = writeln!(page, "| {size} | {measured:.2} | {expected:.2} |");
        }
        page.push('\n');
    }
    for (name, value) in &machine.lines {
        let _ = writeln!(page, "- {name}: {value}");
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_whether_each_of_its_targets_is_met() {
        let ratio = |value| Ratio::of(&[value], &[1.0]);
        let row = Row {
            work: "CSV",
            microseconds: ratio(2.0),
            target: Some(1.5),
            beside: Beside::DuckDb,
            ratio: ratio(3.0),
            most: Some(4.0),
            rate: None,
            busy: None,
            instructions: None,
            note: String::new(),
        };
        assert_eq!(row.verdict(), "≤ 1.5 µs: missed; ≤ 4 ×: met");
    }
}
