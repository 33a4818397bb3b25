//! What a principal's own policies and their session allow, ready to be asked.
//!
//! The store keeps texts; each is parsed once, and kept as long as there is room.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tidelock_auth::policy::{Policies, Policy, PolicyKind};
use tidelock_store::{Principal, StorageError};

/// Texts kept in mind. When there are more, all are forgotten.
const POLICIES_MAX: usize = 1_000;

/// The policies of a principal.
#[derive(Default)]
pub(super) struct OwnPolicies {
    identity: Vec<Arc<Policy>>,
    session: Option<Vec<Arc<Policy>>>,
}

#[derive(Default)]
pub(super) struct KnownPolicies(Mutex<HashMap<String, Arc<Policy>>>);

impl KnownPolicies {
    /// All that counts for `principal`.
    ///
    /// # Errors
    ///
    /// `Corrupt` for a stored text that is no policy: then nothing is known to be allowed.
    pub(super) fn of(&self, principal: &Principal) -> Result<OwnPolicies, StorageError> {
        let entitlement = &principal.entitlement;
        let parse = |texts: &[String]| texts.iter().map(|text| self.parse(text)).collect();
        let narrowing: Option<Result<_, _>> = entitlement.narrowing().map(parse);
        let identity: Result<_, _> = parse(&entitlement.policies);
        Ok(OwnPolicies { identity: identity?, session: narrowing.transpose()? })
    }

    fn parse(&self, text: &str) -> Result<Arc<Policy>, StorageError> {
        // Each change is one call: a panic elsewhere leaves the map whole.
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(policy) = known.get(text) {
            return Ok(Arc::clone(policy));
        }
        let policy = Policy::parse(text, PolicyKind::Identity)
            .map_err(|error| StorageError::Corrupt(format!("a policy of a principal: {error}")))?;
        let policy = Arc::new(policy);
        if known.len() >= POLICIES_MAX {
            known.clear();
        }
        known.insert(text.to_owned(), Arc::clone(&policy));
        Ok(policy)
    }
}

impl OwnPolicies {
    /// Whether one of them asks for tags of the object that a request is about.
    pub(super) fn ask_for_existing_tags(&self) -> bool {
        let session = self.session.iter().flatten();
        self.identity.iter().chain(session).any(|policy| policy.asks_for_existing_tags())
    }

    /// Asks them, with those that `rest` has.
    pub(super) fn with<T>(&self, rest: Policies<'_>, ask: impl FnOnce(&Policies<'_>) -> T) -> T {
        let identity: Vec<&Policy> = self.identity.iter().map(AsRef::as_ref).collect();
        let session = self.session.as_ref();
        let session: Option<Vec<&Policy>> =
            session.map(|policies| policies.iter().map(AsRef::as_ref).collect());
        ask(&Policies { identity: &identity, session: session.as_deref(), ..rest })
    }
}
