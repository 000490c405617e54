//! Use of devices (TRGD-26 to TRGD-33), and what servicing has in common with it.

use super::*;

fn use_device(bench: &mut Bench, app: &str, device: &str, consent: bool) -> Answer {
    bench.ask(Request::RequestDevice {
        app: app_id(app),
        name: task("use"),
        device: subject(device),
        consent,
    })
}

pub(super) fn service(
    bench: &mut Bench,
    app: &str,
    expected: Option<Span>,
    consent: bool,
) -> Answer {
    bench.ask(Request::RequestServicing {
        app: app_id(app),
        name: task("service"),
        device: subject("cam"),
        expected,
        consent,
    })
}

pub(super) fn raised(raised: Raised) -> Answer {
    Answer::Raised(raised)
}

/// An app that a device's maker names.
fn privileged(id: &str) -> App {
    App {
        capabilities: [Capability::DeviceServicing, Capability::Device].into(),
        signed_by: Signer::Maker,
        ..full_app(id)
    }
}

fn register_for(bench: &mut Bench, app: &str) {
    for (name, trigger) in [
        ("use", Trigger::DeviceUse),
        ("service", Trigger::DeviceServicing),
    ] {
        let registration = request(name, trigger);
        let app = app_id(app);
        let answer = bench.ask(Request::Register { app, registration });
        assert_eq!(refusal(&answer), "ok");
    }
}

pub(super) fn with_devices() -> Bench {
    let mut bench = Bench::full();
    bench.install(vec![privileged("mail"), privileged("news")]);
    register_for(&mut bench, "mail");
    register_for(&mut bench, "news");
    bench
}

#[test]
fn devices_are_used_in_a_process_of_their_own_and_without_conditions() {
    let condition = vec![Condition::InternetAvailable];
    let rows = [
        (Trigger::DeviceUse, true, vec![], "ok"),
        (
            Trigger::DeviceUse,
            true,
            condition.clone(),
            "invalid-argument",
        ),
        (Trigger::DeviceUse, false, vec![], "invalid-argument"),
        (Trigger::DeviceServicing, true, vec![], "ok"),
        (Trigger::DeviceServicing, false, vec![], "invalid-argument"),
    ];
    for (trigger, own_process, conditions, expected) in rows {
        let mut bench = Bench::full();
        let request = if own_process {
            request("t", trigger.clone())
        } else {
            in_process("t", trigger.clone())
        };
        let answer = bench.try_register(RegistrationRequest {
            conditions: conditions.clone(),
            ..request
        });
        assert_eq!(refusal(&answer), expected, "{trigger:?} {conditions:?}");
    }
}

/// The operator speaks for the device's user; the app does not speak for itself.
#[test]
fn consent_is_given_by_the_operator_before_anybody_asks() {
    let give = |bench: &mut Bench, caller: Option<Caller>, app: &str| {
        let request = Request::GiveConsent {
            app: app_id(app),
            device: subject("cam"),
        };
        let caller = caller.unwrap_or(Caller::Operator);
        refusal(&bench.ask_as(caller, request))
    };
    let mut bench = with_devices();
    let front = Caller::Front {
        app: app_id("mail"),
        foreground: true,
    };
    let agent = Caller::Agent { run: RunId(1) };
    for caller in [front, agent] {
        assert_eq!(give(&mut bench, Some(caller), "mail"), "permission-denied");
    }
    assert_eq!(give(&mut bench, None, "nowhere"), "not-found");
    bench.front(FrontState::Foreground);
    let asked = use_device(&mut bench, "mail", "cam", false);
    assert_eq!(asked, raised(Raised::DeniedByUser));
    assert_eq!(give(&mut bench, None, "mail"), "ok");
    assert_eq!(give(&mut bench, None, "mail"), "ok", "it stands already");
    bench.device = bench.restored();
    let asked = use_device(&mut bench, "mail", "cam", false);
    assert_eq!(asked, raised(Raised::Allowed), "TRGD-32");
    let asked = use_device(&mut bench, "news", "cam", false);
    assert_eq!(asked, raised(Raised::DeniedByUser), "each app for itself");
    for n in 1..bounds::CONSENTS {
        let device = subject(&format!("cam-{n}"));
        let app = app_id("mail");
        bench.ask_as(Caller::Operator, Request::GiveConsent { app, device });
    }
    assert_eq!(give(&mut bench, None, "news"), "limit-reached");
    assert_eq!(give(&mut bench, None, "mail"), "ok");
}

