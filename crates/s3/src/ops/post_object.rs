//! PostObject, the upload of a browser's form:
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html>.
//!
//! What is signed is the form's policy. Nothing of the file is read before the signature is verified and
//! the fields are what the policy says.

use std::time::Duration;

use http::{Extensions, HeaderMap, HeaderName, HeaderValue, StatusCode, header, request};
use jiff::Timestamp;
use tidelock_auth::identity::SecretAccessKey;
use tidelock_auth::post::{ContentLengthRange, PostClaim, PostPolicy, PostSignature, claim};
use tidelock_auth::sigv4::{PayloadMode, encode_path, encode_query};
use tidelock_store::{
    BucketName, ObjectKey, ObjectSettings, Principal, Protocol, PutObject, PutObjectError,
    StoredObject, WriteCondition,
};

use super::bucket_lifecycle::write_expiration;
use super::put_object;
use crate::access::{self, Asked, Circumstances, Need, headers_of_anybody};
use crate::authn::{Authenticated, SignatureVersion, Signing, host_of};
use crate::call::{parse_bucket, parse_key};
use crate::encryption::SECRET_HEADERS;
use crate::error::{ErrorCode, S3Error, S3Result};
use crate::form::{Fields, FileBody, Form};
use crate::payload::{Framing, Payload, WireBody};
use crate::query::Query;
use crate::request_id::RequestId;
use crate::response::{self, Response};
use crate::route::{Address, Operation};
use crate::service::{Peer, S3Service};
use crate::tags::{self, Tagged, Tags};
use crate::xml::XmlWriter;
use crate::xml::documents::parse_tagging;
use crate::{checksum, etag, settings};

/// How long the fields may take to arrive: nobody is known before.
const FIELDS_TIMEOUT: Duration = Duration::from_secs(60);
/// Of a form that says nothing of it.
const ANY_SIZE: ContentLengthRange = ContentLengthRange { bytes_min: 0, bytes_max: u64::MAX };
/// The token of the session that signed.
const SESSION_TOKEN_FIELD: &str = "x-amz-security-token";
/// Fields of the signature, which say nothing of the object.
const SIGNATURE_FIELDS: [&str; 5] =
    ["x-amz-algorithm", "x-amz-credential", "x-amz-date", SESSION_TOKEN_FIELD, "x-amz-signature"];

/// A form's upload, once it is known who sends it and that they may send this.
struct Upload {
    principal: Principal,
    bucket: String,
    key: String,
    headers: HeaderMap,
    fields: Fields,
    size: ContentLengthRange,
    signing: Signing,
    /// Where the object is to be seen.
    location: String,
}

/// Answers a form at a bucket.
pub(crate) async fn handle(
    service: &S3Service,
    parts: request::Parts,
    body: WireBody,
    (peer, id, address): (&Peer, &RequestId, Address),
    requester: &mut Option<Principal>,
) -> S3Result<Response> {
    let framing = Framing::Plain { sha256: None };
    let payload = Payload::new(body, framing, None, service.config.body_idle_timeout);
    let mut form = Form::new(payload, &parts.headers)?;
    let opened = open(service, &parts, &mut form, (peer, id, &address), requester).await;
    let answer = match opened {
        Ok(upload) => upload.store(service, peer, &mut form).await,
        Err(error) => Err(error),
    };
    form.drain(&parts.headers).await;
    answer.map_err(|error| match error.code() {
        ErrorCode::NoSuchBucket => {
            error.field("BucketName", address.bucket.as_deref().unwrap_or_default())
        }
        _ => error,
    })
}

/// Reads the fields, and verifies who sends them.
async fn open(
    service: &S3Service,
    parts: &request::Parts,
    form: &mut Form,
    (peer, id, address): (&Peer, &RequestId, &Address),
    requester: &mut Option<Principal>,
) -> S3Result<Upload> {
    let fields = tokio::time::timeout(FIELDS_TIMEOUT, form.fields()).await;
    let mut fields = fields.map_err(|_| S3Error::new(ErrorCode::RequestTimeout))??;
    fields.expand();
    let bucket = address.bucket.clone().unwrap_or_default();
    let mut signing = Signing::default();
    let (principal, size) = match signature_of(&fields)? {
        None => (peer.unproven(Protocol::S3, parts, id.request_id()), ANY_SIZE),
        Some(signature) => {
            *requester = requester.take().map(|sender| sender.claiming(signature.access_key_id()));
            let token = fields.value(SESSION_TOKEN_FIELD);
            let caller = authenticate(service, (&signature, token), &parts.extensions).await?;
            let origin = peer.origin(Protocol::S3, &caller, &parts.headers, id.request_id());
            signing = caller.signing;
            let principal = caller.principal.with_origin(origin);
            *requester = Some(principal.clone());
            (principal, check_policy(service, &signature, &fields, &bucket)?)
        }
    };
    let key = key_of(&fields)?;
    let mut headers = headers_of(&fields)?;
    headers.extend(headers_of_anybody(&parts.headers));
    let scheme = if peer.secure { "https" } else { "http" };
    let host = host_of(&parts.headers, &parts.uri);
    let path = parts.uri.path().trim_end_matches('/');
    let location = format!("{scheme}://{host}{path}/{}", encode_path(&key));
    Ok(Upload { principal, bucket, key, headers, fields, size, signing, location })
}

