//! Triggers that an app raises itself (TRGD-20 to TRGD-25), and what a run is told of its firing (TRGC-04).

use super::*;

/// Something that happens to a device.
type Happens = fn(&mut Bench);

fn raise(bench: &mut Bench, name: &str) -> Answer {
    let (app, name) = (app_id("mail"), task(name));
    bench.ask(Request::RequestRun { app, name })
}

#[test]
fn each_kind_is_registered_once_for_an_app() {
    let rows = [
        (Trigger::Application, "already-exists"),
        (Trigger::Media, "already-exists"),
        (Trigger::DeviceUse, "already-exists"),
        (Trigger::DeviceServicing, "ok"),
        (Trigger::Push, "ok"),
        (timer(15), "ok"),
    ];
    for (trigger, second) in rows {
        let mut bench = Bench::full();
        bench.register(request("a", trigger.clone()));
        let before = bench.device.records();
        let answer = bench.try_register(request("b", trigger.clone()));
        assert_eq!(refusal(&answer), second, "{trigger:?}");
        if second != "ok" {
            assert_eq!(
                bench.device.records(),
                before,
                "it changes nothing (TRGD-20)"
            );
        }
        let again = RegistrationRequest {
            replace: true,
            ..request("a", trigger.clone())
        };
        assert_eq!(
            refusal(&bench.try_register(again)),
            "ok",
            "AMB-41: {trigger:?}"
        );
    }
}

#[test]
fn different_once_only_kinds_and_apps_stand_side_by_side() {
    let mut bench = Bench::with(&["mail", "news"]);
    for (name, trigger) in [("a", Trigger::Application), ("m", Trigger::Media)] {
        bench.register(request(name, trigger.clone()));
        let answer = bench.ask(Request::Register {
            app: app_id("news"),
            registration: request(name, trigger),
        });
        assert_eq!(refusal(&answer), "ok");
    }
}

#[test]
fn a_raised_run_has_ten_minutes() {
    for trigger in [Trigger::Application, Trigger::Media] {
        let mut bench = Bench::full();
        bench.register(request("work", trigger.clone()));
        assert_eq!(raise(&mut bench, "work"), Answer::Raised(Raised::Allowed));
        bench.start(1);
        bench.go(595 * SECOND - 1);
        assert_eq!(bench.cancels(), [], "{trigger:?}");
        bench.go(1);
        assert_eq!(bench.cancels(), [(1, CancelReason::ExecutionTimeExceeded)]);
        assert_eq!(kills(&bench.go(5 * SECOND - 1)), [0; 0], "{trigger:?}");
        assert_eq!(kills(&bench.go(1)), [1], "TRGD-24, AMB-03");
        bench.end(1, Exit::Signal(9));
        assert_eq!(bench.last_outcome(), Outcome::Hung);
    }
}

#[test]
fn one_run_at_a_time_whoever_asks() {
    for trigger in [Trigger::Application, Trigger::Media] {
        let mut bench = Bench::full();
        bench.register(request("work", trigger));
        raise(&mut bench, "work");
        for _ in 0..3 {
            assert_eq!(
                raise(&mut bench, "work"),
                Answer::Raised(Raised::CurrentlyRunning)
            );
        }
        bench.end(1, Exit::Status(0));
        assert_eq!(bench.device.runs().count(), 0, "TRGD-23: it never queues");
        assert_eq!(raise(&mut bench, "work"), Answer::Raised(Raised::Allowed));
    }
}

#[test]
fn access_policy_and_saver_answer_the_caller() {
    let deny = |bench: &mut Bench| {
        bench.policy(Policy {
            denied_apps: [app_id("mail")].into(),
            ..Policy::default()
        });
    };
    let remove = |bench: &mut Bench| {
        bench.ask(Request::RemoveAccess {
            app: app_id("mail"),
        });
    };
    let never = |bench: &mut Bench| {
        let choice = Some(AccessChoice::Never);
        let app = app_id("mail");
        bench.ask(Request::SetAccess { app, choice });
    };
    let stale = |bench: &mut Bench| {
        bench.send(Event::Apps(vec![App {
            version: "2.0".to_owned(),
            ..app("mail")
        }]));
    };
    let saver = |bench: &mut Bench| bench.saver(true);
    let causes: [(&str, Happens); 5] = [
        ("policy", deny),
        ("removed", remove),
        ("never", never),
        ("stale", stale),
        ("saver", saver),
    ];
    for (cause, set) in causes {
        for trigger in [Trigger::Application, Trigger::Media] {
            let mut bench = Bench::full();
            bench.register(request("work", trigger));
            set(&mut bench);
            let answer = raise(&mut bench, "work");
            assert_eq!(answer, Answer::Raised(Raised::DisabledByPolicy), "{cause}");
            assert_eq!(
                bench
                    .device
                    .runs()
                    .filter(|run| run.task == task("work"))
                    .count(),
                0
            );
        }
    }
}

