//! Objects in a build that has none: their addresses are refused, with what would help.

use std::fmt;
use std::io::{self, Read, Write};
use std::path::Path;

use anyhow::bail;

use super::address::Address;

/// Of this there is none. The types that hold it hide it, so that the compiler takes the code that handles
/// them for what it is in other builds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Never {}

/// There is none in this build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Object(Never);

/// There is none in this build.
#[derive(Debug)]
pub(crate) struct Upload(Never);

impl Object {
    /// Refuses an address; `None` where the name is none.
    pub(crate) fn at(name: &str) -> anyhow::Result<Option<Self>> {
        match Address::of(name)? {
            None => Ok(None),
            Some(address) => bail!(address.unsupported()),
        }
    }

    pub(crate) fn matching(&self, _: impl FnMut(&Path) -> bool) -> anyhow::Result<Vec<Self>> {
        match self.0 {}
    }

    pub(crate) fn is_folder(&self) -> bool {
        match self.0 {}
    }

    pub(crate) fn within(&self, _: &str) -> anyhow::Result<Self> {
        match self.0 {}
    }

    pub(crate) fn check_writable(&self) -> anyhow::Result<()> {
        match self.0 {}
    }

    pub(crate) fn exists(&self) -> anyhow::Result<bool> {
        match self.0 {}
    }

    pub(crate) fn named(&self) -> &Path {
        match self.0 {}
    }

    pub(crate) fn size(&self) -> Option<u64> {
        match self.0 {}
    }

    pub(crate) fn version(&self) -> Option<String> {
        match self.0 {}
    }

    pub(crate) fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        match self.0 {}
    }

    #[cfg(feature = "arrow")]
    pub(crate) fn read_range(&self, _: std::ops::Range<u64>) -> io::Result<Vec<u8>> {
        match self.0 {}
    }

    pub(crate) fn upload(&self) -> io::Result<Upload> {
        match self.0 {}
    }
}

impl fmt::Display for Object {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {}
    }
}

impl Upload {
    pub(crate) fn writer(&self) -> Self {
        match self.0 {}
    }

    pub(crate) fn complete(&self) -> io::Result<()> {
        match self.0 {}
    }

    pub(crate) fn abort(&self) -> io::Result<()> {
        match self.0 {}
    }
}

impl Write for Upload {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        match self.0 {}
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.0 {}
    }
}
