//! Addresses at which something answers that is no server of the protocol.

use std::io::Write as _;

use triton_client::{
    Client, Error, ErrorKind, LoadModel, ModelId, ModelName, Readiness, SystemRegion, UnloadModel,
};

use crate::raw_server::RawServer;

fn answer(status: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n{body}"
    )
    .into_bytes()
}

/// A client of a server that answers all but `/v2` with the first, and that with the second.
fn client(all: Vec<u8>, metadata: Vec<u8>) -> (RawServer, Client) {
    let server = RawServer::answering_each(move |connection, path| {
        let answer = if path.ends_with("/v2") {
            &metadata
        } else {
            &all
        };
        let _ = connection.write_all(answer);
    });
    let endpoint = format!("{}/base", server.endpoint);
    let client = Client::new(endpoint).unwrap();
    (server, client)
}

async fn questions(client: &Client) -> [Result<Readiness, Error>; 3] {
    let model = ModelId::latest("echo".parse().unwrap());
    [
        client.live().await,
        client.ready().await,
        client.model_ready(&model).await,
    ]
}

#[tokio::test]
async fn a_wrong_path_is_not_a_server_that_is_not_ready() {
    let nothing = || answer("404 Not Found", "", r#"{"error":"Not Found"}"#);
    let page = || answer("404 Not Found", "", "<html><title>404</title></html>");
    for (all, metadata) in [
        (nothing(), nothing()),
        (page(), page()),
        (nothing(), answer("200 OK", "", "<html>Welcome</html>")),
    ] {
        let (server, client) = client(all, metadata);
        for outcome in questions(&client).await {
            let error = outcome.unwrap_err();
            assert_eq!(
                (error.kind(), error.status()),
                (ErrorKind::NotFound, Some(404))
            );
            assert!(!error.is_transient());
            let words = error.to_string().replace(&server.endpoint, "http://server");
            if words.contains("liveness") && words.contains("Not Found") {
                insta::allow_duplicates! {
                    insta::assert_snapshot!(words, @"check liveness at http://server/base/: status 404: no server of the V2 protocol answers there (Not Found): set the endpoint to the address below which its '/v2' lies");
                }
            }
        }
    }
}

#[tokio::test]
async fn what_servers_say_of_themselves_is_not_ready() {
    let metadata = || {
        answer(
            "200 OK",
            "",
            r#"{"name":"x","version":"1","extensions":[]}"#,
        )
    };
    for all in [
        answer("400 Bad Request", "", ""),
        answer("400 Bad Request", "", r#"{"error":"Model not ready"}"#),
        answer("404 Not Found", "", r#"{"error":"Model echo not found"}"#),
        answer("404 Not Found", "", ""),
        answer("503 Service Unavailable", "", r#"{"error":"not ready"}"#),
    ] {
        let (_server, client) = client(all, metadata());
        for outcome in questions(&client).await {
            assert_eq!(outcome.unwrap(), Readiness::NotReady);
        }
    }
}

#[tokio::test]
async fn a_page_is_no_word_of_health() {
    let page = answer("200 OK", "", "<!doctype html><title>Sign in</title>");
    let (server, client) = client(page.clone(), page);
    for outcome in questions(&client).await {
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol);
        let words = error.to_string().replace(&server.endpoint, "http://server");
        if words.contains("liveness") {
            insta::assert_snapshot!(words, @"check liveness at http://server/base/: status 200: expected a word of a server's health, found a page: Sign in");
        }
    }
}

/// A gateway's: nginx answers 400 on a port of TLS, and 503 where it has no server to ask.
#[tokio::test]
async fn a_page_that_refuses_is_no_word_of_a_server_either() {
    for (status, kind, transient) in [
        ("400 Bad Request", ErrorKind::Unavailable, true),
        ("503 Service Unavailable", ErrorKind::Unavailable, true),
    ] {
        let page = "<html><head><title>The plain HTTP request was sent to HTTPS port</title></head></html>";
        let page = answer(status, "", page);
        let (server, client) = client(page.clone(), page);
        for outcome in questions(&client).await {
            let error = outcome.unwrap_err();
            assert_eq!((error.kind(), error.is_transient()), (kind, transient));
            let words = error.to_string().replace(&server.endpoint, "http://server");
            if words.contains("liveness") && kind == ErrorKind::Rejected {
                insta::assert_snapshot!(words, @"check liveness at http://server/base/: status 400: The plain HTTP request was sent to HTTPS port");
            }
        }
    }
}

/// Of what these calls are answered nothing is read, so nothing would tell.
#[tokio::test]
async fn a_page_does_not_say_that_anything_was_done() {
    let page = answer("200 OK", "", "<!doctype html><title>Sign in</title>");
    let (server, client) = client(page.clone(), page);
    let model: ModelName = "echo".parse().unwrap();
    let region = SystemRegion {
        key: "/m".to_owned(),
        offset: 0,
        byte_size: 1,
    };
    for outcome in [
        client.load_model(&model, &LoadModel::new()).await,
        client.unload_model(&model, &UnloadModel::new()).await,
        client.register_system_shared_memory("m", &region).await,
        client.unregister_system_shared_memory(None).await,
        client.unregister_cuda_shared_memory(None).await,
    ] {
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol);
        let words = error.to_string().replace(&server.endpoint, "http://server");
        if words.starts_with("load") {
            insta::assert_snapshot!(words, @"load model 'echo' at http://server/base/: status 200: expected that it was done, found a page: Sign in");
        }
    }
}

#[tokio::test]
async fn every_redirect_names_where_it_leads() {
    for status in [
        "301 Moved",
        "302 Found",
        "303 Other",
        "307 Temporary",
        "308 Permanent",
    ] {
        for location in [
            "https://secure.example/base/v2/health/live?token=canary#canary",
            "//canary:canary@secure.example/base/v2/health/live",
            "/other/live",
            "../login?next=canary",
        ] {
            let redirect = answer(status, &format!("Location: {location}\r\n"), "");
            let (server, client) = client(redirect.clone(), redirect);
            let error = client.live().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Protocol, "{status}: {error}");
            let words = error.to_string().replace(&server.endpoint, "http://server");
            assert!(!words.contains("canary"), "{words}");
            let target = match location.contains("secure") {
                true => "://secure.example/base/v2/health/live,",
                false if location.starts_with('/') => "http://server/other/live,",
                false => "http://server/base/v2/login,",
            };
            assert!(words.contains(target), "{status}: {words}");
        }
    }
}
