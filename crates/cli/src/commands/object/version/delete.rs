//! `tidelock object version delete`

use crate::address::ObjectAddress;
use crate::connect::{ChangeArgs, Session};
use crate::exit::Failure;

/// Delete one version or delete marker, for good
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The object
    #[arg(value_name = "BUCKET/KEY")]
    object: ObjectAddress,
    /// The version
    #[arg(value_name = "ID")]
    version_id: String,
    #[command(flatten)]
    change: ChangeArgs,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let (ObjectAddress { bucket, key }, id) = (&self.object, &self.version_id);
        let deed = format!("delete version {id} of {bucket}/{key}, for good");
        self.change.confirm(&deed, "nothing was deleted")?;
        if self.change.is_real(&deed) {
            session.client.delete_object(bucket, key, Some(id)).await?;
        }
        Ok(())
    }
}
