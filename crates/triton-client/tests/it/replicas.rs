//! One of several servers behind a name: connected to by its address, called by its name.

use std::net::SocketAddr;

use triton_client::{Client, Readiness};

use crate::raw_server::RawServer;

fn address(server: &RawServer) -> SocketAddr {
    server
        .endpoint
        .trim_start_matches("http://")
        .parse()
        .unwrap()
}

#[tokio::test]
async fn a_replica_is_reached_by_its_address_and_called_by_its_name() {
    let server = RawServer::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    // Nobody can look that name up.
    let client = Client::builder("http://user:canary@triton.invalid:8123")
        .connect_to(address(&server))
        .build()
        .unwrap();
    assert_eq!(client.replica(), Some(address(&server)));
    assert_eq!(client.live().await.unwrap(), Readiness::Ready);
    let request = server.last_request().to_lowercase();
    assert!(
        request.contains("\nhost: triton.invalid:8123\n"),
        "{request}"
    );
}

#[tokio::test]
async fn an_error_names_the_replica_beside_the_endpoint() {
    let client = Client::builder("http://user:canary@triton.invalid:8123")
        .connect_to(([127, 0, 0, 1], 1).into())
        .build()
        .unwrap();
    let error = client.live().await.unwrap_err();
    insta::assert_snapshot!(error, @"check liveness at http://triton.invalid:8123/ (127.0.0.1:1): no connection could be made; is the server running there?");
    let error = Client::builder("http://triton.invalid")
        .connect_to(([127, 0, 0, 1], 1).into())
        .proxy("http://proxy:3128")
        .build()
        .unwrap_err();
    insta::assert_snapshot!(error, @"set up at http://triton.invalid/: expected no proxy where it is said what to connect to: it finds the server itself");
}
