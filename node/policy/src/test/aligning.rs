//! Periodic agents and other work (PER-02, AMB-04): who joins whom, and who waits for whom.

use super::*;

/// A device with so many apps whose agents are scheduled at these minutes.
fn agents(added: &[u64], powered: bool) -> Bench {
    let mut bench = Bench::bare();
    let names: Vec<String> = (0..added.len()).map(|n| format!("app-{n}")).collect();
    bench.send(Event::Apps(
        names.iter().map(|name| full_app(name)).collect(),
    ));
    bench.read(&[
        Reading::ExternalPower(Level::Known(powered)),
        Reading::Battery(Level::Known(PerMille::percent(80))),
        Reading::BatterySaver(Level::Known(false)),
    ]);
    for (name, minute) in names.iter().zip(added) {
        bench.until(minute * MINUTE);
        bench.ask(Request::AddScheduled {
            app: app_id(name),
            kind: ScheduledKind::Periodic,
            description: "keeps fresh".to_owned(),
            expires: None,
        });
    }
    bench
}

/// The minutes at which runs start until then; each run ends at once.
fn starts(bench: &mut Bench, until: u64) -> Vec<u64> {
    let mut minutes = Vec::new();
    while let Some(at) = bench.device.deadline().elapsed {
        if at > Elapsed::from_millis(until * MINUTE) {
            break;
        }
        let effects = bench.until(at.as_millis());
        for run in launches(&effects) {
            minutes.push(at.as_millis() / MINUTE);
            bench.start(run);
            bench.send(Event::RunReported {
                run: RunId(run),
                report: Report::Completed,
            });
            bench.end(run, Exit::Status(0));
        }
    }
    minutes
}

#[test]
fn alone_it_keeps_its_interval() {
    for powered in [true, false] {
        let mut bench = agents(&[0], powered);
        assert_eq!(starts(&mut bench, 90), [30, 60, 90], "powered: {powered}");
    }
}

#[test]
fn on_battery_two_agents_meet_as_late_as_both_may() {
    // Windows of 20 to 40 minutes after each Add; they meet when the first of them closes.
    let rows: [(&[u64], &[u64]); 3] = [
        (&[0, 0], &[40, 40, 80, 80]),
        (&[0, 15], &[40, 40, 80, 80]),
        (&[0, 20], &[40, 40, 80, 80]),
    ];
    for (added, expected) in rows {
        let mut bench = agents(added, false);
        assert_eq!(starts(&mut bench, 80), expected, "{added:?}");
    }
}

#[test]
fn too_far_apart_they_start_alone() {
    let mut bench = agents(&[0, 21], false);
    assert_eq!(starts(&mut bench, 51)[0], 30);
}

#[test]
fn on_external_power_nobody_waits_and_whoever_may_joins() {
    let mut bench = agents(&[0, 5], true);
    assert_eq!(starts(&mut bench, 60), [30, 30, 60, 60]);
    let mut bench = agents(&[0, 15], true);
    assert_eq!(starts(&mut bench, 60), [30, 45, 60]);
}

#[test]
fn nobody_counts_on_an_agent_that_is_held_back() {
    let mut bench = agents(&[0, 0], false);
    bench.ask(Request::Choose {
        app: app_id("app-1"),
        choice: Choice {
            agents_disabled: Some(true),
            ..Choice::default()
        },
    });
    assert_eq!(starts(&mut bench, 30), [30]);
    assert_eq!(bench.device.runs().count(), 0);
    let held = bench
        .device
        .scheduled(&app_id("app-1"), ScheduledKind::Periodic);
    assert!(held.unwrap().latch.is_some(), "it came due and waits");
}

#[test]
fn a_partner_that_vanishes_lets_the_other_start_at_once() {
    let mut bench = agents(&[0, 0], false);
    assert_eq!(starts(&mut bench, 35), [0; 0]);
    bench.until(35 * MINUTE);
    bench.ask(Request::RemoveScheduled {
        app: app_id("app-1"),
        kind: ScheduledKind::Periodic,
    });
    assert_eq!(bench.launched().len(), 1);
}

#[test]
fn on_battery_an_agent_waits_for_a_certain_tick() {
    // A timer of 45 minutes made at minute 0 starts on the tick at 45; the agent's window from 10 on is 30 to 50.
    for (powered, expected) in [(false, vec![45, 45]), (true, vec![40, 45])] {
        let mut bench = agents(&[10], powered);
        let app = app_id("app-0");
        bench.ask(Request::RequestAccess { app: app.clone() });
        bench.now.elapsed = Elapsed::from_millis(10 * MINUTE);
        bench.ask(Request::Register {
            app,
            registration: request("t", timer(30)),
        });
        assert_eq!(starts(&mut bench, 45), expected, "powered: {powered}");
    }
}
