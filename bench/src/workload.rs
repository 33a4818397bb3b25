//! What is asked of a server. A workload makes its own bucket; each client has keys of its own, so
//! that nobody waits for anybody but the engine.

use anyhow::Result;

use crate::subject::Subject;
use crate::wire::{BODY_BYTES, Connection, Presigner};

const KEYS_PER_CLIENT: usize = 64;
const LISTED_PREFIXES: usize = 100;
const LISTED_BUCKET: &str = "listed";

/// One row of the table.
pub struct Workload {
    /// As it is named on the command line.
    pub name: &'static str,
    /// How many clients ask at once.
    pub clients: &'static [usize],
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Get,
    Put,
    /// PUT `If-None-Match: *`, GET, DELETE: what a run of Terraform does to its lock. One operation.
    LockCycle,
    /// A page of 1,000 keys.
    ListPage {
        keys: usize,
    },
    /// 100 common prefixes over all keys.
    ListPrefixes {
        keys: usize,
    },
}

/// The requests of one operation, one after another, with the statuses they may have.
pub type Operation = Vec<(Vec<u8>, &'static [u16])>;

/// Every workload.
pub fn all(listed_keys: usize) -> Vec<Workload> {
    let row = |name, clients, kind| Workload { name, clients, kind };
    vec![
        row("get-4k", &[1, 16, 64], Kind::Get),
        row("put-4k", &[1, 16, 64], Kind::Put),
        row("lock-cycle", &[1, 16], Kind::LockCycle),
        row("list-1000", &[1, 8], Kind::ListPage { keys: listed_keys }),
        row("list-prefixes", &[1, 8], Kind::ListPrefixes { keys: listed_keys }),
    ]
}

impl Workload {
    /// The bare server answers single requests only.
    pub fn suits(&self, subject: &Subject) -> bool {
        subject.name != "bare" || matches!(self.kind, Kind::Get | Kind::Put)
    }

    /// Makes what the operations need.
    pub fn prepare(&self, subject: &Subject) -> Result<()> {
        let signer = Presigner::new(subject.address)?;
        let mut connection = Connection::open(subject.address)?;
        let make = signer.request("PUT", &format!("/{}", self.bucket()), "", &[], b"")?;
        connection.expect(&make, &[200, 409])?;
        match self.kind {
            Kind::Put | Kind::LockCycle => Ok(()),
            Kind::Get => {
                let most = self.clients.iter().copied().max().unwrap_or(1);
                let keys = (0..most)
                    .flat_map(|client| (0..KEYS_PER_CLIENT).map(move |at| object(client, at)));
                fill(subject, self.bucket(), &keys.collect::<Vec<_>>())
            }
            Kind::ListPage { keys } | Kind::ListPrefixes { keys } => {
                let named =
                    (0..keys).map(|at| format!("envs/d{:03}/k{at:06}", at % LISTED_PREFIXES));
                fill(subject, self.bucket(), &named.collect::<Vec<_>>())
            }
        }
    }

    /// The operations of one client; it begins anew when it is through.
    pub fn operations(&self, subject: &Subject, client: usize) -> Result<Vec<Operation>> {
        let signer = Presigner::new(subject.address)?;
        let bucket = self.bucket();
        let body = body(client);
        (0..KEYS_PER_CLIENT)
            .map(|at| {
                let path = format!("/{bucket}/{}", object(client, at));
                let ask = |method, extra: &[&str], body: &[u8]| {
                    signer.request(method, &path, "", extra, body)
                };
                let list = |query| signer.request("GET", &format!("/{bucket}"), query, &[], b"");
                Ok(match self.kind {
                    Kind::Get => vec![(ask("GET", &[], b"")?, &[200][..])],
                    Kind::Put => vec![(ask("PUT", &[], &body)?, &[200][..])],
                    Kind::LockCycle => vec![
                        (ask("PUT", &["if-none-match: *"], &body[..200])?, &[200][..]),
                        (ask("GET", &[], b"")?, &[200][..]),
                        (ask("DELETE", &[], b"")?, &[204][..]),
                    ],
                    Kind::ListPage { .. } => {
                        vec![(list("list-type=2&prefix=envs%2F")?, &[200][..])]
                    }
                    Kind::ListPrefixes { .. } => {
                        let query = "delimiter=%2F&list-type=2&prefix=envs%2F";
                        vec![(list(query)?, &[200][..])]
                    }
                })
            })
            .collect()
    }

    /// Both listings share one bucket, since filling it takes longer than listing it.
    fn bucket(&self) -> &'static str {
        match self.kind {
            Kind::ListPage { .. } | Kind::ListPrefixes { .. } => LISTED_BUCKET,
            Kind::Get | Kind::Put | Kind::LockCycle => self.name,
        }
    }
}

fn object(client: usize, at: usize) -> String {
    format!("client-{client:03}/object-{at:03}")
}

/// Bytes that do not compress.
fn body(client: usize) -> Vec<u8> {
    let mut state = client as u64 + 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    (0..BODY_BYTES).map(|_| next()).collect()
}

/// Puts an object under each key, by many connections at once.
fn fill(subject: &Subject, bucket: &str, keys: &[String]) -> Result<()> {
    const FILLERS: usize = 16;
    std::thread::scope(|scope| {
        let fillers: Vec<_> = (0..FILLERS)
            .map(|filler| {
                scope.spawn(move || -> Result<()> {
                    let signer = Presigner::new(subject.address)?;
                    let mut connection = Connection::open(subject.address)?;
                    let body = body(filler);
                    for key in keys.iter().skip(filler).step_by(FILLERS) {
                        let path = format!("/{bucket}/{key}");
                        let put = signer.request("PUT", &path, "", &["if-none-match: *"], &body)?;
                        connection.expect(&put, &[200, 412])?;
                    }
                    Ok(())
                })
            })
            .collect();
        fillers.into_iter().try_for_each(|filler| filler.join().expect("a filler panicked"))
    })
}
