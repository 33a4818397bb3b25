//! Torn tails and rot, by hand, in the directory of a real server: a tail that was never acknowledged is dropped;
//! of everything else a reader gets the right bytes or an error, never other bytes, never 404, and `admin verify`
//! names the file. `admin recover` saves the rest.
//!
//! Segments are read here as docs/format.md says, not as the engine does.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::{assert_sound, print_measured, stop, text_of, verify};
use crate::harness::chance::body;
use crate::harness::server::tidelock;
use crate::harness::{Ask, Client, Engine, Server};

const PAGE_BYTES: u64 = 4096;
const GROUP_MAGIC: &[u8] = b"TLG1";
/// Where a group's header says how many bytes of records follow.
const PAYLOAD_AT: usize = 8;
/// Starts of the server, each of which begins a segment.
const LIVES: usize = 3;
const BUCKET: &str = "rotting";
/// In the index, in the log, of several chunks, and a file of its own.
const LENGTHS_BYTES: [usize; 4] = [100, 3000, 100_000, 600_000];
const OBJECTS_PER_LIFE: usize = 12;
/// A commit of each of so many objects may be in one group.
const LOST_MAX: usize = 2;

/// What is done to the directory of a server that was killed.
struct Row {
    name: &'static str,
    damage: fn(&Store),
    then: Then,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// Nothing acknowledged is damaged.
    Sound,
    /// `admin verify` names the file, and whatever is served is right.
    Told,
    /// The same, and the server does not start: without an index, all of the log is read.
    Refused,
}

const ROWS: &[Row] = &[
    Row { name: "nothing", damage: |_| (), then: Then::Sound },
    Row {
        name: "a tail of noise",
        damage: |store| store.behind_the_end(noise()),
        then: Then::Sound,
    },
    Row { name: "a tail of half a group", damage: half_a_group, then: Then::Sound },
    Row { name: "a file that ends with its groups", damage: cut_behind_the_end, then: Then::Sound },
    Row { name: "the index is gone", damage: Store::remove_index, then: Then::Sound },
    Row { name: "the index is noise", damage: |store| store.overwrite_index(), then: Then::Sound },
    Row { name: "the index is empty", damage: |store| cut(&store.index(), 0), then: Then::Sound },
    Row { name: "the index is cut", damage: halve_index, then: Then::Sound },
    Row { name: "a bit of a magic", damage: |store| store.flip(0), then: Then::Told },
    Row { name: "a bit of a checksum", damage: |store| store.flip(5), then: Then::Told },
    Row { name: "a bit of a sequence", damage: |store| store.flip(39), then: Then::Told },
    Row { name: "a bit of a payload", damage: |store| store.flip(2000), then: Then::Told },
    Row { name: "a sector of zeros", damage: |store| store.zero(512, 512), then: Then::Told },
    Row { name: "a group of zeros", damage: |store| store.zero(0, PAGE_BYTES), then: Then::Told },
    Row { name: "a bit of a segment's header", damage: flip_segment, then: Then::Told },
    Row { name: "a segment is gone", damage: remove_segment, then: Then::Told },
    Row { name: "a segment is empty", damage: empty_segment, then: Then::Told },
    Row { name: "the last segment is gone", damage: remove_last_segment, then: Then::Told },
    Row { name: "a bit of a body in a file", damage: Store::flip_blob, then: Then::Told },
    Row { name: "a body's file is gone", damage: Store::remove_blob, then: Then::Told },
    Row { name: "no index, a bit of a payload", damage: without_index_flip, then: Then::Refused },
    Row { name: "no index, a group of zeros", damage: without_index_zero, then: Then::Refused },
    Row { name: "no index, a segment is gone", damage: without_index_remove, then: Then::Refused },
];

#[test]
fn rot_is_told_and_torn_tails_are_dropped() {
    let written = Written::new();
    for row in ROWS {
        check(row, &written);
    }
    print_measured(&format!("{} damages by hand, 0 in silence", ROWS.len()));
}

