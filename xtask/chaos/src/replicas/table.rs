//! What a run comes to, as lines of a table.

use super::arrived;
use super::disturbance::Disturbance;
use super::{Answers, Plan};
use crate::journal::Arrived;
use crate::options::Lane;

/// How far from the others a server may be that nothing happens to.
const SPREAD: f64 = 0.1;

/// The table: its lines are printed as they come.
#[derive(Default)]
pub(super) struct Table {
    is_broken: bool,
}

/// What came of one client.
pub(super) struct Line {
    client: &'static str,
    wrong: usize,
    lost: usize,
    /// Rows that a sequence had twice, or that came out of their order.
    doubled: usize,
    marked: usize,
    arrived: Vec<usize>,
    seconds: f64,
    failures: Vec<String>,
}

impl Line {
    pub(super) fn new(
        plan: &Plan,
        client: &'static str,
        answers: &Answers,
        arrived: &[Vec<Arrived>],
        seconds: f64,
    ) -> Self {
        let places = (0..plan.keys).flat_map(|key| (0..plan.rows).map(move |row| (key, row)));
        let wrong = places.zip(&answers.numbers).filter(|((key, row), answer)| {
            answer.is_some_and(|answer| answer != plan.expected(*key, *row))
        });
        Self {
            client,
            wrong: wrong.count(),
            lost: answers.numbers.iter().filter(|it| it.is_none()).count(),
            doubled: arrived::misplaced(plan, arrived),
            marked: answers.marked,
            arrived: arrived.iter().map(Vec::len).collect(),
            seconds,
            failures: answers.failures.clone(),
        }
    }

    fn is_even(&self) -> bool {
        let mean = self.arrived.iter().sum::<usize>() as f64 / self.arrived.len() as f64;
        let is_near = |count: &usize| (*count as f64 - mean).abs() <= mean * SPREAD;
        self.arrived.iter().all(is_near)
    }
}

impl Table {
    pub(super) const HEADING: &str = "| What happens | Rows | Client | Wrong | Lost | Doubled | Marked | At each server | Sent again | Time |\n| --- | --- | --- | --: | --: | --: | --: | --- | --: | --: |";

    pub(super) fn add(&mut self, plan: &Plan, line: &Line) {
        let rows = plan.keys * plan.rows;
        let kind = match plan.lane {
            Lane::Stateless => "without a sequence",
            _ => "with keys",
        };
        let arrived: Vec<String> = line.arrived.iter().map(ToString::to_string).collect();
        println!(
            "| {} | {rows} {kind} | {} | {} | {} | {} | {} | {} | {} | {:.1} s |",
            plan.disturbance,
            line.client,
            line.wrong,
            line.lost,
            line.doubled,
            line.marked,
            arrived.join(", "),
            line.arrived.iter().sum::<usize>().saturating_sub(rows),
            line.seconds,
        );
        if line.client != "ours" {
            return;
        }
        // Rows without sequences go where less is in flight, and servers of one machine are not equally
        // fast at every moment.
        let is_asked = plan.disturbance == Disturbance::Nothing && plan.lane != Lane::Stateless;
        let is_even = !is_asked || line.is_even();
        if !is_even {
            eprintln!("  broken: the servers' shares differ by more than a tenth");
        }
        for failure in line.failures.iter().take(5) {
            eprintln!("  lost: {failure}");
        }
        self.is_broken |= !is_even || line.wrong + line.lost + line.doubled + line.marked > 0;
    }

    pub(super) fn is_right(&self) -> bool {
        !self.is_broken
    }
}
