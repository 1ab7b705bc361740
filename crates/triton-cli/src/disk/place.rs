//! What is at a path, and what it is really called: links are followed, also where the last of
//! them leads to nothing yet.

use std::io;
use std::path::{Component, Path, PathBuf};

use super::Identity;

/// How many symbolic links are followed one after the other, as the system does.
const MOST_LINKS: usize = 40;

/// What is at a path.
#[derive(Debug)]
pub(crate) enum Place {
    /// A regular file, and its name without links.
    File { real: PathBuf, identity: Identity },
    /// A folder, and its name without links.
    Folder { real: PathBuf },
    /// Nothing, and the name that a file there would have without links.
    Free { real: PathBuf },
    /// A pipe, a device, or something that the process has open already, such as `/dev/stdout`:
    /// nothing can take its place. What it is, if it is a regular file in the end.
    Special { file: Option<Identity> },
}

impl Place {
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let found = match fs_err::metadata(path) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let real = real_name(path, MOST_LINKS)?;
                return Ok(Place::Free { real });
            }
            Err(error) => return Err(error),
        };
        Ok(if found.is_dir() {
            let real = fs_err::canonicalize(path)?;
            Place::Folder { real }
        } else if !found.is_file() {
            Place::Special { file: None }
        } else if is_open_already(path) {
            let file = Some(Identity::of(path)?);
            Place::Special { file }
        } else {
            Place::File {
                real: fs_err::canonicalize(path)?,
                identity: Identity::of(path)?,
            }
        })
    }

    /// The name without links, of what has one.
    pub(crate) fn real(&self) -> Option<&Path> {
        match self {
            Place::File { real, .. } | Place::Folder { real } | Place::Free { real } => Some(real),
            Place::Special { .. } => None,
        }
    }

    /// The regular file that is there.
    pub(crate) fn file(&self) -> Option<&Identity> {
        match self {
            Place::File { identity, .. } => Some(identity),
            Place::Special { file } => file.as_ref(),
            Place::Folder { .. } | Place::Free { .. } => None,
        }
    }
}

/// The name that a file would have without links, where there is none yet.
fn real_name(path: &Path, links: usize) -> io::Result<PathBuf> {
    if let Ok(real) = std::fs::canonicalize(path) {
        return Ok(real);
    }
    if let Ok(target) = std::fs::read_link(path) {
        if links == 0 {
            let message = format!("{}: too many symbolic links", path.display());
            return Err(io::Error::other(message));
        }
        return real_name(&folder_of(path).join(target), links - 1);
    }
    let mut real = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => real_name(parent, links)?,
        _ => fs_err::canonicalize(".")?,
    };
    match path.components().next_back() {
        Some(Component::Normal(name)) => real.push(name),
        Some(Component::ParentDir) => {
            real.pop();
        }
        _ => {}
    }
    Ok(real)
}

/// The folder that a name is in.
pub(super) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Whether a name leads through the list of what the process has open: `/dev/stdout` and
/// `/dev/fd/3` are links into it.
fn is_open_already(path: &Path) -> bool {
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        let Ok(folder) = std::fs::canonicalize(folder_of(&path)) else {
            return false;
        };
        if folder.starts_with("/proc") || folder.starts_with("/dev/fd") {
            return true;
        }
        match std::fs::read_link(&path) {
            Ok(target) => path = folder.join(target),
            Err(_) => return false,
        }
    }
    false
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn names_that_lead_to_the_same_are_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let root = std::fs::canonicalize(folder.path()).unwrap();
        std::fs::create_dir(at("folder")).unwrap();
        std::fs::write(at("file"), "").unwrap();
        std::fs::hard_link(at("file"), at("hard")).unwrap();
        symlink("file", at("soft")).unwrap();
        symlink("folder", at("other")).unwrap();
        symlink("other/nothing", at("dangling")).unwrap();
        symlink("round", at("round")).unwrap();
        let file = Identity::of(&at("file")).unwrap();
        for name in ["hard", "soft", "folder/../file", "other/../soft"] {
            assert_eq!(Place::of(&at(name)).unwrap().file(), Some(&file), "{name}");
        }
        for name in ["folder/nothing", "other/nothing", "dangling", "./dangling"] {
            let place = Place::of(&at(name)).unwrap();
            assert_eq!(place.real(), Some(&*root.join("folder/nothing")), "{name}");
        }
        let place = Place::of(&at("new/../further/nothing")).unwrap();
        assert_eq!(place.real(), Some(&*root.join("further/nothing")));
        assert!(Place::of(&at("round")).is_err());
        assert!(Place::of(&at("file/within")).is_err());
    }

    #[test]
    fn what_nothing_can_take_the_place_of() {
        for path in ["/dev/null", "/dev/stdout", "/dev/fd/2", "/proc/self/fd/1"] {
            let place = Place::of(Path::new(path)).unwrap();
            assert!(matches!(place, Place::Special { .. }), "{path}: {place:?}");
        }
    }
}
