//! Watchdogs (RUN-15), the ways to a cancel request (RUN-16, 4e), the network in standby (RUN-30, RUN-31), and the cap that
//! audio agents share (RES-06).

use super::*;

#[test]
fn idle_watchdog_cancels_with_idle_task() {
    let cpu = |micros| Sample {
        cpu_micros: micros,
        ..Sample::default()
    };
    let network = Sample {
        network_bytes: 1,
        ..Sample::default()
    };
    let rows = [
        (Sample::default(), 5 * MINUTE - 1, false),
        (Sample::default(), 5 * MINUTE, true),
        (cpu(10_000), 5 * MINUTE, true),
        (cpu(10_001), 5 * MINUTE, false),
        (network, 5 * MINUTE, false),
    ];
    for (sample, after, idle) in rows {
        let mut bench = Bench::full();
        bench.register(request("work", Trigger::Application));
        bench.ask(Request::RequestRun {
            app: app_id("mail"),
            name: task("work"),
        });
        bench.start(1);
        bench.report(1, Report::DeferralTaken);
        bench.go(after);
        let run = RunId(1);
        bench.send(Event::RunSampled { run, sample });
        let expected = if idle {
            vec![(1, CancelReason::IdleTask)]
        } else {
            vec![]
        };
        assert_eq!(
            bench.cancels(),
            expected,
            "RUN-15: {sample:?} after {after} ms"
        );
    }
}

#[test]
fn neither_debugged_nor_unlimited_nor_scheduled_runs_are_idle() {
    let mut bench = Bench::full();
    bench.install(vec![App {
        capabilities: [Capability::Internet, Capability::ExtendedBackgroundTaskTime].into(),
        signed_by: Signer::Operator,
        ..full_app("mail")
    }]);
    bench.register(request("t", Trigger::Push));
    bench.push("p1");
    assert_eq!(bench.only_run().kill_at, None, "ENT-01");
    bench.start(1);
    bench.report(1, Report::DeferralTaken);
    bench.go(2 * HOUR);
    let (run, sample) = (RunId(1), Sample::default());
    bench.send(Event::RunSampled { run, sample });
    assert_eq!(bench.cancels(), [], "ENT-02");
}

/// Something that makes the device ask run 1 to cancel.
type Cause = fn(&mut Bench);

/// Each cause of a cancel request (4e) with its reason and the reason's number (RUN-16).
const CAUSES: [(CancelReason, u8, Cause); 12] = [
    (CancelReason::Abort, 0, |bench| {
        let (app, id) = (app_id("mail"), bench.only_run().registration);
        let cancel = true;
        bench.ask(Request::Unregister { app, id, cancel });
    }),
    (CancelReason::Abort, 0, |bench| {
        bench.read(&[Reading::ExternalPower(Level::Known(false))]);
    }),
    (CancelReason::Terminating, 1, |bench| {
        bench.send(Event::ShuttingDown);
    }),
    (CancelReason::LoggingOff, 2, |bench| {
        bench.occurs(Occurrence::LogOff { app: None });
    }),
    (CancelReason::ServicingUpdate, 3, |bench| {
        bench.send(Event::Apps(vec![App {
            version: "2.0".to_owned(),
            ..full_app("mail")
        }]));
    }),
    (CancelReason::IdleTask, 4, |bench| {
        bench.go(5 * MINUTE);
        let (run, sample) = (RunId(1), Sample::default());
        bench.send(Event::RunSampled { run, sample });
    }),
    (CancelReason::Uninstall, 5, |bench| {
        bench.send(Event::Apps(Vec::new()));
    }),
    (CancelReason::ConditionLoss, 6, |bench| {
        bench.internet(false);
    }),
    (CancelReason::SystemPolicy, 7, |bench| {
        bench.policy(Policy {
            apps_in_background: AppsInBackground::ForceDeny,
            ..Policy::default()
        });
    }),
    (CancelReason::ExecutionTimeExceeded, 9, |bench| {
        bench.go(10 * MINUTE);
    }),
    (CancelReason::ResourceRevocation, 10, |bench| {
        let (app, choice) = (app_id("mail"), Some(AccessChoice::Never));
        bench.ask(Request::SetAccess { app, choice });
    }),
    (CancelReason::EnergySaver, 11, |bench| bench.saver(true)),
];

