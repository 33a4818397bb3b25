//! What is told of a store that is not whole, and what becomes of it.

use std::fs::{self, File};
use std::path::PathBuf;

use super::*;
use crate::local::{LoggedStore, recover, verify};

/// Starts of the store, each of which begins a segment.
const LIVES: u32 = 3;
const ROWS_PER_LIFE: u32 = 40;

/// A closed store, whose index has all that its log has.
async fn written() -> TempDir {
    let directory = TempDir::new().unwrap();
    for life in 0..LIVES {
        let store = open(directory.path());
        for row in 0..ROWS_PER_LIFE {
            committed(&store, put(format!("{life}/{row}"), vec![b'v'; 3000])).await;
        }
        // Known only by what is there no more.
        let mut gone = Batch::new(OpId([0; 16]));
        gone.delete(key(format!("{life}/0")));
        committed(&store, gone).await;
    }
    directory
}

fn clock() -> Arc<SystemClock> {
    Arc::new(SystemClock::new())
}

/// The files of the log that have groups, oldest first.
fn segments(directory: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|it| it == "log") && !groups(path).is_empty())
        .collect();
    files.sort();
    files
}

/// Where the groups of a segment begin.
fn groups(path: &Path) -> Vec<usize> {
    let bytes = fs::read(path).unwrap();
    let pages = (4096..bytes.len()).step_by(4096);
    pages.filter(|page| bytes[*page..].starts_with(b"TLG1")).collect()
}

fn cut(path: &Path, len: u64) {
    File::options().write(true).open(path).unwrap().set_len(len).unwrap();
}

/// What is done to the oldest and to the newest segment.
type Damaging = fn(&Path, &Path);

const LOST: [(&str, Damaging); 6] = [
    ("the newest segment is gone", |_, newest| fs::remove_file(newest).unwrap()),
    ("the newest segment is empty", |_, newest| cut(newest, 0)),
    ("the newest segment has its header alone", |_, newest| cut(newest, 4096)),
    ("the last group is gone", |_, newest| cut(newest, *groups(newest).last().unwrap() as u64)),
    ("the oldest segment is gone", |oldest, _| fs::remove_file(oldest).unwrap()),
    ("all of the log is gone", |oldest, _| {
        segments(oldest.parent().unwrap()).iter().for_each(|path| fs::remove_file(path).unwrap());
    }),
];

/// A log may end anywhere and begin anywhere; that this one did not, the index knows.
#[tokio::test]
async fn what_the_log_has_lost_at_its_ends_is_told() {
    for (name, damage) in LOST {
        let directory = written().await;
        let path = directory.path();
        let sound = verify(path, clock()).unwrap();
        assert!(sound.is_sound() && !sound.index_is_lost, "{name}: {sound:?}");
        assert_eq!(LoggedStore::open(path, clock()).unwrap().damage(), [], "{name}");
        let all = TempDir::new().unwrap();
        assert_eq!(recover(path, all.path(), 1, clock()).unwrap().damage, [], "{name}");

        let files = segments(path);
        let (oldest, newest) = (files.first().unwrap(), files.last().unwrap());
        damage(oldest, newest);
        let damaged =
            if name.contains("newest") || name.contains("group") { newest } else { oldest };
        let file = damaged.file_name().unwrap().to_str().unwrap();
        let names = |damage: &[crate::local::Damage]| damage.iter().any(|it| it.file == file);
        let found = verify(path, clock()).unwrap();
        assert!(names(&found.damage), "{name}: {file}: {found:?}");
        let logged = LoggedStore::open(path, clock()).unwrap();
        assert!(names(logged.damage()), "{name}: {file}: {:?}", logged.damage());
        drop(logged);
        let saved = TempDir::new().unwrap();
        let recovery = recover(path, saved.path(), 1, clock()).unwrap();
        assert!(names(&recovery.damage), "{name}: {file}: {recovery:?}");
        let rows = super::all(&open(saved.path())).await;
        assert_eq!(rows.len() as u64, recovery.rows, "{name}");
    }
}

/// The index is never needed: however much of it is there.
#[tokio::test]
async fn an_index_that_was_cut_short_is_made_again() {
    let directory = written().await;
    let path = directory.path();
    let rows = all(&open(path)).await;
    assert_eq!(rows.len() as u32, LIVES * (ROWS_PER_LIFE - 1));
    let index = path.join(INDEX_NAME);
    let size = fs::metadata(&index).unwrap().len();
    for len in [0, 100, 4096, 8192, size / 2, size - 4096] {
        cut(&index, len);
        let found = verify(path, clock()).unwrap();
        assert!(found.is_sound(), "{len} of {size}: {found:?}");
        let logged = LoggedStore::open(path, clock()).unwrap();
        assert_eq!(logged.damage(), [], "{len} of {size}");
        assert_eq!(all(&logged).await, rows, "{len} of {size}");
        drop(logged);
        let store = LocalStore::open(path, options());
        let store = store.unwrap_or_else(|error| panic!("{len} of {size}: {error}"));
        assert_eq!(all(&store).await, rows, "{len} of {size}");
        let next = put(format!("{len}/next"), "x");
        committed(&store, next).await;
        let mut gone = Batch::new(OpId([0; 16]));
        gone.delete(key(format!("{len}/next")));
        committed(&store, gone).await;
        drop(store);
        assert!(verify(path, clock()).unwrap().is_sound(), "{len} of {size}");
    }
}

/// As a server that was killed leaves it, too, which redb would repair.
#[tokio::test]
async fn an_index_of_a_killed_server_that_was_cut_short_is_made_again() {
    let directory = written().await;
    let running = open(directory.path());
    committed(&running, put("last", "x")).await;
    let rows = all(&running).await;
    let size = fs::metadata(directory.path().join(INDEX_NAME)).unwrap().len();
    for len in [0, 100, 4096, 8192, size / 4, size / 2, size - 4096] {
        let killed = TempDir::new().unwrap();
        for entry in fs::read_dir(directory.path()).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), killed.path().join(entry.file_name())).unwrap();
        }
        cut(&killed.path().join(INDEX_NAME), len);
        assert!(verify(killed.path(), clock()).unwrap().is_sound(), "{len} of {size}");
        let store = LocalStore::open(killed.path(), options());
        let store = store.unwrap_or_else(|error| panic!("{len} of {size}: {error}"));
        assert_eq!(all(&store).await, rows, "{len} of {size}");
    }
}
