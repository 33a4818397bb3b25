//! What a server does besides answering: looks after its certificate, sweeps its store and keeps the
//! audit log.
//!
//! Each loop ends when the server drains; the server waits for all of them.

use std::sync::Arc;
use std::time::Duration;

use tidelock_meta::Clock;
use tidelock_store::{
    ANNOUNCEMENT_INTERVAL, AuditTurn, SealWhen, ServesAlone, StorageError, Store, SweepReport,
};
use tokio::signal::unix::Signal;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::metrics::Metrics;
use crate::tls::Certificate;

/// Pause between looks at the certificate's files.
const CERTIFICATE_POLL: Duration = Duration::from_secs(5);
/// Pause between sweeps; the first is at start.
const SWEEP_INTERVAL: Duration = Duration::from_secs(3600);
/// Sweeps in a day of lifecycle rules, at least: where a day is short.
const SWEEPS_PER_DAY_MIN: u32 = 4;
/// Pause between looks at the locks of guarded buckets.
const LOCK_LOOK_INTERVAL: Duration = Duration::from_secs(30);
/// How long an entry of the audit log that rode in no commit waits in memory.
const AUDIT_FLUSH_INTERVAL: Duration = Duration::from_millis(500);
/// How long the last use of an access key waits in memory.
const KEY_USE_FLUSH_INTERVAL: Duration = Duration::from_secs(300);
/// Pause between looks at what is to be sealed.
const AUDIT_SEAL_INTERVAL: Duration = Duration::from_secs(2);
/// The same after a look that found [`AUDIT_ENTRIES_MANY_PER_S`]: what is sealed soon never reaches the index of the local
/// engine.
const AUDIT_SEAL_INTERVAL_BUSY: Duration = Duration::from_millis(50);
/// So many entries a second are many: a look then seals whole segments.
const AUDIT_ENTRIES_MANY_PER_S: u32 = 4000;
/// Pause between looks at what need not be kept.
const AUDIT_TRIM_INTERVAL: Duration = Duration::from_secs(300);
/// Entries that were sealed, after which it is not waited for: some 6 MiB of the audit log.
const AUDIT_ENTRIES_PER_TRIM: usize = 16_384;
/// What metrics call the lease of the one server that looks after the audit log of a shared store.
const AUDIT_LEASE: &str = "audit";
/// What metrics call the lease of the one server that sweeps a shared store.
const SWEEP_LEASE: &str = "sweep";

/// Takes a new certificate over when its files change, and on SIGHUP.
pub(crate) async fn watch_certificate(
    certificate: Arc<Certificate>,
    metrics: Arc<Metrics>,
    mut hangup: Signal,
    mut draining: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let mut poll = tokio::time::interval(CERTIFICATE_POLL);
    poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let asked = tokio::select! {
            _ = draining.wait_for(|draining| *draining) => return Ok(()),
            _ = hangup.recv() => true,
            _ = poll.tick() => false,
        };
        if !asked && !certificate.is_outdated() {
            continue;
        }
        let reloaded = certificate.reload();
        metrics.certificate_reloaded(reloaded.is_ok());
        match reloaded {
            Ok(()) => tracing::info!("the certificate was read again"),
            Err(error) => {
                tracing::error!(error = %error, "the new certificate is refused, the old one kept");
            }
        }
    }
}

/// Ignores SIGHUP where there is no certificate to read again: its default is to end the process.
pub(crate) async fn ignore_hangup(
    mut hangup: Signal,
    mut draining: watch::Receiver<bool>,
) -> std::io::Result<()> {
    loop {
        tokio::select! {
            _ = draining.wait_for(|draining| *draining) => return Ok(()),
            _ = hangup.recv() => tracing::info!("SIGHUP: there is no certificate to read again"),
        }
    }
}

fn sweep_interval(store: &Store) -> Duration {
    SWEEP_INTERVAL.min(store.config().lifecycle_day / SWEEPS_PER_DAY_MIN)
}

