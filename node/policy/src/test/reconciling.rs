//! Reconciling (ACC-32, MNG-01, MNG-02): the app says what it wants and gets it in one step.

use super::*;

fn reconcile(bench: &mut Bench, desired: Vec<RegistrationRequest>) -> Answer {
    let app = app_id("mail");
    bench.ask(Request::Reconcile { app, desired })
}

fn names(names: &[&str]) -> Vec<TaskName> {
    names.iter().map(|name| task(name)).collect()
}

fn found(bench: &Bench) -> Vec<(String, RegistrationId)> {
    let all = bench.device.registrations();
    all.map(|r| (r.name.to_string(), r.id)).collect()
}

#[test]
fn missing_unwanted_different_and_equal_ones() {
    let mut bench = Bench::full();
    let conditions = vec![Condition::InternetAvailable, Condition::UserPresent];
    let kept = RegistrationRequest {
        conditions: conditions.clone(),
        ..request("kept", timer(20))
    };
    let id = bench.register(kept.clone());
    bench.register(request("gone", timer(20)));
    bench.register(request("changed", timer(20)));
    bench.go(31 * MINUTE);
    let before = bench.device.registration(id).unwrap().clone();
    assert!(before.latch.is_some());
    let reversed = conditions.into_iter().rev().collect();
    let answer = reconcile(
        &mut bench,
        vec![
            RegistrationRequest {
                conditions: reversed,
                ..kept
            },
            request("changed", timer(45)),
            request("new", Trigger::Push),
        ],
    );
    let expected = Reconciled {
        registered: names(&["new"]),
        unregistered: names(&["gone"]),
        replaced: names(&["changed"]),
        kept: names(&["kept"]),
    };
    assert_eq!(answer, Answer::Reconciled(expected));
    assert_eq!(
        bench.device.registration(id),
        Some(&before),
        "id, due time and latch"
    );
}

#[test]
fn grouped_registrations_and_schedules_are_not_compared() {
    let mut bench = Bench::full();
    let group = GroupId::new("maps");
    bench.register(RegistrationRequest {
        group: group.ok(),
        ..request("tiles", timer(20))
    });
    bench.add("mail", PERIODIC);
    let before = found(&bench);
    let answer = reconcile(&mut bench, Vec::new());
    assert_eq!(answer, Answer::Reconciled(Reconciled::default()));
    assert_eq!(found(&bench), before, "MNG-02");
}

#[test]
fn one_bad_registration_changes_nothing() {
    let bad = [
        request("bad", timer(14)),
        RegistrationRequest {
            entry_point: EntryPoint::new("nowhere").ok(),
            ..request("bad", timer(15))
        },
        request(
            "bad",
            Trigger::Reserved {
                name: subject("location"),
            },
        ),
        request("good", timer(30)),
    ];
    for bad in bad {
        let mut bench = Bench::full();
        bench.register(request("old", timer(20)));
        let before = bench.device.records();
        let answer = reconcile(&mut bench, vec![request("good", timer(15)), bad.clone()]);
        assert_ne!(refusal(&answer), "ok", "{bad:?}");
        if let Answer::Refused(Refusal::InvalidArgument { field, .. }) = &answer {
            let named = field == "desired" || field.starts_with("desired[1].");
            assert!(named, "{field}: {bad:?}");
        }
        assert_eq!(bench.device.records(), before, "ACC-28");
    }
}

#[test]
fn a_once_only_trigger_may_change_its_name() {
    let mut bench = Bench::full();
    bench.register(request("old", Trigger::Application));
    let answer = reconcile(&mut bench, vec![request("new", Trigger::Application)]);
    assert_eq!(refusal(&answer), "ok");
    assert_eq!(found(&bench).len(), 1);
}

#[test]
fn an_app_without_access_reconciles_nothing() {
    let mut bench = Bench::full();
    bench.ask(Request::RemoveAccess {
        app: app_id("mail"),
    });
    let answer = reconcile(&mut bench, vec![request("a", timer(15))]);
    assert_eq!(refusal(&answer), "access-denied");
}

#[test]
fn once_only_triggers_are_counted_over_the_whole_step() {
    let mut bench = Bench::full();
    bench.register(request("old", Trigger::Application));
    let before = bench.device.records();
    let both = vec![
        request("a", Trigger::Application),
        request("b", Trigger::Application),
    ];
    assert_eq!(
        refusal(&reconcile(&mut bench, both)),
        "already-exists",
        "TRGD-20"
    );
    assert_eq!(bench.device.records(), before, "in one step or not at all");
}

#[test]
fn hardware_slots_are_counted_over_the_whole_step() {
    let channel = |name: &str| {
        request(
            name,
            Trigger::ControlChannel {
                id: subject(name),
                keep_alive_minutes: 15,
                slot: Slot::Hardware,
            },
        )
    };
    let mut bench = Bench::full();
    bench.register(request("old", timer(20)));
    let before = bench.device.records();
    let four = ["a", "b", "c", "d"].map(channel).to_vec();
    assert_eq!(
        refusal(&reconcile(&mut bench, four)),
        "limit-reached",
        "TRGD-13"
    );
    assert_eq!(bench.device.records(), before, "in one step or not at all");
}

#[test]
fn a_slot_that_is_replaced_is_free() {
    let channel = |name: &str, minutes| {
        request(
            name,
            Trigger::ControlChannel {
                id: subject(name),
                keep_alive_minutes: minutes,
                slot: Slot::Hardware,
            },
        )
    };
    let mut bench = Bench::full();
    for name in ["a", "b", "c"] {
        bench.register(channel(name, 15));
    }
    let again = RegistrationRequest {
        replace: true,
        ..channel("a", 30)
    };
    assert_eq!(refusal(&bench.try_register(again)), "ok", "ACC-27");
    let all = vec![channel("a", 60), channel("b", 60), channel("c", 60)];
    assert_eq!(refusal(&reconcile(&mut bench, all)), "ok", "ACC-32");
}

#[test]
fn a_desired_registration_is_made_whatever_its_flags() {
    let mut bench = Bench::full();
    let dry = RegistrationRequest {
        dry_run: true,
        ..request("a", timer(15))
    };
    let answer = reconcile(&mut bench, vec![dry]);
    if let Answer::Reconciled(done) = answer {
        assert_eq!(
            done.registered.len(),
            found(&bench).len(),
            "what it says it did"
        );
    }
}
