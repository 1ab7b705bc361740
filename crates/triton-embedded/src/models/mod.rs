//! The models every embedded server can have without configuration. `echo`, `accumulate` and
//! `anomaly` are those of `examples/models`; `slow`, `fails` and [`AccumulateWithCorrid`] are
//! there to test clients with; the last one has to be asked for.

mod accumulate;
mod anomaly;
mod echo;
mod fails;
mod slow;

pub use accumulate::{Accumulate, AccumulateWithCorrid};
pub use anomaly::Anomaly;
pub use echo::Echo;
pub use fails::Fails;
pub use slow::Slow;
