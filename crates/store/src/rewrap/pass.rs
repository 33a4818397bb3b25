//! A page of a run: rows in order, those that need it re-wrapped a few in each commit.
//!
//! What a scan has read only says where to look. Each commit reads its rows again, and lands only if
//! none of them has changed since: whoever writes meanwhile loses nothing, and a row that is gone is left.
//! A run that was broken off goes on from its cursor, or from the start: what was done is done.

use tidelock_meta::record::audit_chain;
use tidelock_meta::record::bucket::{BucketRow, DefaultEncryption};
use tidelock_meta::record::controls::ServerSideEncryption;
use tidelock_meta::record::store::{self, StoreRow};
use tidelock_meta::{Batch, Key, OpId, Versioned, successor_of_key};

use super::row::{SealedRow, Wrapping};
use super::stage::Stage;
use super::{Rewrap, RewrapCursor, RewrapError, RewrapMode, RewrapPage};
use crate::Store;
use crate::audit::{AuditEvent, chain_of};
use crate::commit::{Plan, View};
use crate::encryption::{bound, named_key, renamed_key};
use crate::error::StorageError;
use crate::identity::Principal;
use crate::keyring::{self, KeyringError};

/// Rows that a page looks at.
const PAGE_ROWS: usize = 1000;
/// Rows of one step of a page; the largest have 48 KiB.
const STEP_ROWS: usize = 100;
/// Rows of one commit: each is a check and a write of it.
const COMMIT_ROWS_MAX: usize = 40;
/// Bytes of rows after which a commit takes no further one.
const COMMIT_BYTES_MAX: usize = 192 << 10;

impl Store {
    /// Re-wraps a page of rows under the keyring's first key; ask again with its `next` until there is
    /// none. The audit log is told of each page.
    ///
    /// # Errors
    ///
    /// [`RewrapError`]; what was re-wrapped until then stays so.
    pub async fn rewrap_keys(
        &self,
        principal: &Principal,
        asked: &Rewrap,
    ) -> Result<RewrapPage, RewrapError> {
        if !principal.is_root {
            return Err(RewrapError::AccessDenied);
        }
        if let Some(name) = asked.kms_keys.iter().find(|name| !self.keyring.has(name)) {
            return Err(RewrapError::NoSuchKey(name.clone()));
        }
        self.check_is_newest().await?;
        let page = self.rewrap_page(asked).await?;
        self.note(principal, &told(asked.mode, &page));
        Ok(page)
    }

    /// A server whose first key is no longer the store's would undo what others have done.
    async fn check_is_newest(&self) -> Result<(), RewrapError> {
        let Some(seen) = self.rows.latest().value(store::key()).await? else { return Ok(()) };
        let row = StoreRow::decode(&seen).map_err(StorageError::from)?;
        let here = self.keyring.active();
        match row.keys.last() {
            Some(newest) if newest.name != here => {
                Err(RewrapError::Outdated { here: here.to_owned(), newest: newest.name.clone() })
            }
            Some(_) | None => Ok(()),
        }
    }

    async fn rewrap_page(&self, asked: &Rewrap) -> Result<RewrapPage, StorageError> {
        let current = self.keyring.active().to_owned();
        let mut page = RewrapPage { current, ..RewrapPage::default() };
        let start = RewrapCursor { stage: Stage::Buckets, from: Key::new() };
        let mut cursor = asked.after.clone().unwrap_or(start);
        let mut looked_at = 0;
        while looked_at < PAGE_ROWS {
            let rest = cursor.stage.range().starting_at(cursor.from.clone());
            let rows = match rest.is_empty() {
                true => Vec::new(),
                false => self.rows.latest().scan(rest, STEP_ROWS).await?,
            };
            looked_at += rows.len();
            match rows.last() {
                Some((last, _)) => cursor.from = successor_of_key(last),
                None => match cursor.stage.next() {
                    Some(stage) => cursor = RewrapCursor { stage, from: Key::new() },
                    None => return Ok(page),
                },
            }
            page.add(self.rewrap_step(cursor.stage, rows, asked).await?);
        }
        page.next = Some(cursor);
        Ok(page)
    }

    /// Counts the rows that stay, and re-wraps the others.
    async fn rewrap_step(
        &self,
        stage: Stage,
        rows: Vec<(Key, Versioned)>,
        asked: &Rewrap,
    ) -> Result<RewrapPage, StorageError> {
        let mut done = RewrapPage::default();
        let (mut due, mut due_bytes) = (Vec::new(), 0);
        for (key, seen) in rows {
            let mut looked_at = RewrapPage::default();
            let changed = self.rewrap_row(stage, (&key, &seen), asked, &mut looked_at);
            if changed.is_none() || asked.mode == RewrapMode::DryRun {
                done.add(looked_at);
                continue;
            }
            due_bytes += seen.value.len();
            due.push(key);
            if due.len() >= COMMIT_ROWS_MAX || due_bytes >= COMMIT_BYTES_MAX {
                done.add(self.rewrap_rows(stage, &due, asked).await?);
                (due, due_bytes) = (Vec::new(), 0);
            }
        }
        if !due.is_empty() {
            done.add(self.rewrap_rows(stage, &due, asked).await?);
        }
        Ok(done)
    }

