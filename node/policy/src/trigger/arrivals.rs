//! Arrivals with something to tell: sockets, channels, text messages, devices, the bus (AMB-12). They queue in order
//! at their registration; when the queue is full the oldest gives way, and is counted.

use crate::admission::Obstacle;
use crate::lifecycle::{self, Reception};
use crate::start::Cause;
use crate::turn::Turn;
use crate::{
    Arrived, Details, DropReason, Observation, Reasons, RegistrationId, Verdict, WaitReason, bounds,
};

impl Turn<'_> {
    /// Something with a payload fires a registration.
    pub(crate) fn arrive(&mut self, id: RegistrationId, details: Details) {
        let standing = self.device.standing(id);
        match lifecycle::receive(standing, lifecycle::Arrival::Payload) {
            Reception::Queue => {}
            Reception::Admit
            | Reception::Coalesce
            | Reception::CurrentlyRunning
            | Reception::Ignore => return,
        }
        self.observe_task(id, Observation::Triggered);
        let judgement = self.judge(id);
        let behind = self
            .device
            .registrations
            .get(&id)
            .is_some_and(|registration| !registration.arrivals.is_empty());
        match self.as_decided(judgement.obstacle) {
            None if !behind => {
                let run = self.start(id, Cause::Details(&details));
                self.record(id, Verdict::Ran, run);
            }
            Some(Obstacle::Drop(reason)) => self.refuse_firing(id, reason),
            None => self.queue_up(id, details, WaitReason::Slot, judgement.reasons),
            Some(Obstacle::Wait(reason)) => {
                self.queue_up(id, details, reason, judgement.reasons);
            }
        }
    }

    fn queue_up(
        &mut self,
        id: RegistrationId,
        details: Details,
        reason: WaitReason,
        reasons: Reasons,
    ) {
        let full = self
            .device
            .registrations
            .get(&id)
            .is_some_and(|registration| registration.arrivals.len() >= bounds::ARRIVALS);
        if full {
            self.drop_oldest(id);
        }
        let firing = self.record(id, Verdict::Waiting(reason), None);
        let arrived = Arrived {
            details,
            since: self.now.wall,
            firing,
        };
        self.edit(id, |registration| registration.arrivals.push(arrived));
        self.tell_waiting(id, reasons, true);
    }

    fn drop_oldest(&mut self, id: RegistrationId) {
        let mut oldest = None;
        self.edit(id, |registration| {
            oldest = Some(registration.arrivals.remove(0));
        });
        if let Some(oldest) = oldest {
            self.drop_waiting(id, oldest.firing, DropReason::QueueFull);
        }
    }

    /// Starts what can start of the arrivals of a registration, the oldest first.
    pub(crate) fn look_at_arrivals(&mut self, id: RegistrationId) {
        loop {
            let head = self
                .device
                .registrations
                .get(&id)
                .and_then(|registration| registration.arrivals.first())
                .cloned();
            let Some(head) = head else {
                return;
            };
            let judgement = self.judge(id);
            match judgement.obstacle {
                None => {
                    self.edit(id, |registration| drop(registration.arrivals.remove(0)));
                    let run = self.start(id, Cause::Details(&head.details));
                    self.settle(head.firing, Verdict::Ran, run);
                }
                Some(Obstacle::Drop(reason)) => {
                    self.drop_arrivals(id, reason.while_waiting());
                    return;
                }
                Some(Obstacle::Wait(reason)) => {
                    self.arrivals_wait(id, reason);
                    self.tell_waiting(id, judgement.reasons, false);
                    return;
                }
            }
        }
    }

    fn arrivals_wait(&mut self, id: RegistrationId, reason: WaitReason) {
        let arrivals = self.device.registrations.get(&id).map(|r| &r.arrivals);
        let firings: Vec<u64> = arrivals
            .into_iter()
            .flatten()
            .map(|arrived| arrived.firing)
            .collect();
        for firing in firings {
            self.settle(firing, Verdict::Waiting(reason), None);
        }
    }

    /// Drops every arrival that waits at a registration.
    pub(crate) fn drop_arrivals(&mut self, id: RegistrationId, reason: DropReason) {
        let waits = self
            .device
            .registrations
            .get(&id)
            .is_some_and(|registration| !registration.arrivals.is_empty());
        if !waits {
            return;
        }
        let mut dropped = Vec::new();
        self.edit(id, |registration| {
            dropped = std::mem::take(&mut registration.arrivals);
            registration.held_by = Reasons::default();
        });
        for arrived in dropped {
            self.drop_waiting(id, arrived.firing, reason);
        }
    }
}
