//! I9: what one event asks for is bounded, time goes on after every deadline, and what is kept has its bounds.

use lull_policy::{Effect, Elapsed, Event, Running, Wall, bounds};

use super::{Checker, Found, Turn, View};

/// Effects of one event, but for those that repeat all receipts or concern all apps: a few for each registration of
/// a busy device.
const EFFECTS: usize = 1_000;

#[derive(Debug, Default)]
pub(super) struct Bounded {
    /// The most that figures ever let wait at one registration.
    queue: usize,
}

impl Checker for Bounded {
    fn rule(&self) -> &'static str {
        "I9 bounds"
    }

    fn turn(&mut self, view: &View, turn: Turn<'_>) -> Found {
        let repeats = matches!(
            view.event,
            None | Some(Event::LinkUp | Event::Booted { .. } | Event::ReceiptsAcknowledged { .. })
        );
        if turn.effects.len() > EFFECTS && !repeats {
            return Err(format!("{} effects of one event", turn.effects.len()));
        }
        time_goes_on(view, turn)?;
        let queue = view.policy.push_queue as usize + view.policy.push_attempts as usize;
        self.queue = self.queue.max(queue);
        for registration in view.registrations.values() {
            if registration.arrivals.len() > bounds::ARRIVALS
                || registration.queue.len() > self.queue
            {
                return Err(format!(
                    "{} pushes and {} arrivals wait for registration {}",
                    registration.queue.len(),
                    registration.arrivals.len(),
                    registration.id.0
                ));
            }
        }
        if view.receipts.len() > bounds::RECEIPTS {
            return Err(format!("{} receipts are kept", view.receipts.len()));
        }
        Ok(())
    }
}

/// After a deadline the next one lies ahead; after any other event none has passed.
fn time_goes_on(view: &View, turn: Turn<'_>) -> Found {
    let (now, deadline) = (view.now, turn.deadline);
    let early = |at: u64, now: u64| at < now || view.on_time && at == now;
    // A run whose life is shorter than the grace is asked at once, in the next turn.
    let begins = turn
        .effects
        .iter()
        .any(|effect| matches!(effect, Effect::Launch(_)));
    let running = deadline.running.filter(|_| !begins).map(Running::as_millis);
    let elapsed = deadline.elapsed.map(Elapsed::as_millis);
    let wall = deadline.wall.map(Wall::as_millis);
    let behind = running.is_some_and(|at| early(at, now.running.as_millis()))
        || elapsed.is_some_and(|at| early(at, now.elapsed.as_millis()))
        || wall.is_some_and(|at| early(at, now.wall.as_millis()));
    if behind {
        return Err(format!("it is {now:?} and the deadline is {deadline:?}"));
    }
    Ok(())
}
