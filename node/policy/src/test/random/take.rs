//! How a bench takes a random step.

use super::steps::{APPS, Step, app_of, thing};
use crate::test::*;

fn pick<T: Clone>(from: &[T], n: u8) -> Option<T> {
    from.get(usize::from(n) % from.len().max(1)).cloned()
}

/// An app with everything: all types, all capabilities; `cam` is its maker's and runs several at once, `news` has no time
/// limit and an audio agent.
fn everything(id: &str) -> App {
    let mut app = full_app(id);
    app.capabilities = [
        Capability::Internet,
        Capability::Device,
        Capability::Media,
        Capability::Sms,
        Capability::DeviceServicing,
        Capability::ExtendedBackgroundTaskTime,
    ]
    .into();
    match id {
        "cam" => {
            app.signed_by = Signer::Maker;
            app.agents[0].multiple_instances = true;
        }
        "news" => {
            app.signed_by = Signer::Operator;
            app.agents[0].types.push(TaskType::Audio);
        }
        _ => {}
    }
    app
}

fn all_apps() -> Vec<App> {
    APPS.map(everything).to_vec()
}

/// One of each; those that an app raises come first.
fn every_trigger() -> Vec<Trigger> {
    let mut all = vec![
        Trigger::Application,
        Trigger::Media,
        Trigger::DeviceUse,
        Trigger::DeviceServicing,
        Trigger::Push,
        timer(20),
        Trigger::Maintenance {
            minutes: 15,
            one_shot: false,
        },
        Trigger::ControlChannel {
            id: thing(0),
            keep_alive_minutes: 15,
            slot: Slot::Hardware,
        },
        Trigger::Socket { id: thing(0) },
        Trigger::DeviceWatcher { pattern: thing(0) },
        Trigger::Files { path: thing(0) },
        Trigger::Bus { event: thing(0) },
    ];
    all.extend(SystemEvent::ALL.map(system));
    all
}

impl Bench {
    /// Three apps with everything, allowed; one of them is furnished.
    pub(super) fn random() -> Self {
        let mut bench = Self::bare();
        bench.recover();
        bench.furnish(0);
        bench
    }

    fn recover(&mut self) {
        self.take_rarely(Step::Profile(0));
        let generation = self.device.clock.policy_generation + 1;
        let policy = Policy::default();
        self.send(Event::PolicyDocument { generation, policy });
        self.send(Event::Apps(all_apps()));
        for app in APPS.map(app_id) {
            self.ask(Request::RemoveAccess { app: app.clone() });
            self.ask(Request::RequestAccess { app });
        }
        self.read(&[
            Reading::ExternalPower(Level::Known(true)),
            Reading::BatterySaver(Level::Known(false)),
        ]);
    }

    fn furnish(&mut self, app: u8) {
        for (n, trigger) in every_trigger().into_iter().enumerate() {
            self.ask(Request::Register {
                app: app_of(app),
                registration: RegistrationRequest {
                    replace: true,
                    ..request(&format!("t{n}"), trigger)
                },
            });
        }
    }

    /// Every watcher reports a level.
    pub(super) fn read_all(&mut self, readings: Readings) {
        let watched = self.device.interests().into_iter();
        self.send(Event::Readings(
            watched.flat_map(|source| readings.of(source)).collect(),
        ));
    }

    /// Apps answer what they were offered, debuggers leave: neither outlives the daemon. On battery the starts of
    /// periodic agents are planned anew after a start, so there is power.
    pub(super) fn calm_down(&mut self) {
        self.read(&[Reading::ExternalPower(Level::Known(true))]);
        for (app, task) in self.device.debugged.clone() {
            self.occurs(Occurrence::Debugger {
                app,
                task,
                attached: false,
            });
        }
        for push in self.device.offers.keys().cloned().collect::<Vec<_>>() {
            self.send(Event::PushAnswered {
                push,
                handled: false,
            });
        }
    }

    fn nth_run(&self, n: u8) -> Option<u64> {
        let runs: Vec<_> = self.device.runs().map(|run| run.id.0).collect();
        pick(&runs, n)
    }

    pub(super) fn take(&mut self, step: Step) {
        match step {
            Step::Pass(millis) => self.pass(millis),
            Step::Deadline => self.send(Event::DeadlineReached),
            Step::Until(millis) => drop(self.go(millis)),
            Step::Read(readings) => self.send(Event::Readings(readings)),
            Step::ReadAnew(readings) => self.send(Event::ReadingsAnew(readings)),
            Step::Push(app, n, life, retention, priority, key) => {
                // A copy comes on the day of its first, as a mailbox sends it.
                let day = self.age / DAY;
                self.send(Event::PushArrived(Push {
                    id: push_id(&format!("p{n}-{day}")),
                    app: app_of(app),
                    payload: b"hello".to_vec(),
                    expires: self.now.wall.after(Span::millis(life)),
                    retention,
                    priority,
                    collapse_key: key.map(|key| key.to_string().into()),
                }));
            }
            Step::Answered(n, handled) => {
                let offers: Vec<PushId> = self.device.offers.keys().cloned().collect();
                if let Some(push) = pick(&offers, n) {
                    self.send(Event::PushAnswered { push, handled });
                }
            }
            Step::Started(n) => self.nth_run(n).into_iter().for_each(|run| self.start(run)),
            Step::Said(n, report) => {
                if let Some(run) = self.nth_run(n) {
                    self.report(run, report);
                }
            }
            Step::Ended(n, exit) => {
                if let Some(run) = self.nth_run(n) {
                    self.end(run, exit);
                }
            }
            Step::Sampled(n, sample) => {
                if let Some(run) = self.nth_run(n).map(RunId) {
                    self.send(Event::RunSampled { run, sample });
                }
            }
            Step::Front(app, state) => {
                let app = app_of(app);
                self.send(Event::FrontChanged { app, state });
            }
            Step::Occur(occurrence) => self.occurs(occurrence),
            other => self.take_call(other),
        }
    }

