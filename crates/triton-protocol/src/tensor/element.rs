//! Which Rust types are elements of which datatype.

use bytemuck::{CheckedBitPattern, NoUninit};

use crate::Datatype;

/// A Rust type whose values are elements of a tensor.
///
/// ```
/// use triton_protocol::{Datatype, TensorElement};
///
/// assert_eq!(f32::DATATYPE, Datatype::Fp32);
/// ```
///
/// It is sealed: the datatypes are those of the protocol.
pub trait TensorElement: private::Sealed + NoUninit + CheckedBitPattern + Send + Sync {
    /// The datatype of a tensor of these.
    const DATATYPE: Datatype;
}

mod private {
    pub trait Sealed {}
}

macro_rules! tensor_elements {
    ($($element:ty => $datatype:ident),+ $(,)?) => {
        $(impl private::Sealed for $element {}

        impl TensorElement for $element {
            const DATATYPE: Datatype = Datatype::$datatype;
        })+
    };
}

tensor_elements! {
    bool => Bool,
    u8 => Uint8, u16 => Uint16, u32 => Uint32, u64 => Uint64,
    i8 => Int8, i16 => Int16, i32 => Int32, i64 => Int64,
    f32 => Fp32, f64 => Fp64,
}

#[cfg(feature = "half")]
tensor_elements! {
    half::f16 => Fp16, half::bf16 => Bf16,
}
