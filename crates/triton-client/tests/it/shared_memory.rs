//! Tensors in a region of system shared memory, which a server on this machine maps, too.

use std::path::PathBuf;

use triton_client::{
    Client, Datatype, ErrorKind, HeaderValue, InferRequest, ModelId, RequestedOutput, SharedMemory,
    SharedTensor, SystemRegion, Tensor, TensorError, TensorFormat,
};
use triton_test_support::EmbeddedTriton;

use crate::raw_server::RawServer;

/// A file that is a memory object of the system; removed at the end.
struct Object {
    name: String,
    path: PathBuf,
}

impl Object {
    fn new(purpose: &str, content: &[u8]) -> Self {
        let name = format!("triton-client-{purpose}-{}", std::process::id());
        let path = PathBuf::from("/dev/shm").join(&name);
        std::fs::write(&path, content).unwrap();
        Self { name, path }
    }

    fn content(&self) -> Vec<u8> {
        std::fs::read(&self.path).unwrap()
    }

    /// Writes in place: a server that has mapped the object must not see it become shorter.
    fn overwrite(&self, content: &[u8]) {
        use std::io::Write as _;
        let mut file = std::fs::File::options()
            .write(true)
            .open(&self.path)
            .unwrap();
        file.write_all(content).unwrap();
    }

    /// Registers the whole of it under its own name.
    async fn register(&self, client: &Client) {
        let region = SystemRegion {
            key: format!("/{}", self.name),
            offset: 0,
            byte_size: u64::try_from(self.content().len()).unwrap(),
        };
        let registered = client.register_system_shared_memory(&self.name, &region);
        registered.await.unwrap();
    }

    async fn unregister(&self, client: &Client) {
        let name = Some(self.name.as_str());
        client.unregister_system_shared_memory(name).await.unwrap();
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn client(endpoint: &str) -> Client {
    Client::new(endpoint).unwrap()
}

fn live() -> Client {
    client(&triton_test_support::live_endpoint())
}

fn model(name: &str) -> ModelId {
    ModelId::latest(name.parse().unwrap())
}

fn floats(values: &[f32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

#[tokio::test]
async fn an_input_and_an_output_lie_in_shared_memory() {
    let client = live();
    let values = floats(&[0.0, 1.0, 2.0, 3.0]);
    let inputs = Object::new("inputs", &values);
    let outputs = Object::new("outputs", &[0xff; 64]);
    inputs.register(&client).await;
    outputs.register(&client).await;
    for format in [TensorFormat::Binary, TensorFormat::Json] {
        outputs.overwrite(&[0xff; 64]);
        let memory = SharedMemory::new(&inputs.name, 12).at(4);
        let input = SharedTensor::new("value", Datatype::Fp32, [1, 3], memory).unwrap();
        let memory = SharedMemory::new(&outputs.name, 40).at(16);
        let request = InferRequest::new(model("echo"))
            .shared_input(input)
            .output(RequestedOutput::new("echo").shared_memory(memory))
            .format(format);
        let mut response = client.infer(&request).await.unwrap();
        let content = outputs.content();
        assert_eq!(content[..16], [0xff; 16]);
        assert_eq!(content[16..28], values[4..]);
        assert_eq!(content[28..], [0xff; 36]);

        let output = response.shared_output("echo").unwrap();
        assert_eq!(
            output.memory(),
            &SharedMemory::new(&outputs.name, 12).at(16)
        );
        let read = output.read(&content).unwrap();
        assert_eq!(*read.values::<f32>().unwrap(), [1.0, 2.0, 3.0]);
        // It is not taken for an output without elements, or for one that is not there.
        assert!(response.outputs.is_empty());
        let error = response.output("echo").unwrap_err();
        assert!(
            matches!(&error, TensorError::InSharedMemory { region, .. } if *region == outputs.name)
        );
        assert_eq!(response.take_output("echo").unwrap_err(), error);
    }
    inputs.unregister(&client).await;
    outputs.unregister(&client).await;
}

#[tokio::test]
async fn a_part_that_is_too_small_fails_after_the_model_has_run() {
    let client = live();
    let outputs = Object::new("small", &[0; 8]);
    outputs.register(&client).await;
    let memory = SharedMemory::new(&outputs.name, 8);
    let request = InferRequest::new(model("echo"))
        .input(Tensor::from_slice("value", [1, 3], &[1.0_f32, 2.0, 3.0]).unwrap())
        .output(RequestedOutput::new("echo").shared_memory(memory));
    let error = client.infer(&request).await.unwrap_err();
    outputs.unregister(&client).await;
    assert_eq!(
        (error.kind(), error.may_have_executed()),
        (ErrorKind::Server, true)
    );
    insta::assert_snapshot!(error.message(), @"shared memory size specified with the request for output 'echo' (8 bytes) should be at least 12 bytes to hold the results");
}

/// A request whose input is in a region that nobody registered.
fn unregistered() -> InferRequest {
    let memory = SharedMemory::new("nobody", 4);
    let input = SharedTensor::new("value", Datatype::Fp32, [1, 1], memory);
    InferRequest::new(model("echo")).shared_input(input.unwrap())
}

#[tokio::test]
async fn a_region_that_is_not_registered_is_refused_by_both_servers() {
    let embedded = EmbeddedTriton::builder().built_in_models();
    let embedded = embedded.start().unwrap();
    for client in [live(), client(&embedded.endpoint())] {
        let error = client.infer(&unregistered()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        insta::allow_duplicates! {
            insta::assert_snapshot!(error.message(), @"Unable to find shared memory region: 'nobody'");
        }
    }
}

#[tokio::test]
async fn classes_in_shared_memory_are_refused_before_anything_is_sent() {
    let memory = SharedMemory::new("outputs", 100);
    let classes = RequestedOutput::classification("echo", std::num::NonZeroU32::MIN);
    let request = unregistered().output(classes.shared_memory(memory));
    let error = client("http://127.0.0.1:1").with_timeout(std::time::Duration::from_secs(1));
    let request = request.format(TensorFormat::Binary);
    let error = error.infer(&request).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.may_have_executed()),
        (ErrorKind::InvalidRequest, false)
    );
    insta::assert_snapshot!(error.message(), @"output 'echo' cannot be sent: its classes are wanted, and they cannot be put into shared memory");
}

#[tokio::test]
async fn a_response_has_the_headers_of_its_answer() {
    let body = r#"{"outputs":[{"name":"x","datatype":"INT8","shape":[1],"data":[3]}]}"#;
    let server = RawServer::answering(format!(
        "HTTP/1.1 200 OK\r\nX-Served-By: replica-7\r\nSet-Cookie: session=hush\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    let request = InferRequest::new(model("echo"))
        .format(TensorFormat::Json)
        .output(RequestedOutput::new("x").format(TensorFormat::Binary));
    let response = client(&server.endpoint).infer(&request).await.unwrap();
    assert_eq!(
        response.headers["x-served-by"],
        HeaderValue::from_static("replica-7")
    );
    assert_eq!(response.headers["set-cookie"], "session=hush");
    assert!(!format!("{response:?}").contains("hush"));
}
