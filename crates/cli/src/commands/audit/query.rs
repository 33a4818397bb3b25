//! `tidelock audit query`

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
        let mut pages = session.client.audit_pages(&filter, self.limit.unwrap_or(usize::MAX));
        let mut list = List::new(session.format);
        while let Some(page) = pages.next().await? {
            list.extend(page)?;
        }
        list.finish()
    }
}
