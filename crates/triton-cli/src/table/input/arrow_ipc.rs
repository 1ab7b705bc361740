//! The messages of Arrow IPC as record batches.
//!
//! The framing is read here, because a damaged length would make the library ask for whatever
//! memory it names, and because the library takes the bytes of a big-endian writer for its own.

use std::io::{BufRead, ErrorKind, Read};

use anyhow::{Context as _, anyhow, bail, ensure};
use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::convert::fb_to_schema;
use arrow_ipc::reader::StreamDecoder;
use arrow_ipc::{CompressionType, Endianness, root_as_footer, root_as_message};
use arrow_schema::Schema;

/// What Arrow files begin and end with.
const MAGIC: &[u8] = b"ARROW1";

/// How many bytes at the end of a file tell whether it is whole.
pub(super) const END_BYTES: u64 = MAGIC.len() as u64;

/// What the old format Feather, which Arrow came out of, begins with.
const FEATHER_1: &[u8] = b"FEA1";

/// What stands before the length of a message.
const CONTINUATION: [u8; 4] = [0xff; 4];

/// The end of a stream.
const END: [u8; 8] = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];

/// What the schema of an old stream, which says no more than its length first, never takes.
const LONGEST_SCHEMA: u32 = 1 << 28;

/// A length of less than this is none: so short a message cannot be. What begins so is a schema without
/// its length, as Polars writes it into files, where other readers take the schema from the end.
const LEAST_SCHEMA: u32 = 32;

const BREAKS_OFF: &str = "it breaks off in the middle of a message";

const BEHIND_END: &str = "more bytes come behind the end of the stream: if these are several streams, one after the \
                          other, give each as an input of its own";

const BEHIND_FILE: &str = "more bytes come behind its end: if these are several files, one after the other, give each \
                           as an input of its own";

const NO_FOOTER: &str = "its end, which says where its dictionaries are, cannot be understood";

const NO_END: &str = "its end is missing: an Arrow file ends with ARROW1";

const NEITHER: &str = "it begins as neither an Arrow file nor an Arrow stream does";

/// The record batches of an Arrow stream, or of an Arrow file: a stream lies within it.
pub(super) struct IpcBatches<R> {
    bytes: R,
    is_file: bool,
    decoder: StreamDecoder,
    /// What the decoder has not looked at.
    pending: Buffer,
    /// What was read of the next message already.
    ahead: Option<[u8; 4]>,
    /// Whether its writer counted on readers that begin at the end of a file.
    is_read_from_end: bool,
    ended: bool,
}

impl<R: BufRead> IpcBatches<R> {
    /// Reads up to the schema.
    pub(super) fn open(mut bytes: R) -> anyhow::Result<(Self, Schema)> {
        let start = bytes.fill_buf()?;
        if start.is_empty() {
            bail!("it is empty: an Arrow file or stream has at least a schema");
        }
        if start.starts_with(FEATHER_1) {
            bail!(
                "it is a file of Feather version 1, which is not read: write version 2, which is \
                 Arrow IPC"
            );
        }
        let mut length: [u8; 4] = exactly(&mut bytes)?;
        let is_file = length == MAGIC[..4];
        if is_file {
            let rest: [u8; 2] = exactly(&mut bytes)?;
            if rest != MAGIC[4..] {
                bail!(NEITHER);
            }
            // Writers pad the magic bytes with zeros to whatever alignment they like.
            while bytes.fill_buf()?.first() == Some(&0) {
                bytes.consume(1);
            }
            length = exactly(&mut bytes)?;
        } else if length != CONTINUATION && u32::from_le_bytes(length) > LONGEST_SCHEMA {
            bail!(NEITHER);
        }
        let mut batches = Self {
            bytes,
            is_file,
            decoder: StreamDecoder::new(),
            pending: Buffer::default(),
            ahead: None,
            is_read_from_end: false,
            ended: false,
        };
        let is_bare = is_file && u32::from_le_bytes(length) < LEAST_SCHEMA && length != [0; 4];
        batches.is_read_from_end = is_bare;
        let message = match is_bare {
            true => Some(batches.bare_schema(length)?),
            false => batches.message_of(length)?,
        };
        let Some(Message { head, body }) = message else {
            bail!("it ends before its schema");
        };
        let schema = schema_of(&head)?;
        batches.decode(head)?;
        batches.decode(body)?;
        Ok((batches, schema))
    }

    /// Refuses a file of which the end is missing, before anything is made of its beginning.
    ///
    /// `end` gives its last [`END_BYTES`].
    pub(super) fn check_file(
        &self,
        end: impl FnOnce() -> std::io::Result<Vec<u8>>,
    ) -> anyhow::Result<()> {
        if !self.is_file {
            return Ok(());
        }
        match end()? == MAGIC {
            true => Ok(()),
            false => bail!(NO_END),
        }
    }

