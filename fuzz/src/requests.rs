//! What clients send to the embedded server.

/// All that is sent over one connection.
pub(crate) fn request(input: &[u8]) {
    let statuses = triton_embedded::fuzzing::answer(input).expect("the system gives threads");
    for status in statuses {
        assert!((100..600).contains(&status), "{status}");
    }
}