impl Upload {
    async fn store(
        mut self,
        service: &S3Service,
        peer: &Peer,
        form: &mut Form,
    ) -> S3Result<Response> {
        let (bucket, key) = (parse_bucket(&self.bucket)?, parse_key(&self.key)?);
        let tags = self.fields.value("tagging").map(|it| parse_tagging(it.as_bytes()));
        if tags.is_some() {
            // The document counts, and what it says is what policies see.
            self.headers.remove(settings::TAGGING);
        }
        let found = tags.as_ref().map(|tags| tags.as_deref().unwrap_or_default());
        self.authorize(service, peer, (&bucket, &key), found).await?;
        let settings = self.settings(service, tags.transpose()?).await?;
        let request = PutObject {
            principal: &self.principal,
            bucket: &bucket,
            key: &key,
            condition: &WriteCondition::default(),
            settings: &settings,
            content_md5: checksum::content_md5(&self.headers)?,
            checksum: checksum::request_of(&self.headers)?,
        };
        let ContentLengthRange { bytes_min, bytes_max } = self.size;
        let mut file = FileBody { form, bytes_min, bytes_max, read_bytes: 0 };
        let stored = service.store.put_object(&request, &mut file).await;
        let stored = stored.map_err(|error| match error {
            PutObjectError::BadChecksum => checksum::mismatch_of(&self.headers),
            error => error.into(),
        })?;
        let mut response = self.answer(&stored);
        let subject = stored.lifecycle.as_ref();
        write_expiration(&mut response, &service.store, &key, subject).await;
        Ok(response)
    }

    /// Whoever signed it, the form's sender has to be allowed to write.
    async fn authorize(
        &mut self,
        service: &S3Service,
        peer: &Peer,
        (bucket, key): (&BucketName, &ObjectKey),
        tags: Option<&[(String, String)]>,
    ) -> S3Result<()> {
        let keys = access::keys_of_tags(tags.unwrap_or_default());
        let keys: Vec<_> = keys.iter().map(|(key, it)| (key.as_str(), it.as_str())).collect();
        let tags = tags.map(|_| Need::PUT_OBJECT_TAGGING);
        let besides = access::needs_besides(Operation::PostObject, &self.headers, false);
        let circumstances = Circumstances {
            operation: Some(Operation::PostObject),
            headers: &self.headers,
            query: &Query::default(),
            peer,
            signing: self.signing,
        };
        for need in [Need::PUT_OBJECT].into_iter().chain(besides).chain(tags) {
            let asked = Asked { need, bucket, object: Some((key, None)), more_keys: &keys };
            service.authorizer().grant(&mut self.principal, &asked, &circumstances).await?;
        }
        Ok(())
    }

    async fn settings(&self, service: &S3Service, tags: Option<Tags>) -> S3Result<ObjectSettings> {
        let settings = settings::of_write(service, &self.headers, &self.principal).await?;
        Ok(match tags {
            None => settings,
            Some(tags) => {
                ObjectSettings { tags: tags::validate(tags, Tagged::Object)?, ..settings }
            }
        })
    }

    /// What the form asks for: a page to go to, a status, or nothing.
    fn answer(&self, stored: &StoredObject) -> Response {
        let redirect = self.fields.value("success_action_redirect");
        let redirect = redirect.or_else(|| self.fields.value("redirect"));
        let page = redirect.and_then(|page| self.page(page, stored));
        let mut response = match (&page, self.fields.value("success_action_status")) {
            (Some(_), _) => response::empty(StatusCode::SEE_OTHER),
            (None, Some("200")) => response::empty(StatusCode::OK),
            (None, Some("201")) => response::xml(StatusCode::CREATED, self.document(stored)),
            (None, _) => response::empty(StatusCode::NO_CONTENT),
        };
        put_object::write_stored(&mut response, stored);
        response::set(&mut response, header::LOCATION, page.as_ref().unwrap_or(&self.location));
        response
    }

