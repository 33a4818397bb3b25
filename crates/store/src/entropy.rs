//! Randomness as an argument: ids, keys and secrets come from here and from nowhere else.

use std::cell::RefCell;

use ring::rand::{SecureRandom, SystemRandom};
use zeroize::{Zeroize as _, Zeroizing};

/// Gives unpredictable bytes.
pub trait Entropy: Send + Sync {
    /// Fills `out`.
    ///
    /// # Panics
    ///
    /// When the machine has no randomness to give: no key made without it may ever be used.
    fn fill(&self, out: &mut [u8]);
}

/// Bytes that a thread asks the machine for at once. A call to the system costs more than the bytes do.
const POOL_BYTES: usize = 512;

/// The machine's own source, asked for more than is needed now: what is left over serves the next that ask
/// on this thread. No byte is given twice, and none stays in memory once it is given.
///
/// A process that is made by `fork` and goes on without `exec` would give the same bytes; Tidelock makes none.
#[derive(Debug)]
pub struct SystemEntropy(SystemRandom);

impl SystemEntropy {
    /// Opens the source.
    #[allow(
        clippy::new_without_default,
        reason = "a default would hide where randomness comes from"
    )]
    pub fn new() -> Self {
        Self(SystemRandom::new())
    }

    #[allow(clippy::expect_used, reason = "documented: there is no safe way to go on")]
    fn ask(&self, out: &mut [u8]) {
        self.0.fill(out).expect("the operating system gives randomness");
    }
}

impl Entropy for SystemEntropy {
    fn fill(&self, out: &mut [u8]) {
        if out.len() > POOL_BYTES {
            return self.ask(out);
        }
        POOL.with_borrow_mut(|pool| {
            if pool.left < out.len() {
                self.ask(&mut pool.bytes[..]);
                pool.left = POOL_BYTES;
            }
            let (start, end) = (pool.left - out.len(), pool.left);
            out.copy_from_slice(&pool.bytes[start..end]);
            pool.bytes[start..end].zeroize();
            pool.left = start;
        });
    }
}

/// Random bytes that nobody has been given yet: the first `left` of them.
struct Pool {
    bytes: Zeroizing<[u8; POOL_BYTES]>,
    left: usize,
}

thread_local! {
    static POOL: RefCell<Pool> =
        RefCell::new(Pool { bytes: Zeroizing::new([0; POOL_BYTES]), left: 0 });
}

/// Fresh random bytes.
pub(crate) fn array<const N: usize>(entropy: &dyn Entropy) -> [u8; N] {
    let mut bytes = [0; N];
    entropy.fill(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_bytes_are_given_twice() {
        let entropy = SystemEntropy::new();
        let mut seen = HashSet::new();
        // Of all lengths, so that requests fall on both sides of where the pool ends.
        for length in (8..POOL_BYTES + 40).chain(8..200) {
            let mut bytes = vec![0; length];
            entropy.fill(&mut bytes);
            for piece in bytes.windows(8) {
                assert!(seen.insert(piece.to_vec()), "given before, by one of {length} bytes");
            }
        }
    }

    #[test]
    fn what_is_given_is_not_kept() {
        let entropy = SystemEntropy::new();
        entropy.fill(&mut [0; 64]);
        POOL.with_borrow(|pool| {
            assert!(pool.bytes[pool.left..].iter().all(|byte| *byte == 0));
            assert!(pool.bytes[..pool.left].iter().any(|byte| *byte != 0));
        });
    }
}
