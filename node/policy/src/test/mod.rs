//! What the tests of this crate share: a device on a bench, with clocks that the test moves.
//!
//! After every event the bench checks the invariants, and that the records written so far say what the state says.

mod access;
mod align;
mod aligning;
mod boot;
mod channels;
mod choices;
mod debuggers;
mod devices;
mod explain;
mod firings;
mod fronts;

mod holding;
mod hosts;
mod intensive;
mod launch_for_test;
mod lives;
mod meter;
mod offers;
mod policies;
mod pushes;
mod quotas;
mod raised;
mod random;
mod reconciling;
mod records;
mod registering;
mod runs;
mod sampling;
mod scale;
mod scene;
mod scheduled;
mod servicing;
mod starving;
mod timers;
mod updates;
mod watchdogs;

use std::collections::BTreeMap;

use crate::*;
pub(crate) use scene::*;

pub(crate) const MINUTE: u64 = 60_000;
/// Where the wall clock of a bench begins.
pub(crate) const EPOCH: u64 = 1_800_000_000_000;

pub(crate) fn app_id(id: &str) -> AppId {
    AppId::new(id).unwrap()
}

pub(crate) fn task(name: &str) -> TaskName {
    TaskName::new(name).unwrap()
}

pub(crate) fn push_id(id: &str) -> PushId {
    PushId::new(id).unwrap()
}

pub(crate) fn request(name: &str, trigger: Trigger) -> RegistrationRequest {
    RegistrationRequest::new(task(name), Some(EntryPoint::new("sync").unwrap()), trigger)
}

pub(crate) const fn timer(minutes: u32) -> Trigger {
    Trigger::Timer {
        minutes,
        one_shot: false,
    }
}

pub(crate) const fn once(minutes: u32) -> Trigger {
    Trigger::Timer {
        minutes,
        one_shot: true,
    }
}

pub(crate) const INTERNET: Trigger = Trigger::System {
    event: SystemEvent::InternetAvailable,
    one_shot: false,
};

/// A device and its world: three clocks, and what was stored.
#[derive(Debug, Clone)]
pub(crate) struct Bench {
    pub(crate) device: Device,
    pub(crate) now: Now,
    pub(crate) store: BTreeMap<Key, Record>,
    /// Effects of the last event but records and observations.
    pub(crate) effects: Vec<Effect>,
    /// What the last event was observed to decide.
    pub(crate) observed: Vec<Observation>,
    /// Time that really passed, whatever the clocks say.
    pub(crate) age: u64,
    /// Everything observed so far, with the age at which.
    pub(crate) told: Vec<(u64, Observation)>,
    /// Every receipt sent so far.
    pub(crate) sent: Vec<Receipt>,
    calls: u64,
}

impl Bench {
    /// A device that has just booted for the first time, with nothing installed.
    pub(crate) fn bare() -> Self {
        let now = Now {
            running: Running::from_millis(0),
            elapsed: Elapsed::from_millis(0),
            wall: Wall::from_millis(EPOCH),
        };
        let mut bench = Self {
            device: Device::new(),
            now,
            store: BTreeMap::new(),
            effects: Vec::new(),
            observed: Vec::new(),
            age: 0,
            told: Vec::new(),
            sent: Vec::new(),
            calls: 0,
        };
        bench.boot("boot-1");
        bench
    }

    /// As [`Bench::bare`], with the app `mail` installed and allowed.
    pub(crate) fn new() -> Self {
        let mut bench = Self::bare();
        bench.send(Event::Apps(vec![app("mail")]));
        bench.ask(Request::RequestAccess {
            app: app_id("mail"),
        });
        bench
    }

    pub(crate) fn boot(&mut self, id: &str) {
        self.send(Event::Booted {
            boot: BootId::new(id).unwrap(),
        });
    }

