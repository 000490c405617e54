//! What is read from the machine for lists and status. Reads only; each runs where the machine lives, and is short.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use lull_policy::{
    AppId, Device, Explanation, Level, Now, PerMille, Registration, RegistrationId, TaskName,
    TaskState, Zone,
};
use lull_proto::local::v1 as wire;

use super::convert::{
    access, condition_out, explanation, finished, moment, trigger_out, under_way, wish as wished,
    word,
};
use crate::ports::{AppOwners, ReloadReport};
use crate::status::{Status, reading};

/// Tasks in one answer: every registration of 32 full apps. A device with more is read app by app.
const TASKS: usize = 32 * 128;

/// Registrations, all or of one app.
pub(super) fn tasks(device: &Device, now: Now, app: Option<&AppId>) -> Vec<wire::Task> {
    let listed: Vec<&Registration> = device
        .registrations()
        .filter(|registration| app.is_none_or(|app| registration.app == *app))
        .take(TASKS)
        .collect();
    // One explanation covers all registrations of a name; an app may have a hundred of one.
    let names: BTreeSet<_> = listed.iter().map(|one| (&one.app, &one.name)).collect();
    let explained = names
        .into_iter()
        .flat_map(|(app, name)| device.explain(now, app, name));
    let explained: BTreeMap<RegistrationId, Explanation> =
        explained.map(|one| (one.registration, one)).collect();
    let tasks = listed.into_iter().map(|registration| {
        let id = registration.id;
        task(registration, explained.get(&id), device.state_of(id))
    });
    tasks.collect()
}

fn task(
    registration: &Registration,
    explained: Option<&Explanation>,
    state: TaskState,
) -> wire::Task {
    let waits = state == TaskState::Waiting;
    let reasons = explained.iter().flat_map(|explained| &explained.reasons);
    let conditions = registration.conditions.iter();
    wire::Task {
        id: registration.id.0,
        app: registration.app.to_string(),
        name: registration.name.to_string(),
        entry_point: entry_point(registration),
        trigger: Some(trigger_out(&registration.trigger)),
        conditions: conditions
            .map(|condition| condition_out(*condition).into())
            .collect(),
        state: word(&state),
        reasons: reasons
            .filter(|_| waits)
            .map(|why| format!("{}: {}", word(&why.reason), why.seen))
            .collect(),
        registered_at: Some(moment(registration.registered_at)),
        next: explained.and_then(|explained| explained.next).map(moment),
        runs: registration.runs,
    }
}

/// Empty for what runs in the app's own process.
fn entry_point(registration: &Registration) -> String {
    let entry_point = registration.entry_point.as_ref();
    entry_point.map(ToString::to_string).unwrap_or_default()
}

/// Explanations of one task, or of all of an app.
pub(super) fn why(
    device: &Device,
    now: Now,
    app: &AppId,
    task: Option<&TaskName>,
) -> Vec<wire::Explanation> {
    let names: BTreeSet<&TaskName> = match task {
        Some(task) => BTreeSet::from([task]),
        None => device
            .registrations()
            .filter(|registration| registration.app == *app)
            .map(|registration| &registration.name)
            .collect(),
    };
    let explained = names
        .into_iter()
        .flat_map(|name| device.explain(now, app, name));
    explained.map(|one| explanation(&one)).collect()
}

/// Explanations of whatever starves, of any app.
pub(super) fn starving(device: &Device, now: Now) -> Vec<wire::Explanation> {
    let starving = device.starving(now);
    let starving: BTreeSet<RegistrationId> = starving.iter().map(|one| one.registration).collect();
    let names: BTreeSet<_> = starving
        .iter()
        .filter_map(|id| device.registration(*id))
        .map(|registration| (&registration.app, &registration.name))
        .take(TASKS)
        .collect();
    let explained = names
        .into_iter()
        .flat_map(|(app, name)| device.explain(now, app, name));
    explained
        .filter(|one| starving.contains(&one.registration))
        .map(|one| explanation(&one))
        .collect()
}

/// Runs under way, then the newest that ended.
pub(super) fn runs(
    device: &Device,
    status: &Status,
    app: Option<&AppId>,
    limit: usize,
) -> Vec<wire::Run> {
    let wanted = |id: &AppId| app.is_none_or(|app| id == app);
    let now = device.runs().filter(|run| wanted(&run.app));
    let mut ended: Vec<_> = device.finished().filter(|run| wanted(&run.app)).collect();
    ended.reverse();
    now.map(|run| under_way(run, status.processes.get(&run.id)))
        .chain(ended.into_iter().map(finished))
        .take(limit)
        .collect()
}

