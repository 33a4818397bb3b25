//! What a request says of itself, by condition key.

use std::collections::BTreeMap;

/// The condition keys of a request with their values. Names of keys are compared without case
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html>).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConditionKeys(BTreeMap<String, Vec<String>>);

impl ConditionKeys {
    /// No keys.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a value; a key with several is multivalued.
    pub fn add(&mut self, key: &str, value: impl Into<String>) {
        self.0.entry(folded(key)).or_default().push(value.into());
    }

    /// The values of a key; none if the request does not have it.
    pub fn values(&self, key: &str) -> &[String] {
        self.0.get(&folded(key)).map(Vec::as_slice).unwrap_or_default()
    }

    /// The value of a key that has exactly one.
    pub fn single(&self, key: &str) -> Option<&str> {
        match self.values(key) {
            [one] => Some(one),
            [] | [_, ..] => None,
        }
    }
}

/// A name of a key, or of a tag that is part of one, as it is compared: two that are folded alike are one key,
/// also beyond ASCII (the Kelvin sign is a k).
pub fn folded(name: &str) -> String {
    name.to_lowercase()
}

impl<K: AsRef<str>, V: Into<String>> FromIterator<(K, V)> for ConditionKeys {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let mut keys = Self::new();
        for (key, value) in pairs {
            keys.add(key.as_ref(), value);
        }
        keys
    }
}
