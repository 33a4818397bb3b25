//! One round of a race: everything prepared ahead, a barrier, one request from each client, and a
//! count of those who were told they won.

use std::io;
use std::sync::{Arc, Barrier};
use std::thread;

use crate::harness::server::set_versioning;
use crate::harness::xml;
use crate::harness::{Ask, Client, Response};

/// Clients in a race (issue 2).
pub(crate) const CLIENTS: usize = 32;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Put,
    Complete,
    Copy,
    Delete,
    /// Even clients PUT, odd ones complete an upload.
    PutAndComplete,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Versioning {
    Unversioned,
    Versioned,
    Suspended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// `If-None-Match: *` on a key that does not exist.
    IfNoneMatch,
    /// `If-Match` of the ETag everybody read.
    IfMatch,
}

/// A square of the table: every one has its own bucket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cell {
    pub(crate) operation: Operation,
    pub(crate) versioning: Versioning,
    pub(crate) condition: Condition,
}

/// Makes the cell's bucket and the sources of its copies.
pub(crate) fn make_bucket(client: &Client, cell: Cell, run: usize) -> String {
    let bucket = format!("raced-{run}");
    client.send(&Ask::bucket("PUT", &bucket)).expect(200);
    let state = match cell.versioning {
        Versioning::Unversioned => "",
        Versioning::Versioned => "Enabled",
        Versioning::Suspended => "Suspended",
    };
    set_versioning(client, &bucket, state);
    if cell.operation == Operation::Copy {
        let mut session = client.session();
        for racer in 0..CLIENTS {
            let ask = Ask::object("PUT", &bucket, &source_key(racer)).body(body_of(racer));
            session.send(&ask).expect(200);
        }
    }
    bucket
}

/// Runs one round; the error says what was violated. The racers alternate between `clients`: one for each
/// server that has the store.
pub(crate) fn run(
    clients: &[Client],
    cell: Cell,
    bucket: &str,
    number: usize,
) -> Result<(), String> {
    let key = format!("round-{number}");
    let condition = match cell.condition {
        Condition::IfNoneMatch => ("If-None-Match", "*".to_owned()),
        Condition::IfMatch => {
            let first = Ask::object("PUT", bucket, &key).body("before the race");
            ("If-Match", clients[0].send(&first).expect(200).etag())
        }
    };
    let asks = prepare(clients, cell, bucket, &key)
        .into_iter()
        .map(|ask| ask.header(condition.0, &condition.1))
        .collect();
    let answers = release(clients, asks);
    let judged = winner_of(cell, &answers).and_then(|winner| {
        clients.iter().try_for_each(|client| judge(client, cell, bucket, &key, winner))
    });
    judged.map_err(|reason| {
        let seen: Vec<String> = answers.iter().map(said).collect();
        format!("round {number}: {reason}; answers: {}", seen.join(" "))
    })
}

/// The racing requests, one for each client, without their condition.
fn prepare(clients: &[Client], cell: Cell, bucket: &str, key: &str) -> Vec<Ask> {
    let racers: Vec<_> = (0..CLIENTS)
        .zip(clients.iter().cycle())
        .map(|(racer, client)| {
            let (client, bucket, key) = (client.clone(), bucket.to_owned(), key.to_owned());
            thread::spawn(move || prepare_one(&client, cell, &bucket, &key, racer))
        })
        .collect();
    racers.into_iter().map(|racer| racer.join().unwrap()).collect()
}

fn prepare_one(client: &Client, cell: Cell, bucket: &str, key: &str, racer: usize) -> Ask {
    let put = || Ask::object("PUT", bucket, key).body(body_of(racer));
    match cell.operation {
        Operation::Put => put(),
        Operation::PutAndComplete if racer.is_multiple_of(2) => put(),
        Operation::Complete | Operation::PutAndComplete => upload(client, bucket, key, racer),
        Operation::Copy => Ask::object("PUT", bucket, key)
            .header("x-amz-copy-source", &format!("/{bucket}/{}", source_key(racer))),
        Operation::Delete => Ask::object("DELETE", bucket, key),
    }
}

