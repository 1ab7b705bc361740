//! What the log says of each sequence ID.
//!
//! It is a program of its own because `tracing` remembers for the whole process which events nobody
//! wanted, and the rows of other tests want none.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use triton_model_fn::{
    Column, DataType, InferenceFunction, ModelFunction as _, Schema, Subtask, Value,
};
use triton_options::TritonOptions;
use triton_test_support::EmbeddedTriton;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        log.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn each_id_is_logged_with_its_parts() {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt()
        .with_env_filter("triton_model_fn=debug")
        .with_ansi(false)
        .without_time()
        .with_writer(move || writer.clone())
        .init();
    let server = EmbeddedTriton::start().unwrap();
    let options = [
        ("endpoint", server.endpoint().as_str()),
        ("model-name", "accumulate"),
        ("sequence-id", "flink-job-123"),
        ("sequence-id-auto-increment", "true"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()));
    let schema = Schema {
        inputs: vec![Column::new("value", DataType::Integer)],
        outputs: vec![Column::new("sum", DataType::Integer)],
    };
    let function = InferenceFunction::new(TritonOptions::parse(options).unwrap(), schema).unwrap();
    function.open(Subtask::new(1, 2, 3).unwrap()).await.unwrap();
    for _ in 0..2 {
        function.predict(&[Value::Integer(1)]).await.unwrap();
    }
    function.close().await.unwrap();
    let bytes = log.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let log = String::from_utf8(bytes)
        .unwrap()
        .replace(&server.endpoint(), "http://server");
    insta::assert_snapshot!(log, @"
     INFO triton_model_fn::inference: opened model='accumulate' endpoint=http://server/ subtask=1 parallelism=2 attempt=3
    DEBUG triton_model_fn::open_subtask: took a sequence ID sequence_id=flink-job-123-1-0 base=flink-job-123 subtask_index=1 counter=0
    DEBUG triton_model_fn::open_subtask: took a sequence ID sequence_id=flink-job-123-1-1 base=flink-job-123 subtask_index=1 counter=1
    ");
}
