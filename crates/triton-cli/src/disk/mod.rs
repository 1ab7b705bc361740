//! Files on the disk as runs need them: told apart by what they are and not by their names, written
//! beside their name until they are whole, and safe before anything says that they are.
//!
//! Whatever must survive a power failure goes through the few functions of `sync`, so that a test
//! can hold the order in which it happens.

mod identity;
mod left;
mod place;
mod staged;
mod sync;

pub(crate) use self::identity::Identity;
pub(crate) use self::left::{LEFT_ADVICE, open_left};
pub(crate) use self::place::Place;
#[cfg(feature = "arrow")]
pub(crate) use self::staged::create_anew;
pub(crate) use self::staged::{
    StagedFile, check_unused, hold, lock, replace, unfinished_name, write_whole,
};
#[cfg(test)]
pub(crate) use self::sync::recorded;
pub(crate) use self::sync::{create_folder, create_private_folder, sync_file, sync_folder_of};
