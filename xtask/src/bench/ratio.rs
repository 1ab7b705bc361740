//! A ratio of two measurements with its spread.

use std::fmt;

/// The median of ratios that were taken round by round, and the quarters beside it: half of all
/// rounds lie between them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Ratio {
    pub(super) median: f64,
    pub(super) lower: f64,
    pub(super) upper: f64,
}

impl Ratio {
    /// The ratios of what was measured in the same rounds; `None` without rounds.
    pub(super) fn of(ours: &[f64], theirs: &[f64]) -> Option<Self> {
        let ratios = ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs);
        let mut ratios: Vec<_> = ratios.filter(|ratio| ratio.is_finite()).collect();
        ratios.sort_by(f64::total_cmp);
        let last = ratios.len().checked_sub(1)?;
        Some(Self {
            median: ratios[last.div_ceil(2)],
            lower: ratios[last / 4],
            upper: ratios[last - last / 4],
        })
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            median,
            lower,
            upper,
        } = self;
        write!(formatter, "{median:.2} ({lower:.2} to {upper:.2})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_are_compared_one_by_one() {
        // The machine became slower, and the ratio stayed.
        let ours: Vec<_> = (1..=9).map(f64::from).collect();
        let theirs: Vec<_> = ours.iter().map(|time| 2.0 * time).collect();
        let ratio = Ratio::of(&ours, &theirs).unwrap();
        assert_eq!(ratio.to_string(), "0.50 (0.50 to 0.50)");
    }

    #[test]
    fn a_round_that_was_disturbed_does_not_show() {
        let ours = [1.0, 1.1, 0.9, 90.0, 1.0];
        let ratio = Ratio::of(&ours, &[1.0; 5]).unwrap();
        assert_eq!(ratio.to_string(), "1.00 (1.00 to 1.10)");
        assert_eq!(Ratio::of(&[], &[]), None);
        assert_eq!(Ratio::of(&[1.0], &[0.0]), None);
    }
}
