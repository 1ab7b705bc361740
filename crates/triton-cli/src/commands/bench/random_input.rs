//! Tensors of random elements, for a load that needs no data of its own.

use triton_client::Datatype;

/// The length of random texts.
const TEXT_BYTES: usize = 16;

/// The bytes of an element, as far as random ones go.
pub(super) fn element_bytes(datatype: Datatype) -> usize {
    datatype.element_size().unwrap_or(4 + TEXT_BYTES)
}

/// The elements of a tensor: numbers that every model can take: fractions from 0 to 1, or whole ones below 100.
pub(super) fn random_data(random: &mut fastrand::Rng, datatype: Datatype, count: usize) -> Vec<u8> {
    let mut data = Vec::with_capacity(count.saturating_mul(element_bytes(datatype)));
    for _ in 0..count {
        match datatype {
            Datatype::Bool => data.push(u8::from(random.bool())),
            Datatype::Fp16 => data.extend(half::f16::from_f32(random.f32()).to_le_bytes()),
            Datatype::Bf16 => data.extend(half::bf16::from_f32(random.f32()).to_le_bytes()),
            Datatype::Fp32 => data.extend(random.f32().to_le_bytes()),
            Datatype::Fp64 => data.extend(random.f64().to_le_bytes()),
            Datatype::Bytes => {
                data.extend((TEXT_BYTES as u32).to_le_bytes());
                data.extend((0..TEXT_BYTES).map(|_| random.u8(b'a'..=b'z')));
            }
            // Small whole numbers are the same in little endian, however wide they are.
            _ => {
                data.push(random.u8(0..100));
                data.resize(data.len() + element_bytes(datatype) - 1, 0);
            }
        }
    }
    data
}

#[cfg(test)]
mod tests {
    use triton_client::Tensor;

    use super::*;

    #[test]
    fn every_datatype_makes_a_tensor() {
        let mut random = fastrand::Rng::with_seed(0);
        for datatype in Datatype::ALL.iter().copied() {
            let data = random_data(&mut random, datatype, 5);
            assert_eq!(data.len(), 5 * element_bytes(datatype));
            assert!(Tensor::from_raw("x", datatype, [5], data.into()).is_ok());
        }
    }
}
