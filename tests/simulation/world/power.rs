//! The device and its daemon go away and come back, as in the daemon's own life: restored from what is durable, told
//! that it booted, then everything that stands in no record.

use lull_policy::{BootId, Device, Event, FrontState, Source};

use super::{State, World};
use crate::plan::{Down, SECOND};
use crate::queue::Due;

impl World<'_> {
    /// The plan takes the device down. It is down already: nothing more happens.
    pub(super) fn down(&mut self, how: Down, length: u64) {
        if self.state != State::Up {
            return;
        }
        self.tally.absences += 1;
        match how {
            Down::Suspend => self.sleep(length),
            Down::Reboot => {
                self.state = State::Closing;
                let grace = self.policy.cancel_grace.as_millis() + SECOND;
                self.queue.push(self.at + grace, Due::Off { length });
                self.decide(Event::ShuttingDown);
            }
            Down::Stop => {
                self.write_all();
                self.leave(length, false);
            }
            Down::Killed => {
                self.store.lose(true);
                self.leave(length, false);
            }
            Down::PowerCut { torn } => {
                self.store.lose(torn);
                self.leave(length, true);
            }
        }
    }

    fn sleep(&mut self, length: u64) {
        self.state = State::Asleep { length };
        self.coordinator.end();
        self.queue.sleep(length);
        for process in self.launcher.live.values_mut() {
            process.ends = process.ends.map(|at| at + length);
            process.frozen = process.frozen.map(|at| at + length);
        }
        self.queue.push(self.at + length, Due::Up);
    }

    fn write_all(&mut self) {
        for held in self.store.flush() {
            self.perform(held);
        }
    }

    pub(super) fn off(&mut self, length: u64) {
        self.write_all();
        self.leave(length, true);
    }

    fn leave(&mut self, length: u64, rebooted: bool) {
        self.coordinator.end();
        self.watched.clear();
        self.meters.clear();
        if rebooted {
            self.launcher.live.clear();
            self.launcher.kept.clear();
            self.fronts.clear();
        }
        self.queue.forget(|due| match due {
            Due::Committed | Due::Report(_) | Due::Answers { .. } | Due::Acknowledges(_) => true,
            Due::Run { .. } => rebooted,
            Due::Step(_) | Due::Arrives { .. } | Due::Connects | Due::Off { .. } | Due::Up => false,
        });
        self.acknowledging = false;
        self.state = State::Away { rebooted };
        self.queue.push(self.at + length, Due::Up);
    }

    pub(super) fn up(&mut self) {
        self.up_since = self.at;
        match self.state {
            State::Up | State::Closing => return,
            State::Asleep { length } => {
                self.state = State::Up;
                self.clocks.sleep(length);
                let readings = self.seen_by(&Source::ALL);
                self.decide(Event::ReadingsAnew(readings));
                self.decide(Event::DeadlineReached);
            }
            State::Away { rebooted } => {
                if rebooted {
                    self.clocks.boot(self.at);
                    self.boots += 1;
                }
                self.state = State::Up;
                self.device = Device::restore(self.store.records().cloned());
                self.onlookers.restored(&self.store);
                self.boot_daemon();
            }
        }
        self.queue.push(self.at + SECOND, Due::Connects);
    }

    /// The daemon is there: it is told that it booted, and what stands in no record.
    pub(super) fn boot_daemon(&mut self) {
        self.sabotage();
        let boot = BootId::new(format!("boot-{}", self.boots)).expect("a boot id");
        self.decide(Event::Booted { boot });
        self.decide(Event::ProfileChanged(self.plan.profile.clone()));
        self.decide(Event::PolicyChanged(self.policy.clone()));
        if self.plan.prompt {
            self.tell_of(&Source::ALL);
        }
        let runs = self.launcher.held();
        self.decide(Event::RunsHeld { runs });
        self.decide(Event::Apps(self.installed.values().cloned().collect()));
        for (run, exit) in self.launcher.kept.clone() {
            self.tell_end(run, exit);
        }
        let fronts: Vec<_> = self.fronts.iter().map(|(a, s)| (a.clone(), *s)).collect();
        for (app, state) in fronts {
            self.decide(Event::FrontChanged { app, state });
        }
        let gone = self
            .installed
            .keys()
            .filter(|app| !self.fronts.contains_key(*app));
        let gone: Vec<_> = gone.cloned().collect();
        for app in gone {
            if self.device.front(&app) != FrontState::None {
                let state = FrontState::None;
                self.decide(Event::FrontChanged { app, state });
            }
        }
        self.queue.push(self.at + SECOND, Due::Connects);
    }
}
