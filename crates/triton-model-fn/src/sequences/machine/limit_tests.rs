//! What the machine remembers stays within its limits.

use super::memory::Memory;
use crate::sequences::SequenceKey;

// Holds S53.
#[test]
fn ends_are_remembered_up_to_64_mib() {
    let mut memory = Memory::new(1, 0);
    for key in 0..600_000 {
        memory.end(SequenceKey::new(&format!("{key:012}")), 1);
    }
    let long = "x".repeat(20_000);
    for key in 0..10_000 {
        memory.end(SequenceKey::new(&format!("{long}{key}")), 1);
    }
    let (ends, _) = memory.last_ends();
    let ends = ends.map(|(key, _)| 96 + key.as_str().len());
    let all: usize = ends.sum();
    // last_ends shows the last 100,000 only, which is less than all of it.
    assert!(all <= 64 << 20, "{} MiB, of at most 64", all >> 20);
}
