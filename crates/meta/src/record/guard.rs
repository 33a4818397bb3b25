//! The guard of a state: who holds its lock, and which runs have lost it.
//!
//! ```text
//! key    0F | bucket:16 | key of the state
//! value  02 | hold:option | released:option | list of fenced | allowance:option
//!           | index:option
//! hold       version:16 | since_ms:i64 | run | sealed lock:bytes | writes:u32
//!            | last_write_ms:option i64 | told_quiet_ms:option i64
//!            | taken_by:option call:16 | refused:flag
//! released   released_ms:i64 | version
//! fenced     run | ended_ms:i64 | broken:flag | alive_ms:option i64
//!            | taken_by:option call:16 | ended_by:option call:16
//! allowance  expires_ms:i64
//! index      version:16 | size:u64 | body | wrapped key:bytes
//! ```
//! In layout 01 neither a hold nor a fenced run says anything of calls or refusals.
//!
//! Written with every lock, unlock and write of the state in a guarded bucket, and deleted only with
//! the bucket: rules about locks check this row at its version, never that something is absent.
//! `released` is the last lock, whose body stays until the next one, for clients that were told of it a
//! moment ago. `index` is what the current state holds, by name.

use bytes::Bytes;

use super::codec::{Reader, Writer};
use super::run::{CallId, Run};
use super::version::{Body, ObjectVersion, VersionId};
use super::{BucketId, DecodeError, Tag};
use crate::{Key, KeyRange};

const RECORD: &str = "guard";
const LAYOUT_WITHOUT_CALLS: u8 = 1;
const LAYOUT: u8 = 2;

/// How long it is remembered which calls took and ended a lock: a request that was held up on its way is
/// not taken after 15 minutes, since its signature is too old by then.
const CALLS_KEPT_MS: i64 = 15 * 60 * 1000;

/// Runs that are remembered after they lost or gave back the lock, the latest ones.
pub const FENCED_MAX: usize = 16;

/// The row of a guarded state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GuardRow {
    /// Who has it.
    pub hold: Option<Hold>,
    /// The last one that was given back.
    pub released: Option<Released>,
    /// Runs that had it, the latest last.
    pub fenced: Vec<FencedRun>,
    /// The next write may be anything.
    pub allowance: Option<Allowance>,
    /// What the current state holds.
    pub index: Option<StateIndex>,
}

/// A lock that is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The version of the lock object.
    pub version: VersionId,
    /// Since when, by the server's clock.
    pub since_ms: i64,
    /// Who took it.
    pub run: Run,
    /// The body of the lock object, sealed; empty where that is too large to be a lock.
    pub sealed_lock: Vec<u8>,
    /// States written under it.
    pub writes: u32,
    /// When the last one was.
    pub last_write_ms: Option<i64>,
    /// When it was told that the lock is quiet, since its holder was last heard of.
    pub told_quiet_ms: Option<i64>,
    /// The call that took it, where the client names its calls.
    pub taken_by: Option<CallId>,
    /// A write that named this lock was refused: its run writes nothing more under it.
    pub refused: bool,
}

/// A lock that was given back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Released {
    /// When.
    pub released_ms: i64,
    /// The lock object; its body is still there.
    pub version: ObjectVersion,
}

/// A run that had the lock and has it no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FencedRun {
    /// Which.
    pub run: Run,
    /// When it lost it.
    pub ended_ms: i64,
    /// Somebody else took it away, or may have.
    pub broken: bool,
    /// When it was last seen after that.
    pub alive_ms: Option<i64>,
    /// The call that had taken its lock.
    pub taken_by: Option<CallId>,
    /// The call that ended it.
    pub ended_by: Option<CallId>,
}

/// A permission for one write that would be refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Until when.
    pub expires_ms: i64,
}

/// Where the index of a state is: a body like that of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateIndex {
    /// The version it is of.
    pub version: VersionId,
    /// Plaintext bytes.
    pub size: u64,
    /// Where the bytes are.
    pub body: Body,
    /// The data key.
    pub wrapped_key: Vec<u8>,
}

