//! Installed apps: what an install, an update or an uninstall does to grants, registrations and runs.
//!
//! The host says what is installed, whole; the difference is found here. How an update goes on from there
//! stands in [`update`](crate::update).

use std::collections::{BTreeMap, BTreeSet};

use crate::admission::{Facts, Gate, Obstacle, Words};
use crate::turn::Turn;
use crate::{
    App, AppId, Broken, CancelReason, DropReason, EntryPoint, Key, Trigger, bounds, trigger,
};

/// MNG-10: an entry point that the manifest no longer declares for this trigger makes a registration invalid.
pub(crate) const GATE: Gate = Gate {
    obstacle: Obstacle::Drop(DropReason::Invalid),
    applies: |_kind| true,
    closed: |facts| {
        let registration = facts.registration;
        !facts.device.broken(Broken::UndeclaredAccepted)
            && facts.app.is_none_or(|app| {
                undeclared(
                    app,
                    registration.entry_point.as_ref(),
                    &registration.trigger,
                )
                .is_some()
            })
    },
    words,
    sources: &[],
    waived_for_test: false,
};

fn words(facts: &Facts<'_>) -> Words {
    let registration = facts.registration;
    let app = &registration.app;
    let seen = match facts.app {
        None => format!("{app} is not installed"),
        Some(declared) => undeclared(
            declared,
            registration.entry_point.as_ref(),
            &registration.trigger,
        )
        .map_or_else(String::new, |(_, message)| message),
    };
    Words {
        seen,
        needs: format!("a manifest of {app} that declares the entry point for this trigger again"),
        ..Words::default()
    }
}

/// MAN-01 to MAN-03: what a manifest lacks for an entry point and trigger, as the field at fault and words. The app's own
/// process needs no declaration.
pub(crate) fn undeclared(
    app: &App,
    entry_point: Option<&EntryPoint>,
    trigger: &Trigger,
) -> Option<(&'static str, String)> {
    let entry_point = entry_point?;
    let needed = trigger::task_types(trigger.kind());
    let id = &app.id;
    let Some(agent) = app.agent(entry_point) else {
        let known: Vec<_> = app
            .agents
            .iter()
            .map(|agent| agent.entry_point.as_str())
            .collect();
        let known = if known.is_empty() {
            "none".to_owned()
        } else {
            known.join(", ")
        };
        return Some((
            "entry_point",
            format!("the manifest of {id} declares no agent {entry_point}; it declares {known}"),
        ));
    };
    let declared = needed.iter().any(|needed| agent.types.contains(needed));
    (!declared).then(|| {
        let needed: Vec<_> = needed
            .iter()
            .map(|needed| trigger::type_name(*needed))
            .collect();
        (
            "trigger",
            format!(
                "the manifest of {id} declares {entry_point} without the type {}; add it to its types",
                needed.join(" or "),
            ),
        )
    })
}

impl Turn<'_> {
    /// All apps that are installed now.
    pub(crate) fn apps(&mut self, installed: Vec<App>) {
        let installed = self.bounded(installed);
        let gone: Vec<_> = self
            .device
            .apps
            .keys()
            .filter(|id| !installed.contains_key(id))
            .cloned()
            .collect();
        for app in &gone {
            self.uninstall(app);
        }
        for (id, app) in installed {
            let pending = self.device.updates.get(&id).map(|update| &update.to);
            let before = pending.or_else(|| self.device.apps.get(&id));
            if before == Some(&app) {
                continue;
            }
            let updated = before.is_some_and(|before| before.version != app.version);
            if updated || self.device.updates.contains_key(&id) {
                self.begin_update(app);
            } else {
                self.put_app(app);
                // What waits meets the gates again: entry points gone (MNG-10).
                self.look_at_app(&id);
            }
        }
    }

    /// Takes a manifest in.
    pub(crate) fn put_app(&mut self, app: App) {
        let id = app.id.clone();
        self.device.index.add_app(&app);
        self.device.apps.insert(id.clone(), app);
        self.touch(Key::App(id));
    }

    /// At most [`bounds::APPS`]; those known already stay.
    fn bounded(&self, installed: Vec<App>) -> BTreeMap<AppId, App> {
        let mut apps: BTreeMap<_, _> = installed
            .into_iter()
            .map(|app| (app.id.clone(), app))
            .collect();
        let surplus = apps.len().saturating_sub(bounds::APPS);
        let new = |id: &&AppId| !self.device.apps.contains_key(*id);
        let left_out: BTreeSet<_> = apps
            .keys()
            .filter(new)
            .rev()
            .take(surplus)
            .cloned()
            .collect();
        apps.retain(|id, _| !left_out.contains(id));
        apps
    }

    /// MNG-08: runs are asked to cancel, registrations and the grant go.
    fn uninstall(&mut self, app: &AppId) {
        self.ask_app_to_cancel(app, CancelReason::Uninstall);
        for id in self.device.index.of_app(app) {
            self.remove_registration(id, DropReason::Uninstalled);
        }
        self.remove_grant(app);
        self.forget_app(app);
    }

    fn forget_app(&mut self, app: &AppId) {
        let device = &mut *self.device;
        device.index.remove_app(app);
        device.apps.remove(app);
        device.updates.remove(app);
        device.choices.remove(app);
        device.fronts.remove(app);
        device.debugged.retain(|(of, _)| of != app);
        if let Some(quota) = device.quotas.remove(app) {
            device.index.refills.remove(&(quota.refill, app.clone()));
        }
        let consents: Vec<Key> = device
            .consents
            .keys()
            .filter(|(of, _)| of == app)
            .map(|(of, device)| Key::Consent(of.clone(), device.clone()))
            .collect();
        device.consents.retain(|(of, _), _| of != app);
        for key in consents {
            self.touch(key);
        }
        for key in [
            Key::App(app.clone()),
            Key::Update(app.clone()),
            Key::Choices(app.clone()),
            Key::Front(app.clone()),
            Key::Quota(app.clone()),
        ] {
            self.touch(key);
        }
        self.warn_of_periodic_agents();
    }
}
