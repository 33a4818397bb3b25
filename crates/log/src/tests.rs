//! What a log does with damage, with the end of a segment, with a second process; and that its bytes are
//! those of docs/format.md.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;

use proptest::prelude::*;

use crate::disk::faulty::{Faults, FaultyDisk};
use crate::disk::{Disk, FileDisk};
use crate::{
    Cursor, Fence, Followed, Follower, Group, Import, Log, LogError, LogOptions, Place, Position,
    Record, Stamp,
};

const SEGMENT_BYTES: u32 = 32 << 10;

/// A record that is kept: key, version, value; none if it was deleted.
type Kept = (Vec<u8>, u64, Option<Vec<u8>>);

fn options() -> LogOptions {
    LogOptions { segment_bytes: SEGMENT_BYTES, ..LogOptions::new(7) }
}

fn open(disk: &Arc<dyn Disk>, from: Option<Position>) -> Result<(Log, Vec<Kept>), LogError> {
    let mut kept = Vec::new();
    let fence = Arc::new(Fence::take(&**disk, &options())?);
    let log = Log::open(Arc::clone(disk), options(), fence, from, &mut |group: &Group| {
        kept.extend(group.records().unwrap().iter().map(own));
        Ok::<_, LogError>(())
    })?;
    Ok((log, kept))
}

fn own(record: &Record<'_>) -> Kept {
    match *record {
        Record::Put { key, version, value, .. } => (key.into(), version, Some(value.into())),
        Record::Delete { key, version } => (key.into(), version, None),
    }
}

/// Of the commit `version`, whose time tells of it.
fn at(version: u64) -> Stamp {
    Stamp { version, time: 1000 * version }
}

/// Writes a group of one row, durably.
fn put(log: &mut Log, key: &str, version: u64, value: &[u8]) -> Place {
    let mut group = log.begin_group(key.len() + value.len() + 100).unwrap();
    let place = group.put(key.as_bytes(), version, value);
    log.append(group, at(version)).unwrap();
    log.sync().unwrap();
    place
}

fn memory() -> (Arc<FaultyDisk>, Arc<dyn Disk>) {
    let disk = Arc::new(FaultyDisk::new(1));
    (Arc::clone(&disk), disk)
}

#[cfg(target_os = "linux")]
#[test]
fn a_segment_that_is_hardly_written_takes_little_of_the_disk() {
    use std::os::unix::fs::MetadataExt;
    const STARTS: u64 = 10;
    const BYTES_PER_START_MAX: u64 = 64 << 10;
    let directory = tempfile::TempDir::new().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(FileDisk::new(directory.path()));
    let options = LogOptions::new(7);
    for version in 1..=STARTS {
        let fence = Arc::new(Fence::take(&*disk, &options).unwrap());
        let each = &mut |_: &Group| Ok::<_, LogError>(());
        let mut log = Log::open(Arc::clone(&disk), options, fence, None, each).unwrap();
        put(&mut log, "key", version, b"value");
    }
    let files = std::fs::read_dir(directory.path()).unwrap();
    let taken: u64 = files.map(|file| file.unwrap().metadata().unwrap().blocks() * 512).sum();
    assert!(taken <= STARTS * BYTES_PER_START_MAX, "{taken} bytes");
}

#[test]
fn what_was_written_is_read_again_through_all_segments() {
    let (_, disk) = memory();
    let (mut log, none) = open(&disk, None).unwrap();
    assert_eq!(none, []);
    let mut written = Vec::new();
    for version in 1..=40 {
        let value = vec![version as u8; version as usize * 100];
        let place = put(&mut log, "key", version, &value);
        assert_eq!(log.reader().read(&place).unwrap().unwrap(), value);
        written.push((b"key".to_vec(), version, Some(value)));
    }
    assert!(log.segments() > 4, "{}", log.segments());
    let middle = log.position();
    let used = log.used_bytes();
    assert!(used > 82_000 && used <= log.segments() * u64::from(SEGMENT_BYTES), "{used}");
    let mut group = log.begin_group(100).unwrap();
    group.delete(b"key", 41);
    log.append(group, at(41)).unwrap();
    log.sync().unwrap();
    written.push((b"key".to_vec(), 41, None));
    drop(log);
    assert_eq!(open(&disk, None).unwrap().1, written);
    assert_eq!(open(&disk, Some(middle)).unwrap().1, written[40..]);
}

