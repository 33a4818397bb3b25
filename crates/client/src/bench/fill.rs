//! Puts the keys that lists are made of.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Job;
use super::content::{Content, Origin};
use super::load::sign;
use super::request::Request;
use super::wire::Connection;
use super::worker::Worker;
use crate::{ClientError, uri};

/// Connections that do it.
const FILLERS: usize = 16;
/// Bytes of the object under each key.
const LISTED_BODY_BYTES: usize = 64;
/// Times that a PUT is tried; an endpoint may be too busy for one.
const ATTEMPTS_MAX: u32 = 5;
/// The one key that a filler knows.
const SLOT: usize = 0;

/// Puts all keys, or as many as there is time for until `stop` is set.
///
/// # Errors
/// The endpoint refuses, or cannot be reached.
pub(super) fn run(job: &Job, stop: &AtomicBool) -> Result<(), ClientError> {
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..FILLERS).map(|number| scope.spawn(move || fill(job, number, stop))).collect();
        threads.into_iter().try_for_each(|thread| {
            thread.join().map_err(|_| ClientError::Local(std::io::ErrorKind::Other.into()))?
        })
    })
}

fn fill(job: &Job, filler: usize, stop: &AtomicBool) -> Result<(), ClientError> {
    let mut worker = Worker::new(Connection::to(&job.target), SLOT + 1);
    for at in (filler..job.listed.keys).step_by(FILLERS) {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let origin = Origin { run: job.place.run, client: filler, slot: at, generation: 0 };
        let body = Arc::new(Content::stamped(origin, LISTED_BODY_BYTES, &job.filler));
        let path = uri::object_path(&job.place.bucket, &job.listed.key(at));
        put(job, &mut worker, &mut [Request::put(path, SLOT, &body, false)])?;
    }
    Ok(())
}

fn put(job: &Job, worker: &mut Worker, request: &mut [Request]) -> Result<(), ClientError> {
    let mut attempt = 1;
    loop {
        sign(job, request.iter_mut())?;
        match worker.perform(request) {
            Ok(_) => return Ok(()),
            Err(_) if attempt < ATTEMPTS_MAX => attempt += 1,
            Err(fault) => {
                let reason = format!("a key that is to be listed: {} {}", fault.name, fault.seen);
                return Err(job.target.broken(reason.trim_end()));
            }
        }
    }
}
