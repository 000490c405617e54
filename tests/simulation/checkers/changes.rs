//! What changes around an app changes for its runs too: its front client goes, it is updated, the device boots.

use std::collections::{BTreeMap, BTreeSet};

use lull_policy::{
    App, AppId, Effect, Event, FrontState, HostKind, Observation, Outcome, RegistrationId, Run,
    RunId, RunState, SystemEvent, Task, TaskType, Trigger, TriggerKind,
};

use super::{Checker, Found, Turn, View};

#[derive(Debug, Default)]
pub(super) struct Changes {
    updating: BTreeSet<AppId>,
    versions: BTreeMap<AppId, String>,
}

impl Checker for Changes {
    fn rule(&self) -> &'static str {
        "RUN-02, RUN-24, TRG-30, AMB-36 changes"
    }

    fn turn(&mut self, view: &View, turn: Turn<'_>) -> Found {
        match &view.event {
            Some(Event::FrontChanged {
                app,
                state: FrontState::None,
            }) => goes_on(view, app, |run| {
                run.host == HostKind::InProcess || run.kind == TriggerKind::DeviceUse
            })?,
            Some(Event::RunEnded { run, .. }) => crashed(view, turn, *run)?,
            Some(Event::RunsHeld { runs }) => only_those(view, runs)?,
            _ => {}
        }
        if view.new_boot {
            about_somebody(view)?;
        }
        let over: Vec<AppId> = self.updating.difference(&view.updates).cloned().collect();
        self.updating.clone_from(&view.updates);
        for app in over {
            is_told(view, turn, &app)?;
        }
        self.versions.retain(|app, _| view.apps.contains_key(app));
        for (id, app) in &view.apps {
            let before = self.versions.insert(id.clone(), app.version.clone());
            if before.is_some_and(|before| before != app.version) {
                is_updated(view, turn, app)?;
            }
        }
        Ok(())
    }

    fn restored(&mut self, view: &View) {
        self.updating.clone_from(&view.updates);
        let apps = view.apps.iter();
        self.versions = apps
            .map(|(id, app)| (id.clone(), app.version.clone()))
            .collect();
    }
}

/// A run of the app that should have been asked or killed goes on.
fn goes_on(view: &View, app: &AppId, which: impl Fn(&Run) -> bool) -> Found {
    let spared = |run: &&Run| {
        let ends = matches!(run.state, RunState::Cancelling | RunState::Killing);
        run.app == *app && !ends && which(run)
    };
    match view.runs.values().find(spared) {
        None => Ok(()),
        Some(run) => Err(format!(
            "run {} goes on without the process of {app}",
            run.id.0
        )),
    }
}

/// RUN-02: the crash of an in-process run takes its app, and what else runs in it.
fn crashed(view: &View, turn: Turn<'_>, run: RunId) -> Found {
    let crash = turn.effects.iter().find_map(|effect| match effect {
        Effect::Notify {
            app,
            notice: lull_policy::Notice::Completion(finished),
        } if finished.id == run && finished.outcome == Outcome::UnhandledException => {
            Some(app.clone())
        }
        _ => None,
    });
    let inside = view.was_in_process == Some(run);
    match crash.filter(|_| inside) {
        Some(app) => {
            let killed: BTreeSet<RunId> = turn
                .effects
                .iter()
                .filter_map(|effect| match effect {
                    Effect::Kill { run } => Some(*run),
                    _ => None,
                })
                .collect();
            // One that begins after the crash begins in a new process.
            goes_on(view, &app, |run| {
                run.host == HostKind::InProcess
                    && run.state == RunState::Running
                    && !killed.contains(&run.id)
            })
        }
        None => Ok(()),
    }
}

/// A daemon that starts keeps no run that nobody holds, but for those it has just ordered.
fn only_those(view: &View, held: &[RunId]) -> Found {
    let lost = |run: &&Run| run.state != RunState::Starting && !held.contains(&run.id);
    match view.runs.values().find(lost) {
        None => Ok(()),
        Some(run) => Err(format!("run {} is kept and nobody holds it", run.id.0)),
    }
}

/// AMB-36: what waits for somebody who came or left is dropped by a boot.
fn about_somebody(view: &View) -> Found {
    let waits = view.registrations.values().find(|registration| {
        let about = matches!(
            registration.trigger,
            Trigger::System {
                event: SystemEvent::UserPresent
                    | SystemEvent::UserAway
                    | SystemEvent::SessionConnected,
                ..
            }
        );
        about && registration.latch.is_some()
    });
    match waits {
        None => Ok(()),
        Some(registration) => Err(format!(
            "a firing of registration {} survives a boot",
            registration.id.0
        )),
    }
}

/// TRG-35: with a new version its update task is due; without one the update is over.
fn is_updated(view: &View, turn: Turn<'_>, app: &App) -> Found {
    if app.declared_for(TaskType::UpdateTask).is_none() {
        return is_told(view, turn, &app.id);
    }
    let mut told = triggered(turn);
    if told.any(|task| task.app == app.id && task.trigger == TriggerKind::UpdateTask) {
        return Ok(());
    }
    Err(format!("{} is updated without its update task", app.id))
}

/// TRG-30: an update that is over is told to those who asked to hear of it.
fn is_told(view: &View, turn: Turn<'_>, app: &AppId) -> Found {
    if !view.apps.contains_key(app) {
        return Ok(());
    }
    let told: BTreeSet<RegistrationId> = triggered(turn).map(|task| task.id).collect();
    let unheard = view.registrations.values().find(|registration| {
        let listens = matches!(
            registration.trigger,
            Trigger::System {
                event: SystemEvent::ServicingComplete,
                ..
            }
        );
        let earlier = view.earlier(registration.id);
        listens
            && registration.app == *app
            && earlier.is_some_and(|earlier| !earlier.spent)
            && !told.contains(&registration.id)
    });
    match unheard {
        None => Ok(()),
        Some(registration) => Err(format!(
            "registration {} does not hear of the update of {app}",
            registration.id.0
        )),
    }
}

fn triggered(turn: Turn<'_>) -> impl Iterator<Item = &Task> {
    turn.effects.iter().filter_map(|effect| match effect {
        Effect::Observe(observation) => match &**observation {
            Observation::Triggered(task) => Some(task),
            _ => None,
        },
        _ => None,
    })
}
