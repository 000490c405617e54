//! Every call has one answer; what is promised is written in the same turn, records first and each key once.

use lull_policy::{CallId, Effect, Event, Order};

use super::{Checker, Found, Turn, View};

#[derive(Debug, Default)]
pub(super) struct Calls;

impl Checker for Calls {
    fn rule(&self) -> &'static str {
        "contract"
    }

    fn turn(&mut self, view: &View, turn: Turn<'_>) -> Found {
        let replies: Vec<CallId> = turn.effects.iter().filter_map(reply).collect();
        let expected: Vec<CallId> = match &view.event {
            Some(Event::Call { call, .. }) => vec![*call],
            _ => Vec::new(),
        };
        if replies != expected {
            return Err(format!("the calls {expected:?} are answered by {replies:?}"));
        }
        let is_record = |effect: &Effect| effect.order() == Order::Record;
        let records = turn.effects.iter().take_while(|effect| is_record(effect)).count();
        let rest = turn.effects.get(records..).unwrap_or_default();
        if rest.iter().any(is_record) {
            return Err("a record comes after another effect".to_owned());
        }
        let keys: Vec<_> = turn.effects.iter().take(records).filter_map(key).collect();
        let rises = keys.is_sorted_by(|one, other| one < other);
        if !rises {
            return Err("a key is written twice in one turn, or out of order".to_owned());
        }
        Ok(())
    }
}

fn reply(effect: &Effect) -> Option<CallId> {
    match effect {
        Effect::Reply { call, .. } => Some(*call),
        _ => None,
    }
}

fn key(effect: &Effect) -> Option<lull_policy::Key> {
    match effect {
        Effect::Put(record) => Some(record.key()),
        Effect::Remove(key) => Some(key.clone()),
        _ => None,
    }
}
