//! Breaks a promise on purpose, so that the end-to-end check can be seen to notice. Never in a release.

use std::collections::BTreeSet;

use lull_policy::{Event, PushId, Record};

/// The environment variable: a comma list of switches.
const VARIABLE: &str = "LULL_SABOTAGE";

/// `deduplication`: a push that was seen before is passed on under a fresh id.
#[derive(Debug)]
pub(super) struct Sabotage {
    deduplication: bool,
    seen: BTreeSet<PushId>,
    copies: u64,
}

impl Sabotage {
    pub(super) fn from_environment(records: &[Record]) -> Self {
        let switches = std::env::var(VARIABLE).unwrap_or_default();
        let seen = records.iter().filter_map(|record| match record {
            Record::SeenPush(seen) => Some(seen.id.clone()),
            _ => None,
        });
        Self {
            deduplication: switches.split(',').any(|switch| switch == "deduplication"),
            seen: seen.collect(),
            copies: 0,
        }
    }

    pub(super) fn twist(&mut self, event: Event) -> Event {
        let Event::PushArrived(mut push) = event else {
            return event;
        };
        if self.deduplication && !self.seen.insert(push.id.clone()) {
            self.copies += 1;
            let end = push.id.as_str().len().min(PushId::LIMIT - 8);
            let fresh = format!("{}:{}", &push.id.as_str()[..end], self.copies % 1_000_000);
            if let Ok(id) = PushId::new(fresh) {
                tracing::warn!(push = %push.id, %id, "sabotage: a push seen before is passed on");
                push.id = id;
            }
        }
        Event::PushArrived(push)
    }
}

#[cfg(test)]
mod tests {
    use lull_policy::{AppId, Push, Wall};

    use super::*;

    fn push() -> Event {
        Event::PushArrived(Push {
            id: PushId::new("x".repeat(PushId::LIMIT)).unwrap(),
            app: AppId::new("photos").unwrap(),
            payload: vec![1],
            expires: Wall::from_millis(1),
            retention: lull_policy::Retention::default(),
            priority: lull_policy::Priority::default(),
            collapse_key: None,
        })
    }

    #[test]
    fn a_repeated_push_passes_under_a_fresh_id_each_time() {
        let mut sabotage = Sabotage {
            deduplication: true,
            seen: BTreeSet::new(),
            copies: 0,
        };
        let arrivals: Vec<Event> = (0..3).map(|_| sabotage.twist(push())).collect();
        assert_eq!(arrivals[0], push());
        assert!(arrivals[1] != push() && arrivals[2] != push());
        assert_ne!(arrivals[1], arrivals[2]);
        let mut honest = Sabotage::from_environment(&[]);
        honest.twist(push());
        assert_eq!(honest.twist(push()), push());
    }
}
