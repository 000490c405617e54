//! Held sockets: for whom, what is told of them and when.

use super::*;

const NOW: Elapsed = Elapsed::from_millis(5_000);

fn socket(id: &str) -> Trigger {
    Trigger::Socket { id: subject(id) }
}

fn channel(id: &str) -> Trigger {
    Trigger::ControlChannel {
        id: subject(id),
        keep_alive_minutes: 20,
        slot: Slot::Hardware,
    }
}

#[test]
fn what_a_socket_shows_is_told_once() {
    let rows = [
        (Sight::Quiet, None),
        (Sight::Data, Some(SocketActivity::Activity)),
        (Sight::Connection, Some(SocketActivity::Accepted)),
        (Sight::Closed, Some(SocketActivity::Closed)),
    ];
    for (sight, told) in rows {
        let mut vigil = Vigil::new(None, NOW);
        assert_eq!(vigil.look(sight, NOW), told, "TRGD-16: {sight:?}");
        assert_eq!(vigil.is_told(), told.is_some());
        if told.is_some() {
            assert_eq!(vigil.look(Sight::Closed, NOW), None, "a run has not got it");
            assert_eq!(vigil.deadline(), None);
        }
    }
}

#[test]
fn a_keep_alive_is_due_after_its_time_and_not_before() {
    let span = Span::minutes(15);
    let mut vigil = Vigil::new(Some(span), NOW);
    let due = NOW.after(span);
    assert_eq!(vigil.deadline(), Some(due));
    let before = Elapsed::from_millis(due.as_millis() - 1);
    assert_eq!(vigil.look(Sight::Quiet, before), None);
    assert_eq!(
        vigil.look(Sight::Quiet, due),
        Some(SocketActivity::KeepAlive)
    );
    assert_eq!(vigil.look(Sight::Data, due), None);
}

#[test]
fn what_came_to_nothing_is_told_again_less_and_less_often() {
    let mut vigil = Vigil::new(None, NOW);
    let mut now = NOW;
    let mut waits = Vec::new();
    for _ in 0..40 {
        assert_eq!(vigil.look(Sight::Data, now), Some(SocketActivity::Activity));
        vigil.missed(now);
        let until = vigil.deadline().unwrap();
        assert!(!vigil.is_watching(Elapsed::from_millis(until.as_millis() - 1)));
        waits.push(until.since(now).as_millis() / 1_000);
        now = until;
    }
    assert_eq!(waits[..5], [1, 2, 4, 8, 16]);
    assert_eq!(waits[39], 15 * 60, "no oftener than a timer");
    // Somebody has read it meanwhile.
    assert_eq!(vigil.look(Sight::Quiet, now), None);
    assert_eq!(vigil.deadline(), None);
}

#[test]
fn a_socket_is_held_for_its_registration_alone() {
    let mut bench = Bench::full();
    bench.register(request("s", socket("door")));
    bench.register(request("c", channel("chat")));
    let terms = |app: &str, id: &str, purpose| {
        let terms = bench.device.terms(&app_id(app), &subject(id), purpose);
        terms.map_err(|refusal| refusal.to_string())
    };
    let plain = Terms {
        keep_alive: None,
        slot: None,
    };
    assert_eq!(terms("mail", "door", Purpose::Socket), Ok(plain));
    let kept = Terms {
        keep_alive: Some(Span::minutes(20)),
        slot: Some(Slot::Hardware),
    };
    assert_eq!(terms("mail", "chat", Purpose::Channel), Ok(kept));
    let rows = [
        (
            "mail",
            "door",
            Purpose::Channel,
            "is for a socket, not for a control-channel",
        ),
        (
            "mail",
            "chat",
            Purpose::Socket,
            "is for a control-channel, not for a socket",
        ),
        (
            "mail",
            "gate",
            Purpose::Socket,
            "mail has no registration of a socket gate",
        ),
        ("news", "door", Purpose::Socket, "news has no registration"),
    ];
    for (app, id, purpose, words) in rows {
        let refused = terms(app, id, purpose).unwrap_err();
        assert!(refused.contains(words), "TRGD-19: {refused}");
    }
}

#[test]
fn what_was_told_is_awaited_until_its_run_has_begun() {
    let mut bench = Bench::full();
    bench.register(request("s", socket("door")));
    let about = |bench: &Bench, app: &str, id: &str, purpose| {
        bench.device.awaits(&app_id(app), &subject(id), purpose)
    };
    let door = |bench: &Bench| about(bench, "mail", "door", Purpose::Socket);
    assert!(!door(&bench));
    let tell = |bench: &mut Bench| {
        bench.occurs(Purpose::Socket.occurrence(
            app_id("mail"),
            subject("door"),
            SocketActivity::Accepted,
        ));
    };
    tell(&mut bench);
    assert!(door(&bench), "its run begins");
    for (app, id, purpose) in [
        ("news", "door", Purpose::Socket),
        ("mail", "gate", Purpose::Socket),
        ("mail", "door", Purpose::Channel),
    ] {
        assert!(!about(&bench, app, id, purpose));
    }
    bench.send(Event::RunStarted { run: RunId(1) });
    assert!(!door(&bench), "it has got the socket");
    tell(&mut bench);
    assert!(door(&bench), "it waits for that run to end");
    bench.end(1, Exit::Status(0));
    bench.send(Event::RunStarted { run: RunId(2) });
    assert!(!door(&bench));
}

#[test]
fn a_broken_transport_resets_its_channel() {
    let rows = [
        (SocketActivity::Activity, ChannelActivity::Message),
        (SocketActivity::KeepAlive, ChannelActivity::KeepAlive),
        (SocketActivity::Closed, ChannelActivity::Reset),
    ];
    for (activity, expected) in rows {
        let (app, id) = (app_id("mail"), subject("chat"));
        let occurrence = Purpose::Channel.occurrence(app.clone(), id.clone(), activity);
        let activity = expected;
        assert_eq!(occurrence, Occurrence::Channel { app, id, activity });
    }
}
