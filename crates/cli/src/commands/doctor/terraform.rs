//! Two real runs of Terraform or OpenTofu on one state: while the first holds the lock, the second must be
//! refused, and once it has ended, another must get it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use tidelock_client::doctor::{Examination, Finding};
use tidelock_server::backend_block::Backend;
use tokio::process::Command;
use tokio::time::{sleep, timeout};

use crate::connect::{Session, endpoint_kind};
use crate::exit::Failure;

/// Name of the check.
pub(super) const CHECK: &str = "terraform";
/// What to do when the second run is not refused, or the first not done.
const ADVICE: &str =
    "do not lock states here; with TF_LOG=debug Terraform says what it was answered";
/// Name of the state below the prefix of the examination.
const STATE: &str = "terraform.tfstate";
/// Longest time of one command.
const COMMAND_TIME_MAX: Duration = Duration::from_secs(240);
/// Pause between two looks for the lock of the first run.
const LOOK_PAUSE: Duration = Duration::from_millis(100);
/// Characters of Terraform's own words that are shown.
const WORDS_MAX: usize = 400;
/// Variables of the caller's that would lead the runs to another place.
const FOREIGN: &[&str] =
    &["AWS_PROFILE", "AWS_SESSION_TOKEN", "TF_CLI_ARGS", "TF_DATA_DIR", "TF_WORKSPACE"];
/// A resource whose making lasts until the file `go` is there, and ends with the directory.
const RESOURCE: &str = r#"
resource "terraform_data" "slow" {
  provisioner "local-exec" {
    command = "touch begun; while [ -e begun ]; do [ -e go ] && exit 0; sleep 0.2; done; exit 1"
  }
}
"#;

/// Where a program is, as the shell finds it.
pub(super) fn find(program: &Path) -> Result<PathBuf, Failure> {
    let no_program = || Failure::usage(format!("{}: there is no such program", program.display()));
    if program.components().count() > 1 {
        return fs::canonicalize(program).map_err(|_absent| no_program());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path).map(|directory| directory.join(program));
    places.find(|place| place.is_file()).ok_or_else(no_program)
}

/// Makes the check.
pub(super) async fn examine(
    session: &Session,
    examination: &Examination,
    program: &Path,
) -> Finding {
    let seen = match Bench::set_up(session, examination, program).await {
        Ok(bench) => bench.runs().await,
        Err(failure) => Err(failure.to_string()),
    };
    Finding::of_caller(CHECK, seen, ADVICE)
}

/// A directory for each run, both with the same configuration; they go with it.
struct Bench<'a> {
    program: &'a Path,
    directory: PathBuf,
    variables: Vec<(&'static str, String)>,
}

impl Drop for Bench<'_> {
    fn drop(&mut self) {
        // What is left is a small directory among the temporary ones.
        let _unreported = fs::remove_dir_all(&self.directory);
    }
}

impl<'a> Bench<'a> {
    async fn set_up(
        session: &Session,
        examination: &Examination,
        program: &'a Path,
    ) -> Result<Self, Failure> {
        let settings = session.client.settings();
        let backend = Backend {
            bucket: examination.bucket().to_owned(),
            region: settings.region.clone(),
            endpoint: settings.endpoint.to_string().trim_end_matches('/').to_owned(),
            kind: endpoint_kind(&session.client).await?,
        };
        let key = format!("{}{STATE}", examination.prefix());
        let block = backend.block_of(&key);
        let directory = std::env::temp_dir().join(examination.prefix().trim_end_matches('/'));
        let credentials = &settings.credentials;
        let mut variables = vec![
            ("AWS_ACCESS_KEY_ID", credentials.access_key_id.clone()),
            ("AWS_SECRET_ACCESS_KEY", credentials.secret_access_key.clone()),
            ("AWS_REGION", settings.region.clone()),
            ("CHECKPOINT_DISABLE", "1".to_owned()),
            ("TF_IN_AUTOMATION", "1".to_owned()),
        ];
        variables
            .extend(credentials.session_token.iter().map(|it| ("AWS_SESSION_TOKEN", it.clone())));
        if let Some(bundle) = &settings.ca_bundle {
            let bundle = fs::canonicalize(bundle)?;
            variables.push(("AWS_CA_BUNDLE", bundle.display().to_string()));
        }
        let bench = Self { program, directory, variables };
        for run in ["first", "second"] {
            fs::create_dir_all(bench.place(run))?;
            fs::write(bench.place(run).join("main.tf"), format!("{block}{RESOURCE}"))?;
        }
        Ok(bench)
    }

    /// What was seen; an error where locks did not hold.
    async fn runs(&self) -> Result<String, String> {
        for run in ["first", "second"] {
            self.done(run, &["init", "-input=false", "-no-color"]).await?;
        }
        let apply = ["apply", "-input=false", "-no-color", "-auto-approve"];
        let mut first = self.command("first", &apply).spawn().map_err(|error| error.to_string())?;
        let begun = self.place("first").join("begun");
        let waiting = async {
            while !begun.exists() && matches!(first.try_wait(), Ok(None)) {
                sleep(LOOK_PAUSE).await;
            }
        };
        let _elapsed = timeout(COMMAND_TIME_MAX, waiting).await;
        if !begun.exists() {
            let output = first.wait_with_output().await.map_err(|error| error.to_string())?;
            return Err(format!("the first run does not begin: {}", words(&output)));
        }
        let plan = ["plan", "-input=false", "-no-color", "-lock-timeout=0s"];
        let second = self.run("second", &plan).await?;
        let go = self.place("first").join("go");
        fs::write(go, "").map_err(|error| error.to_string())?;
        let first = first.wait_with_output().await.map_err(|error| error.to_string())?;
        if second.status.success() {
            return Err("the second run got the lock that the first one held".to_owned());
        }
        let refusal = words(&second);
        if !refusal.contains("Error acquiring the state lock") {
            return Err(format!("the second run failed for another reason: {refusal}"));
        }
        if !first.status.success() {
            return Err(format!("the first run failed: {}", words(&first)));
        }
        self.done("second", &plan).await?;
        Ok("the second run was refused while the first held the lock, and got it afterwards"
            .to_owned())
    }

    fn place(&self, run: &str) -> PathBuf {
        self.directory.join(run)
    }

    fn command(&self, run: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.program);
        for name in FOREIGN {
            command.env_remove(name);
        }
        command
            .args(arguments)
            .current_dir(self.place(run))
            .envs(self.variables.iter().map(|(name, value)| (*name, value.as_str())))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    async fn run(&self, run: &str, arguments: &[&str]) -> Result<Output, String> {
        let ended = timeout(COMMAND_TIME_MAX, self.command(run, arguments).output()).await;
        let program = self.program.display();
        let ended = ended.map_err(|_elapsed| format!("{program} {} does not end", arguments[0]))?;
        ended.map_err(|error| format!("{program}: {error}"))
    }

    async fn done(&self, run: &str, arguments: &[&str]) -> Result<(), String> {
        let output = self.run(run, arguments).await?;
        if output.status.success() {
            return Ok(());
        }
        Err(format!("terraform {} failed: {}", arguments[0], words(&output)))
    }
}

/// The first error in what a run has said, on one line.
fn words(output: &Output) -> String {
    let said = [output.stderr.as_slice(), output.stdout.as_slice()].concat();
    let said = String::from_utf8_lossy(&said).replace(['│', '╷', '╵'], " ");
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    let from = said.find("Error").unwrap_or_default();
    said[from..].chars().take(WORDS_MAX).collect()
}
