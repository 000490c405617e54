//! Lines there and back, what is left out of them, and reviving.

use lull_policy::{
    AppId, BootId, Device, Event, Exit, Level, Push, PushId, Reading, Record, RunId, Usage, Wall,
};

use super::*;

fn now(millis: u64) -> Now {
    Now {
        wall: Wall::from_millis(1_763_700_000_000 + millis),
        ..Now::default()
    }
}

fn boot() -> BootId {
    BootId::new("boot").unwrap()
}

fn push(payload: &[u8]) -> Event {
    Event::PushArrived(Push {
        id: PushId::new("push-1").unwrap(),
        app: AppId::new("mail").unwrap(),
        payload: payload.to_vec(),
        expires: Wall::from_millis(1),
        retention: lull_policy::Retention::default(),
        priority: lull_policy::Priority::default(),
        collapse_key: None,
    })
}

#[test]
fn a_line_says_what_was_written() {
    let event = Event::DeadlineReached;
    let line = Entry::write_event(now(7), &event).unwrap();
    assert_eq!(
        Entry::read(&line).unwrap(),
        Entry::Event(now(7), Box::new(event))
    );
    let snapshot = Snapshot::at_start(now(0), boot(), &Device::new().records());
    let line = Entry::write_snapshot(&snapshot).unwrap();
    assert!(line.starts_with(SNAPSHOT_BEGINS), "{line}");
    assert_eq!(
        Entry::read(&line).unwrap(),
        Entry::Snapshot(Box::new(snapshot))
    );
}

#[test]
fn bodies_and_output_are_not_recorded() {
    let ended = Event::RunEnded {
        run: RunId(1),
        exit: Exit::Status(0),
        usage: Usage::default(),
        output: "a secret".to_owned(),
    };
    assert!(
        !Entry::write_event(now(0), &ended)
            .unwrap()
            .contains("secret")
    );
    let size = |payload: &[u8]| match blank_event(&push(payload)).into_owned() {
        Event::PushArrived(push) => push.payload.len(),
        other => panic!("{other:?}"),
    };
    // What the machine refuses for its size it refuses in a replay too.
    assert_eq!((size(b"a secret"), size(b""), size(&[7; 6_000])), (1, 0, 0));
}

#[test]
fn a_machine_under_way_revives_with_its_readings() {
    let mut live = Device::new();
    let mut effects = Vec::new();
    live.handle(now(0), Event::Booted { boot: boot() }, &mut effects);
    live.handle(now(1), Event::RunsHeld { runs: Vec::new() }, &mut effects);
    let power = Event::Readings(vec![Reading::ExternalPower(Level::Known(true))]);
    live.handle(now(2), power, &mut effects);
    let snapshot = Snapshot::under_way(now(2), boot(), &live, Vec::new());
    assert!(snapshot.revives(&live));
    assert_eq!(snapshot.differs_from(&live), []);
    let mut other = snapshot.clone();
    other
        .records
        .retain(|record| !matches!(record, Record::Device(_)));
    assert_eq!(other.differs_from(&live), [lull_policy::Key::Device]);
}