/// What is done to the bytes of a segment with five groups, each of a page, and what a start then says.
#[test]
fn a_torn_tail_is_dropped_and_rot_is_not() {
    const PAGE: usize = 4096;
    type Damage = fn(&mut Vec<u8>);
    let rows: [(&str, Damage, Result<usize, u32>); 9] = [
        ("nothing", |_| (), Ok(5)),
        ("the last group is zeros", |bytes| bytes[5 * PAGE..6 * PAGE].fill(0), Ok(4)),
        ("half of it", |bytes| bytes[5 * PAGE + 100..6 * PAGE].fill(0), Ok(4)),
        ("one bit of it", |bytes| bytes[5 * PAGE + 60] ^= 1, Ok(4)),
        ("the file ends in it", |bytes| bytes.truncate(5 * PAGE + 10), Ok(4)),
        ("one bit of a group before", |bytes| bytes[3 * PAGE + 60] ^= 1, Err(3 * 4096)),
        ("a whole group before", |bytes| bytes[PAGE..2 * PAGE].fill(0), Err(4096)),
        ("one bit of the header", |bytes| bytes[30] ^= 1, Err(0)),
        ("behind the log", |bytes| bytes[7 * PAGE] ^= 1, Ok(5)),
    ];
    for (what, damage, expected) in rows {
        let (_, disk) = memory();
        let (mut log, _) = open(&disk, None).unwrap();
        for version in 1..=5 {
            put(&mut log, "key", version, &[version as u8; 100]);
        }
        drop(log);
        let file = disk.open("0000000000000001.log").unwrap();
        let mut bytes = vec![0; SEGMENT_BYTES as usize];
        file.read_at(&mut bytes, 0).unwrap();
        damage(&mut bytes);
        file.set_len(0).unwrap();
        file.write_at(&bytes, 0).unwrap();
        match (open(&disk, None), expected) {
            (Ok((_, kept)), Ok(groups)) => assert_eq!(kept.len(), groups, "{what}"),
            (Err(LogError::Damaged { file, offset, .. }), Err(expected)) => {
                assert_eq!((file.as_str(), offset), ("0000000000000001.log", expected), "{what}");
            }
            (told, _) => panic!("{what}: {:?}", told.map(|(_, kept)| kept)),
        }
    }
}

#[test]
fn what_is_missing_or_newer_is_refused() {
    type Damage = fn(&dyn Disk);
    let rows: [(&str, Damage, &str); 4] = [
        (
            "a segment between two is gone",
            |disk| disk.remove("0000000000000002.log").unwrap(),
            "0000000000000002.log is damaged at byte 0: the segment is missing",
        ),
        (
            "the last group of a segment that another follows",
            |disk| {
                let file = disk.open("0000000000000001.log").unwrap();
                file.write_at(&[0; 64], 4 * 4096).unwrap();
            },
            "0000000000000001.log is damaged at byte 16384: groups that the next segment tells of \
             are not there",
        ),
        (
            "a newer format",
            |disk| disk.open("0000000000000001.log").unwrap().write_at(&[2], 7).unwrap(),
            "the log has format 2, but this version knows formats up to 1",
        ),
        (
            "all of it is gone, and the index is not",
            |disk| {
                for number in 1..=3 {
                    disk.remove(&format!("{number:016x}.log")).unwrap();
                }
            },
            "0000000000000003.log is damaged at byte 4096: the log does not reach to where the \
             index was written",
        ),
    ];
    for (what, damage, message) in rows {
        let (_, disk) = memory();
        for start in 0..3 {
            let (mut log, _) = open(&disk, None).unwrap();
            for version in 1..=4 {
                put(&mut log, "key", start * 4 + version, b"value");
            }
        }
        damage(&*disk);
        let from = Position { segment: 3, offset: 4096, sequence: 9 };
        let from = what.starts_with("all").then_some(from);
        let told = open(&disk, from).map(|_| ()).unwrap_err();
        assert_eq!(told.to_string(), message, "{what}");
    }
}

