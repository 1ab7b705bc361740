//! A server behind TLS, with an authority of your own and a token:
//! `cargo run --example tls -p triton-client -- https://10.0.0.7:8443 ca.pem triton.example`.
//!
//! The token is read from the environment variable `TRITON_TOKEN`.

use triton_client::{Client, HeaderName, HeaderValue};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(endpoint), Some(authority)) = (arguments.next(), arguments.next()) else {
        return Err("expected an https address, a file of authorities and perhaps a name".into());
    };
    let mut builder = Client::builder(endpoint).certificate_authorities(std::fs::read(authority)?);
    // Only needed where the certificate bears another name than the address.
    if let Some(name) = arguments.next() {
        builder = builder.tls_server_name(name);
    }
    if let Ok(token) = std::env::var("TRITON_TOKEN") {
        let value = HeaderValue::try_from(format!("Bearer {token}"))?;
        builder = builder.header(HeaderName::from_static("authorization"), value);
    }
    let client = builder.build()?;
    println!("{:?}", client.live().await?);
    Ok(())
}
