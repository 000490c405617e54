//! The device policy: whose counts, and what a change does to what is under way. Shutting down, and edges of readings.

use super::*;

fn document(bench: &mut Bench, generation: u64, days: u64) {
    let policy = Policy {
        starvation_after: Span::days(days),
        ..Policy::default()
    };
    bench.send(Event::PolicyDocument { generation, policy });
}

fn in_force(bench: &Bench) -> u64 {
    bench.device.policy().starvation_after.as_millis() / DAY
}

#[test]
fn an_older_document_is_passed_over_and_a_document_beats_the_nodes_own() {
    let mut bench = Bench::full();
    let own = |bench: &mut Bench, days| {
        bench.policy(Policy {
            starvation_after: Span::days(days),
            ..Policy::default()
        });
    };
    own(&mut bench, 9);
    assert_eq!(in_force(&bench), 9);
    for (generation, days, expected) in [(5, 5, 5), (4, 4, 5), (5, 6, 5), (0, 7, 5), (6, 8, 8)] {
        document(&mut bench, generation, days);
        assert_eq!(in_force(&bench), expected, "generation {generation}");
    }
    own(&mut bench, 9);
    assert_eq!(in_force(&bench), 8);
    bench.restart(Vec::new());
    own(&mut bench, 9);
    document(&mut bench, 6, 1);
    assert_eq!(in_force(&bench), 8, "over a restart");
    document(&mut bench, 7, 2);
    assert_eq!(in_force(&bench), 2);
}

#[test]
fn a_denial_of_policy_ends_trigger_tasks_and_holds_no_grant() {
    let mut bench = Bench::full();
    bench.register(request("t", INTERNET));
    bench.internet(false);
    bench.internet(true);
    bench.policy(Policy {
        denied_apps: [app_id("mail")].into(),
        ..Policy::default()
    });
    assert_eq!(
        bench.cancels(),
        [(1, CancelReason::SystemPolicy)],
        "ACC-14, ENT-05"
    );
    bench.end(1, Exit::Status(0));
    bench.internet(false);
    bench.internet(true);
    assert_eq!(bench.drops("t"), [DropReason::Policy]);
    bench.policy(Policy::default());
    bench.internet(false);
    bench.internet(true);
    assert_eq!(bench.device.runs().count(), 1, "the grant stands");
}

#[test]
fn a_lower_level_lets_what_waits_go() {
    let mut bench = Bench::full();
    bench.register(request("t", INTERNET));
    bench.saver(true);
    bench.internet(false);
    bench.internet(true);
    bench.policy(Policy {
        saver_level: PerMille::percent(10),
        ..Policy::default()
    });
    assert_eq!(bench.launched(), [1], "10 % is not below 10 %");
}

#[test]
fn a_charge_that_policy_now_asks_for_ends_a_resource_intensive_run() {
    let mut bench = Bench::full();
    bench.eligible();
    bench.go(10 * SECOND);
    bench.add("mail", INTENSIVE);
    bench.read(&[Reading::Battery(Level::Known(PerMille::percent(95)))]);
    bench.policy(Policy {
        intensive_battery_above: PerMille::percent(95),
        ..Policy::default()
    });
    assert_eq!(kills(&bench.effects), [1], "INT-07");
}

#[test]
fn a_shutdown_asks_everybody_and_nothing_begins() {
    let mut bench = Bench::full();
    bench.register(request("t", INTERNET));
    bench.register(request("p", Trigger::Push));
    bench.eligible();
    bench.internet(false);
    bench.internet(true);
    bench.go(10 * SECOND);
    bench.add("mail", INTENSIVE);
    let intensive = bench.launched()[0];
    let before = bench.device.runs().count();
    bench.send(Event::ShuttingDown);
    let asked = bench.cancels();
    assert!(
        asked
            .iter()
            .all(|(_, reason)| *reason == CancelReason::Terminating)
    );
    assert_eq!(asked.len() + 1, before);
    assert_eq!(
        kills(&bench.effects),
        [intensive],
        "no grace for scheduled agents (RUN-45)"
    );
    bench.push("p1");
    assert_eq!(bench.launched(), [0; 0]);
    let left: Vec<u64> = asked.iter().map(|(run, _)| *run).collect();
    assert_eq!(kills(&bench.go(5 * SECOND)), left, "killed after the grace");
    for run in left {
        bench.end(run, Exit::Signal(9));
        assert_eq!(bench.last_outcome(), Outcome::Terminated);
    }
    bench.device = bench.restored();
    bench.boot("boot-2");
    bench.send(Event::RunsHeld { runs: Vec::new() });
    bench.read(&[Reading::ExternalPower(Level::Known(true))]);
    let pushes = bench.starts("mail", "p");
    assert_eq!(pushes.len(), 1, "what waited runs after the boot");
}

#[test]
fn short_of_memory_what_matters_least_goes_without_notice() {
    let mut bench = Bench::full();
    bench.register(request("p", Trigger::Push));
    bench.register(request("t", INTERNET));
    bench.push("p1");
    bench.internet(false);
    bench.internet(true);
    bench.eligible();
    bench.go(10 * SECOND);
    bench.add("mail", INTENSIVE);
    let mut killed = Vec::new();
    for _ in 0..4 {
        bench.send(Event::MemoryShort);
        killed.append(&mut kills(&bench.effects));
    }
    assert_eq!(killed, [3, 2], "AMB-43: critical ones last");
    assert_eq!(bench.cancels(), [], "RUN-14");
    bench.end(2, Exit::Signal(9));
    assert_eq!(bench.last_outcome(), Outcome::Terminated);
    let termination = bench.device.finished().last().unwrap().termination;
    assert_eq!(termination, Some(Termination::SystemMemory));
}

