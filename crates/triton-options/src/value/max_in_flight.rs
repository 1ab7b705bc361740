//! How many requests may be in flight at once: a number, or as many as the server can bear.

use std::num::NonZeroU32;

use super::{InvalidValue, OptionValue, invalid};

/// The word for a limit that follows the server.
const AUTO: &str = "auto";

/// The limit of the option `max-in-flight`.
///
/// ```
/// use triton_options::{MaxInFlight, OptionValue};
///
/// assert_eq!(MaxInFlight::parse("8")?.most().get(), 8);
/// assert_eq!(MaxInFlight::parse("auto")?, MaxInFlight::Auto);
/// # Ok::<(), triton_options::InvalidValue>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MaxInFlight {
    /// So many.
    Fixed(NonZeroU32),
    /// As many as the server can bear, from 1 to [`MOST_IN_AUTO`](Self::MOST_IN_AUTO).
    Auto,
}

impl MaxInFlight {
    /// The most requests that `auto` has in flight.
    pub const MOST_IN_AUTO: NonZeroU32 = NonZeroU32::new(256).expect("it is not zero");

    /// The most requests that are ever in flight.
    #[must_use]
    pub fn most(self) -> NonZeroU32 {
        match self {
            MaxInFlight::Fixed(number) => number,
            MaxInFlight::Auto => Self::MOST_IN_AUTO,
        }
    }
}

impl OptionValue for MaxInFlight {
    const TYPE_NAME: &'static str = "Integer or auto";
    const EXPECTED: &'static str = "a whole number from 1 to 4294967295, or 'auto'";

    fn parse(text: &str) -> Result<Self, InvalidValue> {
        if text.trim().eq_ignore_ascii_case(AUTO) {
            return Ok(MaxInFlight::Auto);
        }
        let number = NonZeroU32::parse(text).map_err(|_| invalid::<Self>())?;
        Ok(MaxInFlight::Fixed(number))
    }

    fn canonical(&self) -> String {
        match self {
            MaxInFlight::Fixed(number) => number.canonical(),
            MaxInFlight::Auto => AUTO.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_number_or_auto() {
        assert_eq!(MaxInFlight::parse(" AUTO "), Ok(MaxInFlight::Auto));
        assert_eq!(MaxInFlight::Auto.most().get(), 256);
        assert_eq!(
            MaxInFlight::parse("32.0").map(|it| it.canonical()),
            Ok("32".to_owned())
        );
        for text in ["0", "-1", "automatic", "", "1.5"] {
            assert!(MaxInFlight::parse(text).is_err(), "{text:?}");
        }
    }
}
