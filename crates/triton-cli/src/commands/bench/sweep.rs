//! Loads one after the other: which ones a range asks for, and the search for the highest one that
//! keeps what is asserted.

/// The most loads of a range.
const MOST: usize = 100;

/// A search ends where the load that held and the one that did not are so close to each other.
const CLOSE: f64 = 0.05;

/// The loads that an argument names, the least first.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Range {
    loads: Vec<f64>,
    /// Whether it was written as one load, not as several.
    is_single: bool,
}

impl Range {
    pub(super) fn single(load: f64) -> Self {
        let (loads, is_single) = (vec![load], true);
        Self { loads, is_single }
    }

    /// Reads `8`, `1,4,16`, `1:32` (each twice the one before) or `100:1000:100`.
    pub(super) fn parse(
        text: &str,
        number: impl Fn(&str) -> Result<f64, String>,
    ) -> Result<Self, String> {
        let listed: Result<Vec<f64>, String> = text.split(',').map(&number).collect();
        if let Ok(mut loads) = listed {
            loads.sort_by(f64::total_cmp);
            loads.dedup();
            let is_single = loads.len() == 1;
            return Self { loads, is_single }.checked();
        }
        let parts: Vec<&str> = text.split(':').collect();
        let (first, last, step) = match parts.as_slice() {
            [first, last] => (number(first)?, number(last)?, None),
            [first, last, step] => (number(first)?, number(last)?, Some(number(step)?)),
            _ => return listed.map(|_| Self::single(0.0)),
        };
        if first >= last {
            return Err(format!(
                "expected FROM:TO or FROM:TO:STEP with FROM less than TO, found {first} and {last}"
            ));
        }
        let mut loads = vec![first];
        while loads.len() <= MOST {
            let before = loads[loads.len() - 1];
            let next = match step {
                Some(_) if before >= last => break,
                // From the count, so that no error adds up.
                Some(step) => first + step * loads.len() as f64,
                None if before >= last => break,
                None => before * 2.0,
            };
            loads.push(next.min(last));
        }
        let is_single = false;
        Self { loads, is_single }.checked()
    }

    fn checked(self) -> Result<Self, String> {
        match self.loads.len() <= MOST {
            true => Ok(self),
            false => Err(format!("expected at most {MOST} loads; take larger steps")),
        }
    }

    pub(super) fn loads(&self) -> &[f64] {
        &self.loads
    }

    /// Whether it is one load, as it was before there were ranges.
    pub(super) fn is_single(&self) -> bool {
        self.is_single
    }

    pub(super) fn least(&self) -> f64 {
        self.loads[0]
    }

    pub(super) fn highest(&self) -> f64 {
        self.loads[self.loads.len() - 1]
    }
}

/// A search for the highest load that holds: upwards from the least in doubles, so that the server
/// is not overloaded before that is known to be needed, then between the last that held and the
/// first that did not.
#[derive(Debug)]
pub(super) struct Search {
    least: f64,
    most: f64,
    /// Whether loads are whole numbers.
    whole: bool,
    held: Option<f64>,
    failed: Option<f64>,
}

impl Search {
    pub(super) fn new(range: &Range, whole: bool) -> Self {
        Self {
            least: range.least(),
            most: range.highest(),
            whole,
            held: None,
            failed: None,
        }
    }

    /// The load to try next; none once the highest is known.
    pub(super) fn next(&self) -> Option<f64> {
        let next = match (self.held, self.failed) {
            (None, None) => return Some(self.least),
            (None, Some(_)) => return None,
            (Some(held), None) if held >= self.most => return None,
            (Some(held), None) => (held * 2.0).min(self.most),
            (Some(held), Some(failed)) if failed - held <= held * CLOSE => return None,
            (Some(held), Some(failed)) => (held + failed) / 2.0,
        };
        let next = match self.whole {
            true => next.floor(),
            // Three digits are more than a measurement tells apart.
            false => round(next),
        };
        let known = [self.held, self.failed];
        (!known.contains(&Some(next))).then_some(next)
    }

    /// What came of a load.
    pub(super) fn tried(&mut self, load: f64, held: bool) {
        match held {
            true => self.held = Some(load),
            false => self.failed = Some(load),
        }
    }

    /// The highest load that held so far.
    pub(super) fn highest(&self) -> Option<f64> {
        self.held
    }

    /// Whether a higher load than any that was asked for may hold, too.
    pub(super) fn is_open(&self) -> bool {
        self.failed.is_none()
    }
}

/// A number with three digits.
fn round(number: f64) -> f64 {
    let unit = 10_f64.powf(number.log10().floor() - 2.0);
    let rounded = (number / unit).round() * unit;
    // What the division has left behind the last digit goes with it.
    format!("{rounded:.6}").parse().unwrap_or(rounded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Result<f64, String> {
        let number = text.parse().ok().filter(|number| *number > 0.0);
        number.ok_or_else(|| format!("no number: {text}"))
    }

    #[test]
    fn ranges_double_unless_they_have_steps() {
        let loads = |text| Range::parse(text, number).map(|range| range.loads);
        assert_eq!(loads("8"), Ok(vec![8.0]));
        assert_eq!(loads("16,1,4,4"), Ok(vec![1.0, 4.0, 16.0]));
        assert_eq!(loads("1:32"), Ok(vec![1.0, 2.0, 4.0, 8.0, 16.0, 32.0]));
        assert_eq!(
            loads("100:1000"),
            Ok(vec![100.0, 200.0, 400.0, 800.0, 1000.0])
        );
        assert_eq!(loads("1:2:0.5"), Ok(vec![1.0, 1.5, 2.0]));
        assert_eq!(loads("10:35:10"), Ok(vec![10.0, 20.0, 30.0, 35.0]));
        for text in [
            "", "a", "1:", ":2", "0:3", "1:2:0", "1:2:3:4", "4:2", "2:2", "1:1000:1",
        ] {
            assert!(loads(text).is_err(), "{text}");
        }
        assert!(Range::parse("8", number).is_ok_and(|range| range.is_single()));
        assert!(Range::parse("1:2", number).is_ok_and(|range| !range.is_single()));
    }

    /// The loads that a search tries on a server that holds up to `limit`, and what it finds.
    fn tried(text: &str, whole: bool, limit: f64) -> (Vec<f64>, Option<f64>) {
        let range = Range::parse(text, number).unwrap();
        let mut search = Search::new(&range, whole);
        let mut tried = Vec::new();
        while let Some(load) = search.next() {
            tried.push(load);
            search.tried(load, load <= limit);
            assert!(tried.len() < 30, "{tried:?}");
        }
        (tried, search.highest())
    }

    #[test]
    fn a_search_goes_up_in_doubles_and_then_between() {
        let (loads, found) = tried("100:1000", false, 730.0);
        assert_eq!(
            loads,
            [100.0, 200.0, 400.0, 800.0, 600.0, 700.0, 750.0, 725.0]
        );
        assert_eq!(found, Some(725.0));
        assert_eq!(tried("100:1000", false, 50.0), (vec![100.0], None));
        let (loads, found) = tried("1:32", true, 100.0);
        assert_eq!((loads.len(), found), (6, Some(32.0)));
        assert_eq!(
            tried("1:32", true, 5.0),
            (vec![1.0, 2.0, 4.0, 8.0, 6.0, 5.0], Some(5.0))
        );
        assert_eq!(round(123.456), 123.0);
        assert_eq!(round(0.012345), 0.0123);
    }
}