/// Removes what no object needs any more, and what lifecycle rules have expire, on a store that nobody else
/// uses.
pub(crate) async fn sweep(
    store: Arc<Store>,
    mut draining: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let mut interval = tokio::time::interval(sweep_interval(&store));
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut first = true;
    loop {
        let sweeping = async {
            interval.tick().await;
            // This server is the only one on its store: what others had begun is dead.
            if first { store.sweep_at_start(ServesAlone).await } else { store.sweep().await }
        };
        let swept = tokio::select! {
            // A sweep that is cut off is taken up by the next one.
            _ = draining.wait_for(|draining| *draining) => return Ok(()),
            swept = sweeping => swept,
        };
        first = false;
        report(swept);
    }
}

/// The same on a store that others use too: one server sweeps, the
/// others look now and then whether it is still there.
pub(crate) async fn sweep_in_turn(
    store: Arc<Store>,
    metrics: Arc<Metrics>,
    mut draining: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let mut interval = tokio::time::interval(sweep_interval(&store));
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let sweeping = async {
            interval.tick().await;
            let swept = store.sweep_leased().await;
            metrics.lease_held(SWEEP_LEASE, matches!(swept, Ok(Some(_))));
            match swept {
                Ok(Some(swept)) => report(Ok(swept)),
                Ok(None) => tracing::debug!("another server sweeps"),
                Err(error) => report(Err(error)),
            }
        };
        tokio::select! {
            _ = draining.wait_for(|draining| *draining) => break,
            () = sweeping => {}
        }
    }
    // So that another one need not wait for its end. If it fails, that is what happens.
    if let Err(error) = store.leave_sweeping().await {
        tracing::debug!(error = %error, "the lease for sweeps ends by itself");
    }
    metrics.lease_held(SWEEP_LEASE, false);
    Ok(())
}

/// Tells whoever asks that this server runs on the store: `tidelock admin copy` refuses one that is
/// in use.
pub(crate) async fn announce(
    store: Arc<Store>,
    mut draining: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let mut interval = tokio::time::interval(ANNOUNCEMENT_INTERVAL);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let announcing = async {
            interval.tick().await;
            if let Err(error) = store.announce_server().await {
                tracing::warn!(error = %error, "cannot tell that this server runs");
            }
        };
        tokio::select! {
            _ = draining.wait_for(|draining| *draining) => return Ok(()),
            () = announcing => {}
        }
    }
}

/// Writes the entries of the audit log that wait in memory. What is left when this ends, the server
/// writes before it closes the store.
pub(crate) async fn flush_audit(
    store: Arc<Store>,
    draining: watch::Receiver<bool>,
) -> std::io::Result<()> {
    // Not cut off: a commit that lands all the same would be written once more.
    flush_every(
        AUDIT_FLUSH_INTERVAL,
        draining,
        || store.flush_audit(),
        |error| {
            tracing::error!(error = %error, "the audit log cannot be written; its entries wait");
        },
    )
    .await
}

/// Writes when access keys were last used. What is left when this ends, the server writes before it closes
/// the store.
pub(crate) async fn flush_key_uses(
    store: Arc<Store>,
    draining: watch::Receiver<bool>,
) -> std::io::Result<()> {
    // Not cut off: what is being written is no longer in memory.
    flush_every(KEY_USE_FLUSH_INTERVAL, draining, || store.flush_key_uses(), |error| {
        tracing::warn!(error = %error, "the last uses of access keys cannot be written; they wait");
    })
    .await
}

/// Flushes until the server drains, and cuts no flush off. Of failures in a row only the first is told.
async fn flush_every<T, E, F: Future<Output = Result<T, E>>>(
    pause: Duration,
    mut draining: watch::Receiver<bool>,
    flush: impl Fn() -> F,
    tell: impl Fn(&E),
) -> std::io::Result<()> {
    let mut interval = tokio::time::interval(pause);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failing = false;
    loop {
        tokio::select! {
            _ = draining.wait_for(|draining| *draining) => return Ok(()),
            _ = interval.tick() => {}
        }
        let flushed = flush().await;
        if let (Err(error), false) = (&flushed, failing) {
            tell(error);
        }
        failing = flushed.is_err();
    }
}

