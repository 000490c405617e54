//! Effects, performed as the daemon performs them: those that stop at once, those that begin or promise after their
//! commit.

use lull_policy::{AppId, Effect, FrontState, HostKind, Launch, Resource, RunId, TriggerKind};

use super::World;
use crate::agents::Word;
use crate::plan::SECOND;
use crate::queue::Due;
use crate::store::Held;

impl World<'_> {
    pub(super) fn at_once(&mut self, effect: Effect) {
        match effect {
            Effect::Watch(source) => {
                self.watched.insert(source);
                let after = if self.plan.prompt {
                    0
                } else {
                    self.own(self.at ^ source as u64) % (3 * SECOND)
                };
                self.queue.push(self.at + after, Due::Report(source));
            }
            Effect::Unwatch(source) => drop(self.watched.remove(&source)),
            Effect::AskToCancel { run, .. } => self.is_asked(run),
            Effect::Kill { run } => self.say(run, self.kill_latency(), Word::Killed),
            Effect::KillFront { app } => self.front_dies(&app),
            Effect::Freeze { run } => self.launcher.freeze(run, self.at),
            Effect::Meter {
                app,
                resource,
                budget,
            } => self.meter(app, resource, budget.is_some()),
            // Nothing in this world depends on them.
            Effect::Network { .. }
            | Effect::Sample { .. }
            | Effect::Limit { .. }
            | Effect::Observe(_) => {}
            _ => unreachable!("not performed at once"),
        }
    }

    fn kill_latency(&self) -> u64 {
        if self.plan.prompt { 0 } else { 7 }
    }

    /// The app's own process is gone, and all that runs in it.
    pub(super) fn front_dies(&mut self, app: &AppId) {
        self.fronts.remove(app);
        for run in self.launcher.in_process(app) {
            self.say(run, self.kill_latency(), Word::Killed);
        }
    }

    fn is_asked(&mut self, run: RunId) {
        let Some(process) = self.launcher.live.get_mut(&run) else {
            return;
        };
        process.asked = process.started;
        if let Some(after) = process.behaviour.on_cancel.filter(|_| process.started) {
            self.say(run, after, Word::Leaves);
        }
    }

    fn meter(&mut self, app: AppId, resource: Resource, on: bool) {
        let meter = (app, resource);
        if on {
            self.meters.insert(meter);
        } else {
            self.meters.remove(&meter);
        }
    }

    /// A word of a run, so much later.
    pub(super) fn say(&mut self, run: RunId, after: u64, word: Word) {
        let generation = self.launcher.live.get(&run).map_or(0, |p| p.generation);
        self.queue.push(
            self.at + after,
            Due::Run {
                run,
                generation,
                word,
            },
        );
    }

    /// What an event promised is durable.
    pub(super) fn perform(&mut self, held: Held) {
        if held.link_up && self.coordinator.session.is_some() {
            self.coordinator.ready = true;
        }
        for effect in held.effects {
            self.onlookers.performed(self.at, &effect);
            match effect {
                Effect::Launch(launch) => self.launch(&launch),
                Effect::SendReceipt(receipt) => {
                    if self.coordinator.receive(&receipt) {
                        self.acknowledge_soon();
                    }
                }
                Effect::Thaw { run } => self.thaw(run),
                Effect::StartFront { app } => {
                    self.fronts.entry(app).or_insert(FrontState::Background);
                }
                Effect::OfferPush(push) => {
                    let number = push.id.as_str().len() as u64 ^ self.at;
                    let (after, handled) = (
                        self.own(number) % 8_000,
                        self.own(number ^ 1).is_multiple_of(2),
                    );
                    let push = push.id;
                    self.queue
                        .push(self.at + after, Due::Answers { push, handled });
                }
                Effect::Reply { .. } | Effect::Notify { .. } | Effect::Network { .. } => {}
                _ => unreachable!("performed at once, or a record"),
            }
        }
        if let Some(run) = held.ended {
            self.launcher.kept.remove(&run);
        }
        let mut credit = held.ended.is_some() || held.link_up;
        if let Some((session, delivery)) = held.delivered
            && self.coordinator.session == Some(session)
        {
            self.coordinator.acknowledged(delivery);
            credit = true;
        }
        if credit {
            self.tell_credit();
        }
    }

    fn launch(&mut self, launch: &Launch) {
        self.tally.runs += 1;
        let number = self
            .numbers
            .entry((launch.app.clone(), launch.task.clone()))
            .or_default();
        *number += 1;
        let behaviour = self.plan.behaviour(&launch.app, &launch.task, *number);
        if launch.host == HostKind::InProcess {
            self.fronts
                .entry(launch.app.clone())
                .or_insert(FrontState::Background);
        }
        let (after, first) = self.launcher.launch(launch, behaviour);
        self.say(launch.run, after, first);
    }

    fn thaw(&mut self, run: RunId) {
        if let Some(ends) = self.launcher.thaw(run, self.at) {
            self.say(run, ends.saturating_sub(self.at), Word::Ends);
        }
        let leaves = self.launcher.live.get(&run).filter(|process| process.asked);
        if let Some(after) = leaves.and_then(|process| process.behaviour.on_cancel) {
            self.say(run, after, Word::Leaves);
        }
    }

    /// The coordinator learns how much the device can take now.
    pub(super) fn tell_credit(&mut self) {
        if self.coordinator.session.is_none() || !self.decides() {
            return;
        }
        for planned in &self.plan.apps {
            let id = &planned.app.id;
            let free = self.device.push_credit(id);
            self.coordinator.grant(id, free);
        }
        self.dispatch();
    }

    /// RES-16: whether a kind of run uses its app's quota.
    pub(super) const fn rationed(kind: TriggerKind) -> bool {
        !kind.is_critical() && !kind.is_scheduled()
    }
}