    fn take_call(&mut self, step: Step) {
        let name = |n: u8| task(&format!("t{n}"));
        let request = match step {
            Step::Recover => return self.recover(),
            Step::Furnish(app) => return self.furnish(app),
            Step::Register(app, registration) => Request::Register {
                app: app_of(app),
                registration: *registration,
            },
            Step::Reconcile(app, desired) => Request::Reconcile {
                app: app_of(app),
                desired,
            },
            Step::Unregister(n, cancel) => {
                let all: Vec<_> = self.device.registrations().collect();
                let Some((app, id)) = pick(&all, n).map(|r| (r.app.clone(), r.id)) else {
                    return;
                };
                Request::Unregister { app, id, cancel }
            }
            Step::DebugFire(n) => {
                let all: Vec<_> = self.device.registrations().collect();
                let Some((app, id)) = pick(&all, n).map(|r| (r.app.clone(), r.id)) else {
                    return;
                };
                Request::DebugFire { app, id }
            }
            Step::Raise(app, n) => Request::RequestRun {
                app: app_of(app),
                name: name(n),
            },
            Step::Device(app, n, device, consent) => Request::RequestDevice {
                app: app_of(app),
                name: name(n),
                device: thing(device),
                consent,
            },
            Step::Servicing(app, n, expected, consent) => Request::RequestServicing {
                app: app_of(app),
                name: name(n),
                device: thing(n),
                expected,
                consent,
            },
            Step::Revoke(app, device) => Request::RevokeConsent {
                app: app_of(app),
                device: thing(device),
            },
            Step::Add(app, kind, expires) => Request::AddScheduled {
                app: app_of(app),
                kind,
                description: "d".to_owned(),
                expires: expires.map(|span| self.now.wall.after(span)),
            },
            Step::Remove(app, kind) => Request::RemoveScheduled {
                app: app_of(app),
                kind,
            },
            Step::Test(app, kind, delay) => Request::LaunchForTest {
                app: app_of(app),
                kind,
                delay,
            },
            Step::Card(app) => Request::UpdateCard { app: app_of(app) },
            other => return self.take_choice(other),
        };
        drop(self.ask(request));
    }

    fn take_choice(&mut self, step: Step) {
        let request = match step {
            Step::Choose(app, choice) => Request::Choose {
                app: app_of(app),
                choice,
            },
            Step::Access(app, choice) => Request::SetAccess {
                app: app_of(app),
                choice,
            },
            Step::Ask(app, true) => Request::RequestAccess { app: app_of(app) },
            Step::Ask(app, false) => Request::RemoveAccess { app: app_of(app) },
            Step::Wish(app, kind) => Request::RequestAccessKind {
                app: app_of(app),
                kind,
                reason: "to keep playing".to_owned(),
            },
            other => return self.take_rarely(other),
        };
        drop(self.ask(request));
    }

    fn take_rarely(&mut self, step: Step) {
        match step {
            Step::Apps(n) => self.take_apps(n),
            Step::Profile(n) => self.profile(Profile {
                kind: if n == 3 {
                    DeviceKind::Phone
                } else {
                    DeviceKind::Pc
                },
                memory: (n == 2).then(|| Bytes::mib(512)),
                runtime_level: None,
                developer_mode: n != 1,
            }),
            Step::Spent(app, resource) => self.send(Event::QuotaSpent {
                app: app_of(app),
                resource,
            }),
            Step::Policy(None, policy) => self.policy(*policy),
            Step::Policy(Some(generation), policy) => self.send(Event::PolicyDocument {
                generation,
                policy: *policy,
            }),
            Step::MemoryShort => self.send(Event::MemoryShort),
            Step::Acknowledge(n) => {
                let through = ReceiptSeq(u64::from(n));
                self.send(Event::ReceiptsAcknowledged { through });
            }
            Step::LinkUp => self.send(Event::LinkUp),
            Step::Restart(n) => {
                let held = self.nth_run(n).map(RunId).into_iter().collect();
                self.restart(held);
            }
            Step::Reboot(down) => self.reboot(down),
            Step::ShutDown(down) => {
                self.send(Event::ShuttingDown);
                self.go(5 * SECOND);
                for run in self.device.runs().map(|run| run.id.0).collect::<Vec<_>>() {
                    self.end(run, Exit::Signal(9));
                }
                self.reboot(down);
            }
            Step::MoveClock(by, back) => {
                let wall = self.now.wall.as_millis();
                let stepped = if back {
                    wall.saturating_sub(by)
                } else {
                    // Ids of pushes are remembered by the wall clock.
                    self.age += by;
                    wall.saturating_add(by)
                };
                self.now.wall = Wall::from_millis(stepped);
                self.send(Event::ClockStepped);
            }
            other => panic!("not a rare step: {other:?}"),
        }
    }

    fn take_apps(&mut self, n: u8) {
        let mut apps = all_apps();
        match n {
            0 => apps.clear(),
            1 => apps.truncate(2),
            2 => apps[1].version = "2.0".to_owned(),
            3 => apps[1].agents.clear(),
            4 => apps[1] = app("mail"),
            5 => apps[0].version = "3.0".to_owned(),
            _ => {}
        }
        self.send(Event::Apps(apps));
    }

    fn reboot(&mut self, down: u64) {
        self.device = self.restored();
        self.pass(down);
        self.now.running = Running::from_millis(10);
        self.now.elapsed = Elapsed::from_millis(10);
        self.boot(&format!("boot-{}-{}", self.age, self.told.len()));
        self.send(Event::RunsHeld { runs: Vec::new() });
    }
}
