//! Scheduled agents: periodic ones start 20 to 40 minutes apart (I6, AMB-04), nothing runs after its expiry, an abort or too many
//! crashes in a row, and only what may renew renews.

use std::collections::BTreeMap;

use lull_policy::{
    Effect, Elapsed, Event, Observation, Outcome, Registration, RegistrationId, Report, Request,
    Scheduling, Task, TriggerKind,
};

use super::reasons::{self, Runs};
use super::{Checker, Found, Turn, View};
use crate::rulebook;

#[derive(Debug, Clone, Copy)]
struct Agent {
    /// The last start by schedule, else when it was added.
    from: Elapsed,
    /// It has started since this onlooker knows it.
    started: bool,
    /// Nothing has been in its way since then.
    free: bool,
    crashes: u32,
}

#[derive(Debug, Default)]
pub(super) struct Schedules {
    agents: BTreeMap<RegistrationId, Agent>,
    runs: Runs,
}

impl Checker for Schedules {
    fn rule(&self) -> &'static str {
        "I6 schedules"
    }

    fn turn(&mut self, view: &View, turn: Turn<'_>) -> Found {
        self.agents
            .retain(|id, _| view.registrations.contains_key(id));
        for (id, before) in &view.before {
            let now = view.registrations.get(id).filter(|r| r.schedule.is_some());
            match (before, now) {
                (None, Some(_)) => drop(self.agents.insert(*id, Agent::new(view, true, 0))),
                (Some(before), Some(now)) => renewed(view, before, now)?,
                _ => {}
            }
        }
        if view.new_boot {
            for agent in self.agents.values_mut() {
                *agent = Agent::new(view, false, agent.crashes);
            }
        }
        has_renewed(view)?;
        self.what_is_told(view, turn)?;
        let uneven = view.host_was_late || view.event.is_none();
        for (id, agent) in &mut self.agents {
            let Some(registration) = view.registrations.get(id) else {
                continue;
            };
            lives(view, registration)?;
            if registration.trigger.kind() == TriggerKind::Periodic {
                agent.is_punctual(view, &self.runs, registration, uneven)?;
            }
        }
        Ok(())
    }

    fn restored(&mut self, view: &View) {
        self.runs.restored(view);
        let scheduled = view.registrations.values();
        let agents = scheduled.filter_map(|r| {
            let crashes = r.schedule.as_ref()?.crashes;
            Some((r.id, Agent::new(view, false, crashes)))
        });
        self.agents = agents.collect();
    }
}

impl Schedules {
    fn what_is_told(&mut self, view: &View, turn: Turn<'_>) -> Found {
        for (place, effect) in turn.effects.iter().enumerate() {
            let Effect::Observe(observation) = effect else {
                continue;
            };
            match &**observation {
                Observation::Started { task, .. } => self.starts(view, task)?,
                Observation::Ended { task, outcome, .. } => {
                    let later = turn.effects.get(place..).unwrap_or_default();
                    self.ends(view, task, *outcome, later)?;
                }
                Observation::Unscheduled {
                    task,
                    reason: Some(Scheduling::Expired),
                } => {
                    let earlier = view.earlier(task.id);
                    if !earlier.is_some_and(|earlier| reasons::past_its_life(view, earlier)) {
                        return Err(format!("{}/{} expires early", task.app, task.task));
                    }
                }
                _ => {}
            }
            self.runs.observe(observation);
        }
        Ok(())
    }

    fn starts(&mut self, view: &View, task: &Task) -> Found {
        if task.trigger != TriggerKind::Periodic || reasons::is_test(view, task.id) {
            return Ok(());
        }
        let Some(agent) = self.agents.get_mut(&task.id) else {
            return Ok(());
        };
        let (now, policy) = (view.now.elapsed, &view.policy);
        let gap = now.since(agent.from);
        let least = policy
            .periodic_interval
            .saturating_sub(policy.periodic_drift);
        if agent.started && gap < least {
            return Err(format!(
                "{}/{} starts {} s after its last start (AMB-04)",
                task.app,
                task.task,
                gap.as_millis() / 1000
            ));
        }
        agent.from = now;
        agent.started = true;
        agent.free = true;
        Ok(())
    }

