//! `tidelock completions`

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::Cli;
use crate::exit::Failure;
use crate::output;

/// Print the completion script of a shell
///
/// bash: `source <(tidelock completions bash)`, or into
/// ~/.local/share/bash-completion/completions/tidelock. zsh: into a file `_tidelock` of a directory
/// in $fpath. fish: into ~/.config/fish/completions/tidelock.fish. PowerShell: append to $PROFILE.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Args {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let mut command = Cli::command();
        let name = command.get_name().to_owned();
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, name, &mut script);
        output::write(&script)
    }
}
