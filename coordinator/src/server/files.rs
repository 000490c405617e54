//! What the daemon keeps in its state folder beside the store and the authority, and where its log goes.
//!
//! Deliberately absent: secrets.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use rustix::fs::{FlockOperation, flock};
use serde::Serialize;
use tracing_subscriber::EnvFilter;

use super::Bound;
use crate::authority::files::{make_folder, write};

const READY: &str = "ready.json";

#[derive(Serialize)]
struct Ready {
    fleet: String,
    door: String,
    pid: u32,
}

/// The lock of a state folder, until dropped.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

/// Makes the folder and takes it: one coordinator at a time.
pub(super) fn take_state(state: &Path) -> anyhow::Result<Lock> {
    let shown = state.display();
    make_folder(state).with_context(|| format!("cannot make the folder {shown}"))?;
    let path = state.join("lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .with_context(|| format!("cannot open {}", path.display()))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            anyhow::bail!("another coordinator uses {shown}; end it, or name another state_dir")
        }
        Err(error) => return Err(error).with_context(|| format!("cannot lock {}", path.display())),
    }
    remove_ready(state);
    Ok(Lock { _file: file })
}

/// Tells where the coordinator listens.
pub(super) fn write_ready(state: &Path, bound: Bound) -> anyhow::Result<()> {
    let ready = Ready {
        fleet: bound.fleet.to_string(),
        door: bound.door.to_string(),
        pid: std::process::id(),
    };
    let path = state.join(READY);
    write(&path, &serde_json::to_vec(&ready)?)
        .with_context(|| format!("cannot write {}", path.display()))
}

/// Nobody listens any more.
pub(super) fn remove_ready(state: &Path) {
    match std::fs::remove_file(state.join(READY)) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => tracing::warn!(%error, "cannot remove {READY}"),
    }
}

/// The log goes to standard error, at a level or filter; where a log is set up already, that one is used.
pub(super) fn log(level: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(level).context("log.level")?;
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal());
    if subscriber.try_init().is_err() {
        tracing::debug!("a log is set up already");
    }
    Ok(())
}
