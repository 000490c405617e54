//! Why a task does not run, in words for people: the gates of [`admission`], all of them.
//!
//! Absent here: any predicate. What is said is what the gates said.

use crate::admission::{self, Facts, Obstacle, Step, Words};
use crate::trigger;
use crate::{
    AppId, Device, DropReason, Explanation, Now, Registration, TaskName, VerdictEntry, WaitReason,
    Wall, Why, bounds,
};

impl Device {
    /// Why each registration of this name does not run now, and what would make it run. Nothing for a name that
    /// the app has not registered.
    pub fn explain(&self, now: Now, app: &AppId, task: &TaskName) -> Vec<Explanation> {
        let ids = self.index.of_app(app).into_iter();
        ids.filter_map(|id| self.registrations.get(&id))
            .filter(|registration| registration.name == *task)
            .map(|registration| self.explain_one(now, registration))
            .collect()
    }

    fn explain_one(&self, now: Now, registration: &Registration) -> Explanation {
        let fired = crate::index::waits(registration);
        let head = registration.queue.first();
        let push = head.and_then(|queued| self.pushes.get(&queued.id));
        let facts = self.facts(now, registration, fired, push);
        let mut reasons = Vec::new();
        let mut blocked = None;
        for step in admission::closed(&facts) {
            match step.obstacle() {
                Obstacle::Drop(reason) => {
                    blocked = blocked.or_else(|| Some((reason, step.words(&facts))));
                }
                Obstacle::Wait(reason) => reasons.push(why(reason, step, &facts)),
            }
        }
        let first_queued = head.map(|queued| queued.since);
        let first_arrived = registration.arrivals.first().map(|arrived| arrived.since);
        let latched = registration.latch.as_ref().map(|latch| latch.since);
        Explanation {
            app: registration.app.clone(),
            task: registration.name.clone(),
            registration: registration.id,
            waiting_since: latched.or(first_queued).or(first_arrived),
            waiting: u64::from(latched.is_some())
                + (registration.queue.len() + registration.arrivals.len()) as u64,
            running: self.index.run_of(registration.id),
            blocked: blocked.as_ref().map(|(reason, _)| *reason),
            fires: fires(&facts, blocked.as_ref()),
            next: next(&facts),
            starves: self.starvation(now, registration),
            reasons,
            recent: self.recent(registration),
        }
    }

    fn recent(&self, registration: &Registration) -> Vec<VerdictEntry> {
        let newest = self.ledger.verdicts.values().rev();
        newest
            .filter(|entry| entry.registration == registration.id)
            .take(bounds::RECENT_VERDICTS)
            .cloned()
            .collect()
    }
}

fn why(reason: WaitReason, step: &Step, facts: &Facts<'_>) -> Why {
    let Words {
        since,
        seen,
        needs,
        until,
    } = step.words(facts);
    Why {
        reason,
        since,
        seen,
        needs,
        until,
    }
}

/// What fires it, or why nothing does any more.
fn fires(facts: &Facts<'_>, blocked: Option<&(DropReason, Words)>) -> String {
    let registration = facts.registration;
    let trigger = trigger::words(registration);
    if let Some((_, words)) = blocked {
        return format!(
            "nothing as things stand: {}; it needs {}",
            words.seen, words.needs
        );
    }
    if registration.spent {
        return format!("nothing any more: it was to fire {trigger}, and has run");
    }
    match trigger::timer::period(&registration.trigger) {
        Some((_, true)) if registration.due.is_none() && !facts.fired => {
            format!("nothing any more: it was to fire {trigger}, and that firing was dropped")
        }
        Some(_) | None => trigger,
    }
}

/// The earliest moment a clock allows: the interval's end for one that waits for it or is not due yet.
fn next(facts: &Facts<'_>) -> Option<Wall> {
    let settled = || {
        let over = crate::limit::settling::over(facts)?;
        Some(facts.now.wall.after(over.since(facts.now.elapsed)))
    };
    crate::limit::interval::opens(facts).or_else(settled)
}