    /// CRS-01 to CRS-07, RUN-43, AMB-13.
    fn ends(&mut self, view: &View, task: &Task, outcome: Outcome, later: &[Effect]) -> Found {
        let Some(agent) = self.agents.get_mut(&task.id) else {
            return Ok(());
        };
        agent.crashes = if rulebook::is_crash(outcome) {
            agent.crashes + 1
        } else {
            0
        };
        let scheduled = |r: &Registration| {
            let schedule = r.schedule.as_ref();
            schedule.is_some_and(|schedule| schedule.scheduling == Scheduling::Scheduled)
        };
        if !view.earlier(task.id).is_some_and(scheduled) {
            return Ok(());
        }
        let expected = match outcome {
            Outcome::Aborted => Some(Scheduling::Aborted),
            _ if agent.crashes >= view.policy.crash_limit => Some(Scheduling::Crashed),
            _ => None,
        };
        let mut told = later.iter().filter_map(|effect| match effect {
            Effect::Observe(observation) => match &**observation {
                Observation::Unscheduled { task: of, reason } if of.id == task.id => Some(*reason),
                _ => None,
            },
            _ => None,
        });
        let found = told.next().flatten();
        // One whose life ended in the same instant had gone before.
        if found != expected && found != Some(Scheduling::Expired) {
            return Err(format!(
                "{}/{} ends as {outcome:?}, crash {} in a row, and is unscheduled for {found:?}, by the rule book for {expected:?}",
                task.app, task.task, agent.crashes
            ));
        }
        Ok(())
    }
}

impl Agent {
    const fn new(view: &View, free: bool, crashes: u32) -> Self {
        Self {
            from: view.now.elapsed,
            started: false,
            free,
            crashes,
        }
    }

    /// AMB-04: what nothing is in the way of starts within its window.
    fn is_punctual(
        &mut self,
        view: &View,
        runs: &Runs,
        registration: &Registration,
        uneven: bool,
    ) -> Found {
        let scheduled = registration.schedule.as_ref();
        let off = scheduled.is_none_or(|s| s.scheduling != Scheduling::Scheduled);
        let in_the_way = off
            || uneven
            || view.closing
            || view.power_awaited.is_some()
            || !reasons::may_run(view, registration)
            || !reasons::by_others(view, runs, registration).is_empty()
            || !reasons::by_readings(view, &view.told, registration, None, true).is_empty();
        self.free &= !in_the_way;
        let policy = &view.policy;
        let most = policy
            .periodic_interval
            .saturating_add(policy.periodic_drift);
        if self.free && view.due(self.from.after(most)) {
            return Err(format!(
                "{}/{} has not started for {} s and nothing is in its way (AMB-04)",
                registration.app,
                registration.name,
                view.now.elapsed.since(self.from).as_millis() / 1000
            ));
        }
        Ok(())
    }
}

/// EXP-01: at its expiry a task is unscheduled, in the first turn that can know.
fn lives(view: &View, registration: &Registration) -> Found {
    let scheduled = registration.schedule.as_ref();
    let on = scheduled.is_some_and(|s| s.scheduling == Scheduling::Scheduled);
    if on && reasons::past_its_life(view, registration) {
        return Err(format!(
            "{}/{} is past its expiry and scheduled (EXP-01)",
            registration.app, registration.name
        ));
    }
    Ok(())
}

/// EXP-04, EXP-05: an agent's update of a card that somebody chose renews all that is scheduled of its app.
fn has_renewed(view: &View) -> Found {
    let Some(Event::RunReported {
        run,
        report: Report::CardUpdated,
    }) = &view.event
    else {
        return Ok(());
    };
    let Some(run) = view.runs.get(run).filter(|run| run.kind.is_scheduled()) else {
        return Ok(());
    };
    let choices = view.choices.get(&run.app);
    if !choices.is_some_and(|choices| choices.pinned || choices.lock_screen) {
        return Ok(());
    }
    let least = view.now.wall.after(view.policy.expiry_limit);
    let short = view.registrations.values().find(|registration| {
        let schedule = registration.schedule.as_ref();
        registration.app == run.app
            && schedule.is_some_and(|schedule| {
                schedule.scheduling == Scheduling::Scheduled && schedule.expires < least
            })
    });
    match short {
        None => Ok(()),
        Some(short) => Err(format!(
            "{}/{} was not renewed (EXP-04)",
            short.app, short.name
        )),
    }
}

/// EXP-04, EXP-05, EXP-07: an expiry moves only with an agent's update of a card that somebody chose.
fn renewed(view: &View, before: &Registration, now: &Registration) -> Found {
    let (Some(old), Some(new)) = (&before.schedule, &now.schedule) else {
        return Ok(());
    };
    let updated = match &view.event {
        Some(Event::RunReported { report, .. }) => *report == Report::CardUpdated,
        Some(Event::Call { request, .. }) => matches!(request, Request::UpdateCard { .. }),
        _ => false,
    };
    let choices = view.choices.get(&now.app);
    let chosen = choices.is_some_and(|choices| choices.pinned || choices.lock_screen);
    if old.expires == new.expires {
        return Ok(());
    }
    let to_the_day = new.expires == view.now.wall.after(view.policy.expiry_limit);
    if updated && chosen && to_the_day && old.expires < new.expires {
        return Ok(());
    }
    Err(format!(
        "{}/{} lived until {:?} and lives until {:?} (EXP-07)",
        now.app, now.name, old.expires, new.expires
    ))
}
