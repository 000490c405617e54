//! What is done to the device from outside: the steps of a scenario.

use lull_document::policy_figures::FigureChange;
use lull_policy::{AgentDeclaration, AppId, Event, Occurrence, Push, Reading, Request, Wall};

use super::Runner;
use crate::scenario::{
    Action, ClockStep, DeviceStep, OperatorStep, PushStep, SetStep, Step, ZoneReading,
};

impl Runner<'_> {
    /// Takes a step, and writes what came of it at once.
    pub(super) fn take(&mut self, step: &Step) {
        // What came before the step, a boot perhaps, stands before it.
        self.recorder.record(&mut self.world);
        match &step.action {
            Action::Call(call) => self.call(step, call),
            Action::Set(set) => self.set(set),
            Action::Event(event) => self.world.occur(event.clone()),
            Action::Push(push) => self.push(push),
            Action::Front { app, state } => self.world.set_front(app, *state),
            Action::Update {
                app,
                version,
                agents,
            } => self.update(app, version, agents.as_deref()),
            Action::Uninstall { app } => self.world.uninstall(app),
            Action::Operator(operator) => self.operate(operator),
            Action::Policy(figures) => self.apply(figures),
            Action::Device { what, down } => match what {
                DeviceStep::Restart => self.world.restart(*down),
                DeviceStep::Reboot => self.world.reboot(*down),
                DeviceStep::PowerCut => self.world.power_cut(*down),
                DeviceStep::Suspend => self.world.suspend(*down),
            },
            Action::Clock(by) => self.step_clock(*by),
            Action::Debugger { .. }
            | Action::Socket { .. }
            | Action::Channel { .. }
            | Action::Plug { .. }
            | Action::Files { .. }
            | Action::Bus { .. } => self.occur(&step.action),
        }
        self.recorder.record(&mut self.world);
    }

    fn update(&mut self, app: &AppId, version: &str, agents: Option<&[AgentDeclaration]>) {
        // An app that was removed comes back as the file describes it.
        let described = self.scenario.apps.iter().map(|described| &described.app);
        let described = described.filter(|described| described.id == *app);
        let Some(before) = self.world.app(app).into_iter().chain(described).next() else {
            return;
        };
        let mut update = before.clone();
        version.clone_into(&mut update.version);
        if let Some(agents) = agents {
            update.agents = agents.to_vec();
        }
        self.world.install(update);
    }

    /// A new generation of the device policy: the figures that a step names, over those in force.
    fn apply(&mut self, figures: &[FigureChange]) {
        for figure in figures {
            figure.apply(&mut self.policy);
        }
        self.generation += 1;
        self.world.deliver(Event::PolicyDocument {
            generation: self.generation,
            policy: self.policy.clone(),
        });
    }

    fn occur(&mut self, action: &Action) {
        let what = match action.clone() {
            Action::Debugger {
                app,
                task,
                attached,
            } => return self.world.debug(app, task, attached),
            Action::Socket { app, id, what } => Occurrence::Socket {
                app,
                id,
                activity: what,
            },
            Action::Channel { app, id, what } => Occurrence::Channel {
                app,
                id,
                activity: what,
            },
            Action::Plug { device, present } => Occurrence::Device { device, present },
            Action::Files { app, path } => Occurrence::FilesChanged { app, path },
            Action::Bus { app, event } => Occurrence::Bus { app, event },
            Action::Call(_)
            | Action::Set(_)
            | Action::Event(_)
            | Action::Push(_)
            | Action::Front { .. }
            | Action::Update { .. }
            | Action::Uninstall { .. }
            | Action::Operator(_)
            | Action::Policy(_)
            | Action::Device { .. }
            | Action::Clock(_) => return,
        };
        self.world.occur(what);
    }

    fn set(&mut self, set: &SetStep) {
        self.instruments.set(&set.readings);
        match &set.zone {
            None => {}
            Some(ZoneReading::Known(zone)) => self.world.set_zone(Some(zone.clone())),
            Some(ZoneReading::Unknown) => self.world.set_zone(None),
        }
        let reported: Vec<Reading> = self.instruments.report();
        self.world.set(reported);
    }

    fn push(&mut self, push: &PushStep) {
        self.world.deliver(Event::PushArrived(Push {
            id: push.id.clone(),
            app: push.app.clone(),
            payload: push.payload.clone(),
            expires: self.world.now().wall.after(push.ttl),
            retention: push.retention,
            priority: push.priority,
            collapse_key: push.collapse_key.clone(),
        }));
    }

    fn operate(&mut self, operator: &OperatorStep) {
        let app = &operator.app;
        let choice = operator.choice;
        if choice != lull_policy::Choice::default() {
            self.world.operate(Request::Choose {
                app: app.clone(),
                choice,
            });
        }
        if let Some(status) = operator.access {
            self.grant(app, status);
        }
    }

    fn step_clock(&mut self, by: ClockStep) {
        let now = self.world.now().wall.as_millis();
        let to = match by {
            ClockStep::Forward(span) => now.saturating_add(span.as_millis()),
            ClockStep::Back(span) => now.saturating_sub(span.as_millis()),
        };
        self.world.step_clock(Wall::from_millis(to));
    }
}
