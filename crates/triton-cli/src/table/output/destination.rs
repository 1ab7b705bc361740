//! Where an output goes to, and in which form.

use crate::objects::Location;
use crate::table::format::{Compression, Format};

/// Where an output goes to and in which form.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Destination {
    pub(crate) location: Location,
    pub(crate) format: Format,
    pub(crate) compression: Option<Compression>,
    /// What separates cells, where that is not the format's own.
    pub(crate) delimiter: Option<u8>,
}
