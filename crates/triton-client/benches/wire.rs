//! Encoding requests and decoding responses: time, and allocations for each.

#![expect(
    clippy::unwrap_used,
    reason = "a benchmark ends where something unexpected comes"
)]

use std::alloc::System;
use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use triton_client::{InferRequest, InferResponse, ModelId, Tensor, TensorFormat};

/// The system's allocator, counted.
#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn request(count: usize) -> InferRequest {
    let values: Vec<f32> = (0..count).map(|index| index as f32 / 7.0).collect();
    InferRequest::new(ModelId::latest("echo".parse().unwrap()))
        .input(Tensor::from_vec("value", [1, count], values).unwrap())
        .output("echo")
}

/// What a server would answer to that request.
fn response(count: usize, format: TensorFormat) -> (Bytes, Option<usize>) {
    let encoded = request(count).encode(format).unwrap();
    let json_length = encoded.json_length();
    let body = encoded.into_bytes();
    let split = json_length.unwrap_or(body.len());
    let json = String::from_utf8(body[..split].to_vec()).unwrap();
    let json = json.replacen(",\"outputs\":", ",\"asked\":", 1);
    let json = json.replacen("\"inputs\":", "\"outputs\":", 1);
    let length = json_length.map(|_| json.len());
    ([json.as_bytes(), &body[split..]].concat().into(), length)
}

fn report(name: &str, work: impl Fn()) {
    work();
    let region = Region::new(ALLOCATOR);
    work();
    let change = region.change();
    println!(
        "{name}: {} allocations and {} reallocations of {} bytes in all",
        change.allocations, change.reallocations, change.bytes_allocated
    );
}

fn wire(criterion: &mut Criterion) {
    for count in [8, 150_528] {
        for (name, format) in [
            ("binary", TensorFormat::Binary),
            ("json", TensorFormat::Json),
        ] {
            let request = request(count);
            let encode = || drop(black_box(request.encode(format).unwrap()));
            let (body, length) = response(count, format);
            let decode = || {
                let response = InferResponse::decode(body.clone(), length).unwrap();
                black_box(
                    response
                        .output("value")
                        .unwrap()
                        .values::<f32>()
                        .unwrap()
                        .len(),
                );
            };
            report(&format!("encode/{name}/{count}"), encode);
            report(&format!("decode/{name}/{count}"), decode);
            criterion.bench_function(&format!("encode/{name}/{count}"), |bencher| {
                bencher.iter(encode);
            });
            criterion.bench_function(&format!("decode/{name}/{count}"), |bencher| {
                bencher.iter(decode);
            });
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = wire
}
criterion_main!(benches);
