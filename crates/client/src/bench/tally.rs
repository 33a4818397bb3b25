//! What became of the operations: how long those took that were right, and what was wrong with the others.

use std::collections::BTreeMap;
use std::time::Duration;

use super::histogram::Histogram;
use super::wire::WireError;

/// An answer that is not what it must be, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// As it is counted: S3's code with the status, or a name of ours.
    pub(super) name: String,
    /// What was seen of this one.
    pub(super) seen: String,
}

/// Faults of one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Faults {
    pub(super) count: u64,
    /// What was seen of the first.
    pub(super) seen: String,
}

/// The sum so far.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    pub(super) latencies: Histogram,
    /// Bytes of bodies, sent and received, of what was right.
    pub(super) bytes: u64,
    pub(super) faults: BTreeMap<String, Faults>,
}

impl Fault {
    /// A name of ours, with what was seen.
    pub(super) fn new(name: &str, seen: impl Into<String>) -> Self {
        Self { name: name.to_owned(), seen: seen.into() }
    }
}

impl From<WireError> for Fault {
    fn from(error: WireError) -> Self {
        Self::new(error.name(), error.words())
    }
}

impl Tally {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Self { latencies: Histogram::new(), bytes: 0, faults: BTreeMap::new() }
    }

    /// One more operation.
    pub(super) fn add(&mut self, took: Duration, outcome: Result<u64, Fault>) {
        match outcome {
            Ok(bytes) => {
                self.latencies.add(took);
                self.bytes += bytes;
            }
            Err(fault) => self.add_fault(fault),
        }
    }

    /// Something wrong that is no operation of its own.
    pub(super) fn add_fault(&mut self, Fault { name, seen }: Fault) {
        self.faults.entry(name).or_insert(Faults { count: 0, seen }).count += 1;
    }

    /// All that `other` has.
    pub(super) fn merge(&mut self, other: Self) {
        self.latencies.merge(&other.latencies);
        self.bytes += other.bytes;
        for (name, Faults { count, seen }) in other.faults {
            self.faults.entry(name).or_insert(Faults { count: 0, seen }).count += count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_counted_by_name_and_the_first_is_told() {
        let (mut one, mut other) = (Tally::new(), Tally::new());
        let took = Duration::from_millis(1);
        one.add(took, Ok(5));
        one.add(took, Err(Fault::new("StaleBody", "first")));
        other.add(took, Err(Fault::new("StaleBody", "second")));
        other.add(took, Err(Fault::new("503 SlowDown", "third")));
        one.merge(other);
        assert_eq!((one.latencies.total(), one.bytes), (1, 5));
        let told: Vec<_> =
            one.faults.iter().map(|(name, it)| (&name[..], it.count, &it.seen[..])).collect();
        assert_eq!(told, [("503 SlowDown", 1, "third"), ("StaleBody", 2, "first")]);
    }
}
