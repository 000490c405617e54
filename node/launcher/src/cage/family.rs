//! Who belongs to a run where no cage says so: by session, by descent, and by the mark in the environment.
//!
//! Only used without cgroups (no root, nothing delegated). It holds against programs that daemonize, not against one that hides on
//! purpose among others of its user; that is one of the things [`Cages`](super::Cages) then says it cannot enforce.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use rustix::process::{Pid, getpid};

use super::memory::read;
use super::tree::Tree;

/// The variable by which the daemon tells an agent its run; children inherit it.
const MARK: &str = "LULL_RUN=";

/// What `/proc/<pid>/stat` says of a process.
#[derive(Debug, Clone, Copy)]
struct Stat {
    pid: Pid,
    parent: i32,
    session: i32,
    ended: bool,
}

/// All living members of a run, in the order of their ids.
pub(crate) fn members(tree: Tree<'_>) -> io::Result<Vec<Pid>> {
    let all: Vec<Stat> = living()?;
    let mut members: BTreeSet<i32> = all
        .iter()
        .filter(|s| begins(s, tree))
        .map(|s| s.pid.as_raw_nonzero().get())
        .collect();
    loop {
        let before = members.len();
        for stat in &all {
            if members.contains(&stat.parent) {
                members.insert(stat.pid.as_raw_nonzero().get());
            }
        }
        if members.len() == before {
            return Ok(members.into_iter().filter_map(Pid::from_raw).collect());
        }
    }
}

/// It has ended, waited for or not.
pub(crate) fn has_ended(pid: Pid) -> bool {
    let path = format!("/proc/{}/stat", pid.as_raw_nonzero());
    fs::read_to_string(path)
        .ok()
        .and_then(|text| parse(pid, &text))
        .is_none_or(|s| s.ended)
}

/// When a process was started: field 22 of its `stat`, in clock ticks since boot.
pub(crate) fn start_time(pid: Pid) -> Option<u64> {
    let path = format!("/proc/{}/stat", pid.as_raw_nonzero());
    let text = read(Path::new(&path)).ok()?;
    let (_name, fields) = text.rsplit_once(')')?;
    fields.split_whitespace().nth(19)?.parse().ok()
}

/// The process belongs to the run by itself, not by its parent.
fn begins(stat: &Stat, tree: Tree<'_>) -> bool {
    if tree
        .main
        .is_some_and(|main| main == stat.pid || main.as_raw_nonzero().get() == stat.session)
    {
        return true;
    }
    let foreign = |pid: &Pid| *pid == stat.pid || pid.as_raw_nonzero().get() == stat.session;
    if stat.parent != getpid().as_raw_nonzero().get() || tree.others.iter().any(foreign) {
        return false;
    }
    // An orphan. One without any mark has hidden itself, and is taken for a member of whichever run ends.
    mark(stat.pid).is_none_or(|run| run == tree.run)
}

/// The run that a process's first environment names.
fn mark(pid: Pid) -> Option<u64> {
    let environment = fs::read(format!("/proc/{}/environ", pid.as_raw_nonzero())).ok()?;
    environment.split(|byte| *byte == 0).find_map(|entry| {
        std::str::from_utf8(entry)
            .ok()?
            .strip_prefix(MARK)?
            .parse()
            .ok()
    })
}

fn living() -> io::Result<Vec<Stat>> {
    let mut all = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name
            .to_str()
            .and_then(|n| n.parse().ok())
            .and_then(Pid::from_raw)
        else {
            continue;
        };
        let text = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
        all.extend(
            text.ok()
                .and_then(|text| parse(pid, &text))
                .filter(|stat| !stat.ended),
        );
    }
    Ok(all)
}

/// The name, in parentheses, may hold anything; the fields begin after its last one.
fn parse(pid: Pid, text: &str) -> Option<Stat> {
    let (_name, fields) = text.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let session = fields.nth(1)?.parse().ok()?;
    Some(Stat {
        pid,
        parent,
        session,
        ended: matches!(state, "Z" | "X" | "x"),
    })
}
