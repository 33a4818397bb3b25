//! `tidelock audit verify`

use tidelock_client::audit::AuditVerification;

use crate::connect::Session;
use crate::exit::Failure;
use crate::output::{self, Row};

/// Check that nothing in the log was changed or taken out; exit status 1 if something was
#[derive(clap::Args, Debug)]
pub(crate) struct Args {}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let found = session.client.verify_audit().await?;
        output::one(session.format, &found)?;
        match (&found.damaged_segment, &found.damage) {
            (Some(segment), Some(damage)) => {
                let what = format!("the audit log is damaged at segment {segment}: {damage}");
                Err(Failure::other(&what))
            }
            _ => Ok(()),
        }
    }
}

impl Row for AuditVerification {
    const COLUMNS: &'static [&'static str] =
        &["intact", "entries", "segments", "from", "to", "head"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.intact.to_string(),
            self.entries.to_string(),
            self.segments.to_string(),
            self.first_time.clone().unwrap_or_default(),
            self.last_time.clone().unwrap_or_default(),
            self.head.clone(),
        ]
    }
}
