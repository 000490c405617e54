//! The device machine: time of a decision and bytes of a registration, over 10 to 10,000 registrations that the event does
//! not concern; the floor is a keyed update of one record in a map of the same size. And a million pending timers: bytes
//! of each and time to arm one; the floor is a push onto a plain list of the same pairs.
//!
//! `cargo bench -p lull-testkit --bench machine`.

use std::collections::BTreeMap;

use anyhow::Result;
use lull_policy::{
    AgentDeclaration, App, AppId, BootId, CallId, Caller, Device, DueQueue, Effect, Elapsed,
    EntryPoint, Event, Exit, Now, PushId, Record, Registration, RegistrationId,
    RegistrationRequest, Report, Request, RunId, Span, TaskName, TaskType, Trigger, Usage,
};
use measure::{Watch, median, resident};

#[path = "../src/measure.rs"]
#[expect(unreachable_pub, dead_code, reason = "the harness has it too")]
mod measure;

/// Registrations of one app.
const PER_APP: usize = 100;
/// Pushes decided for each size; each is three decisions: it arrives, its run reports, its run ends.
const PUSHES: u64 = 2_000;

#[expect(clippy::print_stdout, reason = "a bench prints its figures")]
fn main() -> Result<()> {
    for registrations in [10, 100, 1_000, 10_000] {
        let before = resident(std::process::id())?;
        let mut host = Host::new(registrations)?;
        let after = resident(std::process::id())?;
        let (decision, floor) = host.run()?;
        let each = after.saturating_sub(before) / u64::try_from(registrations)?;
        println!(
            "{registrations:>6} registrations: a decision {decision:.2} µs median, keyed update {floor:.2} µs, ratio {:.1}; \
             about {each} resident bytes per registration",
            decision / floor
        );
    }
    // Last: what it frees would hide what the registrations take.
    pending_timers()
}

/// How many timers are pending at once.
const PENDING: u64 = 1_000_000;

#[expect(clippy::print_stdout, reason = "a bench prints its figures")]
#[expect(clippy::cast_precision_loss, reason = "a million is far below 2^52")]
fn pending_timers() -> Result<()> {
    let due = |n: u64| Elapsed::from_millis(n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32);
    let before = resident(std::process::id())?;
    let mut queue = DueQueue::default();
    let watch = Watch::start();
    for n in 0..PENDING {
        queue.arm(due(n), RegistrationId(n));
    }
    let armed = watch.elapsed().as_secs_f64() * 1e6 / PENDING as f64;
    let each = resident(std::process::id())?.saturating_sub(before) / PENDING;
    let watch = Watch::start();
    let mut fired = 0_u64;
    while let Some((due, id)) = queue.first() {
        queue.disarm(due, id);
        fired += 1;
    }
    let fire = watch.elapsed().as_secs_f64() * 1e6 / PENDING as f64;
    anyhow::ensure!(fired == PENDING, "{fired} of {PENDING} timers fired");
    let watch = Watch::start();
    let list: Vec<(Elapsed, RegistrationId)> =
        (0..PENDING).map(|n| (due(n), RegistrationId(n))).collect();
    let floor = watch.elapsed().as_secs_f64() * 1e6 / PENDING as f64;
    std::hint::black_box(list);
    println!(
        "{PENDING} pending timers: {each} resident bytes each, armed in {armed:.3} µs and fired in {fire:.3} µs each \
         (a push onto a list: 16 bytes, {floor:.3} µs)"
    );
    Ok(())
}

struct Host {
    device: Device,
    now: Now,
    started: Option<RunId>,
    store: BTreeMap<u64, Registration>,
    effects: Vec<Effect>,
}

