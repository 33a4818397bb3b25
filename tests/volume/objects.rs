//! A store of many objects: pages of its listing, and its starts.

use std::path::Path;
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use crate::harness::clock::instant;
use crate::harness::process::disk_bytes;
use crate::harness::{Ask, Client, Server, count_from_env, xml};
use crate::{allowed, print_measured};

const OBJECTS_DEFAULT: usize = 20_000;
const CLIENTS: usize = 64;
/// As many as a page shows.
const DIRECTORIES: usize = PAGE_KEYS;
const BODY_BYTES: usize = 100;
const BUCKET: &str = "many";
const PAGE_KEYS: usize = 1000;
const PAGE_CPU_MAX: Duration = Duration::from_millis(3);
/// Pages for each measurement, and measurements: the least counts, for others on the machine only make it more.
const PAGES: usize = 20;
const ROUNDS: usize = 5;
const CLEAN_START_CPU_MAX: Duration = Duration::from_secs(2);
const START_AFTER_KILL_CPU_MAX: Duration = Duration::from_secs(5);

#[test]
fn many_objects_are_listed_and_opened_soon() {
    let objects = count_from_env("TIDELOCK_VOLUME_OBJECTS", OBJECTS_DEFAULT);
    let data = TempDir::new().unwrap();
    let mut server = Server::start_local(data.path());
    server.make_bucket(BUCKET, "");
    let began = instant();
    put(&server.root(), 0..objects);
    let usage = server.usage();
    print_measured(&format!(
        "{objects} objects: {:.0} MB on the disk, {:.0} MB resident, {:.0} µs of CPU a PUT, {:.0} s",
        disk_bytes(data.path()) as f64 / 1e6,
        usage.resident_bytes as f64 / 1e6,
        usage.cpu.as_secs_f64() * 1e6 / objects as f64,
        began.elapsed().as_secs_f64()
    ));
    let mut missed: Vec<_> = LISTINGS.iter().filter_map(|it| list(&server, it, objects)).collect();
    assert!(server.terminate().success());
    let (mut server, slow) = start(data.path(), "clean", CLEAN_START_CPU_MAX, objects);
    missed.extend(slow);
    // What the next start has to read again.
    put(&server.root(), objects..objects + objects / 10);
    server.kill();
    let (server, slow) = start(data.path(), "after kill -9", START_AFTER_KILL_CPU_MAX, objects);
    missed.extend(slow);
    missed.extend(LISTINGS.iter().filter_map(|it| list(&server, it, objects)));
    assert!(missed.is_empty(), "above their limits:\n{}", missed.join("\n"));
}

fn key(number: usize) -> String {
    format!("{:04}/{:06}", number % DIRECTORIES, number / DIRECTORIES)
}

/// Puts the objects of these numbers, from many clients, in an order that is not that of the keys.
fn put(root: &Client, numbers: std::ops::Range<usize>) {
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let (mut session, numbers) = (root.session(), numbers.clone());
            thread::spawn(move || {
                for number in numbers.skip(client).step_by(CLIENTS) {
                    let ask = Ask::object("PUT", BUCKET, &key(number));
                    session.send(&ask.body(vec![number as u8; BODY_BYTES])).expect(200);
                }
            })
        })
        .collect();
    for client in clients {
        client.join().unwrap();
    }
}

/// A way to list.
struct Listing {
    name: &'static str,
    query: &'static [(&'static str, &'static str)],
    /// Whether the next page is asked for, with pages of the index that were not read before, or the same one again.
    goes_on: bool,
}

const LISTINGS: &[Listing] = &[
    Listing { name: "all keys", query: &[], goes_on: true },
    Listing { name: "a delimiter, prefixes", query: &[("delimiter", "/")], goes_on: false },
    Listing { name: "a delimiter, keys", query: &[("delimiter", "~")], goes_on: true },
];

/// What a page of a listing costs; a line if that is too much.
fn list(server: &Server, listing: &Listing, objects: usize) -> Option<String> {
    let mut after = String::new();
    let rounds: Vec<_> = (0..ROUNDS).map(|_| list_round(server, listing, &mut after)).collect();
    let (cpu, entries) = rounds.into_iter().min().unwrap();
    let line = format!(
        "{} of {objects}: {:.2} ms of CPU for a page of {entries}",
        listing.name,
        cpu.as_secs_f64() * 1e3
    );
    print_measured(&line);
    assert!(entries > 0, "{line}");
    (cpu > allowed(PAGE_CPU_MAX)).then_some(line)
}

/// What a page costs, and how many entries it has. Goes on behind `after`, or begins anew.
fn list_round(server: &Server, listing: &Listing, after: &mut String) -> (Duration, usize) {
    let mut session = server.root().session();
    let mut found = 0;
    let before = server.usage().cpu;
    for _ in 0..PAGES {
        let page = PAGE_KEYS.to_string();
        let mut ask = Ask::bucket("GET", BUCKET).query("list-type", "2").query("max-keys", &page);
        for (name, value) in listing.query {
            ask = ask.query(name, value);
        }
        if !after.is_empty() {
            ask = ask.query("continuation-token", after);
        }
        let answer = session.send(&ask).expect(200).text();
        found += xml::text(&answer, "KeyCount").unwrap().parse::<usize>().unwrap();
        if listing.goes_on {
            *after = xml::text(&answer, "NextContinuationToken").unwrap_or_default();
        }
    }
    ((server.usage().cpu - before) / PAGES as u32, found / PAGES)
}

/// A server that was started, and a line if that took too much.
fn start(data: &Path, what: &str, limit: Duration, objects: usize) -> (Server, Option<String>) {
    let began = instant();
    let server = Server::start_local(data);
    let (usage, took) = (server.usage(), began.elapsed());
    let line = format!(
        "{what} start with {objects} objects: {:.2} s of CPU, {:.2} s in all, {:.0} MB resident",
        usage.cpu.as_secs_f64(),
        took.as_secs_f64(),
        usage.resident_bytes as f64 / 1e6
    );
    print_measured(&line);
    let got = server.root().send(&Ask::object("GET", BUCKET, &key(objects - 1))).expect(200);
    assert_eq!(got.body, vec![(objects - 1) as u8; BODY_BYTES]);
    (server, (usage.cpu > allowed(limit)).then_some(line))
}