/// The key of a state's guard.
pub fn key(bucket: BucketId, state_key: &str) -> Key {
    let mut writer = Writer::key(Tag::Guard);
    writer.raw(&bucket.0);
    writer.raw(state_key.as_bytes());
    writer.finish()
}

/// The keys of the guards of all states whose key begins with `prefix`.
pub fn range(bucket: BucketId, prefix: &str) -> KeyRange {
    KeyRange::prefix(&key(bucket, prefix))
}

/// The keys of all guards.
pub fn range_of_all() -> KeyRange {
    KeyRange::prefix(&[Tag::Guard as u8])
}

/// The key of the state in a guard's key.
pub fn decode_key(key: &[u8]) -> Result<String, DecodeError> {
    let mut reader = Reader::key(RECORD, Tag::Guard, key)?;
    reader.raw(16)?;
    reader.rest_text()
}

/// The bucket in the key of a row.
pub fn bucket_of(key: &[u8]) -> Result<BucketId, DecodeError> {
    Ok(BucketId(Reader::key(RECORD, Tag::Guard, key)?.array()?))
}

impl GuardRow {
    /// Remembers a run that has lost the lock. Where there are too many, the oldest of those goes that
    /// matter least: who gave the lock back before who lost it, and that before who was seen alive since.
    pub fn fence(&mut self, fenced: FencedRun) {
        let since_ms = fenced.ended_ms.saturating_sub(CALLS_KEPT_MS);
        for earlier in self.fenced.iter_mut().filter(|it| it.ended_ms < since_ms) {
            (earlier.taken_by, earlier.ended_by) = (None, None);
        }
        self.fenced.push(fenced);
        if self.fenced.len() > FENCED_MAX {
            let weight = |fenced: &FencedRun| (fenced.broken, fenced.alive_ms.is_some());
            let earlier = self.fenced.iter().take(FENCED_MAX).enumerate();
            let least = earlier.min_by_key(|(at, fenced)| (weight(fenced), *at));
            let at = least.map_or(0, |(at, _)| at);
            self.fenced.remove(at);
        }
    }

    /// Nobody holds the lock any more; whoever did has lost it, or gave it back, by the call `ended_by`.
    pub fn end_hold(&mut self, now_ms: i64, broken: bool, ended_by: Option<CallId>) {
        if let Some(Hold { run, taken_by, .. }) = self.hold.take() {
            let ended_ms = now_ms;
            self.fence(FencedRun { run, ended_ms, broken, alive_ms: None, taken_by, ended_by });
        }
    }

    /// The row as stored.
    pub fn encode(&self) -> Bytes {
        let mut writer = Writer::value(LAYOUT);
        writer.option(self.hold.as_ref(), |writer, hold| hold.write(writer));
        writer.option(self.released.as_ref(), |writer, released| {
            writer.i64(released.released_ms);
            released.version.write(writer);
        });
        writer.list(&self.fenced, |writer, fenced| fenced.write(writer));
        writer.option(self.allowance.as_ref(), |writer, allowance| {
            writer.i64(allowance.expires_ms);
        });
        writer.option(self.index.as_ref(), |writer, index| {
            index.version.write(writer);
            writer.u64(index.size);
            index.body.write(writer);
            writer.bytes(&index.wrapped_key);
        });
        writer.finish()
    }

    /// The row from its stored bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let is_old = bytes.first() == Some(&LAYOUT_WITHOUT_CALLS);
        let layout = if is_old { LAYOUT_WITHOUT_CALLS } else { LAYOUT };
        let mut reader = Reader::value(RECORD, layout, bytes)?;
        let row = Self {
            hold: reader.option(|reader| Hold::read(reader, layout))?,
            released: reader.option(|reader| {
                let released_ms = reader.i64()?;
                Ok(Released { released_ms, version: ObjectVersion::read(reader)? })
            })?,
            fenced: reader.list(|reader| FencedRun::read(reader, layout))?,
            allowance: reader.option(|reader| Ok(Allowance { expires_ms: reader.i64()? }))?,
            index: reader.option(|reader| {
                Ok(StateIndex {
                    version: VersionId::read(reader)?,
                    size: reader.u64()?,
                    body: Body::read(reader)?,
                    wrapped_key: reader.bytes()?.to_vec(),
                })
            })?,
        };
        reader.end()?;
        Ok(row)
    }
}

