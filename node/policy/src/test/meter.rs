//! The count of what runs use (RES-13, RES-14): when they are read, and what is told.

use crate::meter::{Meter, Totals};

use super::*;

fn app(name: &str) -> AppId {
    AppId::new(name).unwrap()
}

fn at(millis: u64) -> Running {
    Running::from_millis(millis)
}

fn cpu(millis: u64) -> Totals {
    Totals {
        cpu_micros: Some(millis * 1_000),
        ..Totals::default()
    }
}

fn looks(meter: &mut Meter, now: u64) -> Vec<u64> {
    meter.looks(at(now)).iter().map(|look| look.run.0).collect()
}

/// Two processors; runs 1 and 2 of photos, 3 of mail, and 9, which is critical, of photos.
fn meter() -> Meter {
    let mut meter = Meter::new(2);
    for (run, name, rationed) in [
        (1, "photos", true),
        (2, "photos", true),
        (3, "mail", true),
        (9, "photos", false),
    ] {
        meter.begins(RunId(run), app(name), rationed, true);
    }
    meter
}

fn read_all(meter: &mut Meter, now: u64, totals: Totals) {
    for run in [1, 2] {
        meter.read(at(now), RunId(run), totals);
    }
}

#[test]
fn nothing_is_read_while_nothing_is_ordered() {
    let mut meter = meter();
    assert_eq!(meter.next(at(0)), None);
    assert_eq!(meter.looks(at(0)), []);
    meter.order(&app("photos"), Resource::Cpu, Some(1_000_000));
    meter.order(&app("photos"), Resource::Cpu, None);
    assert_eq!(meter.next(at(0)), None);
    meter.watch(RunId(1), Some(Span::seconds(1)));
    meter.watch(RunId(1), None);
    assert_eq!(meter.next(at(0)), None);
}

#[test]
fn a_budget_is_read_no_sooner_than_it_can_be_spent_and_no_later() {
    let mut meter = meter();
    meter.order(&app("photos"), Resource::Cpu, Some(2_000_000));
    assert_eq!(
        looks(&mut meter, 0),
        [1, 2],
        "what is rationed, of this app"
    );
    assert_eq!(meter.next(at(0)), None, "both are being read");
    read_all(&mut meter, 0, cpu(0));
    assert_eq!(
        meter.next(at(0)),
        Some(at(1_000)),
        "2 CPU-seconds, two processors"
    );
    assert_eq!(looks(&mut meter, 999), [0_u64; 0]);
    assert_eq!(looks(&mut meter, 1_000), [1, 2]);
    read_all(&mut meter, 1_000, cpu(900));
    assert_eq!(meter.next(at(1_000)), Some(at(1_100)), "200 ms are left");
    assert_eq!(looks(&mut meter, 1_100), [1, 2]);
    read_all(&mut meter, 1_100, cpu(999));
    assert_eq!(meter.next(at(1_100)), Some(at(1_150)), "the shortest");
    assert_eq!(meter.spent(), []);
    assert_eq!(looks(&mut meter, 1_150), [1, 2]);
    read_all(&mut meter, 1_150, cpu(1_000));
    assert_eq!(meter.spent(), [(app("photos"), Resource::Cpu)]);
    assert_eq!(meter.next(at(1_150)), Some(at(1_200)), "until it was told");
    meter.is_told(&app("photos"), Resource::Cpu);
    assert_eq!(meter.next(at(1_150)), None);
}

#[test]
fn what_ends_between_two_readings_counts() {
    let mut meter = meter();
    meter.order(&app("photos"), Resource::Cpu, Some(1_000_000));
    meter.ended(RunId(1), cpu(600));
    meter.ended(RunId(9), cpu(5_000));
    meter.ended(RunId(3), cpu(5_000));
    assert_eq!(meter.spent(), []);
    meter.ended(RunId(2), cpu(400));
    assert_eq!(meter.spent(), [(app("photos"), Resource::Cpu)]);
}

