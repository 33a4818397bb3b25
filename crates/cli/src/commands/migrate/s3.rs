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
/// The variable that names a profile.
const PROFILE_VARIABLE: &str = "AWS_PROFILE";

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
        let destination = session.client.settings();
        let client = self.client(&self.source_endpoint, destination)?;
        let locks = match &self.lock_table {
            Some(table) => Some(LockTable::new(self.lock_client(&client, destination)?, table)),
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

    fn client(&self, endpoint: &str, destination: &Settings) -> Result<Client, Failure> {
        let overrides = Overrides {
            endpoint: Some(endpoint.to_owned()),
            region: self.source_region.clone(),
            profile: self.source_profile.clone(),
            ca_bundle: self.source_ca_bundle.clone(),
        };
        let has_own = self.source_profile.is_some() || names_identity(&variable);
        let settings = if has_own {
            Settings::resolve(overrides, &|name| source_variable(name, &variable))?
        } else {
            Settings::resolve(overrides, &|name| {
                own(name, &variable).or_else(|| destination_value(name, destination))
            })?
        };
        Ok(Client::new(settings, Now::new(jiff::Timestamp::now))?)
    }

    fn lock_client(&self, source: &Client, destination: &Settings) -> Result<Client, Failure> {
        let aws = || format!("https://dynamodb.{}.amazonaws.com", source.settings().region);
        match &self.lock_endpoint {
            Some(endpoint) => self.client(endpoint, destination),
            None if source.is_aws() => self.client(&aws(), destination),
            None => Ok(source.clone()),
        }
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The variable of the source.
fn own(name: &str, variable: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    variable(&format!("{SOURCE_VARIABLE}{name}"))
}

/// Whether variables say who asks the source.
fn names_identity(variable: &dyn Fn(&str) -> Option<String>) -> bool {
    let names = KEY_VARIABLES.iter().chain([&PROFILE_VARIABLE]);
    names.into_iter().any(|name| own(name, variable).is_some())
}

/// What the destination's settings came to, under the name of the variable that would say so.
fn destination_value(name: &str, destination: &Settings) -> Option<String> {
    let Settings { region, credentials, ca_bundle, .. } = destination;
    match name {
        "AWS_ACCESS_KEY_ID" => Some(credentials.access_key_id.clone()),
        "AWS_SECRET_ACCESS_KEY" => Some(credentials.secret_access_key.clone()),
        "AWS_SESSION_TOKEN" => credentials.session_token.clone(),
        "AWS_REGION" => Some(region.clone()),
        "AWS_CA_BUNDLE" => Some(ca_bundle.as_ref()?.to_str()?.to_owned()),
        _ => None,
    }
}

/// The variable of a source that has an identity of its own, or else that of the destination; never the
/// destination's identity.
fn source_variable(name: &str, variable: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let found = own(name, variable);
    if KEY_VARIABLES.contains(&name) || name == PROFILE_VARIABLE {
        return found;
    }
    found.or_else(|| variable(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_with_an_identity_has_none_of_the_destinations() {
        let both = ["AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_PROFILE"];
        let own = ["SOURCE_AWS_ACCESS_KEY_ID", "SOURCE_AWS_REGION"];
        let rows: [(&[&str], &str, Option<&str>); 7] = [
            (&[], "AWS_ACCESS_KEY_ID", None),
            (&[], "AWS_PROFILE", None),
            (&[], "AWS_REGION", Some("AWS_REGION")),
            (&own, "AWS_ACCESS_KEY_ID", Some("SOURCE_AWS_ACCESS_KEY_ID")),
            (&own, "AWS_SESSION_TOKEN", None),
            (&own, "AWS_REGION", Some("SOURCE_AWS_REGION")),
            (&["SOURCE_AWS_PROFILE"], "AWS_PROFILE", Some("SOURCE_AWS_PROFILE")),
        ];
        for (own, name, expected) in rows {
            let is_set = |name: &str| both.contains(&name) || own.contains(&name);
            let variable = |name: &str| is_set(name).then(|| name.to_owned());
            let found = source_variable(name, &variable);
            assert_eq!(found.as_deref(), expected, "{own:?} {name}");
            assert_eq!(names_identity(&variable), !own.is_empty(), "{own:?}");
        }
    }
}
