//! Bodies that a killed server had written, but that no object names, are gone after the next start.

use std::path::Path;
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use crate::harness::clock::instant;
use crate::harness::{Ask, Client, Server, xml};

const WRITERS: usize = 32;
/// Above what a commit carries: the body is a file of its own.
const BLOB_BYTES: usize = 1 << 20;
const SWEEP_TIMEOUT: Duration = Duration::from_secs(30);

#[test]
fn bodies_without_an_object_are_swept_at_the_next_start() {
    let data = TempDir::new().unwrap();
    let mut server = Server::start_on(data.path(), &[]);
    server.make_bucket("kept", "");
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let client = server.root();
            thread::spawn(move || write_until_gone(&client, writer))
        })
        .collect();
    thread::sleep(Duration::from_millis(700));
    server.kill();
    let acknowledged: usize = writers.into_iter().map(|writer| writer.join().unwrap()).sum();
    let server = Server::start_on(data.path(), &[]);
    let objects = count_objects(&server.root());
    assert!(objects >= acknowledged, "{acknowledged} acknowledged, {objects} there");
    // No key was written twice, so that every object has one file and every other file is nobody's.
    let blobs = data.path().join("blobs");
    let started = instant();
    while count_bodies(&blobs) != objects {
        let files = count_bodies(&blobs);
        assert!(started.elapsed() < SWEEP_TIMEOUT, "{files} files for {objects} objects");
        thread::sleep(Duration::from_millis(100));
    }
}

fn write_until_gone(client: &Client, writer: usize) -> usize {
    let mut session = client.session();
    let body = crate::harness::chance::body(writer as u64, BLOB_BYTES);
    for number in 0.. {
        let ask = Ask::object("PUT", "kept", &format!("{writer}/{number}")).body(body.as_slice());
        match session.try_send(&ask) {
            Ok(response) => drop(response.expect(200)),
            Err(_) => return number,
        }
    }
    0
}

fn count_objects(client: &Client) -> usize {
    let mut session = client.session();
    let mut count = 0;
    let mut after = String::new();
    loop {
        let ask = Ask::bucket("GET", "kept").query("list-type", "2").query("start-after", &after);
        let keys = xml::texts(&session.send(&ask).expect(200).text(), "Key");
        count += keys.len();
        match keys.into_iter().next_back() {
            Some(last) => after = last,
            None => return count,
        }
    }
}

fn count_bodies(directory: &Path) -> usize {
    let mut pending = vec![directory.to_owned()];
    let mut count = 0;
    while let Some(directory) = pending.pop() {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => pending.push(entry.path()),
                // The store's lock file is empty; a body never is.
                Ok(metadata) if metadata.len() > 0 => count += 1,
                _ => {}
            }
        }
    }
    count
}
