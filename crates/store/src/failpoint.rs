//! Failpoints: where a process dies as by `kill -9`, for the tests of what is left after that.
//!
//! A failpoint is named by what the audit log calls an act, and by whether its commit has been made:
//! `StateWritten:before-commit`, `LockReleased:after-commit`. Every act of the guard is one commit, so
//! there is no third moment.

use std::str::FromStr;

/// Where the process dies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failpoint {
    action: String,
    moment: Moment,
}

/// When, about a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Nothing was written.
    BeforeCommit,
    /// It is durable, and nobody was told.
    AfterCommit,
}

/// Not the name of a failpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a failpoint is ACTION:before-commit or ACTION:after-commit")]
pub struct InvalidFailpoint;

impl Failpoint {
    /// When to die in the commit of `action`, if at all.
    pub(crate) fn moment_of(&self, action: &str) -> Option<Moment> {
        (self.action == action).then_some(self.moment)
    }
}

impl FromStr for Failpoint {
    type Err = InvalidFailpoint;

    fn from_str(text: &str) -> Result<Self, InvalidFailpoint> {
        let (action, moment) = text.split_once(':').ok_or(InvalidFailpoint)?;
        let moment = match moment {
            "before-commit" => Moment::BeforeCommit,
            "after-commit" => Moment::AfterCommit,
            _ => return Err(InvalidFailpoint),
        };
        Ok(Self { action: action.to_owned(), moment })
    }
}

impl Moment {
    /// Dies if `now` is the moment: no destructor runs, nothing is flushed.
    pub(crate) fn reached(wanted: Option<Self>, now: Self) {
        if wanted == Some(now) {
            std::process::abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failpoint_is_an_act_and_a_moment() {
        let failpoint: Failpoint = "StateWritten:after-commit".parse().unwrap();
        assert_eq!(failpoint.moment_of("StateWritten"), Some(Moment::AfterCommit));
        assert_eq!(failpoint.moment_of("StateRefused"), None);
        for text in ["StateWritten", "StateWritten:", "StateWritten:later"] {
            assert_eq!(text.parse::<Failpoint>(), Err(InvalidFailpoint), "{text}");
        }
    }
}
