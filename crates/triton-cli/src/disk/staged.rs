//! A file that is written beside its name, and gets the name when it is whole.

use std::ffi::OsString;
use std::fs::TryLockError;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use fs_err::{File, OpenOptions};

use super::place::{Place, folder_of};
use super::sync::{rename, sync_file, sync_folder_of};

/// What the name of a file ends in while it is written. It begins with a dot, so that patterns
/// pass it by.
const UNFINISHED: &str = ".triton-unfinished";

/// What the name of a file ends in that could not be completed.
const PARTIAL: &str = ".partial";

/// How often a name is tried for that others take or give up at the same moment.
const ATTEMPTS: usize = 100;

/// The most bytes that a name may have on the file systems that people use.
const LONGEST_NAME: usize = 255;

/// The name that a file is written under until it is whole.
pub(crate) fn unfinished_name(target: &Path) -> PathBuf {
    beside(target, ".", UNFINISHED)
}

/// A name in the same folder, shortened where it would be too long.
fn beside(target: &Path, before: &str, after: &str) -> PathBuf {
    let name = target.file_name().unwrap_or_default();
    let mut new = OsString::from(before);
    if before.len() + name.len() + after.len() <= LONGEST_NAME {
        new.push(name);
    } else {
        let text = name.to_string_lossy();
        let most = LONGEST_NAME - before.len() - after.len() - 9;
        new.push(&text[..text.floor_char_boundary(most)]);
        // What is cut off still tells one name from another.
        new.push(format!("~{:08x}", crc32fast::hash(text.as_bytes())));
    }
    new.push(after);
    target.with_file_name(new)
}

/// The two names of a file that is being written: the one it has, and the one it will have.
///
/// It is removed when this is dropped before it got a name to keep.
#[derive(Debug)]
pub(crate) struct StagedFile {
    target: PathBuf,
    unfinished: PathBuf,
    /// Locked, so that nobody takes it for what a killed run left behind.
    file: File,
    is_kept: bool,
}

impl StagedFile {
    /// Begins a file that will be called `target`, which is no link.
    ///
    /// What a run left behind that was killed is replaced.
    pub(crate) fn create(target: &Path) -> io::Result<Self> {
        let unfinished = unfinished_name(target);
        let before = before(target)?;
        for _ in 0..ATTEMPTS {
            let created = OpenOptions::new()
                .write(true)
                .create_new(true)
                .open(&unfinished);
            let file = match created {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    remove_left_behind(target, &unfinished)?;
                    continue;
                }
                Err(error) => {
                    let message = format!(
                        "{}: it cannot be written beside its name until it is complete: {error}",
                        target.display()
                    );
                    return Err(io::Error::new(error.kind(), message));
                }
            };
            if !lock(&file) || !is_at(&file, &unfinished) {
                // Another run of the command took it for left behind.
                continue;
            }
            let staged = Self {
                target: target.to_owned(),
                unfinished,
                file,
                is_kept: false,
            };
            if let Some(before) = before {
                staged.take_after(&before)?;
            }
            return Ok(staged);
        }
        Err(is_in_use(target))
    }

    /// The file, for writing.
    pub(crate) fn file(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// The name that the file has now.
    pub(crate) fn unfinished(&self) -> &Path {
        &self.unfinished
    }

    /// Gives the file its name; its bytes are on the disk.
    pub(crate) fn complete(&mut self) -> io::Result<()> {
        rename(&self.unfinished, &self.target)?;
        self.is_kept = true;
        sync_folder_of(&self.target)
    }

    /// Keeps the file under a name that says it is not whole, and that no file has yet.
    pub(crate) fn set_aside(&mut self) -> io::Result<PathBuf> {
        let mut partial = beside(&self.target, "", PARTIAL);
        let mut number = 2;
        while partial.symlink_metadata().is_ok() {
            partial = beside(&self.target, "", &format!("{PARTIAL}.{number}"));
            number += 1;
        }
        rename(&self.unfinished, &partial)?;
        self.is_kept = true;
        sync_folder_of(&partial)?;
        Ok(partial)
    }

    /// Takes the owner and the rights of the file whose place it will take.
    fn take_after(&self, before: &std::fs::Metadata) -> io::Result<()> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::{MetadataExt as _, fchown};
            let own = self.file.metadata()?;
            if (own.uid(), own.gid()) != (before.uid(), before.gid()) {
                // Only some may give files away; for the others it is theirs from now on.
                let _ = fchown(self.file.file(), Some(before.uid()), Some(before.gid()));
            }
        }
        self.file.set_permissions(before.permissions())
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        if !self.is_kept {
            // There is nobody left to tell; the next run replaces it.
            let _ = std::fs::remove_file(&self.unfinished);
        }
    }
}

/// Writes a file that is there as a whole or not at all.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let real = match Place::of(path)? {
        Place::Special { file } => {
            let mut options = OpenOptions::new();
            // What a shell has opened keeps what is in it.
            let options = options.write(true).append(file.is_some());
            return options.open(path)?.write_all(bytes);
        }
        Place::Folder { real } | Place::File { real, .. } | Place::Free { real } => real,
    };
    let mut staged = StagedFile::create(&real)?;
    staged.file.write_all(bytes)?;
    sync_file(&staged.file)?;
    staged.complete()
}

/// Gives a file other bytes at once, in a folder that is a run's own. `new` is what it is called until
/// then.
pub(crate) fn replace(path: &Path, new: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = create_anew(new)?;
    file.write_all(bytes)?;
    sync_file(&file)?;
    rename(new, path)?;
    // The new name itself is only safe with the folder.
    sync_folder_of(path)
}

