//! Many clients that put objects at once.

use std::sync::{Arc, Barrier};
use std::thread;

use super::ask::Ask;
use super::chance::body;
use super::client::Client;

/// What is put.
#[derive(Clone, Copy, Debug)]
pub struct Puts {
    pub bucket: &'static str,
    pub clients: usize,
    /// Objects of each client.
    pub each: usize,
    pub length_bytes: usize,
}

impl Puts {
    pub fn count(&self) -> usize {
        self.clients * self.each
    }

    /// Puts all of them, signed ahead of time, as fast as each client is answered.
    pub fn send(&self, root: &Client) {
        let (puts, barrier) = (*self, Arc::new(Barrier::new(self.clients)));
        let clients: Vec<_> = (0..self.clients)
            .map(|client| {
                let (mut session, barrier) = (root.session(), Arc::clone(&barrier));
                thread::spawn(move || {
                    let wire = |put| {
                        let seed = (client * puts.each + put) as u64;
                        let key = format!("{client}/{put}");
                        let ask = Ask::object("PUT", puts.bucket, &key);
                        session.client.wire(&ask.body(body(seed, puts.length_bytes)))
                    };
                    let wires: Vec<Vec<u8>> = (0..puts.each).map(wire).collect();
                    session.open().unwrap();
                    barrier.wait();
                    for wire in wires {
                        session.try_send_wire(&wire, false).unwrap().expect(200);
                    }
                })
            })
            .collect();
        for client in clients {
            client.join().unwrap();
        }
    }
}
