//! The table of a run: ratios, and nothing that depends on the machine.

use std::fmt;
use std::time::Duration;

use bench_rounds::Case;

use super::peer::Peer;
use super::ratio::Ratio;
use super::rounds::Clock;

/// What each of the peers took for one request.
pub(super) struct Cost {
    /// Round by round.
    pub(super) times: Vec<Vec<Duration>>,
    pub(super) instructions: Vec<Option<f64>>,
}

pub(super) struct Table {
    clock: Clock,
    rows: Vec<Row>,
}

struct Row {
    case: &'static str,
    ours: Peer,
    peer: Peer,
    time: Option<Ratio>,
    instructions: Option<f64>,
}

impl Table {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            rows: Vec::new(),
        }
    }

    /// Adds a case, of which the first peers are ours: each is compared with each of the others.
    pub(super) fn add(&mut self, case: &'static Case, ours: usize, peers: &[Peer], cost: &Cost) {
        let times: Vec<Vec<_>> = cost
            .times
            .iter()
            .map(|times| times.iter().map(Duration::as_secs_f64).collect())
            .collect();
        let counts = &cost.instructions;
        let counted = |index: usize| counts.get(index).copied().flatten();
        for (place, our) in peers.iter().enumerate().take(ours) {
            for (index, peer) in peers.iter().enumerate().skip(ours) {
                self.rows.push(Row {
                    case: case.name,
                    ours: *our,
                    peer: *peer,
                    time: Ratio::of(&times[place], &times[index]),
                    instructions: counted(place)
                        .zip(counted(index))
                        .map(|(ours, theirs)| ours / theirs),
                });
            }
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "What a request takes, as a multiple of what the peer takes: the median of all rounds\n\
             (and the middle half of them).\n\n\
             | Case | Measured | Peer | {} | Instructions |\n\
             | --- | --- | --- | --- | --- |",
            match self.clock {
                Clock::Processor => "Processor time",
                Clock::Wall => "Time",
            }
        )?;
        for row in &self.rows {
            let show = |value: Option<String>| value.unwrap_or_else(|| "–".to_owned());
            writeln!(
                formatter,
                "| {} | {} | {} | {} | {} |",
                row.case,
                row.ours.title(),
                row.peer.title(),
                show(row.time.map(|ratio| ratio.to_string())),
                show(row.instructions.map(|ratio| format!("{ratio:.2}"))),
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bench_rounds::CASES;

    use super::*;

    #[test]
    fn a_row_compares_the_client_with_one_peer() {
        let mut table = Table::new(Clock::Processor);
        let peers = [Peer::Client, Peer::Bare, Peer::PerfAnalyzer];
        let times = [[12, 24], [10, 20], [6, 12]];
        let times = times.map(|times| times.map(Duration::from_micros).to_vec());
        let cost = Cost {
            times: times.to_vec(),
            instructions: vec![Some(300.0), Some(200.0), None],
        };
        table.add(&CASES[0], 1, &peers, &cost);
        let shown = table.to_string();
        let rows: Vec<_> = shown.lines().skip(5).collect();
        let expected = [
            "| small-binary | this client | a bare POST of the same bytes | 1.20 (1.20 to 1.20) | 1.50 |",
            "| small-binary | this client | `perf_analyzer` (C++) | 2.00 (2.00 to 2.00) | – |",
        ];
        assert_eq!(rows, expected);
    }
}
