//! What an onlooker knows of a device: what it was told, and what it wrote. Shared by all checkers.
//!
//! Deliberately absent: the machine. A view is made from events and effects, or after a restart from durable records.

use std::collections::{BTreeMap, BTreeSet};

use lull_policy::{
    App, AppId, Choices, Deadline, DeviceRecord, Effect, Elapsed, Event, Grant, HostKind, Key, Now,
    Occurrence, Policy, Profile, Push, PushId, Readings, ReceiptSeq, Record, Registration,
    RegistrationId, Run, RunId, Source, Span, TaskName, bounds,
};

/// What an onlooker knows.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one thing that is known"
)]
pub(crate) struct View {
    /// The instants of this turn.
    pub(crate) now: Now,
    /// Its event; what is long in it is left out.
    pub(crate) event: Option<Event>,
    /// It brings what falls due at its very instant.
    pub(crate) on_time: bool,
    /// What the device was told last, as far as it still watches.
    pub(crate) told: Readings,
    /// What has been so for a while, and could be known.
    pub(crate) stable: Readings,
    /// Right after a start Battery Saver is not known yet: until then.
    pub(crate) power_awaited: Option<Elapsed>,
    /// The figures.
    pub(crate) policy: Policy,
    /// What the device is.
    pub(crate) profile: Profile,
    /// Manifests in force.
    pub(crate) apps: BTreeMap<AppId, App>,
    /// Apps under update.
    pub(crate) updates: BTreeSet<AppId>,
    /// What the operator chose.
    pub(crate) choices: BTreeMap<AppId, Choices>,
    /// Who was granted what.
    pub(crate) grants: BTreeMap<AppId, Grant>,
    /// Registrations as they stand after the turn.
    pub(crate) registrations: BTreeMap<RegistrationId, Registration>,
    /// Those that changed in the turn, as they were before.
    pub(crate) before: BTreeMap<RegistrationId, Option<Registration>>,
    /// Runs under way, as they are written.
    pub(crate) runs: BTreeMap<RunId, Run>,
    /// Pushes that came.
    pub(crate) pushes: BTreeMap<PushId, Push>,
    /// Tasks with a debugger.
    pub(crate) debugged: BTreeSet<(AppId, TaskName)>,
    /// The launcher has not said yet which runs there are.
    pub(crate) unconfirmed: bool,
    /// It shuts down.
    pub(crate) closing: bool,
    /// Zero of the ticks in this boot.
    pub(crate) tick_zero: Elapsed,
    /// Readings come after a time in which nobody could follow.
    pub(crate) anew: bool,
    /// The run that ends in this turn ran in its app's own process.
    pub(crate) was_in_process: Option<RunId>,
    /// A new boot begins with this turn.
    pub(crate) new_boot: bool,
    /// Its counters.
    pub(crate) device: DeviceRecord,
    /// Since when each source is watched.
    pub(crate) watched: BTreeMap<Source, Elapsed>,
    /// The sums of the ledger.
    counts: BTreeMap<Key, u64>,
    /// All of them together.
    pub(crate) counted: u64,
    /// Pushes that it took on and has not decided.
    pub(crate) undecided: BTreeSet<PushId>,
    /// Receipts that are not acknowledged, of which push each is and whether nothing follows it.
    pub(crate) receipts: BTreeMap<ReceiptSeq, (PushId, bool)>,
    /// Apps whose quota of CPU time is used up (RES-13).
    pub(crate) spent: BTreeSet<AppId>,
    /// The host came later than it was asked to.
    pub(crate) host_was_late: bool,
    deadline: Deadline,
    /// Not watched any more from the next turn on.
    unwatched: Vec<Source>,
}

impl View {
    /// Takes an event in, before the device has it.
    pub(crate) fn input(&mut self, now: Now, event: &Event) {
        self.now = now;
        for source in std::mem::take(&mut self.unwatched) {
            self.told.forget(source);
        }
        self.before.clear();
        self.new_boot = false;
        self.anew = matches!(event, Event::ReadingsAnew(_));
        self.was_in_process = match event {
            Event::RunEnded { run, .. } => self
                .runs
                .get(run)
                .and_then(|written| (written.host == HostKind::InProcess).then_some(*run)),
            _ => None,
        };
        self.on_time = *event == Event::DeadlineReached;
        let late = |at: Elapsed| at < now.elapsed;
        self.host_was_late = self.deadline.elapsed.is_some_and(late);
        match event {
            Event::Booted { boot } => {
                self.told = Readings::default();
                self.debugged.clear();
                self.closing = false;
                self.power_awaited = None;
                self.unconfirmed = true;
                self.new_boot = self.device.boot.as_ref() != Some(boot);
                if self.new_boot {
                    self.tick_zero = now.elapsed;
                }
            }
            Event::Readings(readings) | Event::ReadingsAnew(readings) => {
                for reading in readings {
                    self.told.put(*reading);
                    if reading.source() == Source::Power {
                        self.power_awaited = None;
                    }
                }
            }
            Event::RunsHeld { .. } => self.unconfirmed = false,
            Event::ProfileChanged(profile) => self.profile = profile.clone(),
            Event::PolicyChanged(policy) => self.policy = policy.clone(),
            Event::QuotaSpent { app, .. } => drop(self.spent.insert(app.clone())),
            Event::ShuttingDown => self.closing = true,
            Event::PushArrived(push) => drop(self.pushes.insert(push.id.clone(), push.clone())),
            Event::Occurred(Occurrence::Debugger {
                app,
                task,
                attached,
            }) => {
                let session = (app.clone(), task.clone());
                if *attached {
                    self.debugged.insert(session);
                } else {
                    self.debugged.remove(&session);
                }
            }
            _ => {}
        }
        self.event = match event {
            Event::Apps(_) | Event::PolicyChanged(_) | Event::ProfileChanged(_) => None,
            Event::ReadingsAnew(readings) => Some(Event::Readings(readings.clone())),
            short => Some(short.clone()),
        };
    }