/// Sends a whole upload but for its Complete, and gives that.
fn upload(client: &Client, bucket: &str, key: &str, racer: usize) -> Ask {
    let mut session = client.session();
    let created = session.send(&Ask::object("POST", bucket, key).query("uploads", ""));
    let id = created.expect(200).element("UploadId").unwrap();
    let part = Ask::object("PUT", bucket, key)
        .query("partNumber", "1")
        .query("uploadId", &id)
        .body(body_of(racer));
    let etag = session.send(&part).expect(200).etag();
    let document = format!(
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part>\
         </CompleteMultipartUpload>"
    );
    Ask::object("POST", bucket, key).query("uploadId", &id).body(document)
}

/// Sends all requests at once: signed and connected before the barrier, only the bytes after it.
pub(crate) fn release(clients: &[Client], asks: Vec<Ask>) -> Vec<io::Result<Response>> {
    let barrier = Arc::new(Barrier::new(asks.len()));
    let racers: Vec<_> = asks
        .into_iter()
        .zip(clients.iter().cycle())
        .map(|(ask, client)| {
            let (mut session, barrier) = (client.session(), Arc::clone(&barrier));
            thread::spawn(move || {
                let wire = session.client.wire(&ask);
                let opened = session.open();
                barrier.wait();
                opened?;
                session.try_send_wire(&wire, false)
            })
        })
        .collect();
    racers.into_iter().map(|racer| racer.join().unwrap()).collect()
}

/// The one client that was told it won.
fn winner_of(cell: Cell, answers: &[io::Result<Response>]) -> Result<usize, String> {
    let mut winners = Vec::new();
    for (racer, answer) in answers.iter().enumerate() {
        let answer = answer.as_ref().map_err(|error| format!("client {racer}: {error}"))?;
        match answer.status {
            200 | 204 => winners.push(racer),
            404 | 409 | 412 => {}
            other => return Err(format!("client {racer} was answered {other}: {}", answer.text())),
        }
        if answer.status == 404 && cell.operation != Operation::Delete {
            return Err(format!("client {racer} was told that there is no object"));
        }
    }
    match winners[..] {
        [winner] => Ok(winner),
        _ => Err(format!("{} winners: {winners:?}", winners.len())),
    }
}

/// What a server shows after the race is what the winner wrote, once.
fn judge(
    client: &Client,
    cell: Cell,
    bucket: &str,
    key: &str,
    winner: usize,
) -> Result<(), String> {
    let got = client.send(&Ask::object("GET", bucket, key));
    if cell.operation == Operation::Delete {
        return if got.status == 404 { Ok(()) } else { Err("deleted, but there".to_owned()) };
    }
    if got.status != 200 || got.body != body_of(winner) {
        return Err(format!("client {winner} won, but the object is not its own"));
    }
    let versions = count_versions(client, bucket, key);
    let expected = match (cell.versioning, cell.condition) {
        (Versioning::Versioned, Condition::IfMatch) => 2,
        _ => 1,
    };
    if versions == expected {
        return Ok(());
    }
    Err(format!("{versions} versions instead of {expected}"))
}

fn count_versions(client: &Client, bucket: &str, key: &str) -> usize {
    let ask = Ask::bucket("GET", bucket).query("versions", "").query("prefix", key);
    let document = client.send(&ask).expect(200).text();
    // `round-1` is a prefix of `round-10`.
    xml::texts(&document, "Key").iter().filter(|found| *found == key).count()
}

fn body_of(racer: usize) -> Vec<u8> {
    format!("written by client {racer:02}").into_bytes()
}

fn source_key(racer: usize) -> String {
    format!("sources/{racer:02}")
}

fn said(answer: &io::Result<Response>) -> String {
    match answer {
        Ok(response) => response.status.to_string(),
        Err(error) => format!("({error})"),
    }
}