    /// Reads the dictionaries, which may stand behind the batches that use them, where only the end of
    /// the file tells of them.
    ///
    /// `read` gives so many bytes from a place on, of a file of so many bytes.
    pub(super) fn find_dictionaries(
        &mut self,
        bytes: u64,
        read: impl Fn(u64, u64) -> std::io::Result<Vec<u8>>,
    ) -> anyhow::Result<()> {
        const LENGTH: u64 = 4;
        if !self.is_read_from_end {
            return Ok(());
        }
        let length_at = bytes.checked_sub(END_BYTES + LENGTH).context(NO_END)?;
        let length = read(length_at, LENGTH)?;
        let length = length.first_chunk().copied().map_or(0, u32::from_le_bytes);
        let footer_at = length_at.checked_sub(length.into()).context(NO_FOOTER)?;
        let footer = read(footer_at, length.into())?;
        let footer = root_as_footer(&footer).map_err(|_| anyhow!(NO_FOOTER))?;
        for block in footer.dictionaries().into_iter().flatten() {
            let (at, head, body) = (
                u64::try_from(block.offset()).context(NO_FOOTER)?,
                u64::try_from(block.metaDataLength()).context(NO_FOOTER)?,
                u64::try_from(block.bodyLength()).context(NO_FOOTER)?,
            );
            let end = at.checked_add(head).and_then(|it| it.checked_add(body));
            ensure!(end.is_some_and(|end| end <= footer_at), NO_FOOTER);
            let (head, body) = (read(at, head)?, read(at + head, body)?);
            let metadata = head.get(8..).context(NO_FOOTER)?;
            check_sizes(&message_of(metadata)?, &body)?;
            self.decode(head.into())?;
            self.decode(body.into())?;
        }
        Ok(())
    }

    /// The next batch.
    fn read(&mut self) -> anyhow::Result<Option<RecordBatch>> {
        loop {
            // A batch without a body is only seen when more comes.
            if let Some(batch) = self.decoder.decode(&mut self.pending)? {
                return Ok(Some(batch));
            }
            if self.ended {
                return Ok(None);
            }
            match self.message()? {
                Some(Message { head, body }) => {
                    if let Some(batch) = self.decode(head)? {
                        // Of the message before; this one's body has yet to come.
                        self.pending = body;
                        return Ok(Some(batch));
                    }
                    self.pending = body;
                }
                None => {
                    self.ended = true;
                    self.pending = Buffer::from_slice_ref(END);
                    self.check_end()?;
                }
            }
        }
    }

    /// Hands bytes to the decoder, all of which it takes.
    fn decode(&mut self, mut bytes: Buffer) -> anyhow::Result<Option<RecordBatch>> {
        let mut found = None;
        while !bytes.is_empty() {
            if let Some(batch) = self.decoder.decode(&mut bytes)? {
                found = Some(batch);
            }
        }
        Ok(found)
    }

    /// A schema that does not say how long it is: up to the message behind it.
    fn bare_schema(&mut self, start: [u8; 4]) -> anyhow::Result<Message> {
        let mut metadata = start.to_vec();
        loop {
            let word = exactly(&mut self.bytes)?;
            // A number of a schema can look like the beginning of a message.
            let is_whole = word == CONTINUATION
                && metadata.len().is_multiple_of(8)
                && message_of(&metadata).is_ok_and(|message| message.header_as_schema().is_some());
            if is_whole {
                self.ahead = Some(word);
                break;
            }
            metadata.extend(word);
            if metadata.len() as u64 > u64::from(LONGEST_SCHEMA) {
                bail!("its schema has no end");
            }
        }
        let mut head = CONTINUATION.to_vec();
        head.extend(u32::try_from(metadata.len())?.to_le_bytes());
        head.extend(metadata);
        Ok(Message {
            head: head.into(),
            body: Buffer::default(),
        })
    }

    fn message(&mut self) -> anyhow::Result<Option<Message>> {
        if let Some(start) = self.ahead.take() {
            return self.message_of(start);
        }
        let mut length = [0; 4];
        let mut read = 0;
        while read < length.len() {
            match self.bytes.read(&mut length[read..])? {
                // A stream may end without saying so.
                0 if read == 0 => return Ok(None),
                0 => bail!(BREAKS_OFF),
                more => read += more,
            }
        }
        self.message_of(length)
    }

    /// The rest of a message that begins with these bytes.
    fn message_of(&mut self, mut length: [u8; 4]) -> anyhow::Result<Option<Message>> {
        // Old writers leave the continuation out.
        let mut head = Vec::new();
        if length == CONTINUATION {
            head.extend(length);
            length = exactly(&mut self.bytes)?;
        }
        if length == [0; 4] {
            return Ok(None);
        }
        head.extend(length);
        let metadata = head.len();
        let length = u64::from(u32::from_le_bytes(length));
        self.append(length, &mut head)?;
        let message = message_of(&head[metadata..])?;
        let length = u64::try_from(message.bodyLength());
        let mut body = Vec::new();
        self.append(
            length.context("a message of it has a negative length")?,
            &mut body,
        )?;
        check_sizes(&message, &body)?;
        Ok(Some(Message {
            head: head.into(),
            body: body.into(),
        }))
    }

