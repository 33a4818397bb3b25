//! `tidelock migrate s3`

use std::path::PathBuf;

use tidelock_client::migrate::{LockTable, PrefixKeys, S3Source, Source};
use tidelock_client::settings::Overrides;
use tidelock_client::{Client, Now, Settings};

use super::Target;
use super::edit::FileEdit;
use crate::address::BucketPrefix;
use crate::connect::Session;
use crate::exit::Failure;

/// Before the standard AWS variables, where they are about the source.
const SOURCE_VARIABLE: &str = "SOURCE_";
/// The variables of a key pair, which belong together.
const KEY_VARIABLES: &[&str] = &["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];

/// Move the states of another bucket, with all versions and delete markers, in their order
///
/// Keys stay as they are; with a prefix at the destination, it takes the place of the source's, within
/// workspaces too. The source's key is in `SOURCE_AWS_ACCESS_KEY_ID`, `SOURCE_AWS_SECRET_ACCESS_KEY` and
/// `SOURCE_AWS_SESSION_TOKEN`, or in --source-profile; else it is the destination's.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// URL of the source's endpoint, as `https://s3.eu-central-1.amazonaws.com`
    #[arg(value_name = "SOURCE_ENDPOINT")]
    source_endpoint: String,
    /// Where the states are
    #[arg(value_name = "SOURCE_BUCKET[/PREFIX]")]
    source: BucketPrefix,
    #[command(flatten)]
    target: Target,
    /// Region of the source; wins over `SOURCE_AWS_REGION`
    #[arg(long, value_name = "REGION")]
    source_region: Option<String>,
    /// Profile with the source's key
    #[arg(long, value_name = "NAME")]
    source_profile: Option<String>,
    /// PEM file with certificates to trust at the source as well
    #[arg(long, value_name = "FILE")]
    source_ca_bundle: Option<PathBuf>,
    /// The DynamoDB table of the backend (`dynamodb_table`): a state whose lock is held there is refused
    #[arg(long, value_name = "TABLE")]
    lock_table: Option<String>,
    /// URL of the table's endpoint [default: AWS's own, or that of the source]
    #[arg(long, value_name = "URL", requires = "lock_table")]
    lock_endpoint: Option<String>,
    /// Once all states are moved, change the `backend "s3"` block in this file: no lock table but
    /// `use_lockfile`, and the new bucket and endpoint. The file as it was is kept as FILE.backup
    #[arg(long, value_name = "FILE")]
    edit: Option<PathBuf>,
}

impl Args {
    pub(crate) async fn run(self, session: Session) -> Result<(), Failure> {
        let client = self.client(&self.source_endpoint)?;
        let locks = match &self.lock_table {
            Some(table) => Some(LockTable::new(self.lock_client(&client)?, table)),
            None => None,
        };
        let keys = PrefixKeys::of(&self.source.prefix, &self.target.destination.prefix);
        // Looked at before anything is moved, and written after all of it was.
        let edit = match &self.edit {
            Some(path) => {
                let buckets = (self.source.bucket.as_str(), &self.target.destination.bucket[..]);
                Some(FileEdit::look(path, &session, buckets, &keys).await?)
            }
            None => None,
        };
        let source = Source::S3(S3Source::new(client, &self.source.bucket, keys, locks));
        self.target.migrate(&session, &source).await?;
        match edit {
            Some(edit) if self.target.dry_run => edit.tell(),
            Some(edit) => edit.write()?,
            None => {}
        }
        Ok(())
    }

    fn client(&self, endpoint: &str) -> Result<Client, Failure> {
        let overrides = Overrides {
            endpoint: Some(endpoint.to_owned()),
            region: self.source_region.clone(),
            profile: self.source_profile.clone(),
            ca_bundle: self.source_ca_bundle.clone(),
        };
        let settings = Settings::resolve(overrides, &|name| source_variable(name, &variable))?;
        Ok(Client::new(settings, Now::new(jiff::Timestamp::now))?)
    }

    fn lock_client(&self, source: &Client) -> Result<Client, Failure> {
        let aws = || format!("https://dynamodb.{}.amazonaws.com", source.settings().region);
        match &self.lock_endpoint {
            Some(endpoint) => self.client(endpoint),
            None if source.is_aws() => self.client(&aws()),
            None => Ok(source.clone()),
        }
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The variable of the source, or else that of the destination; a key pair is never made of both.
fn source_variable(name: &str, variable: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let own = |name: &str| variable(&format!("{SOURCE_VARIABLE}{name}"));
    if KEY_VARIABLES.contains(&name) && KEY_VARIABLES.iter().any(|name| own(name).is_some()) {
        return own(name);
    }
    own(name).or_else(|| variable(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_pair_is_of_one_side() {
        let both = ["AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN", "AWS_REGION"];
        let own = ["SOURCE_AWS_ACCESS_KEY_ID", "SOURCE_AWS_REGION"];
        let rows: [(&[&str], &str, Option<&str>); 6] = [
            (&[], "AWS_ACCESS_KEY_ID", Some("AWS_ACCESS_KEY_ID")),
            (&[], "AWS_SESSION_TOKEN", Some("AWS_SESSION_TOKEN")),
            (&own, "AWS_ACCESS_KEY_ID", Some("SOURCE_AWS_ACCESS_KEY_ID")),
            (&own, "AWS_SESSION_TOKEN", None),
            (&own, "AWS_REGION", Some("SOURCE_AWS_REGION")),
            (&own, "AWS_PROFILE", None),
        ];
        for (own, name, expected) in rows {
            let is_set = |name: &str| both.contains(&name) || own.contains(&name);
            let found = source_variable(name, &|name| is_set(name).then(|| name.to_owned()));
            assert_eq!(found.as_deref(), expected, "{own:?} {name}");
        }
    }
}
