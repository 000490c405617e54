//! `TimeTrigger` and `MaintenanceTrigger` (TRG-12, TRG-20, TRGD-01 to TRGD-08, AMB-18, AMB-44): once or again and again,
//! on the device's ticks.
//!
//! Due times of a recurring timer advance by its period from the first; each starts at the first tick at or
//! after it. A tick that was missed by more than [`bounds::TICK_LATENESS`] (suspend, downtime) passes, and what
//! was due starts at the next, once.

use crate::turn::Turn;
use crate::{Broken, Elapsed, Policy, Refusal, RegistrationId, Span, Trigger, TriggerKind, bounds};

/// TRGD-02, TRGD-04: refused, not rounded.
pub(crate) fn validate(kind: TriggerKind, minutes: u32, policy: &Policy) -> Result<(), Refusal> {
    let period = Span::minutes(u64::from(minutes));
    let bound = |message| {
        Err(Refusal::InvalidArgument {
            field: format!("trigger.{}.minutes", kind.word()),
            message,
        })
    };
    if period < policy.timer_floor {
        return bound(format!(
            "{minutes} min is below this device's shortest period of {}; ask for that or more",
            length(policy.timer_floor),
        ));
    }
    if period >= policy.timer_ceiling {
        return bound(format!(
            "{minutes} min is not below this device's ceiling of {}; ask for less",
            length(policy.timer_ceiling),
        ));
    }
    Ok(())
}

/// A span as people say it.
fn length(span: Span) -> String {
    let millis = span.as_millis();
    if millis.is_multiple_of(60_000) {
        format!("{} min", millis / 60_000)
    } else {
        format!("{}.{:03} s", millis / 1_000, millis % 1_000)
    }
}

/// The period of a timer in minutes, and whether it is one-shot.
pub(crate) const fn period(trigger: &Trigger) -> Option<(u32, bool)> {
    match trigger {
        Trigger::Timer { minutes, one_shot } | Trigger::Maintenance { minutes, one_shot } => {
            Some((*minutes, *one_shot))
        }
        Trigger::System { .. }
        | Trigger::Push
        | Trigger::ControlChannel { .. }
        | Trigger::Socket { .. }
        | Trigger::Application
        | Trigger::Media
        | Trigger::DeviceUse
        | Trigger::DeviceServicing
        | Trigger::DeviceWatcher { .. }
        | Trigger::Files { .. }
        | Trigger::Bus { .. }
        | Trigger::Reserved { .. }
        | Trigger::Periodic
        | Trigger::ResourceIntensive
        | Trigger::UpdateTask => None,
    }
}

/// When a timer registered now falls due first.
pub(crate) const fn first_due(minutes: u32, now: Elapsed) -> Elapsed {
    now.after(Span::minutes(minutes as u64))
}

/// What fires it, for people.
pub(crate) fn words(minutes: u32, one_shot: bool) -> String {
    let unit = if minutes == 1 { "minute" } else { "minutes" };
    if one_shot {
        format!("once, {minutes} {unit} after it was registered")
    } else {
        format!("every {minutes} {unit}")
    }
}

/// The device-wide tick wheel (TRGD-03, TRGD-06): ticks at `zero + tick`, `zero + 2 tick`, …
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ticks {
    pub(crate) zero: Elapsed,
    pub(crate) tick: Span,
}

impl Ticks {
    /// The first tick at or after an instant.
    pub(crate) const fn at_or_after(self, at: Elapsed) -> Elapsed {
        let tick = self.tick.as_millis();
        if tick == 0 {
            return at;
        }
        let count = at.since(self.zero).as_millis().div_ceil(tick);
        self.zero.after(Span::millis(
            if count == 0 { 1 } else { count }.saturating_mul(tick),
        ))
    }

    /// The tick that may be acted on now: the latest, unless it was missed by too much.
    const fn current(self, now: Elapsed) -> Option<Elapsed> {
        let tick = self.tick.as_millis();
        if tick == 0 {
            return Some(now);
        }
        let late = now.since(self.zero).as_millis() % tick;
        let count = now.since(self.zero).as_millis() / tick;
        if count == 0 || late > bounds::TICK_LATENESS.as_millis() {
            return None;
        }
        Some(self.zero.after(Span::millis(count.saturating_mul(tick))))
    }

