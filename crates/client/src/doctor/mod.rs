//! Proves or disproves that locking with an endpoint is safe, by doing what locks rest on.
//!
//! It asks the endpoint and believes no documentation: single requests first, then races. All that it
//! writes is below one random prefix, in a bucket of its own unless it is given one. It knows no
//! product by name, and reads no clock and no randomness: the caller brings both.

mod check;
mod conditions;
mod contest;
mod payloads;
mod races;
mod reads;
mod service;
mod ward;

#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::Serialize;

use check::{Check, Needs};
use ward::Ward;

use crate::{Client, ClientError};

/// Clients of a race, unless the caller says otherwise.
pub const RACERS_DEFAULT: usize = 16;
/// Most clients of a race; each has a connection.
pub const RACERS_MAX: usize = 256;
/// Rounds of a race, unless the caller says otherwise.
pub const ROUNDS_DEFAULT: u32 = 50;
/// Most rounds of a race.
pub const ROUNDS_MAX: u32 = 10_000;
/// Longest time of one check; one that takes longer has failed.
const CHECK_TIME_MAX: Duration = Duration::from_secs(300);
/// Bytes of a prefix that nobody else chooses, in hexadecimal digits.
const RANDOM_LENGTH: usize = 8;
/// What the prefix and the bucket of an examination are called, before the random part.
const NAME: &str = "tidelock-doctor-";
/// What the verdict is when nothing that locks rest on has failed.
const SAFE: &str = "safe for state locks";

/// All checks, in the order they are made: first what locks are, and last what needs versions, as
/// these are turned on for it.
const CHECKS: &[&[Check]] = &[
    service::CHECKS,
    conditions::CHECKS,
    races::CHECKS,
    reads::CHECKS,
    payloads::CHECKS,
    service::VERSIONS,
    conditions::ON_VERSIONS,
    races::ON_VERSIONS,
];

/// What is to be examined, and how hard.
#[derive(Clone, Debug)]
pub struct Order {
    /// A bucket that is there already; without one a bucket is made, and removed at the end.
    pub bucket: Option<String>,
    /// Clients of a race, 2 to [`RACERS_MAX`].
    pub racers: usize,
    /// Rounds of a race, 1 to [`ROUNDS_MAX`]. A slow endpoint gets fewer.
    pub rounds: u32,
    /// What names are made of.
    pub random: [u8; 16],
}

/// What a check came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As S3 has it.
    Pass,
    /// State locks, or states, are not safe.
    Fail,
    /// Not as S3 has it, but neither Terraform nor OpenTofu rests a lock on it.
    Warn,
    /// There was nothing to find out.
    Skipped,
}

/// One check, made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was checked, in words with hyphens.
    pub check: &'static str,
    /// What it came to.
    pub verdict: Verdict,
    /// What the endpoint did.
    pub seen: String,
    /// What to do about it; empty when there is nothing to do.
    pub advice: String,
}

/// An examination, made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Where the endpoint is.
    pub endpoint: String,
    /// Whether nothing that locks rest on has failed.
    pub safe: bool,
    /// The same in one line, with the reasons.
    pub verdict: String,
    /// Every check.
    pub checks: Vec<Finding>,
}

/// An examination that has begun: there is something to clean up.
#[derive(Debug)]
pub struct Examination {
    ward: Ward,
}

impl Examination {
    /// Makes the bucket, unless there is one.
    ///
    /// # Errors
    /// See [`ClientError`]: the endpoint cannot be reached, denies, or has no such bucket.
    pub async fn begin(client: &Client, order: &Order) -> Result<Self, ClientError> {
        let random: String =
            order.random.iter().take(RANDOM_LENGTH).map(|byte| format!("{byte:02x}")).collect();
        let name = format!("{NAME}{random}");
        let (bucket, is_own) = match &order.bucket {
            Some(bucket) => (bucket.clone(), false),
            None => (name.clone(), true),
        };
        if is_own {
            client.create_bucket(&bucket).await?;
        }
        let ward = Ward {
            client: client.clone(),
            has_versions: !is_own && ward::keeps_versions(client, &bucket).await?,
            bucket,
            is_own,
            prefix: format!("{name}/"),
            racers: order.racers,
            rounds: order.rounds,
        };
        Ok(Self { ward })
    }

