//! What is true of a device after every event, as numbered predicates.
//!
//! Shared by the simulator, debug builds and production, where a violation is counted and logged. A check looks
//! at the whole state: it is no part of a decision.

use std::collections::{BTreeMap, BTreeSet};

use crate::index::{Index, waits};
use crate::{
    AppId, Device, HostKind, QuotaProfile, Run, RunState, Scheduling, Source, TriggerKind, Verdict,
    bounds,
};

/// A predicate that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The predicate's number, stable over versions.
    pub number: u32,
    /// What was found, for people.
    pub found: String,
}

type Predicate = fn(&Device) -> Option<String>;

/// The predicates. Numbers are never reused.
const PREDICATES: [(u32, Predicate); 25] = [
    (1, firings_are_the_sum_of_verdicts),
    (2, what_waits_has_a_waiting_verdict),
    (3, one_run_per_registration),
    (4, one_push_run_per_app),
    (5, no_spent_one_shot_waits),
    (6, limits_have_a_deadline),
    (7, bounds_hold),
    (8, the_index_is_the_state),
    (9, undecided_pushes_have_a_holder),
    (10, at_most_one_terminal_receipt),
    (11, those_that_wait_belong_to_installed_apps),
    (12, interests_are_watched),
    (13, one_scheduled_run_per_app),
    (14, one_intensive_run),
    (15, one_servicing_run),
    (16, one_scheduled_task_per_app_and_kind),
    (17, only_what_is_scheduled_comes_due),
    (18, what_is_past_its_life_is_not_scheduled),
    (19, only_rationed_runs_are_frozen),
    (20, what_is_kept_of_apps_is_of_installed_ones),
    (21, bounds_of_lists_hold),
    (22, once_only_triggers_stand_once),
    (23, in_process_runs_have_their_app),
    (24, debugged_runs_are_not_asked_for_their_time),
    (25, offers_are_undecided),
];

/// Every predicate that does not hold; empty for a sound device.
pub fn check(device: &Device) -> Vec<Violation> {
    PREDICATES
        .iter()
        .filter_map(|(number, predicate)| {
            predicate(device).map(|found| Violation {
                number: *number,
                found,
            })
        })
        .collect()
}

fn unless(holds: bool, found: impl FnOnce() -> String) -> Option<String> {
    (!holds).then(found)
}

/// Architecture, 2.7.
fn firings_are_the_sum_of_verdicts(device: &Device) -> Option<String> {
    let sum: u64 = device.counts().map(|count| count.count).sum();
    unless(sum == device.firings(), || {
        format!("{} firings, {sum} verdicts", device.firings())
    })
}

/// A waiting verdict stands for exactly one latch, queued push or arrival, and the reverse (CND-03).
fn what_waits_has_a_waiting_verdict(device: &Device) -> Option<String> {
    let registrations = device.registrations();
    let held: BTreeSet<u64> = registrations
        .flat_map(|r| {
            r.latch
                .iter()
                .map(|l| l.firing)
                .chain(r.queue.iter().map(|q| q.firing))
                .chain(r.arrivals.iter().map(|a| a.firing))
        })
        .filter(|firing| *firing != 0)
        .collect();
    let told: BTreeSet<u64> = device
        .ledger
        .verdicts
        .values()
        .filter(|entry| matches!(entry.verdict, Verdict::Waiting(_)))
        .map(|entry| entry.firing)
        .collect();
    unless(held == told, || {
        format!("firings {held:?} wait, the ledger says {told:?}")
    })
}

/// RUN-23, AMB-11; several at once only where the manifest says so (RUN-07).
fn one_run_per_registration(device: &Device) -> Option<String> {
    // Without its manifest nobody can tell; such a run has been asked to end.
    let several = |run: &Run| {
        let Some(app) = device.apps.get(&run.app) else {
            return true;
        };
        let agent = run.entry_point.as_ref().and_then(|entry| app.agent(entry));
        agent.is_some_and(|agent| agent.multiple_instances)
    };
    let runs = device.runs().filter(|run| !several(run));
    double(runs, |run| run.registration)
        .map(|run| format!("registration {} has two runs", run.registration.0))
}

/// The first run that shares with an earlier one what only one may have.
fn double<'a, K: Ord>(
    runs: impl Iterator<Item = &'a Run>,
    key: impl Fn(&'a Run) -> K,
) -> Option<&'a Run> {
    let mut seen = BTreeSet::new();
    let mut runs = runs;
    runs.find(|run| !seen.insert(key(run)))
}

/// PSH-12.
fn one_push_run_per_app(device: &Device) -> Option<String> {
    let runs = device.runs().filter(|run| run.push.is_some());
    double(runs, |run| &run.app).map(|run| format!("{} has two push runs", run.app))
}

/// AMB-35.
fn no_spent_one_shot_waits(device: &Device) -> Option<String> {
    let spent = device
        .registrations()
        .find(|r| r.spent && (waits(r) || r.due.is_some()));
    spent.map(|r| format!("registration {} is spent and waits", r.id.0))
}