#[test]
fn a_segment_is_let_go_and_its_file_is_used_again() {
    let (_, disk) = memory();
    let (mut log, _) = open(&disk, None).unwrap();
    let place = put(&mut log, "old", 1, &[1; 20_000]);
    let reader = log.reader();
    put(&mut log, "next", 2, &[2; 20_000]);
    let used = log.used_bytes();
    assert_eq!(log.used_bytes_before(2), 6 * 4096);
    log.drop_before(2).unwrap();
    // A page of header and five of the group with 20,000 bytes.
    assert_eq!(used - log.used_bytes(), 6 * 4096);
    assert_eq!(reader.read(&place).unwrap(), None);
    assert!(disk.list().unwrap().contains(&"0000000000000001.spare".to_owned()));
    put(&mut log, "another", 3, &[3; 20_000]);
    assert!(!disk.list().unwrap().contains(&"0000000000000001.spare".to_owned()));
    let used = log.used_bytes();
    drop(log);
    let (log, kept) = open(&disk, None).unwrap();
    assert_eq!(log.used_bytes(), used + 4096, "and the page of its own header");
    let versions: Vec<u64> = kept.iter().map(|(_, version, _)| *version).collect();
    assert_eq!(versions, [2, 3], "what the file had before is not read");
}

/// A new file cannot be made, or one that was kept cannot be opened: the log goes on when it can.
#[test]
fn too_many_open_files_are_no_failure_of_the_disk() {
    for is_kept in [false, true] {
        let (faulty, disk) = memory();
        let (mut log, _) = open(&disk, None).unwrap();
        put(&mut log, "key", 1, &[1; 20_000]);
        put(&mut log, "key", 2, &[2; 20_000]);
        if is_kept {
            log.drop_before(2).unwrap();
        }
        let names = disk.list().unwrap();
        faulty.set_faults(Faults { fail_opens: true, ..Faults::default() });
        for _ in 0..2 {
            assert!(matches!(log.begin_group(20_100), Err(LogError::TooManyFiles)));
        }
        assert_eq!(disk.list().unwrap(), names);
        faulty.set_faults(Faults::default());
        put(&mut log, "key", 3, &[3; 20_000]);
        drop(log);
        let kept = open(&disk, None).unwrap().1;
        let versions: Vec<u64> = kept.iter().map(|(_, version, _)| *version).collect();
        assert_eq!(versions, if is_kept { vec![2, 3] } else { vec![1, 2, 3] });
    }
}

#[test]
fn several_segments_are_let_go_with_one_sync() {
    let (faulty, disk) = memory();
    let (mut log, _) = open(&disk, None).unwrap();
    for version in 1..=7 {
        put(&mut log, "key", version, &[version as u8; 20_000]);
    }
    let number = |at: Option<Position>| at.map(|at| at.segment);
    let last = (1..).take_while(|before| log.next_after(*before).is_some()).last();
    assert_eq!(
        (number(log.oldest()), number(log.next_after(5)), last),
        (Some(1), Some(6), Some(5))
    );
    let (used, before, syncs) = (log.used_bytes(), log.used_bytes_before(6), faulty.syncs());
    assert_eq!(before, 5 * 6 * 4096);
    log.drop_before(6).unwrap();
    log.drop_before(6).unwrap();
    assert_eq!((log.used_bytes(), faulty.syncs()), (used - before, syncs + 1));
    assert_eq!((log.segments(), number(log.oldest())), (2, Some(6)));
    let names = disk.list().unwrap();
    assert_eq!(names.iter().filter(|name| name.ends_with(".spare")).count(), 3, "{names:?}");
    // The one that is written stays.
    log.drop_before(100).unwrap();
    assert_eq!((log.segments(), log.oldest()), (1, None));
    drop(log);
    assert_eq!(open(&disk, None).unwrap().1.len(), 1);
}

