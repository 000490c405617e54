//! I1 and I2: a push that was accepted comes to exactly one end, and runs twice only where the first run was lost.

use std::collections::BTreeMap;

use lull_policy::{Effect, Observation, PushId, ReceiptSeq, RegistrationId};

use super::{Checker, Found, Turn, View};
use crate::mailbox::{Coordinator, Place};

#[derive(Debug, Default)]
pub(super) struct Pushes {
    /// The receipt that ended each push.
    ends: BTreeMap<PushId, ReceiptSeq>,
    /// The last attempt that was launched, by push and registration.
    attempts: BTreeMap<(PushId, RegistrationId), u32>,
    most_attempts: u32,
}

impl Checker for Pushes {
    fn rule(&self) -> &'static str {
        "I1 and I2 pushes"
    }

    fn turn(&mut self, view: &View, turn: Turn<'_>) -> Found {
        self.most_attempts = self.most_attempts.max(view.policy.push_attempts);
        for effect in turn.effects {
            let Effect::Observe(observation) = effect else {
                continue;
            };
            let Observation::Started {
                push: Some(push), ..
            } = &**observation
            else {
                continue;
            };
            let expires = view.pushes.get(push).map(|push| push.expires);
            if expires.is_none_or(|expires| expires <= view.now.wall) {
                return Err(format!("{push} starts after its time to live (PSH-16)"));
            }
        }
        Ok(())
    }

    fn performed(&mut self, _view: &View, effect: &Effect) -> Found {
        match effect {
            Effect::SendReceipt(receipt) if receipt.hop.is_terminal() => {
                let end = self.ends.entry(receipt.push.clone()).or_insert(receipt.seq);
                if *end != receipt.seq {
                    return Err(format!(
                        "{} comes to an end twice, by receipts {} and {}",
                        receipt.push, end.0, receipt.seq.0
                    ));
                }
            }
            Effect::Launch(launch) => {
                let Some(push) = &launch.push else {
                    return Ok(());
                };
                if self.ends.contains_key(&push.id) {
                    return Err(format!("{} runs after its end", push.id));
                }
                let key = (push.id.clone(), launch.registration);
                let before = self.attempts.insert(key, launch.attempt);
                let attempt = launch.attempt;
                if before.is_some_and(|before| before >= attempt) {
                    return Err(format!("{} runs twice as attempt {attempt}", push.id));
                }
                if attempt > self.most_attempts.max(1) {
                    return Err(format!("{} runs as attempt {attempt}", push.id));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn over(&mut self, view: &View, coordinator: &Coordinator) -> Found {
        for row in &coordinator.rows {
            if row.place != Place::Delivered {
                continue;
            }
            let id = &row.push.id;
            let mut pending = view.receipts.values();
            let ended =
                self.ends.contains_key(id) || pending.any(|(push, last)| push == id && *last);
            let open = view.undecided.contains(id);
            if ended == open {
                let what = if ended { "ended and open" } else { "lost" };
                return Err(format!("{id} was delivered and is {what}"));
            }
            let runs = view.runs.values().any(|run| run.push.as_ref() == Some(id));
            if open && !runs && row.push.expires <= view.now.wall {
                return Err(format!("{id} is past its time to live and has no end"));
            }
        }
        Ok(())
    }
}
