//! The `tidelock` binary: reads the command line, runs one subcommand, exits with its status.
//!
//! It has no logic of its own: serving is `tidelock-server`'s, talking to an endpoint is
//! `tidelock-client`'s.

mod address;
mod commands;
mod connect;
mod exit;
mod output;
mod part;
mod progress;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;

use commands::Cli;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let result = match runtime {
        Ok(runtime) => {
            let result = runtime.block_on(cli.run());
            // A read from a terminal or a pipe cannot be called back; nothing waits for its end.
            runtime.shutdown_background();
            result
        }
        Err(error) => Err(exit::Failure::other(&error)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.is_silent() {
                // The terminal may be gone, which is no reason for another status.
                let _unread = writeln!(std::io::stderr(), "tidelock: {failure}");
            }
            failure.exit_code()
        }
    }
}
