//! An engine that is broken on purpose.

use async_trait::async_trait;

use crate::{
    Batch, Direction, Expect, Key, KeyRange, Limits, MetaError, MetaStore, Outcome, ReadLevel,
    Versioned,
};

/// How often others get their turn between the check and the act: on a busy machine a single turn
/// may find nobody ready, and the race would not happen.
const TURNS_BETWEEN: usize = 16;

/// Checks first and acts later: reads what a batch checks, lets others run, and then commits the
/// writes without the checks. For proving that a race test detects exactly this; never for data.
#[derive(Debug)]
pub struct CheckThenAct<M> {
    inner: M,
}

impl<M: MetaStore> CheckThenAct<M> {
    /// Breaks `inner`.
    pub fn new(inner: M) -> Self {
        Self { inner }
    }
}

#[async_trait]
impl<M: MetaStore> MetaStore for CheckThenAct<M> {
    fn limits(&self) -> Limits {
        self.inner.limits()
    }

    async fn get(
        &self,
        keys: &[Key],
        level: ReadLevel,
    ) -> Result<Vec<Option<Versioned>>, MetaError> {
        self.inner.get(keys, level).await
    }

    async fn scan(
        &self,
        range: KeyRange,
        limit: usize,
        direction: Direction,
        level: ReadLevel,
    ) -> Result<Vec<(Key, Versioned)>, MetaError> {
        self.inner.scan(range, limit, direction, level).await
    }

    async fn commit(&self, mut batch: Batch) -> Result<Outcome, MetaError> {
        let checks = std::mem::take(&mut batch.checks);
        let keys: Vec<Key> = checks.iter().map(|(key, _)| key.clone()).collect();
        let rows = self.inner.get(&keys, ReadLevel::Latest).await?;
        let fails = |((_, expect), row): (&(Key, Expect), &Option<Versioned>)| match expect {
            Expect::Absent => row.is_some(),
            Expect::At(version) => row.as_ref().map(|row| row.version) != Some(*version),
        };
        if let Some(first) = checks.iter().zip(&rows).position(fails) {
            return Ok(Outcome::Conflict { first });
        }
        for _ in 0..TURNS_BETWEEN {
            tokio::task::yield_now().await;
        }
        self.inner.commit(batch).await
    }
}
