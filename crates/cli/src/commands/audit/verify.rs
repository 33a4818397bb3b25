//! `tidelock audit verify`

use tidelock_client::audit::AuditVerification;

use crate::connect::Session;
use crate::exit::{Failure, shown};
use crate::output::{self, Row};

/// Check that nothing in the log was changed or taken out; exit status 1 if something was
#[derive(clap::Args, Debug)]
pub(crate) struct Args {}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let found = session.client.verify_audit().await?;
        shown(output::one(session.format, &found))?;
        damage(&found).map_or(Ok(()), |what| Err(Failure::other(&what)))
    }
}

/// What is wrong with the log; none only of one that is whole by all that was answered.
fn damage(found: &AuditVerification) -> Option<String> {
    if found.intact && found.damaged_segment.is_none() && found.damage.is_none() {
        return None;
    }
    let mut what = "the audit log is damaged".to_owned();
    if let Some(segment) = found.damaged_segment {
        what.push_str(&format!(" at segment {segment}"));
    }
    if let Some(damage) = &found.damage {
        what.push_str(&format!(": {damage}"));
    }
    Some(what)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_not_whole_is_damaged() {
        let rows = [
            (true, None, None, None),
            (false, Some(7), Some("gone"), Some("the audit log is damaged at segment 7: gone")),
            (false, None, None, Some("the audit log is damaged")),
            (false, Some(7), None, Some("the audit log is damaged at segment 7")),
            (true, None, Some("gone"), Some("the audit log is damaged: gone")),
        ];
        for (intact, damaged_segment, reason, expected) in rows {
            let found = AuditVerification {
                intact,
                first_segment: 0,
                segments: 0,
                entries: 0,
                first_time: None,
                last_time: None,
                before_first: String::new(),
                head: String::new(),
                damaged_segment,
                damage: reason.map(str::to_owned),
            };
            assert_eq!(damage(&found).as_deref(), expected, "{found:?}");
        }
    }
}
