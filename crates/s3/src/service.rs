//! One request from end to end: route, authenticate, run the operation, dress the answer.
//!
//! Nothing of the body is read before the signature of the head is verified, so a client that sent
//! `Expect: 100-continue` is refused before it sends anything.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, header, request};
use http_body::Body;
use http_body_util::BodyExt as _;
use tidelock_store::{
    ACCOUNT_ID, Conversation, Origin, Principal, Protocol, Store, SystemEntropy, call_id,
    user_agent,
};

use crate::Clock;
use crate::access::{Authorizer, SIGNATURE_PARAMETER};
use crate::authn::{Authenticated, Authenticator, claimed_key, host_of};
use crate::call::Call;
use crate::config::S3Config;
use crate::cors::CorsCache;
use crate::date::DateHeader;
use crate::error::{ErrorCode, S3Error, S3Result};
use crate::ops;
use crate::payload::{self, Payload, WireBody};
use crate::query::Query;
use crate::query_api;
use crate::request_id::RequestId;
use crate::response::{Response, StreamError};
use crate::route::{Address, Operation, Scope, TAGS_PATH};
use crate::settings::METADATA_PREFIX;
use crate::web_identity::{NoWebIdentities, WebIdentities};

const S3: &[&str] = &["s3"];
const SERVER: &str = "Tidelock";
/// What a request to S3 Control names its account in, and no other request has.
const CONTROL_ACCOUNT: HeaderName = HeaderName::from_static("x-amz-account-id");
const SDK_REQUEST: HeaderName = HeaderName::from_static("amz-sdk-request");
const SDK_CALL: HeaderName = HeaderName::from_static("amz-sdk-invocation-id");
/// Headers that count in the query of a presigned URL, too.
const HEEDED_IN_QUERY: [&str; 6] = [
    "if-match",
    "if-none-match",
    "if-modified-since",
    "if-unmodified-since",
    "x-amz-acl",
    "x-amz-expected-bucket-owner",
];
pub(crate) const COPY_SOURCE: HeaderName = HeaderName::from_static("x-amz-copy-source");
pub(crate) const BUCKET_REGION: HeaderName = HeaderName::from_static("x-amz-bucket-region");

/// Who is at the other end of the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// Whether the connection is encrypted.
    pub secure: bool,
    /// What was said on it before.
    pub conversation: Arc<Conversation>,
}

impl Peer {
    /// Where a request on this connection comes from.
    pub fn origin(
        &self,
        protocol: Protocol,
        caller: &Authenticated,
        headers: &HeaderMap,
        request_id: &str,
    ) -> Origin {
        self.origin_of(protocol, caller.access_key_id.clone(), headers, request_id)
    }

    /// Whoever sent a request on this connection that proves nothing.
    pub fn unproven(
        &self,
        protocol: Protocol,
        parts: &request::Parts,
        request_id: &str,
    ) -> Principal {
        let claimed = claimed_key(parts);
        Principal::unproven(self.origin_of(protocol, claimed, &parts.headers, request_id))
    }

    fn origin_of(
        &self,
        protocol: Protocol,
        access_key_id: String,
        headers: &HeaderMap,
        request_id: &str,
    ) -> Origin {
        let agent = headers.get(header::USER_AGENT).map(HeaderValue::as_bytes).unwrap_or_default();
        Origin {
            request_id: request_id.to_owned(),
            access_key_id,
            address: address_text(self.address.ip().to_canonical()),
            user_agent: user_agent(&String::from_utf8_lossy(agent)),
            protocol,
            attempt: sdk_attempt(headers),
            call: headers.get(SDK_CALL).map(|name| call_id(name.as_bytes())),
            lock_id: None,
            conversation: self.conversation.clone(),
            ..Origin::default()
        }
    }
}

/// Who sent a request, proven or not: among the extensions of its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requester(pub Principal);

/// The S3 protocol over a store.
pub struct S3Service {
    pub(crate) store: Arc<Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) config: S3Config,
    pub(crate) cors: CorsCache,
    pub(crate) identities: Arc<dyn WebIdentities>,
    authenticator: Arc<Authenticator>,
    authorizer: Arc<Authorizer>,
    random: SystemEntropy,
    date: DateHeader,
}

