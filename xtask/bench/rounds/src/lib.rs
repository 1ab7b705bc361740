//! What the measured programs have in common, so that they differ in nothing but the client.
//!
//! It depends on no HTTP library and on no JSON library: a feature that one peer switches on in
//! such a library would be measured in all of them.

mod case;
mod expected;
#[cfg(feature = "loop")]
mod rounds;

pub use case::{CASES, Case, Format, Lane};
pub use expected::{Expected, values};
#[cfg(feature = "loop")]
pub use rounds::{Peer, run};