#[test]
fn consent_is_asked_once_for_an_app_and_device_and_can_be_taken_back() {
    let mut bench = with_devices();
    assert_eq!(
        use_device(&mut bench, "mail", "cam", false),
        raised(Raised::DeniedByUser)
    );
    assert_eq!(
        use_device(&mut bench, "mail", "cam", true),
        raised(Raised::Allowed)
    );
    bench.end(1, Exit::Status(0));
    assert_eq!(
        use_device(&mut bench, "mail", "cam", false),
        raised(Raised::Allowed)
    );
    bench.end(2, Exit::Status(0));
    let rows = [("mail", "gps"), ("news", "cam")];
    for (app, device) in rows {
        let answer = use_device(&mut bench, app, device, false);
        assert_eq!(
            answer,
            raised(Raised::DeniedByUser),
            "TRGD-32: {app} {device}"
        );
    }
    use_device(&mut bench, "mail", "cam", false);
    bench.ask(Request::RevokeConsent {
        app: app_id("mail"),
        device: subject("cam"),
    });
    assert_eq!(bench.cancels().len(), 1, "who uses it is asked to stop");
    bench.end(3, Exit::Status(0));
    assert_eq!(
        use_device(&mut bench, "mail", "cam", false),
        raised(Raised::DeniedByUser)
    );
}

#[test]
fn a_second_use_waits_for_nobody() {
    let mut bench = with_devices();
    use_device(&mut bench, "mail", "cam", true);
    let second = use_device(&mut bench, "mail", "gps", true);
    assert_eq!(second, raised(Raised::CurrentlyRunning), "TRGD-32");
    assert_eq!(
        use_device(&mut bench, "news", "gps", true),
        raised(Raised::Allowed)
    );
}

#[test]
fn phones_have_room_for_one_or_two() {
    let phone = DeviceKind::Phone;
    let small = 512 << 20;
    let rows = [
        (phone, Some(small - 1), 1),
        (phone, Some(small), 1),
        (phone, Some(small + 1), 2),
        (phone, None, 2),
        (DeviceKind::Pc, Some(small), 3),
        (DeviceKind::Headless, Some(small), 3),
    ];
    for (kind, memory, room) in rows {
        let ids = ["a", "b", "c"];
        let mut bench = Bench::bare();
        bench.profile(Profile {
            kind,
            memory: memory.map(Bytes),
            ..Profile::default()
        });
        bench.install(ids.iter().map(|id| full_app(id)).collect());
        let mut allowed = 0;
        for id in ids {
            let registration = request("use", Trigger::DeviceUse);
            let app = app_id(id);
            bench.ask(Request::Register { app, registration });
            if use_device(&mut bench, id, "cam", true) == raised(Raised::Allowed) {
                allowed += 1;
            }
        }
        assert_eq!(allowed, room, "TRGD-30: {kind:?} {memory:?}");
    }
}

#[test]
fn a_device_has_to_be_there_and_to_stay() {
    let mut bench = with_devices();
    let there = |device: &str, present| Occurrence::Device {
        device: subject(device),
        present,
    };
    bench.occurs(there("cam", false));
    assert_eq!(
        use_device(&mut bench, "mail", "cam", true),
        raised(Raised::DeniedBySystem)
    );
    assert_eq!(
        service(&mut bench, "mail", None, true),
        raised(Raised::DeniedBySystem)
    );
    bench.occurs(there("cam", true));
    assert_eq!(
        use_device(&mut bench, "mail", "cam", true),
        raised(Raised::Allowed)
    );
    assert_eq!(
        service(&mut bench, "mail", None, true),
        raised(Raised::Allowed)
    );
    bench.occurs(there("gps", false));
    assert_eq!(bench.cancels(), [], "another device");
    bench.occurs(there("cam", false));
    let asked: Vec<u64> = bench.cancels().iter().map(|(run, _)| *run).collect();
    assert_eq!(asked, [1], "TRGD-31; servicing goes on (TRGD-36)");
}

