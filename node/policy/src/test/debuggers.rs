//! Debuggers (RES-22, PER-08, AMB-06), watchdogs (RUN-15) and the ways to a cancel request (RUN-16, 4e).

use super::*;

fn debugger(bench: &mut Bench, name: &str, attached: bool) {
    bench.occurs(Occurrence::Debugger {
        app: app_id("mail"),
        task: task(name),
        attached,
    });
}

fn capped() -> Bench {
    let mut bench = Bench::full();
    bench.policy(Policy {
        task_memory: Some(Bytes::mib(32)),
        ..Policy::default()
    });
    bench.eligible();
    bench.go(10 * SECOND);
    bench
}

fn limits(bench: &Bench) -> (Option<Running>, Option<Running>, Option<Bytes>) {
    let run = bench.only_run();
    (run.cancel_at, run.kill_at, run.memory)
}

#[test]
fn a_debugger_holds_time_and_memory_while_it_is_attached() {
    let rows = [
        ("t", Some(25), 30, 32),
        ("periodic", None, 25, 20),
        ("resource-intensive", None, 600, 20),
    ];
    for (name, cancel, kill, memory) in rows {
        let mut bench = capped();
        match name {
            "periodic" => {
                bench.add("mail", PERIODIC);
                bench.next_run();
            }
            "resource-intensive" => {
                bench.add("mail", INTENSIVE);
            }
            _ => {
                bench.register(request("t", Trigger::Push));
                bench.push("p1");
            }
        }
        bench.start(1);
        bench.go(20 * SECOND);
        debugger(&mut bench, name, true);
        assert_eq!(limits(&bench), (None, None, None), "RES-22: {name}");
        assert!(bench.effects.contains(&Effect::Limit {
            run: RunId(1),
            memory: None,
            kill_at: None,
        }));
        bench.go(3 * HOUR);
        assert_eq!(bench.cancels(), [], "{name}");
        debugger(&mut bench, name, false);
        let from_now = |seconds| Some(bench.now.running.after(Span::seconds(seconds)));
        let cancel = cancel.and_then(from_now);
        let expected = (cancel, from_now(kill), Some(Bytes::mib(memory)));
        assert_eq!(limits(&bench), expected, "AMB-06: {name}");
        assert_eq!(kills(&bench.go(kill * SECOND - 1)), [0; 0], "{name}");
        assert_eq!(kills(&bench.go(1)), [1], "{name}");
    }
}

#[test]
fn a_run_that_starts_under_a_debugger_is_free_and_the_next_is_not() {
    let mut bench = capped();
    bench.register(request("t", Trigger::Push));
    debugger(&mut bench, "t", true);
    bench.push("p1");
    assert_eq!(limits(&bench), (None, None, None));
    bench.end(1, Exit::Status(0));
    debugger(&mut bench, "t", false);
    bench.push("p2");
    assert!(limits(&bench).1.is_some(), "restored for the next run");
}

#[test]
fn policy_may_keep_the_limits() {
    let mut bench = capped();
    bench.policy(Policy {
        debugger_keeps_limits: true,
        ..Policy::default()
    });
    bench.register(request("t", Trigger::Push));
    bench.push("p1");
    let before = limits(&bench);
    debugger(&mut bench, "t", true);
    assert_eq!(limits(&bench), before, "AMB-06");
}

#[test]
fn conditions_of_a_resource_intensive_run_hold_under_a_debugger() {
    let mut bench = capped();
    bench.add("mail", INTENSIVE);
    debugger(&mut bench, "resource-intensive", true);
    bench.read(&[Reading::Call(Level::Known(Call::Active))]);
    assert_eq!(kills(&bench.effects), [1], "AMB-06: memory and time only");
}

#[test]
fn a_debugger_pauses_the_periodic_schedule_of_its_app() {
    let mut bench = Bench::with(&["mail", "news"]);
    let id = bench.add("mail", PERIODIC);
    bench.add("news", PERIODIC);
    bench.register(request("t", Trigger::Push));
    debugger(&mut bench, "t", true);
    bench.go(45 * MINUTE);
    assert_eq!(bench.starts("mail", "periodic"), [0; 0], "PER-08");
    assert_eq!(bench.waits_for(id), [WaitReason::Debugger]);
    assert_eq!(
        bench.starts("news", "periodic").len(),
        1,
        "of its own app only"
    );
    let (app, kind, delay) = (app_id("mail"), PERIODIC, Span::ZERO);
    bench.ask(Request::LaunchForTest { app, kind, delay });
    assert_eq!(
        bench.starts("mail", "periodic").len(),
        1,
        "only this starts it"
    );
}

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

#[test]
fn cancel_reasons_have_reference_numbers_and_causes() {
    use CancelReason as Reason;
    let app = || app_id("mail");
    let unregister = |bench: &mut Bench| {
        let (app, id) = (app_id("mail"), bench.only_run().registration);
        bench.ask(Request::Unregister {
            app,
            id,
            cancel: true,
        });
    };
    let update = |bench: &mut Bench| {
        bench.send(Event::Apps(vec![App {
            version: "2.0".to_owned(),
            ..full_app("mail")
        }]));
    };
    let deny = |bench: &mut Bench| {
        bench.policy(Policy {
            apps_in_background: AppsInBackground::ForceDeny,
            ..Policy::default()
        });
    };
    let revoke = |bench: &mut Bench| {
        let (app, choice) = (app_id("mail"), Some(AccessChoice::Never));
        bench.ask(Request::SetAccess { app, choice });
    };
    let unplug = |bench: &mut Bench| {
        bench.read(&[Reading::ExternalPower(Level::Known(false))]);
    };
    let idle = |bench: &mut Bench| {
        bench.go(5 * MINUTE);
        let (run, sample) = (RunId(1), Sample::default());
        bench.send(Event::RunSampled { run, sample });
    };
    let log_off = |bench: &mut Bench| bench.occurs(Occurrence::LogOff { app: None });
    let rows: [(Reason, u8, fn(&mut Bench)); 12] = [
        (Reason::Abort, 0, unregister),
        (Reason::Abort, 0, unplug),
        (Reason::Terminating, 1, |bench| {
            bench.send(Event::ShuttingDown)
        }),
        (Reason::LoggingOff, 2, log_off),
        (Reason::ServicingUpdate, 3, update),
        (Reason::IdleTask, 4, idle),
        (Reason::Uninstall, 5, |bench| {
            bench.send(Event::Apps(vec![]))
        }),
        (Reason::ConditionLoss, 6, |bench| bench.internet(false)),
        (Reason::SystemPolicy, 7, deny),
        (Reason::ExecutionTimeExceeded, 9, |bench| {
            drop(bench.go(10 * MINUTE))
        }),
        (Reason::ResourceRevocation, 10, revoke),
        (Reason::EnergySaver, 11, |bench| bench.saver(true)),
    ];
    for (reason, number, cause) in rows {
        assert_eq!(reason.number(), number, "RUN-16");
        let mut bench = Bench::full();
        bench.internet(true);
        bench.register(RegistrationRequest {
            conditions: vec![Condition::InternetAvailable],
            cancel_on_condition_loss: true,
            ..request(
                "m",
                Trigger::Maintenance {
                    minutes: 15,
                    one_shot: false,
                },
            )
        });
        bench.go(15 * MINUTE);
        bench.start(1);
        bench.report(1, Report::DeferralTaken);
        cause(&mut bench);
        assert_eq!(bench.cancels(), [(1, reason)], "4e, for {}", app());
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