impl S3Service {
    /// A service over `store`. Does no I/O.
    pub fn new(store: Arc<Store>, clock: Arc<dyn Clock>, config: S3Config) -> Self {
        let authorizer = Arc::new(Authorizer::new(Arc::clone(&store), Arc::clone(&clock)));
        let authenticator = Authenticator::new(Arc::clone(&store), Arc::clone(&clock));
        let authenticator = Arc::new(authenticator.taking_v2(config.allow_signature_v2));
        Self {
            store,
            clock,
            config: config.normalized(),
            authenticator,
            authorizer,
            cors: CorsCache::default(),
            identities: Arc::new(NoWebIdentities),
            random: SystemEntropy::new(),
            date: DateHeader::default(),
        }
    }

    /// The same, which takes ID tokens of these providers.
    #[must_use]
    pub fn with_identities(self, identities: Arc<dyn WebIdentities>) -> Self {
        Self { identities, ..self }
    }

    /// What verifies signatures, for the other protocols on the same listener.
    pub fn authenticator(&self) -> Arc<Authenticator> {
        Arc::clone(&self.authenticator)
    }

    /// What decides who may do what, for the other protocols on the same listener.
    pub fn authorizer(&self) -> Arc<Authorizer> {
        Arc::clone(&self.authorizer)
    }

