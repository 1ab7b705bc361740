//! An object as a stream of bytes, which goes on from where it broke off.

use std::io::{self, Read};

use bytes::{Buf as _, Bytes, BytesMut};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use object_store::GetRange;

use super::object::Object;
use super::store::{Pending, begin, wait_for};

/// About how many bytes are handed over at once. As many are read ahead.
const AT_ONCE: usize = 512 * 1024;

type Answer = BoxStream<'static, object_store::Result<Bytes>>;

/// Reads an object from its first byte to its last.
pub(super) struct ObjectReader {
    object: Object,
    size: u64,
    /// How many bytes came.
    came: u64,
    /// Those that were not taken yet.
    bytes: Bytes,
    /// What is being read ahead.
    next: Option<Pending<Fetched>>,
    /// Whether a byte came since the last request.
    has_progressed: bool,
}

struct Fetched {
    bytes: Bytes,
    rest: Rest,
}

/// What is behind the bytes that came.
enum Rest {
    More(Answer),
    End,
    Broken(io::Error),
}

impl Object {
    /// Opens it, to be read from its first byte to its last.
    pub(crate) fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        Ok(Box::new(ObjectReader::open(self)?))
    }
}

impl ObjectReader {
    fn open(object: &Object) -> io::Result<Self> {
        let asked = object.clone();
        let got = wait_for(async move { asked.get(None).await })??;
        let size = got.meta.size;
        Ok(Self {
            object: object.clone(),
            size,
            came: 0,
            bytes: Bytes::new(),
            next: Some(begin(fetch(object.clone(), got.into_stream()))?),
            has_progressed: false,
        })
    }

    /// Takes what was read ahead, and begins to read on.
    fn advance(&mut self) -> io::Result<()> {
        let Some(next) = self.next.take() else {
            return Ok(());
        };
        let Fetched { bytes, rest } = next.wait()?;
        self.came += bytes.len() as u64;
        self.has_progressed |= !bytes.is_empty();
        self.bytes = bytes;
        self.next = match rest {
            Rest::More(answer) => Some(begin(fetch(self.object.clone(), answer))?),
            Rest::End if self.came >= self.size => None,
            Rest::End => {
                let message = format!("the store gave {} of its {} bytes", self.came, self.size);
                Some(self.resumed(io::Error::new(io::ErrorKind::UnexpectedEof, message))?)
            }
            Rest::Broken(error) => Some(self.resumed(error)?),
        };
        Ok(())
    }

    /// Asks for what is still to come. A connection may break as often as it likes, if only each
    /// brings something.
    fn resumed(&mut self, error: io::Error) -> io::Result<Pending<Fetched>> {
        if !std::mem::take(&mut self.has_progressed) {
            return Err(error);
        }
        let (object, from) = (self.object.clone(), self.came);
        begin(async move {
            match object.get(Some(GetRange::Offset(from))).await {
                Ok(got) => fetch(object, got.into_stream()).await,
                Err(error) => Fetched {
                    bytes: Bytes::new(),
                    rest: Rest::Broken(error),
                },
            }
        })
    }
}

/// The next bytes of an answer, as many as are handed over at once.
async fn fetch(object: Object, mut answer: Answer) -> Fetched {
    let mut bytes = BytesMut::new();
    let rest = loop {
        match answer.next().await {
            None => break Rest::End,
            Some(Err(error)) => break Rest::Broken(object.explained(&error)),
            Some(Ok(part)) => bytes.extend_from_slice(&part),
        }
        if bytes.len() >= AT_ONCE {
            break Rest::More(answer);
        }
    };
    let bytes = bytes.freeze();
    Fetched { bytes, rest }
}

impl Read for ObjectReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.bytes.is_empty() && self.next.is_some() {
            self.advance()?;
        }
        let length = buffer.len().min(self.bytes.len());
        self.bytes.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}
