//! One check as a row: its name, what rests on it, what it needs and what to do when it is not passed.

use futures_util::future::BoxFuture;

use super::ward::Ward;
use super::{Finding, Verdict};
use crate::ClientError;

/// What is lost where the endpoint does not do what is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    /// State locks, or the states themselves.
    Locks,
    /// Other uses of S3.
    Others,
}

/// What a check can do nothing without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    Nothing,
    /// A bucket that keeps old versions.
    Versions,
}

/// What the endpoint did, in words.
#[derive(Debug)]
pub(super) enum Outcome {
    /// What S3 does.
    Good(String),
    /// What S3 does not do; how bad that is says the check's [`Weight`].
    Bad(String),
    /// What S3 does not do, and no lock rests on; and what to do about it, where that is not what the
    /// check says.
    Odd(String, Option<&'static str>),
    /// Nothing that tells.
    Unknown(String),
}

/// What a check comes to.
pub(super) type Made<'a> = BoxFuture<'a, Result<Outcome, ClientError>>;

/// A check.
pub(super) struct Check {
    pub(super) name: &'static str,
    pub(super) weight: Weight,
    pub(super) needs: Needs,
    /// What to do when it is not passed.
    pub(super) advice: &'static str,
    pub(super) run: for<'a> fn(&'a Ward) -> Made<'a>,
}

impl Check {
    pub(super) fn found(&self, outcome: Outcome) -> Finding {
        let (verdict, seen, advice) = match outcome {
            Outcome::Good(seen) => (Verdict::Pass, seen, ""),
            Outcome::Bad(seen) => (self.worst(), seen, self.advice),
            Outcome::Odd(seen, advice) => (Verdict::Warn, seen, advice.unwrap_or(self.advice)),
            Outcome::Unknown(seen) => (Verdict::Skipped, seen, ""),
        };
        Finding { check: self.name, verdict, seen, advice: advice.to_owned() }
    }

    /// The check could not be made to its end. What is not proven is not safe.
    pub(super) fn broken(&self, reason: &str) -> Finding {
        self.found(Outcome::Bad(format!("the endpoint does not do it: {reason}")))
    }

    pub(super) fn skipped(&self, reason: &str) -> Finding {
        self.found(Outcome::Unknown(reason.to_owned()))
    }

    fn worst(&self) -> Verdict {
        match self.weight {
            Weight::Locks => Verdict::Fail,
            Weight::Others => Verdict::Warn,
        }
    }
}
