//! Occurrences: what is no reading, and whom it concerns.

use crate::trigger::{Route, watched};
use crate::turn::Turn;
use crate::{
    AppId, Broken, CancelReason, ChannelActivity, Details, Key, Occurrence, RegistrationId,
    Subject, SystemEvent, bounds,
};

impl Turn<'_> {
    /// Something that is no reading happened.
    pub(crate) fn occurred(&mut self, occurrence: Occurrence) {
        if self.device.broken(Broken::OccurrencesIgnored)
            || self.device.broken(Broken::OnlyTrafficCounts) && !crate::broken::traffic(&occurrence)
        {
            return;
        }
        match occurrence {
            Occurrence::SmsReceived { app } => self.sms_received(app.as_ref()),
            Occurrence::ControlChannelReset { app } => {
                self.system_event(SystemEvent::ControlChannelReset, app.as_ref());
            }
            Occurrence::OnlineIdChanged => {
                self.system_event(SystemEvent::OnlineIdConnectedStateChange, None);
            }
            Occurrence::LogOff { app } => self.log_off(app.as_ref()),
            Occurrence::Socket { app, id, activity } => {
                let route = Route::Socket(app, id.clone());
                self.arrive_at(&route, &Details::Socket { id, activity });
            }
            Occurrence::Channel { app, id, activity } => {
                if activity == ChannelActivity::Reset {
                    self.system_event(SystemEvent::ControlChannelReset, Some(&app));
                } else {
                    let route = Route::Channel(app, id.clone());
                    self.arrive_at(&route, &Details::Channel { id, activity });
                }
            }
            Occurrence::Device { device, present } => self.device_came_or_went(&device, present),
            Occurrence::FilesChanged { app, path } => {
                for id in self.device.index.routed(&Route::Files(app, path)) {
                    self.fire(id);
                }
            }
            Occurrence::Bus { app, event } => {
                let route = Route::Bus(app, event.clone());
                self.arrive_at(&route, &Details::Bus { event });
            }
            Occurrence::Debugger {
                app,
                task,
                attached,
            } => self.debugger(&app, task, attached),
        }
    }

    fn arrive_at(&mut self, route: &Route, details: &Details) {
        for id in self.device.index.routed(route) {
            self.arrive(id, details.clone());
        }
    }

    /// TRG-04: a text message carries something to tell, so it queues.
    fn sms_received(&mut self, app: Option<&AppId>) {
        let route = Route::System(SystemEvent::SmsReceived);
        for id in self.device.index.routed(&route) {
            if self.hears(id, app) {
                self.arrive(id, Details::Sms);
            }
        }
    }

    /// Whether an occurrence that may be for one app only is for this registration.
    pub(crate) fn hears(&self, id: RegistrationId, app: Option<&AppId>) -> bool {
        let everybody = self.device.broken(Broken::EverybodyHears);
        let own = self.device.registrations.get(&id).map(|r| &r.app);
        everybody || app.is_none_or(|app| own == Some(app))
    }

    /// RUN-16: trigger tasks are asked to cancel; scheduled agents know no such request.
    fn log_off(&mut self, app: Option<&AppId>) {
        let runs = self.device.runs.values();
        let concerned: Vec<_> = runs
            .filter(|run| !run.kind.is_scheduled() && app.is_none_or(|app| run.app == *app))
            .map(|run| run.id)
            .collect();
        for run in concerned {
            self.ask_to_cancel(run, CancelReason::LoggingOff);
        }
    }

    fn device_came_or_went(&mut self, device: &Subject, present: bool) {
        let unplugged = &mut self.device.clock.unplugged;
        let changed = if present {
            unplugged.remove(device)
        } else {
            unplugged.len() < bounds::UNPLUGGED && unplugged.insert(device.clone())
        };
        if changed {
            self.touch(Key::Device);
        }
        if !present {
            self.cancel_use_of(device, None);
        }
        let watchers = self.device.index.routed(&Route::Devices);
        for id in watchers {
            let concerned = self.device.registrations.get(&id).is_some_and(|r| {
                watched::matches(&r.trigger, device) || self.device.broken(Broken::EverybodyHears)
            });
            if concerned {
                let device = device.clone();
                self.arrive(id, Details::Device { device, present });
            }
        }
    }
}
