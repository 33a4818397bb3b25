//! GET, HEAD, POST and DELETE: the state itself, the same object as in S3.
//!
//! Knows nothing of what a state says.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue, header};
use tidelock_s3::{ResponseBody, content_md5};
use tidelock_store::{
    DeleteCondition, GetObject, ObjectInfo, PutObject, WriteCondition, etag_text,
};

use super::error::TfError;
use super::lock::{Standing, standing};
use super::{Answered, Call, JSON, done, json_settings};

const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");

/// GET: the state, 404 where there is none.
pub(super) async fn get(call: &mut Call) -> Answered {
    let select = |_: &ObjectInfo| -> Result<_, std::convert::Infallible> { Ok(None) };
    let (bucket, key) = (&call.address.bucket, &call.address.key);
    let found = call.store.get_object(&call.principal, bucket, key, None, select).await?;
    let Ok(GetObject { info, reader }) = found;
    let mut response = described(&info);
    *response.body_mut() = ResponseBody::of_reader(reader, info.size);
    Ok(response)
}

/// HEAD: what GET would answer, without the state.
pub(super) async fn head(call: &mut Call) -> Answered {
    let (bucket, key) = (&call.address.bucket, &call.address.key);
    let (store, principal) = (&call.store, &call.principal);
    let info = store.head_object_with_key(principal, bucket, key, None, None).await?;
    let mut response = described(&info);
    *response.body_mut() = ResponseBody::omitted();
    response.headers_mut().insert(header::CONTENT_LENGTH, info.size.into());
    Ok(response)
}

/// POST: a new state, under the lock that is held or under none.
pub(super) async fn put(call: &mut Call) -> Answered {
    let content_md5 = content_md5(&call.headers)?;
    match standing(call).await? {
        Standing::Clear => {}
        Standing::Lost(id) => return Err(TfError::lock_lost(&id)),
        Standing::Unnamed(held) => return Err(TfError::locked(held)),
        Standing::Another(id, held) => return Err(TfError::not_the_holder(&id, held)),
    }
    let settings = json_settings();
    let request = PutObject {
        principal: &call.principal,
        bucket: &call.address.bucket,
        key: &call.address.key,
        condition: &WriteCondition::default(),
        settings: &settings,
        content_md5,
        checksum: None,
    };
    call.store.put_object(&request, &mut call.payload).await?;
    Ok(done())
}

/// DELETE: no state, unless somebody else holds its lock.
pub(super) async fn delete(call: &mut Call) -> Answered {
    match standing(call).await? {
        Standing::Clear => {}
        Standing::Lost(id) => return Err(TfError::lock_lost(&id)),
        Standing::Unnamed(held) | Standing::Another(_, held) => return Err(TfError::locked(held)),
    }
    let (bucket, key) = (&call.address.bucket, &call.address.key);
    let always = DeleteCondition::default();
    call.store.delete_object(&call.principal, bucket, key, None, &always).await?;
    Ok(done())
}

/// The headers of a state. Terraform checks `Content-MD5` where it is sent; the entity tag of a
/// multipart upload is no MD5 of it.
fn described(info: &ObjectInfo) -> http::Response<ResponseBody> {
    let mut response = done();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
    if let Ok(etag) = HeaderValue::from_str(&format!("\"{}\"", etag_text(&info.etag))) {
        headers.insert(header::ETAG, etag);
    }
    if info.etag.parts.is_none()
        && let Ok(md5) = HeaderValue::from_str(&STANDARD.encode(info.etag.md5))
    {
        headers.insert(CONTENT_MD5, md5);
    }
    response
}
