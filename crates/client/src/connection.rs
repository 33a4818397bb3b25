//! Signed requests over pooled connections, sent again when that is safe.
//!
//! It knows HTTP, TLS and signatures; it does not know what an operation means.

mod patience;
mod request;
mod transport;
pub(crate) mod trust;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Limited};

pub(crate) use request::{Outgoing, host, with_signer};
use transport::Network;
pub use transport::{AnswerBody, Transport, TransportError};

use tidelock_tfstate::DOCUMENT_BYTES_MAX as STATE_BYTES_MAX;

use crate::error::ServiceError;
use crate::settings::Credentials;
use crate::{ClientError, Settings};

/// Time for a TCP connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Time until the headers of an answer; completing a large upload takes minutes on some stores.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(300);
/// Tries of a request that may be sent again, the first included.
const ATTEMPTS_MAX: u32 = 4;
/// Pause before the second try; doubles with each further one.
const RETRY_PAUSE: Duration = Duration::from_millis(200);
/// Documents are read whole; 1,000 keys of 1,024 escaped bytes are about 5 MiB.
const DOCUMENT_BYTES_MAX: usize = 16 << 20;

/// Tells the time of a signature.
#[derive(Clone)]
pub struct Now(Arc<dyn Fn() -> jiff::Timestamp + Send + Sync>);

impl Now {
    /// The time that `clock` tells.
    pub fn new(clock: impl Fn() -> jiff::Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(clock))
    }

    /// The time.
    pub fn tell(&self) -> jiff::Timestamp {
        (self.0)()
    }
}

impl std::fmt::Debug for Now {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Now").field(&self.tell()).finish()
    }
}

/// What requests say they come from, unless the caller says otherwise.
const USER_AGENT: &str = concat!("tidelock/", env!("CARGO_PKG_VERSION"));

/// A client of one endpoint, as one identity.
#[derive(Clone, Debug)]
pub struct Client {
    transport: Arc<dyn Transport>,
    settings: Settings,
    now: Now,
    user_agent: HeaderValue,
    /// Largest state that is read whole.
    state_bytes_max: usize,
}

/// An answer, read whole.
pub(crate) struct Document {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Client {
    /// Loads the trusted certificates; connects to nothing yet.
    ///
    /// # Errors
    /// [`ClientError::Trust`] when the CA bundle is not usable.
    pub fn new(settings: Settings, now: Now) -> Result<Self, ClientError> {
        let network = Network::new(&settings)?;
        Ok(Self::over(Arc::new(network), settings, now))
    }

    /// A client whose requests `transport` carries.
    pub fn over(transport: Arc<dyn Transport>, settings: Settings, now: Now) -> Self {
        let user_agent = HeaderValue::from_static(USER_AGENT);
        Self { transport, settings, now, user_agent, state_bytes_max: STATE_BYTES_MAX }
    }

    /// A client of the same endpoint as somebody else.
    #[must_use]
    pub fn with_credentials(&self, credentials: Credentials) -> Self {
        let settings = Settings { credentials, ..self.settings.clone() };
        Self { settings, ..self.clone() }
    }

    /// The same client, whose requests say that they come from `user_agent`: audit logs keep that.
    #[must_use]
    pub fn with_user_agent(&self, user_agent: &'static str) -> Self {
        Self { user_agent: HeaderValue::from_static(user_agent), ..self.clone() }
    }

    /// The same client, which reads no state whole that has more than `bytes_max`: for a caller that
    /// many share.
    #[must_use]
    pub fn with_states_up_to(&self, bytes_max: usize) -> Self {
        Self { state_bytes_max: bytes_max.min(STATE_BYTES_MAX), ..self.clone() }
    }

    /// Largest state that it reads whole, in bytes.
    pub(crate) fn state_bytes_max(&self) -> usize {
        self.state_bytes_max
    }

    /// The same client, which presigns for people who reach the endpoint at `endpoint`. Its own
    /// requests name it too.
    #[must_use]
    pub fn with_endpoint(&self, endpoint: Uri) -> Self {
        let settings = Settings { endpoint, ..self.settings.clone() };
        Self { settings, ..self.clone() }
    }

    /// What it connects to, and as whom.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The time, by the caller's clock.
    pub(crate) fn now(&self) -> jiff::Timestamp {
        self.now.tell()
    }

