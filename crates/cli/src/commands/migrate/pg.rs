//! `tidelock migrate pg`

use tidelock_client::migrate::{FolderKeys, POSTGRES_SCHEMA, PostgresSource, Source};
use tidelock_server::backend_block::STATE_KEY;

use super::Target;
use crate::connect::Session;
use crate::exit::Failure;

/// Move the workspaces of Terraform's PostgreSQL backend
///
/// The table has no versions: each workspace becomes one. TLS is verified wherever it is used, with
/// `sslrootcert` or --ca-bundle besides the machine's roots.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The backend's `conn_str`, as postgres://USER@HOST:PORT/DATABASE?sslmode=...; the password may be
    /// in `PGPASSWORD`, which process lists do not show
    #[arg(value_name = "URL")]
    url: String,
    #[command(flatten)]
    target: Target,
    /// The backend's `schema_name`
    #[arg(long, value_name = "NAME", default_value = POSTGRES_SCHEMA)]
    schema: String,
    /// The key of the default workspace, below the destination's prefix
    #[arg(long, value_name = "KEY", default_value = STATE_KEY)]
    key: String,
}

impl Args {
    pub(crate) async fn run(self, session: Session) -> Result<(), Failure> {
        let keys = FolderKeys::of(&self.target.destination.prefix);
        let password = std::env::var("PGPASSWORD").ok().filter(|password| !password.is_empty());
        let bundle = session.client.settings().ca_bundle.as_deref();
        let place = (keys, self.key.as_str());
        let connected =
            PostgresSource::connect(&self.url, password.as_deref(), bundle, &self.schema, place);
        let source = Source::Postgres(connected.await?);
        self.target.migrate(&session, &source).await
    }
}