    /// The tick at which what falls due then will start, for one who looks at `now`.
    pub(crate) fn next(self, due: Elapsed, now: Elapsed) -> Elapsed {
        let at = self.at_or_after(due);
        let missed = now.since(at) > bounds::TICK_LATENESS;
        if missed { self.at_or_after(now) } else { at }
    }
}

/// The first due time after a tick: those in between are one firing (AMB-12: timers never accumulate).
const fn next_due(due: Elapsed, minutes: u32, tick: Elapsed) -> Elapsed {
    let period = Span::minutes(minutes as u64).as_millis();
    if period == 0 {
        return tick.after(Span::millis(1));
    }
    let passed = tick.since(due).as_millis() / period;
    due.after(Span::millis((passed + 1).saturating_mul(period)))
}

impl Turn<'_> {
    /// Fires every timer that this tick concerns.
    pub(crate) fn tick(&mut self) {
        let Some(tick) = self.device.ticks().current(self.horizon.elapsed) else {
            return;
        };
        for id in self.device.index.due(tick) {
            self.timer_falls_due(id, tick);
        }
    }

    fn timer_falls_due(&mut self, id: RegistrationId, tick: Elapsed) {
        let anew = self.device.broken(Broken::DueFromStart);
        let again = self.device.broken(Broken::OneShotNeverSpent);
        self.edit(id, |registration| {
            let Some(due) = registration.due else {
                return;
            };
            let due = if anew { tick } else { due };
            registration.due = match period(&registration.trigger) {
                Some((minutes, one_shot)) if again || !one_shot => {
                    Some(next_due(due, minutes, tick))
                }
                Some(_) | None => None,
            };
        });
        self.fire(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60_000;

    fn at(minutes: u64) -> Elapsed {
        Elapsed::from_millis(minutes * MINUTE)
    }

    #[test]
    fn floor_and_ceiling() {
        let rows = [
            (0, false),
            (14, false),
            (15, true),
            (16, true),
            (43_199, true),
            (43_200, false),
        ];
        for (minutes, accepted) in rows {
            assert_eq!(
                validate(TriggerKind::Timer, minutes, &Policy::default()).is_ok(),
                accepted,
                "{minutes} min"
            );
        }
    }

    #[test]
    fn first_tick_at_or_after() {
        let ticks = Ticks {
            zero: at(2),
            tick: Span::minutes(15),
        };
        let rows = [
            (0, 17),
            (2, 17),
            (3, 17),
            (16, 17),
            (17, 17),
            (18, 32),
            (32, 32),
            (33, 47),
        ];
        for (due, tick) in rows {
            assert_eq!(ticks.at_or_after(at(due)), at(tick), "due at {due}");
        }
        let one_later = Elapsed::from_millis(17 * MINUTE + 1);
        assert_eq!(ticks.at_or_after(one_later), at(32));
    }

    #[test]
    fn a_tick_is_missed_only_beyond_the_lateness() {
        let ticks = Ticks {
            zero: at(0),
            tick: Span::minutes(15),
        };
        let rows = [
            (0, None),
            (15 * MINUTE - 1, None),
            (15 * MINUTE, Some(at(15))),
            (15 * MINUTE + 30_000, Some(at(15))),
            (15 * MINUTE + 30_001, None),
            (30 * MINUTE, Some(at(30))),
        ];
        for (now, expected) in rows {
            assert_eq!(
                ticks.current(Elapsed::from_millis(now)),
                expected,
                "at {now} ms"
            );
        }
        assert_eq!(
            ticks.next(at(15), Elapsed::from_millis(15 * MINUTE + 30_000)),
            at(15)
        );
        assert_eq!(
            ticks.next(at(15), Elapsed::from_millis(15 * MINUTE + 30_001)),
            at(30)
        );
    }

    #[test]
    fn due_times_keep_their_phase() {
        let rows = [
            (20, 20, 30, 40),
            (15, 15, 15, 30),
            (20, 20, 135, 140),
            (25, 25, 30, 50),
        ];
        for (due, period, tick, expected) in rows {
            assert_eq!(
                next_due(at(due), period, at(tick)),
                at(expected),
                "{due} every {period}"
            );
        }
    }
}
