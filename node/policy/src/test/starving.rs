//! Starvation: what should have run by now, what keeps it, and the smallest change.

use super::*;

fn starves(bench: &Bench, id: RegistrationId) -> Option<Starvation> {
    let registration = bench.device.registration(id).unwrap();
    bench.device.starvation(bench.now, registration)
}

#[test]
fn three_periods_without_a_run() {
    let rows = [
        (timer(60), 3 * HOUR),
        (
            Trigger::Maintenance {
                minutes: 15,
                one_shot: false,
            },
            45 * MINUTE,
        ),
        (once(60), HOUR + 3 * DAY),
    ];
    for (trigger, after) in rows {
        let mut bench = Bench::full();
        let id = bench.register(RegistrationRequest {
            conditions: vec![Condition::UserPresent],
            ..request("t", trigger.clone())
        });
        bench.read(&[Reading::UserPresent(Level::Known(false))]);
        bench.go(after - 1);
        assert_eq!(starves(&bench, id), None, "{trigger:?}");
        bench.go(1);
        let found = starves(&bench, id).unwrap();
        let waits = Some(Blocker::Waits(WaitReason::UserPresent));
        assert_eq!((found.blocked_by, found.actual), (waits, 0), "{trigger:?}");
        assert_eq!(bench.device.starving(bench.now).len(), 1);
        bench.read(&[Reading::UserPresent(Level::Known(true))]);
        assert_eq!(starves(&bench, id), None, "it runs");
    }
}

#[test]
fn a_periodic_agent_starves_after_three_longest_gaps() {
    let mut bench = Bench::full();
    let id = bench.add("mail", PERIODIC);
    bench.choose(Choice {
        agents_disabled: Some(true),
        ..Choice::default()
    });
    bench.go(120 * MINUTE - 1);
    assert_eq!(starves(&bench, id), None);
    bench.go(1);
    let found = starves(&bench, id).unwrap();
    assert_eq!(found.expected, 3);
    assert_eq!(found.blocked_by, Some(Blocker::Waits(WaitReason::Operator)));
    assert!(
        matches!(found.proposal, Proposal::Operator { .. }),
        "{:?}",
        found.proposal
    );
}

#[test]
fn without_a_period_of_its_own_after_three_days() {
    let mut bench = Bench::full();
    bench.eligible();
    bench.read(&[Reading::Battery(Level::Known(PerMille::percent(85)))]);
    let id = bench.add("mail", INTENSIVE);
    bench.go(3 * DAY - 1);
    assert_eq!(starves(&bench, id), None);
    bench.go(1);
    let found = starves(&bench, id).unwrap();
    assert_eq!(
        found.blocked_by,
        Some(Blocker::Waits(WaitReason::BatteryLevel))
    );
    let Proposal::Figure { name, .. } = found.proposal else {
        panic!("{:?}", found.proposal);
    };
    assert_eq!(name, "intensive_battery_above");
}

#[test]
fn what_nothing_fires_or_what_is_over_starves_not() {
    let mut bench = Bench::full();
    let idle = bench.register(request("i", INTERNET));
    let spent = bench.register(request("o", once(15)));
    let expired = bench.add("mail", INTENSIVE);
    bench.go(15 * MINUTE);
    bench.end(1, Exit::Status(0));
    bench.go(15 * DAY);
    for id in [idle, spent, expired] {
        assert_eq!(starves(&bench, id), None, "{id:?}");
    }
}
