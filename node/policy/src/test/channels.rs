//! Control channels, sockets, messages and what is watched: bounds, arrivals and whom they concern.

use super::*;

fn channel(id: &str, keep_alive_minutes: u32, slot: Slot) -> Trigger {
    let id = subject(id);
    Trigger::ControlChannel {
        id,
        keep_alive_minutes,
        slot,
    }
}

fn on_channel(app: &str, id: &str, activity: ChannelActivity) -> Occurrence {
    let (app, id) = (app_id(app), subject(id));
    Occurrence::Channel { app, id, activity }
}

fn on_socket(app: &str, id: &str, activity: SocketActivity) -> Occurrence {
    let (app, id) = (app_id(app), subject(id));
    Occurrence::Socket { app, id, activity }
}

/// As [`Bench::full`], with text messages.
fn with_messages() -> Bench {
    let mut bench = Bench::full();
    bench.install(vec![App {
        capabilities: [Capability::Internet, Capability::Sms].into(),
        ..full_app("mail")
    }]);
    bench
}

#[test]
fn bounds_of_a_channel() {
    let ok = "ok";
    let wrong = "invalid-argument";
    let rows = [
        (63, 30, ok),
        (64, 30, ok),
        (65, 30, wrong),
        (8, 14, wrong),
        (8, 15, ok),
        (8, 16, ok),
        (8, 1_438, ok),
        (8, 1_439, ok),
        (8, 1_440, wrong),
    ];
    for (characters, minutes, expected) in rows {
        for character in ["a", "ä"] {
            let mut bench = Bench::full();
            let trigger = channel(&character.repeat(characters), minutes, Slot::Software);
            let answer = bench.try_register(request("t", trigger));
            assert_eq!(
                refusal(&answer),
                expected,
                "TRGD-12: {characters} {minutes}"
            );
        }
    }
}

#[test]
fn phones_have_no_channels() {
    let rows = [
        (DeviceKind::Pc, "ok"),
        (DeviceKind::Headless, "ok"),
        (DeviceKind::Phone, "unsupported"),
    ];
    for (kind, expected) in rows {
        let mut bench = Bench::full();
        bench.profile(Profile {
            kind,
            ..Profile::default()
        });
        let answer = bench.try_register(request("t", channel("c", 15, Slot::Software)));
        assert_eq!(refusal(&answer), expected, "TRGD-11: {kind:?}");
        let answer = bench.try_register(request("s", Trigger::Socket { id: subject("c") }));
        assert_eq!(refusal(&answer), "ok", "the alternative");
    }
}

#[test]
fn hardware_slots_are_counted() {
    let mut bench = Bench::full();
    let register = |bench: &mut Bench, name: &str, slot| {
        refusal(&bench.try_register(request(name, channel(name, 15, slot))))
    };
    for name in ["a", "b", "c"] {
        assert_eq!(register(&mut bench, name, Slot::Hardware), "ok");
    }
    assert_eq!(
        register(&mut bench, "d", Slot::Hardware),
        "limit-reached",
        "TRGD-13"
    );
    assert_eq!(register(&mut bench, "d", Slot::Software), "ok");
    let id = bench.device.registrations().next().unwrap().id;
    bench.ask(Request::Unregister {
        app: app_id("mail"),
        id,
        cancel: false,
    });
    assert_eq!(
        register(&mut bench, "e", Slot::Hardware),
        "ok",
        "closing frees the slot"
    );
}

#[test]
fn a_channel_hears_messages_and_keep_alives_of_its_own() {
    let rows = [
        (on_channel("mail", "c", ChannelActivity::Message), 1),
        (on_channel("mail", "c", ChannelActivity::KeepAlive), 1),
        (on_channel("mail", "d", ChannelActivity::Message), 0),
        (on_channel("news", "c", ChannelActivity::Message), 0),
        (on_channel("mail", "c", ChannelActivity::Reset), 0),
        (on_socket("mail", "c", SocketActivity::Activity), 0),
    ];
    for (occurrence, expected) in rows {
        let mut bench = Bench::full();
        bench.register(request("t", channel("c", 15, Slot::Software)));
        bench.occurs(occurrence.clone());
        assert_eq!(bench.launched().len(), expected, "TRGD-10: {occurrence:?}");
    }
}

