//! Starvation: a task that should have run by now and did not. Expected against actual runs, the gate that keeps it, and
//! the smallest change that would let it run.
//!
//! What is expected follows from the trigger: a period of its own, or, without one, one run in
//! [`Policy::starvation_after`](crate::Policy). Nobody is asked but the gates. Absent here: any remedy; a starving agent is
//! no error to its app (INT-10).

use crate::admission::{self, Facts, Obstacle, Step};
use crate::readings::percent;
use crate::{
    Device, DropReason, Now, PerMille, Policy, Registration, RegistrationId, ScheduledKind, Span,
    Trigger, TriggerKind, WaitReason, Wall, trigger,
};

/// So many periods without a run are no accident: two can be a night, three are a pattern.
const PERIODS: u64 = 3;

/// A task that should have run.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Starvation {
    /// Which.
    pub registration: RegistrationId,
    /// Since its last run, or since it was made.
    pub since: Wall,
    /// Runs that its trigger makes one expect since then.
    pub expected: u64,
    /// Runs since then; none, or it would not starve.
    pub actual: u64,
    /// What keeps it, the first gate of the order; absent = nothing fires it.
    pub blocked_by: Option<Blocker>,
    /// The smallest change that would let it run.
    pub proposal: Proposal,
}

/// The gate that keeps a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Blocker {
    /// It waits for this.
    Waits(WaitReason),
    /// Its firings are dropped for this.
    Drops(DropReason),
}

/// The smallest change that would let a task run, by who can make it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proposal {
    /// A figure of the policy.
    Figure {
        /// Its name.
        name: String,
        /// What it is now.
        now: String,
        /// What it would have to be.
        then: String,
    },
    /// Something that the operator of this device decides.
    Operator {
        /// In words.
        what: String,
    },
    /// Something that the app's developer changes.
    Developer {
        /// In words.
        what: String,
    },
    /// Something about the device itself.
    Device {
        /// In words; more than one thing where several gates are closed.
        what: String,
    },
}

impl Proposal {
    /// Who can make the change: `policy`, `operator`, `developer` or `device`.
    pub const fn by(&self) -> &'static str {
        match self {
            Self::Figure { .. } => "policy",
            Self::Operator { .. } => "operator",
            Self::Developer { .. } => "developer",
            Self::Device { .. } => "device",
        }
    }
}

/// The change alone, without who makes it.
impl std::fmt::Display for Proposal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Figure { name, now, then } => {
                write!(f, "set {name} from {now} to {then}")
            }
            Self::Operator { what } | Self::Developer { what } | Self::Device { what } => {
                f.write_str(what)
            }
        }
    }
}

impl Device {
    /// Every task that starves now.
    pub fn starving(&self, now: Now) -> Vec<Starvation> {
        self.registrations()
            .filter_map(|registration| self.starvation(now, registration))
            .collect()
    }

    /// Whether a task starves, and what of.
    pub fn starvation(&self, now: Now, registration: &Registration) -> Option<Starvation> {
        let since = registration.last_run.unwrap_or(registration.registered_at);
        let expected = expected_runs(registration, now.wall.since(since), &self.policy)?;
        let running = self.index.run_of(registration.id).is_some();
        if expected == 0 || running || ended(registration) {
            return None;
        }
        let facts = self.facts(now, registration, true, None);
        let closed: Vec<&Step> = admission::closed(&facts).collect();
        Some(Starvation {
            registration: registration.id,
            since,
            expected,
            actual: 0,
            blocked_by: closed.first().map(|step| blocker(step)),
            proposal: proposal(&facts, &closed),
        })
    }
}

/// A one-shot that has run, a schedule that its app knows to be over.
fn ended(registration: &Registration) -> bool {
    registration.spent || registration.schedule.is_some() && !registration.is_scheduled_now()
}

/// Runs expected within a silence; none while it can be an accident. Absent = its trigger promises none.
fn expected_runs(registration: &Registration, silence: Span, policy: &Policy) -> Option<u64> {
    let patience = policy.starvation_after;
    let per = |period: Span, periods: u64| {
        let runs = silence.as_millis().checked_div(period.as_millis())?;
        Some(if runs >= periods { runs } else { 0 })
    };
    if let Some((minutes, one_shot)) = trigger::timer::period(&registration.trigger) {
        let period = Span::minutes(u64::from(minutes));
        return if one_shot {
            // Due once, and waiting since.
            per(period.saturating_add(patience), 1)
        } else {
            per(period, PERIODS)
        };
    }
    let waits = crate::index::waits(registration);
    match registration.trigger.kind().scheduled() {
        Some(ScheduledKind::Periodic) => {
            let longest = policy
                .periodic_interval
                .saturating_add(policy.periodic_drift);
            per(longest, PERIODS)
        }
        Some(ScheduledKind::ResourceIntensive) => per(patience, 1),
        None if waits => per(patience, 1),
        None => None,
    }
}

fn blocker(step: &Step) -> Blocker {
    match step.obstacle() {
        Obstacle::Wait(reason) => Blocker::Waits(reason),
        Obstacle::Drop(reason) => Blocker::Drops(reason),
    }
}

fn proposal(facts: &Facts<'_>, closed: &[&Step]) -> Proposal {
    match closed {
        [] => Proposal::Device {
            what: format!(
                "nothing holds it back; it needs {}",
                trigger::words(facts.registration)
            ),
        },
        [only] => single(facts, only),
        several => Proposal::Device {
            what: several
                .iter()
                .map(|step| step.words(facts).needs)
                .collect::<Vec<_>>()
                .join("; and "),
        },
    }
}

/// What opens one gate with the least change.
fn single(facts: &Facts<'_>, step: &Step) -> Proposal {
    let app = &facts.registration.app;
    let needs = || step.words(facts).needs;
    match step.obstacle() {
        Obstacle::Drop(DropReason::Invalid | DropReason::Access | DropReason::Unscheduled) => {
            Proposal::Developer { what: needs() }
        }
        Obstacle::Drop(_) => Proposal::Operator { what: needs() },
        Obstacle::Wait(WaitReason::Operator) => Proposal::Operator { what: needs() },
        Obstacle::Wait(WaitReason::BatterySaver) if facts.kind != TriggerKind::Periodic => {
            Proposal::Operator {
                what: format!("exempt {app} from Battery Saver"),
            }
        }
        Obstacle::Wait(WaitReason::BatteryLevel) => {
            battery_figure(facts).unwrap_or_else(|| Proposal::Device { what: needs() })
        }
        Obstacle::Wait(WaitReason::CpuPressure) => Proposal::Figure {
            name: "intensive_pressure_below".to_owned(),
            now: facts
                .policy()
                .intensive_pressure_below
                .map_or_else(|| "none".to_owned(), percent),
            then: "none".to_owned(),
        },
        Obstacle::Wait(WaitReason::ExternalPower)
            if facts.registration.trigger != Trigger::ResourceIntensive =>
        {
            Proposal::Developer {
                what: "register a timer in place of maintenance, which waits for external power"
                    .to_owned(),
            }
        }
        Obstacle::Wait(_) => Proposal::Device { what: needs() },
    }
}

/// The level that the charge as it reads now would pass.
fn battery_figure(facts: &Facts<'_>) -> Option<Proposal> {
    let charge = facts.readings().battery.value()?;
    let below = charge.as_tenths().checked_sub(1)?;
    Some(Proposal::Figure {
        name: "intensive_battery_above".to_owned(),
        now: percent(facts.policy().intensive_battery_above),
        then: percent(PerMille::new(below)),
    })
}
