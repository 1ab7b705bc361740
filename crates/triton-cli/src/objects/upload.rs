//! An object that is being written: in parts, which become an object when all of them are there.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use object_store::{MultipartUpload, ObjectStoreExt as _, PutPayload};

use super::object::Object;
use super::store::{Pending, begin, wait_for};

/// How long a part is. Stores want at least 5 MiB, and some want all parts to be of the same length.
const PART: usize = 8 * 1024 * 1024;

/// An object has at most 10,000 parts, so a very long one has longer parts in its second half: with
/// them it can be of about 200 GB.
const EQUAL_PARTS: usize = 5_000;
const LONG_PART: usize = 4 * PART;

/// How many parts are on their way at once, beside the one that is being filled.
const PARTS_AT_ONCE: usize = 2;

/// How long a store may take to forget the parts of an object that will not be complete.
const TIME_TO_ABORT: Duration = Duration::from_secs(15);

/// An object that is being written.
pub(crate) struct Upload(Arc<Mutex<Parts>>);

struct Parts {
    object: Object,
    /// Missing once it is over.
    upload: Option<Box<dyn MultipartUpload>>,
    filling: Vec<u8>,
    length: usize,
    begun: usize,
    on_their_way: VecDeque<Pending<object_store::Result<()>>>,
}

impl Object {
    /// Begins to write it again.
    pub(crate) fn upload(&self) -> io::Result<Upload> {
        Upload::begin(self)
    }
}

impl Upload {
    /// Begins it with the store, so that what cannot be written shows now.
    fn begin(object: &Object) -> io::Result<Self> {
        Self::in_parts_of(object, PART)
    }

    fn in_parts_of(object: &Object, length: usize) -> io::Result<Self> {
        let (store, key) = (Arc::clone(object.store()), object.key().clone());
        let upload = wait_for(async move { store.put_multipart(&key).await })?;
        let upload = upload.map_err(|error| of_object(object, &error))?;
        Ok(Self(Arc::new(Mutex::new(Parts {
            object: object.clone(),
            upload: Some(upload),
            filling: Vec::new(),
            length,
            begun: 0,
            on_their_way: VecDeque::new(),
        }))))
    }

    /// Another handle of the same, to write through.
    pub(crate) fn writer(&self) -> Self {
        Self(Arc::clone(&self.0))
    }

    /// Makes an object of what was written.
    pub(crate) fn complete(&self) -> io::Result<()> {
        let mut parts = self.parts();
        if !parts.filling.is_empty() {
            parts.send()?;
        }
        while !parts.on_their_way.is_empty() {
            parts.wait_for_one()?;
        }
        let mut upload = parts.taken()?;
        let (upload, completed) = wait_for(async move {
            let completed = upload.complete().await;
            (upload, completed)
        })?;
        match completed {
            Ok(_) => Ok(()),
            Err(error) => {
                // It can still be aborted.
                parts.upload = Some(upload);
                Err(of_object(&parts.object, &error))
            }
        }
    }

    /// Lets the store forget what was written; nothing is left if it is over already.
    pub(crate) fn abort(&self) -> io::Result<()> {
        let mut parts = self.parts();
        parts.filling = Vec::new();
        let on_their_way = std::mem::take(&mut parts.on_their_way);
        let Ok(mut upload) = parts.taken() else {
            return Ok(());
        };
        let since = Instant::now();
        for part in on_their_way {
            // One that came later than the end would stay.
            let _ = part.wait_at_most(TIME_TO_ABORT.saturating_sub(since.elapsed()));
        }
        let aborted = begin(async move { upload.abort().await });
        let aborted = aborted.and_then(|pending| pending.wait_at_most(TIME_TO_ABORT));
        let error = match aborted {
            // That it is gone is what was wanted.
            Ok(Ok(()) | Err(object_store::Error::NotFound { .. })) => return Ok(()),
            Ok(Err(error)) => parts.object.explained(&error),
            Err(error) => error,
        };
        let message = format!(
            "the store could not be told to forget the parts that it has ({error}): they take space \
             until its rule for uploads that are not complete removes them"
        );
        Err(io::Error::new(error.kind(), message))
    }

    fn parts(&self) -> MutexGuard<'_, Parts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Parts {
    fn taken(&mut self) -> io::Result<Box<dyn MultipartUpload>> {
        let over = || io::Error::other(format!("{}: writing it failed before", self.object));
        self.upload.take().ok_or_else(over)
    }

    /// Sends the part that was filled.
    fn send(&mut self) -> io::Result<()> {
        while self.on_their_way.len() >= PARTS_AT_ONCE {
            self.wait_for_one()?;
        }
        let payload = PutPayload::from(std::mem::take(&mut self.filling));
        let object = &self.object;
        let over = || io::Error::other(format!("{object}: writing it failed before"));
        let upload = self.upload.as_mut().ok_or_else(over)?;
        let part = begin(upload.put_part(payload))?;
        self.on_their_way.push_back(part);
        self.begun += 1;
        if self.begun == EQUAL_PARTS {
            self.length = LONG_PART;
        }
        Ok(())
    }

    fn wait_for_one(&mut self) -> io::Result<()> {
        let Some(part) = self.on_their_way.pop_front() else {
            return Ok(());
        };
        let sent = part.wait()?;
        sent.map_err(|error| of_object(&self.object, &error))
    }
}

impl Write for Upload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut parts = self.parts();
        let room = parts.length - parts.filling.len();
        let taken = room.min(bytes.len());
        parts.filling.extend_from_slice(&bytes[..taken]);
        if parts.filling.len() == parts.length {
            parts.send()?;
        }
        Ok(taken)
    }

    /// A part that is not full is only sent as the last one.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for Upload {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Upload").finish_non_exhaustive()
    }
}

fn of_object(object: &Object, error: &object_store::Error) -> io::Error {
    let explained = object.explained(error);
    io::Error::new(explained.kind(), format!("{object}: {explained}"))
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use object_store::ObjectStore;
    use object_store::memory::InMemory;

    use super::*;

    #[test]
    fn an_object_is_there_as_a_whole_or_not_at_all() {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let object = Object::in_store("s3://b/k", Arc::clone(&store));
        for length in [0, 1, 9, 10, 11, 100, 101] {
            let bytes: Vec<u8> = (0..length).collect();
            let mut upload = Upload::in_parts_of(&object, 10).unwrap();
            for some in bytes.chunks(7) {
                upload.write_all(some).unwrap();
                upload.flush().unwrap();
            }
            upload.complete().unwrap();
            // What is over is over.
            upload.abort().unwrap();
            upload.complete().unwrap_err();
            let mut read = Vec::new();
            let fresh = Object::in_store("s3://b/k", Arc::clone(&store));
            fresh.open().unwrap().read_to_end(&mut read).unwrap();
            assert_eq!(read, bytes);
        }
        let other = Object::in_store("s3://b/other", store);
        let mut upload = Upload::in_parts_of(&other, 10).unwrap();
        upload.write_all(&[1; 25]).unwrap();
        upload.abort().unwrap();
        assert!(!other.exists().unwrap());
    }
}