/// Looks for locks whose holders were not heard of for long, and counts all.
pub(crate) async fn watch_locks(
    store: Arc<Store>,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
    mut draining: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let mut interval = tokio::time::interval(LOCK_LOOK_INTERVAL);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let looking = async {
            interval.tick().await;
            match store.look_for_quiet_locks().await {
                Ok(counts) => {
                    metrics.locks_counted(counts);
                    metrics.history.locks_counted(clock.now(), counts.held);
                }
                Err(error) => tracing::warn!(error = %error, "the locks cannot be looked at"),
            }
        };
        tokio::select! {
            _ = draining.wait_for(|draining| *draining) => return Ok(()),
            () = looking => {}
        }
    }
}

/// Seals the audit log and drops what need not be kept, if no other server of the store does.
pub(crate) async fn keep_audit(
    store: Arc<Store>,
    metrics: Arc<Metrics>,
    mut turn: AuditTurn,
    mut draining: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let mut pause = Duration::ZERO;
    let (mut untrimmed, mut failing) = (Untrimmed::at_start(), false);
    loop {
        tokio::select! {
            _ = draining.wait_for(|draining| *draining) => break,
            () = tokio::time::sleep(pause) => {}
        }
        untrimmed.for_long += pause;
        let kept = keep_audit_once(&store, &mut turn, &mut untrimmed).await;
        metrics.lease_held(AUDIT_LEASE, matches!(kept, Ok(Some(_))));
        let sealed = kept.as_ref().ok().copied().flatten().unwrap_or_default();
        let is_busy = sealed as f64 >= pause.as_secs_f64() * f64::from(AUDIT_ENTRIES_MANY_PER_S);
        pause = if is_busy && sealed > 0 { AUDIT_SEAL_INTERVAL_BUSY } else { AUDIT_SEAL_INTERVAL };
        if let (Err(error), false) = (&kept, failing) {
            tracing::error!(error = %error, "the audit log was not sealed");
        }
        failing = kept.is_err();
    }
    // So that another one need not wait for its end. If it fails, that is what happens.
    if let Err(error) = store.leave_audit().await {
        tracing::debug!(error = %error, "the lease for the audit log ends by itself");
    }
    metrics.lease_held(AUDIT_LEASE, false);
    Ok(())
}

/// What has come since it was last looked what need not be kept.
#[derive(Debug)]
struct Untrimmed {
    for_long: Duration,
    entries: usize,
}

impl Untrimmed {
    /// Nothing was looked at yet: a start looks at once.
    fn at_start() -> Self {
        Self { for_long: AUDIT_TRIM_INTERVAL, entries: 0 }
    }
}

/// How many entries were sealed, if it was this server's turn.
async fn keep_audit_once(
    store: &Store,
    turn: &mut AuditTurn,
    untrimmed: &mut Untrimmed,
) -> Result<Option<usize>, StorageError> {
    if !store.has_audit_turn(turn).await? {
        return Ok(None);
    }
    let sealed = store.seal_audit(SealWhen::Due).await?;
    untrimmed.entries += sealed;
    if untrimmed.for_long >= AUDIT_TRIM_INTERVAL || untrimmed.entries >= AUDIT_ENTRIES_PER_TRIM {
        *untrimmed = Untrimmed { for_long: Duration::ZERO, entries: 0 };
        store.trim_audit().await?;
    }
    Ok(Some(sealed))
}

fn report(swept: Result<SweepReport, StorageError>) {
    match swept {
        Ok(report) => tracing::debug!(?report, "swept"),
        Err(error) => tracing::error!(error = %error, "a sweep failed"),
    }
}