#[test]
fn a_reset_fires_the_event_of_its_app() {
    let reset = |app: Option<&str>| Occurrence::ControlChannelReset {
        app: app.map(app_id),
    };
    let rows = [
        (reset(None), 1),
        (reset(Some("mail")), 1),
        (reset(Some("news")), 0),
        (on_channel("mail", "c", ChannelActivity::Reset), 1),
        (on_channel("news", "c", ChannelActivity::Reset), 0),
    ];
    for (occurrence, expected) in rows {
        let mut bench = Bench::full();
        bench.register(request("t", system(SystemEvent::ControlChannelReset)));
        bench.occurs(occurrence.clone());
        assert_eq!(bench.launched().len(), expected, "TRG-08: {occurrence:?}");
    }
    let mut bench = Bench::full();
    let answer = bench.try_register(request(
        "t",
        Trigger::System {
            event: SystemEvent::ControlChannelReset,
            one_shot: true,
        },
    ));
    assert_eq!(refusal(&answer), "invalid-argument", "TRG-08");
}

#[test]
fn a_socket_hears_everything_of_its_own() {
    use SocketActivity::{Accepted, Activity, Closed, KeepAlive};
    for (number, activity) in (1..).zip([Activity, Accepted, KeepAlive, Closed]) {
        assert_eq!(activity.number(), number, "TRGD-16");
        for (app, id, expected) in [("mail", "s", 1), ("mail", "x", 0), ("news", "s", 0)] {
            let mut bench = Bench::full();
            bench.register(request("t", Trigger::Socket { id: subject("s") }));
            bench.occurs(on_socket(app, id, activity));
            assert_eq!(bench.launched().len(), expected, "{activity:?} {app} {id}");
        }
    }
}

#[test]
fn arrivals_queue_in_order_and_the_oldest_of_65_gives_way() {
    let mut bench = Bench::full();
    bench.register(request("t", channel("c", 15, Slot::Software)));
    let message = || on_channel("mail", "c", ChannelActivity::Message);
    bench.occurs(on_channel("mail", "c", ChannelActivity::KeepAlive));
    bench.occurs(on_channel("mail", "c", ChannelActivity::KeepAlive));
    for _ in 0..63 {
        bench.occurs(message());
    }
    assert_eq!(bench.drops("t"), [], "64 wait");
    bench.occurs(message());
    assert_eq!(bench.drops("t"), [DropReason::QueueFull], "AMB-12");
    bench.end(1, Exit::Status(0));
    let activity = ChannelActivity::Message;
    let id = subject("c");
    let run = bench.only_run();
    assert_eq!(
        run.details,
        Some(Details::Channel { id, activity }),
        "the oldest went"
    );
    for run in 2..=65 {
        bench.end(run, Exit::Status(0));
    }
    assert_eq!(bench.verdicts("t").len(), 2);
    assert_eq!(bench.starts("mail", "t").len(), 65, "one run each");
}

#[test]
fn channels_and_pushes_are_critical_by_their_trigger_alone() {
    let rows = [
        (channel("c", 15, Slot::Software), true),
        (Trigger::Push, true),
        (Trigger::Socket { id: subject("c") }, false),
        (INTERNET, false),
    ];
    for (trigger, expected) in rows {
        let mut bench = Bench::full();
        bench.register(request("t", trigger.clone()));
        bench.internet(false);
        match trigger {
            Trigger::Push => bench.push("p1"),
            Trigger::Socket { .. } => {
                bench.occurs(on_socket("mail", "c", SocketActivity::Activity));
            }
            Trigger::System { .. } => bench.internet(true),
            _ => bench.occurs(on_channel("mail", "c", ChannelActivity::Message)),
        }
        let launch = bench.launch();
        assert_eq!(launch.critical, expected, "RES-16, RES-17: {trigger:?}");
        let limits = (launch.cancel_at, launch.kill_at);
        let now = bench.now.running;
        let usual = (
            Some(now.after(Span::seconds(25))),
            Some(now.after(Span::seconds(30))),
        );
        assert_eq!(limits, usual, "RES-18: {trigger:?}");
    }
}

