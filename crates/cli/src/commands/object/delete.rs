//! `tidelock object delete`

use tidelock_client::{Object, ObjectIdentifier, ObjectVersion};

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
    /// All versions and delete markers, for good; of the one object without --recursive
    #[arg(long)]
    with_versions: bool,
    #[command(flatten)]
    change: ChangeArgs,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let recursive = self.recursive || self.prefix.is_some();
        let (change, with_versions) = (self.change, self.with_versions);
        let BucketPrefix { bucket, prefix } = self.place.under(self.prefix.as_deref());
        if prefix.is_empty() && !recursive {
            return Err(Failure::usage("takes BUCKET/KEY; --recursive takes a bucket as well"));
        }
        if !recursive && !with_versions {
            let doomed = ObjectIdentifier { key: prefix, version_id: self.version_id };
            if change.is_real(&deed(&bucket, &doomed)) {
                let version = doomed.version_id.as_deref();
                session.client.delete_object(&bucket, &doomed.key, version).await?;
            }
            return Ok(());
        }
        let what = if with_versions { "all versions, for good," } else { "everything" };
        let under = if recursive { "under" } else { "of" };
        let deed = format!("delete {what} {under} {bucket}/{prefix}");
        change.confirm(&deed, "nothing was deleted")?;
        // A list that is deleted from while it is read goes on after the last key it has seen.
        if with_versions {
            let mut pages = session.client.list_versions(&bucket, &prefix);
            while let Some(page) = pages.next().await? {
                let page = page.into_iter().filter(|found| recursive || found.key == prefix);
                let doomed = |it: ObjectVersion| ObjectIdentifier {
                    key: it.key,
                    version_id: Some(it.version_id),
                };
                delete(session, change, &bucket, page.map(doomed).collect()).await?;
            }
        } else {
            let mut pages = session.client.list_objects(&bucket, &prefix);
            while let Some(page) = pages.next().await? {
                let doomed = |it: Object| ObjectIdentifier { key: it.key, version_id: None };
                delete(session, change, &bucket, page.into_iter().map(doomed).collect()).await?;
            }
        }
        Ok(())
    }
}

/// One page of a list.
async fn delete(
    session: &Session,
    change: ChangeArgs,
    bucket: &str,
    mut page: Vec<ObjectIdentifier>,
) -> Result<(), Failure> {
    page.retain(|doomed| change.is_real(&deed(bucket, doomed)));
    Ok(session.client.delete_objects(bucket, &page).await?)
}

fn deed(bucket: &str, doomed: &ObjectIdentifier) -> String {
    let version = doomed.version_id.iter().map(|id| format!(" version {id}"));
    format!("delete {bucket}/{}{}", doomed.key, version.collect::<String>())
}
