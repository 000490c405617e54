//! The recorder in a real engine with a real store: what is exported replays into the machine that was recorded.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lull_policy::{
    BootId, Condition, Device, EntryPoint, Event, Exit, Key, Level, Reading, Record,
    RegistrationRequest, Report, Request, RunId, Span, TaskType, Trigger, Usage, Wall,
};
use lull_recording::{Header, SNAPSHOT_BEGINS, VERSION, differences};
use lull_testkit::Recording;
use lull_testkit::recording::RecordingError;
use rusqlite::Connection;

use crate::clock::Manual;
use crate::engine::rig::{
    PATIENCE, Rig, app, name, next, now, on_runtime, photos, push, raise, register, rig, start,
    until,
};
use crate::ports::{EngineRef, RunOrder, look};
use crate::store::{Journal, StoreConfig};

/// Everything in the file, as `lull recording` has it.
fn export(path: &Path) -> Result<Recording, RecordingError> {
    let mut recorded = Journal::at(path).open().unwrap();
    let header = Header {
        version: VERSION,
        node: "test".to_owned(),
        device: String::new(),
        from: recorded.from,
        until: recorded.until,
    };
    let mut bytes = serde_json::to_vec(&header).unwrap();
    bytes.push(b'\n');
    while let Some(piece) = recorded.piece().unwrap() {
        bytes.extend(piece);
    }
    Recording::read(Path::new("device.jsonl"), &bytes)
}

async fn live(door: &EngineRef) -> Device {
    look(door, |device, _now| device.clone()).await.unwrap()
}

/// The replay of all that was recorded so far agrees with the live machine, and with every snapshot on the way.
async fn assert_reproduced(door: &EngineRef, path: &Path) {
    door.flush().await.unwrap();
    let live = live(door).await;
    let replay = export(path).unwrap().replay();
    assert_eq!(replay.departures, []);
    assert_eq!(differences(replay.device.records(), live.records()), []);
    assert_eq!(replay.device.deadline(), live.deadline());
    assert_eq!(replay.device.readings(), live.readings());
}

/// An app with a timer that needs the Internet, beside the rig's registrations.
async fn register_timer(rig: &Rig) {
    let mut photos = photos();
    photos.agents[0].types.push(TaskType::Timer);
    rig.door.commit(Event::Apps(vec![photos])).await.unwrap();
    let trigger = Trigger::Timer {
        minutes: 15,
        one_shot: false,
    };
    let request = Request::Register {
        app: app(),
        registration: RegistrationRequest {
            conditions: vec![Condition::InternetAvailable],
            ..RegistrationRequest::new(name("timer"), EntryPoint::new("photo-sync").ok(), trigger)
        },
    };
    rig.call(request).await.unwrap();
}

async fn internet(door: &EngineRef, available: bool) {
    let readings = vec![Reading::Internet(Level::Known(available))];
    door.commit(Event::Readings(readings)).await.unwrap();
}

async fn end(door: &EngineRef, run: RunId) {
    let report = Report::Completed;
    door.commit(Event::RunReported { run, report })
        .await
        .unwrap();
    let ended = Event::RunEnded {
        run,
        exit: Exit::Status(0),
        usage: Usage::default(),
        output: "not recorded".to_owned(),
    };
    door.commit(ended).await.unwrap();
}

async fn launched(rig: &mut Rig) -> RunId {
    let RunOrder::Launch(launch) = next(&mut rig.queues.launches).await else {
        panic!("not a launch");
    };
    let run = launch.run;
    rig.door.commit(Event::RunStarted { run }).await.unwrap();
    run
}

/// A busy quarter of an hour: calls, pushes, readings, a timer, runs that end and one that does not.
async fn live_through(rig: &mut Rig) -> RunId {
    register_timer(rig).await;
    rig.call(raise()).await.unwrap();
    let raised = launched(rig).await;
    for n in 0..4 {
        rig.door.commit(push(&format!("push-{n}"))).await.unwrap();
    }
    let pushed = launched(rig).await;
    rig.clock.advance(Span::seconds(7));
    end(&rig.door, pushed).await;
    let second = launched(rig).await;
    internet(&rig.door, false).await;
    rig.clock.advance(Span::minutes(9));
    end(&rig.door, raised).await;
    end(&rig.door, second).await;
    rig.clock.advance(Span::minutes(20));
    internet(&rig.door, true).await;
    launched(rig).await
}

