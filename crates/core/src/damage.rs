//! Damaged inputs for tests.

use proptest::{collection::vec, prelude::*};

/// A good text with random bytes in place of some of its own.
pub(crate) fn damaged(good: impl Into<String>) -> impl Strategy<Value = Vec<u8>> {
    let good = good.into().into_bytes();
    let damage = (0..good.len(), 0..20_usize, vec(any::<u8>(), 0..4));
    vec(damage, 0..4).prop_map(move |damages| {
        let mut bytes = good.clone();
        for (at, length, with) in damages {
            let at = at.min(bytes.len());
            bytes.splice(at..(at + length).min(bytes.len()), with);
        }
        bytes
    })
}
