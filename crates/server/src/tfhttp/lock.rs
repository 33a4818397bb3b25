//! LOCK and UNLOCK: the very object `KEY.tflock` that Terraform's `s3` backend locks with, so that
//! users of both exclude each other.
//!
//! The store decides who gets the lock. What is looked up here only words an answer, but for the
//! lock that a change names: see [`standing`].

use bytes::Bytes;
use serde_json::{Map, Value};
use tidelock_s3::content_md5;
use tidelock_store::{
    BodySource as _, BytesSource, ConditionFailure, DeleteCondition, DeleteObjectError, ETagMatch,
    Enforcement, GetObject, GetObjectError, LockBreaking, LockRelease, ObjectInfo, Origin,
    Principal, PutObject, PutObjectError, ReleaseError, WriteCondition, etag_text,
};
use tidelock_tfstate::{LOCK_BYTES_MAX, Lock, Operation};

use super::error::{TfError, lock_body};
use super::{Answered, Call, done, json_settings};

/// How often LOCK begins anew because the lock it lost to was released before it could be read.
const LOCK_ATTEMPTS_MAX: u32 = 2;

/// The lock object that is stored.
pub(super) struct HeldLock {
    body: Bytes,
    etag: String,
    /// None if the object is no lock.
    pub(super) lock: Option<Lock>,
}

/// How the lock stands that a change says it is made under.
pub(super) enum Standing {
    /// Nothing speaks against the change.
    Clear,
    /// A lock was named that is gone.
    Lost(String),
    /// No lock was named, and one is held.
    Unnamed(HeldLock),
    /// Another lock is held than the one named.
    Another(String, HeldLock),
}

/// Which lock an UNLOCK is about.
#[derive(Debug, PartialEq, Eq)]
enum Released {
    /// The one with this ID.
    Id(String),
    /// Whichever is held: `force-unlock` of Terraform's `http` backend sends no ID at all.
    Any,
}

/// LOCK: 200 with nobody else holding it, 423 with the holder's lock.
pub(super) async fn lock(call: &mut Call) -> Answered {
    let content_md5 = content_md5(&call.headers)?;
    let body = read_lock(call).await?;
    if Lock::parse(&body).is_none() {
        return Err(TfError::not_a_lock());
    }
    let absent = WriteCondition { if_none_match: Some(ETagMatch::Any), if_match: None };
    let settings = json_settings();
    let request = PutObject {
        principal: &call.principal,
        bucket: &call.address.bucket,
        key: &call.address.lock_key,
        condition: &absent,
        settings: &settings,
        content_md5,
        checksum: None,
    };
    for _ in 0..LOCK_ATTEMPTS_MAX {
        let mut source = BytesSource::new(body.clone());
        match call.store.put_object(&request, &mut source).await {
            Ok(_) => return Ok(done()),
            Err(PutObjectError::Condition(ConditionFailure::IfNoneMatch)) => {}
            Err(error) => return Err(error.into()),
        }
        if let Some(held) = find(call).await? {
            return Err(TfError::held(held.into_lock_body()));
        }
    }
    Err(TfError::unsteady())
}

/// UNLOCK: 200 when the lock is gone, whoever took it away: a client whose first answer was lost asks
/// again. Another lock than the named one is left where it is.
pub(super) async fn unlock(call: &mut Call) -> Answered {
    let body = read_lock(call).await?;
    let released = Released::parse(&body).ok_or_else(TfError::not_a_lock)?;
    let Some(held) = find(call).await? else { return Ok(done()) };
    match released {
        Released::Id(id) if !held.has_id(&id) => return Err(TfError::not_the_holder(&id, held)),
        Released::Id(id) => {
            let origin = Origin { lock_id: Some(id), ..(*call.principal.origin).clone() };
            let holder = call.principal.clone().with_origin(origin);
            delete(call, &holder, held).await?;
        }
        Released::Any => break_lock(call, held).await?,
    }
    Ok(done())
}

/// Takes a lock away that its holder may not have given up.
async fn break_lock(call: &Call, held: HeldLock) -> Result<(), TfError> {
    if call.breaking == LockBreaking::Refused {
        // Their own they may.
        return delete(call, &call.principal, held).await;
    }
    let id = held.lock.as_ref().map(|lock| lock.id.as_str());
    let (bucket, key) = (&call.address.bucket, &call.address.key);
    let release = LockRelease { id, reason: "force-unlock" };
    match call.store.release_lock(&call.principal, bucket, key, release).await {
        // Another lock is not the one that was read.
        Ok(_) | Err(ReleaseError::AnotherLock(_)) => Ok(()),
        // The guard knows of no lock: none is held, or it is older than the guard.
        Err(ReleaseError::NotGuarded | ReleaseError::NotLocked) => {
            delete(call, &call.principal, held).await
        }
        Err(ReleaseError::Bucket(error)) => Err(error.into()),
    }
}

