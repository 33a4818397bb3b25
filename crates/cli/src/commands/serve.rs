//! `tidelock serve`

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tidelock_server::ServeArgs;

use crate::exit::Failure;

/// Run a server
///
/// Every setting is a flag, an environment variable `TIDELOCK_<NAME>` (for example
/// `TIDELOCK_TLS_CERT`) and a key of the TOML file (`tls_cert`); flags win over variables, variables
/// over the file. The root secret is set by `TIDELOCK_ROOT_SECRET_KEY` or
/// `TIDELOCK_ROOT_SECRET_KEY_FILE`. SIGTERM and SIGINT drain and end the server, a second one ends
/// it at once; SIGHUP reads the certificate again.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    settings: ServeArgs,
}

impl Args {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        keep_memory_private();
        open_as_many_files_as_allowed();
        Ok(tidelock_server::serve(self.settings, &mut std::io::stdout()).await?)
    }
}

/// A connection is a file, and so is a segment of the log. What shells and service managers give is made for programs
/// that use `select(2)`, and far below what they allow.
fn open_as_many_files_as_allowed() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let _refused = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

/// The memory holds keys: no core dump takes it along, and where the system can say so no other process of
/// the user looks into it. A system that refuses one of the two is no reason not to serve.
fn keep_memory_private() {
    let _refused = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        let _refused = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}
