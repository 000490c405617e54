//! Processes as `/proc` shows them. A process is named by its id and its start time together: an id alone may come
//! to mean another one.

use std::fs;

use serde::{Deserialize, Serialize};

/// A process that cannot be mistaken for a later one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Process {
    /// Its id.
    pub(crate) pid: u32,
    /// Its start, in clock ticks since the boot (field 22 of `/proc/PID/stat`).
    pub(crate) start_time: u64,
}

impl Process {
    /// The process that has this id now.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        Some(Self {
            pid,
            start_time: stat(pid)?.start_time,
        })
    }

    /// It lives: a zombie does not.
    pub(crate) fn alive(self) -> bool {
        stat(self.pid).is_some_and(|stat| {
            stat.start_time == self.start_time && !matches!(stat.state, 'Z' | 'X')
        })
    }

    /// It is still in the process table, be it as a zombie.
    pub(crate) fn listed(self) -> bool {
        stat(self.pid).is_some_and(|stat| stat.start_time == self.start_time)
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Stat {
    state: char,
    start_time: u64,
}

fn stat(pid: u32) -> Option<Stat> {
    parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Reads `/proc/PID/stat`. The name in brackets may hold anything, brackets too: fields count from the last one.
fn parse(text: &str) -> Option<Stat> {
    let (_, after) = text.rsplit_once(')')?;
    let mut fields = after.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    // The state is field 3, the start time field 22.
    let start_time = fields.nth(18)?.parse().ok()?;
    Some(Stat { state, start_time })
}

/// So many processes were killed by the kernel for want of memory since the boot, in all cages.
pub(crate) fn oom_kills() -> Option<u64> {
    let text = fs::read_to_string("/proc/vmstat").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("oom_kill "))?;
    line.trim().parse().ok()
}

/// The version of the kernel.
pub(crate) fn kernel() -> String {
    fs::read_to_string("/proc/sys/kernel/osrelease")
        .unwrap_or_default()
        .trim()
        .to_owned()
}

/// This boot.
pub(crate) fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .unwrap_or_default()
        .trim()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let text = "7 (a) b (c)) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4242 1 2 3";
        assert_eq!(
            parse(text),
            Some(Stat {
                state: 'S',
                start_time: 4242
            })
        );
    }

    #[test]
    fn this_process_lives_and_another_start_does_not() {
        let me = Process::of(std::process::id()).unwrap();
        assert!(me.alive() && me.listed());
        let other = Process {
            start_time: me.start_time + 1,
            ..me
        };
        assert!(!other.alive() && !other.listed());
    }
}
