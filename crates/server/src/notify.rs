//! Tells the service manager how far the server is: `sd_notify(3)`, for units of `Type=notify`.
//!
//! One datagram per message, to the socket that the manager has named. Nobody waits for an answer,
//! and a manager that cannot be told is no reason not to serve. This file does not read the
//! environment.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Variable in which the manager names its socket.
pub(crate) const VARIABLE: &str = "NOTIFY_SOCKET";

/// What the manager is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Clients may connect.
    Ready,
    /// The server takes nothing new and comes to its end.
    Stopping,
}

/// The socket of the service manager; none where nobody asked to be told.
#[derive(Debug)]
pub(crate) struct Notifier {
    socket: Option<UnixDatagram>,
}

impl Notifier {
    /// For the value of `NOTIFY_SOCKET`: a path, or a name in the abstract namespace behind an `@`.
    pub(crate) fn new(name: Option<&OsStr>) -> Self {
        let socket = name.filter(|name| !name.is_empty()).and_then(|name| {
            let connected = connect(name);
            connected.inspect_err(|error| tracing::warn!(error = %error, "{VARIABLE}")).ok()
        });
        Self { socket }
    }

    /// Sends one message.
    pub(crate) fn tell(&self, progress: Progress) {
        let Some(socket) = &self.socket else { return };
        let message: &[u8] = match progress {
            Progress::Ready => b"READY=1",
            Progress::Stopping => b"STOPPING=1",
        };
        if let Err(error) = socket.send(message) {
            tracing::warn!(error = %error, "the service manager cannot be told");
        }
    }
}

fn connect(name: &OsStr) -> io::Result<UnixDatagram> {
    let address = match name.as_bytes().split_first() {
        Some((b'@', name)) => abstract_address(name)?,
        _ => SocketAddr::from_pathname(name)?,
    };
    let socket = UnixDatagram::unbound()?;
    // A manager that does not read must not hold up the server.
    socket.set_nonblocking(true)?;
    socket.connect_addr(&address)?;
    Ok(socket)
}

#[cfg(target_os = "linux")]
fn abstract_address(name: &[u8]) -> io::Result<SocketAddr> {
    use std::os::linux::net::SocketAddrExt as _;
    SocketAddr::from_abstract_name(name)
}

#[cfg(not(target_os = "linux"))]
fn abstract_address(_: &[u8]) -> io::Result<SocketAddr> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "abstract sockets are of Linux"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(manager: &UnixDatagram) -> Vec<u8> {
        let mut message = [0; 64];
        let length = manager.recv(&mut message).unwrap();
        message[..length].to_vec()
    }

    #[test]
    fn the_manager_is_told_at_a_path_and_at_an_abstract_name() {
        let directory = tempfile::TempDir::new().unwrap();
        let path = directory.path().join("notify");
        let mut rows = vec![(UnixDatagram::bind(&path).unwrap(), path.into_os_string())];
        #[cfg(target_os = "linux")]
        {
            let name = format!("tidelock-test-{}", std::process::id());
            let address = abstract_address(name.as_bytes()).unwrap();
            rows.push((UnixDatagram::bind_addr(&address).unwrap(), format!("@{name}").into()));
        }
        for (manager, name) in &rows {
            let notifier = Notifier::new(Some(name));
            notifier.tell(Progress::Ready);
            notifier.tell(Progress::Stopping);
            assert_eq!(told(manager), b"READY=1", "{name:?}");
            assert_eq!(told(manager), b"STOPPING=1", "{name:?}");
        }
    }

    #[test]
    fn without_a_manager_nothing_happens() {
        for name in [None, Some(""), Some("/none/such"), Some("@none-such")] {
            Notifier::new(name.map(OsStr::new)).tell(Progress::Ready);
        }
    }
}
