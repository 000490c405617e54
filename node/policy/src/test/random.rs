//! Random event sequences: whatever comes, the invariants hold and the records say what the state says (the bench
//! checks both after every event), and what was promised is kept.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::select;

use super::*;

/// Something that happens, chosen without knowledge of the device.
#[derive(Debug, Clone)]
enum Step {
    Pass(u64),
    Deadline,
    Internet(Level<bool>),
    Saver(bool),
    User(Level<bool>),
    Register(u8, Trigger, Vec<Condition>, bool, bool),
    Unregister(u8, bool),
    Push(u8, u64),
    Started(u8),
    Said(u8, Report),
    Ended(u8, Exit),
    Raise(u8),
    Access(Option<AccessChoice>),
    Ask(bool),
    Apps(u8),
    Policy(u32),
    Acknowledge(u8),
    LinkUp,
    Restart(u8),
    Reboot(u64),
    MoveClock(u64, bool),
}

fn trigger() -> impl Strategy<Value = Trigger> {
    let event = SystemEvent::InternetAvailable;
    prop_oneof![
        select(vec![15, 16, 20, 45]).prop_map(timer),
        Just(once(15)),
        any::<bool>().prop_map(move |one_shot| Trigger::System { event, one_shot }),
        Just(Trigger::Push),
        Just(Trigger::Push),
        Just(Trigger::Application),
    ]
}

fn level() -> impl Strategy<Value = Level<bool>> {
    select(vec![
        Level::Unknown,
        Level::Known(false),
        Level::Known(true),
        Level::Assumed(true),
    ])
}

fn exit() -> impl Strategy<Value = Exit> {
    select(vec![
        Exit::Status(0),
        Exit::Status(1),
        Exit::Status(75),
        Exit::Signal(9),
        Exit::MemoryExceeded,
        Exit::LaunchFailed {
            message: "no such file".to_owned(),
        },
        Exit::Lost,
    ])
}

fn report() -> impl Strategy<Value = Report> {
    select(vec![
        Report::Progress(1),
        Report::Progress(2),
        Report::DeferralTaken,
        Report::DeferralCompleted,
        Report::Completed,
        Report::Aborted {
            message: "no server".to_owned(),
        },
    ])
}

fn conditions() -> impl Strategy<Value = Vec<Condition>> {
    let all = vec![
        Condition::UserPresent,
        Condition::UserNotPresent,
        Condition::InternetAvailable,
        Condition::InternetNotAvailable,
    ];
    proptest::collection::vec(select(all), 0..2)
}

fn step() -> impl Strategy<Value = Step> {
    let pass = vec![
        1,
        999,
        5_000,
        25_000,
        30_000,
        5 * MINUTE,
        15 * MINUTE,
        3 * 24 * 60 * MINUTE,
    ];
    let choice = vec![None, Some(AccessChoice::Always), Some(AccessChoice::Never)];
    prop_oneof![
        4 => select(pass).prop_map(Step::Pass),
        4 => Just(Step::Deadline),
        3 => level().prop_map(Step::Internet),
        2 => any::<bool>().prop_map(Step::Saver),
        2 => level().prop_map(Step::User),
        4 => (0..3u8, trigger(), conditions(), any::<bool>(), any::<bool>())
            .prop_map(|(n, t, c, loss, replace)| Step::Register(n, t, c, loss, replace)),
        1 => (any::<u8>(), any::<bool>()).prop_map(|(n, cancel)| Step::Unregister(n, cancel)),
        5 => (0..40u8, select(vec![0, 1_000, 10 * MINUTE, 4_000 * MINUTE]))
            .prop_map(|(n, life)| Step::Push(n, life)),
        4 => any::<u8>().prop_map(Step::Started),
        2 => (any::<u8>(), report()).prop_map(|(n, report)| Step::Said(n, report)),
        5 => (any::<u8>(), exit()).prop_map(|(n, exit)| Step::Ended(n, exit)),
        2 => (0..3u8).prop_map(Step::Raise),
        1 => select(choice).prop_map(Step::Access),
        2 => any::<bool>().prop_map(Step::Ask),
        1 => (0..5u8).prop_map(Step::Apps),
        1 => (0..4u32).prop_map(Step::Policy),
        1 => any::<u8>().prop_map(Step::Acknowledge),
        1 => Just(Step::LinkUp),
        1 => any::<u8>().prop_map(Step::Restart),
        1 => select(vec![0, 1_000, 20 * MINUTE]).prop_map(Step::Reboot),
        1 => (select(vec![1_000, 60 * MINUTE]), any::<bool>())
            .prop_map(|(by, back)| Step::MoveClock(by, back)),
    ]
}