/// Creates a file in a folder that is a run's own. Whatever has its name, what a killed run left or a
/// link, is not written to.
pub(crate) fn create_anew(path: &Path) -> io::Result<File> {
    match fs_err::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => File::create_new(path),
    }
}

/// The file that will be replaced. One that may not be written is not replaced either.
fn before(target: &Path) -> io::Result<Option<std::fs::Metadata>> {
    match OpenOptions::new().write(true).open(target) {
        Ok(file) => {
            hold(&file)?;
            file.metadata().map(Some)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let folder = folder_of(target);
            if folder.is_dir() {
                return Ok(None);
            }
            let message = format!(
                "{}: the folder {} does not exist",
                target.display(),
                folder.display()
            );
            Err(io::Error::new(io::ErrorKind::NotFound, message))
        }
        Err(error) => Err(error),
    }
}

/// Removes what a killed run left behind, unless a run is still writing it.
fn remove_left_behind(target: &Path, unfinished: &Path) -> io::Result<()> {
    match fs_err::symlink_metadata(unfinished) {
        Ok(found) if found.is_file() => {}
        // No run made this.
        Ok(_) => {
            let message = format!(
                "{}: this name is needed until {} is complete, and something that is no file \
                 has it: remove it",
                unfinished.display(),
                target.display()
            );
            return Err(io::Error::other(message));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    }
    let held = match File::open(unfinished) {
        Ok(file) => Some(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        // What may not be read may still be replaced.
        Err(_) => None,
    };
    if held.as_ref().is_some_and(|file| !lock(file)) {
        return Err(is_in_use(target));
    }
    if held.as_ref().is_some_and(|file| !is_at(file, unfinished)) {
        return Ok(());
    }
    match fs_err::remove_file(unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn is_in_use(target: &Path) -> io::Error {
    io::Error::other(format!(
        "{}: another run of the command is writing this file",
        target.display()
    ))
}

/// Holds a file that is written in place, for as long as it is open; refuses one that another run
/// of the command is writing, in place or beside its name.
pub(crate) fn hold(file: &File) -> io::Result<()> {
    match lock(file) {
        true => check_unused(file.path()),
        false => Err(is_in_use(file.path())),
    }
}

/// Refuses the name of a file that another run of the command is writing beside it: in the end that one
/// would take the place of whatever was written here.
pub(crate) fn check_unused(path: &Path) -> io::Result<()> {
    let place = Place::of(path)?;
    let unfinished = place.real().map(unfinished_name);
    let unfinished = unfinished.map(File::open).and_then(Result::ok);
    match unfinished {
        Some(file) if !lock(&file) => Err(is_in_use(path)),
        _ => Ok(()),
    }
}

/// Whether the file is now locked by this process. Some file systems have no locks, which keeps
/// nobody from writing.
pub(crate) fn lock(file: &File) -> bool {
    !matches!(file.file().try_lock(), Err(TryLockError::WouldBlock))
}

/// Whether an open file still has a name.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    let identity = |found: &std::fs::Metadata| super::Identity::of_metadata(found);
    match (file.metadata(), path.symlink_metadata()) {
        (Ok(open), Ok(there)) => identity(&open) == identity(&there),
        _ => false,
    }
}

/// Whether an open file still has a name: other systems do not take it away meanwhile.
#[cfg(not(unix))]
fn is_at(_: &File, path: &Path) -> bool {
    path.exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_its_name_only_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("out.csv");
        let names = || {
            let entries = std::fs::read_dir(folder.path()).unwrap();
            let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            let mut names: Vec<_> = names.collect();
            names.sort();
            names.join(" ")
        };
        let mut staged = StagedFile::create(&target).unwrap();
        staged.file().unwrap().write_all(b"new").unwrap();
        assert_eq!(names(), ".out.csv.triton-unfinished");
        let other = StagedFile::create(&target).unwrap_err();
        assert!(
            other
                .to_string()
                .ends_with("out.csv: another run of the command is writing this file")
        );
        // Nor may it be written in place meanwhile.
        let other = check_unused(&target).unwrap_err().to_string();
        assert!(other.ends_with("out.csv: another run of the command is writing this file"));
        std::fs::write(&target, "in place").unwrap();
        hold(&File::open(&target).unwrap()).unwrap_err();
        staged.complete().unwrap();
        drop(staged);
        assert_eq!(names(), "out.csv");
        hold(&File::open(&target).unwrap()).unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"new");
        for expected in [
            "out.csv out.csv.partial",
            "out.csv out.csv.partial out.csv.partial.2",
        ] {
            StagedFile::create(&target).unwrap().set_aside().unwrap();
            assert_eq!(names(), expected);
        }
        // A killed run left something behind, and one that was told to end does not.
        std::fs::write(folder.path().join(".out.csv.triton-unfinished"), "half").unwrap();
        drop(StagedFile::create(&target).unwrap());
        assert_eq!(names(), "out.csv out.csv.partial out.csv.partial.2");
    }

    #[test]
    fn a_name_beside_a_long_one_is_possible() {
        let long = PathBuf::from("folder").join("ä".repeat(127));
        let name = unfinished_name(&long);
        assert!(name.file_name().unwrap().len() <= LONGEST_NAME);
        let other = unfinished_name(&PathBuf::from("folder").join("ä".repeat(126) + "."));
        assert_ne!(name, other);
    }
}