/// RES-01: a run with a limit makes the host come back, until its kill is ordered.
fn limits_have_a_deadline(device: &Device) -> Option<String> {
    let limited = |run: &&Run| {
        run.state != RunState::Killing && (run.cancel_at.is_some() || run.kill_at.is_some())
    };
    let limits = device
        .runs()
        .filter(limited)
        .flat_map(|run| [run.cancel_at, run.kill_at]);
    let known = device.unconfirmed.is_empty();
    let earliest = limits.flatten().min().filter(|_| known);
    let deadline = device.deadline().running;
    unless(earliest == deadline, || {
        format!("earliest limit {earliest:?}, deadline {deadline:?}")
    })
}

fn bounds_hold(device: &Device) -> Option<String> {
    let mut of_app: BTreeMap<_, usize> = BTreeMap::new();
    device
        .registrations()
        .for_each(|r| *of_app.entry(&r.app).or_default() += 1);
    let settled = device.ledger.verdicts.values();
    let settled = settled
        .filter(|entry| !matches!(entry.verdict, Verdict::Waiting(_)))
        .count();
    let rows = [
        ("apps", device.apps.len(), bounds::APPS),
        (
            "registrations",
            of_app.into_values().max().unwrap_or(0),
            bounds::REGISTRATIONS_PER_APP,
        ),
        (
            "finished runs",
            device.finished.len(),
            bounds::FINISHED_RUNS,
        ),
        ("verdicts", settled, bounds::VERDICTS),
        (
            "receipts",
            device.receipts.len(),
            bounds::RECEIPTS + device.seen.len(),
        ),
    ];
    let over = rows.into_iter().find(|(_, count, bound)| count > bound);
    over.map(|(what, count, bound)| format!("{count} {what} are over the bound of {bound}"))
}

fn the_index_is_the_state(device: &Device) -> Option<String> {
    let built = Index::build(device);
    unless(built == device.index, || {
        format!("index {:?}, state {built:?}", device.index)
    })
}

/// Every push taken on is offered, waiting or running somewhere, or decided (rule book 0a).
fn undecided_pushes_have_a_holder(device: &Device) -> Option<String> {
    let orphan = device.pushes.keys().find(|push| {
        let holders = device.index.holders(push);
        let held = !holders.queued.is_empty() || !holders.running.is_empty();
        !held && !device.offers.contains_key(push)
    });
    orphan.map(|push| format!("nobody holds the push {push}"))
}

fn at_most_one_terminal_receipt(device: &Device) -> Option<String> {
    let mut seen = BTreeSet::new();
    let mut terminals = device
        .receipts()
        .filter(|receipt| receipt.hop.is_terminal());
    let wrong = terminals
        .find(|receipt| !seen.insert(&receipt.push) || device.pushes.contains_key(&receipt.push));
    wrong.map(|receipt| format!("the push {} is decided twice or not yet", receipt.push))
}

fn those_that_wait_belong_to_installed_apps(device: &Device) -> Option<String> {
    let stray = device
        .registrations()
        .find(|r| !device.apps.contains_key(&r.app));
    stray.map(|r| {
        format!(
            "registration {} belongs to {}, which is not installed",
            r.id.0, r.app
        )
    })
}

/// CND-04. Holds from the first event of a process on.
fn interests_are_watched(device: &Device) -> Option<String> {
    let interests: BTreeSet<Source> = device.interests().into_iter().collect();
    unless(interests == device.watched, || {
        format!("interests {interests:?}, watched {:?}", device.watched)
    })
}

/// RUN-41.
fn one_scheduled_run_per_app(device: &Device) -> Option<String> {
    let runs = device.runs().filter(|run| run.kind.is_scheduled());
    double(runs, |run| &run.app).map(|run| format!("{} has two runs of its agent", run.app))
}

fn one_of_a_kind(device: &Device, kind: TriggerKind) -> Option<String> {
    let runs = device.runs().filter(|run| run.kind == kind);
    double(runs, |_| ()).map(|run| format!("run {} is a second {}", run.id.0, kind.word()))
}

/// INT-08.
fn one_intensive_run(device: &Device) -> Option<String> {
    one_of_a_kind(device, TriggerKind::ResourceIntensive)
}

/// TRGD-38.
fn one_servicing_run(device: &Device) -> Option<String> {
    one_of_a_kind(device, TriggerKind::DeviceServicing)
}

/// ACC-41; a schedule and a trigger that stands for one go together.
fn one_scheduled_task_per_app_and_kind(device: &Device) -> Option<String> {
    let mut seen = BTreeSet::new();
    let wrong = device.registrations().find(|r| {
        let kind = r.trigger.kind().scheduled();
        kind.is_some() != r.schedule.is_some()
            || kind.is_some_and(|kind| !seen.insert((&r.app, kind)))
    });
    wrong.map(|r| format!("the schedule of registration {} stands oddly", r.id.0))
}

