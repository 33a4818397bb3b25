//! What a process has used of the machine, as Linux tells it.

use std::fs;
use std::path::Path;
use std::time::Duration;

/// What a process has used so far.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// On all processors together, of the threads that still run.
    pub cpu: Duration,
    /// Memory that it has now, pages of its binary included.
    pub resident_bytes: u64,
    /// Of that, what is no file's.
    pub anonymous_bytes: u64,
}

impl Usage {
    /// Of a process that runs.
    pub fn of(pid: u32) -> Self {
        let process = Path::new("/proc").join(pid.to_string());
        let mut cpu = Duration::ZERO;
        for thread in fs::read_dir(process.join("task")).unwrap() {
            // It may have ended since.
            let Ok(text) = fs::read_to_string(thread.unwrap().path().join("schedstat")) else {
                continue;
            };
            let nanos = text.split(' ').next().unwrap().parse().unwrap();
            cpu += Duration::from_nanos(nanos);
        }
        let status = fs::read_to_string(process.join("status")).unwrap();
        let bytes = |name| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
        };
        Self { cpu, resident_bytes: bytes("VmRSS:"), anonymous_bytes: bytes("RssAnon:") }
    }
}

/// Bytes that a directory takes on the disk, holes not counted.
pub fn disk_bytes(directory: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let mut bytes = 0;
    for entry in fs::read_dir(directory).unwrap() {
        // A server may work in there.
        let Ok(metadata) = entry.as_ref().unwrap().metadata() else { continue };
        let path = entry.unwrap().path();
        bytes += if metadata.is_dir() { disk_bytes(&path) } else { metadata.blocks() * 512 };
    }
    bytes
}