#[test]
fn a_value_that_looks_like_a_group_is_none() {
    let (_, disk) = memory();
    let (mut log, _) = open(&disk, None).unwrap();
    put(&mut log, "key", 1, b"value");
    let file = disk.open("0000000000000001.log").unwrap();
    let mut group = vec![0; 4096];
    file.read_at(&mut group, 4096).unwrap();
    // Placed so that it begins on a page, as a group does.
    let mut value = vec![0; 4096 - 56 - 20 - 3];
    value.extend_from_slice(&group);
    put(&mut log, "key", 2, &value);
    drop(log);
    file.write_at(&[0; 56], 2 * 4096).unwrap();
    let (_, kept) = open(&disk, None).unwrap();
    assert_eq!(kept.len(), 1, "the torn group is dropped: what is in it is of a group before");
}

#[test]
fn who_was_replaced_acknowledges_nothing() {
    let (_, disk) = memory();
    let (mut old, _) = open(&disk, None).unwrap();
    put(&mut old, "key", 1, b"old");
    let (mut new, _) = open(&disk, None).unwrap();
    let mut group = old.begin_group(100).unwrap();
    group.put(b"key", 2, b"lost");
    assert!(matches!(old.append(group, at(2)), Err(LogError::Fenced)));
    assert!(matches!(old.sync(), Err(LogError::Fenced)));
    put(&mut new, "key", 2, b"new");
    drop((old, new));
    let (_, kept) = open(&disk, None).unwrap();
    let values: Vec<_> = kept.into_iter().map(|(.., value)| value.unwrap()).collect();
    assert_eq!(values, [b"old".to_vec(), b"new".to_vec()]);
}

/// Follows the log to its end, and says what was read of each segment.
fn follow(disk: &Arc<dyn Disk>, cursor: &mut Option<Cursor>) -> Result<Vec<Followed>, LogError> {
    let mut follower = Follower::new(Arc::clone(disk), *cursor);
    let mut followed = Vec::new();
    loop {
        let next = follower.next(&mut |_| ())?;
        *cursor = follower.cursor();
        let is_over = matches!(next, Followed::End | Followed::Gone | Followed::Diverged);
        followed.push(next);
        if is_over {
            return Ok(followed);
        }
    }
}

#[test]
fn a_copy_leaves_out_what_the_log_went_on_without() {
    let (_, disk) = memory();
    let (mut log, _) = open(&disk, None).unwrap();
    let mut cursor = None;
    assert_eq!(follow(&disk, &mut cursor).unwrap(), [Followed::End], "a header alone");
    put(&mut log, "key", 1, b"kept");
    let mut group = log.begin_group(100).unwrap();
    group.put(b"key", 2, b"never synced");
    log.append(group, at(2)).unwrap();
    let pieces = follow(&disk, &mut cursor).unwrap();
    let [Followed::Piece(piece), Followed::End] = &pieces[..] else { panic!("{pieces:?}") };
    assert_eq!((piece.start, piece.bytes.len(), piece.is_tail), (0, 3 * 4096, true));
    drop(log);
    disk.open("0000000000000001.log").unwrap().write_at(&[0; 4096], 2 * 4096).unwrap();
    let (mut log, _) = open(&disk, None).unwrap();
    put(&mut log, "key", 2, b"another");
    let followed = follow(&disk, &mut cursor).unwrap();
    let [Followed::Cut { segment: 1, end: 8192 }, Followed::Piece(next), Followed::End] =
        &followed[..]
    else {
        panic!("{followed:?}");
    };
    let (_, copied) = memory();
    let mut import = Import::new(Arc::clone(&copied), None);
    assert!(import.segment(1, &piece.bytes[..8192]).unwrap());
    assert!(import.segment(2, &next.bytes).unwrap());
    assert_eq!(import.finish().unwrap().groups, 2);
    assert_eq!(open(&copied, None).unwrap().1, open(&disk, None).unwrap().1);
}

