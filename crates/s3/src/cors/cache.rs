//! Documents kept parsed. A document is written once under its id, so an entry never goes stale.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tidelock_store::DocumentId;

use crate::xml::documents::CorsDocument;

/// Documents of one generation; each was at most 64 KiB of XML.
const GENERATION_DOCUMENTS_MAX: usize = 64;

/// CORS rules by the id of their document: at most two generations, of which the older one goes whole
/// when the younger one is full.
#[derive(Debug, Default)]
pub(crate) struct CorsCache {
    generations: Mutex<Generations>,
}

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<DocumentId, Arc<CorsDocument>>,
    old: HashMap<DocumentId, Arc<CorsDocument>>,
}

impl CorsCache {
    /// The document, if it is kept.
    pub(crate) fn get(&self, id: DocumentId) -> Option<Arc<CorsDocument>> {
        let mut generations = self.lock();
        if let Some(document) = generations.young.get(&id) {
            return Some(Arc::clone(document));
        }
        let document = generations.old.remove(&id)?;
        generations.keep(id, Arc::clone(&document));
        Some(document)
    }

    /// Keeps the document.
    pub(crate) fn keep(&self, id: DocumentId, document: Arc<CorsDocument>) {
        self.lock().keep(id, document);
    }

    fn lock(&self) -> MutexGuard<'_, Generations> {
        // No step between two changes can panic, so a poisoned map is still whole.
        self.generations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Generations {
    fn keep(&mut self, id: DocumentId, document: Arc<CorsDocument>) {
        if self.young.len() >= GENERATION_DOCUMENTS_MAX && !self.young.contains_key(&id) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(id, document);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_the_rest_goes() {
        let id = |number: usize| DocumentId((number as u128).to_be_bytes());
        let cache = CorsCache::default();
        for number in 0..5 * GENERATION_DOCUMENTS_MAX {
            cache.keep(id(number), Arc::new(CorsDocument { rules: Vec::new() }));
            assert!(cache.get(id(0)).is_some(), "{number}");
        }
        assert!(cache.get(id(1)).is_none());
        let generations = cache.lock();
        let kept = generations.young.len() + generations.old.len();
        assert!(kept <= 2 * GENERATION_DOCUMENTS_MAX, "{kept}");
    }
}