#[test]
fn a_busy_history_with_restarts_is_reproduced() {
    on_runtime(async |arbiter| {
        let mut rig = rig(&arbiter, PATIENCE).await;
        let run = live_through(&mut rig).await;
        assert_reproduced(&rig.door, &rig.config.path).await;
        rig.handle.end().await;
        let (handle, queues, _notices) = start(&arbiter, &rig.config, &rig.clock, &rig.board);
        (rig.door, rig.handle, rig.queues) = (handle.door(), handle, queues);
        let held = Event::RunsHeld { runs: vec![run] };
        rig.door.commit(held).await.unwrap();
        end(&rig.door, run).await;
        rig.call(register("later", Trigger::Push)).await.unwrap();
        assert_reproduced(&rig.door, &rig.config.path).await;
        rig.handle.end().await;
        let mut later = now();
        later.wall = Wall::from_millis(later.wall.as_millis() + 7_200_000);
        rig.clock = Arc::new(Manual::new(BootId::new("another").unwrap(), later));
        let (handle, queues, _notices) = start(&arbiter, &rig.config, &rig.clock, &rig.board);
        (rig.door, rig.handle, rig.queues) = (handle.door(), handle, queues);
        let held = Event::RunsHeld { runs: Vec::new() };
        rig.door.commit(held).await.unwrap();
        rig.door.commit(push("push-9")).await.unwrap();
        assert_reproduced(&rig.door, &rig.config.path).await;
        assert_eq!(rig.board.counter(super::DROPPED), 0);
        rig.handle.end().await;
    });
}

