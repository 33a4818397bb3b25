//! `tidelock admin keyring rewrap`

use std::fmt::Write as _;

use indicatif::HumanCount;
use tidelock_client::keyring::{Rewrap, Rewrapped};

use crate::connect::Session;
use crate::exit::{Failure, shown};
use crate::output;
use crate::progress;

/// Wrap by the keyring's first key what older ones have wrapped, so that they can go
///
/// Data keys, secrets of users and webhooks and the audit log, while the server serves. No body is read
/// or written, and nothing that clients see changes. May be run again at any time: what is done is done.
/// Objects with SSE-KMS keep the key that they name, unless --kms-key asks for them. Root only.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// A key whose SSE-KMS objects get the first key, and name that one from then on; may be repeated
    #[arg(long = "kms-key", value_name = "NAME")]
    kms_keys: Vec<String>,
    /// Only count what would be done
    #[arg(long)]
    dry_run: bool,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let (kms_keys, dry_run) = (self.kms_keys, self.dry_run);
        let mut asked = Rewrap { after: None, kms_keys, dry_run };
        let mut all = Rewrapped::default();
        let bar = progress::steps();
        loop {
            let page = session.client.rewrap_keys(&asked).await;
            all.add(page.inspect_err(|_| bar.finish_and_clear())?);
            bar.set_message(format!("{} re-wrapped", HumanCount(all.rewrapped)));
            bar.tick();
            if all.next.is_none() {
                break;
            }
            asked.after.clone_from(&all.next);
        }
        bar.finish_and_clear();
        shown(output::text_or(session.format, &text(&all, dry_run), &all))?;
        match all.damaged {
            0 => Ok(()),
            damaged => Err(Failure::other(&format!("{damaged} do not open: see the server's log"))),
        }
    }
}

fn text(all: &Rewrapped, dry_run: bool) -> String {
    let done = if dry_run { "would be re-wrapped" } else { "re-wrapped" };
    let Rewrapped { current, rewrapped, already, .. } = all;
    let mut text = format!("key '{current}': {rewrapped} {done}, {already} were already\n");
    for key in all.keys.iter().filter(|key| key.name != *current) {
        // Writing to a string does not fail.
        let _infallible = writeln!(
            text,
            "key '{}' is still needed: it wraps {}, {} of them SSE-KMS; default of {} buckets",
            key.name, key.wrapped, key.kms, key.defaults
        );
    }
    if all.keys.iter().all(|key| key.name == *current) {
        text.push_str("no other key is needed\n");
    }
    text
}