#[test]
fn a_refill_and_a_restart_count_from_where_they_begin() {
    let mut meter = meter();
    meter.order(&app("photos"), Resource::Cpu, Some(1_000_000));
    assert_eq!(looks(&mut meter, 0), [1, 2]);
    read_all(&mut meter, 0, cpu(0));
    // A new window, while both have used 900 ms that nobody has read.
    meter.order(&app("photos"), Resource::Cpu, Some(1_000_000));
    assert_eq!(looks(&mut meter, 300), [1, 2], "at once");
    read_all(&mut meter, 300, cpu(900));
    assert_eq!(meter.spent(), []);
    assert_eq!(meter.next(at(300)), Some(at(800)), "all of it is left");

    let mut adopted = Meter::new(2);
    adopted.begins(RunId(1), app("photos"), true, false);
    adopted.order(&app("photos"), Resource::Cpu, Some(1_000_000));
    assert_eq!(looks(&mut adopted, 0), [1]);
    adopted.read(at(0), RunId(1), cpu(7_000));
    assert_eq!(adopted.spent(), []);
    adopted.read(at(100), RunId(1), cpu(8_000));
    assert_eq!(adopted.spent(), [(app("photos"), Resource::Cpu)]);
}

#[test]
fn bytes_are_read_ten_times_a_second_and_by_those_who_count_them() {
    let mut meter = meter();
    meter.order(&app("photos"), Resource::Network, Some(1_000));
    let asked = meter.looks(at(0));
    assert!(asked.iter().all(|look| look.network), "{asked:?}");
    let bytes = |bytes| Totals {
        network_bytes: Some(bytes),
        ..Totals::default()
    };
    meter.read(at(0), RunId(1), bytes(400));
    meter.read(at(0), RunId(2), bytes(400));
    assert_eq!(meter.next(at(0)), Some(at(100)));
    meter.read(at(100), RunId(1), bytes(600));
    assert_eq!(meter.spent(), [(app("photos"), Resource::Network)]);
}

#[test]
fn what_stands_still_is_not_read_for_a_budget() {
    let mut meter = meter();
    meter.order(&app("mail"), Resource::Cpu, Some(1_000_000));
    meter.freezes(RunId(3), true);
    assert_eq!(meter.next(at(0)), None);
    meter.freezes(RunId(3), false);
    assert_eq!(looks(&mut meter, 0), [3]);
}

#[test]
fn a_watchdog_is_told_as_often_as_it_wants_all_that_was_used() {
    let mut meter = meter();
    meter.watch(RunId(9), Some(Span::seconds(1)));
    assert_eq!(looks(&mut meter, 0), [9]);
    let sample = |event: Option<Event>| match event {
        Some(Event::RunSampled { sample, .. }) => sample,
        other => panic!("{other:?}"),
    };
    let all = |cpu, ios| Totals {
        cpu_micros: Some(cpu),
        network_bytes: None,
        device_ios: ios,
    };
    let first = sample(meter.read(at(0), RunId(9), all(10, Some(0))));
    assert_eq!((first.cpu_micros, first.device_ios), (10, 0));
    assert_eq!(meter.next(at(0)), Some(at(1_000)));
    assert_eq!(meter.read(at(500), RunId(9), all(12, Some(4))), None);
    let second = sample(meter.read(at(1_000), RunId(9), all(15, Some(4))));
    assert_eq!((second.cpu_micros, second.device_ios), (5, 4));
    let third = sample(meter.read(at(2_000), RunId(9), all(15, Some(9))));
    assert_eq!(
        third.device_ios, 0,
        "it did nothing: somebody else was at the device"
    );
    let fourth = sample(meter.read(at(3_000), RunId(9), all(16, None)));
    assert_eq!(fourth.device_ios, 1, "nobody can see, so it counts as done");
}

#[test]
fn what_was_asked_and_not_answered_is_asked_again() {
    let mut meter = meter();
    meter.follows_memory(RunId(1));
    assert!(meter.is_followed(RunId(1)));
    assert_eq!(looks(&mut meter, 0), [1]);
    assert_eq!(looks(&mut meter, 5_000), [0_u64; 0]);
    meter.unanswered();
    assert_eq!(looks(&mut meter, 5_000), [1]);
    meter.read(at(5_000), RunId(1), cpu(1));
    assert_eq!(meter.next(at(5_000)), Some(at(6_000)));
}
