//! An object of a store: found by its address or among others, read as a whole or in parts, and told
//! from another version of itself.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use anyhow::{Context as _, bail};
use object_store::path::Path as Key;
use object_store::{GetOptions, GetRange, GetResult, ObjectMeta, ObjectStore, ObjectStoreExt as _};

use super::address::{Address, Scheme};
use super::explained;
use super::store::{store_of, wait_for};

/// An object, or the folder or pattern that stands for some.
#[derive(Clone)]
pub(crate) struct Object(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) address: Address,
    pub(super) store: Arc<dyn ObjectStore>,
    key: Key,
    /// How long it was when it was listed among others.
    listed: Option<u64>,
    /// What it was when it was first opened.
    seen: OnceLock<Seen>,
}

/// What tells one version of an object from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) size: u64,
    version: String,
}

impl Seen {
    fn of(meta: &ObjectMeta) -> Self {
        let version = match &meta.e_tag {
            Some(tag) => tag.clone(),
            // A web server may have none.
            None => meta.last_modified.to_rfc3339(),
        };
        Self {
            size: meta.size,
            version,
        }
    }
}

impl Object {
    /// What is at an address; `None` where the name is none. Nothing is asked of the store yet.
    pub(crate) fn at(name: &str) -> anyhow::Result<Option<Self>> {
        let Some(address) = Address::of(name)? else {
            return Ok(None);
        };
        if address.key.is_empty() && !address.is_folder() && address.scheme != Scheme::Http {
            bail!("{address}: this is all of the bucket: name an object, or end it with / for all");
        }
        let store = store_of(&address)?;
        Self::new(address, store, None).map(Some)
    }

    pub(super) fn new(
        address: Address,
        store: Arc<dyn ObjectStore>,
        listed: Option<u64>,
    ) -> anyhow::Result<Self> {
        let key = match address.scheme {
            // Its store is the whole address.
            Scheme::Http => Key::default(),
            _ => Key::parse(&address.key)
                .with_context(|| format!("{address}: this cannot be the name of an object"))?,
        };
        Ok(Self(Arc::new(Inner {
            address,
            store,
            key,
            listed,
            seen: OnceLock::new(),
        })))
    }

    /// An object of a store that is not one of the network.
    #[cfg(test)]
    pub(super) fn in_store(name: &str, store: Arc<dyn ObjectStore>) -> Self {
        let address = Address::of(name).unwrap().unwrap();
        Self::new(address, store, None).unwrap()
    }

    /// Whether it stands for all objects whose addresses begin with it.
    pub(crate) fn is_folder(&self) -> bool {
        self.0.address.is_folder()
    }

    /// An object in the folder.
    pub(crate) fn within(&self, name: &str) -> anyhow::Result<Self> {
        let key = format!("{}{name}", self.0.address.key);
        let address = self.0.address.beside(&key);
        Self::new(address, Arc::clone(&self.0.store), None)
    }

    /// Refuses what no output can be written to.
    pub(crate) fn check_writable(&self) -> anyhow::Result<()> {
        if self.0.address.scheme == Scheme::Http {
            bail!(
                "--output {self}: what is at an address of a web server is only read: name a file, or \
                 an object of s3://, gs:// or az://"
            );
        }
        Ok(())
    }

    /// Whether there is such an object.
    pub(crate) fn exists(&self) -> anyhow::Result<bool> {
        let (store, key) = (Arc::clone(&self.0.store), self.0.key.clone());
        match wait_for(async move { store.head(&key).await })? {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => {
                let explained = explained::of_request(&self.0.address, &error);
                bail!("{self}: {explained}")
            }
        }
    }

    /// The name by whose end the format is known.
    pub(crate) fn named(&self) -> &Path {
        self.0.address.named()
    }

    /// Its number of bytes, where that is known by now.
    pub(crate) fn size(&self) -> Option<u64> {
        self.0.seen.get().map(|seen| seen.size).or(self.0.listed)
    }

    /// What tells this version of it from others, if it was opened before.
    pub(crate) fn version(&self) -> Option<String> {
        self.0.seen.get().map(|seen| seen.version.clone())
    }

    /// Asks for it, or a part of it; refused is another version than the first that came.
    pub(super) async fn get(&self, range: Option<GetRange>) -> io::Result<GetResult> {
        let options = GetOptions {
            range,
            ..GetOptions::default()
        };
        let got = self.0.store.get_opts(&self.0.key, options).await;
        let got = got.map_err(|error| self.explained(&error))?;
        let now = Seen::of(&got.meta);
        if *self.0.seen.get_or_init(|| now.clone()) != now {
            return Err(io::Error::other(
                "it is not what it was when the run began to read it: something wrote it again",
            ));
        }
        Ok(got)
    }

    pub(super) fn explained(&self, error: &object_store::Error) -> io::Error {
        explained::of_request(&self.0.address, error)
    }

    pub(super) fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.0.store
    }

    pub(super) fn key(&self) -> &Key {
        &self.0.key
    }
}

impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        self.0.address == other.0.address
    }
}

impl Eq for Object {}

impl fmt::Debug for Object {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_tuple("Object")
            .field(&self.0.address.shown())
            .finish()
    }
}

impl fmt::Display for Object {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0.address.shown())
    }
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;

    #[test]
    fn another_version_is_refused() {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let write = |text: &'static str| {
            let store = Arc::clone(&store);
            let put = async move { store.put(&Key::from("k"), text.into()).await };
            wait_for(put).unwrap().unwrap();
        };
        write("one");
        let object = Object::in_store("s3://b/k", Arc::clone(&store));
        let mut text = String::new();
        object.open().unwrap().read_to_string(&mut text).unwrap();
        write("two");
        insta::assert_snapshot!(object.open().map(|_| ()).unwrap_err(), @"it is not what it was when the run began to read it: something wrote it again");
    }
}
