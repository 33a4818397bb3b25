//! What a client asks, in rings of operations: each has keys of its own, so that nobody waits for anybody
//! but the endpoint.

use std::sync::Arc;

use jiff::Timestamp;

use super::Place;
use super::content::{Content, Filler, Origin};
use super::page::{Listed, PAGE_KEYS};
use super::request::Request;
use crate::uri;

/// Keys of one client, at most.
const KEYS_PER_CLIENT_MAX: usize = 64;
/// And at least, if as many are signed ahead.
const KEYS_PER_CLIENT_MIN: usize = 4;
/// Keys of all clients together: what is read is written before, and some endpoints are slow at that.
const KEYS_MAX: usize = 1024;
/// Operations of one client that are signed ahead, at most.
const OPERATIONS_AHEAD_MAX: usize = 256;
/// And at least: two writings of a key, so that an old one is seen.
const OPERATIONS_AHEAD_MIN: usize = 2;
/// Bytes of bodies that all clients together hash ahead; a body that exceeds its share is hashed all the same.
const BYTES_AHEAD_MAX: usize = 128 << 20;
/// One body costs no less than this: the head of its request.
const REQUEST_BYTES: usize = 1024;
/// Pages of a list, which begin at so many different keys.
const PAGES: usize = 16;
/// What the mixed workload asks, over and over: mostly reads, as a team that plans.
const MIX: [Mixed; 20] = {
    use Mixed::{Get, Lock, Page, Put};
    [
        Get, Put, Get, Get, Lock, Get, Get, Put, Get, Get, Put, Get, Get, Put, Lock, Get, Get, Put,
        Get, Page,
    ]
};

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    /// PUT of a body.
    Put,
    /// GET of a body.
    Get,
    /// PUT `If-None-Match: *` of a lock, GET, DELETE: what a run of Terraform does to it.
    Lock,
    /// A page of 1,000 keys.
    List,
    /// A page of 1,000 common prefixes.
    ListDelimited,
    /// PUT `If-None-Match: *` of all clients on one key at the same moment.
    Race,
    /// GET, PUT, locks and lists.
    Mixed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mixed {
    Get,
    Put,
    Lock,
    Page,
}

/// The requests of one operation, one after another.
pub(super) type Operation = Vec<Request>;

impl Workload {
    /// All of them, in the order they are run.
    pub const ALL: [Self; 7] = [
        Self::Put,
        Self::Get,
        Self::Lock,
        Self::List,
        Self::ListDelimited,
        Self::Race,
        Self::Mixed,
    ];

    /// As it is named on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Get => "get",
            Self::Lock => "lock",
            Self::List => "list",
            Self::ListDelimited => "list-delimited",
            Self::Race => "race",
            Self::Mixed => "mixed",
        }
    }

    /// Whether keys have to be there that are listed.
    pub(super) fn lists(self) -> bool {
        matches!(self, Self::List | Self::ListDelimited | Self::Mixed)
    }
}

/// One client's part.
#[derive(Debug)]
pub(super) struct Script<'a> {
    place: &'a Place,
    filler: &'a Filler,
    listed: &'a Listed,
    client: usize,
    clients: usize,
    body_bytes: usize,
    ahead: usize,
    created: Timestamp,
}

impl<'a> Script<'a> {
    /// Of the client with this number, among so many.
    pub(super) fn of(
        place: &'a Place,
        filler: &'a Filler,
        listed: &'a Listed,
        (client, clients): (usize, usize),
        body_bytes: usize,
        created: Timestamp,
    ) -> Self {
        let ahead = operations_ahead(clients, body_bytes);
        Self { place, filler, listed, client, clients, body_bytes, ahead, created }
    }

    /// What is there before the operations begin.
    pub(super) fn preparation(&self, workload: Workload) -> Vec<Operation> {
        match workload {
            Workload::Get | Workload::Mixed => {
                (0..self.keys()).map(|slot| vec![self.put(slot, 0)]).collect()
            }
            Workload::Put
            | Workload::Lock
            | Workload::List
            | Workload::ListDelimited
            | Workload::Race => Vec::new(),
        }
    }

    /// The operations; after the last one the first follows.
    pub(super) fn operations(&self, workload: Workload) -> Vec<Operation> {
        (0..self.ahead).map(|at| self.operation(workload, at)).collect()
    }

    /// Numbers of keys that the operations use.
    pub(super) fn slots(&self) -> usize {
        2 * KEYS_PER_CLIENT_MAX
    }

