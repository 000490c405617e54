//! The stored format: a change of it is seen here before it is met in the field.

use std::fmt::Write;

use super::*;

/// A device that has records of every kind, every field in use.
fn rich() -> Bench {
    let mut bench = Bench::new();
    let always = Some(AccessChoice::Always);
    bench.ask(Request::SetAccess {
        app: app_id("mail"),
        choice: always,
    });
    let task_memory = Some(Bytes::mib(64));
    bench.send(Event::PolicyChanged(Policy {
        task_memory,
        ..Policy::default()
    }));
    bench.register(RegistrationRequest {
        conditions: vec![Condition::InternetAvailable],
        cancel_on_condition_loss: true,
        ..request("latched", once(15))
    });
    bench.until(15 * MINUTE);
    bench.register(request("pushed", Trigger::Push));
    bench.push("p1");
    bench.start(1);
    bench.send(Event::RunReported {
        run: RunId(1),
        report: Report::Progress(50),
    });
    let report = Report::Aborted {
        message: "no server".to_owned(),
    };
    bench.send(Event::RunReported {
        run: RunId(1),
        report,
    });
    let usage = Usage {
        memory_peak: Some(Bytes(4096)),
        cpu_micros: Some(1500),
    };
    let output = "copied 3 files\n".to_owned();
    bench.send(Event::RunEnded {
        run: RunId(1),
        exit: Exit::Status(75),
        usage,
        output,
    });
    bench.push("p2");
    bench.start(2);
    bench.push("p3");
    bench.pass(25_000);
    bench.send(Event::DeadlineReached);
    with_the_later_kinds(&mut bench);
    bench
}

/// Records that came with scheduled agents, front clients and quotas.
fn with_the_later_kinds(bench: &mut Bench) {
    let mail = app_id("mail");
    bench.send(Event::Apps(vec![full_app("mail"), full_app("news")]));
    bench.send(Event::ProfileChanged(Profile {
        kind: DeviceKind::Phone,
        memory: Some(Bytes::mib(512)),
        runtime_level: RuntimeLevel::parse("8.0.10492"),
        developer_mode: true,
    }));
    bench.ask(Request::Choose {
        app: mail.clone(),
        choice: Choice {
            pinned: Some(true),
            ..Choice::default()
        },
    });
    bench.front(FrontState::Foreground);
    bench.send(Event::PolicyChanged(Policy {
        quota_profile: QuotaProfile::Windows8,
        ..Policy::default()
    }));
    bench.register(request("used", Trigger::DeviceUse));
    bench.ask(Request::RequestDevice {
        app: mail.clone(),
        name: task("used"),
        device: Subject::new("scanner").unwrap(),
        consent: true,
    });
    bench.ask(Request::AddScheduled {
        app: mail,
        kind: ScheduledKind::Periodic,
        description: "keeps mail fresh".to_owned(),
        expires: None,
    });
    bench.front(FrontState::Suspended);
    bench.send(Event::RunReported {
        run: RunId(3),
        report: Report::Progress(7),
    });
    let news = App {
        version: "2.0".to_owned(),
        ..full_app("news")
    };
    bench.send(Event::Apps(vec![full_app("mail"), news]));
}

const fn kind(record: &Record) -> &'static str {
    match record {
        Record::Device(_) => "device",
        Record::Policy(_) => "policy",
        Record::Profile(_) => "profile",
        Record::Update(_) => "update",
        Record::Choices(_) => "choices",
        Record::Front(_) => "front",
        Record::Consent(_) => "consent",
        Record::Quota(_) => "quota",
        Record::App(_) => "app",
        Record::Grant(_) => "grant",
        Record::Registration(Registration {
            schedule: Some(_), ..
        }) => "registration, scheduled",
        Record::Registration(Registration { latch: Some(_), .. }) => "registration, latched",
        Record::Registration(_) => "registration, queueing",
        Record::Run(_) => "run",
        Record::Finished(_) => "finished",
        Record::Push(_) => "push",
        Record::SeenPush(_) => "seen push",
        Record::Receipt(_) => "receipt",
        Record::Count(_) => "count",
        Record::Verdict(_) => "verdict",
    }
}

/// The first record of each kind.
#[test]
fn stored_format() {
    let mut kinds = Vec::new();
    let mut text = String::new();
    for record in rich().device.records() {
        if kinds.contains(&kind(&record)) {
            continue;
        }
        kinds.push(kind(&record));
        let json = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<Record>(&json).unwrap(), record);
        writeln!(text, "{}\n  {json}", kind(&record)).unwrap();
    }
    assert_eq!(kinds.len(), 20, "{kinds:?}");
    insta::assert_snapshot!(text);
}

#[test]
fn an_empty_store_is_a_new_device() {
    assert_eq!(Device::restore([]), Device::new());
    assert_eq!(Device::restore(Device::new().records()), Device::new());
    assert_eq!(invariants::check(&Device::new()), []);
}

#[test]
fn records_come_first_and_each_once() {
    let mut bench = Bench::new();
    bench.register(request("p", Trigger::Push));
    let expires = bench.now.wall.after(Span::days(1));
    let push = Push {
        id: push_id("p1"),
        app: app_id("mail"),
        payload: vec![1],
        expires,
        retention: Retention::default(),
        priority: Priority::default(),
        collapse_key: None,
    };
    let mut effects = Vec::new();
    bench
        .device
        .handle(bench.now, Event::PushArrived(push), &mut effects);
    let records = effects
        .iter()
        .take_while(|e| e.order() == Order::Record)
        .count();
    assert!(
        effects[records..]
            .iter()
            .all(|e| e.order() != Order::Record)
    );
    let mut keys: Vec<_> = effects[..records]
        .iter()
        .map(|effect| match effect {
            Effect::Put(record) => record.key(),
            Effect::Remove(key) => key.clone(),
            other => panic!("no record: {other:?}"),
        })
        .collect();
    let count = keys.len();
    keys.dedup();
    assert_eq!(keys.len(), count);
}

#[test]
fn what_changes_nothing_writes_nothing() {
    let mut bench = Bench::new();
    bench.register(request("t", timer(15)));
    let readings = vec![
        Reading::Internet(Level::Known(true)),
        Reading::Battery(Level::Unknown),
    ];
    let events = [
        Event::Readings(readings),
        Event::DeadlineReached,
        Event::ClockStepped,
        Event::LinkUp,
        Event::PolicyChanged(Policy::default()),
        Event::ReceiptsAcknowledged {
            through: ReceiptSeq(9),
        },
        Event::Apps(vec![app("mail")]),
    ];
    for event in events {
        let mut effects = Vec::new();
        bench.device.handle(bench.now, event.clone(), &mut effects);
        assert_eq!(effects, [], "{event:?}");
    }
}
