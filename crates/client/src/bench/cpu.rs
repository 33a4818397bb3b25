//! CPU time of processes, from `/proc`: of one process, and of everything under it.

use std::fs;
use std::time::Duration;

/// Ticks a second of the times in `/proc/PID/stat` (`sysconf(_SC_CLK_TCK)`; 100 on every Linux).
const TICKS_PER_SECOND: u64 = 100;
// Positions in `/proc/PID/stat` after the command name, proc(5).
const PARENT: usize = 1;
const USER_TICKS: usize = 11;
const SYSTEM_TICKS: usize = 12;
const CHILDREN_SYSTEM_TICKS: usize = 14;

/// CPU time of this process.
pub(super) fn used_by_self() -> Duration {
    let ticks = fs::read_to_string("/proc/self/stat").ok().and_then(|text| fields(&text));
    duration(ticks.map_or(0, |fields| fields[USER_TICKS..=SYSTEM_TICKS].iter().sum()))
}

/// CPU time of `root` and all processes under it, those that have ended included; none where there is no
/// such process.
pub(super) fn used_by_tree(root: u32) -> Option<Duration> {
    let processes: Vec<(u32, Vec<u64>)> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|process| Some((process, stat(process)?)))
        .collect();
    processes.iter().find(|(known, _)| *known == root)?;
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
    Some(duration(ticks))
}

fn duration(ticks: u64) -> Duration {
    Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND)
}

fn stat(process: u32) -> Option<Vec<u64>> {
    fields(&fs::read_to_string(format!("/proc/{process}/stat")).ok()?)
}

/// The fields after the command name, which may itself hold blanks and parentheses; the state, a
/// letter, counts as 0.
fn fields(text: &str) -> Option<Vec<u64>> {
    let (_, fields) = text.rsplit_once(") ")?;
    let fields: Vec<u64> =
        fields.split(' ').map(|field| field.trim().parse().unwrap_or(0)).collect();
    (fields.len() > CHILDREN_SYSTEM_TICKS).then_some(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_those_after_the_name() {
        let line = "7 (a b) c) S 3 7 7 0 -1 4 1 0 0 0 11 22 33 44 20 0 1 0\n";
        let fields = fields(line).unwrap();
        assert_eq!(fields[PARENT], 3);
        assert_eq!(fields[USER_TICKS..=CHILDREN_SYSTEM_TICKS], [11, 22, 33, 44]);
    }

    #[test]
    fn a_process_that_is_not_there_has_used_nothing() {
        assert_eq!(used_by_tree(u32::MAX), None);
        assert!(used_by_tree(std::process::id()).is_some());
    }
}
