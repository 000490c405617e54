//! A world that follows a recording: the device as a snapshot has it, the outside as it was recorded, and virtual runs in place
//! of those of that time.
//!
//! Time goes from one recorded instant to the next. Between two of them the device is awake as long as its monotonic clock
//! went on, and sleeps for the rest.

use lull_policy::{
    BootId, Device, Event, Front, Launch, Now, Readings, Record, Run, Span, Trigger,
};
use lull_recording::Snapshot;

use super::behaviours::Behaviours;
use super::clock::Clock;
use super::run::VirtualRun;
use super::{Beginning, World};

impl World {
    /// A device as it was when the snapshot was taken. One of a start waits for its boot.
    pub(crate) fn resume(snapshot: &Snapshot, behaviours: Behaviours) -> Self {
        let mut world = Self::still(Beginning::default());
        world.device = snapshot.revive();
        let records = world.device.records().into_iter();
        world.store = records.map(|record| (record.key(), record)).collect();
        world.clock = Clock {
            t: Span::ZERO,
            now: snapshot.now,
        };
        world.readings = snapshot.readings;
        world.behaviours = behaviours;
        world.quiet = false;
        let here = |record: &Record| match record {
            Record::Device(device) => device.boot.as_ref() == Some(&snapshot.boot),
            _ => false,
        };
        let same_boot = snapshot.records.iter().any(here);
        for record in &snapshot.records {
            match record {
                Record::Run(run) if same_boot => world.go_on_with(run),
                Record::Front(Front { app, state, .. }) if same_boot => {
                    world.fronts.insert(app.clone(), *state);
                }
                _ => {}
            }
        }
        world
    }

    /// A run that is under way already.
    fn go_on_with(&mut self, run: &Run) {
        let launch = launched(&self.device, run);
        let number = self.numbers.of(&run.app, &run.task, run.id);
        let behaviour = self.behaviours.of(&launch, number);
        let virtual_run = VirtualRun::new(Box::new(launch), behaviour, run.started_running);
        self.runs.insert(run.id, virtual_run);
    }

    /// Lives up to an instant of the same boot. What falls due at the very instant waits for [`World::settle`].
    pub(crate) fn live_to(&mut self, now: Now) {
        let awake = now.running.since(self.clock.now.running);
        let end = self.clock.t.saturating_add(awake);
        while let Some(next) = self.next().filter(|next| *next < end) {
            self.pass_to(next);
            self.settle();
        }
        self.jump_to(now);
    }

    /// Time passes up to an instant of the same boot, and nothing is done meanwhile.
    pub(crate) fn jump_to(&mut self, now: Now) {
        let passed = now.elapsed.since(self.clock.now.elapsed);
        self.clock.t = self.clock.t.saturating_add(passed);
        self.clock.now = now;
    }

    /// The daemon is away from now on; its runs go on.
    pub(crate) fn go_down(&mut self) {
        self.power.stop();
    }

    /// The daemon is back, in the same boot.
    pub(crate) fn come_back(&mut self, boot: BootId, now: Now) {
        self.live_to(now);
        self.start_process(boot);
    }

    /// The device comes up in another boot: its runs are gone.
    pub(crate) fn boot_anew(&mut self, boot: BootId, now: Now) {
        self.runs.clear();
        self.meters.clear();
        self.fronts.clear();
        drop(self.power.take_kept());
        let passed = now.wall.since(self.clock.now.wall);
        self.clock.t = self.clock.t.saturating_add(passed);
        self.clock.now = now;
        self.start_process(boot);
    }

    fn start_process(&mut self, boot: BootId) {
        self.device = Device::restore(self.store.values().cloned());
        self.readings = Readings::default();
        self.power.start();
        self.booting = true;
        self.hand(Event::Booted { boot });
        self.booting = false;
    }

    /// What the launcher holds; what runs said before it was asked comes first.
    pub(crate) fn say_what_runs(&mut self) {
        for event in self.power.take_kept() {
            self.hand(event);
        }
        let runs = self.runs.keys().copied().collect();
        self.hand(Event::RunsHeld { runs });
    }

    /// Something from outside, as it was recorded.
    pub(crate) fn relay(&mut self, event: Event) {
        if let Event::FrontChanged { app, state } = &event {
            self.fronts.insert(app.clone(), *state);
        }
        self.hand(event);
    }

    /// What the watchers know from now on; a machine that begins to watch is told.
    pub(crate) fn know(&mut self, readings: Readings) {
        self.readings = readings;
    }
}

/// How a run was ordered, as far as its record says.
fn launched(device: &Device, run: &Run) -> Launch {
    let registration = device.registration(run.registration);
    let trigger = registration.map(|registration| registration.trigger.clone());
    let any = || {
        run.kind
            .scheduled()
            .map_or(Trigger::Push, lull_policy::ScheduledKind::trigger)
    };
    Launch {
        run: run.id,
        registration: run.registration,
        app: run.app.clone(),
        task: run.task.clone(),
        entry_point: run.entry_point.clone(),
        host: run.host,
        group: None,
        number: run.number,
        trigger: trigger.unwrap_or_else(any),
        details: run.details.clone(),
        push: None,
        attempt: run.attempt,
        memory: run.memory,
        cancel_at: run.cancel_at,
        kill_at: run.kill_at,
        network: run.network,
        network_requested: run.network_requested,
        cellular: false,
        critical: false,
    }
}
