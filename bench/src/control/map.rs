//! What is stored under which key: a map in shards.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{PoisonError, RwLock};

use bytes::Bytes;

use super::sealed::Sealed;

const SHARDS: usize = 64;

/// A body.
#[derive(Clone)]
pub enum Stored {
    /// A small one, in memory.
    Plain(Bytes),
    /// A large one, in the log.
    Sealed(Sealed),
}

/// All keys.
pub struct Map {
    shards: Vec<RwLock<HashMap<String, Stored>>>,
    hasher: RandomState,
}

impl Default for Map {
    fn default() -> Self {
        let shards = (0..SHARDS).map(|_| RwLock::default()).collect();
        Self { shards, hasher: RandomState::new() }
    }
}

impl Map {
    /// What is stored under `key`.
    pub fn get(&self, key: &str) -> Option<Stored> {
        self.shard(key).read().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    /// Whether anything is.
    pub fn has(&self, key: &str) -> bool {
        self.shard(key).read().unwrap_or_else(PoisonError::into_inner).contains_key(key)
    }

    /// Stores, or removes where there is nothing to store.
    pub fn set(&self, key: String, stored: Option<Stored>) {
        let mut shard = self.shard(&key).write().unwrap_or_else(PoisonError::into_inner);
        match stored {
            Some(stored) => drop(shard.insert(key, stored)),
            None => drop(shard.remove(&key)),
        }
    }

    fn shard(&self, key: &str) -> &RwLock<HashMap<String, Stored>> {
        let at = self.hasher.hash_one(key) % SHARDS as u64;
        &self.shards[at as usize]
    }
}
