//! What is not recorded: bodies of pushes and output of runs. And whether two machines are the same but for that.

use std::borrow::Cow;
use std::collections::BTreeMap;

use lull_policy::{Event, Key, Push, Record, bounds};

/// Stands for a body that can be run: the machine asks of a body only whether it is empty or too long.
const STAND_IN: [u8; 1] = [0];

fn blank_push(push: &mut Push) {
    push.payload = match push.payload.len() {
        1..=bounds::PUSH_PAYLOAD => STAND_IN.to_vec(),
        _ => Vec::new(),
    };
}

/// The event without what is not recorded.
pub fn blank_event(event: &Event) -> Cow<'_, Event> {
    match event {
        Event::PushArrived(push) => {
            let mut push = push.clone();
            blank_push(&mut push);
            Cow::Owned(Event::PushArrived(push))
        }
        Event::RunEnded {
            run, exit, usage, ..
        } => Cow::Owned(Event::RunEnded {
            run: *run,
            exit: exit.clone(),
            usage: *usage,
            output: String::new(),
        }),
        _ => Cow::Borrowed(event),
    }
}

/// The record without what is not recorded.
#[must_use]
pub fn blank_record(mut record: Record) -> Record {
    match &mut record {
        Record::Push(push) => blank_push(push),
        Record::Finished(run) => run.output.clear(),
        _ => {}
    }
    record
}

/// The keys under which two machines keep something different, but for what is not recorded.
pub fn differences(
    one: impl IntoIterator<Item = Record>,
    other: impl IntoIterator<Item = Record>,
) -> Vec<Key> {
    let keyed = |record: Record| (record.key(), blank_record(record));
    let one: BTreeMap<Key, Record> = one.into_iter().map(keyed).collect();
    let mut other: BTreeMap<Key, Record> = other.into_iter().map(keyed).collect();
    let mut differing: Vec<Key> = Vec::new();
    for (key, record) in one {
        if other.remove(&key).as_ref() != Some(&record) {
            differing.push(key);
        }
    }
    differing.extend(other.into_keys());
    differing.sort_unstable();
    differing
}
