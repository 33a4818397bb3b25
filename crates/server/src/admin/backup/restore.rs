//! A new data directory, as the store was at a time: the log up to its last group by then, and the blobs
//! that the rows name that are left. All that is read is checked.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ring::digest::{Context, SHA256};
use serde::Serialize;
use tidelock_blob::fs::FsBlobStore;
use tidelock_blob::object_store::archive::Archive;
use tidelock_blob::{BlobError, BlobId, BlobStore};
use tidelock_meta::local::{LocalOptions, LocalStore, LogImport};
use tidelock_meta::record::bucket::{self, BucketRow};
use tidelock_meta::record::named::{Named, named};
use tidelock_meta::record::{BucketId, guard, head, part, refused, version};
use tidelock_meta::{
    Clock, Direction, Key, KeyRange, MetaStore, ReadLevel, UnixMillis, successor_of_key,
};
use tidelock_store::{DisplayVersion, Entropy};

use super::manifest::{Blobs, Chain, Manifest};
use super::needed::{Needed, blob_of};
use super::{BackupError, HISTORY_FILE, open, shown};
use crate::config::ObjectStoreVariables;
use crate::engine::DataDirectory;
use crate::private_file;

/// Rows of one page.
const PAGE_ROWS: usize = 1000;

/// Bytes of a blob that are read and written at once.
const PIECE_BYTES: usize = 1 << 20;

/// What to restore, and where to.
#[derive(Clone, Debug)]
pub struct RestoreRequest {
    /// A directory or the URL of a place with backups.
    pub source: String,
    /// What the environment says about object stores.
    pub variables: ObjectStoreVariables,
    /// The new data directory, empty or missing.
    pub data: PathBuf,
    /// The moment whose state is wanted [default: that of the last backup].
    pub at: Option<UnixMillis>,
}

/// What was restored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RestoreReport {
    /// The time of the last group of commits that is in it.
    pub last_commit: String,
    /// Segments of the log.
    pub segments: u64,
    /// Their bytes.
    pub log_bytes: u64,
    /// Rows.
    pub rows: u64,
    /// Blobs.
    pub blobs: u64,
    /// Their bytes.
    pub blob_bytes: u64,
    /// Whether blobs are in the backup: else they are where they were.
    pub has_blobs: bool,
    /// What has lost its body: it was removed before the next backup was taken, or is missing or damaged in the backup.
    pub lost: Vec<String>,
}

/// Makes a data directory of a backup.
///
/// # Errors
///
/// [`BackupError`]; what was written by then is of no use.
pub async fn restore(
    request: RestoreRequest,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
) -> Result<RestoreReport, BackupError> {
    let archive = Archive::open(&request.source, request.variables.expose())?;
    let manifest = open(&archive).await?;
    let chain = chain_of(&manifest, request.at)?;
    if request.data.exists() && fs::read_dir(&request.data)?.next().is_some() {
        return Err(BackupError::NotEmpty(request.data.display().to_string()));
    }
    let kept = manifest.blobs(&archive).await?;
    let directory = DataDirectory::new(&request.data);
    directory.begin()?;
    let until = request.at.map(|at| u64::try_from(at).unwrap_or(0));
    let mut import = LogImport::begin(&directory.meta(), until)?;
    for segment in &chain.segments {
        let bytes = segment.read(&archive).await?;
        if !import.segment(segment.number, &bytes)? {
            break;
        }
    }
    write_history(&request.data, &*entropy)?;
    let imported = import.finish()?;
    let is_without = chain.backup_of(until).is_none_or(|backup| backup.without_blobs);
    let mut report = RestoreReport {
        last_commit: shown(imported.time),
        segments: imported.segments,
        log_bytes: imported.bytes,
        has_blobs: manifest.has_blobs && !is_without,
        ..RestoreReport::default()
    };
    let mut options = LocalOptions::new(clock);
    options.log_tag = u64::from_be_bytes(random(&*entropy));
    let rows = LocalStore::open(&directory.meta(), options)?;
    let blobs = FsBlobStore::open(&directory.blobs())?;
    let (from, kept) = (archive.blobs_to_read(), &kept);
    let (needed, missing) = (Needed::of_all(), BTreeMap::new());
    let mut bodies =
        Bodies { rows: &rows, from, blobs, kept, needed, missing, report: &mut report };
    let restored = bodies.restore().await;
    rows.close();
    restored?;
    directory.finish()?;
    Ok(report)
}

/// The run of the log that says what the store was `at` a time.
fn chain_of(manifest: &Manifest, at: Option<UnixMillis>) -> Result<&Chain, BackupError> {
    let Some(at) = at else {
        return manifest.chains.last().ok_or_else(|| BackupError::Damaged("the manifest".into()));
    };
    let at = u64::try_from(at).unwrap_or(0);
    let tells = |chain: &&Chain| (chain.complete_from_ms..=chain.complete_to_ms()).contains(&at);
    manifest.chains.iter().rev().find(tells).ok_or_else(|| {
        let range = |chain: &Chain| {
            format!("{} to {}", shown(chain.complete_from_ms), shown(chain.complete_to_ms()))
        };
        let ranges: Vec<String> = manifest.chains.iter().map(range).collect();
        BackupError::NoSuchTime { possible: ranges.join(", and ") }
    })
}

/// What is written from here on does not go on from what other backups have of this store.
fn write_history(data: &Path, entropy: &dyn Entropy) -> Result<(), BackupError> {
    let history: [u8; 16] = random(entropy);
    Ok(private_file::write(&data.join(HISTORY_FILE), &format!("{}\n", hex::encode(history)))?)
}

