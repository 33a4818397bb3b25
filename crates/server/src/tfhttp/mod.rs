//! Terraform's `http` backend under `/_/tf/BUCKET/KEY`, on the same states and the same locks as S3:
//! <https://developer.hashicorp.com/terraform/language/backend/http>.
//!
//! This file routes, finds out who asks, and runs one function of [`state`] or [`lock`]. What a caller
//! may do, and who wins, is decided by the store.

mod address;
mod auth;
mod error;
mod lock;
mod state;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, header, request};
use http_body::Body;
use http_body_util::BodyExt as _;
use tidelock_s3::{
    Asked, Authenticated, Authenticator, Authorizer, Circumstances, ErrorCode, Need,
    Operation as S3Operation, Payload, Peer, Query, RequestId, Requester, ResponseBody, S3Error,
    StreamError, WireBody, drain, headers_of_anybody,
};
use tidelock_store::{
    GetObjectError, LockBreaking, ObjectSettings, Origin, Principal, Protocol, Store, SystemEntropy,
};

use crate::api::Answer;
use address::Address;
use error::TfError;

/// Path of everything here.
pub(crate) const PREFIX: &str = "/_/tf/";
/// Methods that mean something; PUT is POST for those who set `update_method`.
const ALLOWED_METHODS: &str = "GET, HEAD, POST, PUT, DELETE, LOCK, UNLOCK";
/// The parameter that names the lock a change is made under.
const LOCK_ID: &str = "ID";
const X_AMZ_REQUEST_ID: HeaderName = HeaderName::from_static("x-amz-request-id");
/// What states and locks are stored and answered as.
const JSON: &str = "application/json";

/// The protocol over a store.
pub(crate) struct TfHttp {
    store: Arc<Store>,
    authenticator: Arc<Authenticator>,
    authorizer: Arc<Authorizer>,
    /// Longest silence in the middle of a body; and time for a whole lock.
    body_timeout: Duration,
    random: SystemEntropy,
}

/// Everything that can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    GetState,
    HeadState,
    PutState,
    DeleteState,
    Lock,
    Unlock,
}

/// One request with its caller.
struct Call {
    store: Arc<Store>,
    principal: Principal,
    address: Address,
    headers: HeaderMap,
    payload: Payload,
    body_timeout: Duration,
    breaking: LockBreaking,
}

/// What the head of a request tells: about which state, by whom, and whether they may break its lock.
type Opened = (Address, Principal, Authenticated, LockBreaking);

/// What every operation answers.
type Answered = Result<Response<ResponseBody>, TfError>;

impl TfHttp {
    pub(crate) fn new(
        store: Arc<Store>,
        (authenticator, authorizer): (Arc<Authenticator>, Arc<Authorizer>),
        body_timeout: Duration,
    ) -> Self {
        Self { store, authenticator, authorizer, body_timeout, random: SystemEntropy::new() }
    }

    /// Answers a request whose path begins with [`PREFIX`].
    pub(crate) async fn answer<B>(&self, request: Request<B>, peer: Peer) -> Answer
    where
        B: Body<Data = Bytes> + Send + Sync + 'static,
        B::Error: Into<StreamError>,
    {
        let id = RequestId::generate(&self.random);
        let operation = Operation::of(request.method());
        let name = operation.map_or("TfUnknown", Operation::as_str);
        let (parts, body) = request.into_parts();
        let unproven =
            |parts: &request::Parts| peer.unproven(Protocol::TerraformHttp, parts, id.request_id());
        let (sender, answered) = match operation {
            Some(operation) => {
                let mut body = body.map_err(Into::into).boxed();
                match self.open(operation, &parts, &peer, &id).await {
                    Ok(opened) => {
                        let sender = opened.1.clone();
                        (sender, self.perform(operation, parts.headers, body, opened).await)
                    }
                    Err(error) => {
                        drain(&mut body, &parts.headers).await;
                        let sender = unproven(&parts);
                        let sender = match error.access_key_id() {
                            Some(claimed) => sender.claiming(claimed),
                            None => sender,
                        };
                        (sender, Err(error))
                    }
                }
            }
            None => (unproven(&parts), Err(TfError::method_not_allowed())),
        };
        let mut answer = dress(answered, name, id);
        answer.response.extensions_mut().insert(Requester(sender));
        answer
    }

    /// The answer to a request that there is no room for.
    pub(crate) fn refuse_overload(&self) -> Answer {
        let id = RequestId::generate(&self.random);
        dress(Err(TfError::overloaded()), "TfUnknown", id)
    }

    async fn perform(
        &self,
        operation: Operation,
        headers: HeaderMap,
        body: WireBody,
        (address, principal, caller, breaking): Opened,
    ) -> Answered {
        let payload = Payload::of(&caller, &headers, body, self.body_timeout)?;
        let (store, body_timeout) = (self.store.clone(), self.body_timeout);
        let mut call = Call { store, principal, address, headers, payload, body_timeout, breaking };
        let answered = operation.run(&mut call).await;
        if answered.is_err() {
            call.payload.drain(&call.headers).await;
        }
        answered
    }

