//! Removes all that is below a prefix, also what arrived after its writer was given up.

use std::time::Duration;

use http::Method;

use crate::connection::Outgoing;
use crate::xml::Element;
use crate::{Client, ClientError, ObjectIdentifier, uri};

/// Times that the prefix is emptied: a write that was cut off may be done a moment later.
const SWEEPS_MAX: u32 = 5;
/// Lists of uploads that are looked at in one of them, up to 1,000 uploads each.
const UPLOAD_LISTS_MAX: u32 = 100;
/// Pause between two of these times.
const SWEEP_PAUSE: Duration = Duration::from_millis(300);

/// What is to be emptied.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sweep<'a> {
    pub(crate) client: &'a Client,
    pub(crate) bucket: &'a str,
    /// Nothing goes but keys that begin with it.
    pub(crate) prefix: &'a str,
    /// Whether the bucket goes, too.
    pub(crate) removes_bucket: bool,
}

impl Sweep<'_> {
    /// Empties the prefix, and removes the bucket where that is asked for.
    pub(crate) async fn run(&self) -> Result<(), ClientError> {
        let mut sweeps = 1;
        loop {
            let swept = self.sweep_once().await;
            if sweeps == SWEEPS_MAX || matches!(swept, Ok(true)) {
                return swept.map(drop);
            }
            tokio::time::sleep(SWEEP_PAUSE).await;
            sweeps += 1;
        }
    }

    /// Whether nothing is left.
    async fn sweep_once(&self) -> Result<bool, ClientError> {
        self.abort_uploads().await?;
        let left = self.left().await?;
        self.remove(&left).await?;
        if self.removes_bucket {
            // Says for itself whether anything is left.
            self.client.delete_bucket(self.bucket).await?;
            return Ok(true);
        }
        Ok(left.is_empty())
    }

    /// Versions and delete markers; objects where the endpoint lists no versions.
    async fn left(&self) -> Result<Vec<ObjectIdentifier>, ClientError> {
        let mut left = Vec::new();
        let mut versions = self.client.list_versions(self.bucket, self.prefix);
        while let Ok(Some(page)) = versions.next().await {
            // Whatever the endpoint lists: nothing but ours is removed.
            let ours = page.into_iter().filter(|version| version.key.starts_with(self.prefix));
            left.extend(ours.map(|version| ObjectIdentifier {
                key: version.key,
                version_id: Some(version.version_id),
            }));
        }
        if !left.is_empty() {
            return Ok(left);
        }
        let mut objects = self.client.list_objects(self.bucket, self.prefix);
        while let Some(page) = objects.next().await? {
            let keys = page.into_iter().map(|object| object.key);
            let ours = keys.filter(|key| key.starts_with(self.prefix));
            left.extend(ours.map(|key| ObjectIdentifier { key, version_id: None }));
        }
        Ok(left)
    }

    /// Many at once; one by one where the endpoint cannot do that.
    async fn remove(&self, doomed: &[ObjectIdentifier]) -> Result<(), ClientError> {
        if self.client.delete_objects(self.bucket, doomed).await.is_ok() {
            return Ok(());
        }
        for ObjectIdentifier { key, version_id } in doomed {
            self.client.delete_object(self.bucket, key, version_id.as_deref()).await?;
        }
        Ok(())
    }

    /// Uploads that were not completed. An endpoint without a list of them keeps them.
    pub(crate) async fn abort_uploads(&self) -> Result<(), ClientError> {
        for _ in 0..UPLOAD_LISTS_MAX {
            let request = Outgoing::new(Method::GET, uri::bucket_path(self.bucket))
                .query(&[("uploads", ""), ("prefix", self.prefix)]);
            let Ok(answer) = self.client.document(request).await else { return Ok(()) };
            let Ok(root) = Element::parse(&answer.body) else { return Ok(()) };
            let mut found = false;
            for (_, upload) in root.children().filter(|(name, _)| *name == "Upload") {
                let (key, id) = (upload.required("Key")?, upload.required("UploadId")?);
                if key.starts_with(self.prefix) {
                    found = true;
                    self.abort(key, id).await?;
                }
            }
            if !found {
                break;
            }
        }
        Ok(())
    }

    async fn abort(&self, key: &str, id: &str) -> Result<(), ClientError> {
        let abort = Outgoing::new(Method::DELETE, uri::object_path(self.bucket, key));
        self.client.send(abort.query(&[("uploadId", id)])).await.map(drop)
    }
}
