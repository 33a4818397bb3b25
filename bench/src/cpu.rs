//! CPU time of processes, from `/proc`: of one process, and of everything under it.

use std::fs;
use std::time::Duration;

/// Ticks a second of the times in `/proc/PID/stat` (`sysconf(_SC_CLK_TCK)`; 100 on every Linux).
const TICKS_PER_SECOND: u64 = 100;
// Positions in `/proc/PID/stat` after the command name, proc(5).
const PARENT: usize = 1;
const USER_TICKS: usize = 11;
const CHILDREN_SYSTEM_TICKS: usize = 14;

/// CPU time of `root` and all processes under it, those that have ended included.
pub fn used_by_tree(root: u32) -> Duration {
    let processes: Vec<(u32, Vec<u64>)> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|process| Some((process, stat(process)?)))
        .collect();
    let mut tree = vec![root];
    let mut ticks = 0;
    while let Some(process) = tree.pop() {
        let found = processes.iter().find(|(known, _)| *known == process);
        ticks += found.map_or(0, |(_, fields)| {
            fields[USER_TICKS..=CHILDREN_SYSTEM_TICKS].iter().sum::<u64>()
        });
        let children = processes.iter().filter(|(_, fields)| fields[PARENT] == u64::from(process));
        tree.extend(children.map(|(child, _)| *child));
    }
    Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND)
}

/// The fields after the command name, which may itself hold blanks and parentheses; the state, a
/// letter, counts as 0.
fn stat(process: u32) -> Option<Vec<u64>> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, fields) = text.rsplit_once(") ")?;
    let fields: Vec<u64> =
        fields.split(' ').map(|field| field.trim().parse().unwrap_or(0)).collect();
    (fields.len() > CHILDREN_SYSTEM_TICKS).then_some(fields)
}
