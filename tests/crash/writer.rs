//! A writer of the crash lane: puts, overwrites, deletes and uploads keys of its own, takes and gives back locks,
//! and takes part in every contest for a shared key, until the server is gone.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::harness::chance::{Chance, body};
use crate::harness::{Ask, Client, Response, Session};
use crate::ledger::{Change, Condition, Entry, PLAIN, VERSIONED};

const SMALL_BYTES_MAX: u64 = 4096;
/// Several chunks of 31 KiB, which a commit still carries.
const CHUNKS_BYTES_MIN: u64 = 40 << 10;
const CHUNKS_BYTES_MAX: u64 = 240 << 10;
const BLOB_BYTES: usize = 1 << 20;
/// Smallest part S3 takes that is not the last.
const PART_BYTES: usize = 5 << 20;
const KEYS_PER_WRITER: u64 = 8;

/// Writes until a request fails; every request with what is known of its end.
pub(crate) fn run(
    client: &Client,
    seed: u64,
    kill: usize,
    number: usize,
    killed: &AtomicBool,
) -> Vec<Entry> {
    let mut chance = Chance::new(seed ^ ((kill as u64) << 32) ^ ((number as u64) << 16));
    let mut session = client.session();
    let mut entries = Vec::new();
    let own = format!("{number:02}");
    for turn in 0_u64.. {
        if killed.load(Ordering::SeqCst) {
            break;
        }
        let (bucket, key, change) = choose(&mut chance, kill, &own, turn);
        let Ok(ask) = last_request(&mut session, bucket, &key, &change) else { break };
        let answer = session.try_send(&ask);
        let gone = answer.is_err();
        entries.push(Entry::new(bucket, key, number, change, answer));
        if gone {
            break;
        }
    }
    entries
}

/// The request that makes the change; the parts of an upload are sent before it.
pub(crate) fn last_request(
    session: &mut Session,
    bucket: &str,
    key: &str,
    change: &Change,
) -> io::Result<Ask> {
    match change {
        Change::Delete => Ok(Ask::object("DELETE", bucket, key)),
        Change::Put { seed, length_bytes, condition, parts: false } => {
            let put = Ask::object("PUT", bucket, key).body(body(*seed, *length_bytes));
            match condition {
                Condition::None => Ok(put),
                Condition::FirstOfMany | Condition::Absent => Ok(put.header("If-None-Match", "*")),
                Condition::Unchanged => over_current(session, bucket, key, put),
            }
        }
        Change::Put { seed, length_bytes, .. } => {
            upload(session, bucket, key, &body(*seed, *length_bytes))
        }
    }
}

/// What to do next: a change of a key below `own`, or part in a contest of the round.
pub(crate) fn choose(
    chance: &mut Chance,
    round: usize,
    own: &str,
    turn: u64,
) -> (&'static str, String, Change) {
    let bucket = if chance.below(2) == 0 { PLAIN } else { VERSIONED };
    let seed = chance.next();
    let small = chance.between(1, SMALL_BYTES_MAX) as usize;
    let chunks = chance.between(CHUNKS_BYTES_MIN, CHUNKS_BYTES_MAX) as usize;
    let own = format!("{own}/{}", chance.below(KEYS_PER_WRITER));
    let lock = format!("{own}.tflock");
    let put = |length_bytes, condition, parts| Change::Put { seed, length_bytes, condition, parts };
    match chance.below(100) {
        // The same key for all writers at the same turn: a contest.
        0..20 => {
            let change = put(small, Condition::FirstOfMany, false);
            (bucket, format!("contest/{round}/{turn}"), change)
        }
        20..26 => (bucket, own, Change::Delete),
        26..38 => (bucket, lock, put(small, Condition::Absent, false)),
        38..46 => (bucket, lock, Change::Delete),
        46..58 => (bucket, own, put(small, Condition::Unchanged, false)),
        58..82 => (bucket, own, put(small, Condition::None, false)),
        82..92 => (bucket, own, put(chunks, Condition::None, false)),
        92..99 => (bucket, own, put(BLOB_BYTES, Condition::None, false)),
        _ => (bucket, own, put(PART_BYTES + small, Condition::None, true)),
    }
}

/// Looks what is there, and puts on the condition that it still is.
fn over_current(session: &mut Session, bucket: &str, key: &str, put: Ask) -> io::Result<Ask> {
    let current = session.try_send(&Ask::object("HEAD", bucket, key))?;
    match current.status {
        404 => Ok(put.header("If-None-Match", "*")),
        200 => {
            let etag = wanted(current.header("etag").map(str::to_owned), &current)?;
            Ok(put.header("If-Match", &etag))
        }
        other => Err(io::Error::other(format!("HEAD answered {other}"))),
    }
}

/// Sends the parts of an upload and gives its Complete.
fn upload(session: &mut Session, bucket: &str, key: &str, body: &[u8]) -> io::Result<Ask> {
    let created = session.try_send(&Ask::object("POST", bucket, key).query("uploads", ""))?;
    let id = wanted(created.element("UploadId"), &created)?;
    let mut parts = String::new();
    for (index, bytes) in body.chunks(PART_BYTES).enumerate() {
        let number = (index + 1).to_string();
        let ask = Ask::object("PUT", bucket, key)
            .query("partNumber", &number)
            .query("uploadId", &id)
            .body(bytes);
        let sent = session.try_send(&ask)?;
        let etag = wanted(sent.header("etag").map(str::to_owned), &sent)?;
        parts.push_str(&format!(
            "<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
        ));
    }
    let document = format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>");
    Ok(Ask::object("POST", bucket, key).query("uploadId", &id).body(document))
}

fn wanted(value: Option<String>, response: &Response) -> io::Result<String> {
    value.ok_or_else(|| io::Error::other(format!("{}: {}", response.status, response.text())))
}