#[test]
fn a_copy_does_not_go_on_from_another_log() {
    let (_, disk) = memory();
    let (mut log, _) = open(&disk, None).unwrap();
    for version in 1..=9 {
        put(&mut log, "key", version, &[version as u8; 10_000]);
    }
    let (mut old, mut newest) = (None, None);
    let mut follower = Follower::new(Arc::clone(&disk), None);
    follower.next(&mut |_| ()).unwrap();
    old.clone_from(&follower.cursor());
    follow(&disk, &mut newest).unwrap();
    log.drop_before(3).unwrap();
    assert_eq!(follow(&disk, &mut old).unwrap(), [Followed::Gone]);
    let (_, other) = memory();
    let (mut log, _) = open(&other, None).unwrap();
    put(&mut log, "key", 1, b"of another log");
    assert_eq!(follow(&other, &mut newest).unwrap(), [Followed::Diverged]);
}

/// A copy up to each time, of groups of which some are of the same.
#[test]
fn a_copy_ends_at_a_time() {
    let (_, disk) = memory();
    let (mut log, _) = open(&disk, None).unwrap();
    for version in 1..=12 {
        let mut group = log.begin_group(9000).unwrap();
        group.put(b"key", version, &[version as u8; 8000]);
        let stamp = Stamp { version, time: 100 * (version / 2) };
        log.append(group, stamp).unwrap();
        log.sync().unwrap();
    }
    let pieces = follow(&disk, &mut None).unwrap();
    for (until, groups) in [(0, 1), (99, 1), (100, 3), (350, 7), (599, 11), (600, 12), (9999, 12)] {
        let (_, copied) = memory();
        let mut import = Import::new(Arc::clone(&copied), Some(until));
        for piece in &pieces {
            let Followed::Piece(piece) = piece else { continue };
            if !import.segment(piece.segment, &piece.bytes).unwrap() {
                break;
            }
        }
        assert_eq!(import.finish().unwrap().groups, groups, "until {until}");
        assert_eq!(open(&copied, None).unwrap().1.len() as u64, groups, "until {until}");
    }
    let (_, copied) = memory();
    let mut import = Import::new(copied, None);
    let Followed::Piece(first) = &pieces[0] else { panic!("{pieces:?}") };
    let mut rotten = first.bytes.clone();
    rotten[5000] ^= 1;
    assert!(matches!(import.segment(1, &rotten), Err(LogError::Damaged { .. })));
}

/// The bytes that this version writes are those that the first one wrote.
#[test]
fn the_bytes_are_those_of_format_1() {
    let golden = FileDisk::new(std::path::Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/golden/format-1"
    )));
    let (faulty, disk) = memory();
    let (mut log, _) = open(&disk, None).unwrap();
    put(&mut log, "a/key", 1, b"a value");
    let mut group = log.begin_group(10_000).unwrap();
    group.put("ключ".as_bytes(), 2, &[0xAB; 5000]);
    group.put(b"a/key", 3, b"");
    group.delete(b"a/key", 4);
    log.append(group, at(4)).unwrap();
    log.sync().unwrap();
    for name in ["0000000000000001.log", "epoch"] {
        let mut written = faulty.bytes_of(name).unwrap();
        written.truncate(4 * 4096);
        if std::env::var_os("TIDELOCK_WRITE_GOLDEN").is_some() {
            golden.create(name).unwrap().write_at(&written, 0).unwrap();
        }
        let file = golden.open(name).unwrap();
        let mut expected = vec![0; file.size().unwrap() as usize];
        file.read_at(&mut expected, 0).unwrap();
        assert!(written == expected, "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever bytes a file of the log has: it is read or refused.
    #[test]
    fn no_bytes_are_too_strange(
        bytes in proptest::collection::vec(any::<u8>(), 0..20_000),
        keeps in 0_usize..20_000,
    ) {
        let (_, disk) = memory();
        let (mut log, _) = open(&disk, None).unwrap();
        for version in 1..=4 {
            put(&mut log, "key", version, &[version as u8; 100]);
        }
        drop(log);
        let file = disk.open("0000000000000001.log").unwrap();
        if let Some(strange) = bytes.get(keeps..) {
            file.write_at(strange, keeps as u64).unwrap();
        }
        match open(&disk, None) {
            Ok((_, kept)) => prop_assert!(kept.len() <= 4),
            Err(error) => {
                let is_told = matches!(
                    error,
                    LogError::Damaged { .. } | LogError::FormatTooNew { .. }
                );
                prop_assert!(is_told, "{}", error);
            }
        }
    }
}
