//! Access, and what operator and policy choose for an app (ACC-03 to ACC-14, ENT-05, TRG-10, TRG-11, AMB-33).

use super::*;

fn status(bench: &Bench) -> AccessStatus {
    bench.device.access(&app_id("mail"))
}

fn set_access(bench: &mut Bench, choice: Option<AccessChoice>) -> Answer {
    let app = app_id("mail");
    bench.ask(Request::SetAccess { app, choice })
}

#[test]
fn access_status_numbers_follow_the_enum() {
    let rows = [
        (AccessStatus::Unspecified, 0, false),
        (AccessStatus::AlwaysAllowed, 4, true),
        (AccessStatus::AllowedSubjectToSystemPolicy, 5, true),
        (AccessStatus::DeniedBySystemPolicy, 6, false),
        (AccessStatus::DeniedByUser, 7, false),
    ];
    for (status, number, may_run) in rows {
        assert_eq!(
            (status.number(), status.may_run()),
            (number, may_run),
            "ACC-05, ACC-06"
        );
    }
}

#[test]
fn request_access_kind_answers_yes_or_no() {
    let ask = |bench: &mut Bench, kind| {
        bench.ask(Request::RequestAccessKind {
            app: app_id("mail"),
            kind,
            reason: "to keep playing".to_owned(),
        })
    };
    let (always, usual) = (
        AccessKind::AlwaysAllowed,
        AccessKind::AllowedSubjectToSystemPolicy,
    );
    let mut bench = Bench::bare();
    bench.send(Event::Apps(vec![app("mail")]));
    assert_eq!(ask(&mut bench, usual), Answer::Granted(true), "ACC-10");
    assert_eq!(status(&bench), AccessStatus::AllowedSubjectToSystemPolicy);
    assert_eq!(
        ask(&mut bench, always),
        Answer::Granted(false),
        "somebody has to decide"
    );
    let wish = bench.store.get(&Key::Grant(app_id("mail"))).cloned();
    let Some(Record::Grant(grant)) = wish else {
        panic!("no grant: {wish:?}");
    };
    let wish = grant.wish.unwrap();
    assert_eq!(
        (wish.kind, wish.reason.as_str()),
        (always, "to keep playing")
    );
    set_access(&mut bench, Some(AccessChoice::Always));
    assert_eq!(ask(&mut bench, always), Answer::Granted(true));
    assert_eq!(status(&bench), AccessStatus::AlwaysAllowed);
    set_access(&mut bench, Some(AccessChoice::Never));
    for kind in [always, usual] {
        assert_eq!(ask(&mut bench, kind), Answer::Granted(false));
    }
}

#[test]
fn forced_background_policy_beats_the_local_choice() {
    use AccessStatus::{AllowedSubjectToSystemPolicy as Allowed, AlwaysAllowed, DeniedByUser};
    use AppsInBackground::{ForceAllow, ForceDeny, UserInControl};
    let (always, never) = (Some(AccessChoice::Always), Some(AccessChoice::Never));
    // The general value, the app's list (true = allowed), the local choice, and what is read.
    let rows = [
        (UserInControl, None, None, Allowed),
        (UserInControl, None, always, AlwaysAllowed),
        (UserInControl, None, never, DeniedByUser),
        (ForceAllow, None, None, AlwaysAllowed),
        (ForceAllow, None, never, AlwaysAllowed),
        (ForceDeny, None, None, DeniedByUser),
        (ForceDeny, None, always, DeniedByUser),
        (UserInControl, Some(true), never, AlwaysAllowed),
        (UserInControl, Some(false), always, DeniedByUser),
        (ForceAllow, Some(false), always, DeniedByUser),
        (ForceDeny, Some(true), never, AlwaysAllowed),
    ];
    for (apps_in_background, listed, choice, expected) in rows {
        let list = |of: bool| match listed {
            Some(listed) if listed == of => [app_id("mail")].into(),
            _ => std::collections::BTreeSet::new(),
        };
        let mut bench = Bench::full();
        set_access(&mut bench, choice);
        bench.policy(Policy {
            apps_in_background,
            always_allowed_apps: list(true),
            denied_apps: list(false),
            ..Policy::default()
        });
        assert_eq!(
            status(&bench),
            expected,
            "ENT-05: {apps_in_background:?} {listed:?} {choice:?}"
        );
        for other in [None, always, never] {
            set_access(&mut bench, other);
            let forced = apps_in_background != UserInControl || listed.is_some();
            if forced {
                assert_eq!(status(&bench), expected, "the choice is locked");
            }
        }
    }
}

