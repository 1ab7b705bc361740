//! The objects that a folder or a pattern stands for, as files are found.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use futures_util::TryStreamExt as _;
use object_store::path::Path as Key;

use super::address::Scheme;
use super::explained;
use super::object::Object;
use super::store::wait_for;

impl Object {
    /// The objects that the address stands for, in the order of their names: those in a folder that
    /// are wanted, those that a pattern matches, or the one that it names.
    pub(crate) fn matching(
        &self,
        mut is_wanted: impl FnMut(&Path) -> bool,
    ) -> anyhow::Result<Vec<Self>> {
        let address = &self.0.address;
        let special = ['*', '?', '['];
        if address.scheme == Scheme::Http {
            if address.key.ends_with('/') {
                bail!("{address}: a web server does not list what it has: name a file of it");
            }
            return Ok(vec![self.clone()]);
        }
        if self.is_folder() {
            let found = self.listed(&address.key)?;
            let found: Vec<Self> = found
                .into_iter()
                .filter(|object| {
                    let within = &object.0.address.key[address.key.len()..];
                    let is_hidden = within.split('/').any(|name| name.starts_with(['.', '_']));
                    !is_hidden && is_wanted(object.named())
                })
                .collect();
            if found.is_empty() {
                bail!(
                    "{address}: no object in this folder has a name by which its format is known, \
                     such as .csv or .parquet; --input-format says it of all"
                );
            }
            return Ok(found);
        }
        let Some(first) = address.key.find(special) else {
            return Ok(vec![self.clone()]);
        };
        let pattern = glob::Pattern::new(&address.key)
            .with_context(|| format!("the pattern '{address}' cannot be read"))?;
        let folder = address.key[..first].rfind('/').map_or(0, |slash| slash + 1);
        let all = self.listed(&address.key[..folder])?;
        // A key may have any letter, and then its own name means it.
        if let Some(itself) = all
            .iter()
            .find(|object| object.0.address.key == address.key)
        {
            return Ok(vec![itself.clone()]);
        }
        let options = glob::MatchOptions {
            case_sensitive: true,
            require_literal_separator: true,
            require_literal_leading_dot: true,
        };
        let matches = |object: &Self| pattern.matches_with(&object.0.address.key, options);
        let found: Vec<Self> = all.into_iter().filter(matches).collect();
        if found.is_empty() {
            bail!("no object matches the pattern '{address}'");
        }
        Ok(found)
    }

    /// All objects of the bucket whose names begin so.
    fn listed(&self, prefix: &str) -> anyhow::Result<Vec<Self>> {
        let store = Arc::clone(&self.0.store);
        let folder = Key::parse(prefix)
            .with_context(|| format!("{self}: this cannot be the name of a folder"))?;
        let metas = wait_for(async move {
            let folder = Some(&folder).filter(|folder| !folder.is_root());
            store.list(folder).try_collect::<Vec<_>>().await
        })?;
        let metas = metas.map_err(|error| {
            anyhow!("{self}: {}", explained::of_request(&self.0.address, &error))
        })?;
        let mut found = Vec::new();
        for meta in metas {
            let address = self.0.address.beside(meta.location.as_ref());
            found.push(Self::new(
                address,
                Arc::clone(&self.0.store),
                Some(meta.size),
            )?);
        }
        found.sort_by(|one, other| one.0.address.key.cmp(&other.0.address.key));
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;
    use object_store::{ObjectStore, ObjectStoreExt as _};

    use super::*;

    fn names(object: &Object) -> anyhow::Result<String> {
        let is_csv = |path: &Path| path.extension().is_some_and(|extension| extension == "csv");
        let found = object.matching(is_csv)?;
        let names = found.iter().map(ToString::to_string);
        Ok(names.collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn folders_and_patterns_are_those_of_files() {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        for key in [
            "in/b.csv",
            "in/a.csv",
            "in/_SUCCESS",
            "in/.h.csv",
            "in/_t/c.csv",
            "in/deep/d.csv",
            "in/e.txt",
            "in2/f.csv",
            "in/[g].csv",
        ] {
            let (store, key) = (Arc::clone(&store), Key::parse(key).unwrap());
            let put = async move { store.put(&key, "x".into()).await };
            wait_for(put).unwrap().unwrap();
        }
        let found = |name: &str| names(&Object::in_store(name, Arc::clone(&store)));
        for (name, expected) in [
            (
                "s3://b/in/",
                "s3://b/in/[g].csv s3://b/in/a.csv s3://b/in/b.csv s3://b/in/deep/d.csv",
            ),
            ("s3://b/in/?.csv", "s3://b/in/a.csv s3://b/in/b.csv"),
            (
                "s3://b/*/*.csv",
                "s3://b/in/[g].csv s3://b/in/a.csv s3://b/in/b.csv s3://b/in2/f.csv",
            ),
            ("s3://b/in/**/d.csv", "s3://b/in/deep/d.csv"),
            ("s3://b/in/[g].csv", "s3://b/in/[g].csv"),
            ("s3://b/in/none.csv", "s3://b/in/none.csv"),
        ] {
            assert_eq!(found(name).unwrap(), expected, "{name}");
        }
        insta::assert_snapshot!(found("s3://b/in/*.parquet").unwrap_err(), @"no object matches the pattern 's3://b/in/*.parquet'");
        insta::assert_snapshot!(found("s3://b/none/").unwrap_err(), @"s3://b/none/: no object in this folder has a name by which its format is known, such as .csv or .parquet; --input-format says it of all");
    }
}
