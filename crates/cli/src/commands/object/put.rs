//! `tidelock object put`

use std::path::{Path, PathBuf};

use tidelock_client::{Upload, WriteCondition};
use tokio::io::AsyncRead;

use crate::address::ObjectAddress;
use crate::connect::{ChangeArgs, Session};
use crate::exit::{Failure, interrupted};
use crate::progress;

/// Write a file as an object
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The object
    #[arg(value_name = "BUCKET/KEY")]
    object: ObjectAddress,
    /// The file, or `-` for stdin
    file: PathBuf,
    #[command(flatten)]
    change: ChangeArgs,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let ObjectAddress { bucket, key } = &self.object;
        let deed = format!("write {} as {bucket}/{key}", self.file.display());
        if !self.change.is_real(&deed) {
            return Ok(());
        }
        let (mut source, size): (Box<dyn AsyncRead + Send + Unpin>, _) =
            if self.file == Path::new("-") {
                (Box::new(tokio::io::stdin()), None)
            } else {
                let named = |error| Failure::other(&format!("{}: {error}", self.file.display()));
                let file = tokio::fs::File::open(&self.file).await.map_err(named)?;
                let about = file.metadata().await.map_err(named)?;
                if about.is_dir() {
                    return Err(named(std::io::ErrorKind::IsADirectory.into()));
                }
                (Box::new(file), about.is_file().then_some(about.len()))
            };
        let bar = progress::bar(key, size);
        let mut moved = |bytes| bar.inc(bytes);
        let upload =
            Upload { bucket, key, size, headers: &[], condition: &WriteCondition::Anything };
        let client = &session.client;
        let result = client.put_object(&upload, &mut *source, &mut moved, interrupted()).await;
        bar.finish_and_clear();
        Ok(result?)
    }
}
