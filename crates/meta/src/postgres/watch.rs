//! Looks at all hosts every few seconds, so that a deposed primary that still answers is dropped as
//! soon as its successor can be reached, and so that a set-up that becomes unsafe is noticed.
//!
//! Patroni rewrites `synchronous_standby_names` during a fail-over: while it is empty or `*`, the pool
//! gives out nothing, and it starts again with the next look once the standby is named.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::options::ConnectError;
use super::pool::jittered;
use super::primary::{Cluster, Sighting};
use super::session::Session;
use super::url::Host;

/// Between two looks.
const INTERVAL: Duration = Duration::from_secs(2);

/// What a host said last, with the session to ask it again.
type Answer = Result<Session, ConnectError>;

/// The task that looks.
pub(super) struct Watch {
    /// Dropping it stops the task.
    stop: watch::Sender<()>,
    task: JoinHandle<()>,
}

impl Watch {
    pub(super) fn start(cluster: Arc<Cluster>) -> Self {
        let (stop, mut stopped) = watch::channel(());
        let task = tokio::spawn(async move {
            tokio::select! {
                _ = stopped.changed() => {}
                () = look_for_ever(&cluster) => {}
            }
        });
        Self { stop, task }
    }

    /// Stops the task and waits for its end.
    pub(super) async fn stop(self) {
        drop(self.stop);
        // A panic of the task has been reported already.
        let _ = self.task.await;
    }
}

async fn look_for_ever(cluster: &Cluster) {
    let hosts = &cluster.connector.target.hosts;
    let not_asked = || Err(ConnectError::Unreachable("not asked yet".into()));
    let mut answers: Vec<Answer> = hosts.iter().map(|_| not_asked()).collect();
    loop {
        sleep(jittered(INTERVAL, cluster.clock.monotonic())).await;
        let looks = hosts.iter().zip(&mut answers).map(|(host, kept)| look(cluster, host, kept));
        join_all(looks).await;
        let sightings: Vec<Sighting<'_>> =
            answers.iter().map(|answer| answer.as_ref().map(|session| &session.facts)).collect();
        // Without a primary, the cluster has noted why; the next look may find one.
        let _ = cluster.observe(&sightings);
    }
}

/// Asks `host` what it is, over the session that is kept from look to look.
async fn look(cluster: &Cluster, host: &Host, kept: &mut Answer) {
    let connector = &cluster.connector;
    if let Ok(session) = kept
        && session.is_open()
        && connector.refresh(session).await.is_ok()
    {
        return;
    }
    *kept = connector.connect(host, None).await;
}
