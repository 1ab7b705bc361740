//! A model provider for Apache Flink SQL, driven by [`triton_model_fn`].
//!
//! Flink loads a thin layer of Java (in `java/`), which hands rows to this library through JNI.
//! Everything that could be decided in Java is decided here: options, types, validation, retries,
//! sequences, metrics, log levels and the words of errors.
//!
//! Rust never calls Java. The threads of Java come here: a task hands over its row and goes on,
//! and one thread for each open function waits here for the answers. So no thread of Rust is ever
//! attached to the JVM, none keeps it from exiting, and a class loader that is given up finds
//! nothing of it still running.
//!
//! | Java | here |
//! | --- | --- |
//! | `NativeLibrary`, the native methods | `native` |
//! | `ModelDescription`, options and columns | `description`, `pointers`, `pointed` |
//! | `RowWriter` and `RowReader` | `row_wire` |
//! | `TritonPredictFunction` | `function` |
//! | `Calls`, the thread that takes answers | `events` |
//! | `NativeMetrics` | `flink_metrics`, `replica_metrics` |
//! | `NativeLog` | `logging` |

mod column_type;
mod description;
mod events;
mod failure;
mod flink_metrics;
mod function;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod logging;
mod native;
mod pointed;
mod pointers;
mod registry;
mod replica_metrics;
mod row_name;
mod row_wire;
mod runtime;
mod task;
mod wire;
