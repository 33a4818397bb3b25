//! How long a start waits for a database that is not there yet.
//!
//! Where all is started at once, the database is rarely first; and supervisors give up on what ends
//! several times within seconds. It knows nothing of what is opened.

use std::time::Duration;

use crate::error::{FailureKind, ServeError};

/// How long a start waits, not counting the attempts themselves.
const START_WAIT_MAX: Duration = Duration::from_secs(60);
/// Pause after the first attempt, doubled up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// What `open` answers: asked again for a while, as long as it says that something is unavailable.
///
/// # Errors
/// The last one of `open`.
pub(super) async fn wait_to_open<T, F>(open: impl FnMut() -> F) -> Result<T, ServeError>
where
    F: Future<Output = Result<T, ServeError>>,
{
    wait(open, tokio::time::sleep).await
}

async fn wait<T, F, P>(
    mut open: impl FnMut() -> F,
    mut sleep: impl FnMut(Duration) -> P,
) -> Result<T, ServeError>
where
    F: Future<Output = Result<T, ServeError>>,
    P: Future<Output = ()>,
{
    let (mut waited, mut pause) = (Duration::ZERO, PAUSE_MIN);
    loop {
        let error = match open().await {
            Err(error) if error.kind() == FailureKind::Unavailable => error,
            settled => return settled,
        };
        if waited >= START_WAIT_MAX {
            return Err(error);
        }
        if waited.is_zero() {
            let seconds = START_WAIT_MAX.as_secs();
            tracing::warn!(error = %error, "waiting up to {seconds} s for the database");
        }
        sleep(pause).await;
        waited += pause;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

#[cfg(test)]
mod tests {
    use tidelock_meta::postgres::ConnectError;

    use super::*;

    /// Opens after so many refusals; answers how often it was asked, and for how long.
    async fn check(refusals: u64, refusal: ConnectError) -> (bool, u64, Duration) {
        let (mut asked, mut waited) = (0, Duration::ZERO);
        let open = || {
            asked += 1;
            let opened = if asked > refusals { Ok(()) } else { Err(refusal.clone().into()) };
            std::future::ready(opened)
        };
        let sleep = |pause| {
            waited += pause;
            std::future::ready(())
        };
        let opened = wait(open, sleep).await.is_ok();
        (opened, asked, waited)
    }

    #[tokio::test]
    async fn only_what_may_pass_is_waited_for() {
        let away = ConnectError::Unreachable("nobody listens".into());
        assert_eq!(check(0, away.clone()).await, (true, 1, Duration::ZERO));
        assert_eq!(check(2, away.clone()).await, (true, 3, 3 * PAUSE_MIN));
        let (opened, _, waited) = check(u64::MAX, away).await;
        assert!(!opened && waited >= START_WAIT_MAX && waited < START_WAIT_MAX + PAUSE_MAX);
        let wrong = ConnectError::Authentication("wrong password".into());
        assert_eq!(check(1, wrong).await, (false, 1, Duration::ZERO));
    }
}
