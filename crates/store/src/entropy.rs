//! Randomness as an argument: ids, keys and secrets come from here and from nowhere else.

use ring::rand::{SecureRandom, SystemRandom};

/// Gives unpredictable bytes.
pub trait Entropy: Send + Sync {
    /// Fills `out`.
    ///
    /// # Panics
    ///
    /// When the machine has no randomness to give: no key made without it may ever be used.
    fn fill(&self, out: &mut [u8]);
}

/// The machine's own source.
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
}

impl Entropy for SystemEntropy {
    #[allow(clippy::expect_used, reason = "documented: there is no safe way to go on")]
    fn fill(&self, out: &mut [u8]) {
        self.0.fill(out).expect("the operating system gives randomness");
    }
}

/// Fresh random bytes.
pub(crate) fn array<const N: usize>(entropy: &dyn Entropy) -> [u8; N] {
    let mut bytes = [0; N];
    entropy.fill(&mut bytes);
    bytes
}
