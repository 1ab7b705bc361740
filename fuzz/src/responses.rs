//! What a server sends: it is not to be trusted, and no answer, however malformed, may crash the
//! client or make it lie.

use bytes::Bytes;
use serde_json::Value;
use triton_protocol::wire::json_tokens;
use triton_protocol::wire::server_sent_events::EventReader;
use triton_protocol::{Datatype, InferResponse, Tensor};

use crate::cells;

/// An answer that is JSON alone.
pub(crate) fn json(input: &[u8]) {
    decode(input, None);
}

/// An answer whose tensors lie behind its JSON; the first two bytes say how long that is.
pub(crate) fn binary(input: &[u8]) {
    if let Some((length, body)) = input.split_first_chunk::<2>() {
        decode(body, Some(usize::from(u16::from_le_bytes(*length))));
    }
}

fn decode(body: &[u8], json_length: Option<usize>) {
    // An offset, so that tensors are met where they are not aligned.
    let mut shifted = vec![0];
    shifted.extend_from_slice(body);
    let body = Bytes::from(shifted).slice(1..);
    let Ok(response) = InferResponse::decode(body, json_length) else {
        return;
    };
    for output in &response.outputs {
        let found = response.output(output.name()).expect("names are unique");
        assert_eq!(found, output);
        check(output);
        cells::answered(output);
    }
}

/// Reads a tensor as what it says it is: there must be as many elements as its shape holds.
fn check(tensor: &Tensor) {
    let mut sizes = tensor.shape().iter();
    let expected = sizes.try_fold(1_usize, |count, size| count.checked_mul(*size));
    // Whoever goes through a tensor dimension by dimension multiplies sizes, in this order too.
    let expected = expected.expect("the sizes of a shape can be multiplied");
    let found = match tensor.datatype() {
        // A byte that is neither 0 nor 1 is an error of its own.
        Datatype::Bool => tensor
            .values::<bool>()
            .map_or(expected, |values| values.len()),
        Datatype::Fp32 => tensor.values::<f32>().expect("any bits are a float").len(),
        Datatype::Fp64 => tensor.values::<f64>().expect("any bits are a float").len(),
        Datatype::Int64 => tensor.values::<i64>().expect("any bits are a number").len(),
        Datatype::Bytes => {
            // Whether they are classes is for the model to say; reading them must not crash.
            let _ = tensor.classes();
            tensor.byte_strings().expect("checked when decoded").count()
        }
        datatype => tensor.raw().len() / datatype.element_size().unwrap_or(1),
    };
    assert_eq!(found, expected);
}

/// A stream of events; the first two bytes say in what pieces it comes.
pub(crate) fn events(input: &[u8]) {
    let Some(([first, next], stream)) = input.split_first_chunk::<2>() else {
        return;
    };
    let whole = read([stream]);
    let (first, rest) = stream.split_at(usize::from(*first).min(stream.len()));
    let pieces = rest.chunks(usize::from(*next).max(1));
    assert_eq!(read(std::iter::once(first).chain(pieces)), whole);
    for event in whole.events {
        let text = String::from_utf8_lossy(&event);
        let quoted = json_tokens::quote(text.as_bytes());
        let read = serde_json::from_slice::<Value>(&quoted);
        // What was JSON before is the same JSON afterwards.
        if let Ok(value) = serde_json::from_str::<Value>(&text) {
            assert_eq!(value, read.expect("JSON stays JSON"));
        }
    }
}

/// What a reader makes of a stream.
#[derive(Debug, PartialEq)]
struct Read {
    events: Vec<Vec<u8>>,
    is_within_event: bool,
    is_foreign: bool,
}

fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Read {
    let mut reader = EventReader::default();
    let mut events = Vec::new();
    let mut came = 0;
    for piece in pieces {
        reader.push(piece);
        came += piece.len();
        while let Some(event) = reader.next_event() {
            events.push(event);
        }
        // A client bounds what it holds by this.
        assert!(reader.held() <= came);
        reader.is_foreign(false);
    }
    Read {
        events,
        is_within_event: reader.is_within_event(),
        is_foreign: reader.is_foreign(true),
    }
}