    /// Makes every check; `told` is called with the name of each before it is made.
    pub async fn run(&mut self, told: &mut (dyn FnMut(&'static str) + Send)) -> Vec<Finding> {
        let mut findings = Vec::new();
        for check in CHECKS.iter().copied().flatten() {
            told(check.name);
            let finding = self.make(check).await;
            if check.name == service::VERSIONING && finding.verdict == Verdict::Pass {
                self.ward.has_versions = true;
            }
            findings.push(finding);
        }
        findings
    }

    /// The bucket.
    pub fn bucket(&self) -> &str {
        &self.ward.bucket
    }

    /// What the keys of all that is written begin with; it ends with a slash.
    pub fn prefix(&self) -> &str {
        &self.ward.prefix
    }

    /// Removes all that was written, whoever wrote it, and the bucket if it was made for this.
    ///
    /// # Errors
    /// See [`ClientError`]; what could not be removed is still there.
    pub async fn clean_up(self) -> Result<(), ClientError> {
        self.ward.sweep().run().await
    }

    async fn make(&self, check: &Check) -> Finding {
        if check.needs == Needs::Versions && !self.ward.has_versions {
            return check.skipped("the bucket keeps no versions");
        }
        let made = tokio::time::timeout(CHECK_TIME_MAX, (check.run)(&self.ward)).await;
        match made {
            Ok(Ok(outcome)) => check.found(outcome),
            Ok(Err(error)) => check.broken(&error.to_string()),
            Err(_elapsed) => check.broken(&format!("no end within {} s", CHECK_TIME_MAX.as_secs())),
        }
    }
}

impl Finding {
    /// A finding of a check that the caller makes, and that locks rest on.
    pub fn of_caller(check: &'static str, seen: Result<String, String>, advice: &str) -> Self {
        match seen {
            Ok(seen) => Self { check, verdict: Verdict::Pass, seen, advice: String::new() },
            Err(seen) => Self { check, verdict: Verdict::Fail, seen, advice: advice.to_owned() },
        }
    }

    /// What to tell of a clean-up that did not come to its end.
    pub fn of_leftovers(bucket: &str, prefix: &str, error: &ClientError) -> Self {
        Self {
            check: "clean-up",
            verdict: Verdict::Warn,
            seen: error.to_string(),
            advice: format!("remove what is left in bucket {bucket} below {prefix}"),
        }
    }
}

impl Report {
    /// The verdict on `checks`.
    pub fn of(client: &Client, checks: Vec<Finding>) -> Self {
        let failed: Vec<&str> = names(&checks, Verdict::Fail);
        let warned = names(&checks, Verdict::Warn).len();
        let safe = failed.is_empty() && !checks.is_empty();
        let verdict = match (safe, warned) {
            (true, 0) => SAFE.to_owned(),
            (true, 1) => format!("{SAFE}; 1 warning"),
            (true, warned) => format!("{SAFE}; {warned} warnings"),
            (false, _) => format!("NOT safe: {}", reasons(&checks)),
        };
        let endpoint = client.settings().endpoint.to_string();
        Self { endpoint: endpoint.trim_end_matches('/').to_owned(), safe, verdict, checks }
    }
}

fn names(checks: &[Finding], verdict: Verdict) -> Vec<&'static str> {
    checks.iter().filter(|finding| finding.verdict == verdict).map(|it| it.check).collect()
}

/// What failed, and what was seen of the first.
fn reasons(checks: &[Finding]) -> String {
    let failed = names(checks, Verdict::Fail);
    let first = checks.iter().find(|finding| finding.verdict == Verdict::Fail);
    let seen = first.map(|finding| finding.seen.as_str()).unwrap_or_default();
    match failed.as_slice() {
        [] => "nothing was checked".to_owned(),
        [only] => format!("{only} ({seen})"),
        [first, others @ ..] => format!("{first} ({seen}), {}", others.join(", ")),
    }
}
