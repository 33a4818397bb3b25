//! What every command that takes a lock says and asks: who it is for, how long it waits, what became
//! of it.

use std::time::Duration;

use ring::rand::{SecureRandom as _, SystemRandom};
use tidelock_client::ClientError;
use tidelock_client::state::{AcquireError, NewLock, Operation, Release, StateLock};
use tidelock_server::backend_block::EndpointKind;

use super::lock_line;
use crate::address::ObjectAddress;
use crate::connect::{Session, endpoint_kind};
use crate::exit::Failure;
use crate::output::printable;

/// `--wait`
#[derive(clap::Args, Clone, Copy, Debug)]
pub(crate) struct WaitArgs {
    /// How long to wait while somebody else holds the lock, as 90s, 5m or 1h
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration)]
    pub(crate) wait: Duration,
}

/// `90s`, `5m`, `1h 30m`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let parsed: jiff::SignedDuration =
        text.parse().map_err(|_| "takes a duration such as 90s, 5m or 1h".to_owned())?;
    Duration::try_from(parsed).map_err(|_| "takes no negative duration".to_owned())
}

/// Makes locks for one command.
pub(crate) struct Taker<'a> {
    session: &'a Session,
    state: &'a ObjectAddress,
}

/// A lock that was not taken, in words.
pub(crate) struct LockFailure<'a>(pub(crate) &'a ObjectAddress, pub(crate) AcquireError);

impl<'a> Taker<'a> {
    pub(crate) fn of(session: &'a Session, state: &'a ObjectAddress) -> Self {
        Self { session, state }
    }

    /// A lock, after a word of what it is worth here.
    pub(crate) async fn lock(&self, operation: &str, info: &str) -> Result<NewLock, Failure> {
        if endpoint_kind(&self.session.client).await? == EndpointKind::OtherS3 {
            let endpoint = &self.session.client.settings().endpoint;
            eprintln!(
                "tidelock: {}: a lock holds only where {} honours conditional writes (If-None-Match), \
                 which cannot be seen from here; `tidelock doctor` finds out",
                printable(&format!("{}/{}", self.state.bucket, self.state.key)),
                endpoint.host().unwrap_or_default(),
            );
        }
        let mut random = [0; 16];
        let filled = SystemRandom::new().fill(&mut random);
        filled.map_err(|_| Failure::other(&"the system gives no randomness"))?;
        Ok(NewLock::new(random, Operation::parse(operation), info, &who()))
    }
}

/// `user@host`, as Terraform writes it.
pub(crate) fn who() -> String {
    let name = |variable| std::env::var(variable).ok().filter(|name: &String| !name.is_empty());
    let user = name("USER").or_else(|| name("LOGNAME"));
    let user = user.unwrap_or_else(|| format!("uid-{}", rustix::process::getuid().as_raw()));
    format!("{user}@{}", rustix::system::uname().nodename().to_string_lossy())
}

impl From<LockFailure<'_>> for Failure {
    fn from(LockFailure(state, error): LockFailure<'_>) -> Self {
        match error {
            AcquireError::Held(lock) => Self::in_use(&held(state, &lock)),
            AcquireError::Left { id, error } => {
                let ObjectAddress { bucket, key } = state;
                let left = format!(
                    "lock {id} may have been taken: `tidelock lock release {bucket}/{key} --id {id}`"
                );
                eprintln!("tidelock: {}", printable(&left));
                error.into()
            }
            AcquireError::Client(error) => error.into(),
        }
    }
}

/// Who has it, and how it is released.
fn held(ObjectAddress { bucket, key }: &ObjectAddress, lock: &StateLock) -> String {
    let mut text = format!("{bucket}/{key} is locked: {}", lock_line(lock));
    if !lock.info.is_empty() {
        text.push_str(&format!(" ({})", lock.info));
    }
    if !lock.id.is_empty() {
        let id = &lock.id;
        text.push_str(&format!(
            "; ID {id}: once its holder is gone, `tidelock lock release {bucket}/{key} --id {id}`"
        ));
    }
    printable(&text)
}

/// Says what became of the lock where that is not what was expected; an error where it may still stand.
pub(crate) fn report(
    ObjectAddress { bucket, key }: &ObjectAddress,
    lock: &NewLock,
    release: Result<Release, ClientError>,
) -> Result<(), Failure> {
    let id = lock.id();
    match release {
        Ok(Release::Released(_)) => {}
        Ok(Release::Gone) => {
            eprintln!("tidelock: lock {id} was gone before it was released: somebody took it away");
        }
        Ok(Release::Another(other)) => {
            let other = printable(&lock_line(&other));
            eprintln!(
                "tidelock: lock {id} was taken away; another one stands there, and stays: {other}"
            );
        }
        Err(error) => {
            eprintln!(
                "tidelock: lock {id} was not released: `tidelock lock release {bucket}/{key} --id {id}`"
            );
            return Err(error.into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_typed_as_people_do() {
        let rows = [
            ("0s", Some(0)),
            ("90s", Some(90)),
            ("5m", Some(300)),
            ("1h 30m", Some(5400)),
            ("1h30m", Some(5400)),
            ("-5s", None),
            ("5", None),
            ("soon", None),
        ];
        for (text, seconds) in rows {
            assert_eq!(duration(text).ok(), seconds.map(Duration::from_secs), "{text}");
        }
    }

    #[test]
    fn a_refusal_says_who_and_how() {
        let state = "b/env:/dev/k".parse().unwrap();
        let lock =
            StateLock { id: "17".into(), who: "me@\u{1b}host".into(), ..StateLock::default() };
        assert_eq!(
            held(&state, &lock),
            "b/env:/dev/k is locked: me@\\u{1b}host; ID 17: once its holder is gone, `tidelock lock \
             release b/env:/dev/k --id 17`"
        );
        assert_eq!(
            held(&state, &StateLock::default()),
            "b/env:/dev/k is locked: locked, by whom cannot be read"
        );
    }
}
