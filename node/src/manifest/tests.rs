//! What is taken, what is refused and with which words, and what can never be had from a manifest.

mod catalog;
mod follow;
mod wrong;

use std::path::Path;

use proptest::prelude::*;

use lull_policy::{Bytes, Condition, Policy, Span, Subject, SystemEvent, TaskType, Trigger};

use super::*;

const FULL: &str = r#"
id = "photos"
version = "1.0"
user = "photos"

[[agent]]
entry_point = "photo-sync"
types = ["push-notification", "timer", "system-event", "general"]
command = ["/usr/lib/photos/photo-sync", "--fast", ""]
memory = "32 MiB"
time = "20s"
environment = { PHOTOS_FROM = "/data/in" }

[[agent]]
entry_point = "tidy"
types = ["timer"]
command = ["/usr/lib/photos/tidy"]

[[register]]
name = "sync"
entry_point = "photo-sync"
trigger = { push = {} }
conditions = ["internet-available"]
cancel_on_condition_loss = true

[[register]]
name = "tidy"
entry_point = "tidy"
trigger.timer = { minutes = 30, one_shot = true }

[[register]]
name = "online"
entry_point = "photo-sync"
trigger = { system = { event = "internet-available" } }

[[register]]
name = "now"
entry_point = "photo-sync"
trigger = { application = {} }

[[register]]
name = "inbox"
entry_point = "photo-sync"
trigger = { files = { path = "/srv/inbox" } }

[[register]]
name = "camera"
entry_point = "photo-sync"
trigger = { device-watcher = { match = "usb:04a9:*" } }

[[register]]
name = "door"
entry_point = "photo-sync"
trigger = { bus = { event = "com.example.Door com.example.Door1.Opened" } }

[[register]]
name = "enrolled"
entry_point = "photo-sync"
trigger = { system = { event = "online-id-connected-state-change" } }
"#;

fn parse(text: &str) -> Result<Manifest, lull_document::DocumentError> {
    read(Path::new("photos.toml"), text, &Policy::default())
}

#[test]
fn an_app_may_have_nothing_but_its_own_program() {
    let text = "id = \"photos\"\nversion = \"1\"\n[front]\ncommand = [\"/usr/bin/photos\", \"--quiet\"]\nreads = [\"/srv/in\"]\n";
    let manifest = parse(text).unwrap();
    assert!(manifest.agents.is_empty());
    let front = manifest.front.unwrap();
    assert_eq!(front.path, Path::new("/usr/bin/photos"));
    assert_eq!(
        (front.args, front.reads),
        (vec!["--quiet".to_owned()], vec!["/srv/in".to_owned()])
    );
    let wrong = parse(&text.replace("reads", "memory"))
        .unwrap_err()
        .to_string();
    assert!(wrong.contains("front.memory"), "{wrong}");
}

fn subject(text: &str) -> Subject {
    Subject::new(text).unwrap()
}

#[test]
fn a_full_manifest_is_read() {
    let manifest = parse(FULL).unwrap();
    assert_eq!(manifest.id.as_str(), "photos");
    assert_eq!(manifest.user.as_deref(), Some("photos"));
    let sync = &manifest.agents[&EntryPoint::new("photo-sync").unwrap()];
    assert_eq!(sync.program.path, Path::new("/usr/lib/photos/photo-sync"));
    assert_eq!(sync.program.args, ["--fast", ""]);
    assert_eq!(sync.program.environment["PHOTOS_FROM"], "/data/in");
    assert_eq!(sync.declaration.memory, Some(Bytes::mib(32)));
    assert_eq!(sync.declaration.time, Some(Span::seconds(20)));
    assert_eq!(sync.declaration.types.len(), 4);
    let app = manifest.app();
    assert_eq!(app.version, "1.0");
    let tidy = app.agents.last().unwrap();
    assert_eq!(tidy.types, [TaskType::Timer]);
    assert_eq!((tidy.memory, tidy.time), (None, None));
    let registrations = manifest.registrations.iter();
    let triggers: Vec<Trigger> = registrations.map(|r| r.trigger.clone()).collect();
    let event = SystemEvent::InternetAvailable;
    assert_eq!(
        triggers,
        [
            Trigger::Push,
            Trigger::Timer {
                minutes: 30,
                one_shot: true
            },
            Trigger::System {
                event,
                one_shot: false
            },
            Trigger::Application,
            Trigger::Files {
                path: subject("/srv/inbox")
            },
            Trigger::DeviceWatcher {
                pattern: subject("usb:04a9:*")
            },
            Trigger::Bus {
                event: subject("com.example.Door com.example.Door1.Opened")
            },
            Trigger::System {
                event: SystemEvent::OnlineIdConnectedStateChange,
                one_shot: false
            },
        ]
    );
    let sync = &manifest.registrations[0];
    assert_eq!(sync.conditions, [Condition::InternetAvailable]);
    assert!(sync.cancel_on_condition_loss);
    assert!(!manifest.registrations[1].cancel_on_condition_loss);
}

#[test]
fn what_an_app_may_do_is_declared() {
    let base = "id = \"music\"\nversion = \"1\"\n";
    let agent = "[[agent]]\nentry_point = \"play\"\ncommand = [\"/usr/bin/play\"]\n";
    let usual = parse(&format!("{base}{agent}types = [\"scheduled\"]")).unwrap();
    assert_eq!(usual.app().capabilities, lull_policy::usual_capabilities());
    let types = "types = [\"audio\", \"control-channel\", \"device-use\", \"device-servicing\", \"media-processing\", \
        \"scheduled\", \"update-task\"]";
    let text = format!(
        "{base}capabilities = [\"sms\", \"extended-background-task-time\"]\n{agent}{types}\n\
        multiple_instances = true\nresource_group = \"workers\""
    );
    let app = parse(&text).unwrap().app();
    assert_eq!(app.agents[0].types.len(), 7);
    assert!(app.agents[0].multiple_instances);
    assert_eq!(app.agents[0].resource_group.as_deref(), Some("workers"));
    assert!(app.can(Capability::Sms) && !app.can(Capability::Internet));
    // Nobody has signed it.
    assert!(!app.can(Capability::ExtendedBackgroundTaskTime));
}

#[test]
fn nesting_without_end_is_refused() {
    for (open, close) in [("[", "]"), ("{a=", "}")] {
        let text = format!("id = {}{}", open.repeat(10_000), close.repeat(10_000));
        let error = parse(&text).unwrap_err().to_string();
        assert!(error.contains("this is no TOML"), "{}", error.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is done to a manifest, it is taken or refused with a place inside of it, and never panics.
    #[test]
    fn an_altered_manifest_is_taken_or_refused(
        at in 0..FULL.len(),
        cut in 0..40_usize,
        put in "[a-z\"'\\[\\]{}=.,\n\\\\#0-9\u{0}\u{7f}ö-ü ]{0,12}",
    ) {
        let from = FULL.floor_char_boundary(at);
        let to = FULL.floor_char_boundary(at + cut).max(from);
        let text = [&FULL[..from], &put, &FULL[to..]].concat();
        if let Err(error) = parse(&text) {
            let lines = text.split('\n').count();
            prop_assert!(error.line >= 1 && error.line <= lines, "{error}");
            let line = text.split('\n').nth(error.line - 1).unwrap();
            prop_assert!(error.column >= 1 && error.column <= line.chars().count() + 1, "{error}");
        }
    }
}
