//! Time passes from one instant at which something is due to the next.

use lull_policy::{Deadline, Event, Span, Wall};

use super::World;
use super::clock::Standing;

impl World {
    /// When something is due next, since the start; an instant that has come means now.
    pub(crate) fn next(&self) -> Option<Span> {
        let standing = self.power.standing();
        let mut next = self.power.due();
        let mut take = |after: Option<Span>| {
            let at = after.map(|after| self.clock.t.saturating_add(after));
            next = [next, at].into_iter().flatten().min();
        };
        if standing == Standing::Awake {
            let runs = self.runs.values().filter_map(super::run::VirtualRun::due);
            let metered = self.is_up().then(|| self.meter_due()).flatten();
            take(self.clock.until(Deadline {
                running: runs.chain(metered).min(),
                ..Deadline::default()
            }));
        }
        take(self.clock.until(Deadline {
            wall: self.zone.as_ref().and_then(super::ZoneWatch::due),
            ..Deadline::default()
        }));
        if self.is_up() {
            take(self.clock.until(self.deadline()));
        }
        next
    }

    /// Time passes up to an instant; the device comes up if it is time. Whatever else is due waits for
    /// [`World::settle`].
    pub(crate) fn pass_to(&mut self, t: Span) {
        self.clock.pass_to(t, self.power.standing());
        self.come_up();
    }

    /// Lives through what is due now, until nothing is.
    ///
    /// # Panics
    /// If machine and world never come to rest, which is a fault of the machine.
    pub(crate) fn settle(&mut self) {
        let mut rounds = 0;
        loop {
            rounds += 1;
            self.assert_rest(rounds);
            let mut moved = self.turn_zone();
            if self.power.standing() == Standing::Awake {
                moved |= self.perform_acts();
                moved |= self.end_runs();
            }
            if self.is_up() {
                moved |= self.spend_meters();
                moved |= self.reach_deadline();
            }
            moved |= self.shut_down_if_idle();
            if !moved {
                return;
            }
        }
    }

    fn reach_deadline(&mut self) -> bool {
        let due = self.clock.until(self.deadline()) == Some(Span::ZERO);
        if due {
            self.hand(Event::DeadlineReached);
        }
        due
    }

    /// The wall clock is stepped.
    pub(crate) fn step_clock(&mut self, to: Wall) {
        self.clock.now.wall = to;
        self.read_zone();
        self.deliver(Event::ClockStepped);
        self.set([]);
    }

    /// Time passes, instant by instant; what falls exactly on the end is still lived through.
    pub(crate) fn advance_to(&mut self, end: Span) {
        while let Some(next) = self.next().filter(|next| *next <= end) {
            self.pass_to(next);
            self.settle();
        }
        self.pass_to(end);
    }
}
