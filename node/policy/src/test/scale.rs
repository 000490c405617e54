//! What a decision touches does not grow with what it does not concern.

use super::*;

/// A device with so many apps, each with timers, and `mail` with one push registration.
fn crowded(apps: usize) -> Bench {
    let mut bench = Bench::bare();
    let mut installed: Vec<_> = (0..apps).map(|n| app(&format!("a{n}"))).collect();
    installed.push(app("mail"));
    let ids: Vec<_> = installed.iter().map(|app| app.id.clone()).collect();
    let mut effects = Vec::new();
    let mut send = |event| bench.device.handle(bench.now, event, &mut effects);
    send(Event::Apps(installed));
    for app in ids {
        let (call, caller) = (CallId(1), Caller::Operator);
        let request = Request::RequestAccess { app: app.clone() };
        send(Event::Call {
            call,
            caller: caller.clone(),
            request,
        });
        let trigger = if app.as_str() == "mail" {
            Trigger::Push
        } else {
            timer(60)
        };
        for n in 0..if app.as_str() == "mail" { 1 } else { 20 } {
            let registration = super::request(&format!("t{n}"), trigger.clone());
            let request = Request::Register {
                app: app.clone(),
                registration,
            };
            send(Event::Call {
                call,
                caller: caller.clone(),
                request,
            });
        }
    }
    bench
}

#[test]
fn a_push_writes_the_same_however_many_registrations_stand() {
    let written = |apps| {
        let mut bench = crowded(apps);
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
        effects
            .iter()
            .map(|effect| matches!(effect, Effect::Put(_)))
            .collect::<Vec<_>>()
    };
    assert_eq!(written(0), written(100));
}

#[test]
fn a_registration_is_small() {
    let mut bench = Bench::new();
    bench.register(RegistrationRequest {
        conditions: vec![Condition::InternetAvailable, Condition::UserPresent],
        ..request("a-name-of-usual-length", timer(15))
    });
    let registration = bench.device.registrations().next().unwrap().clone();
    let stored = serde_json::to_string(&Record::Registration(registration))
        .unwrap()
        .len();
    assert!(
        size_of::<Registration>() <= 512,
        "{} bytes",
        size_of::<Registration>()
    );
    assert!(stored <= 512, "{stored} bytes as text");
}
