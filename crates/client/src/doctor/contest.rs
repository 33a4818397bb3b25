//! What clients race for: one round of it, set up so that exactly one of them may win.

use bytes::Bytes;
use futures_util::future::try_join_all;
use http::Method;

use super::ward::Ward;
use crate::ClientError;
use crate::connection::Outgoing;

/// What each client of a race does to the same object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Contest {
    /// Makes it: PUT, `If-None-Match: *`.
    Put,
    /// The same where a delete marker is its current version.
    PutOverMarker,
    /// Replaces what it knows: PUT, `If-Match`.
    Update,
    /// Makes it by completing an upload, `If-None-Match: *`.
    Complete,
    /// Makes it, half of the clients by PUT and half by completing an upload.
    PutOrComplete,
    /// Makes it by copying another, `If-None-Match: *`.
    Copy,
    /// Removes what it knows: DELETE, `If-Match`.
    Delete,
}

impl Contest {
    /// Sets the object called `name` up; the requests of all clients.
    pub(super) async fn prepare(
        self,
        ward: &Ward,
        name: &str,
    ) -> Result<Vec<Outgoing>, ClientError> {
        let etag = match self {
            Self::Update | Self::Delete => ward.put(name, "before").await?,
            Self::PutOverMarker => {
                ward.put(name, "before").await?;
                ward.delete(name).await?;
                String::new()
            }
            Self::Put | Self::Complete | Self::PutOrComplete | Self::Copy => String::new(),
        };
        let requests = (0..ward.racers).map(|racer| self.request(ward, name, racer, &etag));
        try_join_all(requests).await
    }

    /// What a client that has won leaves behind; none if that is nothing.
    pub(super) fn body(self, racer: usize) -> Option<String> {
        if self == Self::Delete { None } else { Some(format!("written by client {racer}")) }
    }

    /// Whether clients leave uploads behind when they lose.
    pub(super) fn leaves_uploads(self) -> bool {
        matches!(self, Self::Complete | Self::PutOrComplete)
    }

    async fn request(
        self,
        ward: &Ward,
        name: &str,
        racer: usize,
        etag: &str,
    ) -> Result<Outgoing, ClientError> {
        let body = self.body(racer).unwrap_or_default();
        let put = || ward.object(Method::PUT, name).body(Bytes::from(body.clone()));
        Ok(match self {
            Self::Put | Self::PutOverMarker => put().header("if-none-match", "*"),
            Self::Update => put().header("if-match", etag),
            Self::PutOrComplete if racer.is_multiple_of(2) => put().header("if-none-match", "*"),
            Self::Complete | Self::PutOrComplete => {
                ward.prepare_upload(name, &body).await?.header("if-none-match", "*")
            }
            Self::Copy => {
                let source = format!("source-{racer}");
                ward.put(&source, &body).await?;
                ward.copy(&source, name).header("if-none-match", "*")
            }
            Self::Delete => ward.object(Method::DELETE, name).header("if-match", etag),
        })
    }
}
