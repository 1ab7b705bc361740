//! How the server starts and ends.

use std::net::TcpStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

use triton_embedded::{
    Clock, EmbeddedTriton, Model, ModelConfig, ModelError, ModelRequest, Tensor, models::Echo,
};

use crate::connection::{get, infer, send};

#[test]
fn stopping_twice_is_fine_and_leaves_the_record() {
    let server = EmbeddedTriton::start().expect("a server");
    infer(&server, "echo", "{");
    let endpoint = server.endpoint();
    server.stop();
    server.stop();
    let address = endpoint.strip_prefix("http://").expect("a plain endpoint");
    assert!(TcpStream::connect(address).is_err());
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn it_starts_and_ends_inside_an_asynchronous_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let server = EmbeddedTriton::start().expect("a server");
        get(&server, "/v2/health/live").success();
    });
}

#[test]
fn an_open_connection_does_not_hold_up_the_end() {
    let server = EmbeddedTriton::start().expect("a server");
    let endpoint = server.endpoint();
    let address = endpoint.strip_prefix("http://").expect("a plain endpoint");
    let _idle = TcpStream::connect(address).expect("a connection");
    drop(server);
}

#[test]
fn two_models_of_one_name_are_refused() {
    let error = EmbeddedTriton::builder()
        .model(Echo)
        .model(Echo)
        .start()
        .expect_err("one name");
    assert_eq!(error.to_string(), "two models have the name 'echo'");
}

struct BrokenClock;

impl Clock for BrokenClock {
    fn now(&self) -> Instant {
        panic!("the clock is broken")
    }
}

#[test]
fn a_panic_of_the_server_reaches_whoever_drops_it() {
    let server = EmbeddedTriton::builder()
        .built_in_models()
        .clock(BrokenClock)
        .start()
        .expect("a server");
    let body = r#"{"inputs":[{"name":"value","shape":[1,0],"datatype":"FP32","data":[]}]}"#;
    assert_eq!(infer(&server, "echo", body).status, 500);
    get(&server, "/v2/health/live").success();
    let panic = catch_unwind(AssertUnwindSafe(|| drop(server))).expect_err("the panic");
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"the clock is broken"));
}

/// Tells when it begins, and waits to be told to end.
struct Gate {
    begun: Sender<()>,
    open: Mutex<Receiver<()>>,
}

impl Model for Gate {
    type State = ();

    fn config(&self) -> ModelConfig {
        ModelConfig::new("gate")
    }

    fn execute(&self, _: &ModelRequest, _: &mut ()) -> Result<Vec<Tensor>, ModelError> {
        self.begun.send(()).expect("the test waits");
        self.open.lock().expect("no panic").recv().expect("opened");
        Ok(Vec::new())
    }
}

#[test]
fn a_busy_model_holds_up_nobody_else_and_a_gone_client_cancels_nothing() {
    let (begun, has_begun) = channel();
    let (open, wait) = channel();
    let gate = Gate {
        begun,
        open: Mutex::new(wait),
    };
    let server = EmbeddedTriton::builder()
        .model(gate)
        .start()
        .expect("a server");
    let path = "/v2/models/gate/infer";
    let stream = send(&server, "POST", path, r#"{"inputs":[]}"#);
    has_begun.recv().expect("execution");
    drop(stream);
    get(&server, "/v2/models/gate/ready").success();
    open.send(()).expect("the model waits");
    let second = send(&server, "POST", path, r#"{"inputs":[]}"#);
    has_begun.recv().expect("execution");
    open.send(()).expect("the model waits");
    drop(second);
    assert!(server.requests().iter().all(|request| request.executed));
}