/// A trigger on the thing `c`, what fires it, and what its run is told.
fn arrivals() -> Vec<(Trigger, Happens, Option<Details>)> {
    let id = || subject("c");
    let device = |present| {
        let device = id();
        Some(Details::Device { device, present })
    };
    let channel = Trigger::ControlChannel {
        id: id(),
        keep_alive_minutes: 15,
        slot: Slot::Software,
    };
    let message = Details::Channel {
        id: id(),
        activity: ChannelActivity::Message,
    };
    let traffic = Details::Socket {
        id: id(),
        activity: SocketActivity::Activity,
    };
    let event = Some(Details::Bus { event: id() });
    vec![
        (once(15), |bench| drop(bench.go(15 * MINUTE)), None),
        (INTERNET, internet_comes, None),
        (
            system(SystemEvent::SmsReceived),
            |bench| bench.occurs(Occurrence::SmsReceived { app: None }),
            Some(Details::Sms),
        ),
        (channel, message_comes, Some(message)),
        (Trigger::Socket { id: id() }, traffic_comes, Some(traffic)),
        (Trigger::DeviceUse, use_is_asked_for, device(true)),
        (Trigger::Bus { event: id() }, bus_event_comes, event),
        (
            Trigger::DeviceWatcher { pattern: id() },
            device_leaves,
            device(false),
        ),
    ]
}

fn internet_comes(bench: &mut Bench) {
    bench.internet(false);
    bench.internet(true);
}

fn message_comes(bench: &mut Bench) {
    bench.occurs(Occurrence::Channel {
        app: app_id("mail"),
        id: subject("c"),
        activity: ChannelActivity::Message,
    });
}

fn traffic_comes(bench: &mut Bench) {
    bench.occurs(Occurrence::Socket {
        app: app_id("mail"),
        id: subject("c"),
        activity: SocketActivity::Activity,
    });
}

fn use_is_asked_for(bench: &mut Bench) {
    bench.ask(Request::RequestDevice {
        app: app_id("mail"),
        name: task("t"),
        device: subject("c"),
        consent: true,
    });
}

fn bus_event_comes(bench: &mut Bench) {
    bench.occurs(Occurrence::Bus {
        app: app_id("mail"),
        event: subject("c"),
    });
}

fn device_leaves(bench: &mut Bench) {
    bench.occurs(Occurrence::Device {
        device: subject("c"),
        present: false,
    });
}

#[test]
fn details_are_empty_for_edges_and_timers() {
    for (trigger, fire, expected) in arrivals() {
        let mut bench = Bench::full();
        bench.install(vec![App {
            capabilities: [
                Capability::Internet,
                Capability::Device,
                Capability::Media,
                Capability::Sms,
            ]
            .into(),
            ..full_app("mail")
        }]);
        bench.register(request("t", trigger.clone()));
        fire(&mut bench);
        let run = bench.only_run();
        assert_eq!(run.details, expected, "TRGC-04: {trigger:?}");
        assert_eq!(run.push, None, "PSH-07");
    }
}

#[test]
fn push_details_carry_content_and_headers() {
    let mut bench = Bench::full();
    bench.register(request("p", Trigger::Push));
    bench.push("p1");
    let push = bench.launch().push.unwrap();
    assert_eq!((push.id, push.payload), (push_id("p1"), b"hello".to_vec()));
    assert_eq!(bench.only_run().details, None);
}

#[test]
fn raw_payload_reaches_the_task_unchanged() {
    let rows: [(usize, bool); 6] = [
        (0, false),
        (1, true),
        (4_999, true),
        (5_000, true),
        (5_001, false),
        (65_536, false),
    ];
    for (size, taken) in rows {
        let mut bench = Bench::full();
        bench.register(request("p", Trigger::Push));
        let payload: Vec<u8> = (0..size)
            .map(|n| u8::try_from(n * 7 % 256).unwrap())
            .collect();
        bench.send(Event::PushArrived(Push {
            id: push_id("p1"),
            app: app_id("mail"),
            payload: payload.clone(),
            expires: bench.now.wall.after(Span::days(3)),
            retention: Retention::Queue,
            priority: Priority::Low,
            collapse_key: None,
        }));
        if taken {
            assert_eq!(bench.launch().push.unwrap().payload, payload, "PSH-06");
        } else {
            assert_eq!(bench.device.runs().count(), 0, "PSH-08: {size} bytes");
        }
    }
}

#[test]
fn each_run_has_an_instance_record() {
    let mut bench = Bench::full();
    let first = bench.register(request("a", INTERNET));
    let second = bench.register(request("b", INTERNET));
    bench.internet(false);
    bench.internet(true);
    let found: Vec<_> = bench
        .device
        .runs()
        .map(|run| (run.id.0, run.registration, run.number, run.progress))
        .collect();
    assert_eq!(found, [(1, first, 1, None), (2, second, 1, None)]);
    bench.start(1);
    bench.report(1, Report::Progress(7));
    assert_eq!(
        bench.device.runs().next().unwrap().progress,
        Some(7),
        "RUN-10"
    );
}
