//! `tidelock lock run`

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::os::unix::process::ExitStatusExt as _;
use std::pin::pin;
use std::process::ExitStatus;

use rustix::process::{Pid, Signal};
use tidelock_client::state::UnderLock;
use tokio::process::{Child, Command};
use tokio::signal::unix::{self, SignalKind};

use super::acquire::OPERATION;
use super::{LockFailure, Taker, WaitArgs, report};
use crate::address::ObjectAddress;
use crate::connect::{ChangeArgs, Session};
use crate::exit::{Failure, Hangup, stopped};

/// Where the command finds the ID of the lock.
const LOCK_ID_VARIABLE: &str = "TIDELOCK_LOCK_ID";
/// What shells add to the number of the signal that ended a command.
const SIGNAL_STATUS_BASE: i32 = 128;

/// What `--help` says at its end.
const HELP: &str = "\
Exit status: that of the command (128 and the number of the signal that ended it; 127 if it cannot be \
run). 5 if somebody else holds the lock. Terraform takes the lock itself: under this one, run it with \
-lock=false.";

/// Run a command while holding the lock of a state
///
/// The lock is released when the command ends, also after SIGINT, SIGTERM and SIGHUP, which the command
/// is passed. Nothing renews it. The command finds its ID in TIDELOCK_LOCK_ID.
#[derive(clap::Args, Debug)]
#[command(after_help = HELP)]
pub(crate) struct Args {
    /// The state, whose lock is at KEY.tflock
    #[arg(value_name = "BUCKET/KEY")]
    state: ObjectAddress,
    /// What for; whoever meets the lock is shown it
    #[arg(long, value_name = "TEXT", default_value = "")]
    info: String,
    #[command(flatten)]
    wait: WaitArgs,
    #[command(flatten)]
    change: ChangeArgs,
    /// The command and its arguments
    #[arg(value_name = "CMD", required = true, last = true)]
    command: Vec<OsString>,
}

/// Signals that the command is passed.
struct Signals {
    interrupt: unix::Signal,
    terminate: unix::Signal,
    hangup: Hangup,
}

impl Args {
    pub(crate) async fn run(self, session: &Session) -> Result<(), Failure> {
        let ObjectAddress { bucket, key } = &self.state;
        let [program, arguments @ ..] = self.command.as_slice() else {
            return Err(Failure::usage("give a command after --"));
        };
        let named = program.to_string_lossy();
        if !self.change.is_real(&format!("run {named} under the lock of {bucket}/{key}")) {
            return Ok(());
        }
        let (mut stop, mut signals) = (pin!(stopped()?), Signals::listen()?);
        let lock = Taker::of(session, &self.state).lock(OPERATION, &self.info).await?;
        let mut command = Command::new(program);
        command.args(arguments).env(LOCK_ID_VARIABLE, lock.id());
        let (place, wait) = ((bucket.as_str(), key.as_str()), self.wait.wait);
        let work = async |_stop: tidelock_client::state::Stop<'_>| {
            let mut child = command.spawn()?;
            signals.pass_until_end(&mut child).await
        };
        let done = session.client.with_lock(place, &lock, wait, stop.as_mut(), work).await;
        let UnderLock { result, release } =
            done.map_err(|error| LockFailure(&self.state, error))?;
        let released = report(&self.state, &lock, release);
        let status = result.map_err(|error| Failure::no_command(&format!("{named}: {error}")))?;
        match exit_code(status) {
            0 => released,
            code => Err(Failure::of_child(code)),
        }
    }
}

impl Signals {
    fn listen() -> Result<Self, Failure> {
        let interrupt = unix::signal(SignalKind::interrupt())?;
        let terminate = unix::signal(SignalKind::terminate())?;
        Ok(Self { interrupt, terminate, hangup: Hangup::listen()? })
    }

    async fn pass_until_end(&mut self, child: &mut Child) -> std::io::Result<ExitStatus> {
        loop {
            let signal = tokio::select! {
                status = child.wait() => return status,
                _ = self.interrupt.recv() => Signal::INT,
                _ = self.terminate.recv() => Signal::TERM,
                () = self.hangup.recv() => Signal::HUP,
            };
            // A terminal sends Ctrl-C to all of its foreground, the command included; Terraform gives
            // up in a hurry when it gets a second one.
            let is_theirs = signal == Signal::INT && std::io::stdin().is_terminal();
            let pid = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
            if let (Some(pid), false) = (pid, is_theirs) {
                // It may have ended at this moment, which is what the signal asks for.
                let _ended = rustix::process::kill_process(pid, signal);
            }
        }
    }
}

fn exit_code(status: ExitStatus) -> u8 {
    let signal = || SIGNAL_STATUS_BASE + status.signal().unwrap_or_default();
    u8::try_from(status.code().unwrap_or_else(signal)).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_those_of_shells() {
        // As wait(2) encodes them.
        for (raw, expected) in [(0, 0), (3 << 8, 3), (255 << 8, 255), (15, 143), (9, 137)] {
            assert_eq!(exit_code(ExitStatus::from_raw(raw)), expected);
        }
    }
}