    async fn rewrap_rows(
        &self,
        stage: Stage,
        rows: &[Key],
        asked: &Rewrap,
    ) -> Result<RewrapPage, StorageError> {
        let op_id = OpId(self.random());
        let mut keys = rows.to_vec();
        if stage == Stage::AuditSegments {
            keys.push(audit_chain::key());
        }
        self.update(&keys, |view| {
            let mut done = RewrapPage::default();
            let mut batch = Batch::new(op_id);
            let mut grown = 0;
            for (key, seen) in rows.iter().zip(&view.rows) {
                let Some(seen) = seen else { continue };
                let row = self.rewrap_row(stage, (key, seen), asked, &mut done);
                let Some(value) = row.map(|row| row.encode()) else { continue };
                grown += value.len() as i64 - seen.value.len() as i64;
                batch.expect(key.clone(), Some(seen));
                // Its nonce is new: the first one tells whether a lost commit landed.
                batch.put(key.clone(), value);
            }
            if batch.writes.is_empty() {
                return Ok(Plan::Answer(done));
            }
            if stage == Stage::AuditSegments && grown != 0 {
                count_grown_segments(&mut batch, view, grown)?;
            }
            Ok(Plan::Commit(batch, done))
        })
        .await
    }

    /// The row re-wrapped; none if nothing in it changes. Counts what is in it then.
    fn rewrap_row(
        &self,
        stage: Stage,
        (key, seen): (&Key, &Versioned),
        asked: &Rewrap,
        done: &mut RewrapPage,
    ) -> Option<SealedRow> {
        let mut row = match SealedRow::decode(stage, key, &seen.value) {
            Ok(row) => row,
            Err(error) => {
                tracing::error!(row = %hex::encode(key), %error, "a row cannot be re-wrapped");
                done.damaged += 1;
                return None;
            }
        };
        if let SealedRow::Bucket(row) = &row {
            self.count_default(row, done);
            return None;
        }
        let mut changed = false;
        for wrapping in row.wrappings() {
            changed |= self.rewrap(wrapping, asked, done);
        }
        changed.then_some(row)
    }

    fn count_default(&self, row: &BucketRow, done: &mut RewrapPage) {
        if let Some(DefaultEncryption::Kms { key: Some(key), .. }) = &row.encryption {
            let name = named_key(key).unwrap_or_else(|| self.keyring.active());
            done.of_key(name).defaults += 1;
        }
    }

    /// Whether the wrapping is another one now.
    fn rewrap(&self, wrapping: Wrapping<'_>, asked: &Rewrap, done: &mut RewrapPage) -> bool {
        let Wrapping { sealed, place, encryption } = wrapping;
        let Some(name) = keyring::name_of(sealed) else {
            done.damaged += 1;
            return false;
        };
        let current = self.keyring.active();
        let is_kms = matches!(encryption, Some(ServerSideEncryption::Kms { .. }));
        let is_asked = !is_kms || asked.kms_keys.contains(&name);
        let place = match &encryption {
            Some(encryption) => bound(encryption, &place),
            None => place.as_slice().into(),
        };
        let opened = match name == current || !is_asked {
            true => None,
            false => Some(self.keyring.unwrap(sealed, &place)),
        };
        let secret = match opened {
            Some(Ok(secret)) => secret,
            stays => {
                let used = done.of_key(&name);
                used.wrapped += 1;
                used.kms += u64::from(is_kms);
                done.already += u64::from(name == current);
                let is_damaged = matches!(stays, Some(Err(KeyringError::DoesNotOpen)));
                done.damaged += u64::from(is_damaged);
                return false;
            }
        };
        *sealed = self.keyring.wrap(&secret, &place, &*self.entropy);
        if let Some(ServerSideEncryption::Kms { key, .. }) = encryption {
            *key = renamed_key(key, current);
        }
        let used = done.of_key(current);
        used.wrapped += 1;
        used.kms += u64::from(is_kms);
        done.rewrapped += 1;
        true
    }
}

/// Adds to `batch` that segments have another length: names of keys do.
fn count_grown_segments(batch: &mut Batch, view: &View, grown: i64) -> Result<(), StorageError> {
    let seen = view.rows.last().and_then(Option::as_ref);
    let mut chain = chain_of(seen)?;
    chain.bytes_kept = chain.bytes_kept.saturating_add_signed(grown);
    batch.expect(audit_chain::key(), seen);
    batch.put(audit_chain::key(), chain.encode());
    Ok(())
}

fn told(mode: RewrapMode, page: &RewrapPage) -> AuditEvent {
    let RewrapPage { rewrapped, already, damaged, .. } = page;
    let what = match mode {
        RewrapMode::Real => "re-wrapped",
        RewrapMode::DryRun => "to re-wrap",
    };
    let end = if page.next.is_some() { "; goes on" } else { "; to the end" };
    AuditEvent {
        message: format!("{rewrapped} {what}, {already} as they should be, {damaged} damaged{end}"),
        ..AuditEvent::new("RewrapKeys").subject(page.current.as_str())
    }
}
