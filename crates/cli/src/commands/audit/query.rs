//! `tidelock audit query`

use super::PAGE_ENTRIES;
use super::filter::FilterArgs;
use crate::connect::Session;
use crate::exit::Failure;
use crate::output::List;

/// Show entries, oldest first
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    filter: FilterArgs,
    /// At most COUNT entries
    #[arg(long, value_name = "COUNT")]
    limit: Option<usize>,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let filter = self.filter.filter()?;
        let mut left = self.limit.unwrap_or(usize::MAX);
        let mut list = List::new(session.format);
        let mut after: Option<String> = None;
        while left > 0 {
            let limit = left.min(PAGE_ENTRIES);
            let page = session.client.audit_page(&filter, after.as_deref(), limit).await?;
            left -= page.entries.len().min(left);
            list.extend(page.entries)?;
            if page.complete {
                break;
            }
            after = Some(page.next);
        }
        list.finish()
    }
}