#[test]
fn the_networks_changes_are_one_event_two_seconds_after_the_last() {
    let mut bench = Bench::full();
    bench.register(request("t", system(SystemEvent::NetworkStateChange)));
    let network = |network| Reading::Network(Level::Known(network));
    bench.read(&[network(Network::Wifi)]);
    bench.go(10 * SECOND);
    assert_eq!(bench.starts("mail", "t"), [0; 0], "a baseline");
    let begin = bench.age;
    bench.read(&[network(Network::None)]);
    bench.go(1_999);
    bench.read(&[
        network(Network::Cellular),
        Reading::Metered(Level::Known(true)),
    ]);
    bench.go(1_999);
    assert_eq!(bench.starts("mail", "t"), [0; 0]);
    bench.go(1);
    assert_eq!(bench.starts("mail", "t"), [begin + 3_999], "TRG-02");
    bench.go(MINUTE);
    assert_eq!(bench.device.firings(), 1);
}

#[test]
fn readings_anew_are_a_baseline() {
    let rows = [
        (Event::Readings as fn(Vec<Reading>) -> Event, 1),
        (Event::ReadingsAnew, 0),
    ];
    for (event, fired) in rows {
        let mut bench = Bench::full();
        bench.register(request("i", INTERNET));
        bench.internet(false);
        bench.send(event(vec![Reading::Internet(Level::Known(true))]));
        assert_eq!(bench.device.firings(), fired, "TRGC-03");
        bench.internet(false);
        bench.internet(true);
        bench.end(1, Exit::Status(0));
        assert!(bench.device.firings() > fired, "edges go on from there");
    }
}

#[test]
fn readings_anew_end_what_lost_its_conditions() {
    let mut bench = Bench::full();
    bench.eligible();
    bench.go(10 * SECOND);
    bench.add("mail", INTENSIVE);
    bench.send(Event::ReadingsAnew(vec![Reading::ScreenLocked(
        Level::Known(false),
    )]));
    assert_eq!(kills(&bench.effects), [1], "INT-07");
}

#[test]
fn edges_of_every_system_event() {
    use Session::{Connected, Disconnected, None as Nobody};
    use SystemEvent::{
        BackgroundWorkCostChange as Cost, PowerStateChange as Power, SessionConnected,
        TimeZoneChange, UserAway, UserPresent,
    };
    let zone = |name, offset| Reading::Zone(Level::Known(Zone { name, offset }));
    let power = |on| Reading::ExternalPower(Level::Known(on));
    let charge = |tenths| Reading::Battery(Level::Known(PerMille::new(tenths)));
    let screen = |on| Reading::ScreenOn(Level::Known(on));
    let session = |session| Reading::Session(Level::Known(session));
    let present = |yes| Reading::UserPresent(Level::Known(yes));
    let rows: [(SystemEvent, &[Reading], &[Reading], bool); 21] = [
        (TimeZoneChange, &[zone(1, 0)], &[zone(1, 3_600)], true),
        (TimeZoneChange, &[zone(1, 0)], &[zone(2, 0)], true),
        (TimeZoneChange, &[zone(1, 0)], &[zone(2, 3_600)], true),
        (TimeZoneChange, &[zone(1, 0)], &[zone(1, 0)], false),
        (UserPresent, &[present(false)], &[present(true)], true),
        (UserPresent, &[present(true)], &[present(false)], false),
        (UserAway, &[present(true)], &[present(false)], true),
        (UserAway, &[present(false)], &[present(true)], false),
        (
            SessionConnected,
            &[session(Nobody)],
            &[session(Connected)],
            true,
        ),
        (
            SessionConnected,
            &[session(Disconnected)],
            &[session(Connected)],
            true,
        ),
        (
            SessionConnected,
            &[session(Connected)],
            &[session(Disconnected)],
            false,
        ),
        (
            SessionConnected,
            &[session(Nobody)],
            &[session(Disconnected)],
            false,
        ),
        (Cost, &[power(true), screen(true)], &[power(false)], true),
        (Cost, &[power(false), screen(true)], &[screen(false)], true),
        (Cost, &[power(true), screen(true)], &[screen(false)], false),
        (Power, &[power(true), charge(500)], &[power(false)], true),
        (Power, &[power(false), charge(500)], &[power(true)], true),
        (Power, &[power(true), charge(990)], &[charge(1000)], true),
        (Power, &[power(false), charge(500)], &[charge(400)], false),
        (Power, &[power(true), charge(500)], &[charge(600)], false),
        (Power, &[charge(500)], &[power(true)], false),
    ];
    for (event, before, after, fired) in rows {
        let mut bench = Bench::bare();
        bench.install(vec![app("mail")]);
        bench.register(request("t", system(event)));
        bench.read(before);
        assert_eq!(bench.device.firings(), 0, "a baseline (TRGC-03)");
        bench.read(after);
        let found = bench.device.firings() == 1;
        assert_eq!(found, fired, "{event:?}: {before:?} {after:?}");
    }
}
