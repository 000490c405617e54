//! The memory cap of a cage, and whether the kernel killed for it: v1 and v2 behind one trait.

use std::fmt::Debug;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use rustix::event::{EventfdFlags, PollFlags, eventfd};

/// A cage's folder in the hierarchy that has the memory controller.
pub(crate) trait MemoryCap: Debug {
    /// Sets the cap, in bytes; absent = none. Swap counts into it.
    fn set(&self, folder: &Path, cap: Option<u64>) -> io::Result<()>;
    /// A descriptor that becomes ready when the cage is out of memory, and for which readiness.
    fn watch(&self, folder: &Path) -> io::Result<(OwnedFd, PollFlags)>;
    /// The kernel killed a process of the cage because the cage's own cap was reached.
    fn killed(&self, folder: &Path) -> bool;
    /// Bytes in use now.
    fn usage(&self, folder: &Path) -> Option<u64>;
    /// Most bytes ever in use.
    fn peak(&self, folder: &Path) -> Option<u64>;
}

/// Pages by which a peak may stay below its cap: the kernel charges them in batches of so many.
const BATCH: usize = 64;

/// The v1 controller.
#[derive(Debug)]
pub(crate) struct V1;

impl MemoryCap for V1 {
    fn set(&self, folder: &Path, cap: Option<u64>) -> io::Result<()> {
        let cap = cap.map_or_else(|| "-1".to_owned(), |bytes| bytes.to_string());
        let limit = || write(&folder.join("memory.limit_in_bytes"), &cap);
        // Absent where swap is not accounted; then there is nothing to bound.
        let with_swap = || match write(&folder.join("memory.memsw.limit_in_bytes"), &cap) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        // The second may never be the lower one: it is raised first, and lowered last.
        if limit().is_err() {
            with_swap()?;
            return limit();
        }
        with_swap()
    }

    fn watch(&self, folder: &Path) -> io::Result<(OwnedFd, PollFlags)> {
        let notice = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let control = File::open(folder.join("memory.oom_control"))?;
        let registration = format!("{} {}", notice.as_raw_fd(), control.as_raw_fd());
        write(&folder.join("cgroup.event_control"), &registration)?;
        Ok((notice, PollFlags::IN))
    }

    fn killed(&self, folder: &Path) -> bool {
        // The kill counter also counts kills for the memory of an outer group or of the whole machine; a cap of our own that was
        // never reached had no part in it. The failure counters would say that, but newer kernels leave them at 0 (seen on 6.18).
        if counter(&folder.join("memory.oom_control"), "oom_kill ") == 0 {
            return false;
        }
        let batch = u64::try_from(BATCH * rustix::param::page_size()).unwrap_or(0);
        let reached = |peak: &str, limit: &str| {
            let peak = number(&folder.join(peak));
            let limit = number(&folder.join(limit));
            peak.zip(limit)
                .is_some_and(|(peak, limit)| peak.saturating_add(batch) >= limit)
        };
        reached("memory.max_usage_in_bytes", "memory.limit_in_bytes")
            || reached(
                "memory.memsw.max_usage_in_bytes",
                "memory.memsw.limit_in_bytes",
            )
    }

    fn usage(&self, folder: &Path) -> Option<u64> {
        number(&folder.join("memory.usage_in_bytes"))
    }

    fn peak(&self, folder: &Path) -> Option<u64> {
        number(&folder.join("memory.max_usage_in_bytes"))
    }
}

/// The v2 controller.
#[derive(Debug)]
pub(crate) struct V2;

impl MemoryCap for V2 {
    fn set(&self, folder: &Path, cap: Option<u64>) -> io::Result<()> {
        let word = |cap: Option<u64>| cap.map_or_else(|| "max".to_owned(), |b| b.to_string());
        write(&folder.join("memory.max"), &word(cap))?;
        match write(&folder.join("memory.swap.max"), &word(cap.map(|_| 0))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // One kill takes the whole cage: an agent whose child is gone is no agent.
        write(&folder.join("memory.oom.group"), "1")
    }

    fn watch(&self, folder: &Path) -> io::Result<(OwnedFd, PollFlags)> {
        let events = File::open(folder.join("memory.events"))?;
        // A first reading arms the notice: it comes for changes after it.
        let mut text = [0; 512];
        rustix::io::read(&events, &mut text)?;
        Ok((events.into(), PollFlags::PRI))
    }

    fn killed(&self, folder: &Path) -> bool {
        // `oom` moves only where the cap that was hit is the cage's own.
        read(&folder.join("memory.events"))
            .is_ok_and(|events| line(&events, "oom ") > 0 && line(&events, "oom_kill ") > 0)
    }

    fn usage(&self, folder: &Path) -> Option<u64> {
        number(&folder.join("memory.current"))
    }

    fn peak(&self, folder: &Path) -> Option<u64> {
        number(&folder.join("memory.peak"))
    }
}

/// Writes a control file, which exists.
pub(crate) fn write(path: &Path, text: &str) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    rustix::io::write(&file, text.as_bytes())?;
    Ok(())
}

/// A file that holds one number.
pub(crate) fn number(path: &Path) -> Option<u64> {
    read(path).ok()?.trim().parse().ok()
}

/// One line `name number` of a file; 0 where it is not there.
pub(crate) fn counter(path: &Path, name: &str) -> u64 {
    read(path).map_or(0, |text| line(&text, name))
}

/// One line `name number` of a text; 0 where it is not there.
pub(crate) fn line(text: &str, name: &str) -> u64 {
    let number = |line: &str| line.strip_prefix(name)?.trim().parse().ok();
    text.lines().find_map(number).unwrap_or(0)
}

/// Most bytes of a control file that is read here: `memory.oom_control` has 60, `cpu.stat` 300.
const CONTROL_FILE: usize = 4096;

/// A small control file, in one piece.
pub(crate) fn read(path: &Path) -> io::Result<String> {
    let file = File::open(path)?;
    let mut bytes = [0; CONTROL_FILE];
    let length = rustix::io::read(&file, &mut bytes)?;
    Ok(String::from_utf8_lossy(bytes.get(..length).unwrap_or_default()).into_owned())
}