fn check(row: &Row, written: &Written) {
    let (directory, name) = (TempDir::new().unwrap(), row.name);
    let data = directory.path().join("data");
    let mut copy = Command::new("cp");
    copy.args(["-a", "--sparse=always"]).arg(written.path()).arg(&data);
    assert!(copy.status().unwrap().success());
    (row.damage)(&Store::read(&data));
    if row.then == Then::Sound {
        assert_sound(&data, name);
    } else {
        let verified = verify(&data);
        let said = text_of(&verified);
        assert!(!verified.status.success() && said.contains("DAMAGED"), "{name}: {said}");
        recover(row, &data, written);
    }
    match Server::try_start_over(&Engine::Local, &data, &[]) {
        Ok(server) => {
            assert!(row.then != Then::Refused, "{name}: it starts");
            let missed = written.missed(&server.root(), name);
            assert!(row.then != Then::Sound || missed == 0, "{name}: {missed} are missed");
            stop(server);
        }
        Err(log) => {
            assert!(row.then != Then::Sound, "{name}: it does not start: {log}");
            assert!(log.contains(".log"), "{name}: it names no file: {log}");
        }
    }
}

/// Everything but what was damaged is in the saved store.
fn recover(row: &Row, data: &Path, written: &Written) {
    let into = TempDir::new().unwrap();
    let saved = into.path().join("saved");
    let mut command = tidelock();
    command.args(["admin", "recover", "--data"]).arg(data).arg("--into").arg(&saved);
    let output = command.output().unwrap();
    let (name, said) = (row.name, text_of(&output));
    let is_damaged = said.contains("DAMAGED");
    assert_eq!(output.status.code(), Some(i32::from(is_damaged)), "{name}: {said}");
    assert!(is_damaged || name.contains("body"), "{name}: {said}");
    let server = Server::start_local(&saved);
    let root = server.root();
    let lost = written.keys.iter().filter(|(key, value)| !is_kept(&root, key, value, name)).count();
    // A segment that is gone takes all that was written in one life with it.
    let most = if name.contains("segment is") { OBJECTS_PER_LIFE + LOST_MAX } else { LOST_MAX };
    assert!(lost <= most, "{name}: {lost} are not saved: {said}");
    stop(server);
}

fn is_kept(root: &Client, key: &str, value: &[u8], name: &str) -> bool {
    match root.try_send(&Ask::object("GET", BUCKET, key)) {
        Ok(answer) if answer.status == 200 => {
            assert!(answer.body == value, "{name}: {key} has other bytes");
            true
        }
        _ => false,
    }
}

/// What a real server has written before it was killed.
struct Written {
    directory: TempDir,
    keys: Vec<(String, Vec<u8>)>,
}

impl Written {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let mut keys = Vec::new();
        for life in 0..LIVES {
            let mut server = Server::start_local(&directory.path().join("data"));
            if life == 0 {
                server.make_bucket(BUCKET, "");
            }
            let mut session = server.root().session();
            for number in 0..OBJECTS_PER_LIFE {
                let (key, seed) = (format!("{life}/{number}"), (life * 100 + number) as u64);
                let value = body(seed, LENGTHS_BYTES[number % LENGTHS_BYTES.len()]);
                let ask = Ask::object("PUT", BUCKET, &key).body(value.as_slice());
                session.send(&ask).expect(200);
                keys.push((key, value));
            }
            server.kill();
        }
        Self { directory, keys }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// How many objects are answered with an error. Whatever else is answered must be right.
    fn missed(&self, root: &Client, name: &str) -> usize {
        let mut missed = 0;
        for (key, value) in &self.keys {
            // A body that breaks off is an error, too.
            let Ok(answer) = root.try_send(&Ask::object("GET", BUCKET, key)) else {
                missed += 1;
                continue;
            };
            match answer.status {
                200 => assert!(answer.body == *value, "{name}: {key} has other bytes"),
                500.. => missed += 1,
                other => panic!("{name}: {key} is answered {other}"),
            }
        }
        missed
    }
}

/// A data directory that nobody has open.
struct Store {
    data: PathBuf,
    /// In the order of the log.
    segments: Vec<Segment>,
}

struct Segment {
    path: PathBuf,
    /// Where its groups begin, and where the last one ends, in bytes.
    groups: Vec<u64>,
    end: u64,
}

impl Store {
    fn read(data: &Path) -> Self {
        let files = fs::read_dir(data.join("meta")).unwrap().map(|entry| entry.unwrap().path());
        let mut paths: Vec<PathBuf> =
            files.filter(|path| path.extension().is_some_and(|it| it == "log")).collect();
        paths.sort();
        Self { data: data.to_owned(), segments: paths.into_iter().map(Segment::read).collect() }
    }

    /// The segment of the second life: neither the first nor the last.
    fn middle(&self) -> &Segment {
        let with_groups: Vec<_> = self.segments.iter().filter(|it| it.groups.len() > 4).collect();
        with_groups[1]
    }