impl Released {
    /// Its body, if that is nobody else's: else a version of the lock object has it.
    pub fn own_body(&self) -> Option<&ObjectVersion> {
        Some(&self.version).filter(|version| version.is_null)
    }
}

impl Hold {
    /// A lock that `run` holds since `since_ms`, and under which nothing was written yet.
    pub fn begun(version: VersionId, since_ms: i64, run: Run) -> Self {
        Self {
            version,
            since_ms,
            run,
            sealed_lock: Vec::new(),
            writes: 0,
            last_write_ms: None,
            told_quiet_ms: None,
            taken_by: None,
            refused: false,
        }
    }

    /// Whether its holder was not heard of for `stale_after_ms`.
    pub fn is_quiet(&self, now_ms: i64, stale_after_ms: u64) -> bool {
        let heard_ms = self.last_write_ms.unwrap_or(self.since_ms);
        now_ms.saturating_sub(heard_ms).max(0).unsigned_abs() >= stale_after_ms
    }

    fn write(&self, writer: &mut Writer) {
        self.version.write(writer);
        writer.i64(self.since_ms);
        self.run.write(writer);
        writer.bytes(&self.sealed_lock);
        writer.u32(self.writes);
        writer.option(self.last_write_ms.as_ref(), |writer, ms| writer.i64(*ms));
        writer.option(self.told_quiet_ms.as_ref(), |writer, ms| writer.i64(*ms));
        write_call(writer, self.taken_by);
        writer.flag(self.refused);
    }

    fn read(reader: &mut Reader<'_>, layout: u8) -> Result<Self, DecodeError> {
        Ok(Self {
            version: VersionId::read(reader)?,
            since_ms: reader.i64()?,
            run: Run::read(reader)?,
            sealed_lock: reader.bytes()?.to_vec(),
            writes: reader.u32()?,
            last_write_ms: reader.option(Reader::i64)?,
            told_quiet_ms: reader.option(Reader::i64)?,
            taken_by: read_call(reader, layout)?,
            refused: layout != LAYOUT_WITHOUT_CALLS && reader.flag()?,
        })
    }
}

impl FencedRun {
    fn write(&self, writer: &mut Writer) {
        self.run.write(writer);
        writer.i64(self.ended_ms);
        writer.flag(self.broken);
        writer.option(self.alive_ms.as_ref(), |writer, ms| writer.i64(*ms));
        write_call(writer, self.taken_by);
        write_call(writer, self.ended_by);
    }

    fn read(reader: &mut Reader<'_>, layout: u8) -> Result<Self, DecodeError> {
        Ok(Self {
            run: Run::read(reader)?,
            ended_ms: reader.i64()?,
            broken: reader.flag()?,
            alive_ms: reader.option(Reader::i64)?,
            taken_by: read_call(reader, layout)?,
            ended_by: read_call(reader, layout)?,
        })
    }
}

fn write_call(writer: &mut Writer, call: Option<CallId>) {
    writer.option(call.as_ref(), |writer, call| writer.raw(&call.0));
}

