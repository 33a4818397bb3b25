//! `tidelock object get`

use std::path::{Path, PathBuf};

use tidelock_client::{ClientError, Download};
use tokio::io::AsyncWrite;

use crate::address::ObjectAddress;
use crate::connect::Session;
use crate::exit::{Failure, interrupted};
use crate::part::PartFile;
use crate::progress;

/// Read an object into a file
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The object
    #[arg(value_name = "BUCKET/KEY")]
    object: ObjectAddress,
    /// The file, or `-` for stdout [default: the last part of the key]
    file: Option<PathBuf>,
    /// This version instead of the latest
    #[arg(long, value_name = "ID")]
    version_id: Option<String>,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let file = match &self.file {
            Some(file) => file.clone(),
            None => self.file_of_key()?,
        };
        if file == Path::new("-") {
            return self.write(session, &mut tokio::io::stdout()).await;
        }
        match tokio::fs::metadata(&file).await {
            Ok(found) if found.is_dir() => {
                Err(named(&file)(std::io::ErrorKind::IsADirectory.into()))
            }
            // A device or a pipe is written to; putting a file in its place would destroy it.
            Ok(found) if !found.is_file() => {
                let opened = tokio::fs::OpenOptions::new().write(true).open(&file).await;
                self.write(session, &mut opened.map_err(named(&file))?).await
            }
            Ok(_) | Err(_) => self.replace(session, &file).await,
        }
    }

    /// Beside its place and renamed at the end: a transfer that breaks off leaves the old file.
    async fn replace(&self, session: &Session, file: &Path) -> Result<(), Failure> {
        let replaced = async {
            let opened = self.open(session).await?;
            let mut part = PartFile::beside(file).await?;
            self.pour(opened, &mut part.file).await?;
            part.keep_as(file)
        };
        tokio::select! {
            replaced = replaced => replaced,
            () = interrupted() => Err(ClientError::Interrupted.into()),
        }
    }

    async fn write(
        &self,
        session: &Session,
        sink: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<(), Failure> {
        self.pour(self.open(session).await?, sink).await
    }

    async fn open<'a>(&self, session: &'a Session) -> Result<Download<'a>, Failure> {
        let ObjectAddress { bucket, key } = &self.object;
        Ok(session.client.open_object(bucket, key, self.version_id.as_deref()).await?)
    }

    async fn pour(
        &self,
        opened: Download<'_>,
        sink: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<(), Failure> {
        let bar = progress::bar(&self.object.key, opened.length);
        let result = opened.write_to(sink, &mut |bytes| bar.inc(bytes)).await;
        bar.finish_and_clear();
        result?;
        Ok(())
    }

    fn file_of_key(&self) -> Result<PathBuf, Failure> {
        let name = self.object.key.rsplit('/').next().unwrap_or_default();
        if name.is_empty() || name == "." || name == ".." {
            return Err(Failure::usage("the key names no file: give one, or - for stdout"));
        }
        Ok(PathBuf::from(name))
    }
}

fn named(file: &Path) -> impl Fn(std::io::Error) -> Failure {
    move |error| Failure::other(&format!("{}: {error}", file.display()))
}