    fn last(&self) -> &Segment {
        self.segments.iter().rev().find(|it| !it.groups.is_empty()).unwrap()
    }

    fn behind_the_end(&self, bytes: Vec<u8>) {
        let segment = self.last();
        segment.write(segment.end, &bytes);
    }

    /// Flips a bit in a group of the last life, which others follow.
    fn flip(&self, at: u64) {
        let segment = self.last();
        segment.flip(segment.groups[segment.groups.len() / 2] + at);
    }

    fn zero(&self, from: u64, bytes: u64) {
        let segment = self.last();
        let group = segment.groups[segment.groups.len() / 2];
        segment.write(group + from, &vec![0; bytes as usize]);
    }

    fn index(&self) -> PathBuf {
        self.data.join("meta/meta.redb")
    }

    fn remove_index(&self) {
        fs::remove_file(self.index()).unwrap();
    }

    fn overwrite_index(&self) {
        fs::write(self.index(), noise()).unwrap();
    }

    fn a_blob(&self) -> PathBuf {
        let mut pending = vec![self.data.join("blobs")];
        while let Some(directory) = pending.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let entry = entry.unwrap();
                match entry.metadata().unwrap() {
                    metadata if metadata.is_dir() => pending.push(entry.path()),
                    metadata if metadata.len() > 300_000 => return entry.path(),
                    _ => {}
                }
            }
        }
        panic!("there is no blob")
    }

    fn flip_blob(&self) {
        flip(&self.a_blob(), 200_000);
    }

    fn remove_blob(&self) {
        fs::remove_file(self.a_blob()).unwrap();
    }
}

impl Segment {
    fn read(path: PathBuf) -> Self {
        let bytes = fs::read(&path).unwrap();
        let (mut groups, mut at) = (Vec::new(), PAGE_BYTES);
        let mut end = at;
        while let Some(header) = bytes.get(at as usize..at as usize + PAYLOAD_AT + 4) {
            if header.starts_with(GROUP_MAGIC) {
                let payload = u32::from_be_bytes(header[PAYLOAD_AT..].try_into().unwrap());
                groups.push(at);
                // With room for the header.
                end = at + (u64::from(payload) + 64).next_multiple_of(PAGE_BYTES);
            }
            at += PAGE_BYTES;
        }
        Self { path, groups, end }
    }

    fn flip(&self, at: u64) {
        flip(&self.path, at);
    }

    fn write(&self, at: u64, bytes: &[u8]) {
        let file = fs::File::options().write(true).open(&self.path).unwrap();
        file.write_all_at(bytes, at).unwrap();
    }
}

fn flip(path: &Path, at: u64) {
    let file = fs::File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 0x10], at).unwrap();
}

fn noise() -> Vec<u8> {
    body(7, 3 * PAGE_BYTES as usize + 100)
}

fn half_a_group(store: &Store) {
    let segment = store.last();
    let bytes = fs::read(&segment.path).unwrap();
    let longest = segment.groups.windows(2).max_by_key(|pair| pair[1] - pair[0]).unwrap();
    let half = longest[0] + (longest[1] - longest[0]) / 2;
    store.behind_the_end(bytes[longest[0] as usize..half as usize].to_vec());
}

fn cut_behind_the_end(store: &Store) {
    let segment = store.last();
    let file = fs::File::options().write(true).open(&segment.path).unwrap();
    file.set_len(segment.end).unwrap();
}

fn flip_segment(store: &Store) {
    store.middle().flip(20);
}

fn remove_segment(store: &Store) {
    fs::remove_file(&store.middle().path).unwrap();
}

fn empty_segment(store: &Store) {
    fs::File::options().write(true).open(&store.middle().path).unwrap().set_len(0).unwrap();
}

fn halve_index(store: &Store) {
    cut(&store.index(), fs::metadata(store.index()).unwrap().len() / 2);
}

fn cut(path: &Path, len: u64) {
    fs::File::options().write(true).open(path).unwrap().set_len(len).unwrap();
}

fn remove_last_segment(store: &Store) {
    fs::remove_file(&store.last().path).unwrap();
}

fn without_index_flip(store: &Store) {
    store.remove_index();
    store.flip(2000);
}

fn without_index_zero(store: &Store) {
    store.remove_index();
    store.zero(0, PAGE_BYTES);
}

fn without_index_remove(store: &Store) {
    store.remove_index();
    remove_segment(store);
}