fn read_call(reader: &mut Reader<'_>, layout: u8) -> Result<Option<CallId>, DecodeError> {
    match layout {
        LAYOUT_WITHOUT_CALLS => Ok(None),
        _ => reader.option(|reader| Ok(CallId(reader.array()?))),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::run::arbitrary as runs;
    use super::super::version::arbitrary as versions;
    use super::*;

    fn id() -> impl Strategy<Value = VersionId> {
        any::<(u64, u64)>().prop_map(|(sequence, random)| VersionId { sequence, random })
    }

    fn hold() -> impl Strategy<Value = Hold> {
        let times = any::<(i64, Option<i64>, Option<i64>)>();
        let others = any::<(Vec<u8>, u32, Option<[u8; 16]>, bool)>();
        (id(), times, others, runs::run()).prop_map(|(version, times, others, run)| {
            let (since_ms, last_write_ms, told_quiet_ms) = times;
            let (sealed_lock, writes, taken_by, refused) = others;
            Hold {
                version,
                since_ms,
                run,
                sealed_lock,
                writes,
                last_write_ms,
                told_quiet_ms,
                taken_by: taken_by.map(CallId),
                refused,
            }
        })
    }

    fn fenced() -> impl Strategy<Value = FencedRun> {
        let calls = any::<(Option<[u8; 16]>, Option<[u8; 16]>)>();
        (runs::run(), any::<(i64, bool, Option<i64>)>(), calls).prop_map(
            |(run, (ended_ms, broken, alive_ms), (taken_by, ended_by))| {
                let (taken_by, ended_by) = (taken_by.map(CallId), ended_by.map(CallId));
                FencedRun { run, ended_ms, broken, alive_ms, taken_by, ended_by }
            },
        )
    }

    fn index() -> impl Strategy<Value = StateIndex> {
        (id(), any::<(u64, [u8; 16], Vec<u8>)>()).prop_map(|(version, (size, id, wrapped_key))| {
            StateIndex { version, size, body: Body::Blob { id }, wrapped_key }
        })
    }

    #[test]
    fn who_lives_is_remembered_longest() {
        let fenced = |ended_ms, broken, alive_ms| {
            let run = Run::default();
            FencedRun { run, ended_ms, broken, alive_ms, taken_by: None, ended_by: None }
        };
        let mut row = GuardRow::default();
        row.fence(fenced(1, true, Some(1)));
        row.fence(fenced(2, true, None));
        for ended_ms in 3..100 {
            row.fence(fenced(ended_ms, false, None));
        }
        let kept: Vec<i64> = row.fenced.iter().map(|fenced| fenced.ended_ms).collect();
        assert_eq!(kept.len(), FENCED_MAX);
        assert_eq!((kept[0], kept[1], kept.last()), (1, 2, Some(&99)));
    }

    #[test]
    fn calls_are_forgotten_once_none_of_their_requests_can_come() {
        let call = Some(CallId([7; 16]));
        let version = VersionId { sequence: 1, random: 1 };
        let mut row = GuardRow::default();
        for (now_ms, expected) in [(1, call), (CALLS_KEPT_MS, call), (CALLS_KEPT_MS + 2, None)] {
            row.hold = Some(Hold { taken_by: call, ..Hold::begun(version, 0, Run::default()) });
            row.end_hold(now_ms, false, call);
            let first = row.fenced.first().map(|it| (it.taken_by, it.ended_by));
            assert_eq!(first, Some((expected, expected)), "{now_ms}");
        }
    }

    #[test]
    fn rows_without_calls_are_read() {
        let run = FencedRun {
            run: Run::default(),
            ended_ms: 7,
            broken: true,
            alive_ms: None,
            taken_by: None,
            ended_by: None,
        };
        let row = GuardRow { fenced: vec![run], ..GuardRow::default() };
        let mut old = row.encode().to_vec();
        old[0] = LAYOUT_WITHOUT_CALLS;
        // No call, no call; behind them neither an allowance nor an index.
        old.truncate(old.len() - 2);
        assert_eq!(GuardRow::decode(&old).unwrap(), row);
    }

    proptest! {
        #[test]
        fn rows_come_back(
            hold in proptest::option::of(hold()),
            released in proptest::option::of((any::<i64>(), versions::version())),
            fenced in proptest::collection::vec(fenced(), 0..4),
            allowance: Option<i64>,
            index in proptest::option::of(index()),
        ) {
            let row = GuardRow {
                hold,
                released: released
                    .map(|(released_ms, version)| Released { released_ms, version }),
                fenced,
                allowance: allowance.map(|expires_ms| Allowance { expires_ms }),
                index,
            };
            prop_assert_eq!(GuardRow::decode(&row.encode()).unwrap(), row);
        }

        #[test]
        fn keys_come_back(state_key: String) {
            prop_assert_eq!(decode_key(&key(BucketId([9; 16]), &state_key)).unwrap(), state_key);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = GuardRow::decode(&bytes);
        }
    }
}
