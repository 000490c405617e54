//! The three clocks of a device, and the time since its start that no step, suspend or boot moves.

use lull_policy::{Deadline, Elapsed, Now, Running, Span, Wall};

/// Which of the clocks stand still while time passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// None.
    Awake,
    /// The monotonic clock: the device sleeps.
    Asleep,
    /// Both clocks of the boot: there is no boot.
    Off,
}

/// Every clock of a virtual device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Clock {
    /// Since the start of the world.
    pub(crate) t: Span,
    /// What the machine is told.
    pub(crate) now: Now,
}

impl Clock {
    /// The clocks of a device that boots for the first time at this wall time.
    pub(crate) fn starting(wall: Wall) -> Self {
        Self {
            t: Span::ZERO,
            now: Now {
                running: Running::default(),
                elapsed: Elapsed::default(),
                wall,
            },
        }
    }

    /// Time passes up to `t`.
    pub(crate) fn pass_to(&mut self, t: Span, standing: Standing) {
        let span = t.saturating_sub(self.t);
        self.t = self.t.saturating_add(span);
        self.now.wall = self.now.wall.after(span);
        match standing {
            Standing::Awake => {
                self.now.running = self.now.running.after(span);
                self.now.elapsed = self.now.elapsed.after(span);
            }
            Standing::Asleep => self.now.elapsed = self.now.elapsed.after(span),
            Standing::Off => {}
        }
    }

    /// Both clocks of the boot start anew.
    pub(crate) fn boot(&mut self) {
        self.now.running = Running::default();
        self.now.elapsed = Elapsed::default();
    }

    /// How long until the earliest of these instants, the clocks going on as they do now; zero if one has passed.
    pub(crate) fn until(&self, deadline: Deadline) -> Option<Span> {
        let running = deadline.running.map(|at| at.since(self.now.running));
        let elapsed = deadline.elapsed.map(|at| at.since(self.now.elapsed));
        let wall = deadline.wall.map(|at| at.since(self.now.wall));
        [running, elapsed, wall].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleep_stops_one_clock_and_a_boot_resets_two() {
        let mut clock = Clock::starting(Wall::from_millis(1_000));
        clock.pass_to(Span::seconds(10), Standing::Awake);
        clock.pass_to(Span::seconds(15), Standing::Asleep);
        assert_eq!(clock.now.running.as_millis(), 10_000);
        assert_eq!(clock.now.elapsed.as_millis(), 15_000);
        clock.boot();
        clock.pass_to(Span::seconds(20), Standing::Off);
        assert_eq!(clock.now.elapsed.as_millis(), 0);
        assert_eq!(clock.now.wall.as_millis(), 21_000);
        assert_eq!(clock.t, Span::seconds(20));
    }

    #[test]
    fn an_instant_that_has_passed_is_due_at_once() {
        let mut clock = Clock::starting(Wall::from_millis(1_000));
        clock.pass_to(Span::seconds(10), Standing::Awake);
        let deadline = Deadline {
            running: Some(Running::from_millis(12_000)),
            elapsed: None,
            wall: Some(Wall::from_millis(500)),
        };
        assert_eq!(clock.until(deadline), Some(Span::ZERO));
    }
}