fn random<const N: usize>(entropy: &dyn Entropy) -> [u8; N] {
    let mut bytes = [0; N];
    entropy.fill(&mut bytes);
    bytes
}

/// Copies the blobs that rows name.
struct Bodies<'a> {
    rows: &'a LocalStore,
    from: Arc<dyn BlobStore>,
    blobs: FsBlobStore,
    kept: &'a Blobs,
    needed: Needed,
    /// Blobs that the archive does not have whole, and what has named them.
    missing: BTreeMap<BlobId, Vec<String>>,
    report: &'a mut RestoreReport,
}

impl Bodies<'_> {
    async fn restore(&mut self) -> Result<(), BackupError> {
        let buckets = self.buckets().await?;
        let mut rest = KeyRange::prefix(b"");
        loop {
            let page = self.page(&rest).await?;
            let Some((last, _)) = page.last() else { break };
            rest = rest.starting_at(successor_of_key(last));
            self.report.rows += page.len() as u64;
            for (key, value) in &page {
                self.restore_bodies_of(key, value, &buckets).await?;
            }
        }
        if !self.report.has_blobs {
            // They are where they were, but for those that an earlier backup has.
            return Ok(());
        }
        // Of the others, nothing is made any more: they wait to be removed.
        for id in self.needed.lost(&self.missing.keys().copied().collect()) {
            self.report.lost.extend(self.missing.remove(&id).unwrap_or_default());
        }
        Ok(())
    }

    async fn page(&self, range: &KeyRange) -> Result<Vec<(Key, bytes::Bytes)>, BackupError> {
        let scan = self.rows.scan(range.clone(), PAGE_ROWS, Direction::Forward, ReadLevel::Latest);
        Ok(scan.await?.into_iter().map(|(key, row)| (key, row.value)).collect())
    }

    async fn buckets(&self) -> Result<BTreeMap<BucketId, String>, BackupError> {
        let (mut buckets, mut rest) = (BTreeMap::new(), bucket::range(""));
        loop {
            let page = self.page(&rest).await?;
            let Some((last, _)) = page.last() else { return Ok(buckets) };
            rest = rest.starting_at(successor_of_key(last));
            for (key, value) in &page {
                buckets.insert(BucketRow::decode(value)?.id, bucket::decode_key(key)?);
            }
        }
    }

    async fn restore_bodies_of(
        &mut self,
        key: &Key,
        value: &[u8],
        buckets: &BTreeMap<BucketId, String>,
    ) -> Result<(), BackupError> {
        self.needed.put(key, value)?;
        let bodies = match named(key, value)? {
            Named::Bodies(bodies) => bodies,
            Named::Part { body, .. } => vec![body],
            Named::Nothing | Named::Upload { .. } => return Ok(()),
        };
        for id in bodies.iter().filter_map(blob_of) {
            if !self.restore_blob(id).await? {
                let name = name_of(key, value, buckets)?;
                self.missing.entry(id).or_default().push(name);
            }
        }
        Ok(())
    }

    /// False when the archive does not have it whole: the others are still worth having.
    async fn restore_blob(&mut self, id: BlobId) -> Result<bool, BackupError> {
        let Some(kept) = self.kept.get(&id) else { return Ok(false) };
        let source = match self.from.open(id).await {
            Err(BlobError::NotFound) => return Ok(false),
            opened => opened?,
        };
        let mut writer = match self.blobs.create(id).await {
            // Another row names it as well.
            Err(BlobError::AlreadyExists) => return Ok(true),
            created => created?,
        };
        let (mut context, mut length) = (Context::new(&SHA256), 0);
        while length < source.len() {
            let piece = source.read_at(length, PIECE_BYTES).await?;
            context.update(&piece);
            length += piece.len() as u64;
            writer.write(piece).await?;
        }
        if length != kept.bytes || hex::encode(context.finish()) != kept.sha256 {
            writer.abort().await;
            return Ok(false);
        }
        writer.finish().await?;
        self.report.blobs += 1;
        self.report.blob_bytes += length;
        Ok(true)
    }
}

/// What a row is of, in words: bucket, key and version of an object.
fn name_of(
    key: &Key,
    value: &[u8],
    buckets: &BTreeMap<BucketId, String>,
) -> Result<String, BackupError> {
    let bucket = |id| buckets.get(&id).map_or("a deleted bucket", String::as_str);
    if let Ok(object) = head::decode_key(key) {
        let current = head::HeadRow::decode(value)?.current;
        let version = current.as_ref().map(shown_version).unwrap_or_default();
        return Ok(format!("{}/{object}, version {version}", bucket(head::bucket_of(key)?)));
    }
    if let Ok((object, _)) = version::decode_key(key) {
        let version = shown_version(&version::ObjectVersion::decode(value)?);
        return Ok(format!("{}/{object}, version {version}", bucket(version::bucket_of(key)?)));
    }
    if let Ok((id, object, _)) = refused::decode_key(key) {
        return Ok(format!("{}/{object}, a refused version", bucket(id)));
    }
    if let Ok(object) = guard::decode_key(key) {
        return Ok(format!(
            "{}/{object}, what is known of the state",
            bucket(guard::bucket_of(key)?)
        ));
    }
    Ok(format!("part {} of upload {}", part::decode_key(key)?, part::upload_of(key)?))
}

fn shown_version(version: &version::ObjectVersion) -> String {
    DisplayVersion { id: version.id, is_null: version.is_null }.to_string()
}
