//! What the integration tests of several crates share: the servers they run against.

pub use triton_embedded::EmbeddedTriton;

/// The environment variable that hands the address of a real Triton to the live tests.
pub const LIVE_ENDPOINT_VARIABLE: &str = "TRITON_TEST_ENDPOINT";

/// The address of a real Triton that serves `examples/models`.
///
/// # Panics
///
/// When there is none: a live test that cannot run must never count as passed.
#[must_use]
pub fn live_endpoint() -> String {
    std::env::var(LIVE_ENDPOINT_VARIABLE).unwrap_or_else(|_| {
        panic!(
            "this test needs a real Triton, and {LIVE_ENDPOINT_VARIABLE} names none: run the \
             tests with `cargo xtask test`, which starts one"
        )
    })
}

/// Makes two tests of each function named: against the embedded server and against a real one.
///
/// A function takes the endpoint as `&str` and is asynchronous; the crate that calls the macro
/// needs tokio with its macros.
#[macro_export]
macro_rules! on_both_servers {
    ($($test:ident),+ $(,)?) => {
        mod embedded {
            $(
                #[tokio::test]
                async fn $test() {
                    let server = $crate::EmbeddedTriton::start().expect("the embedded server starts");
                    super::$test(&server.endpoint()).await;
                }
            )+
        }

        mod live {
            $(
                #[tokio::test]
                async fn $test() {
                    super::$test(&$crate::live_endpoint()).await;
                }
            )+
        }
    };
}