    /// Takes in what the device wrote and ordered.
    pub(crate) fn output(&mut self, effects: &[Effect], deadline: Deadline) {
        self.deadline = deadline;
        let booted = matches!(self.event, Some(Event::Booted { .. }));
        for effect in effects {
            match effect {
                Effect::Put(record) => self.put(record),
                Effect::Remove(key) => self.remove(key),
                Effect::Unwatch(source) => {
                    self.unwatched.push(*source);
                    self.watched.remove(source);
                }
                Effect::Watch(source) => {
                    self.watched.insert(*source, self.now.elapsed);
                    if booted && *source == Source::Power {
                        self.power_awaited = Some(self.now.elapsed.after(bounds::POWER_AWAITED));
                    }
                }
                _ => {}
            }
        }
        let over = |until: Elapsed| {
            if self.on_time {
                until <= self.now.elapsed
            } else {
                until < self.now.elapsed
            }
        };
        if self.power_awaited.is_some_and(over) {
            self.power_awaited = None;
        }
    }

    /// Begins anew with what a daemon finds that starts.
    pub(crate) fn restored<'a>(&mut self, records: impl Iterator<Item = &'a Record>) {
        let fresh = Self {
            now: self.now,
            pushes: std::mem::take(&mut self.pushes),
            tick_zero: self.tick_zero,
            profile: self.profile.clone(),
            policy: self.policy.clone(),
            ..Self::default()
        };
        *self = fresh;
        for record in records {
            self.put(record);
        }
        self.before.clear();
    }

    fn put(&mut self, record: &Record) {
        match record {
            Record::Device(device) => self.device = device.clone(),
            Record::App(app) => drop(self.apps.insert(app.id.clone(), app.clone())),
            Record::Update(update) => drop(self.updates.insert(update.app.clone())),
            Record::Choices(choices) => {
                self.choices.insert(choices.app.clone(), choices.clone());
            }
            Record::Grant(grant) => drop(self.grants.insert(grant.app.clone(), grant.clone())),
            Record::Registration(registration) => {
                let id = registration.id;
                let old = self.registrations.insert(id, registration.clone());
                self.before.entry(id).or_insert(old);
            }
            Record::Quota(quota) => {
                if quota.cpu_spent {
                    self.spent.insert(quota.app.clone());
                } else {
                    self.spent.remove(&quota.app);
                }
            }
            Record::Run(run) => drop(self.runs.insert(run.id, run.clone())),
            Record::Push(push) => drop(self.undecided.insert(push.id.clone())),
            Record::Receipt(receipt) => {
                let told = (receipt.push.clone(), receipt.hop.is_terminal());
                self.receipts.insert(receipt.seq, told);
            }
            Record::Count(count) => {
                let before = self.counts.insert(record.key(), count.count);
                self.counted = self.counted + count.count - before.unwrap_or(0);
            }
            Record::Policy(_)
            | Record::Profile(_)
            | Record::Front(_)
            | Record::Consent(_)
            | Record::Finished(_)
            | Record::SeenPush(_)
            | Record::Verdict(_) => {}
        }
    }

    fn remove(&mut self, key: &Key) {
        match key {
            Key::App(app) => drop(self.apps.remove(app)),
            Key::Update(app) => drop(self.updates.remove(app)),
            Key::Choices(app) => drop(self.choices.remove(app)),
            Key::Grant(app) => drop(self.grants.remove(app)),
            Key::Registration(id) => {
                let old = self.registrations.remove(id);
                self.before.entry(*id).or_insert(old);
            }
            Key::Quota(app) => drop(self.spent.remove(app)),
            Key::Run(run) => drop(self.runs.remove(run)),
            Key::Push(push) => drop(self.undecided.remove(push)),
            Key::Receipt(seq) => drop(self.receipts.remove(seq)),
            Key::Count(..) => {
                let before = self.counts.remove(key);
                self.counted -= before.unwrap_or(0);
            }
            _ => {}
        }
    }

    /// A registration as it was when the turn began.
    pub(crate) fn earlier(&self, id: RegistrationId) -> Option<&Registration> {
        match self.before.get(&id) {
            Some(before) => before.as_ref(),
            None => self.registrations.get(&id),
        }
    }

    /// A registration as it is, or was when it went in this turn.
    pub(crate) fn known(&self, id: RegistrationId) -> Option<&Registration> {
        self.registrations.get(&id).or_else(|| self.earlier(id))
    }

    /// Whether an instant on the boot clock had to be acted on by now.
    pub(crate) fn due(&self, at: Elapsed) -> bool {
        if self.on_time {
            at <= self.now.elapsed
        } else {
            at < self.now.elapsed
        }
    }

    /// The latest instant of the boot clock that had to be acted on by now.
    pub(crate) fn horizon(&self) -> Elapsed {
        if self.on_time {
            self.now.elapsed
        } else {
            self.now.elapsed.before(Span::millis(1))
        }
    }
}