    /// Sends an event and checks everything that is always true.
    pub(crate) fn send(&mut self, event: Event) {
        let mut effects = Vec::new();
        let on_time = event == Event::DeadlineReached;
        let starting = matches!(event, Event::Booted { .. });
        self.device.handle(self.now, event, &mut effects);
        self.effects.clear();
        self.observed.clear();
        for effect in effects {
            match effect {
                Effect::Put(record) => drop(self.store.insert(record.key(), record)),
                Effect::Remove(key) => drop(self.store.remove(&key)),
                Effect::Observe(observation) => {
                    self.told.push((self.age, (*observation).clone()));
                    self.observed.push(*observation);
                }
                other => {
                    if let Effect::SendReceipt(receipt) = &other {
                        self.sent.push(receipt.clone());
                    }
                    self.effects.push(other);
                }
            }
        }
        let mut violations = invariants::check(&self.device);
        // A push that was offered is nobody's until the launcher has spoken.
        violations.retain(|violation| !(starting && violation.number == 9));
        assert_eq!(violations, [], "after the event");
        let deadline = self.device.deadline();
        // What falls due at this very instant is left to the deadline's own event.
        let early = |at: u64, now: u64| if on_time { at > now } else { at >= now };
        let on_running = |at: Running| early(at.as_millis(), self.now.running.as_millis());
        let on_elapsed = |at: Elapsed| early(at.as_millis(), self.now.elapsed.as_millis());
        let on_wall = |at: Wall| early(at.as_millis(), self.now.wall.as_millis());
        assert!(deadline.running.is_none_or(on_running), "{deadline:?}");
        assert!(deadline.elapsed.is_none_or(on_elapsed), "{deadline:?}");
        assert!(deadline.wall.is_none_or(on_wall), "{deadline:?}");
        assert_eq!(
            self.restored().records(),
            self.device.records(),
            "records and state"
        );
    }

    /// The device that a daemon would find after a restart.
    pub(crate) fn restored(&self) -> Device {
        Device::restore(self.store.values().cloned())
    }

    /// The daemon dies and comes back in the same boot.
    pub(crate) fn restart(&mut self, held: Vec<RunId>) {
        let boot = self.device.clock.boot.clone().unwrap();
        self.device = self.restored();
        self.send(Event::Booted { boot });
        self.send(Event::RunsHeld { runs: held });
    }

    /// Moves all clocks.
    pub(crate) fn pass(&mut self, millis: u64) {
        let span = Span::millis(millis);
        self.age += millis;
        self.now.running = self.now.running.after(span);
        self.now.elapsed = self.now.elapsed.after(span);
        self.now.wall = self.now.wall.after(span);
    }

    /// Lets time pass as a host does: every deadline on the way is kept.
    pub(crate) fn until(&mut self, elapsed: u64) -> Vec<Effect> {
        let mut all = Vec::new();
        loop {
            let left = Elapsed::from_millis(elapsed)
                .since(self.now.elapsed)
                .as_millis();
            let deadline = self.device.deadline();
            let steps = [
                deadline
                    .running
                    .map(|at| at.since(self.now.running).as_millis()),
                deadline
                    .elapsed
                    .map(|at| at.since(self.now.elapsed).as_millis()),
                deadline.wall.map(|at| at.since(self.now.wall).as_millis()),
            ];
            let step = steps
                .into_iter()
                .flatten()
                .min()
                .filter(|step| *step <= left);
            self.pass(step.unwrap_or(left));
            if step.is_none() {
                return all;
            }
            self.send(Event::DeadlineReached);
            all.append(&mut self.effects);
        }
    }

    /// Calls as the operator, or as the app in the foreground where it has to be the app.
    pub(crate) fn ask(&mut self, request: Request) -> Answer {
        let caller = match &request {
            Request::RequestRun { app, .. }
            | Request::RequestDevice { app, .. }
            | Request::RequestServicing { app, .. }
            | Request::AddScheduled { app, .. }
            | Request::RemoveScheduled { app, .. } => Caller::Front {
                app: app.clone(),
                foreground: true,
            },
            _ => Caller::Operator,
        };
        self.ask_as(caller, request)
    }

