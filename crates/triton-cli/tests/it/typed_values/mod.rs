//! Every Arrow and Parquet type, from every typed format to every format: values stay as they are,
//! or their row or the run is refused.

mod batches;
mod cases;
mod damaged;
mod files;
mod int96;
mod page;
mod passed;
mod polars;
mod refused;
mod sorted;
mod taken;
