//! What is derived of the body of a state: counts, index, and what changed. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use ring::digest;
use tidelock_meta::record::state::{StateChanges, StateCounts};
use tidelock_tfstate::{Counts, Document, Index as InstanceKey, Mode, SERVED_BYTES_MAX};

use super::index::{Index, IndexedInstance, IndexedOutput, IndexedResource, ShortDigest};

/// Largest body that is looked into: the time to read it is added to the write.
pub(crate) const DERIVED_BODY_BYTES_MAX: usize = SERVED_BYTES_MAX;

/// Most addresses of changes that are named.
pub(crate) const CHANGED_ADDRESSES_MAX: usize = 50;

/// Most bytes of these together: they ride in the row of the state. Longer ones are left out.
pub(crate) const CHANGED_ADDRESSES_BYTES_MAX: usize = 8 << 10;

/// What a body holds, as far as it can be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Derived {
    /// How much.
    pub(crate) counts: Option<StateCounts>,
    /// What, by name.
    pub(crate) index: Option<Index>,
}

/// Looks into the body of a state. Nothing is derived of one that the client has encrypted, that is of
/// a format this does not know, or above [`DERIVED_BODY_BYTES_MAX`].
pub(crate) fn derive(body: &[u8]) -> Derived {
    if body.len() > DERIVED_BODY_BYTES_MAX {
        return Derived::default();
    }
    let Ok(document) = Document::parse(body) else { return Derived::default() };
    let counts = counts(&document.summary().counts());
    Derived { counts: Some(counts), index: Some(index(&document)) }
}

fn counts(counts: &Counts) -> StateCounts {
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    StateCounts {
        managed: number(counts.managed),
        data: number(counts.data),
        deposed: number(counts.deposed),
        tainted: number(counts.tainted),
        outputs: number(counts.outputs),
        sensitive_outputs: number(counts.sensitive_outputs),
        failed_checks: number(counts.failed_checks),
    }
}

fn index(document: &Document<'_>) -> Index {
    let mut resources: Vec<IndexedResource> = Vec::new();
    let mut block = None;
    for (resource, instance, bytes) in document.instances() {
        if !block.is_some_and(|last| std::ptr::eq(last, resource)) {
            block = Some(resource);
            resources.push(IndexedResource {
                module: resource.module.as_deref().map(Arc::from),
                mode: resource.mode.clone(),
                type_name: Arc::from(resource.type_name.as_str()),
                name: Arc::from(resource.name.as_str()),
                provider: Arc::from(resource.provider.as_str()),
                instances: Vec::new(),
            });
        }
        if let Some(indexed) = resources.last_mut() {
            indexed.instances.push(IndexedInstance {
                key: instance.index.clone(),
                deposed: instance.deposed.as_deref().map(Arc::from),
                tainted: instance.tainted,
                digest: short_digest(bytes),
            });
        }
    }
    let outputs = document.outputs().map(|(output, value)| IndexedOutput {
        name: Arc::from(output.name.as_str()),
        sensitive: output.sensitive,
        digest: short_digest(value),
    });
    Index { resources, outputs: outputs.collect() }
}

fn short_digest(bytes: &[u8]) -> ShortDigest {
    let mut short = ShortDigest::default();
    let length = short.len();
    short.copy_from_slice(&digest::digest(&digest::SHA256, bytes).as_ref()[..length]);
    short
}

/// What tells an instance from all others of a state.
type Identity<'a> = (Option<&'a str>, &'a Mode, &'a str, &'a str, &'a InstanceKey, Option<&'a str>);

/// How many instances are new, changed or gone, deposed objects among them, and the addresses of the
/// first ones behind `+`, `~` and `-`. Outputs that changed are named after them and not counted.
pub(crate) fn changes(before: &Index, after: &Index) -> (StateChanges, Vec<String>) {
    let (old, new) = (instances(before), instances(after));
    let mut names = Names::default();
    let changes = compare(&old, &new, &mut names, address);
    compare(&outputs(before), &outputs(after), &mut names, |name| format!("output.{name}"));
    (changes, names.list)
}

/// How many of `new` are not in `old`, or others there, and how many of `old` are gone; by name, too.
fn compare<K: Ord, D: PartialEq>(
    old: &BTreeMap<K, D>,
    new: &BTreeMap<K, D>,
    names: &mut Names,
    name: impl Fn(&K) -> String,
) -> StateChanges {
    let mut changes = StateChanges::default();
    for (key, digest) in new {
        match old.get(key) {
            None => {
                changes.added += 1;
                names.push('+', || name(key));
            }
            Some(known) if known != digest => {
                changes.changed += 1;
                names.push('~', || name(key));
            }
            Some(_) => {}
        }
    }
    for key in old.keys().filter(|key| !new.contains_key(*key)) {
        changes.removed += 1;
        names.push('-', || name(key));
    }
    changes
}

fn instances(index: &Index) -> BTreeMap<Identity<'_>, ShortDigest> {
    let mut instances = BTreeMap::new();
    for resource in &index.resources {
        for instance in &resource.instances {
            let identity = (
                resource.module.as_deref(),
                &resource.mode,
                &*resource.type_name,
                &*resource.name,
                &instance.key,
                instance.deposed.as_deref(),
            );
            instances.insert(identity, instance.digest);
        }
    }
    instances
}

fn address(identity: &Identity<'_>) -> String {
    let (module, mode, type_name, name, key, deposed) = *identity;
    let deposed = deposed.map(|deposed| format!(" (deposed {deposed})")).unwrap_or_default();
    let block = tidelock_tfstate::resource_address(module, mode, type_name, name);
    format!("{block}{key}{deposed}")
}