fn entries(path: &Path) -> Vec<String> {
    let db = Connection::open(path).unwrap();
    let mut statement = db
        .prepare("SELECT entry FROM journal ORDER BY seq")
        .unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

fn snapshots(path: &Path) -> usize {
    let entries = entries(path);
    let all = entries.iter();
    all.filter(|entry| entry.starts_with(SNAPSHOT_BEGINS))
        .count()
}

/// A rig whose file keeps so many bytes.
async fn rig_within(arbiter: &actix::Arbiter, journal_bytes: i64) -> Rig {
    let mut rig = rig(arbiter, PATIENCE).await;
    register_timer(&rig).await;
    rig.handle.end().await;
    rig.config = StoreConfig {
        journal_bytes,
        ..rig.config.clone()
    };
    let (handle, queues, _notices) = start(arbiter, &rig.config, &rig.clock, &rig.board);
    (rig.door, rig.handle, rig.queues) = (handle.door(), handle, queues);
    let held = Event::RunsHeld { runs: Vec::new() };
    rig.door.commit(held).await.unwrap();
    rig
}

async fn tell_much(rig: &Rig, events: usize) {
    for n in 0..events {
        rig.clock.advance(Span::millis(100));
        let charge = u16::try_from(n % 900).unwrap();
        let readings = vec![
            Reading::ExternalPower(Level::Known(n % 50 > 10)),
            Reading::Battery(Level::Known(lull_policy::PerMille::new(100 + charge))),
        ];
        rig.door.commit(Event::Readings(readings)).await.unwrap();
        if n % 97 == 0 {
            internet(&rig.door, n % 2 == 0).await;
            rig.door.flush().await.unwrap();
        }
    }
    rig.door.flush().await.unwrap();
}

#[test]
fn trimming_the_oldest_leaves_a_start_at_every_moment() {
    on_runtime(async |arbiter| {
        const BUDGET: i64 = 96 << 10;
        let rig = rig_within(&arbiter, BUDGET).await;
        for round in 0..12 {
            tell_much(&rig, 120).await;
            let bytes: usize = entries(&rig.config.path).iter().map(String::len).sum();
            assert!(
                bytes <= usize::try_from(BUDGET).unwrap(),
                "{round}: {bytes}"
            );
            assert!(snapshots(&rig.config.path) > 0, "{round}");
            assert_reproduced(&rig.door, &rig.config.path).await;
        }
        assert!(!entries(&rig.config.path)[0].starts_with(SNAPSHOT_BEGINS));
        assert!(snapshots(&rig.config.path) > 1);
        rig.handle.end().await;
    });
}

#[test]
fn a_damaged_entry_is_reported_and_a_damaged_start_is_passed_over() {
    on_runtime(async |arbiter| {
        let rig = rig_within(&arbiter, 96 << 10).await;
        tell_much(&rig, 700).await;
        rig.handle.end().await;
        let path = &rig.config.path;
        let whole = export(path).unwrap();
        let db = Connection::open(path).unwrap();
        let spoil = |wanted: &str| {
            let changed = db.execute(
                &format!("UPDATE journal SET entry = substr(entry, 1, length(entry) - 5) WHERE seq = ({wanted})"),
                [],
            );
            assert_eq!(changed.unwrap(), 1);
        };
        spoil("SELECT min(seq) FROM journal WHERE entry LIKE '{\"snapshot%'");
        let later = export(path).unwrap();
        assert!(later.header.from > whole.header.from);
        spoil("SELECT max(seq) - 2 FROM journal");
        let error = export(path).unwrap_err();
        assert!(
            error.line > 2 && error.problem.contains("cut off"),
            "{error}"
        );
    });
}

#[test]
fn after_a_failed_commit_the_recording_goes_on_from_what_was_durable() {
    on_runtime(async |arbiter| {
        let rig = rig(&arbiter, Duration::from_millis(50)).await;
        let held = rig.hold_store();
        rig.call(register("later", Trigger::Push))
            .await
            .unwrap_err();
        drop(held);
        until(|| async { rig.door.commit(push("push-1")).await.is_ok() }).await;
        assert_reproduced(&rig.door, &rig.config.path).await;
        let gaps = entries(&rig.config.path);
        assert!(gaps.iter().any(|entry| entry.contains("\"gap\":true")));
        rig.handle.end().await;
    });
}

#[test]
fn what_overflows_in_memory_is_counted_and_a_snapshot_follows() {
    on_runtime(async |arbiter| {
        let rig = rig(&arbiter, PATIENCE).await;
        register_timer(&rig).await;
        // Neither changes a record: both ride.
        for n in 0..2_500_u64 {
            let mut readings = vec![Reading::Internet(Level::Known(false)); 20];
            readings.push(Reading::Metered(Level::Known(n % 2 == 0)));
            rig.door.commit(Event::Readings(readings)).await.unwrap();
        }
        assert!(rig.board.counter(super::DROPPED) > 1_000);
        assert_reproduced(&rig.door, &rig.config.path).await;
        rig.handle.end().await;
    });
}

#[test]
fn a_snapshot_beyond_its_share_is_thinned() {
    let mut recorder = super::Recorder::new(
        Arc::new(crate::status::StatusBoard::new()),
        BootId::new("boot").unwrap(),
        64 << 10,
    );
    let seen = |n: u64| {
        Record::SeenPush(lull_policy::SeenPush {
            id: lull_policy::PushId::new(format!("push-{n}")).unwrap(),
            forget: Wall::from_millis(n),
        })
    };
    let records: Vec<Record> = Device::new()
        .records()
        .into_iter()
        .chain((0..1_000).map(seen))
        .collect();
    recorder.restored(now(), &records);
    let lines = recorder.take();
    assert_eq!(lines.len(), 1);
    assert!(lines[0].len() < 16 << 10 && lines[0].contains("\"thinned\":true"));
    let lull_recording::Entry::Snapshot(snapshot) = lull_recording::Entry::read(&lines[0]).unwrap()
    else {
        panic!("no snapshot");
    };
    assert_eq!(
        snapshot.differs_from(&Device::restore(records)),
        Vec::<Key>::new()
    );
}
