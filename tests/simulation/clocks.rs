//! The three clocks of a device against the world's own time, which never steps. Deliberately absent: the machine.

use lull_policy::{Deadline, Elapsed, Now, Running, Wall};

/// How long a device is up before its daemon is.
const BOOT: u64 = 20_000;

/// Where the clocks stand.
#[derive(Debug, Clone)]
pub(crate) struct Clocks {
    booted: u64,
    slept: u64,
    wall: i64,
}

impl Clocks {
    /// Of a device that boots as the world begins.
    pub(crate) fn new(wall: u64) -> Self {
        Self {
            booted: 0,
            slept: 0,
            wall: i64::try_from(wall).unwrap_or(i64::MAX),
        }
    }

    /// The three instants at a moment of the world.
    pub(crate) fn at(&self, world: u64) -> Now {
        let elapsed = world.saturating_sub(self.booted) + BOOT;
        let wall = i64::try_from(world).unwrap_or(i64::MAX) + self.wall;
        Now {
            running: Running::from_millis(elapsed - self.slept),
            elapsed: Elapsed::from_millis(elapsed),
            wall: Wall::from_millis(u64::try_from(wall).unwrap_or(0)),
        }
    }

    /// When in the world the earliest deadline comes, if nothing steps before.
    pub(crate) fn earliest(&self, deadline: Deadline) -> Option<u64> {
        let boot = |at: u64| (at + self.booted).saturating_sub(BOOT);
        let wall = |at: Wall| {
            let at = i64::try_from(at.as_millis()).unwrap_or(i64::MAX);
            u64::try_from(at.saturating_sub(self.wall)).unwrap_or(0)
        };
        let instants = [
            deadline
                .running
                .map(|at| boot(at.as_millis().saturating_add(self.slept))),
            deadline.elapsed.map(|at| boot(at.as_millis())),
            deadline.wall.map(wall),
        ];
        instants.into_iter().flatten().min()
    }

    /// A new boot begins at this moment of the world.
    pub(crate) fn boot(&mut self, world: u64) {
        self.booted = world;
        self.slept = 0;
    }

    /// The device slept.
    pub(crate) fn sleep(&mut self, length: u64) {
        self.slept += length;
    }

    /// The wall clock is stepped, never before the epoch's first year.
    pub(crate) fn step(&mut self, world: u64, by: i64) {
        let now = i64::try_from(self.at(world).wall.as_millis()).unwrap_or(i64::MAX);
        let least = 365 * 86_400_000;
        self.wall += by.max(least - now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_are_found_again() {
        let mut clocks = Clocks::new(1_800_000_000_000);
        clocks.boot(5_000);
        clocks.sleep(700);
        clocks.step(6_000, -40);
        let now = clocks.at(9_000);
        for deadline in [
            Deadline {
                running: Some(now.running),
                ..Deadline::default()
            },
            Deadline {
                elapsed: Some(now.elapsed),
                ..Deadline::default()
            },
            Deadline {
                wall: Some(now.wall),
                ..Deadline::default()
            },
        ] {
            assert_eq!(clocks.earliest(deadline), Some(9_000), "{deadline:?}");
        }
    }
}
