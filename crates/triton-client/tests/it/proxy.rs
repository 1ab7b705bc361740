//! Proxies: only the one that was set, and only if one was.

use triton_client::{Client, Readiness};

use crate::raw_server::RawServer;

#[tokio::test]
async fn calls_go_through_the_proxy_that_was_set() {
    let proxy = RawServer::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    // No such host: only a proxy could know it.
    let endpoint = "http://triton.invalid:8000".parse().unwrap();
    let builder = Client::builder(endpoint);
    let client = builder.clone().proxy(&proxy.endpoint).build().unwrap();
    assert_eq!(client.live().await.unwrap(), Readiness::Ready);
    assert_eq!(proxy.requests(), 1);
    builder.build().unwrap().live().await.unwrap_err();
    assert_eq!(proxy.requests(), 1);
}
