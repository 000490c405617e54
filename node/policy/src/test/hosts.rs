//! Which runs overlap and which share a host (RUN-07, RUN-23, AMB-11), and maintenance on external power (TRGD-08).

use super::*;

fn socket() -> Trigger {
    Trigger::Socket { id: subject("s") }
}

fn traffic(bench: &mut Bench) {
    bench.occurs(Occurrence::Socket {
        app: app_id("mail"),
        id: subject("s"),
        activity: SocketActivity::Activity,
    });
}

fn with_agent(change: fn(&mut AgentDeclaration)) -> Bench {
    let mut mail = full_app("mail");
    change(&mut mail.agents[0]);
    let mut bench = Bench::full();
    bench.install(vec![mail]);
    bench
}

#[test]
fn only_several_instances_overlap() {
    for (several, at_once) in [(false, 1), (true, 3)] {
        let mut bench = if several {
            with_agent(|agent| agent.multiple_instances = true)
        } else {
            with_agent(|_| {})
        };
        bench.register(request("t", socket()));
        for _ in 0..3 {
            traffic(&mut bench);
        }
        assert_eq!(bench.device.runs().count(), at_once, "AMB-11");
        for run in 1..=3 {
            bench.end(run, Exit::Status(0));
        }
        assert_eq!(
            bench.starts("mail", "t").len(),
            3,
            "each its own activation"
        );
    }
}

#[test]
fn in_process_runs_of_a_registration_never_overlap() {
    let mut bench = with_agent(|agent| agent.multiple_instances = true);
    bench.register(in_process("t", socket()));
    traffic(&mut bench);
    traffic(&mut bench);
    assert_eq!(bench.device.runs().count(), 1, "RUN-07");
}

#[test]
fn a_resource_group_shares_a_host() {
    let mut bench = with_agent(|agent| agent.resource_group = Some("shared".into()));
    for name in ["a", "b"] {
        bench.register(request(name, INTERNET));
    }
    bench.internet(false);
    bench.internet(true);
    let groups = bench.effects.iter().filter_map(|effect| match effect {
        Effect::Launch(launch) => Some(launch.group.as_deref()),
        _ => None,
    });
    assert_eq!(groups.collect::<Vec<_>>(), [Some("shared"); 2], "RUN-07");
}

#[test]
fn maintenance_runs_on_external_power_only() {
    let rows = [
        (Level::Known(true), true),
        (Level::Assumed(true), true),
        (Level::Known(false), false),
        (Level::Unknown, false),
    ];
    for (power, runs) in rows {
        let mut bench = Bench::full();
        let trigger = Trigger::Maintenance {
            minutes: 15,
            one_shot: true,
        };
        let id = bench.register(request("m", trigger));
        bench.read(&[Reading::ExternalPower(power)]);
        bench.go(15 * MINUTE);
        assert_eq!(bench.device.runs().count() == 1, runs, "TRGD-08: {power:?}");
        if !runs {
            assert_eq!(bench.waits_for(id), [WaitReason::ExternalPower]);
            bench.read(&[Reading::ExternalPower(Level::Known(true))]);
            assert_eq!(bench.device.runs().count(), 1, "latched");
        }
    }
}

#[test]
fn maintenance_lasts_ten_minutes_and_ends_when_power_goes() {
    let mut bench = Bench::full();
    let trigger = Trigger::Maintenance {
        minutes: 15,
        one_shot: true,
    };
    bench.register(request("m", trigger));
    bench.go(15 * MINUTE);
    bench.start(1);
    bench.go(595 * SECOND - 1);
    bench.read(&[Reading::ExternalPower(Level::Unknown)]);
    assert_eq!(bench.cancels(), [], "unknown ends nothing");
    bench.read(&[Reading::ExternalPower(Level::Known(false))]);
    assert_eq!(bench.cancels(), [(1, CancelReason::Abort)], "TRGD-09");
    assert_eq!(kills(&bench.go(5 * SECOND - 1)), [0; 0]);
    assert_eq!(kills(&bench.go(1)), [1]);
}