#[test]
fn a_small_device_has_room_for_twenty_apps() {
    let rows = [
        (Some(999_999_999), 20),
        (Some(1_000_000_000), 21),
        (None, 21),
    ];
    for (memory, room) in rows {
        let mut bench = Bench::bare();
        bench.profile(Profile {
            memory: memory.map(Bytes),
            ..Profile::default()
        });
        let ids: Vec<String> = (0..21).map(|n| format!("app-{n:02}")).collect();
        bench.install(ids.iter().map(|id| app(id)).collect());
        let allowed = |bench: &Bench| {
            let all = ids.iter().map(|id| bench.device.access(&app_id(id)));
            all.filter(|status| status.may_run()).count()
        };
        assert_eq!(allowed(&bench), room, "ACC-03, ACC-04: {memory:?}");
        if room == 21 {
            continue;
        }
        let ask = |bench: &mut Bench, id: &str| {
            let app = app_id(id);
            bench.ask(Request::RequestAccess { app })
        };
        let denied = Answer::Access(AccessStatus::DeniedBySystemPolicy);
        let granted = Answer::Access(AccessStatus::AllowedSubjectToSystemPolicy);
        assert_eq!(ask(&mut bench, "app-20"), denied, "AMB-22");
        assert_eq!(
            ask(&mut bench, "app-00"),
            granted,
            "who holds a grant may ask again"
        );
        bench.ask(Request::RemoveAccess {
            app: app_id("app-00"),
        });
        assert_eq!(ask(&mut bench, "app-20"), granted, "asked anew");
    }
}

#[test]
fn the_lock_screen_fires_for_the_app_itself_and_pinning_fires_nothing() {
    let chosen = |lock_screen| Choice {
        lock_screen,
        ..Choice::default()
    };
    let mut bench = Bench::with(&["mail", "news"]);
    let (added, removed) = (
        system(SystemEvent::LockScreenApplicationAdded),
        system(SystemEvent::LockScreenApplicationRemoved),
    );
    for app in ["mail", "news"] {
        for (name, trigger) in [("added", &added), ("removed", &removed)] {
            bench.ask(Request::Register {
                app: app_id(app),
                registration: request(name, trigger.clone()),
            });
        }
    }
    bench.choose(Choice {
        pinned: Some(true),
        ..Choice::default()
    });
    assert_eq!(bench.device.firings(), 0);
    let rows = [
        (Some(true), ("mail", "added")),
        (Some(false), ("mail", "removed")),
    ];
    for (lock_screen, (app, name)) in rows {
        bench.choose(chosen(lock_screen));
        let run = bench.only_run();
        assert_eq!((run.app.as_str(), run.task), (app, task(name)), "AMB-33");
        bench.end(run.id.0, Exit::Status(0));
        bench.choose(chosen(lock_screen));
        bench.choose(chosen(None));
        assert_eq!(bench.device.runs().count(), 0, "no change, no event");
    }
}

#[test]
fn only_the_operator_chooses() {
    let mut bench = Bench::full();
    let front = Caller::Front {
        app: app_id("mail"),
        foreground: true,
    };
    let choose = Request::Choose {
        app: app_id("mail"),
        choice: Choice {
            auto_upload: Some(true),
            ..Choice::default()
        },
    };
    assert_eq!(refusal(&bench.ask_as(front, choose)), "permission-denied");
}