    pub(crate) fn ask_as(&mut self, caller: Caller, request: Request) -> Answer {
        self.calls += 1;
        let call = CallId(self.calls);
        self.send(Event::Call {
            call,
            caller,
            request,
        });
        let replies: Vec<_> = self
            .effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Reply {
                    call: found,
                    answer,
                } if *found == call => Some(answer.clone()),
                _ => None,
            })
            .collect();
        assert_eq!(replies.len(), 1, "one reply to each call");
        replies.into_iter().next().unwrap()
    }

    pub(crate) fn try_register(&mut self, registration: RegistrationRequest) -> Answer {
        self.ask(Request::Register {
            app: app_id("mail"),
            registration,
        })
    }

    pub(crate) fn register(&mut self, registration: RegistrationRequest) -> RegistrationId {
        match self.try_register(registration) {
            Answer::Registered { id, .. } => id,
            other => panic!("not registered: {other:?}"),
        }
    }

    pub(crate) fn read(&mut self, readings: &[Reading]) {
        self.send(Event::Readings(readings.to_vec()));
    }

    pub(crate) fn internet(&mut self, available: bool) {
        self.read(&[Reading::Internet(Level::Known(available))]);
    }

    /// Power readings under which Battery Saver acts, or not.
    pub(crate) fn saver(&mut self, acts: bool) {
        self.read(&[
            Reading::ExternalPower(Level::Known(!acts)),
            Reading::Battery(Level::Known(PerMille::percent(10))),
            Reading::BatterySaver(Level::Known(true)),
        ]);
    }

    /// The front client of `mail` comes into a state.
    pub(crate) fn front(&mut self, state: FrontState) {
        let app = app_id("mail");
        self.send(Event::FrontChanged { app, state });
    }

    pub(crate) fn push(&mut self, id: &str) {
        let expires = self.now.wall.after(Span::days(3));
        self.push_until(id, expires);
    }

    pub(crate) fn push_until(&mut self, id: &str, expires: Wall) {
        let (id, app) = (push_id(id), app_id("mail"));
        self.send(Event::PushArrived(Push {
            id,
            app,
            payload: b"hello".to_vec(),
            expires,
            retention: Retention::default(),
            priority: Priority::default(),
            collapse_key: None,
        }));
    }

    pub(crate) fn start(&mut self, run: u64) {
        self.send(Event::RunStarted { run: RunId(run) });
    }

    pub(crate) fn end(&mut self, run: u64, exit: Exit) {
        let usage = Usage::default();
        self.send(Event::RunEnded {
            run: RunId(run),
            exit,
            usage,
            output: String::new(),
        });
    }

    /// Runs launched by the last event.
    pub(crate) fn launched(&self) -> Vec<u64> {
        launches(&self.effects)
    }

    /// Hops of the receipts kept, with their pushes.
    pub(crate) fn hops(&self) -> Vec<(String, Hop)> {
        let receipts = self.device.receipts();
        receipts
            .map(|r| (r.push.as_str().to_owned(), r.hop.clone()))
            .collect()
    }

    /// Verdicts with a count, of a task of `mail`.
    pub(crate) fn verdicts(&self, name: &str) -> Vec<(Verdict, u64)> {
        let counts = self
            .device
            .counts()
            .filter(|c| c.task == task(name) && c.count > 0);
        counts.map(|count| (count.verdict, count.count)).collect()
    }

    /// The outcome of the run that ended last.
    pub(crate) fn last_outcome(&self) -> Outcome {
        self.device.finished().last().unwrap().outcome
    }
}

/// Runs launched among effects.
pub(crate) fn launches(effects: &[Effect]) -> Vec<u64> {
    let runs = effects.iter().filter_map(|effect| match effect {
        Effect::Launch(launch) => Some(launch.run.0),
        _ => None,
    });
    runs.collect()
}