fn outputs(index: &Index) -> BTreeMap<&str, (bool, ShortDigest)> {
    let outputs = index.outputs.iter();
    outputs.map(|output| (&*output.name, (output.sensitive, output.digest))).collect()
}

/// The addresses of changes, as many as are named.
#[derive(Debug, Default)]
struct Names {
    list: Vec<String>,
    bytes: usize,
}

impl Names {
    fn push(&mut self, sign: char, address: impl FnOnce() -> String) {
        if self.list.len() >= CHANGED_ADDRESSES_MAX {
            return;
        }
        let name = format!("{sign} {}", address());
        if self.bytes + name.len() <= CHANGED_ADDRESSES_BYTES_MAX {
            self.bytes += name.len();
            self.list.push(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::index::arbitrary;
    use super::*;

    fn state(resources: &str, outputs: &str) -> String {
        format!(
            r#"{{"version":4,"serial":1,"lineage":"l","outputs":{{{outputs}}},"resources":[{resources}]}}"#
        )
    }

    fn resource(name: &str, instances: &str) -> String {
        format!(
            r#"{{"mode":"managed","type":"t","name":"{name}","provider":"p","instances":[{instances}]}}"#
        )
    }

    fn index_of(body: &str) -> Index {
        derive(body.as_bytes()).index.unwrap()
    }

    #[test]
    fn what_is_derived_of_a_body() {
        let small =
            state(&resource("a", r#"{"attributes":{"id":"secret"}},{"index_key":"k"}"#), "");
        let large = format!("{}{}", " ".repeat(DERIVED_BODY_BYTES_MAX), small);
        let rows = [
            ("a state", small.as_str(), Some(2)),
            ("format 3", r#"{"version":3,"serial":1,"lineage":"l","modules":[]}"#, Some(0)),
            ("format 5", r#"{"version":5,"serial":1,"lineage":"l"}"#, None),
            ("encrypted", r#"{"encryption_version":"v0","serial":1,"lineage":"l"}"#, None),
            ("too large", &large, None),
            ("no state", "{}", None),
        ];
        for (name, body, managed) in rows {
            let derived = derive(body.as_bytes());
            assert_eq!(derived.counts.map(|counts| counts.managed), managed, "{name}");
            assert_eq!(derived.index.is_some(), managed.is_some(), "{name}");
        }
        let bytes = index_of(&small).encode();
        assert!(!String::from_utf8_lossy(&bytes).contains("secret"));
    }

    #[test]
    fn changes_are_told_by_digest() {
        let none = state("", "");
        let one = state(&resource("a", r#"{"attributes":{"x":1}}"#), r#""o":{"value":1}"#);
        let other = state(&resource("a", r#"{"attributes":{"x":2}}"#), r#""o":{"value":2}"#);
        let counted = state(
            &resource("a", r#"{"index_key":0,"attributes":{"x":1}},{"deposed":"d","index_key":0}"#),
            r#""o":{"value":1,"sensitive":true}"#,
        );
        let tainted = state(&resource("a", r#"{"status":"tainted","attributes":{"x":1}}"#), "");
        let rows: [(&str, &str, [u32; 3], &[&str]); 7] = [
            (&none, &none, [0, 0, 0], &[]),
            (&one, &one, [0, 0, 0], &[]),
            (&none, &one, [1, 0, 0], &["+ t.a", "+ output.o"]),
            (&one, &other, [0, 1, 0], &["~ t.a", "~ output.o"]),
            (&one, &none, [0, 0, 1], &["- t.a", "- output.o"]),
            (&one, &tainted, [0, 1, 0], &["~ t.a", "- output.o"]),
            (
                &one,
                &counted,
                [2, 0, 1],
                &["+ t.a[0]", "+ t.a[0] (deposed d)", "- t.a", "~ output.o"],
            ),
        ];
        for (before, after, [added, changed, removed], names) in rows {
            let (changes, named) = changes(&index_of(before), &index_of(after));
            let expected = StateChanges { added, changed, removed };
            assert_eq!(changes, expected, "{before} {after}");
            assert_eq!(named, names, "{before} {after}");
        }
    }

    #[test]
    fn names_of_changes_are_bounded() {
        let instances = |length: usize| {
            let instances: Vec<_> = (0..2 * CHANGED_ADDRESSES_MAX)
                .map(|at| format!(r#"{{"index_key":"{at:0length$}"}}"#))
                .collect();
            index_of(&state(&resource("a", &instances.join(",")), ""))
        };
        for (length, named) in [(3, CHANGED_ADDRESSES_MAX), (1_000, 8), (10_000, 0)] {
            let (changes, names) = changes(&Index::default(), &instances(length));
            assert_eq!(changes.added as usize, 2 * CHANGED_ADDRESSES_MAX);
            assert_eq!(names.len(), named, "{length}");
        }
    }

    proptest! {
        #[test]
        fn nothing_changes_against_itself(index in arbitrary::index()) {
            let read = Index::decode(&index.encode()).unwrap();
            prop_assert_eq!(changes(&index, &read), (StateChanges::default(), Vec::new()));
        }

        #[test]
        fn changes_turn_around(before in arbitrary::index(), after in arbitrary::index()) {
            let (there, back) = (changes(&before, &after).0, changes(&after, &before).0);
            prop_assert_eq!(
                (there.added, there.changed, there.removed),
                (back.removed, back.changed, back.added)
            );
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = derive(&bytes);
        }
    }
}