    fn operation(&self, workload: Workload, at: usize) -> Operation {
        let (slot, generation) = (at % self.keys(), at / self.keys() + 1);
        // From the first key to the last that has a whole page after it.
        let spare = self.listed.keys.saturating_sub(PAGE_KEYS);
        let page = (at + self.client) % PAGES * spare / (PAGES - 1);
        let list =
            |is_delimited| Request::list(&self.place.bucket, self.listed.page(page, is_delimited));
        match workload {
            Workload::Put => vec![self.put(slot, generation)],
            Workload::Get => vec![Request::get(self.object(slot), slot)],
            Workload::Lock | Workload::Race => self.lock(slot, generation),
            Workload::List => vec![list(false)],
            Workload::ListDelimited => vec![list(true)],
            // Clients do not all do the same at the same moment.
            Workload::Mixed => match MIX[(at + self.client) % MIX.len()] {
                Mixed::Get => vec![Request::get(self.object(slot), slot)],
                Mixed::Put => vec![self.put(slot, generation)],
                Mixed::Lock => self.lock(slot, generation),
                Mixed::Page => vec![list(at.is_multiple_of(2))],
            },
        }
    }

    /// Keys that it uses: few of large bodies, so that each is written more than once.
    fn keys(&self) -> usize {
        let share = KEYS_MAX / self.clients.max(1);
        (self.ahead / 2).clamp(1, share.clamp(KEYS_PER_CLIENT_MIN, KEYS_PER_CLIENT_MAX))
    }

    fn put(&self, slot: usize, generation: usize) -> Request {
        let origin = self.origin(slot, generation);
        let body = Arc::new(Content::stamped(origin, self.body_bytes, self.filler));
        Request::put(self.object(slot), slot, &body, false)
    }

    fn lock(&self, slot: usize, generation: usize) -> Operation {
        let (path, slot) = (format!("{}.tflock", self.object(slot)), KEYS_PER_CLIENT_MAX + slot);
        let body = Content::lock(self.origin(slot, generation), &self.place.bucket, self.created);
        vec![
            Request::put(path.clone(), slot, &Arc::new(body), true),
            Request::get(path.clone(), slot),
            Request::delete(path, slot),
        ]
    }

    fn origin(&self, slot: usize, generation: usize) -> Origin {
        Origin { run: self.place.run, client: self.client, slot, generation }
    }

    fn object(&self, slot: usize) -> String {
        let Place { bucket, prefix, .. } = self.place;
        let key = format!("{prefix}c{:04}/{slot:03}/terraform.tfstate", self.client);
        uri::object_path(bucket, &key)
    }
}

fn operations_ahead(clients: usize, body_bytes: usize) -> usize {
    let one = body_bytes.max(REQUEST_BYTES).saturating_mul(clients.max(1));
    (BYTES_AHEAD_MAX / one).clamp(OPERATIONS_AHEAD_MIN, OPERATIONS_AHEAD_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fewer_operations_are_signed_ahead_of_large_bodies() {
        let rows = [
            (1, 0, OPERATIONS_AHEAD_MAX),
            (64, 4096, OPERATIONS_AHEAD_MAX),
            (4, 8 << 20, 4),
            (64, 8 << 20, OPERATIONS_AHEAD_MIN),
            (1, 1 << 30, OPERATIONS_AHEAD_MIN),
        ];
        for (clients, size, ahead) in rows {
            assert_eq!(operations_ahead(clients, size), ahead, "{clients} {size}");
        }
    }

    #[test]
    fn each_workload_asks_what_it_says() {
        let place = Place { bucket: "b".to_owned(), prefix: "p/".to_owned(), run: 1 };
        let listed = Listed { prefix: "p/l/".to_owned(), keys: 2500 };
        let filler = Filler::new(1);
        let script = Script::of(&place, &filler, &listed, (3, 4), 100, Timestamp::UNIX_EPOCH);
        let rows = [
            (Workload::Put, 0, 1),
            (Workload::Get, 64, 1),
            (Workload::Lock, 0, 3),
            (Workload::List, 0, 1),
            (Workload::ListDelimited, 0, 1),
        ];
        for (workload, prepared, requests) in rows {
            assert_eq!(script.preparation(workload).len(), prepared, "{workload:?}");
            let operations = script.operations(workload);
            assert_eq!(operations.len(), OPERATIONS_AHEAD_MAX);
            assert!(operations.iter().all(|it| it.len() == requests), "{workload:?}");
        }
        let mixed = script.operations(Workload::Mixed);
        assert!(mixed.iter().any(|it| it.len() == 3) && mixed.iter().any(|it| it.len() == 1));
    }
}
