//! A disk of a test's own: ext4 in a file, on a loop device. Its power can be cut, it can be full, and what
//! reaches it is counted. Needs root and loop devices; [`Image::new`] says what is missing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::clock::wait_until;

/// Where memory is: an image there wears no disk, and no other process's sync waits for it.
const IN_MEMORY: &str = "/dev/shm";
/// Another directory for images.
const PLACE_VARIABLE: &str = "TIDELOCK_TEST_IMAGES";
/// Bytes of the sectors that Linux counts (Documentation/block/stat.rst).
const SECTOR_BYTES: u64 = 512;
/// A file system that is busy for longer is held by somebody.
const UNMOUNT_TIMEOUT: Duration = Duration::from_secs(30);

/// `EXT4_IOC_SHUTDOWN` without a flush of the journal: from then on nothing reaches the device, whatever is
/// under way, and every sync fails. What only the memory of the system had is lost.
const SHUTDOWN: &str = "import fcntl, os, struct, sys
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587D, struct.pack('I', 2))";

/// A mounted image.
#[derive(Debug)]
pub struct Image {
    device: String,
    mounted_at: PathBuf,
    _directory: TempDir,
}

impl Image {
    /// Makes and mounts an empty file system of so many bytes; or why this machine cannot.
    pub fn new(size_bytes: u64) -> Result<Self, String> {
        let place = std::env::var(PLACE_VARIABLE).unwrap_or_else(|_| IN_MEMORY.to_owned());
        let directory = TempDir::new_in(place).or_else(|_| TempDir::new()).unwrap();
        let (file, mounted_at) = (directory.path().join("image"), directory.path().join("mounted"));
        fs::File::create(&file).unwrap().set_len(size_bytes).unwrap();
        fs::create_dir(&mounted_at).unwrap();
        let path = file.to_str().unwrap();
        // All of the file system is there at once: nothing is written later that a test did not ask for.
        let whole = "lazy_itable_init=0,lazy_journal_init=0";
        run("mkfs.ext4", &["-q", "-F", "-m", "0", "-E", whole, path])?;
        let device = run("losetup", &["--find", "--show", path])?.trim().to_owned();
        let image = Self { device, mounted_at, _directory: directory };
        image.mount()?;
        Ok(image)
    }

    /// As [`Image::new`]; without one, says so on a line of the lane's output.
    #[allow(clippy::print_stdout, reason = "what was left out is a result of the lane")]
    pub fn or_left_out(size_bytes: u64, what: &str) -> Option<Self> {
        Self::new(size_bytes).inspect_err(|why| println!("left out: {what}: {why}")).ok()
    }

    /// The directory it is mounted at.
    pub fn path(&self) -> &Path {
        &self.mounted_at
    }

    /// Cuts the power: what was not synced is gone. Every write and sync fails until the power is back.
    pub fn cut_power(&self) {
        run("python3", &["-c", SHUTDOWN, self.mounted_at.to_str().unwrap()]).unwrap();
    }

    /// Mounts what has reached the device; nobody may use the file system any more.
    pub fn restore_power(&self) {
        self.unmount();
        self.mount().unwrap();
    }

    /// Bytes that were written to the device until everything is there.
    pub fn bytes_written(&self) -> u64 {
        run("sync", &["-f", self.mounted_at.to_str().unwrap()]).unwrap();
        let name = self.device.strip_prefix("/dev/").unwrap();
        let text = fs::read_to_string(format!("/sys/block/{name}/stat")).unwrap();
        let sectors: u64 = text.split_whitespace().nth(6).unwrap().parse().unwrap();
        sectors * SECTOR_BYTES
    }

    fn mount(&self) -> Result<(), String> {
        let path = self.mounted_at.to_str().unwrap();
        run("mount", &["-o", "noatime", &self.device, path]).map(drop)
    }

    fn unmount(&self) {
        let path = self.mounted_at.to_str().unwrap();
        wait_until("the image is unmounted", UNMOUNT_TIMEOUT, || run("umount", &[path]).is_ok());
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        // It may not be mounted; a lazy one goes when its last user does.
        drop(run("umount", &["--lazy", self.mounted_at.to_str().unwrap()]));
        drop(run("losetup", &["--detach", &self.device]));
    }
}

/// What a program prints, or why it failed.
fn run(program: &str, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let why = String::from_utf8_lossy(&output.stderr);
    Err(format!("{program}: {}", why.lines().next().unwrap_or("failed").trim()))
}
