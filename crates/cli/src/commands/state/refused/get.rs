//! `tidelock state refused get`

use crate::address::ObjectAddress;
use crate::connect::Session;
use crate::exit::Failure;

/// Write a refused state to stdout, byte for byte
///
/// Nothing is masked: this is a download, with every secret that the state holds.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The state
    #[arg(value_name = "BUCKET/KEY")]
    state: ObjectAddress,
    /// Which of its refused versions
    id: String,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let ObjectAddress { bucket, key } = &self.state;
        let mut stdout = tokio::io::stdout();
        Ok(session.client.get_refused((bucket, key), &self.id, &mut stdout).await?)
    }
}
