//! Names that try to be more than a name: none leaves its segment of the path, its header or its text in JSON.

use serde_json::Value;
use triton_client::{
    Client, ErrorKind, HeaderName, HeaderValue, InferRequest, ModelId, ModelName, ModelVersion,
    Sequence, SequenceId, SystemRegion, Tensor, TensorFormat,
};

use crate::raw_server::RawServer;

/// Of which none can stand in a path as it is.
const HOSTILE: &[&str] = &[
    "..",
    ".",
    "../../v2/repository/models/echo/unload",
    "..%2f..",
    "%2e%2e",
    "a%2Fb",
    "a/b",
    "a\\b",
    "a?x=1",
    "a#x",
    "a b",
    "a HTTP/1.1\r\nX-Injected: 1\r\n\r\nGET /",
    "a\r\nX-Injected: 1",
    "a\nb",
    "a\0b",
    "a\tb",
    "\u{7f}",
    "ä",
    "／",
    "",
];

#[test]
fn no_name_leaves_its_segment_of_a_path() {
    for name in HOSTILE {
        assert!(name.parse::<ModelName>().is_err(), "{name:?}");
        assert!(name.parse::<ModelVersion>().is_err(), "{name:?}");
        assert!(ModelVersion::text(name).is_err(), "{name:?}");
    }
}

#[tokio::test]
async fn no_name_of_a_region_is_sent_that_leaves_its_segment() {
    let server = RawServer::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
    let client = Client::new(server.endpoint.as_str()).unwrap();
    let region = SystemRegion {
        key: "/k".to_owned(),
        offset: 0,
        byte_size: 1,
    };
    for name in HOSTILE {
        for error in [
            client.register_system_shared_memory(name, &region).await,
            client.unregister_system_shared_memory(Some(name)).await,
            client.system_shared_memory(Some(name)).await.map(|_| ()),
        ] {
            let error = error.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{name:?}");
            // And what it says commands no terminal and begins no line.
            let words = error.to_string();
            assert!(!words.chars().any(char::is_control), "{words:?}");
        }
    }
    assert_eq!(server.requests(), 0);
}

#[test]
fn no_header_begins_another_one() {
    for value in ["1\r\nX-Injected: 1", "1\n2", "1\r2", "1\0"] {
        assert!(HeaderValue::from_str(value).is_err(), "{value:?}");
    }
    for name in ["x\r\ny", "x y", "x:y", "", "x\0"] {
        assert!(name.parse::<HeaderName>().is_err(), "{name:?}");
    }
}

#[tokio::test]
async fn no_text_leaves_its_place_in_the_json_of_a_request() {
    let body = r#"{"outputs":[]}"#;
    let server = RawServer::answering(format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    let client = Client::builder(server.endpoint.as_str())
        .tensor_format(TensorFormat::Json)
        .build()
        .unwrap();
    for text in HOSTILE
        .iter()
        .chain(&[
            r#"","parameters":{"sequence_end":true},"x":""#,
            "\u{2028}\u{feff}",
        ])
        .filter(|text| !text.is_empty())
    {
        let model = ModelId::latest("echo".parse().unwrap());
        let mut request = InferRequest::new(model)
            .input(Tensor::from_byte_strings(*text, [1], [*text]).unwrap())
            .output(*text)
            .id(*text);
        let sequence = SequenceId::text(*text);
        if let Ok(id) = sequence.clone() {
            request = request.sequence(Sequence::start(id));
        }
        let encoded = request.encode(TensorFormat::Json).unwrap();
        let json: Value = serde_json::from_slice(&encoded.into_bytes()).unwrap();
        assert_eq!(json["id"], **text);
        assert_eq!(json["inputs"][0]["name"], **text);
        assert_eq!(json["inputs"][0]["data"][0], **text);
        assert_eq!(json["outputs"][0]["name"], **text);
        if sequence.is_ok() {
            assert_eq!(json["parameters"]["sequence_id"], **text);
            assert_eq!(json["parameters"]["sequence_end"], Value::Bool(false));
        }
        // An output of that name is not in the answer, which is said on one line.
        let error = match client.infer(&request).await {
            Ok(response) => response.output(text).unwrap_err().to_string(),
            Err(error) => error.to_string(),
        };
        assert!(!error.chars().any(char::is_control), "{error:?}");
    }
}
