//! Hears that the whole device is short of memory (RUN-14): from the kernel's pressure (PSI), and from low-memory-monitor where
//! one runs. No reading, but news: told as often as it is heard, at most once in [`PAUSE`].
//!
//! Kept apart from the other watchers: nobody's interest starts it, and it costs nothing while memory suffices.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use lull_policy::Event;
use rustix::fs::{Mode, OFlags};
use tokio::io::{Interest, Ready};

use super::bus::{At, Bus, Ear, Signals};
use super::{Post, REFUSED, WatchError};
use crate::ports::EngineError;
use crate::retry::{Retry, random};

/// Where the kernel shows it.
pub(super) const MEMORY: &str = "/proc/pressure/memory";

/// What the kernel is asked to tell of: every task of the device stood still for memory for 0.2 s within 2 s. Windows of whole
/// seconds from 2 need no privilege.
const TRIGGER: &[u8] = b"full 200000 2000000\0";

/// Between two news: what was ended has to show first.
const PAUSE: Duration = Duration::from_secs(2);

/// A bus that is not there is looked for now and then: a device without one is not woken for it.
const LOOK_FOR_A_BUS: Retry = Retry::new(Duration::from_mins(10), Duration::from_hours(1));
const LEAST: Duration = Duration::from_mins(1);

const SERVICE: &str = "org.freedesktop.LowMemoryMonitor";
const PATH: &str = "/org/freedesktop/LowMemoryMonitor";

/// A `LowMemoryWarning` of 255 means: the kernel kills next. Below it, programs are asked to free caches.
const CRITICAL: u8 = 255;

/// Tells of every shortage until the engine ends.
pub(super) async fn watch(post: &Post) {
    tokio::join!(kernel(post), monitor(post));
}

async fn kernel(post: &Post) {
    let trigger = match trigger(&post.memory).and_then(crate::descriptor::watch_urgent) {
        Ok(trigger) => trigger,
        Err(error) => {
            tracing::info!(file = %post.memory.display(), %error,
                "the kernel does not tell of memory pressure; short memory is not heard of by it");
            return;
        }
    };
    loop {
        let pressed = trigger.ready(Interest::PRIORITY).await;
        match pressed {
            Ok(mut pressed) => pressed.clear_ready_matching(Ready::PRIORITY),
            Err(error) => {
                tracing::warn!(%error, "memory pressure is not heard of any more");
                return;
            }
        }
        if tell(post).is_err() {
            return;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// A descriptor that is urgent whenever memory was short for long enough.
pub(super) fn trigger(file: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let trigger = rustix::fs::open(file, flags, Mode::empty())?;
    rustix::io::write(&trigger, TRIGGER)?;
    Ok(trigger)
}

async fn monitor(post: &Post) {
    let mut retry = LOOK_FOR_A_BUS;
    loop {
        match follow_monitor(post).await {
            Ok(never) => match never {},
            Err(WatchError::Ending) => return,
            Err(error) => {
                tracing::debug!(
                    error = crate::error_chain::chain(&error),
                    "no low-memory-monitor"
                );
                tokio::time::sleep(retry.next(random()).max(LEAST)).await;
            }
        }
    }
}

async fn follow_monitor(post: &Post) -> Result<std::convert::Infallible, WatchError> {
    let failed = |source| WatchError::Bus {
        service: "low-memory-monitor",
        source,
    };
    let bus = Bus::connect(post).await.map_err(failed)?;
    let warnings = [Signals {
        service: SERVICE,
        at: At::Object(PATH),
        interface: Some(SERVICE),
    }];
    loop {
        let mut ear = Ear::open(&bus, None, &warnings).await.map_err(failed)?;
        let warning = ear.next().await.map_err(failed)?;
        let level: Option<u8> = warning.body().deserialize().ok();
        drop(ear);
        if level == Some(CRITICAL) {
            tell(post)?;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn tell(post: &Post) -> Result<(), WatchError> {
    match post.engine.tell(Event::MemoryShort) {
        Ok(()) => Ok(()),
        Err(EngineError::Ending) => Err(WatchError::Ending),
        Err(EngineError::Full(_) | EngineError::Unavailable) => {
            post.board.count(REFUSED);
            Ok(())
        }
    }
}
