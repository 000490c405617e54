//! The clock port: the three instants of the machine, the boot they belong to, and alarms on them.
//!
//! The only place where clocks are read. Deliberately absent: decisions about time; the machine says when it wants to
//! be woken ([`Deadline`]), an [`Alarm`] wakes at that instant and says no more.

use std::fmt::Debug;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use lull_policy::{BootId, Deadline, Elapsed, NameError, Now, Running, Span, Wall};
use rustix::io::Errno;
use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime,
    timerfd_create, timerfd_settime,
};
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;

use crate::ports::PortFuture;

/// Where the kernel says which boot this is.
pub const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Reads clocks and makes alarms on them.
pub trait Clock: Debug + Send + Sync + 'static {
    /// The three instants, read at the same moment.
    fn now(&self) -> Now;
    /// The boot that `elapsed` counts from.
    fn boot(&self) -> BootId;
    /// A new alarm. Must be called on the runtime.
    ///
    /// # Errors
    /// What the kernel said when no timer could be had.
    fn alarm(&self) -> io::Result<Box<dyn Alarm>>;
}

/// The clock, shared.
pub type ClockRef = Arc<dyn Clock>;

/// One set of timers, one a clock.
pub trait Alarm: Debug + Send {
    /// Resolves when the first of the instants has come, or when the wall clock was stepped. Dropping the future disarms nothing
    /// that a later call does not arm anew.
    fn wait(&mut self, deadline: Deadline) -> PortFuture<'_, io::Result<Ring>>;
}

/// Why an alarm rang.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ring {
    /// One of the instants has come.
    Reached,
    /// The wall clock was stepped; its instant may lie elsewhere now.
    Stepped,
}

/// Why the boot is not known.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// The file could not be read.
    #[error("reading the boot id from {BOOT_ID}")]
    Read(#[source] io::Error),
    /// It held something else.
    #[error("the boot id in {BOOT_ID}")]
    Name(#[source] NameError),
}

/// The kernel's clocks.
#[derive(Debug, Clone)]
pub struct System {
    boot: BootId,
}

impl System {
    /// Reads the boot id, which does not change while the process lives.
    pub fn new() -> Result<Self, BootError> {
        let text = std::fs::read_to_string(Path::new(BOOT_ID)).map_err(BootError::Read)?;
        let boot = BootId::new(text.trim()).map_err(BootError::Name)?;
        Ok(Self { boot })
    }
}

impl Clock for System {
    fn now(&self) -> Now {
        Now {
            running: Running::from_millis(millis(ClockId::Monotonic)),
            elapsed: Elapsed::from_millis(millis(ClockId::Boottime)),
            wall: Wall::from_millis(millis(ClockId::Realtime)),
        }
    }
    fn boot(&self) -> BootId {
        self.boot.clone()
    }
    fn alarm(&self) -> io::Result<Box<dyn Alarm>> {
        Ok(Box::new(KernelAlarm {
            running: KernelTimer::new(TimerfdClockId::Monotonic, TimerfdTimerFlags::ABSTIME)?,
            elapsed: KernelTimer::new(TimerfdClockId::Boottime, TimerfdTimerFlags::ABSTIME)?,
            wall: KernelTimer::new(
                TimerfdClockId::Realtime,
                TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET,
            )?,
        }))
    }
}

/// Whole milliseconds of a kernel clock; one before its zero (a wall clock before 1970) reads as zero.
fn millis(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let part = u64::try_from(time.tv_nsec).unwrap_or(0) / 1_000_000;
    seconds.saturating_mul(1_000).saturating_add(part)
}

#[derive(Debug)]
struct KernelAlarm {
    running: KernelTimer,
    elapsed: KernelTimer,
    wall: KernelTimer,
}

impl Alarm for KernelAlarm {
    fn wait(&mut self, deadline: Deadline) -> PortFuture<'_, io::Result<Ring>> {
        Box::pin(async move {
            self.running.arm(deadline.running.map(Running::as_millis))?;
            self.elapsed.arm(deadline.elapsed.map(Elapsed::as_millis))?;
            // Without a deadline it is armed for the far future, so that a step is still heard of.
            let wall = deadline.wall.map_or(FAR, Wall::as_millis);
            if self.wall.arm(Some(wall))? == Ring::Stepped {
                return Ok(Ring::Stepped);
            }
            tokio::select! {
                ring = self.running.rung() => ring,
                ring = self.elapsed.rung() => ring,
                ring = self.wall.rung() => ring,
            }
        })
    }
}