    /// Answers one request.
    ///
    /// The answer's extensions hold the [`Operation`], if one was recognised, the [`RequestId`], the
    /// [`Requester`], and the [`ErrorCode`] of a refusal.
    pub async fn handle<B>(&self, request: Request<B>, peer: Peer) -> Response
    where
        B: Body<Data = Bytes> + Send + Sync + 'static,
        B::Error: Into<StreamError>,
    {
        let id = RequestId::generate(&self.random);
        let (parts, body) = request.into_parts();
        let body = body.map_err(Into::into).boxed();
        let method = parts.method.clone();
        let mut requester = None;
        let mut response = match self.route(&parts) {
            Err(error) => {
                requester = Some(peer.unproven(Protocol::S3, &parts, id.request_id()));
                match control_account(&parts) {
                    Some(_) => error.into_control_response(&id),
                    None => error.into_response(&method, parts.uri.path(), &id),
                }
            }
            Ok((routed, address)) => {
                let operation = routed.operation;
                let bucket = address.bucket.as_deref();
                let cors = self.cors_headers(&parts, operation, bucket).await;
                let is_opened = operation == Operation::GetObject && may_be_opened(&parts);
                let about = (routed, &address);
                let result = self.run(parts, body, peer, about, &id, &mut requester).await;
                let mut response = result.unwrap_or_else(|error| {
                    log_failure(operation, &id, &error);
                    match address.scope() {
                        Scope::Tags => error.into_control_response(&id),
                        _ => error.into_response(&method, &address.resource(), &id),
                    }
                });
                if response.extensions().get::<Operation>().is_none() {
                    response.extensions_mut().insert(operation);
                }
                response.headers_mut().extend(cors);
                if is_opened {
                    let sandbox = HeaderValue::from_static("sandbox");
                    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, sandbox);
                }
                response
            }
        };
        if let Some(requester) = requester {
            response.extensions_mut().insert(Requester(requester));
        }
        self.dress(&mut response, id);
        response
    }

    /// The answer to a request that the service was not asked about: there are too many, or it broke.
    pub fn refuse(&self, code: ErrorCode, method: &http::Method, path: &str) -> Response {
        let id = RequestId::generate(&self.random);
        let mut response = S3Error::new(code).into_response(method, path, &id);
        self.dress(&mut response, id);
        response
    }

    fn route(&self, parts: &request::Parts) -> S3Result<(Routed, Address)> {
        let query = Query::parse(parts.uri.query().unwrap_or_default())?;
        let host = host_of(&parts.headers, &parts.uri);
        let address = match control_account(parts) {
            Some(account) if account != ACCOUNT_ID.as_bytes() => {
                return Err(S3Error::new(ErrorCode::AccessDenied));
            }
            Some(_) => Address::of_tags(parts.uri.path())?,
            None => Address::parse(host, parts.uri.path(), &self.config.domains)?,
        };
        let copies = parts.headers.contains_key(COPY_SOURCE);
        let operation = Operation::choose(address.scope(), &parts.method, &query, copies)?;
        Ok((Routed { query, operation }, address))
    }

    async fn run(
        &self,
        mut parts: request::Parts,
        mut body: WireBody,
        peer: Peer,
        (routed, address): (Routed, &Address),
        id: &RequestId,
        requester: &mut Option<Principal>,
    ) -> S3Result<Response> {
        let unproven = |parts: &request::Parts| peer.unproven(Protocol::S3, parts, id.request_id());
        match routed.operation {
            Operation::QueryRequest => {
                *requester = Some(unproven(&parts));
                let place = (&peer, id);
                return Box::pin(query_api::handle(self, parts, body, place, requester)).await;
            }
            Operation::PostObject => {
                *requester = Some(unproven(&parts));
                let place = (&peer, id, address.clone());
                let posted = ops::post_object::handle(self, parts, body, place, requester);
                return Box::pin(posted).await;
            }
            Operation::PreflightBucket | Operation::PreflightObject => {
                *requester = Some(unproven(&parts));
                let bucket = address.bucket.as_deref().unwrap_or_default();
                return ops::preflight::handle(self, &parts, bucket, address.scope()).await;
            }
            _ => {}
        }
        let authenticated = self.authenticate(&parts).await;
        if authenticated.is_err() {
            *requester = Some(unproven(&parts));
        }
        let caller = match authenticated {
            Ok(caller) => caller,
            Err(error) if routed.operation == Operation::HeadBucket => {
                return Err(self.with_region(error, address).await);
            }
            Err(error) => {
                payload::drain(&mut body, &parts.headers).await;
                return Err(error);
            }
        };
        heed_query(&routed.query, &mut parts.headers)?;
        let origin = peer.origin(Protocol::S3, &caller, &parts.headers, id.request_id());
        let payload = Payload::of(&caller, &parts.headers, body, self.config.body_idle_timeout);
        let principal = caller.principal.with_origin(origin);
        *requester = Some(principal.clone());
        let Routed { query, operation } = routed;
        let mut call = Call {
            service: self,
            operation,
            principal,
            method: parts.method,
            headers: parts.headers,
            uri: parts.uri,
            query,
            address,
            peer,
            signing: caller.signing,
            payload: payload?,
            may_copy_tags: false,
        };
        call.check_expected_owner()?;
        let result = match call.authorize().await {
            Ok(()) => ops::dispatch(&mut call).await,
            Err(denied) if call.operation == Operation::HeadBucket => {
                Err(self.with_region(denied, call.address).await)
            }
            Err(denied) => Err(denied),
        };
        if let Err(error) = result {
            call.payload.drain(&call.headers).await;
            return Err(call.name_subject(call.hide_what_is_missing(error).await));
        }
        call.forget_access();
        result
    }

    async fn authenticate(&self, parts: &request::Parts) -> S3Result<Authenticated> {
        match self.authenticator.authenticate(parts, S3, None).await? {
            Some(caller) => Ok(caller),
            None => Authenticated::nobody(&parts.headers),
        }
    }

    /// The region of a bucket is told to anybody, since clients need it to sign
    /// (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html>).
    async fn with_region(&self, error: S3Error, address: &Address) -> S3Error {
        let name = address.bucket.as_deref().unwrap_or_default().parse();
        let Ok(name) = name else { return error };
        match self.store.bucket_region(&name).await {
            Ok(Some(region)) => error.header(BUCKET_REGION, self.region_header(&region)),
            Ok(None) => error,
            Err(failure) => S3Error::from(failure),
        }
    }

    /// The region a bucket is in: its own, or the service's.
    pub(crate) fn region_header(&self, region: &str) -> HeaderValue {
        let region = if region.is_empty() { &self.config.region } else { region };
        HeaderValue::from_str(region).unwrap_or(HeaderValue::from_static("us-east-1"))
    }

    fn dress(&self, response: &mut Response, id: RequestId) {
        id.insert_into(response.headers_mut());
        let headers = response.headers_mut();
        headers.insert(header::SERVER, HeaderValue::from_static(SERVER));
        headers.insert(header::DATE, self.date.at(self.clock.now()));
        response.extensions_mut().insert(id);
    }
}