    /// The page to go to, told what was stored; none if it is no address on the web.
    fn page(&self, page: &str, stored: &StoredObject) -> Option<String> {
        let is_on_the_web = page.starts_with("http://") || page.starts_with("https://");
        let is_plain = page.bytes().all(|byte| byte.is_ascii_graphic());
        let separator = if page.contains('?') { '&' } else { '?' };
        let (bucket, key) = (encode_query(&self.bucket), encode_query(&self.key));
        let etag = encode_query(&etag::quoted(&stored.etag));
        let query = format!("bucket={bucket}&key={key}&etag={etag}");
        (is_on_the_web && is_plain).then(|| format!("{page}{separator}{query}"))
    }

    fn document(&self, stored: &StoredObject) -> String {
        let mut xml = XmlWriter::document();
        xml.element("PostResponse", |xml| {
            xml.text("Location", &self.location);
            xml.text("Bucket", &self.bucket);
            xml.text("Key", &self.key);
            xml.text("ETag", &etag::quoted(&stored.etag));
        });
        xml.finish()
    }
}

/// Who signed a form; none where nobody did.
fn signature_of(fields: &Fields) -> S3Result<Option<PostSignature<'_>>> {
    let missing = |name: &str| {
        let message = format!(
            "Bucket POST must contain a field named '{name}'.  If it is specified, please check the \
             order of the fields."
        );
        S3Error::invalid_argument(message, name, "")
    };
    match claim(|name| fields.value(name)) {
        PostClaim::Signed(signature) => Ok(Some(signature)),
        PostClaim::Anonymous => Ok(None),
        PostClaim::Missing(name) => Err(missing(name)),
        PostClaim::Malformed(name) => Err(S3Error::invalid_argument(
            format!("The form field {name} is malformed."),
            name,
            fields.value(name).unwrap_or_default(),
        )),
    }
}

async fn authenticate(
    service: &S3Service,
    (signature, token): (&PostSignature<'_>, Option<&str>),
    extensions: &Extensions,
) -> S3Result<Authenticated> {
    let access_key_id = signature.access_key_id().to_owned();
    let credentials = service.authenticator().credentials(&access_key_id, token).await?;
    if !signature.is_of(&SecretAccessKey::new(credentials.secret_access_key.as_str())) {
        return Err(S3Error::new(ErrorCode::SignatureDoesNotMatch)
            .field("AWSAccessKeyId", access_key_id)
            .field("StringToSign", signature.policy()));
    }
    service.authenticator().admit(extensions, &access_key_id)?;
    Ok(Authenticated {
        principal: credentials.principal,
        access_key_id,
        service: "s3".to_owned(),
        payload_mode: PayloadMode::Unsigned,
        chunk_signer: None,
        signing: signing_of(signature),
    })
}

fn signing_of(signature: &PostSignature<'_>) -> Signing {
    let version = if signature.is_v2() { SignatureVersion::V2 } else { SignatureVersion::V4 };
    Signing { version, at_ms: signature.signed_at().map(Timestamp::as_millisecond) }
}

/// How large the file may be, if the fields are what their policy says.
fn check_policy(
    service: &S3Service,
    signature: &PostSignature<'_>,
    fields: &Fields,
    bucket: &str,
) -> S3Result<ContentLengthRange> {
    let invalid =
        |message: String| S3Error::with_message(ErrorCode::InvalidPolicyDocument, message);
    let document = signature.document();
    let document =
        document.ok_or_else(|| invalid("Invalid Policy: Invalid Base64 encoding.".to_owned()))?;
    let policy = PostPolicy::parse(&document).map_err(|error| invalid(error.to_string()))?;
    let now = Timestamp::from_millisecond(service.clock.now()).unwrap_or(Timestamp::MAX);
    policy.check(&fields.fields, bucket, now).map_err(|violation| {
        S3Error::with_message(ErrorCode::AccessDenied, violation.to_string())
    })?;
    Ok(policy.content_length().unwrap_or(ANY_SIZE))
}

fn key_of(fields: &Fields) -> S3Result<String> {
    let missing = "Bucket POST must contain a field named 'key'.  If it is specified, please check the \
                   order of the fields.";
    let key = fields.value("key").filter(|key| !key.is_empty());
    key.map(str::to_owned).ok_or_else(|| S3Error::invalid_argument(missing, "key", ""))
}

/// The fields that are headers of a PutObject, as such.
fn headers_of(fields: &Fields) -> S3Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (field, value) in &fields.fields {
        let name = match field.as_str() {
            "acl" => "x-amz-acl",
            "content-md5" => "content-md5",
            name if settings::SYSTEM_HEADERS.iter().any(|header| header == name) => name,
            name if name.starts_with("x-amz-") && !SIGNATURE_FIELDS.contains(&name) => name,
            _ => continue,
        };
        let shown = if SECRET_HEADERS.contains(&name) { "" } else { value };
        let malformed = || S3Error::invalid_argument("The form field is malformed.", name, shown);
        let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| malformed())?;
        let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| malformed())?;
        headers.insert(header, value);
    }
    Ok(headers)
}
