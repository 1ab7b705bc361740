//! Objects in a build that has none: their addresses are refused, with what would help.

use std::fmt;
use std::io::{self, Read, Write};
use std::ops::Range;
use std::path::Path;

use anyhow::bail;

use super::address::Address;

/// There is none in this build.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Object {}

/// There is none in this build.
#[derive(Debug, Clone)]
pub(crate) enum Upload {}

impl Object {
    /// Refuses an address; `None` where the name is none.
    pub(crate) fn at(name: &str) -> anyhow::Result<Option<Self>> {
        match Address::of(name)? {
            None => Ok(None),
            Some(address) => bail!(address.unsupported()),
        }
    }

    pub(crate) fn matching(&self, _: impl Fn(&Path) -> bool) -> anyhow::Result<Vec<Self>> {
        match *self {}
    }

    pub(crate) fn is_folder(&self) -> bool {
        match *self {}
    }

    pub(crate) fn within(&self, _: &str) -> anyhow::Result<Self> {
        match *self {}
    }

    pub(crate) fn check_writable(&self) -> anyhow::Result<()> {
        match *self {}
    }

    pub(crate) fn exists(&self) -> anyhow::Result<bool> {
        match *self {}
    }

    pub(crate) fn named(&self) -> &Path {
        match *self {}
    }

    pub(crate) fn size(&self) -> Option<u64> {
        match *self {}
    }

    pub(crate) fn version(&self) -> Option<String> {
        match *self {}
    }

    pub(crate) fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        match *self {}
    }

    pub(crate) fn read_range(&self, _: Range<u64>) -> io::Result<Vec<u8>> {
        match *self {}
    }

    pub(crate) fn upload(&self) -> io::Result<Upload> {
        match *self {}
    }
}

impl fmt::Display for Object {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}

impl Upload {
    pub(crate) fn complete(&self) -> io::Result<()> {
        match *self {}
    }

    pub(crate) fn abort(&self) -> io::Result<()> {
        match *self {}
    }
}

impl Write for Upload {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        match *self {}
    }

    fn flush(&mut self) -> io::Result<()> {
        match *self {}
    }
}
