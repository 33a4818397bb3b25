//! Counts durations in buckets of less than 1 % width: memory does not grow with the length of a run.

use std::time::Duration;

/// Buckets of each power of two, as a power of two: 128 of them are at most 0.8 % wide.
const STEPS_BITS: u32 = 7;
const STEPS: u64 = 1 << STEPS_BITS;
/// Nanoseconds are counted up to 2^40 of them, 18 minutes; what is longer counts as that long.
const NANOSECONDS_BITS_MAX: u32 = 40;
const BUCKETS: usize = ((NANOSECONDS_BITS_MAX - STEPS_BITS + 1) as usize) << STEPS_BITS;

/// How often which duration was seen.
#[derive(Clone, Debug)]
pub(super) struct Histogram {
    counts: Vec<u64>,
    total: u64,
    max: Duration,
}

impl Histogram {
    /// Nothing was seen.
    pub(super) fn new() -> Self {
        Self { counts: vec![0; BUCKETS], total: 0, max: Duration::ZERO }
    }

    /// One more.
    pub(super) fn add(&mut self, seen: Duration) {
        let at = bucket(u64::try_from(seen.as_nanos()).unwrap_or(u64::MAX));
        if let Some(count) = self.counts.get_mut(at) {
            *count += 1;
        }
        self.total += 1;
        self.max = self.max.max(seen);
    }

    /// All that `other` has seen.
    pub(super) fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.total += other.total;
        self.max = self.max.max(other.max);
    }

    /// How many were seen.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// The longest.
    pub(super) fn max(&self) -> Duration {
        self.max
    }

    /// The duration that this many per cent are not longer than; zero where nothing was seen.
    pub(super) fn percentile(&self, per_cent: u64) -> Duration {
        let wanted = (self.total * per_cent).div_ceil(100).max(1);
        let mut passed = 0;
        for (at, count) in self.counts.iter().enumerate() {
            passed += count;
            if passed >= wanted {
                return Duration::from_nanos(upper_end(at)).min(self.max);
            }
        }
        self.max
    }
}

/// Where a number of nanoseconds is counted: small ones each in its own bucket, and then 128 buckets for
/// each power of two.
fn bucket(nanoseconds: u64) -> usize {
    let capped = nanoseconds.min((1 << NANOSECONDS_BITS_MAX) - 1);
    let bits = u64::BITS - capped.leading_zeros();
    let shift = bits.saturating_sub(STEPS_BITS + 1);
    let at = u64::from(shift) * STEPS + (capped >> shift);
    usize::try_from(at).unwrap_or(BUCKETS - 1)
}

/// The largest number that is counted in a bucket.
fn upper_end(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let shift = (bucket / STEPS).saturating_sub(1);
    let step = bucket - shift * STEPS;
    ((step + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_what_is_counted_in_it_and_is_narrow() {
        let mut nanoseconds = 0_u64;
        while nanoseconds < 1 << NANOSECONDS_BITS_MAX {
            let at = bucket(nanoseconds);
            let end = upper_end(at);
            assert!(at < BUCKETS, "{nanoseconds}");
            assert!(end >= nanoseconds, "{nanoseconds}: {end}");
            assert!(end - nanoseconds <= nanoseconds / STEPS + 1, "{nanoseconds}: {end}");
            nanoseconds += nanoseconds / 1000 + 1;
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn percentiles_are_of_all_that_was_seen() {
        // How many of 1 ms and of 100 ms; p50 and p99 in ms, to the next one.
        let rows = [
            ((0, 0), (0, 0)),
            ((1, 0), (1, 1)),
            ((0, 1), (100, 100)),
            ((99, 1), (1, 1)),
            ((98, 2), (1, 100)),
            ((49, 51), (100, 100)),
        ];
        for ((short, long), (half, most)) in rows {
            let (mut one, mut other) = (Histogram::new(), Histogram::new());
            (0..short).for_each(|_| one.add(Duration::from_millis(1)));
            (0..long).for_each(|_| other.add(Duration::from_millis(100)));
            one.merge(&other);
            let rounded = |per_cent| (one.percentile(per_cent).as_secs_f64() * 1000.0).round();
            assert_eq!((rounded(50), rounded(99)), (f64::from(half), f64::from(most)));
            assert_eq!(one.total(), short + long);
        }
    }
}
