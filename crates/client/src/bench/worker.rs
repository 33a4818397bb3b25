//! One client: sends operations over its connection, and holds every answer against what it must be.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use super::content::{Comparison, Content, Difference};
use super::request::{Expected, Request};
use super::tally::Fault;
use super::wire::{AnswerHead, Connection, WireError};
use crate::ServiceError;

/// Bytes of an error's document that are read for its code.
const ERROR_BYTES_MAX: usize = 64 << 10;
/// Bytes of a page of keys, at most.
const PAGE_BYTES_MAX: usize = 16 << 20;
/// Pause of a client that got no answer, so that an endpoint which is gone costs no processor.
const NO_ANSWER_PAUSE: Duration = Duration::from_millis(20);

/// A client.
#[derive(Debug)]
pub(super) struct Worker {
    connection: Connection,
    /// What was last stored under each key; none where nobody knows.
    latest: Vec<Option<Arc<Content>>>,
    page: Vec<u8>,
}

/// An answer that is not a success.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: u16,
    /// S3's code.
    pub(super) code: String,
}

impl Worker {
    /// A client that has stored nothing, with so many keys.
    pub(super) fn new(connection: Connection, slots: usize) -> Self {
        Self { connection, latest: vec![None; slots], page: Vec::new() }
    }

    /// Connects.
    pub(super) fn open(&mut self) -> Result<(), WireError> {
        self.connection.open()
    }

    /// Does all of an operation, also after a fault: a lock that could not be read is still given back.
    /// The bytes of its bodies, or the first fault.
    pub(super) fn perform(&mut self, operation: &[Request]) -> Result<u64, Fault> {
        let mut outcome = Ok(0);
        for request in operation {
            let done = self.ask(request);
            outcome = match (outcome, done) {
                (Ok(so_far), Ok(bytes)) => Ok(so_far + bytes),
                (Err(first), _) | (Ok(_), Err(first)) => Err(first),
            };
        }
        outcome
    }

    /// Sends the request, and reads and checks the answer.
    fn ask(&mut self, request: &Request) -> Result<u64, Fault> {
        let checked = self.send(request).and_then(|()| self.receive(request));
        if checked.is_err() {
            self.forget(request);
            if !self.connection.is_open() {
                std::thread::sleep(NO_ANSWER_PAUSE);
            }
        }
        checked
    }

    /// Sends the request.
    pub(super) fn send(&mut self, request: &Request) -> Result<(), Fault> {
        Ok(self.connection.send(&request.head, request.body.as_deref())?)
    }

    /// Reads and checks the answer to the request that was sent.
    pub(super) fn receive(&mut self, request: &Request) -> Result<u64, Fault> {
        let head = self.connection.read_head()?;
        if !(200..300).contains(&head.status) {
            return Err(self.refusal(&head)?.into_fault());
        }
        match &request.expected {
            Expected::Stored(slot) => self.stored(&head, *slot, request.body.as_ref()),
            Expected::Body(slot) => self.body(&head, *slot),
            Expected::Page(page) => {
                self.collect(&head, PAGE_BYTES_MAX)?;
                page.check(&self.page)?;
                Ok(self.page.len() as u64)
            }
            Expected::Deleted(slot) => {
                self.collect(&head, ERROR_BYTES_MAX)?;
                self.remember(*slot, None);
                Ok(0)
            }
        }
    }

    /// Whether a conditional PUT has won; refused by its condition is no fault.
    pub(super) fn receive_conditional(&mut self, request: &Request) -> Result<bool, Fault> {
        let head = self.connection.read_head()?;
        if head.status == 200 {
            let Expected::Stored(slot) = request.expected else { return Ok(true) };
            return self.stored(&head, slot, request.body.as_ref()).map(|_| true);
        }
        let refusal = self.refusal(&head)?;
        match (refusal.status, refusal.code.as_str()) {
            (412, _) | (409, "ConditionalRequestConflict") => Ok(false),
            _ => Err(refusal.into_fault()),
        }
    }

    /// What will be read from now on.
    pub(super) fn remember(&mut self, slot: usize, content: Option<Arc<Content>>) {
        if let Some(latest) = self.latest.get_mut(slot) {
            *latest = content;
        }
    }

    fn stored(
        &mut self,
        head: &AnswerHead,
        slot: usize,
        body: Option<&Arc<Content>>,
    ) -> Result<u64, Fault> {
        self.collect(head, ERROR_BYTES_MAX)?;
        self.remember(slot, body.map(Arc::clone));
        let Some(body) = body else { return Ok(0) };
        match head.etag.as_deref() {
            Some(etag) if head.has_foreign_key || etag.eq_ignore_ascii_case(body.md5()) => {
                Ok(body.size() as u64)
            }
            Some(etag) => Err(Fault::new("WrongETag", format!("{etag} instead of {}", body.md5()))),
            None => Err(Fault::new("NoETag", "a PUT was answered without an ETag")),
        }
    }

    fn body(&mut self, head: &AnswerHead, slot: usize) -> Result<u64, Fault> {
        let Some(expected) = self.latest.get(slot).cloned().flatten() else {
            // A PUT failed: either body is right.
            let mut bytes = 0;
            self.connection.read_body(head, &mut |piece| bytes += piece.len() as u64)?;
            return Ok(bytes);
        };
        let mut comparison = Comparison::with(&expected);
        self.connection.read_body(head, &mut |piece| comparison.pass(piece))?;
        let seen = || format!("of {:?}", expected.origin());
        match comparison.end() {
            Ok(()) => Ok(expected.size() as u64),
            Err(Difference::Stale) => Err(Fault::new("StaleBody", seen())),
            Err(Difference::Wrong) => Err(Fault::new("WrongBody", seen())),
            Err(Difference::Short) => Err(Fault::new("ShortBody", seen())),
        }
    }

    fn refusal(&mut self, head: &AnswerHead) -> Result<Refusal, Fault> {
        self.collect(head, ERROR_BYTES_MAX)?;
        let status = StatusCode::from_u16(head.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let code = ServiceError::decode(status, None, &self.page).code;
        Ok(Refusal { status: head.status, code })
    }

    /// Reads the body into `page`, the first `most` bytes of it.
    fn collect(&mut self, head: &AnswerHead, most: usize) -> Result<(), Fault> {
        let page = &mut self.page;
        page.clear();
        self.connection.read_body(head, &mut |piece| {
            let room = most.saturating_sub(page.len()).min(piece.len());
            page.extend_from_slice(&piece[..room]);
        })?;
        Ok(())
    }

    /// Nobody knows what a request that failed has done.
    fn forget(&mut self, request: &Request) {
        match request.expected {
            Expected::Stored(slot) | Expected::Deleted(slot) => self.remember(slot, None),
            Expected::Body(_) | Expected::Page(_) => {}
        }
    }
}

impl Refusal {
    fn into_fault(self) -> Fault {
        Fault::new(&format!("{} {}", self.status, self.code), "")
    }
}