/// Installed apps, as the machine knows them.
pub(super) fn apps(device: &Device, owners: &dyn AppOwners) -> Vec<wire::App> {
    device
        .apps()
        .map(|app| {
            let registrations = device.registrations().filter(|r| r.app == app.id).count();
            let wish = device.wish(&app.id);
            wire::App {
                wish: wish
                    .map_or(wire::AccessKind::Unspecified, |wish| wished(wish.kind))
                    .into(),
                wish_reason: wish.map(|wish| wish.reason.clone()).unwrap_or_default(),
                app: app.id.to_string(),
                version: app.version.clone(),
                access: access(device.access(&app.id)).into(),
                user: owners.user_of(&app.id).unwrap_or_default(),
                entry_points: app
                    .agents
                    .iter()
                    .map(|agent| agent.entry_point.to_string())
                    .collect(),
                registrations: u32::try_from(registrations).unwrap_or(u32::MAX),
            }
        })
        .collect()
}

/// Manifests that were refused.
pub(super) fn refused(report: &ReloadReport) -> Vec<wire::RefusedManifest> {
    let refused = report.refused.iter();
    refused
        .map(|refused| wire::RefusedManifest {
            path: refused.path.display().to_string(),
            error: refused.error.clone(),
        })
        .collect()
}

/// The device's status.
pub(super) fn status(device: &Device, board: Status) -> wire::GetStatusResponse {
    let readings = readings(device, &board);
    let mut counters: HashMap<String, u64> = board
        .counters
        .iter()
        .map(|(name, n)| ((*name).to_owned(), *n))
        .collect();
    counters.insert("firings".to_owned(), device.firings());
    counters.insert(
        "receipts-waiting".to_owned(),
        count(device.receipts().count()),
    );
    counters.insert(
        "registrations".to_owned(),
        count(device.registrations().count()),
    );
    counters.insert("runs".to_owned(), count(device.runs().count()));
    wire::GetStatusResponse {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        device: board.device,
        connected: board.connected,
        coordinator: board.coordinator,
        readings,
        cannot_enforce: board.cannot_enforce.into_iter().collect(),
        pid: std::process::id(),
        launcher_pid: board.launcher_pid,
        counters,
        store_set_aside: board
            .store_set_aside
            .map(|path| path.display().to_string())
            .unwrap_or_default(),
        store_damage: board.store_damage,
        store_trouble: board.store_trouble,
    }
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

fn readings(device: &Device, board: &Status) -> Vec<wire::Reading> {
    let now = device.readings();
    let line = |name: &'static str, (value, certainty): (String, &str)| wire::Reading {
        name: name.to_owned(),
        value,
        certainty: certainty.to_owned(),
        source: board.sources.get(name).cloned().unwrap_or_default(),
    };
    let yes_or_no =
        |level: Level<bool>| shown(level, |yes| if yes { "yes" } else { "no" }.to_owned());
    vec![
        line(reading::EXTERNAL_POWER, yes_or_no(now.external_power)),
        line(reading::BATTERY, shown(now.battery, percent)),
        line(reading::BATTERY_SAVER, yes_or_no(now.battery_saver)),
        line(reading::SAVER_MANUAL, yes_or_no(now.saver_manual)),
        line(
            reading::NETWORK,
            shown(now.network, |network| word(&network)),
        ),
        line(reading::INTERNET, yes_or_no(now.internet)),
        line(reading::METERED, yes_or_no(now.metered)),
        line(
            reading::SESSION,
            shown(now.session, |session| word(&session)),
        ),
        line(reading::USER_PRESENT, yes_or_no(now.user_present)),
        line(reading::SCREEN_LOCKED, yes_or_no(now.screen_locked)),
        line(reading::SCREEN_ON, yes_or_no(now.screen_on)),
        line(reading::STANDBY, yes_or_no(now.standby)),
        line(reading::CALL, shown(now.call, |call| word(&call))),
        line(reading::ZONE, shown(now.zone, distance)),
        line(reading::CPU_PRESSURE, shown(now.cpu_pressure, percent)),
    ]
}

fn shown<T>(level: Level<T>, text: impl FnOnce(T) -> String) -> (String, &'static str) {
    match level {
        Level::Unknown => (String::new(), "unknown"),
        Level::Known(value) => (text(value), "known"),
        Level::Assumed(value) => (text(value), "assumed"),
    }
}

/// A zone's distance from UTC; its name is the host's own number.
fn distance(zone: Zone) -> String {
    let minutes = zone.offset.unsigned_abs() / 60;
    let sign = if zone.offset < 0 { '-' } else { '+' };
    format!("UTC{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

fn percent(charge: PerMille) -> String {
    let tenths = charge.as_tenths();
    format!("{}.{} %", tenths / 10, tenths % 10)
}
