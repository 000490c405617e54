//! The device goes down and comes back: a restart of the daemon, a reboot, a power cut, a suspend.
//!
//! While it is away nothing is decided. What is done to the world meanwhile is found as it is, or handed in afterwards where
//! it waits for somebody: a push, the operator, a policy document.

use lull_policy::{BootId, Device, Event, Occurrence, Span};

use super::World;
use super::clock::Standing;

/// Why nothing is decided at the moment, and what waits until something is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Power {
    boots: u64,
    /// The daemon is away until then.
    restart: Option<Span>,
    /// The device has no power until then.
    off: Option<Span>,
    /// The device sleeps until then.
    sleep: Option<Span>,
    /// It shuts down: without power from then at the latest, and for so long.
    stopping: Option<(Span, Span)>,
    /// The daemon has to boot before anything is decided.
    boots_next: bool,
    /// What runs said to a daemon that is away, their ends included.
    kept: Vec<Event>,
    /// What waits for a device that decides.
    waiting: Vec<Event>,
}

impl Power {
    /// Which clocks stand still.
    pub(super) fn standing(&self) -> Standing {
        if self.off.is_some() {
            Standing::Off
        } else if self.sleep.is_some() {
            Standing::Asleep
        } else {
            Standing::Awake
        }
    }

    /// When the device comes up, or its shutdown has lasted long enough.
    pub(super) fn due(&self) -> Option<Span> {
        let stopped = self.stopping.map(|(at, _)| at);
        [self.restart, self.off, self.sleep, stopped]
            .into_iter()
            .flatten()
            .min()
    }

    /// The daemon is away until [`Power::start`].
    pub(super) fn stop(&mut self) {
        self.restart = Some(Span::MAX);
    }

    /// It is back.
    pub(super) fn start(&mut self) {
        self.restart = None;
        self.boots_next = false;
    }

    /// What runs said while nobody listened.
    pub(super) fn take_kept(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.kept)
    }

    fn is_up(&self) -> bool {
        self.restart.is_none() && self.off.is_none() && self.sleep.is_none() && !self.boots_next
    }
}

impl World {
    /// Whether anything is decided now.
    pub(crate) fn is_up(&self) -> bool {
        self.power.is_up()
    }

    /// Hands an event in now, or as soon as something is decided again.
    pub(crate) fn deliver(&mut self, event: Event) {
        if self.is_up() {
            self.hand(event);
        } else {
            self.power.waiting.push(event);
        }
    }

    /// Hands in what a run said, or keeps it for the daemon that comes back.
    pub(super) fn tell(&mut self, event: Event) {
        if self.is_up() {
            self.hand(event);
        } else {
            self.power.kept.push(event);
        }
    }

    /// The daemon is gone for so long; its runs go on.
    pub(crate) fn restart(&mut self, down: Span) {
        let until = self.clock.t.saturating_add(down);
        self.power.restart = self.power.restart.max(Some(until));
        self.come_up();
    }

    /// Runs are told and get the grace, then the power goes off for so long.
    pub(crate) fn reboot(&mut self, down: Span) {
        if !self.is_up() {
            self.power_cut(down);
            return;
        }
        let grace = self.device.policy().cancel_grace;
        let latest = self.clock.t.saturating_add(grace);
        self.power.stopping = Some((latest, down));
        self.hand(Event::ShuttingDown);
        self.shut_down_if_idle();
    }

    /// The power goes off once nothing runs any more, or the grace is over; whether it did.
    pub(super) fn shut_down_if_idle(&mut self) -> bool {
        let Some((latest, down)) = self.power.stopping else {
            return false;
        };
        let stops = self.runs.is_empty() || latest <= self.clock.t;
        if stops {
            self.power_cut(down);
        }
        stops
    }

    /// The power goes off at once for so long.
    pub(crate) fn power_cut(&mut self, down: Span) {
        self.runs.clear();
        self.meters.clear();
        // The apps' own processes are gone as well, and with them whatever they were about to become.
        self.fronts.clear();
        self.debugged.clear();
        let is_front = |event: &Event| matches!(event, Event::FrontChanged { .. });
        self.power.waiting.retain(|event| !is_front(event));
        self.power.kept.clear();
        self.power.stopping = None;
        self.power.restart = None;
        self.power.sleep = None;
        let until = self.clock.t.saturating_add(down);
        self.power.off = self.power.off.max(Some(until));
        self.come_up();
    }

    /// The device sleeps for so long.
    pub(crate) fn suspend(&mut self, down: Span) {
        if self.power.off.is_none() {
            let until = self.clock.t.saturating_add(down);
            self.power.sleep = self.power.sleep.max(Some(until));
            self.come_up();
        }
    }

    /// What is over of being away is over.
    pub(super) fn come_up(&mut self) {
        let t = self.clock.t;
        let over = |until: &mut Option<Span>| until.take_if(|at| *at <= t).is_some();
        if over(&mut self.power.off) {
            self.power.boots_next = true;
            self.power.boots += 1;
            self.clock.boot();
        }
        if over(&mut self.power.restart) {
            self.power.boots_next = true;
        }
        let woke = over(&mut self.power.sleep);
        let away = [self.power.off, self.power.restart, self.power.sleep];
        if away.iter().any(Option::is_some) {
            return;
        }
        if self.power.boots_next {
            self.device = Device::restore(self.store.values().cloned());
            #[cfg(feature = "sabotage")]
            self.device.sabotage(self.sabotage.clone());
            self.deadline.set(None);
            self.record_start();
            self.boot();
        } else if woke {
            self.report_anew();
            self.hand_waiting();
        }
    }

    /// The first event of a process of the daemon, and those that tell it how things are.
    pub(super) fn boot(&mut self) {
        let first = self.store.is_empty();
        self.power.boots_next = false;
        self.booting = true;
        let boot = self.boot_id();
        self.hand(Event::Booted { boot });
        self.hand(Event::ProfileChanged(self.profile.clone()));
        if first {
            self.hand(Event::PolicyChanged(self.policy.clone()));
        }
        self.reported = self.readings;
        self.hand(Event::Readings(super::all(&self.readings).collect()));
        // What runs said before the launcher was asked comes first: those that ended are held no more.
        for event in std::mem::take(&mut self.power.kept) {
            self.hand(event);
        }
        self.hand(Event::RunsHeld {
            runs: self.runs.keys().copied().collect(),
        });
        let apps = self.apps.values().cloned().collect();
        self.hand(Event::Apps(apps));
        self.booting = false;
        self.attach_again();
        self.hand_waiting();
    }

    /// The kernel's boot.
    #[expect(clippy::expect_used, reason = "a number is a name")]
    pub(super) fn boot_id(&self) -> BootId {
        BootId::new(format!("boot-{}", self.power.boots + 1)).expect("a boot id")
    }

    /// A daemon that starts has not seen who debugs what.
    fn attach_again(&mut self) {
        for (app, task) in self.debugged.clone() {
            self.hand(Event::Occurred(Occurrence::Debugger {
                app,
                task,
                attached: true,
            }));
        }
    }

    fn hand_waiting(&mut self) {
        for event in std::mem::take(&mut self.power.waiting) {
            if let Event::FrontChanged { app, state } = &event {
                self.fronts.insert(app.clone(), *state);
            }
            self.hand(event);
        }
    }
}