impl Host {
    fn new(registrations: usize) -> Result<Self> {
        let mut host = Self {
            device: Device::new(),
            now: Now::default(),
            started: None,
            store: BTreeMap::new(),
            effects: Vec::new(),
        };
        host.handle(Event::Booted {
            boot: BootId::new("boot")?,
        });
        host.handle(Event::RunsHeld { runs: Vec::new() });
        let apps = registrations.div_ceil(PER_APP);
        let all = (0..apps).map(app).collect::<Result<Vec<_>>>()?;
        host.handle(Event::Apps(all));
        for number in 0..registrations {
            let app = app_id(number / PER_APP)?;
            if number % PER_APP == 0 {
                host.call(&app, Request::RequestAccess { app: app.clone() });
            }
            // One push registration on the device; the others are timers that are not due.
            let trigger = match number {
                0 => Trigger::Push,
                _ => Trigger::Timer {
                    minutes: 1_440,
                    one_shot: false,
                },
            };
            let name = TaskName::new(format!("task-{number}"))?;
            let agent = EntryPoint::new("agent")?;
            let registration = RegistrationRequest::new(name, Some(agent), trigger);
            host.call(
                &app,
                Request::Register {
                    app: app.clone(),
                    registration,
                },
            );
        }
        host.store = host
            .device
            .registrations()
            .map(|own| (own.id.0, own.clone()))
            .collect();
        assert_eq!(
            host.store.len(),
            registrations,
            "every registration was accepted"
        );
        Ok(host)
    }

    fn call(&mut self, app: &AppId, request: Request) {
        let caller = Caller::Front {
            app: app.clone(),
            foreground: true,
        };
        self.handle(Event::Call {
            call: CallId(1),
            caller,
            request,
        });
    }

    fn handle(&mut self, event: Event) {
        self.effects.clear();
        self.device.handle(self.now, event, &mut self.effects);
        for effect in &self.effects {
            if let Effect::Launch(launch) = effect {
                self.started = Some(launch.run);
            }
        }
    }

    fn timed(&mut self, event: Event, times: &mut Vec<f64>) {
        let watch = Watch::start();
        self.handle(event);
        times.push(watch.elapsed().as_secs_f64() * 1e6);
    }

    /// Median of a decision and of the floor, in microseconds.
    fn run(&mut self) -> Result<(f64, f64)> {
        let (mut times, mut floor) = (Vec::new(), Vec::new());
        for number in 0..PUSHES {
            self.now.elapsed = self.now.elapsed.after(Span::millis(10));
            self.now.running = self.now.running.after(Span::millis(10));
            self.now.wall = self.now.wall.after(Span::millis(10));
            let push = lull_policy::Push {
                id: PushId::new(format!("push-{number}"))?,
                app: app_id(0)?,
                payload: vec![1; 256],
                expires: self.now.wall.after(Span::days(3)),
                retention: lull_policy::Retention::default(),
                priority: lull_policy::Priority::default(),
                collapse_key: None,
            };
            self.timed(Event::PushArrived(push), &mut times);
            let run = self
                .started
                .take()
                .ok_or_else(|| anyhow::anyhow!("push {number} started nothing"))?;
            self.timed(
                Event::RunReported {
                    run,
                    report: Report::Completed,
                },
                &mut times,
            );
            let (exit, usage) = (Exit::Status(0), Usage::default());
            self.timed(
                Event::RunEnded {
                    run,
                    exit,
                    usage,
                    output: String::new(),
                },
                &mut times,
            );
            let receipts = self.device.receipts().map(|receipt| receipt.seq).last();
            if let Some(through) = receipts {
                self.handle(Event::ReceiptsAcknowledged { through });
            }
            let key = number % u64::try_from(self.store.len())? + 1;
            let watch = Watch::start();
            let record = self.store.get(&key).cloned();
            if let Some(mut record) = record {
                record.runs += 1;
                self.store.insert(key, record.clone());
                std::hint::black_box(Record::Registration(record));
            }
            floor.push(watch.elapsed().as_secs_f64() * 1e6);
        }
        Ok((median(&times), median(&floor)))
    }
}

fn app_id(number: usize) -> Result<AppId> {
    Ok(AppId::new(format!("app-{number}"))?)
}

fn app(number: usize) -> Result<App> {
    let agent = AgentDeclaration {
        entry_point: EntryPoint::new("agent")?,
        types: vec![TaskType::Timer, TaskType::PushNotification],
        memory: None,
        time: None,
        multiple_instances: false,
        resource_group: None,
    };
    Ok(App {
        id: app_id(number)?,
        version: "1.0".to_owned(),
        agents: vec![agent],
        capabilities: lull_policy::usual_capabilities(),
        signed_by: lull_policy::Signer::None,
    })
}
