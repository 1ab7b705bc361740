//! The values that travel, and whether an answer brought them back.

use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, Ordering};

/// Of a long answer so many elements are looked at while the time counts.
const SAMPLES: usize = 64;

/// Numbers as a normalized picture has them, from -0.5 to 0.5 with all the digits of an FP32.
///
/// A multiplicative generator with steps of 2^-24, so that each value is exact in every language.
pub fn values(count: usize) -> Vec<f32> {
    let value = |index: usize| {
        let mixed = (index as u32).wrapping_add(1).wrapping_mul(2_654_435_761);
        ((mixed >> 8) as f32 - 8_388_608.0) / 16_777_216.0
    };
    (0..count).map(value).collect()
}

/// What each answer has to bring.
///
/// The first answer is compared as a whole. Later ones are compared in length and in some places,
/// so that the comparison does not become what is measured.
#[derive(Debug)]
pub struct Expected<T> {
    elements: Vec<T>,
    was_right: AtomicBool,
}

impl<T: PartialEq + Debug> Expected<T> {
    /// Expects these elements in this order.
    pub fn new(elements: Vec<T>) -> Self {
        Self {
            elements,
            was_right: AtomicBool::new(false),
        }
    }

    /// Compares an answer.
    ///
    /// # Errors
    ///
    /// Where the first difference is.
    pub fn check(&self, found: &[T]) -> Result<(), String> {
        if found.len() != self.elements.len() {
            let (expected, found) = (self.elements.len(), found.len());
            return Err(format!("expected {expected} elements, found {found}"));
        }
        let step = match self.was_right.load(Ordering::Relaxed) {
            true => found.len().div_ceil(SAMPLES).max(1),
            false => 1,
        };
        // The last element tells that the whole of an answer was there.
        let last = found.len().checked_sub(1);
        for index in (0..found.len()).step_by(step).chain(last) {
            let (expected, found) = (&self.elements[index], &found[index]);
            if expected != found {
                return Err(format!(
                    "expected {expected:?} as element {index}, found {found:?}"
                ));
            }
        }
        self.was_right.store(true, Ordering::Relaxed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_exact_and_differ() {
        let values = values(3);
        assert_eq!(values, [0.118_033_946, -0.263_932_05, 0.354_101_96]);
        let exact = |value: &f32| (f64::from(*value) * 16_777_216.0).fract() == 0.0;
        assert!(values.iter().all(exact));
    }

    #[test]
    fn the_first_answer_is_compared_as_a_whole_and_later_ones_in_places() {
        let expected = Expected::new((0..1000).collect::<Vec<_>>());
        let mut answer: Vec<_> = (0..1000).collect();
        answer[1] = 7;
        let fault = "expected 1 as element 1, found 7".to_owned();
        assert_eq!(expected.check(&answer), Err(fault));
        assert_eq!(expected.check(&(0..1000).collect::<Vec<_>>()), Ok(()));
        assert_eq!(expected.check(&answer), Ok(()));
        answer[999] = 7;
        let fault = "expected 999 as element 999, found 7".to_owned();
        assert_eq!(expected.check(&answer), Err(fault));
        let fault = "expected 1000 elements, found 10".to_owned();
        assert_eq!(expected.check(&answer[..10]), Err(fault));
    }
}
