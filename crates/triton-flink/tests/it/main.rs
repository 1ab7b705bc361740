//! The provider on a real Flink cluster, with a real Triton where the model is one of its own.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends where something unexpected comes"
)]

mod cancelling;
mod chains;
mod cluster;
mod dead_letters;
mod example;
mod failover;
mod failures;
mod job;
mod keyed;
mod library;
mod metadata_columns;
mod older_flink;
mod operators;
mod pointers;
mod replica_metrics;
mod restarts;
mod running_job;
mod seed;
mod streams;
mod triton_crash;
mod types;