#[test]
fn messages_need_their_capability_and_queue() {
    let trigger = || system(SystemEvent::SmsReceived);
    let mut bench = Bench::full();
    assert_eq!(
        refusal(&bench.try_register(request("t", trigger()))),
        "invalid-argument"
    );
    let mut bench = with_messages();
    bench.register(request("t", trigger()));
    bench.occurs(Occurrence::SmsReceived {
        app: Some(app_id("news")),
    });
    assert_eq!(bench.device.firings(), 0, "another app's");
    for _ in 0..3 {
        bench.occurs(Occurrence::SmsReceived { app: None });
    }
    for run in 1..=3 {
        assert_eq!(bench.only_run().id.0, run, "none is lost (AMB-12)");
        bench.end(run, Exit::Status(0));
    }
}

#[test]
fn capabilities_of_triggers() {
    let rows = [
        (Trigger::Push, Capability::Internet),
        (channel("c", 15, Slot::Software), Capability::Internet),
        (Trigger::Socket { id: subject("c") }, Capability::Internet),
        (Trigger::DeviceUse, Capability::Device),
        (Trigger::Media, Capability::Media),
        (system(SystemEvent::SmsReceived), Capability::Sms),
    ];
    for (trigger, needed) in rows {
        let mut bench = Bench::full();
        for (capabilities, expected) in [(vec![], "invalid-argument"), (vec![needed], "ok")] {
            bench.install(vec![App {
                capabilities: capabilities.into_iter().collect(),
                ..full_app("mail")
            }]);
            let answer = bench.try_register(request("t", trigger.clone()));
            assert_eq!(refusal(&answer), expected, "MAN-08: {trigger:?}");
        }
    }
}

#[test]
fn what_is_watched_fires_its_own_watch() {
    let device = |name: &str, present| Occurrence::Device {
        device: subject(name),
        present,
    };
    let files = |app: &str, path: &str| Occurrence::FilesChanged {
        app: app_id(app),
        path: subject(path),
    };
    let bus = |app: &str, event: &str| Occurrence::Bus {
        app: app_id(app),
        event: subject(event),
    };
    let watch = |pattern: &str| Trigger::DeviceWatcher {
        pattern: subject(pattern),
    };
    let path = || Trigger::Files {
        path: subject("/a"),
    };
    let event = || Trigger::Bus {
        event: subject("e"),
    };
    let rows = [
        (watch("usb:1"), device("usb:1", true), 1),
        (watch("usb:1"), device("usb:1", false), 1),
        (watch("usb:1"), device("usb:12", true), 0),
        (watch("usb:*"), device("usb:12", true), 1),
        (watch("usb:*"), device("pci:12", true), 0),
        (path(), files("mail", "/a"), 1),
        (path(), files("mail", "/b"), 0),
        (path(), files("news", "/a"), 0),
        (event(), bus("mail", "e"), 1),
        (event(), bus("mail", "f"), 0),
        (event(), bus("news", "e"), 0),
    ];
    for (trigger, occurrence, expected) in rows {
        let mut bench = Bench::full();
        bench.register(request("t", trigger));
        bench.occurs(occurrence.clone());
        assert_eq!(
            bench.launched().len(),
            expected,
            "TRG-46 to TRG-48: {occurrence:?}"
        );
    }
}

#[test]
fn the_online_identity_is_everybodys_event() {
    let mut bench = Bench::full();
    bench.register(request(
        "t",
        system(SystemEvent::OnlineIdConnectedStateChange),
    ));
    bench.occurs(Occurrence::OnlineIdChanged);
    assert_eq!(bench.launched(), [1], "TRG-03");
}

#[test]
fn in_process_tasks_need_no_declaration() {
    let mut bench = Bench::bare();
    bench.install(vec![App {
        agents: Vec::new(),
        ..app("mail")
    }]);
    for (n, trigger) in [INTERNET, timer(15), Trigger::Push].into_iter().enumerate() {
        let declared = bench.try_register(request(&format!("d{n}"), trigger.clone()));
        assert_eq!(refusal(&declared), "invalid-argument", "MAN-01");
        let own = bench.try_register(in_process(&format!("i{n}"), trigger));
        assert_eq!(refusal(&own), "ok", "MAN-02");
    }
}
