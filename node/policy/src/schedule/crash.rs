//! How the end of a run counts for its schedule (RUN-43, section 9): two crashes in a row unschedule, an abort does at
//! once, everything else clears the counter (AMB-13).

use crate::turn::Turn;
use crate::{Broken, DropReason, Outcome, RegistrationId, Run, Scheduling};

/// CRS-01, CRS-03, CRS-07: memory and unhandled errors count alike; time-outs and terminations do not.
pub(crate) const fn is_crash(outcome: Outcome) -> bool {
    match outcome {
        Outcome::MemoryQuotaExceeded | Outcome::UnhandledException => true,
        Outcome::Completed
        | Outcome::Aborted
        | Outcome::Cancelled
        | Outcome::Hung
        | Outcome::ExecutionTimeExceeded
        | Outcome::Terminated
        | Outcome::Lost
        | Outcome::NotStarted => false,
    }
}

impl Turn<'_> {
    /// Counts the end of a scheduled run. One whose schedule was made anew meanwhile counts for nothing.
    pub(crate) fn scheduled_run_ended(&mut self, run: &Run, outcome: Outcome) {
        let (id, device) = (run.registration, &*self.device);
        let spared =
            outcome == Outcome::MemoryQuotaExceeded && device.broken(Broken::MemoryIsNoCrash);
        let timed =
            outcome == Outcome::ExecutionTimeExceeded && device.broken(Broken::TimeOutIsACrash);
        let crash = is_crash(outcome) && !spared || timed;
        let keep = device.broken(Broken::CounterNeverCleared);
        let mut crashes = 0;
        self.edit(id, |registration| {
            if let Some(schedule) = &mut registration.schedule {
                schedule.crashes = match crash {
                    true => schedule.crashes.saturating_add(1),
                    false if keep => schedule.crashes,
                    false => 0,
                };
                schedule.last_exit = Some(outcome);
                crashes = schedule.crashes;
            }
        });
        let scheduled = self
            .device
            .registrations
            .get(&id)
            .is_some_and(crate::Registration::is_scheduled_now);
        if !scheduled {
            return;
        }
        if crash && crashes >= self.device.policy.crash_limit {
            self.unschedule_all(id, Scheduling::Crashed);
        } else if outcome == Outcome::Aborted && !self.device.broken(Broken::AbortKeepsSchedule) {
            self.unschedule_all(id, Scheduling::Aborted);
        }
    }

    /// AMB-16, AMB-17: only the kind that ran.
    fn unschedule_all(&mut self, id: RegistrationId, why: Scheduling) {
        let mut ids = vec![id];
        ids.extend(self.device.twin_to_unschedule(id));
        for id in ids {
            self.unschedule(id, why, DropReason::Unscheduled);
        }
    }
}