#[test]
fn cancel_reasons_have_reference_numbers_and_causes() {
    for (reason, number, cause) in CAUSES {
        assert_eq!(reason.number(), number, "RUN-16");
        let mut bench = Bench::full();
        bench.internet(true);
        let trigger = Trigger::Maintenance {
            minutes: 15,
            one_shot: false,
        };
        bench.register(RegistrationRequest {
            conditions: vec![Condition::InternetAvailable],
            cancel_on_condition_loss: true,
            ..request("m", trigger)
        });
        bench.go(15 * MINUTE);
        bench.start(1);
        bench.report(1, Report::DeferralTaken);
        cause(&mut bench);
        assert_eq!(bench.cancels(), [(1, reason)], "4e");
    }
}

#[test]
fn a_log_off_may_concern_one_app() {
    let mut bench = Bench::full();
    bench.register(request("t", Trigger::Push));
    bench.push("p1");
    let log_off = |id: &str| Occurrence::LogOff {
        app: Some(app_id(id)),
    };
    bench.occurs(log_off("news"));
    assert_eq!(bench.cancels(), []);
    bench.occurs(log_off("mail"));
    assert_eq!(bench.cancels(), [(1, CancelReason::LoggingOff)]);
}

#[test]
fn requested_network_is_kept_in_standby() {
    let standby = |on| Reading::Standby(Level::Known(on));
    for at_start in [true, false] {
        let mut bench = Bench::full();
        bench.register(RegistrationRequest {
            network_requested: true,
            ..request("t", Trigger::Push)
        });
        bench.read(&[standby(at_start)]);
        bench.push("p1");
        let launch = bench.launch();
        assert!(launch.network && launch.network_requested, "RUN-30");
        bench.read(&[standby(true)]);
        bench.read(&[standby(false)]);
        let cut = |told: &(u64, Observation)| matches!(told.1, Observation::Network { .. });
        assert!(!bench.told.iter().any(cut), "RUN-30");
    }
}

#[test]
fn standby_cuts_the_network_of_other_runs() {
    let standby = |on| Reading::Standby(Level::Known(on));
    let cut = |allowed| Effect::Network {
        run: RunId(1),
        allowed,
    };
    let mut bench = Bench::full();
    bench.register(request("t", Trigger::Push));
    bench.push("p1");
    assert!(bench.launch().network, "RUN-31");
    bench.read(&[standby(true)]);
    assert!(bench.effects.contains(&cut(false)), "at once");
    bench.read(&[standby(false)]);
    assert!(bench.effects.contains(&cut(true)));
    bench.end(1, Exit::Status(0));
    bench.read(&[standby(true)]);
    bench.push("p2");
    assert!(!bench.launch().network, "and at the start");
}

#[test]
fn audio_agent_cap_follows_the_level() {
    let rows = [
        (None, 25),
        (Some("8.0.10492"), 25),
        (Some("8.0.10491"), 20),
        (Some("8.0.9999"), 20),
        (Some("7.1"), 15),
    ];
    for (level, mib) in rows {
        let mut bench = Bench::bare();
        bench.profile(Profile {
            runtime_level: level.map(|text| RuntimeLevel::parse(text).unwrap()),
            ..Profile::default()
        });
        let mut player = app("mail");
        player.agents[0].types.push(TaskType::Audio);
        bench.install(vec![player]);
        bench.register(request("a", INTERNET));
        bench.register(request("b", INTERNET));
        bench.internet(false);
        bench.internet(true);
        let launches = bench.effects.iter().filter_map(|effect| match effect {
            Effect::Launch(launch) => Some((launch.group.as_deref(), launch.memory)),
            _ => None,
        });
        let shared = (Some("audio"), Some(Bytes::mib(mib)));
        assert_eq!(
            launches.collect::<Vec<_>>(),
            [shared; 2],
            "RES-06: {level:?}"
        );
    }
}

#[test]
fn a_run_that_is_being_killed_is_told_nothing_of_standby() {
    let standby = |on| Reading::Standby(Level::Known(on));
    let mut bench = Bench::full();
    bench.register(request("t", Trigger::Push));
    bench.read(&[standby(false)]);
    bench.push("p1");
    bench.start(1);
    bench.go(30 * SECOND);
    assert_eq!(bench.only_run().state, RunState::Killing);
    bench.read(&[standby(true)]);
    let told = |effect: &Effect| matches!(effect, Effect::Network { .. });
    assert!(!bench.effects.iter().any(told), "{:?}", bench.effects);
}