impl std::fmt::Debug for S3Service {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("S3Service").field("config", &self.config).finish_non_exhaustive()
    }
}

/// A request whose operation is known.
struct Routed {
    query: Query,
    operation: Operation,
}

/// An address as text: each request has it, and the digits of four bytes need no formatter.
fn address_text(address: IpAddr) -> String {
    let IpAddr::V4(address) = address else { return address.to_string() };
    let mut text = String::with_capacity("255.255.255.255".len());
    for octet in address.octets() {
        if !text.is_empty() {
            text.push('.');
        }
        let digits = [octet / 100, octet / 10 % 10, octet % 10];
        let leading = digits[..2].iter().take_while(|digit| **digit == 0).count();
        text.extend(digits[leading..].iter().map(|digit| char::from(b'0' + digit)));
    }
    text
}

/// Which attempt the client's SDK says that this is: `attempt=2; max=5`.
fn sdk_attempt(headers: &HeaderMap) -> u32 {
    let text = headers.get(SDK_REQUEST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let fields = text.split(';').filter_map(|field| field.trim().split_once('='));
    let attempt = fields.filter(|(name, _)| *name == "attempt").map(|(_, number)| number).next();
    attempt.and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// The account that a request to S3 Control names; nothing of other requests.
fn control_account(parts: &request::Parts) -> Option<&[u8]> {
    let account = parts.headers.get(CONTROL_ACCOUNT)?;
    parts.uri.path().starts_with(TAGS_PATH).then_some(account.as_bytes())
}

/// Puts among the headers what a presigned URL says in its query instead: SDKs move headers there, and a
/// condition that is passed over is none. What is signed in the query counts before a header that is not.
fn heed_query(query: &Query, headers: &mut HeaderMap) -> S3Result<()> {
    if !query.has(SIGNATURE_PARAMETER) {
        return Ok(());
    }
    for (name, value) in query.pairs() {
        let header = name.to_ascii_lowercase();
        if !HEEDED_IN_QUERY.contains(&header.as_str()) && !header.starts_with(METADATA_PREFIX) {
            continue;
        }
        let (Ok(header), Ok(said)) =
            (HeaderName::try_from(header), HeaderValue::from_bytes(value.as_bytes()))
        else {
            let message = "A parameter of the URL cannot be a header.";
            return Err(S3Error::invalid_argument(message, name, value));
        };
        headers.insert(header, said);
    }
    Ok(())
}

/// Whether a browser may have sent the request by itself, and show the answer as a page: it puts no
/// signature into headers. A page that somebody has uploaded must not act as one of the console's,
/// which have the same origin.
fn may_be_opened(parts: &request::Parts) -> bool {
    !parts.headers.contains_key(header::AUTHORIZATION)
}

/// Failures of ours are logged here, once; refusals are the access log's.
fn log_failure(operation: Operation, id: &RequestId, error: &S3Error) {
    let is_too_much = error.code() == ErrorCode::SlowDown && error.cause().is_none();
    if is_too_much {
        return;
    }
    if error.code().status().is_server_error() && error.code() != ErrorCode::NotImplemented {
        tracing::error!(
            s3.operation = operation.as_str(),
            s3.code = error.code().as_str(),
            request.id = id.request_id(),
            "request failed: {}",
            error.cause().unwrap_or(error.message())
        );
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn addresses_are_what_the_library_writes() {
        for octet in 0..=u8::MAX {
            let address = IpAddr::from(Ipv4Addr::new(octet, 0, 255, octet));
            assert_eq!(address_text(address), address.to_string());
        }
        let address = IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1]);
        assert_eq!(address_text(address), "2001:db8::1");
    }
}
