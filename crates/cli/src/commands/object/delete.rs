//! `tidelock object delete`

use std::io::{BufRead as _, IsTerminal as _};

use crate::address::BucketPrefix;
use crate::connect::{ChangeArgs, Session};
use crate::exit::Failure;

/// Delete an object, or all objects under a prefix
///
/// In a versioned bucket this leaves a delete marker, unless --version-id or --with-versions says
/// otherwise.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The object; with --recursive a bucket and what the keys begin with
    #[arg(value_name = "BUCKET/KEY")]
    place: BucketPrefix,
    /// This version, for good
    #[arg(long, value_name = "ID", conflicts_with_all = ["recursive", "prefix", "with_versions"])]
    version_id: Option<String>,
    /// All objects whose keys begin with what is given
    #[arg(long, short)]
    recursive: bool,
    /// What the keys begin with; means --recursive
    #[arg(long)]
    prefix: Option<String>,
    /// All versions and delete markers, for good
    #[arg(long)]
    with_versions: bool,
    #[command(flatten)]
    change: ChangeArgs,
}

/// One thing to delete.
struct Doomed {
    key: String,
    version: Option<String>,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let recursive = self.recursive || self.prefix.is_some();
        let (change, with_versions) = (self.change, self.with_versions);
        let version = self.version_id;
        let place = self.place.under(self.prefix.as_deref());
        if recursive {
            let deed = format!("delete everything under {}/{}", place.bucket, place.prefix);
            confirm(change, &deed)?;
        } else if place.prefix.is_empty() {
            return Err(Failure::usage("takes BUCKET/KEY; --recursive takes a bucket as well"));
        }
        if !recursive && !with_versions {
            let doomed = Doomed { key: place.prefix, version };
            return delete(session, change, &place.bucket, doomed).await;
        }
        // A list that is deleted from while it is read goes on after the last key it has seen.
        if with_versions {
            let mut pages = session.client.list_versions(&place.bucket, &place.prefix);
            while let Some(page) = pages.next().await? {
                for found in page {
                    if recursive || found.key == place.prefix {
                        let doomed = Doomed { key: found.key, version: Some(found.version_id) };
                        delete(session, change, &place.bucket, doomed).await?;
                    }
                }
            }
        } else {
            let mut pages = session.client.list_objects(&place.bucket, &place.prefix);
            while let Some(page) = pages.next().await? {
                for found in page {
                    let doomed = Doomed { key: found.key, version: None };
                    delete(session, change, &place.bucket, doomed).await?;
                }
            }
        }
        Ok(())
    }
}

async fn delete(
    session: &Session,
    change: ChangeArgs,
    bucket: &str,
    doomed: Doomed,
) -> Result<(), Failure> {
    let Doomed { key, version } = doomed;
    let version = version.as_deref();
    let which = version.map(|id| format!(" version {id}")).unwrap_or_default();
    if change.is_real(&format!("delete {bucket}/{key}{which}")) {
        session.client.delete_object(bucket, &key, version).await?;
    }
    Ok(())
}

/// Many objects at once are asked about, unless `--yes` or `--dry-run` has answered.
fn confirm(change: ChangeArgs, deed: &str) -> Result<(), Failure> {
    if change.is_settled() {
        return Ok(());
    }
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Err(Failure::usage(format!("to {deed}, give --yes")));
    }
    eprint!("tidelock: {deed}? [y/N] ");
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer)?;
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(Failure::usage("nothing was deleted")),
    }
}
