//! `tidelock serve`: settings in, a server until a signal ends it.
//!
//! The one place of this crate that reads the process's environment, hears its signals and writes
//! to its terminal.

use std::io::{IsTerminal as _, Write};

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::args::ServeArgs;
use crate::backend_block::BackendKey;
use crate::config::{Config, ConfigError, EffectiveSetting, ObjectStoreVariables};
use crate::credentials::Root;
use crate::error::ServeError;
use crate::notify::{self, Notifier, Progress};
use crate::server::Server;
use crate::telemetry;

/// Status of a process that a second signal ends at once.
const EXIT_INTERRUPTED: i32 = 130;

/// Serves until SIGTERM or SIGINT; a second one ends the process at once.
///
/// What `--bootstrap` has to say goes to `output`; everything else to stderr, with the line
/// `tidelock: listening on URL` when clients may connect. A service manager that asks for it
/// (`NOTIFY_SOCKET`) is told at the same moment, and when the end begins.
///
/// # Errors
/// [`ServeError`] says why the server does not start, or what broke while it ran.
pub async fn serve(args: ServeArgs, output: &mut (dyn Write + Send)) -> Result<(), ServeError> {
    let config = resolve(args)?;
    let log = telemetry::install(config.log_format, &config.log_level)?;
    log_panics();
    tracing::debug!(config = %config, "configuration");
    // Before anything slow: a signal during the start must not be lost.
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    if config.tls.is_none() && !config.listen.ip().is_loopback() {
        tracing::warn!(listen = %config.listen, "plain HTTP: anybody on the way can read states");
    }
    let bootstrap = config.bootstrap.clone();
    let server = tokio::select! {
        bound = Server::bind(config) => bound?,
        // It may have waited for its database; nothing was answered that could be lost.
        () = either(&mut terminate, &mut interrupt) => {
            tracing::info!("told to end before the start was over");
            return Ok(());
        }
    };
    log.flush();
    announce_root(server.root());
    if let Some(bucket) = bootstrap {
        let (backend, pair) = server.bootstrap(&bucket).await?;
        let key = BackendKey {
            access_key_id: &pair.access_key,
            secret_access_key: pair.secret_key.expose(),
        };
        write!(output, "{}\n{}", backend.block(), backend.environment(Some(key)))?;
        output.flush()?;
        eprintln!(
            "tidelock: the block is for main.tf, the export lines for the shell that runs terraform"
        );
    }
    log.flush();
    eprintln!("tidelock: the console is at {}/_/console", server.url());
    eprintln!("tidelock: listening on {}", server.url());
    let manager = Notifier::new(std::env::var_os(notify::VARIABLE).as_deref());
    manager.tell(Progress::Ready);
    let told = async {
        stopped(terminate, interrupt).await;
        manager.tell(Progress::Stopping);
    };
    server.run(told).await
}

/// The configuration of `args` in this process's environment.
///
/// # Errors
/// [`ConfigError`] says which setting is wrong and what to do about it.
pub fn resolve(args: ServeArgs) -> Result<Config, ConfigError> {
    let mut config = Config::resolve(args, &|name| std::env::var(name).ok())?;
    config.object_store_variables = object_store_variables();
    Ok(config)
}

/// Every setting of `args` in this process's environment, with its origin.
///
/// # Errors
/// As [`resolve`].
pub fn effective(args: ServeArgs) -> Result<Vec<EffectiveSetting>, ConfigError> {
    EffectiveSetting::all(args, &|name| std::env::var(name).ok())
}

/// What this process's environment says about object stores.
pub fn object_store_variables() -> ObjectStoreVariables {
    let readable = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    ObjectStoreVariables::of(readable)
}

/// Ends with the first signal, and leaves a task behind that takes the second one at its word.
async fn stopped(mut terminate: Signal, mut interrupt: Signal) {
    either(&mut terminate, &mut interrupt).await;
    tokio::spawn(async move {
        either(&mut terminate, &mut interrupt).await;
        tracing::warn!("a second signal: ending at once");
        std::process::exit(EXIT_INTERRUPTED);
    });
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// Shows a generated pair once, to a person; logs and pipes only learn where it is.
fn announce_root(root: &Root) {
    let Some(path) = &root.generated else { return };
    let pair = &root.credentials;
    if std::io::stderr().is_terminal() {
        eprintln!(
            "tidelock: root credentials, shown this once:\n  AWS_ACCESS_KEY_ID={}\n  \
             AWS_SECRET_ACCESS_KEY={}",
            pair.access_key,
            pair.secret_key.expose()
        );
    }
    eprintln!("tidelock: root credentials are in {}", path.display());
}

/// A panic is a line of the log like everything else; it ends one request, not the server.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        let payload = panic.payload();
        let text = payload.downcast_ref::<&str>().copied();
        let message = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        let message = message.unwrap_or("a panic without a message");
        tracing::error!(panic.location = %location, panic.message = %message, "panic");
    }));
}
