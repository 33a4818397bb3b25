//! What carries a signed request to the endpoint: the network, or whatever a caller brings.

use std::fmt::Debug;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use super::{CONNECT_TIMEOUT, trust};
use crate::{ClientError, Settings};

/// Why a request was not answered, or not to its end.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct TransportError(Box<dyn std::error::Error + Send + Sync>);

impl TransportError {
    /// What the transport's own library says.
    pub fn new(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(cause.into())
    }
}

/// The body of an answer.
pub type AnswerBody = UnsyncBoxBody<Bytes, TransportError>;

/// Carries signed requests to one endpoint and brings back what it answers.
pub trait Transport: Debug + Send + Sync {
    /// Sends `request`, whose URI has a scheme and an authority, and resolves once the answer begins.
    ///
    /// An error means that there is no answer; an answer that is an error is none to the transport.
    fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> BoxFuture<'static, Result<Response<AnswerBody>, TransportError>>;
}

/// Pooled connections over TCP and TLS.
#[derive(Debug)]
pub(super) struct Network(
    hyper_util::client::legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
);

impl Network {
    /// Loads the trusted certificates; connects to nothing yet.
    pub(super) fn new(settings: &Settings) -> Result<Self, ClientError> {
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(trust::tls_config(settings)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let builder = hyper_util::client::legacy::Client::builder(TokioExecutor::new());
        Ok(Self(builder.build(connector)))
    }
}

impl Transport for Network {
    fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> BoxFuture<'static, Result<Response<AnswerBody>, TransportError>> {
        let answer = self.0.request(request);
        Box::pin(async move {
            let answer = answer.await.map_err(TransportError::new)?;
            Ok(answer.map(|body| body.map_err(TransportError::new).boxed_unsync()))
        })
    }
}