    /// Reads so many bytes; memory is taken for what is there, not for what a length promises.
    fn append(&mut self, length: u64, to: &mut Vec<u8>) -> anyhow::Result<()> {
        let read = self.bytes.by_ref().take(length).read_to_end(to)?;
        if read as u64 != length {
            bail!(BREAKS_OFF);
        }
        Ok(())
    }

    /// Refuses a file of which the end is missing, and what stands behind the end of a stream.
    fn check_end(&mut self) -> anyhow::Result<()> {
        if !self.is_file {
            match self.bytes.fill_buf()?.is_empty() {
                true => return Ok(()),
                false => bail!(BEHIND_END),
            }
        }
        // Behind the stream come the footer, its length, and the magic bytes; and nothing else.
        const LENGTH: usize = 4;
        let mut end = Vec::new();
        let mut bytes = 0_u64;
        loop {
            let more = self.bytes.fill_buf()?;
            if more.is_empty() {
                break;
            }
            end.extend_from_slice(more);
            let read = more.len();
            bytes += read as u64;
            self.bytes.consume(read);
            let too_long = end.len().saturating_sub(LENGTH + MAGIC.len());
            end.drain(..too_long);
        }
        let length = end.strip_suffix(MAGIC).context(NO_END)?;
        let length = length.first_chunk().copied().map(u32::from_le_bytes);
        let length = u64::from(length.context(NO_FOOTER)?);
        // Of the last of several files the footer is one thing, of the first its rows are another.
        match bytes == length + (LENGTH + MAGIC.len()) as u64 {
            true => Ok(()),
            false => bail!(BEHIND_FILE),
        }
    }
}

impl<R: BufRead> Iterator for IpcBatches<R> {
    type Item = anyhow::Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

/// A message, and the body that belongs to it.
struct Message {
    head: Buffer,
    body: Buffer,
}

/// The next bytes.
fn exactly<const N: usize>(bytes: &mut impl Read) -> anyhow::Result<[u8; N]> {
    let mut read = [0; N];
    match bytes.read_exact(&mut read) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => bail!(BREAKS_OFF),
        Err(error) => Err(error.into()),
        Ok(()) => Ok(read),
    }
}

fn message_of(metadata: &[u8]) -> anyhow::Result<arrow_ipc::Message<'_>> {
    // The error goes over several lines, with the path to what is wrong within the message.
    root_as_message(metadata).map_err(|_| anyhow!(
            "a message of it cannot be understood; if an old version of Polars wrote it, which misplaces \
             text in it, let it write with compat_level=pl.CompatLevel.oldest(), or Parquet"
        ))
}

/// Refuses compressed buffers that promise more bytes than there can be in them: the library
/// would ask for that much memory.
fn check_sizes(message: &arrow_ipc::Message<'_>, body: &[u8]) -> anyhow::Result<()> {
    let dictionary = message.header_as_dictionary_batch();
    let batch = message.header_as_record_batch();
    let Some(batch) = batch.or_else(|| dictionary.and_then(|dictionary| dictionary.data())) else {
        return Ok(());
    };
    let Some(compression) = batch.compression() else {
        return Ok(());
    };
    // How much longer than the compressed bytes the others can be.
    let most = match compression.codec() {
        CompressionType::LZ4_FRAME => 255,
        _ => 1 << 16,
    };
    for buffer in batch.buffers().into_iter().flatten() {
        let start = usize::try_from(buffer.offset()).unwrap_or(usize::MAX);
        let length = usize::try_from(buffer.length()).unwrap_or_default();
        let bytes = body.get(start..start.saturating_add(length));
        let promised = bytes.and_then(|bytes| bytes.first_chunk());
        // An empty buffer promises nothing, and one out of bounds is found by the library.
        let promised = promised.copied().map_or(0, i64::from_le_bytes);
        if promised > buffer.length().saturating_mul(most) {
            bail!("a buffer of it promises {promised} bytes, more than can be in it");
        }
    }
    Ok(())
}

/// The schema that the first message holds.
fn schema_of(head: &[u8]) -> anyhow::Result<Schema> {
    let metadata = match head.starts_with(&CONTINUATION) {
        true => &head[8..],
        false => &head[4..],
    };
    let message = message_of(metadata)?;
    let schema = message
        .header_as_schema()
        .context("its first message is not a schema")?;
    if schema.endianness() != Endianness::Little {
        bail!(
            "its numbers are big-endian, which is not read: write it on a little-endian machine, \
             or as Parquet"
        );
    }
    Ok(fb_to_schema(schema))
}