fn pick<T: Copy>(from: &[T], n: u8) -> Option<T> {
    from.get(usize::from(n) % from.len().max(1)).copied()
}

impl Bench {
    fn nth_run(&self, n: u8) -> Option<u64> {
        let runs: Vec<_> = self.device.runs().map(|run| run.id.0).collect();
        pick(&runs, n)
    }

    fn take(&mut self, step: Step) {
        let mail = app_id("mail");
        match step {
            Step::Pass(millis) => self.pass(millis),
            Step::Deadline => self.send(Event::DeadlineReached),
            Step::Internet(level) => self.read(&[Reading::Internet(level)]),
            Step::Saver(acts) => self.saver(acts),
            Step::User(level) => self.read(&[Reading::UserPresent(level)]),
            Step::Register(n, trigger, conditions, cancel_on_condition_loss, replace) => {
                let request = request(&format!("t{n}"), trigger);
                drop(self.try_register(RegistrationRequest {
                    conditions,
                    cancel_on_condition_loss,
                    replace,
                    ..request
                }));
            }
            Step::Unregister(n, cancel) => {
                let ids: Vec<_> = self.device.registrations().map(|r| r.id).collect();
                if let Some(id) = pick(&ids, n) {
                    self.ask(Request::Unregister {
                        app: mail,
                        id,
                        cancel,
                    });
                }
            }
            Step::Push(n, life) => {
                let expires = self.now.wall.after(Span::millis(life));
                // A copy comes on the day of its first, as a mailbox sends it.
                let day = self.age / (24 * 60 * MINUTE);
                self.push_until(&format!("p{n}-{day}"), expires);
            }
            Step::Started(n) => self.nth_run(n).into_iter().for_each(|run| self.start(run)),
            Step::Said(n, report) => {
                if let Some(run) = self.nth_run(n) {
                    self.send(Event::RunReported {
                        run: RunId(run),
                        report,
                    });
                }
            }
            Step::Ended(n, exit) => {
                if let Some(run) = self.nth_run(n) {
                    self.end(run, exit);
                }
            }
            Step::Raise(n) => {
                self.ask(Request::RequestRun {
                    app: mail,
                    name: task(&format!("t{n}")),
                });
            }
            Step::Access(choice) => drop(self.ask(Request::SetAccess { app: mail, choice })),
            Step::Ask(true) => drop(self.ask(Request::RequestAccess { app: mail })),
            Step::Ask(false) => drop(self.ask(Request::RemoveAccess { app: mail })),
            other => self.take_rarely(other),
        }
    }

