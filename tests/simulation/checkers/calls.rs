//! Every call has one answer; what is promised is written in the same turn, records first and each key once.

use lull_policy::{Answer, CallId, Caller, Effect, Event, Order, Request};

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
            return Err(format!(
                "the calls {expected:?} are answered by {replies:?}"
            ));
        }
        answered(view, turn)?;
        let is_record = |effect: &Effect| effect.order() == Order::Record;
        let records = turn
            .effects
            .iter()
            .take_while(|effect| is_record(effect))
            .count();
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

/// TRGD-21, TRGD-27, ACC-42, ACC-50: what an app may ask for only while somebody looks at it.
fn answered(view: &View, turn: Turn<'_>) -> Found {
    let Some(Event::Call {
        caller, request, ..
    }) = &view.event
    else {
        return Ok(());
    };
    let needs = matches!(
        request,
        Request::RequestRun { .. }
            | Request::RequestDevice { .. }
            | Request::RequestServicing { .. }
            | Request::AddScheduled { .. }
            | Request::RemoveScheduled { .. }
    );
    let has = matches!(
        caller,
        Caller::Front {
            foreground: true,
            ..
        }
    );
    let refused = turn.effects.iter().any(|effect| match effect {
        Effect::Reply { answer, .. } => matches!(answer, Answer::Refused(_)),
        _ => false,
    });
    if let Request::Unregister { id, .. } = request
        && !refused
        && view.registrations.contains_key(id)
    {
        return Err(format!(
            "registration {} is unregistered and stands (MNG-04)",
            id.0
        ));
    }
    if needs && !has && !refused {
        return Err(format!("{caller:?} is granted {request:?}"));
    }
    Ok(())
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
