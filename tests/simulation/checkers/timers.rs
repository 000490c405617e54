//! I6: timers fire on the first tick at or after they fall due, once, whatever the clocks do; and no two starts of one are
//! closer than the floor.

use std::collections::BTreeMap;

use lull_policy::{Effect, Elapsed, Observation, RegistrationId, Span, Trigger, bounds};

use super::{Checker, Found, Turn, View};

#[derive(Debug, Clone, Copy)]
struct Timer {
    due: Option<Elapsed>,
    minutes: u32,
    one_shot: bool,
    started: Option<Elapsed>,
}

#[derive(Debug, Default)]
pub(super) struct Timers {
    timers: BTreeMap<RegistrationId, Timer>,
}

impl Checker for Timers {
    fn rule(&self) -> &'static str {
        "I6 timers"
    }

    fn turn(&mut self, view: &View, turn: Turn<'_>) -> Found {
        if view.new_boot {
            // Due times are moved to the new boot's clock; what was written of them counts.
            self.restored(view);
            return Ok(());
        }
        self.timers
            .retain(|id, _| view.registrations.contains_key(id));
        for (id, before) in &view.before {
            if before.is_none() {
                self.begins(view, *id);
            }
        }
        let tick = current_tick(view);
        for effect in turn.effects {
            let Effect::Observe(observation) = effect else {
                continue;
            };
            match &**observation {
                Observation::Triggered(task) => self.fires(view, task.id, tick)?,
                Observation::Started { task, .. } => self.starts(view, task.id)?,
                _ => {}
            }
        }
        self.nobody_is_late(tick)
    }

    fn restored(&mut self, view: &View) {
        self.timers.clear();
        let ids: Vec<_> = view.registrations.keys().copied().collect();
        for id in ids {
            self.begins(view, id);
            if let (Some(timer), Some(registration)) =
                (self.timers.get_mut(&id), view.registrations.get(&id))
            {
                timer.due = registration.due;
            }
        }
    }
}

/// The latest tick that may be acted on by now (TRGD-03).
fn current_tick(view: &View) -> Option<Elapsed> {
    let horizon = view.horizon();
    let tick = view.policy.timer_tick.as_millis();
    let passed = horizon.since(view.tick_zero).as_millis();
    let late = Span::millis(passed % tick);
    let first = passed >= tick;
    (first && late <= bounds::TICK_LATENESS).then(|| horizon.before(late))
}

impl Timers {
    fn begins(&mut self, view: &View, id: RegistrationId) {
        let Some(registration) = view.registrations.get(&id) else {
            return;
        };
        let (Trigger::Timer { minutes, one_shot } | Trigger::Maintenance { minutes, one_shot }) =
            registration.trigger
        else {
            return;
        };
        if registration.spent {
            return;
        }
        let due = view.now.elapsed.after(Span::minutes(u64::from(minutes)));
        self.timers.insert(
            id,
            Timer {
                due: Some(due),
                minutes,
                one_shot,
                started: None,
            },
        );
    }

    fn fires(&mut self, view: &View, id: RegistrationId, tick: Option<Elapsed>) -> Found {
        let Some(timer) = self.timers.get_mut(&id) else {
            return Ok(());
        };
        let (Some(tick), Some(due)) = (tick, timer.due) else {
            return Err(format!(
                "timer {} fires at {:?}, which is no tick, or is not due",
                id.0, view.now.elapsed
            ));
        };
        if due > tick {
            return Err(format!(
                "timer {} fires at the tick {tick:?} and is due at {due:?}",
                id.0
            ));
        }
        timer.due = (!timer.one_shot).then(|| {
            let period = Span::minutes(u64::from(timer.minutes)).as_millis();
            let passed = tick.since(due).as_millis() / period + 1;
            due.after(Span::millis(passed * period))
        });
        Ok(())
    }

    fn starts(&mut self, view: &View, id: RegistrationId) -> Found {
        let Some(timer) = self.timers.get_mut(&id) else {
            return Ok(());
        };
        let now = view.now.elapsed;
        let before = timer.started.replace(now);
        let least = view
            .policy
            .timer_floor
            .saturating_sub(bounds::START_TOLERANCE);
        match before {
            Some(before) if timer.one_shot => {
                Err(format!("one-shot {} starts again after {before:?}", id.0))
            }
            Some(before) if now.since(before) < least => Err(format!(
                "timer {} starts at {now:?} and at {before:?} (AMB-44)",
                id.0
            )),
            _ => Ok(()),
        }
    }

    fn nobody_is_late(&self, tick: Option<Elapsed>) -> Found {
        let Some(tick) = tick else {
            return Ok(());
        };
        let mut timers = self.timers.iter();
        let late = timers.find(|(_, timer)| timer.due.is_some_and(|due| due <= tick));
        match late {
            None => Ok(()),
            Some((id, timer)) => Err(format!(
                "timer {} is due at {:?} and did not fire at the tick {tick:?}",
                id.0, timer.due
            )),
        }
    }
}
