//! The models every embedded server can have without configuration; those of `examples/models`.

mod accumulate;
mod anomaly;
mod echo;

pub use accumulate::Accumulate;
pub use anomaly::Anomaly;
pub use echo::Echo;