    fn take_rarely(&mut self, step: Step) {
        match step {
            Step::Apps(0) => self.send(Event::Apps(Vec::new())),
            Step::Apps(1) => {
                self.send(Event::Apps(vec![App {
                    version: "2.0".to_owned(),
                    ..app("mail")
                }]));
            }
            Step::Apps(2) => {
                self.send(Event::Apps(vec![App {
                    agents: Vec::new(),
                    ..app("mail")
                }]));
            }
            Step::Apps(_) => self.send(Event::Apps(vec![app("mail"), app("news")])),
            Step::Policy(n) => self.send(Event::PolicyChanged(Policy {
                push_queue: 64 >> n,
                push_attempts: n,
                ..Policy::default()
            })),
            Step::Acknowledge(n) => {
                let through = ReceiptSeq(u64::from(n));
                self.send(Event::ReceiptsAcknowledged { through });
            }
            Step::LinkUp => self.send(Event::LinkUp),
            Step::Restart(n) => {
                let held = self.nth_run(n).map(RunId).into_iter().collect();
                self.restart(held);
            }
            Step::Reboot(down) => {
                self.device = self.restored();
                self.pass(down);
                self.now.running = Running::from_millis(10);
                self.now.elapsed = Elapsed::from_millis(10);
                self.boot(&format!("boot-{}", self.now.wall.as_millis()));
                self.send(Event::RunsHeld { runs: Vec::new() });
            }
            Step::MoveClock(by, back) => {
                let wall = self.now.wall.as_millis();
                let stepped = if back {
                    wall.saturating_sub(by)
                } else {
                    wall.saturating_add(by)
                };
                self.now.wall = Wall::from_millis(stepped);
                self.send(Event::ClockStepped);
            }
            other => panic!("not a rare step: {other:?}"),
        }
    }
}

/// Terminal receipts by push, over the whole life of a bench.
fn terminals(effects: &[Effect], sums: &mut BTreeMap<(PushId, u64), u32>) {
    for effect in effects {
        let Effect::SendReceipt(receipt) = effect else {
            continue;
        };
        if receipt.hop.is_terminal() {
            // A receipt sent again is the same receipt.
            sums.insert((receipt.push.clone(), receipt.seq.0), 1);
        }
    }
}

proptest! {
    #[test]
    fn whatever_comes(steps in proptest::collection::vec(step(), 1..120)) {
        let mut bench = Bench::new();
        let mut sums = BTreeMap::new();
        for step in steps {
            let before = bench.device.runs().filter(|run| run.kill_at.is_none()).count();
            prop_assert_eq!(before, 0, "every run has a limit");
            bench.take(step);
            terminals(&bench.effects, &mut sums);
        }
        let mut pushes: Vec<_> = sums.keys().map(|(push, _)| push.clone()).collect();
        let count = pushes.len();
        pushes.dedup();
        prop_assert_eq!(pushes.len(), count, "one terminal receipt for each push");
    }

    /// Rule 3 of the contract: the same inputs give the same state and effects, bit for bit.
    #[test]
    fn twice_the_same(steps in proptest::collection::vec(step(), 1..60)) {
        let (mut one, mut other) = (Bench::new(), Bench::new());
        for step in steps {
            one.take(step.clone());
            other.take(step);
            prop_assert_eq!(&one.effects, &other.effects);
        }
        prop_assert_eq!(one.device, other.device);
    }

    /// Rule 10: within a boot a restored device whose runs are all held and whose watchers report the same goes on
    /// as the live one.
    #[test]
    fn restored_goes_on_as_live(steps in proptest::collection::vec(step(), 1..60)) {
        let mut live = Bench::new();
        for step in steps {
            live.take(step);
        }
        live.send(Event::DeadlineReached);
        let held: Vec<_> = live.device.runs().map(|run| run.id).collect();
        for run in &held {
            live.start(run.0);
        }
        let clock = live.device.clock.boot.clone().unwrap();
        let mut restored = live.clone();
        restored.device = live.restored();
        restored.boot(clock.as_str());
        prop_assert_eq!(restored.launched(), Vec::<u64>::new());
        restored.send(Event::RunsHeld { runs: held });
        prop_assert_eq!(restored.device.runs().count(), live.device.runs().count());
        prop_assert_eq!(restored.device.registrations().cloned().collect::<Vec<_>>(),
                        live.device.registrations().cloned().collect::<Vec<_>>());
        prop_assert_eq!(restored.device.interests(), live.device.interests());
        prop_assert_eq!(restored.device.deadline().running, live.device.deadline().running);
    }
}
