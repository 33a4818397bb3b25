//! The lane proves itself: over a store whose engine checks first and writes later, every cell of the
//! lane must see a violation; over the same store on a right engine, none. Both run in this process.

use std::sync::Arc;
use std::thread;

use tempfile::TempDir;
use tidelock_blob::memory::MemoryBlobStore;
use tidelock_meta::MetaStore;
use tidelock_meta::conformance::CheckThenAct;
use tidelock_meta::memory::MemoryStore;
use tidelock_server::{Config, Engines, ServeArgs, Server, Surroundings};
use tidelock_store::Keyring;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use crate::counter;
use crate::harness::server::{ROOT_ACCESS_KEY, ROOT_SECRET_KEY};
use crate::harness::sigv4::Keys;
use crate::harness::{Ask, Client};
use crate::round::{Cell, Condition, Operation, Versioning};
use crate::violations;

/// A broken engine that is not caught in this many rounds would not be caught.
const ROUNDS_MAX: usize = 40;
const ROUNDS_OF_THE_RIGHT_ENGINE: usize = 2;
const WORKERS: usize = 4;

/// A server of this process over an engine of the test's choice.
struct InProcess {
    client: Client,
    stop: Option<oneshot::Sender<()>>,
    running: Option<thread::JoinHandle<()>>,
    _data: TempDir,
}

impl InProcess {
    fn over(meta: Arc<dyn MetaStore>) -> Self {
        let data = TempDir::new().unwrap();
        let args = ServeArgs {
            data: Some(data.path().to_owned()),
            listen: Some("127.0.0.1:0".parse().unwrap()),
            root_access_key: Some(ROOT_ACCESS_KEY.to_owned()),
            root_secret_key: Some(ROOT_SECRET_KEY.to_owned()),
            ..ServeArgs::default()
        };
        let config = Config::resolve(args, &|_| None).unwrap();
        let around = Surroundings::of_machine();
        let keyring = Keyring::parse(&Keyring::generate("1", &*around.entropy)).unwrap();
        let engines = Engines::over(meta, Arc::new(MemoryBlobStore::new()), keyring);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .enable_all()
            .build()
            .unwrap();
        let server = runtime.block_on(Server::bind_over(config, around, engines)).unwrap();
        let client = Client::new(server.local_addr(), Keys::new(ROOT_ACCESS_KEY, ROOT_SECRET_KEY));
        let (stop, stopped) = oneshot::channel();
        let running = thread::spawn(move || run(&runtime, server, stopped));
        Self { client, stop: Some(stop), running: Some(running), _data: data }
    }
}

impl Drop for InProcess {
    fn drop(&mut self) {
        // Dropping the sender ends the wait too.
        drop(self.stop.take());
        if let Some(running) = self.running.take() {
            drop(running.join());
        }
    }
}

fn run(runtime: &Runtime, server: Server, stopped: oneshot::Receiver<()>) {
    let shutdown = async move { drop(stopped.await) };
    runtime.block_on(server.run(shutdown)).unwrap();
}

fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for operation in [
        Operation::Put,
        Operation::Complete,
        Operation::Copy,
        Operation::Delete,
        Operation::PutAndComplete,
    ] {
        for versioning in [Versioning::Unversioned, Versioning::Versioned, Versioning::Suspended] {
            for condition in [Condition::IfNoneMatch, Condition::IfMatch] {
                if operation != Operation::Delete || condition == Condition::IfMatch {
                    cells.push(Cell { operation, versioning, condition });
                }
            }
        }
    }
    cells
}

#[test]
fn a_check_then_act_engine_is_caught_in_every_cell() {
    let mut missed = Vec::new();
    for cell in cells() {
        let server = InProcess::over(Arc::new(CheckThenAct::new(MemoryStore::new())));
        let caught = (0..ROUNDS_MAX / ROUNDS_OF_THE_RIGHT_ENGINE).any(|attempt| {
            let clients = std::slice::from_ref(&server.client);
            !violations(clients, cell, attempt, ROUNDS_OF_THE_RIGHT_ENGINE).is_empty()
        });
        if !caught {
            missed.push(format!("{cell:?}"));
        }
    }
    assert!(missed.is_empty(), "a broken engine passes in:\n{}", missed.join("\n"));
}

#[test]
fn a_right_engine_passes_in_every_cell() {
    for cell in cells() {
        let server = InProcess::over(Arc::new(MemoryStore::new()));
        let seen =
            violations(std::slice::from_ref(&server.client), cell, 0, ROUNDS_OF_THE_RIGHT_ENGINE);
        assert!(seen.is_empty(), "{cell:?}:\n{}", seen.join("\n"));
    }
}

#[test]
fn a_check_then_act_engine_loses_increments() {
    let server = InProcess::over(Arc::new(CheckThenAct::new(MemoryStore::new())));
    server.client.send(&Ask::bucket("PUT", "counted")).expect(200);
    let (acknowledged, value) = counter::count(&server.client, "counted", 10);
    assert!(value < acknowledged, "nothing was lost: {value} of {acknowledged}");
}
