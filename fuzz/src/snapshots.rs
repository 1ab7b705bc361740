//! Snapshots of sequences, which engines keep and hand back.

use std::sync::LazyLock;

use tokio::runtime::Runtime;
use triton_embedded::EmbeddedTriton;
use triton_model_fn::{
    DataType, InferenceFunction, ModelFunction as _, Schema, SequenceSnapshot, Subtask,
    TritonOptions,
};

/// How a snapshot begins.
const MAGIC: &[u8] = b"TRITONSQ";

/// The newest version that has another checksum.
const LAST_WITHOUT_VERSION: u16 = 2;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("the system gives a runtime")
});

static SERVER: LazyLock<EmbeddedTriton> = LazyLock::new(|| {
    let server = EmbeddedTriton::builder().built_in_models();
    server
        .recorded_requests(0)
        .start()
        .expect("the system gives a socket")
});

/// A snapshot without its checksum, which no fuzzer would guess: its version, and what follows.
pub(crate) fn snapshot(input: &[u8]) {
    // As they are, these bytes are hardly ever a snapshot.
    let _ = SequenceSnapshot::from_bytes(input);
    let Some((version, payload)) = input.split_first() else {
        return;
    };
    let version = u16::from(*version);
    let mut hasher = crc32fast::Hasher::new();
    if version > LAST_WITHOUT_VERSION {
        hasher.update(&version.to_le_bytes());
    }
    hasher.update(payload);
    let head = [&version.to_le_bytes()[..], &hasher.finalize().to_le_bytes()].concat();
    let Ok(read) = SequenceSnapshot::from_bytes(&[MAGIC, &head, payload].concat()) else {
        return;
    };
    let written = read.to_bytes();
    let again = SequenceSnapshot::from_bytes(&written).expect("what was written can be read");
    assert_eq!(again, read);
    restore(read);
}

/// Hands a snapshot to a function, which takes all of it or says why not.
fn restore(snapshot: SequenceSnapshot) {
    let options = [
        ("endpoint", SERVER.endpoint().as_str()),
        ("model-name", "accumulate"),
        ("sequence-id", "job"),
        ("sequence-id-auto-increment", "true"),
        ("sequence-key", "k"),
        ("sequence-recovery", "replay"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()));
    let options = TritonOptions::parse(options).expect("these are options");
    let schema = Schema::new(
        [("k", DataType::String), ("value", DataType::Integer)],
        [("sum", DataType::Integer)],
    );
    let function = InferenceFunction::new(options, schema).expect("these fit each other");
    RUNTIME.block_on(async {
        let subtask = Subtask::new(0, 1, 0).expect("this is a subtask");
        function.open(subtask).await.expect("the server is there");
        if function.restore(snapshot).is_ok() {
            function.snapshot().expect("no row is in flight");
        }
        function.close().await.expect("nothing is left to do");
    });
}