/// The year 2262 in milliseconds: past it the kernel's own nanoseconds end.
const FAR: u64 = 9_214_646_400_000;

#[derive(Debug)]
struct KernelTimer {
    timer: AsyncFd<OwnedFd>,
    flags: TimerfdTimerFlags,
}

impl KernelTimer {
    fn new(clock: TimerfdClockId, flags: TimerfdTimerFlags) -> io::Result<Self> {
        let timer = timerfd_create(clock, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
        Ok(Self {
            timer: crate::descriptor::watch(timer)?,
            flags,
        })
    }

    /// Arms for an absolute instant in milliseconds, or disarms.
    fn arm(&self, at: Option<u64>) -> io::Result<Ring> {
        let setting = Itimerspec {
            it_interval: timespec(0),
            it_value: at.map_or(timespec(0), |at| instant(at.min(FAR))),
        };
        match timerfd_settime(self.timer.get_ref(), self.flags, &setting) {
            Ok(_before) => Ok(Ring::Reached),
            // The clock was set since the timer was last looked at; it is armed all the same.
            Err(Errno::CANCELED) => Ok(Ring::Stepped),
            Err(error) => Err(error.into()),
        }
    }

    async fn rung(&self) -> io::Result<Ring> {
        loop {
            let mut ready = self.timer.readable().await?;
            let mut expirations = [0; 8];
            match rustix::io::read(self.timer.get_ref(), &mut expirations) {
                Ok(_count) => return Ok(Ring::Reached),
                Err(Errno::CANCELED) => return Ok(Ring::Stepped),
                Err(Errno::AGAIN) => ready.clear_ready(),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn timespec(at: u64) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(at / 1_000).unwrap_or(i64::MAX),
        tv_nsec: i64::try_from(at % 1_000 * 1_000_000).unwrap_or(0),
    }
}

/// As [`timespec`]; zero would disarm, and the first nanosecond is as long ago.
fn instant(at: u64) -> Timespec {
    let mut time = timespec(at);
    if at == 0 {
        time.tv_nsec = 1;
    }
    time
}

/// A clock that stands still until a test moves it.
#[derive(Debug)]
pub struct Manual {
    boot: BootId,
    /// The instants, and how often the wall clock was stepped.
    time: watch::Sender<(Now, u64)>,
}

impl Manual {
    /// A clock that shows `now`, in the boot `boot`.
    pub fn new(boot: BootId, now: Now) -> Self {
        Self {
            boot,
            time: watch::Sender::new((now, 0)),
        }
    }

    /// Time passes on all three clocks.
    pub fn advance(&self, span: Span) {
        self.time.send_modify(|(now, _steps)| {
            now.running = now.running.after(span);
            now.elapsed = now.elapsed.after(span);
            now.wall = now.wall.after(span);
        });
    }

    /// The device sleeps: the monotonic clock stands still.
    pub fn suspend(&self, span: Span) {
        self.time.send_modify(|(now, _steps)| {
            now.elapsed = now.elapsed.after(span);
            now.wall = now.wall.after(span);
        });
    }

    /// Somebody sets the wall clock.
    pub fn step(&self, wall: Wall) {
        self.time.send_modify(|(now, steps)| {
            now.wall = wall;
            *steps = steps.wrapping_add(1);
        });
    }
}

impl Clock for Manual {
    fn now(&self) -> Now {
        self.time.borrow().0
    }
    fn boot(&self) -> BootId {
        self.boot.clone()
    }
    fn alarm(&self) -> io::Result<Box<dyn Alarm>> {
        let time = self.time.subscribe();
        let steps = time.borrow().1;
        Ok(Box::new(ManualAlarm { time, steps }))
    }
}

#[derive(Debug)]
struct ManualAlarm {
    time: watch::Receiver<(Now, u64)>,
    steps: u64,
}

impl Alarm for ManualAlarm {
    fn wait(&mut self, deadline: Deadline) -> PortFuture<'_, io::Result<Ring>> {
        Box::pin(async move {
            let seen = self.steps;
            let rung = |(now, steps): &(Now, u64)| *steps != seen || reached(deadline, *now);
            let Ok((_now, steps)) = self.time.wait_for(rung).await.map(|time| *time) else {
                // Nobody can move the clock any more: it never rings.
                return std::future::pending().await;
            };
            let ring = if steps == seen {
                Ring::Reached
            } else {
                Ring::Stepped
            };
            self.steps = steps;
            Ok(ring)
        })
    }
}

/// What a kernel timer does by itself.
fn reached(deadline: Deadline, now: Now) -> bool {
    deadline.running.is_some_and(|at| at <= now.running)
        || deadline.elapsed.is_some_and(|at| at <= now.elapsed)
        || deadline.wall.is_some_and(|at| at <= now.wall)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    async fn ring(alarm: &mut Box<dyn Alarm>, deadline: Deadline) -> Ring {
        tokio::time::timeout(PATIENCE, alarm.wait(deadline))
            .await
            .unwrap()
            .unwrap()
    }

    #[tokio::test]
    async fn each_kernel_clock_rings_no_earlier_than_asked() {
        let clock = System::new().unwrap();
        let mut alarm = clock.alarm().unwrap();
        let span = Span::millis(20);
        let start = clock.now();
        let deadlines = [
            Deadline {
                running: Some(start.running.after(span)),
                ..Deadline::default()
            },
            Deadline {
                elapsed: Some(start.elapsed.after(span)),
                ..Deadline::default()
            },
            Deadline {
                wall: Some(start.wall.after(span)),
                ..Deadline::default()
            },
        ];
        for deadline in deadlines {
            assert_eq!(ring(&mut alarm, deadline).await, Ring::Reached);
            assert!(
                reached(deadline, clock.now()),
                "{deadline:?} rang too early"
            );
        }
    }

    #[tokio::test]
    async fn an_instant_that_has_passed_rings_at_once_even_zero() {
        let mut alarm = System::new().unwrap().alarm().unwrap();
        let deadline = Deadline {
            elapsed: Some(Elapsed::from_millis(0)),
            ..Deadline::default()
        };
        assert_eq!(ring(&mut alarm, deadline).await, Ring::Reached);
    }

    #[tokio::test]
    async fn a_later_wait_replaces_the_instants_of_a_dropped_one() {
        let clock = System::new().unwrap();
        let mut alarm = clock.alarm().unwrap();
        let soon = Deadline {
            running: Some(clock.now().running.after(Span::hours(1))),
            ..Deadline::default()
        };
        assert!(futures_util::FutureExt::now_or_never(alarm.wait(soon)).is_none());
        let now = Deadline {
            wall: Some(clock.now().wall),
            ..Deadline::default()
        };
        assert_eq!(ring(&mut alarm, now).await, Ring::Reached);
    }

    #[tokio::test]
    async fn the_manual_clock_rings_when_moved_and_when_stepped() {
        let start = Now::default();
        let clock = Manual::new(BootId::new("boot").unwrap(), start);
        let mut alarm = clock.alarm().unwrap();
        let deadline = Deadline {
            running: Some(start.running.after(Span::seconds(25))),
            ..Deadline::default()
        };
        clock.advance(Span::seconds(24));
        clock.suspend(Span::hours(1));
        assert!(futures_util::FutureExt::now_or_never(alarm.wait(deadline)).is_none());
        clock.advance(Span::seconds(1));
        assert_eq!(ring(&mut alarm, deadline).await, Ring::Reached);
        clock.step(Wall::from_millis(7));
        assert_eq!(ring(&mut alarm, Deadline::default()).await, Ring::Stepped);
        assert_eq!(clock.now().wall, Wall::from_millis(7));
    }
}
