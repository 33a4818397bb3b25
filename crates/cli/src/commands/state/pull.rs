//! `tidelock state pull`

use crate::address::ObjectAddress;
use crate::connect::Session;
use crate::exit::Failure;

/// Write a state to stdout, byte for byte
///
/// Nothing is masked: this is a download, with every secret that the state holds.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The state
    #[arg(value_name = "BUCKET/KEY")]
    state: ObjectAddress,
    /// This version instead of the current one
    #[arg(long, value_name = "ID")]
    version: Option<String>,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let ObjectAddress { bucket, key } = &self.state;
        let version = self.version.as_deref();
        let opened = session.client.open_object(bucket, key, version).await?;
        opened.write_to(&mut tokio::io::stdout(), &mut |_bytes| {}).await?;
        Ok(())
    }
}