/// Deletes the lock object that was read. One that somebody took meanwhile is not the one that was
/// meant, and stays.
async fn delete(call: &Call, principal: &Principal, held: HeldLock) -> Result<(), TfError> {
    let if_match = Some(ETagMatch::OneOf(vec![held.etag]));
    let breaking = call.breaking;
    let read = DeleteCondition { if_match, breaking, ..DeleteCondition::default() };
    let (bucket, lock_key) = (&call.address.bucket, &call.address.lock_key);
    match call.store.delete_object(principal, bucket, lock_key, None, &read).await {
        Ok(_)
        | Err(DeleteObjectError::Condition(
            ConditionFailure::IfMatch | ConditionFailure::NoSuchKey,
        )) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// How the lock stands that `call` names by `?ID=`.
///
/// A lock that changes hands between this look and the change goes unnoticed, but in a bucket with a
/// guard: that one decides within the commit, and keeps what it refuses.
pub(super) async fn standing(call: &Call) -> Result<Standing, TfError> {
    if call.lock_id().is_some() && is_guarded(call).await? {
        return Ok(Standing::Clear);
    }
    let held = find(call).await?;
    Ok(match (call.lock_id(), held) {
        (None, None) => Standing::Clear,
        (Some(id), None) => Standing::Lost(id.to_owned()),
        (None, Some(held)) => Standing::Unnamed(held),
        (Some(id), Some(held)) if held.has_id(id) => Standing::Clear,
        (Some(id), Some(held)) => Standing::Another(id.to_owned(), held),
    })
}

/// Whether the guard asks for the lock.
async fn is_guarded(call: &Call) -> Result<bool, TfError> {
    let bucket = call.store.bucket(&call.principal, &call.address.bucket).await?;
    Ok(bucket.row.guard.is_some_and(|guard| guard.lock_writes == Enforcement::Enforce))
}

/// The body of LOCK or UNLOCK, in one time limit: it is a few hundred bytes.
async fn read_lock(call: &mut Call) -> Result<Bytes, TfError> {
    let reading = call.payload.read_document(LOCK_BYTES_MAX);
    let read = tokio::time::timeout(call.body_timeout, reading).await;
    Ok(read.map_err(|_elapsed| TfError::late_lock())??)
}

/// The lock object that is stored, if there is one.
async fn find(call: &Call) -> Result<Option<HeldLock>, TfError> {
    // One byte more than a lock can have tells that it is none.
    let select = |info: &ObjectInfo| -> Result<_, std::convert::Infallible> {
        Ok(Some(0..info.size.min(LOCK_BYTES_MAX as u64 + 1)))
    };
    let (bucket, lock_key) = (&call.address.bucket, &call.address.lock_key);
    let found = call.store.get_object(&call.principal, bucket, lock_key, None, select).await;
    let GetObject { info, mut reader } = match found {
        Ok(Ok(found)) => found,
        Err(GetObjectError::NoSuchKey { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut body = Vec::new();
    while let Some(bytes) = reader.next().await? {
        body.extend_from_slice(&bytes);
    }
    let lock = Lock::parse(&body);
    Ok(Some(HeldLock { body: body.into(), etag: etag_text(&info.etag), lock }))
}

impl HeldLock {
    fn has_id(&self, id: &str) -> bool {
        self.lock.as_ref().is_some_and(|lock| lock.id == id)
    }

    /// What a client of LOCK is given: the stored bytes, or a remark where it expects a lock.
    pub(super) fn into_lock_body(self) -> Bytes {
        match self.lock {
            Some(_) => self.body,
            None => lock_body(&Lock {
                info: "an object that is not a lock stands in its place; delete it".to_owned(),
                operation: Operation::default(),
                ..Lock::default()
            }),
        }
    }

    /// Who holds it, to end a sentence with.
    pub(super) fn shown(&self) -> String {
        match &self.lock {
            Some(Lock { id, who, operation, created, .. }) => {
                format!(": {who} holds lock {id} since {created} for {operation}")
            }
            None => ": an object that is not a lock stands in its place".to_owned(),
        }
    }
}

impl Released {
    /// None if the body is neither empty nor a document.
    fn parse(body: &[u8]) -> Option<Self> {
        if let Some(lock) = Lock::parse(body) {
            return Some(Self::Id(lock.id));
        }
        if body.trim_ascii().is_empty() {
            return Some(Self::Any);
        }
        let document: Map<String, Value> = serde_json::from_slice(body).ok()?;
        let mut ids = document.iter().filter(|(name, _)| name.eq_ignore_ascii_case("ID"));
        ids.all(|(_, id)| id.is_null() || id == "").then_some(Self::Any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_released() {
        let rows: &[(&str, Option<Released>)] = &[
            (r#"{"ID":"a","Who":"b@c"}"#, Some(Released::Id("a".to_owned()))),
            (r#"{"ID":"a"}"#, Some(Released::Id("a".to_owned()))),
            ("", Some(Released::Any)),
            (" \n", Some(Released::Any)),
            ("{}", Some(Released::Any)),
            (r#"{"ID":"","Operation":""}"#, Some(Released::Any)),
            (r#"{"id":null}"#, Some(Released::Any)),
            (r#"{"ID":7}"#, None),
            (r#"{"ID":"a","Who":7}"#, None),
            ("null", None),
            ("[]", None),
            (r#"{"ID":"a""#, None),
        ];
        for (body, released) in rows {
            assert_eq!(Released::parse(body.as_bytes()), *released, "{body}");
        }
    }
}
