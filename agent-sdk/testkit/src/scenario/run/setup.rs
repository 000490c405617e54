//! What is there at T+0: it is no event and writes no line.

use std::collections::BTreeMap;

use lull_policy::{
    AccessChoice, AccessStatus, AppId, Caller, Choice, FrontState, Readings, Request,
};

use super::Runner;
use super::instruments::Instruments;
use crate::scenario::timeline::Recorder;
use crate::scenario::{InstalledApp, Scenario};
use crate::world::{Beginning, World, ZoneWatch};

impl<'s> Runner<'s> {
    /// The scenario's device as it is at T+0.
    pub(super) fn new(scenario: &'s Scenario) -> Self {
        let instruments = Instruments::new(scenario.profile.clone(), scenario.readings);
        let beginning = beginning(scenario, &instruments);
        Self::set_out(scenario, instruments, beginning)
    }

    /// The same, and what the machine is told is recorded.
    pub(super) fn recorded(scenario: &'s Scenario) -> Self {
        let instruments = Instruments::new(scenario.profile.clone(), scenario.readings);
        let beginning = Beginning {
            recorded: true,
            ..beginning(scenario, &instruments)
        };
        Self::set_out(scenario, instruments, beginning)
    }

    /// The same with a broken decision.
    #[cfg(feature = "sabotage")]
    pub(super) fn on_broken(scenario: &'s Scenario, sabotage: &lull_policy::Sabotage) -> Self {
        let instruments = Instruments::new(scenario.profile.clone(), scenario.readings);
        let beginning = Beginning {
            sabotage: sabotage.clone(),
            ..beginning(scenario, &instruments)
        };
        Self::set_out(scenario, instruments, beginning)
    }

    fn set_out(scenario: &'s Scenario, instruments: Instruments, beginning: Beginning) -> Self {
        let world = World::new(beginning);
        let mut runner = Self {
            scenario,
            world,
            instruments,
            policy: scenario.policy.clone(),
            generation: 0,
            recorder: Recorder::default(),
            failures: Vec::new(),
        };
        runner.world.quiet = true;
        for app in &scenario.apps {
            runner.set_up(app);
        }
        runner.world.quiet = false;
        runner
    }

    fn set_up(&mut self, app: &InstalledApp) {
        let id = &app.app.id;
        let tasks: BTreeMap<_, _> = app.behaviours.clone();
        self.world.behaviours().of_tasks(id.clone(), tasks);
        let choice = Choice {
            pinned: Some(app.choices.pinned),
            lock_screen: Some(app.choices.lock_screen),
            auto_upload: Some(app.choices.auto_upload),
            agents_disabled: Some(app.choices.agents_disabled),
        };
        self.world.operate(Request::Choose {
            app: id.clone(),
            choice,
        });
        if app.access != AccessStatus::Unspecified {
            self.grant(id, app.access);
        }
        if app.front != FrontState::None {
            self.world.set_front(id, app.front);
        }
    }

    /// Makes this an app's grant from now on: by the operator's choice, and by the app's asking where it needs that.
    pub(super) fn grant(&mut self, app: &AppId, status: AccessStatus) {
        let choice = match status {
            AccessStatus::Unspecified | AccessStatus::AllowedSubjectToSystemPolicy => None,
            AccessStatus::AlwaysAllowed => Some(AccessChoice::Always),
            AccessStatus::DeniedByUser => Some(AccessChoice::Never),
            AccessStatus::DeniedBySystemPolicy => Some(AccessChoice::DeniedBySystem),
        };
        self.world.operate(Request::SetAccess {
            app: app.clone(),
            choice,
        });
        let asked = match status {
            AccessStatus::Unspecified => Request::RemoveAccess { app: app.clone() },
            AccessStatus::AllowedSubjectToSystemPolicy | AccessStatus::AlwaysAllowed => {
                Request::RequestAccess { app: app.clone() }
            }
            AccessStatus::DeniedByUser | AccessStatus::DeniedBySystemPolicy => return,
        };
        let foreground = self.world.front(app) == FrontState::Foreground;
        let caller = Caller::Front {
            app: app.clone(),
            foreground,
        };
        self.world.ask(caller, asked);
    }
}

fn beginning(scenario: &Scenario, instruments: &Instruments) -> Beginning {
    let mut readings = Readings::default();
    for reading in instruments.report() {
        readings.put(reading);
    }
    Beginning {
        wall: scenario.start,
        profile: scenario.profile.profile.clone(),
        policy: scenario.policy.clone(),
        readings,
        zone: Some(ZoneWatch::new(scenario.zone.clone())),
        apps: scenario.apps.iter().map(|app| app.app.clone()).collect(),
        recorded: false,
        #[cfg(feature = "sabotage")]
        sabotage: lull_policy::Sabotage::default(),
    }
}