#[test]
fn a_device_that_left_is_away_over_a_restart() {
    let mut bench = with_devices();
    bench.occurs(Occurrence::Device {
        device: subject("cam"),
        present: false,
    });
    bench.restart(Vec::new());
    assert_eq!(
        use_device(&mut bench, "mail", "cam", true),
        raised(Raised::DeniedBySystem)
    );
}

#[test]
fn a_use_has_ten_minutes_but_on_phones() {
    for (kind, limited) in [
        (DeviceKind::Pc, true),
        (DeviceKind::Headless, true),
        (DeviceKind::Phone, false),
    ] {
        let mut bench = Bench::full();
        bench.profile(Profile {
            kind,
            ..Profile::default()
        });
        bench.register(request("use", Trigger::DeviceUse));
        use_device(&mut bench, "mail", "cam", true);
        bench.start(1);
        bench.go(595 * SECOND - 1);
        assert_eq!(bench.cancels(), [], "{kind:?}");
        bench.go(1);
        assert_eq!(bench.cancels().len(), usize::from(limited), "{kind:?}");
        let killed = kills(&bench.go(5 * SECOND));
        assert_eq!(killed.len(), usize::from(limited), "TRGD-31: {kind:?}");
    }
}

#[test]
fn a_use_does_io_every_five_seconds() {
    let sample = |ios| Sample {
        cpu_micros: 1_000_000,
        network_bytes: 1,
        device_ios: ios,
    };
    let mut bench = with_devices();
    use_device(&mut bench, "mail", "cam", true);
    service(&mut bench, "mail", None, true);
    let both = |bench: &mut Bench, ios| {
        for run in [RunId(1), RunId(2)] {
            let sample = sample(ios);
            bench.send(Event::RunSampled { run, sample });
        }
    };
    bench.start(1);
    bench.start(2);
    bench.go(4_999);
    both(&mut bench, 0);
    assert_eq!(bench.cancels(), []);
    both(&mut bench, 1);
    bench.go(4_999);
    both(&mut bench, 0);
    assert_eq!(bench.cancels(), [], "it counts from the last one");
    bench.go(2);
    both(&mut bench, 0);
    let asked: Vec<u64> = bench.cancels().iter().map(|(run, _)| *run).collect();
    assert_eq!(asked, [1], "TRGD-31; servicing has no such rule (TRGD-36)");
}

#[test]
fn the_exit_of_the_app_ends_its_use() {
    let mut bench = with_devices();
    bench.register(request("t", INTERNET));
    bench.front(FrontState::Foreground);
    use_device(&mut bench, "mail", "cam", true);
    bench.internet(false);
    bench.internet(true);
    for state in [FrontState::Background, FrontState::Suspended] {
        bench.front(state);
        assert_eq!(bench.cancels(), [], "RUN-24");
    }
    bench.front(FrontState::None);
    assert_eq!(
        bench.cancels(),
        [(1, CancelReason::Terminating)],
        "TRGD-31, RUN-24"
    );
}

#[test]
fn a_request_for_a_device_waits_for_nothing() {
    let mut bench = with_devices();
    bench.policy(Policy {
        quota_profile: QuotaProfile::Windows8,
        ..Policy::default()
    });
    bench.register(request("work", INTERNET));
    bench.internet(false);
    bench.internet(true);
    let (app, resource) = (app_id("mail"), Resource::Cpu);
    bench.send(Event::QuotaSpent { app, resource });
    let answer = use_device(&mut bench, "mail", "cam", true);
    assert_eq!(answer, raised(Raised::DisabledByPolicy), "RES-13");
    assert_eq!(bench.starts("mail", "use"), [0; 0]);
    bench.policy(Policy::default());
    let answer = use_device(&mut bench, "mail", "cam", true);
    assert_eq!(answer, raised(Raised::Allowed), "the quota is gone");
}
