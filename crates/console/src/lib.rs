//! The console: pages over one S3 endpoint, for people with a browser.
//!
//! It is a client and nothing else. Whatever a page shows or does is a request that its user's own
//! session signs, and the endpoint decides about each as about any other: no page can do what its user
//! could not do with the command line. It knows neither the store nor who may do what.
//!
//! ```text
//! request.rs   what a browser asks: path, query, form, cookies
//! session.rs   who is signed in: their credentials, sealed in a cookie
//! oidc/        signing in over an identity provider
//! answer.rs    pages, redirects, events, and the headers that all of them carry
//! page/        one file a page
//! chart.rs     bar charts, as SVG
//! view.rs      how times, sizes and addresses are written
//! assets.rs    the stylesheet and the script
//! ```
//!
//! Every page works without its script, which follows locks as they come and go, and shows progress.

mod answer;
mod assets;
mod chart;
mod failure;
mod oidc;
mod page;
mod request;
mod session;
mod view;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use http::{Response, request::Parts};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

pub use answer::{Body, Events, PageName, SignInRefused};
pub use oidc::{Authorization, Oidc, Provider, ProviderError, Redemption};
use request::Asked;
pub use request::is_foreign;
pub use tidelock_client::settings::Credentials;
pub use tidelock_client::{AnswerBody, Now, Settings, Transport, TransportError};

/// Path of everything here.
pub const PREFIX: &str = "/_/console";
/// What a page says that looks again whether the locks have changed. Who made the page was told of its first
/// look; one each second would be most of the audit log, and says nothing more.
pub const LOOKS_AGAIN: &str = concat!("tidelock-console/", env!("CARGO_PKG_VERSION"), " (again)");
/// Forms are short; the longest field is a policy.
pub const FORM_BYTES_MAX: usize = 256 << 10;

/// Seals what a browser keeps for the console, so that only the console reads it.
pub trait Seal: Send + Sync {
    /// `plain`, readable for nobody.
    fn seal(&self, plain: &[u8]) -> Vec<u8>;
    /// What [`Seal::seal`] sealed; nothing where it did not.
    fn open(&self, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>>;
    /// Fills `bytes` at random.
    fn random(&self, bytes: &mut [u8]);
}

/// Writes the backend block of the state at a bucket and key.
pub type BackendBlock = Arc<dyn Fn(&str, &str) -> String + Send + Sync>;

/// What the console has to know of the endpoint.
#[derive(Clone)]
pub struct Config {
    /// How requests name the endpoint; the credentials in it are not used.
    pub settings: Settings,
    /// The backend block of the state at a bucket and key, for people to copy.
    pub backend: BackendBlock,
    /// Over whom people sign in besides with access keys.
    pub oidc: Option<Oidc>,
    /// Which version this is.
    pub version: &'static str,
}

/// The console of one endpoint.
pub struct Console {
    config: Config,
    seal: Arc<dyn Seal>,
    now: Now,
    /// Places of pages that hold whole states.
    state_pages: Semaphore,
}

impl Console {
    /// A console over the endpoint that `config` describes.
    pub fn new(config: Config, seal: Arc<dyn Seal>, now: Now) -> Self {
        Self { config, seal, now, state_pages: Semaphore::new(page::STATE_PAGES_MAX) }
    }

    /// Answers the request with `head`, whose path begins with [`PREFIX`]; `body` is at most
    /// [`FORM_BYTES_MAX`] bytes. `is_secure` is whether the browser speaks TLS, to the server or to a
    /// proxy that it trusts: then cookies never go without. `transport` carries what the page asks of
    /// the endpoint.
    pub fn answer(
        &self,
        (head, body): (&Parts, &[u8]),
        is_secure: bool,
        transport: Arc<dyn Transport>,
    ) -> BoxFuture<'_, Response<Body>> {
        let asked = Asked::of(head, body, is_secure);
        Box::pin(async move { page::answer(self, &asked, transport).await })
    }
}
