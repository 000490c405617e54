//! Installed apps: what an install, an update or an uninstall does to grants, registrations and runs.
//!
//! The host says what is installed, whole; the difference is found here. Absent: the update task (MNG-09).

use std::collections::{BTreeMap, BTreeSet};

use crate::admission::{Facts, Gate, Obstacle, Words};
use crate::turn::Turn;
use crate::{App, AppId, CancelReason, DropReason, EntryPoint, Key, Trigger, bounds, trigger};

/// MNG-10: an entry point that the manifest no longer declares for this trigger makes a registration invalid.
pub(crate) const GATE: Gate = Gate {
    obstacle: Obstacle::Drop(DropReason::Invalid),
    closed: |facts| {
        let registration = facts.registration;
        facts.app.is_none_or(|app| {
            undeclared(app, &registration.entry_point, registration.trigger).is_some()
        })
    },
    words,
};

fn words(facts: &Facts<'_>) -> Words {
    let registration = facts.registration;
    let app = &registration.app;
    let seen = match facts.app {
        None => format!("{app} is not installed"),
        Some(declared) => undeclared(declared, &registration.entry_point, registration.trigger)
            .map_or_else(String::new, |(_, message)| message),
    };
    Words {
        seen,
        needs: format!("a manifest of {app} that declares the entry point for this trigger again"),
        ..Words::default()
    }
}

/// MAN-01, MAN-03: what a manifest lacks for an entry point and trigger, as the field at fault and words.
pub(crate) fn undeclared(
    app: &App,
    entry_point: &EntryPoint,
    trigger: Trigger,
) -> Option<(&'static str, String)> {
    let needed = trigger::task_type(trigger);
    let id = &app.id;
    let Some(agent) = app
        .agents
        .iter()
        .find(|agent| agent.entry_point == *entry_point)
    else {
        let known: Vec<_> = app
            .agents
            .iter()
            .map(|agent| agent.entry_point.as_str())
            .collect();
        return Some((
            "entry_point",
            format!(
                "the manifest of {id} declares no agent {entry_point}; it declares {}",
                if known.is_empty() {
                    "none".to_owned()
                } else {
                    known.join(", ")
                },
            ),
        ));
    };
    (!agent.types.contains(&needed)).then(|| {
        (
            "trigger",
            format!(
                "the manifest of {id} declares {entry_point} without the type {}; add it to its types",
                trigger::type_name(needed),
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
            let before = self.device.apps.get(&id);
            if before == Some(&app) {
                continue;
            }
            let updated = before.is_some_and(|before| before.version != app.version);
            self.device.apps.insert(id.clone(), app);
            self.touch(Key::App(id.clone()));
            if updated {
                self.ask_app_to_cancel(&id, CancelReason::ServicingUpdate);
            }
            // What waits meets the gates again: access gone stale (AMB-07), entry points gone (MNG-10).
            self.look_at_app(&id);
        }
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
        self.device.apps.remove(app);
        self.touch(Key::App(app.clone()));
    }
}
