//! `tidelock admin recover`

use std::path::{Path, PathBuf};

use indicatif::{HumanBytes, HumanCount};
use tidelock_server::Surroundings;
use tidelock_server::admin::extract::{Extract, Extracted, Listed, Place, Wanted};
use tidelock_server::admin::recover::{RecoverReport, recover};
use tidelock_server::admin::verify::Damaged;
use tidelock_server::config::{BlobLocation, DATA_DEFAULT};

use super::verify;
use crate::address::{BucketPrefix, ObjectAddress};
use crate::exit::{self, Failure};
use crate::output::{self, Format, List, Row, printable};
use crate::part::PartFile;

/// Save what is whole of a damaged store into a new data directory, or read an object without a server
///
/// Reads the commit log around what is damaged; no index and no server is needed, and the damaged directory stays
/// as it is. With --into, also copies bodies, keyring and credentials to a new directory. With --object, decrypts and
/// checks one object; with --list, says which there are. What was changed in a damaged part is lost: rows are mostly as they were
/// before, one that stood only there is gone, and one that was deleted there is back. So look at the states with `tidelock state versions` before anybody applies. Then serve the new directory.
#[derive(clap::Args, Debug)]
#[command(group(clap::ArgGroup::new("what").required(true).args(["into", "object", "list"])))]
pub(crate) struct Args {
    /// The data directory of the stopped server
    #[arg(long, value_name = "DIR", env = "TIDELOCK_DATA", default_value = DATA_DEFAULT)]
    data: PathBuf,
    /// The new data directory, empty or missing
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,
    /// Read this object
    #[arg(long, value_name = "BUCKET/KEY", requires = "to")]
    object: Option<ObjectAddress>,
    /// Where the object goes: a file, or `-` for stdout
    #[arg(long, value_name = "FILE", requires = "object")]
    to: Option<PathBuf>,
    /// This version instead of the latest
    #[arg(long, value_name = "ID", requires = "object")]
    version_id: Option<String>,
    /// File with the 32 bytes of the client's key, for an object under one (SSE-C)
    #[arg(long, value_name = "FILE", requires = "object")]
    customer_key_file: Option<PathBuf>,
    /// List versions of objects: all, or those of a bucket and under a prefix
    #[arg(long, value_name = "BUCKET/PREFIX", num_args = 0..=1)]
    list: Option<Option<BucketPrefix>>,
    /// The keyring, to read with [default: that of the data directory]
    #[arg(long, value_name = "FILE", env = "TIDELOCK_KEYRING")]
    keyring: Option<PathBuf>,
    /// Where bodies are, as `serve --blobs` has it
    #[arg(long, value_name = "ENGINE", env = "TIDELOCK_BLOBS", default_value = "local")]
    blobs: String,
}

impl Args {
    pub(crate) async fn run(self, format: Format) -> Result<(), Failure> {
        if let Some(into) = &self.into {
            let Surroundings { clock, .. } = Surroundings::of_machine();
            let report = recover(self.data.clone(), into.clone(), clock).await?;
            exit::shown(output::text_or(format, &text(&report), &report))?;
            eprintln!("tidelock: serve it with --data {}", into.display());
            if report.damage.is_empty() {
                return Ok(());
            }
            let what = "the log is damaged: what was saved may be older than what was last written";
            return Err(Failure::other(&what));
        }
        let place = Place {
            data: self.data.clone(),
            keyring: self.keyring.clone(),
            blobs: BlobLocation::parse(&self.blobs)?,
            variables: tidelock_server::object_store_variables(),
        };
        let Surroundings { clock, entropy, .. } = Surroundings::of_machine();
        let extract = Extract::open(place, clock, entropy).await?;
        warn(extract.damage());
        match (self.object, self.to) {
            (Some(ObjectAddress { bucket, key }), Some(to)) => {
                let customer_key =
                    self.customer_key_file.as_deref().map(customer_key).transpose()?;
                let wanted = Wanted { bucket, key, version: self.version_id, customer_key };
                read(&extract, &wanted, &to, format).await
            }
            _ => {
                let within = self.list.flatten();
                let within = within.as_ref().map(|it| (it.bucket.as_str(), it.prefix.as_str()));
                let mut list = List::new(format);
                list.extend(extract.list(within).await?)?;
                list.finish()
            }
        }
    }
}

fn warn(damage: &[Damaged]) {
    if damage.is_empty() {
        return;
    }
    eprint!("{}", verify::damage(damage));
    eprintln!("tidelock: the log is damaged: this may be older than what was last written");
}

fn customer_key(path: &Path) -> Result<tidelock_server::admin::extract::CustomerKey, Failure> {
    let bytes = std::fs::read(path)
        .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
    let key = tidelock_server::admin::extract::CustomerKey::new(&bytes);
    key.ok_or_else(|| Failure::usage(format!("{}: the key has 32 bytes", path.display())))
}

/// Reads an object; a file has its name only when it was found to be what was written.
async fn read(
    extract: &Extract,
    wanted: &Wanted,
    to: &Path,
    format: Format,
) -> Result<(), Failure> {
    if to == Path::new("-") {
        let read = extract.read(wanted, &mut tokio::io::stdout()).await?;
        eprintln!("tidelock: version {}, {} bytes, as it was written", read.version, read.size);
        return Ok(());
    }
    let mut part = PartFile::beside(to).await?;
    let read = extract.read(wanted, &mut part.file).await?;
    part.keep_as(to)?;
    output::one(format, &read)
}

impl Row for Extracted {
    const COLUMNS: &'static [&'static str] = &["version", "size", "modified"];

    fn cells(&self) -> Vec<String> {
        vec![self.version.clone(), self.size.to_string(), shown(self.modified_ms)]
    }
}

impl Row for Listed {
    const COLUMNS: &'static [&'static str] =
        &["bucket", "key", "version", "latest", "size", "modified"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.bucket.clone(),
            printable(&self.key),
            self.version.clone(),
            self.is_latest.to_string(),
            output::text(self.size),
            shown(self.modified_ms),
        ]
    }
}

fn shown(unix_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(unix_ms).unwrap_or_default().to_string()
}

fn text(report: &RecoverReport) -> String {
    let RecoverReport { rows, row_bytes, files, file_bytes, .. } = *report;
    let saved = format!(
        "rows:   {}, {}\nfiles:  {}, {}\n",
        HumanCount(rows),
        HumanBytes(row_bytes),
        HumanCount(files),
        HumanBytes(file_bytes)
    );
    saved + &verify::damage(&report.damage)
}
