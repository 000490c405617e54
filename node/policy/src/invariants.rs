//! What is true of a device after every event, as numbered predicates.
//!
//! Shared by the simulator, debug builds and production, where a violation is counted and logged. A check looks
//! at the whole state: it is no part of a decision.

use std::collections::{BTreeMap, BTreeSet};

use crate::index::{Index, waits};
use crate::{Device, RunState, Source, Verdict, bounds};

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
const PREDICATES: [(u32, Predicate); 12] = [
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

/// A waiting verdict stands for exactly one latch or queued push, and the reverse (CND-03).
fn what_waits_has_a_waiting_verdict(device: &Device) -> Option<String> {
    let registrations = device.registrations();
    let held: BTreeSet<u64> = registrations
        .flat_map(|r| {
            r.latch
                .iter()
                .map(|l| l.firing)
                .chain(r.queue.iter().map(|q| q.firing))
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

/// RUN-23, AMB-11.
fn one_run_per_registration(device: &Device) -> Option<String> {
    let mut seen = BTreeSet::new();
    let double = device.runs().find(|run| !seen.insert(run.registration));
    double.map(|run| format!("registration {} has two runs", run.registration.0))
}

/// PSH-12.
fn one_push_run_per_app(device: &Device) -> Option<String> {
    let mut seen = BTreeSet::new();
    let double = device
        .runs()
        .filter(|run| run.push.is_some())
        .find(|run| !seen.insert(&run.app));
    double.map(|run| format!("{} has two push runs", run.app))
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
    let limited = |run: &&crate::Run| {
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

/// Every push taken on is waiting or running somewhere, or decided (rule book 0a).
fn undecided_pushes_have_a_holder(device: &Device) -> Option<String> {
    let orphan = device.pushes.keys().find(|push| {
        let holders = device.index.holders(push);
        holders.queued.is_empty() && holders.running.is_empty()
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