/// EXP-01, CRS-01, RUN-43: what is not scheduled any more neither waits nor comes due.
fn only_what_is_scheduled_comes_due(device: &Device) -> Option<String> {
    let wrong = device.registrations().find(|r| {
        let over = r
            .schedule
            .as_ref()
            .filter(|schedule| schedule.scheduling != Scheduling::Scheduled);
        over.is_some_and(|schedule| waits(r) || r.due.is_some() || schedule.test.is_some())
    });
    wrong.map(|r| format!("registration {} is unscheduled and comes due", r.id.0))
}

/// EXP-01, EXP-06.
fn what_is_past_its_life_is_not_scheduled(device: &Device) -> Option<String> {
    let now = device.last.wall;
    let wrong = device.registrations().find(|r| {
        let schedule = r.schedule.as_ref().filter(|schedule| schedule.mortal);
        schedule.is_some_and(|schedule| {
            schedule.scheduling == Scheduling::Scheduled && schedule.expires <= now
        })
    });
    wrong.map(|r| format!("registration {} is past its life and scheduled", r.id.0))
}

/// RES-13, RES-16: frozen is only what the quota profile rations.
fn only_rationed_runs_are_frozen(device: &Device) -> Option<String> {
    let rationed = device.policy.quota_profile == QuotaProfile::Windows8;
    let wrong = device
        .runs()
        .filter(|run| run.suspended.is_some())
        .find(|run| !rationed || run.kind.is_critical() || run.kind.is_scheduled());
    wrong.map(|run| format!("run {} is frozen and not rationed", run.id.0))
}

/// MNG-08: an uninstall leaves nothing behind but runs that still have to end.
fn what_is_kept_of_apps_is_of_installed_ones(device: &Device) -> Option<String> {
    let kept: [(&str, Vec<&AppId>); 6] = [
        ("update", device.updates.keys().collect()),
        ("choice", device.choices.keys().collect()),
        ("front client", device.fronts.keys().collect()),
        (
            "consent",
            device.consents.keys().map(|(app, _)| app).collect(),
        ),
        ("quota", device.quotas.keys().collect()),
        ("grant", device.grants.keys().collect()),
    ];
    kept.into_iter().find_map(|(what, apps)| {
        let stray = apps.into_iter().find(|app| !device.apps.contains_key(*app));
        stray.map(|app| format!("a {what} of {app} is kept, which is not installed"))
    })
}

fn bounds_of_lists_hold(device: &Device) -> Option<String> {
    let arrivals = device.registrations().map(|r| r.arrivals.len()).max();
    let unheard = device.fronts.values().map(|front| front.unheard.len());
    let rows = [
        ("arrivals", arrivals.unwrap_or(0), bounds::ARRIVALS),
        ("news", unheard.max().unwrap_or(0), bounds::UNHEARD),
        ("consents", device.consents.len(), bounds::CONSENTS),
        ("debug sessions", device.debugged.len(), bounds::DEBUGGED),
        (
            "devices away",
            device.clock.unplugged.len(),
            bounds::UNPLUGGED,
        ),
    ];
    let over = rows.into_iter().find(|(_, count, bound)| count > bound);
    over.map(|(what, count, bound)| format!("{count} {what} are over the bound of {bound}"))
}

/// TRGD-20.
fn once_only_triggers_stand_once(device: &Device) -> Option<String> {
    let once_only = [
        TriggerKind::Application,
        TriggerKind::Media,
        TriggerKind::DeviceUse,
    ];
    let mut seen = BTreeSet::new();
    let double = device
        .registrations()
        .filter(|r| once_only.contains(&r.trigger.kind()))
        .find(|r| !seen.insert((&r.app, r.trigger.kind())));
    double.map(|r| format!("{} has two triggers as registration {}", r.app, r.id.0))
}

/// RUN-04, RUN-24: without its app an in-process run is asked to end. After a boot the launcher has the word first.
fn in_process_runs_have_their_app(device: &Device) -> Option<String> {
    let stray = device
        .runs()
        .filter(|run| run.host == HostKind::InProcess && !device.unconfirmed.contains(&run.id))
        .find(|run| !run.state.is_ending() && !device.fronts.contains_key(&run.app));
    stray.map(|run| format!("run {} has lost its app", run.id.0))
}

/// RES-22.
fn debugged_runs_are_not_asked_for_their_time(device: &Device) -> Option<String> {
    let wrong = device
        .runs()
        .find(|run| run.debugged && run.cancel_at.is_some());
    wrong.map(|run| format!("run {} is debugged and has a limit", run.id.0))
}

/// PSH-10.
fn offers_are_undecided(device: &Device) -> Option<String> {
    let stray = device
        .offers
        .keys()
        .find(|push| !device.pushes.contains_key(*push));
    stray.map(|push| format!("the push {push} is offered and decided"))
}