    /// What the head of a request tells: about which state, and by whom.
    async fn open(
        &self,
        operation: Operation,
        parts: &request::Parts,
        peer: &Peer,
        id: &RequestId,
    ) -> Result<Opened, TfError> {
        let address = Address::parse(parts.uri.path())?;
        let query = Query::parse(parts.uri.query().unwrap_or_default())?;
        let caller = auth::authenticate(&self.store, &self.authenticator, parts).await?;
        let protocol = Protocol::TerraformHttp;
        let origin = peer.origin(protocol, &caller, &parts.headers, id.request_id());
        let lock_id = query.filled(LOCK_ID).map(str::to_owned);
        let mut principal = caller.principal.clone().with_origin(Origin { lock_id, ..origin });
        let circumstances = Circumstances {
            operation: Some(operation.of_s3()),
            headers: &headers_of_anybody(&parts.headers),
            query: &Query::default(),
            peer,
            signing: caller.signing,
        };
        for need in operation.needs() {
            let (bucket, object) = (&address.bucket, Some((address.key_of(operation), None)));
            let more_keys = operation.condition_keys();
            let asked = Asked { need, bucket, object, more_keys };
            let granted = self.authorizer.grant(&mut principal, &asked, &circumstances).await;
            granted.map_err(|error| operation.refusal(error))?;
        }
        let breaking = match operation {
            Operation::Unlock => {
                let (bucket, object) = (&address.bucket, Some((&address.key, None)));
                let asked = Asked { need: Need::BREAK_LOCK, bucket, object, more_keys: &[] };
                match self.authorizer.decide(&principal, &asked, &circumstances).await {
                    Ok(_) => LockBreaking::Allowed,
                    Err(error) if error.code().status().is_client_error() => LockBreaking::Refused,
                    Err(error) => return Err(error.into()),
                }
            }
            Operation::GetState
            | Operation::HeadState
            | Operation::PutState
            | Operation::DeleteState
            | Operation::Lock => LockBreaking::Refused,
        };
        Ok((address, principal, caller, breaking))
    }
}

impl Operation {
    fn of(method: &Method) -> Option<Self> {
        match method.as_str() {
            "GET" => Some(Self::GetState),
            "HEAD" => Some(Self::HeadState),
            "POST" | "PUT" => Some(Self::PutState),
            "DELETE" => Some(Self::DeleteState),
            "LOCK" => Some(Self::Lock),
            "UNLOCK" => Some(Self::Unlock),
            _ => None,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::GetState => "TfGetState",
            Self::HeadState => "TfHeadState",
            Self::PutState => "TfPutState",
            Self::DeleteState => "TfDeleteState",
            Self::Lock => "TfLock",
            Self::Unlock => "TfUnlock",
        }
    }

    /// What S3 calls it.
    fn of_s3(self) -> S3Operation {
        match self {
            Self::GetState | Self::HeadState => S3Operation::GetObject,
            Self::PutState | Self::Lock => S3Operation::PutObject,
            Self::DeleteState | Self::Unlock => S3Operation::DeleteObject,
        }
    }

    /// What it needs to be allowed. Who is refused a lock is told whose it is.
    fn needs(self) -> Vec<Need> {
        let (get, delete) = (Need::GET_OBJECT, Need::delete_object(false));
        match self {
            Self::GetState | Self::HeadState => vec![get],
            Self::PutState => vec![Need::PUT_OBJECT],
            Self::DeleteState => vec![delete],
            Self::Lock => vec![Need::PUT_OBJECT, get],
            Self::Unlock => vec![get, delete],
        }
    }

    /// What whoever may not is told. To know that there is no state is an answer to whoever reads it; a lock
    /// needs more.
    fn refusal(self, error: S3Error) -> TfError {
        match (self, error.code()) {
            (Self::GetState | Self::HeadState, ErrorCode::NoSuchKey) => {
                GetObjectError::NoSuchKey { delete_marker: None }.into()
            }
            (Self::Lock | Self::Unlock, ErrorCode::NoSuchKey) => {
                S3Error::new(ErrorCode::AccessDenied).into()
            }
            _ => error.into(),
        }
    }

    /// A lock is only ever written where there is none.
    fn condition_keys(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Lock => &[("s3:if-none-match", "*")],
            Self::GetState
            | Self::HeadState
            | Self::PutState
            | Self::DeleteState
            | Self::Unlock => &[],
        }
    }

    async fn run(self, call: &mut Call) -> Answered {
        match self {
            Self::GetState => state::get(call).await,
            Self::HeadState => state::head(call).await,
            Self::PutState => state::put(call).await,
            Self::DeleteState => state::delete(call).await,
            Self::Lock => lock::lock(call).await,
            Self::Unlock => lock::unlock(call).await,
        }
    }
}

impl Call {
    /// The lock that the client says it holds.
    fn lock_id(&self) -> Option<&str> {
        self.principal.origin.lock_id.as_deref()
    }
}

/// 200 and nothing else: most of what Terraform asks for takes no other success.
fn done() -> Response<ResponseBody> {
    Response::new(ResponseBody::empty())
}

/// How states and locks are stored.
fn json_settings() -> ObjectSettings {
    let headers = vec![(header::CONTENT_TYPE.as_str().to_owned(), JSON.to_owned())];
    ObjectSettings { headers, ..ObjectSettings::default() }
}

/// Puts on an answer what all have, and logs what went wrong inside.
fn dress(answered: Answered, operation: &'static str, id: RequestId) -> Answer {
    let (mut response, code) = match answered {
        Ok(response) => (response, "OK"),
        Err(error) => {
            let code = error.code();
            if let Some(cause) = error.cause() {
                tracing::error!(
                    request.id = id.request_id(),
                    op = operation,
                    code,
                    "request failed: {cause}"
                );
            }
            (error.into_response(), code)
        }
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(value) = HeaderValue::from_str(id.request_id()) {
        headers.insert(X_AMZ_REQUEST_ID, value);
    }
    response.extensions_mut().insert(id);
    Answer { response, operation, code }
}

#[cfg(test)]
mod tests;