    /// Sends `request` and reads its answer whole.
    pub(crate) async fn document(&self, request: Outgoing) -> Result<Document, ClientError> {
        let response = self.send(request).await?;
        let headers = response.headers().clone();
        Ok(Document { headers, body: self.read(response).await? })
    }

    /// Sends `request`; an answer that is not a success is an error.
    pub(crate) async fn send(
        &self,
        request: Outgoing,
    ) -> Result<Response<AnswerBody>, ClientError> {
        let mut pause = RETRY_PAUSE;
        let mut attempt = 1;
        loop {
            let result = self.attempt(&request).await;
            let Err(error) = &result else { return result };
            if attempt == ATTEMPTS_MAX || !request.is_repeatable() || !is_passing(error) {
                return result;
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
            attempt += 1;
        }
    }

    /// An error for when the endpoint breaks off in the middle of an answer.
    pub(crate) fn broken(&self, cause: &(dyn std::error::Error + 'static)) -> ClientError {
        let mut innermost = cause;
        while let Some(source) = innermost.source() {
            innermost = source;
        }
        ClientError::Transport {
            endpoint: self.settings.endpoint.to_string().trim_end_matches('/').to_owned(),
            reason: explained(innermost.to_string()),
        }
    }

    /// Sends `request` once, whatever comes of it; an answer that is not a success is an error.
    pub(crate) async fn attempt(
        &self,
        request: &Outgoing,
    ) -> Result<Response<AnswerBody>, ClientError> {
        // Signed anew each time: a signature is good for 15 minutes only.
        let mut signed = request.sign(&self.settings, self.now.tell())?;
        signed.headers_mut().insert(header::USER_AGENT, self.user_agent.clone());
        let is_head = signed.method() == Method::HEAD;
        let sent = tokio::time::timeout(ANSWER_TIMEOUT, self.transport.send(signed)).await;
        let response =
            sent.map_err(|elapsed| self.broken(&elapsed))?.map_err(|error| self.broken(&error))?;
        let response = response.map(patience::limited);
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let id = response.headers().get("x-amz-request-id").and_then(|id| id.to_str().ok());
        let id = id.map(str::to_owned);
        let body = if is_head { Bytes::new() } else { self.read(response).await? };
        Err(ServiceError::decode(status, id, &body).into())
    }

    /// The body of an answer, read whole.
    pub(crate) async fn read(&self, response: Response<AnswerBody>) -> Result<Bytes, ClientError> {
        let body = Limited::new(response.into_body(), DOCUMENT_BYTES_MAX);
        match body.collect().await {
            Ok(collected) => Ok(collected.to_bytes()),
            Err(error) => Err(self.broken(error.as_ref())),
        }
    }
}

/// What rustls and hyper say in words of their own of the mistakes that everybody makes once.
const EXPLANATIONS: &[(&str, &str)] = &[
    (
        "CaUsedAsEndEntity",
        "the endpoint presents the certificate of a certificate authority as its own; it needs \
         one with basicConstraints CA:FALSE",
    ),
    (
        "UnknownIssuer",
        "the certificate of the endpoint is not trusted here: give the one that signed it with \
         --ca-bundle or AWS_CA_BUNDLE",
    ),
    ("InvalidContentType", "the endpoint does not speak TLS; is it http:// ?"),
    ("invalid HTTP version parsed", "the endpoint does not speak plain HTTP; is it https:// ?"),
];

fn explained(reason: String) -> String {
    let known = EXPLANATIONS.iter().find(|(words, _)| reason.contains(words));
    known.map_or(reason, |(_, explanation)| (*explanation).to_owned())
}

/// Whether the same request may succeed a moment later.
fn is_passing(error: &ClientError) -> bool {
    match error {
        ClientError::Transport { .. } => true,
        ClientError::Service(error) => matches!(
            error.status,
            StatusCode::INTERNAL_SERVER_ERROR
                | StatusCode::BAD_GATEWAY
                | StatusCode::SERVICE_UNAVAILABLE
                | StatusCode::GATEWAY_TIMEOUT
        ),
        ClientError::Malformed(_)
        | ClientError::Trust { .. }
        | ClientError::Local(_)
        | ClientError::Interrupted => false,
    }
}
