//! Races: all clients PUT `If-None-Match: *` on one key. One thread sends for all of them and then reads
//! what each was told: no scheduler decides who is late.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::Job;
use super::content::{Content, Origin};
use super::load::{Meter, Run, SIGN_AGAIN_AFTER, sign};
use super::request::Request;
use super::tally::{Fault, Tally};
use super::wire::Connection;
use super::worker::Worker;
use crate::{ClientError, uri};

/// Rounds that are signed ahead; each has a key of its own.
const ROUNDS_AHEAD: usize = 64;
/// The one key that a round knows.
const SLOT: usize = 0;

/// What is sent in a round.
struct Round {
    /// One of each client.
    puts: Vec<Request>,
    /// The winner's body must be there.
    get: Vec<Request>,
    /// The key is free again.
    delete: Vec<Request>,
}

/// Runs rounds until the time is over or `stop` is set. An operation is a round, and takes until all are
/// answered.
///
/// # Errors
/// The endpoint cannot be connected to.
pub(super) fn run(job: &Job, stop: &AtomicBool) -> Result<Run, ClientError> {
    let mut racers = Vec::new();
    for _ in 0..job.order.clients {
        let mut racer = Worker::new(Connection::to(&job.target), SLOT + 1);
        racer.open().map_err(|error| error.into_client_error(&job.target))?;
        racers.push(racer);
    }
    let mut rounds: Vec<Round> = (0..ROUNDS_AHEAD).map(|number| round(job, number)).collect();
    sign_all(job, &mut rounds)?;
    let meter = Meter::start(&job.order.server_pids);
    let mut tally = Tally::new();
    let started = Instant::now();
    let mut signed = started;
    'time: loop {
        if signed.elapsed() > SIGN_AGAIN_AFTER {
            sign_all(job, &mut rounds)?;
            signed = Instant::now();
        }
        for round in &rounds {
            if started.elapsed() >= job.order.duration || stop.load(Ordering::Relaxed) {
                break 'time;
            }
            round.run(&mut racers, &mut tally);
        }
    }
    Ok(meter.stop(tally))
}

fn sign_all(job: &Job, rounds: &mut [Round]) -> Result<(), ClientError> {
    let requests = rounds
        .iter_mut()
        .flat_map(|Round { puts, get, delete }| puts.iter_mut().chain(get).chain(delete));
    sign(job, requests)
}

fn round(job: &Job, number: usize) -> Round {
    let key = format!("{}race/{number:03}/terraform.tfstate.tflock", job.place.prefix);
    let path = uri::object_path(&job.place.bucket, &key);
    let created = job.client.now();
    let puts = (0..job.order.clients).map(|client| {
        let origin = Origin { run: job.place.run, client, slot: number, generation: 0 };
        let body = Arc::new(Content::lock(origin, &key, created));
        Request::put(path.clone(), SLOT, &body, true)
    });
    Round {
        puts: puts.collect(),
        get: vec![Request::get(path.clone(), SLOT)],
        delete: vec![Request::delete(path, SLOT)],
    }
}

impl Round {
    fn run(&self, racers: &mut [Worker], tally: &mut Tally) {
        let begun = Instant::now();
        let sent: Vec<_> =
            self.puts.iter().zip(&mut *racers).map(|(put, it)| it.send(put)).collect();
        let (mut winners, mut faults) = (Vec::new(), Vec::new());
        for ((put, racer), sent) in self.puts.iter().zip(&mut *racers).zip(sent) {
            match sent.and_then(|()| racer.receive_conditional(put)) {
                Ok(true) => winners.push(put),
                Ok(false) => {}
                Err(fault) => faults.push(fault),
            }
        }
        judge(&winners, faults, begun.elapsed(), tally);
        let Some(first) = racers.first_mut() else { return };
        // Only of one winner it is known what must be there.
        let body = match winners.as_slice() {
            [winner] => winner.body.clone(),
            _ => None,
        };
        let is_there = !winners.is_empty();
        first.remember(SLOT, body);
        for after in [&self.get, &self.delete] {
            if let Err(fault) = first.perform(after)
                && is_there
            {
                tally.add_fault(fault);
            }
        }
    }
}

/// Exactly one client may be told that it has won.
fn judge(winners: &[&Request], faults: Vec<Fault>, took: Duration, tally: &mut Tally) {
    let is_whole = faults.is_empty();
    for fault in faults {
        tally.add_fault(fault);
    }
    match winners.len() {
        1 if is_whole => {
            let bytes =
                winners.iter().filter_map(|put| put.body.as_ref()).map(|it| it.size() as u64);
            tally.add(took, Ok(bytes.sum()));
        }
        // A client that was not answered may have won.
        0 | 1 if !is_whole => {}
        1 => {}
        0 => tally.add_fault(Fault::new("NoWinner", "nobody was told that it has won")),
        count => {
            let seen = format!("{count} clients were told that they have won");
            tally.add_fault(Fault::new("SecondWinner", seen));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_one_client_wins() {
        let body = Arc::new(Content::lock(
            Origin { run: 1, client: 0, slot: 0, generation: 0 },
            "p",
            jiff::Timestamp::UNIX_EPOCH,
        ));
        let put = Request::put("/b/k".to_owned(), SLOT, &body, true);
        let slow = || Fault::new("503 SlowDown", "");
        let rows: &[(usize, Vec<Fault>, u64, &[&str])] = &[
            (1, vec![], 1, &[]),
            (0, vec![], 0, &["NoWinner"]),
            (2, vec![], 0, &["SecondWinner"]),
            (0, vec![slow()], 0, &["503 SlowDown"]),
            (1, vec![slow()], 0, &["503 SlowDown"]),
            (3, vec![slow()], 0, &["503 SlowDown", "SecondWinner"]),
        ];
        for (winners, faults, rounds, names) in rows {
            let mut tally = Tally::new();
            judge(&vec![&put; *winners], faults.clone(), Duration::from_millis(1), &mut tally);
            assert_eq!(tally.latencies.total(), *rounds, "{winners}");
            assert_eq!(tally.faults.keys().collect::<Vec<_>>(), *names, "{winners}");
        }
    }
}
