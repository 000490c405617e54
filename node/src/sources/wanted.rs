//! What registrations want to be told of, within bounds.

use std::collections::{BTreeMap, BTreeSet};

use lull_policy::{AppId, Device, Subject, SystemEvent, Trigger};

use super::subject;

/// Paths of one app. Each takes up to 17 of the kernel's watches, of which a device has thousands for all of its processes.
pub(super) const PATHS_PER_APP: usize = 32;

/// Signals of the bus, of all apps. The bus lets one connection have 512 rules.
pub(super) const SIGNALS: usize = 256;

/// What is wanted by whom.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Wanted {
    /// Paths, and whose watches they are.
    pub(super) files: BTreeMap<Subject, BTreeSet<AppId>>,
    /// Signals, and for whom.
    pub(super) signals: BTreeMap<Subject, BTreeSet<AppId>>,
    /// Somebody watches devices, or uses one (TRGD-30).
    pub(super) devices: bool,
    /// Somebody waits for text messages.
    pub(super) sms: bool,
    /// Somebody waits for another identity.
    pub(super) identity: bool,
    /// What is not watched, and why.
    pub(super) left_out: BTreeSet<String>,
}

impl Wanted {
    /// What the registrations want that can still fire.
    pub(super) fn of(device: &Device) -> Self {
        let mut wanted = Self::default();
        let mut paths: BTreeMap<&AppId, BTreeSet<&Subject>> = BTreeMap::new();
        for registration in device.registrations().filter(|one| !one.spent) {
            let app = &registration.app;
            match &registration.trigger {
                Trigger::Files { path } => {
                    paths.entry(app).or_default().insert(path);
                }
                Trigger::Bus { event } => wanted.signal(app, event),
                Trigger::DeviceWatcher { .. } | Trigger::DeviceUse | Trigger::DeviceServicing => {
                    wanted.devices = true;
                }
                Trigger::System { event, .. } => {
                    wanted.sms |= *event == SystemEvent::SmsReceived;
                    wanted.identity |= *event == SystemEvent::OnlineIdConnectedStateChange;
                }
                Trigger::Timer { .. }
                | Trigger::Maintenance { .. }
                | Trigger::Push
                | Trigger::ControlChannel { .. }
                | Trigger::Socket { .. }
                | Trigger::Application
                | Trigger::Media
                | Trigger::Reserved { .. }
                | Trigger::Periodic
                | Trigger::ResourceIntensive
                | Trigger::UpdateTask => {}
            }
        }
        for (app, paths) in paths {
            wanted.paths(app, paths);
        }
        wanted
    }

    fn paths(&mut self, app: &AppId, paths: BTreeSet<&Subject>) {
        let mut taken = 0;
        for path in paths {
            if let Err(error) = subject::path(path.as_str()) {
                self.left_out
                    .insert(format!("{app} watches nothing: {error}"));
            } else if taken == PATHS_PER_APP {
                self.left_out.insert(format!(
                    "{app} asks for more than {PATHS_PER_APP} paths (TRG-48): those from {path} on are not watched; name a folder that holds them"
                ));
                return;
            } else {
                taken += 1;
                self.files
                    .entry(path.clone())
                    .or_default()
                    .insert(app.clone());
            }
        }
    }

    fn signal(&mut self, app: &AppId, event: &Subject) {
        if let Err(error) = subject::event(event.as_str()) {
            self.left_out
                .insert(format!("{app} hears nothing: {error}"));
        } else if self.signals.len() < SIGNALS || self.signals.contains_key(event) {
            self.signals
                .entry(event.clone())
                .or_default()
                .insert(app.clone());
        } else {
            self.left_out.insert(format!(
                "apps ask for more than {SIGNALS} signals of the bus (TRG-47): those beyond are not heard"
            ));
        }
    }
}
