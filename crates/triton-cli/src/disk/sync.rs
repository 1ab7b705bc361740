//! What a power failure cannot undo: bytes with their file, names with their folder.

use std::io;
use std::path::Path;

use fs_err::File;

use super::place::folder_of;

/// What folders answer that cannot be synced to the disk by themselves.
const CANNOT_SYNC: [io::ErrorKind; 3] = [
    io::ErrorKind::InvalidInput,
    io::ErrorKind::Unsupported,
    io::ErrorKind::PermissionDenied,
];

/// Brings the bytes of a file to the disk.
pub(crate) fn sync_file(file: &File) -> io::Result<()> {
    record("sync", &[file.path()]);
    file.sync_all()
}

/// Brings the names in the folder of a file to the disk, that of the file among them.
pub(crate) fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = folder_of(path);
    record("sync folder", &[folder]);
    // Other systems know no such thing as an open folder, and need none.
    if cfg!(not(unix)) {
        return Ok(());
    }
    match File::open(folder).and_then(|folder| folder.sync_all()) {
        // Some file systems cannot do it for a folder, and some folders may not be looked into.
        Err(error) if CANNOT_SYNC.contains(&error.kind()) => Ok(()),
        done => done,
    }
}

/// Gives a file another name, in place of whatever had it.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    record("rename", &[from, to]);
    fs_err::rename(from, to)
}

/// Creates a folder with all folders around it that are missing, each safely in its own.
pub(crate) fn create_folder(path: &Path) -> io::Result<()> {
    create(path, |path| fs_err::create_dir(path))
}

/// As [`create_folder`]; other users of the machine cannot look into the folder itself, which holds rows.
pub(crate) fn create_private_folder(path: &Path) -> io::Result<()> {
    create(path, |path| {
        let mut private = std::fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut private, 0o700);
        let named = |error: io::Error| {
            let text = format!("failed to create directory `{}`: {error}", path.display());
            io::Error::new(error.kind(), text)
        };
        private.create(path).map_err(named)
    })
}

fn create(path: &Path, create: impl Fn(&Path) -> io::Result<()>) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
    {
        create_folder(parent)?;
    }
    match create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(error),
        Ok(()) => sync_folder_of(path),
    }
}

#[cfg(not(test))]
fn record(_: &str, _: &[&Path]) {}

#[cfg(test)]
thread_local! {
    static CALLS: std::cell::RefCell<Vec<String>> = const { std::cell::RefCell::new(Vec::new()) };
}

#[cfg(test)]
fn record(what: &str, paths: &[&Path]) {
    let names = paths.iter().map(|path| {
        let name = path.file_name().unwrap_or(path.as_os_str());
        name.to_string_lossy()
    });
    let names = names.collect::<Vec<_>>().join(" -> ");
    CALLS.with_borrow_mut(|calls| calls.push(format!("{what} {names}")));
}

/// What `work` synced to the disk on this thread, call by call, with names without folders.
#[cfg(test)]
pub(crate) fn recorded(work: impl FnOnce()) -> Vec<String> {
    CALLS.take();
    work();
    CALLS.take()
}
