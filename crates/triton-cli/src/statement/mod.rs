//! The CREATE MODEL statement of Apache Flink, in which a model's columns and options are written: as
//! it is read from MODEL.sql, and as it is made from what a server says of a model.

mod parser;
mod reading;
mod writing;

pub(crate) use self::reading::{ModelDefinition, parse};
pub(crate) use self::writing::{Statement, base_of};
