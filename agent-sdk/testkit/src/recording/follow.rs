//! One life of a recorded device: its outside as recorded, its runs virtual, under the policy of that time or another.

use std::collections::{BTreeMap, BTreeSet};

use lull_document::policy_figures::FigureChange;
use lull_policy::{
    Answer, AppId, Device, DropReason, Event, Now, Observation, Policy, Refusal, RegistrationId,
    Request, Span, Task,
};
use lull_recording::Taken;

use super::Recording;
use super::study::{Asker, Study, TaskKey, What};
use crate::world::{Happening, World};

/// What such a life came to.
#[derive(Debug, Clone)]
pub(super) struct Life {
    /// Starts of each task.
    pub(super) starts: BTreeMap<TaskKey, u64>,
    /// Firings that were dropped, by reason.
    pub(super) dropped: BTreeMap<TaskKey, BTreeMap<DropReason, u64>>,
    /// Registrations that were refused here and not at the time.
    pub(super) refused: BTreeMap<TaskKey, Refusal>,
    /// Instants at which something started.
    pub(super) wake_ups: u64,
    /// Calls that could not be made: the run that made them, or the registration they name, is not there.
    pub(super) left_out: u64,
    /// At its end.
    pub(super) device: Device,
    pub(super) now: Now,
}

/// A life on its way.
#[derive(Debug)]
struct Follower<'f> {
    world: World,
    figures: &'f [FigureChange],
    /// The figures are in force.
    adopted: bool,
    /// A process of the daemon has not heard yet which runs there are: nothing falls due.
    starting: bool,
    /// Registrations by their recorded ids.
    ids: BTreeMap<RegistrationId, RegistrationId>,
    refused: BTreeMap<TaskKey, Refusal>,
    left_out: u64,
}

/// Lives through a recording; with no figures, under the policy of that time.
pub(super) fn follow(recording: &Recording, study: &Study, figures: &[FigureChange]) -> Life {
    let start = &recording.start;
    let world = World::resume(start, study.history.behaviours());
    let ids = world.device().registrations();
    let mut follower = Follower {
        ids: ids
            .map(|registration| (registration.id, registration.id))
            .collect(),
        starting: start.taken == Taken::Start,
        adopted: figures.is_empty(),
        figures,
        world,
        refused: BTreeMap::new(),
        left_out: 0,
    };
    if start.taken == Taken::UnderWay {
        follower.adopt();
    }
    for step in &study.steps {
        follower.reach(step.now, &step.what);
        follower.take(&step.what);
        follower.world.know(step.readings);
    }
    follower.sum_up()
}

impl Follower<'_> {
    /// Time passes up to a step. The daemon is away from the last entry before its start.
    fn reach(&mut self, now: Now, what: &What) {
        match what {
            What::Boot { boot, same } => {
                self.world.go_down();
                if *same {
                    self.world.come_back(boot.clone(), now);
                } else {
                    self.world.boot_anew(boot.clone(), now);
                }
                self.starting = true;
            }
            _ if self.starting => self.world.jump_to(now),
            _ => self.world.live_to(now),
        }
    }

    fn take(&mut self, what: &What) {
        match what {
            What::Boot { .. } => self.adopt(),
            What::Held => {
                self.starting = false;
                self.world.say_what_runs();
            }
            What::Policy(event) => {
                let event = self.changed(event.clone());
                self.world.relay(event);
            }
            What::Call {
                caller,
                request,
                registered,
            } => self.call(caller, request.clone(), *registered),
            What::Outside(event) => self.world.relay(event.clone()),
            // What happens at one instant comes before what falls due at it.
            What::Tick if !self.starting => self.world.settle(),
            What::Tick => {}
        }
    }

    /// The figures come into force, over the policy that is.
    fn adopt(&mut self) {
        if std::mem::replace(&mut self.adopted, true) {
            return;
        }
        let policy = self.with_figures(self.world.device().policy().clone());
        let generation = self.world.policy_generation();
        self.world.relay(if generation == 0 {
            Event::PolicyChanged(policy)
        } else {
            Event::PolicyDocument {
                generation: generation.saturating_add(1),
                policy,
            }
        });
    }

    /// A policy of that time, with the figures over it.
    fn changed(&self, event: Event) -> Event {
        if self.figures.is_empty() {
            return event;
        }
        match event {
            Event::PolicyChanged(policy) => Event::PolicyChanged(self.with_figures(policy)),
            // The figures came as a generation of their own.
            Event::PolicyDocument { generation, policy } => Event::PolicyDocument {
                generation: generation.saturating_add(1),
                policy: self.with_figures(policy),
            },
            other => other,
        }
    }

    fn with_figures(&self, mut policy: Policy) -> Policy {
        for figure in self.figures {
            figure.apply(&mut policy);
        }
        policy
    }

    fn call(&mut self, asker: &Asker, request: Request, registered: Option<RegistrationId>) {
        let caller = match asker {
            Asker::Outside(caller) => Some(caller.clone()),
            Asker::RunOf(app) => {
                let run = self.world.run_of(app);
                run.map(|run| lull_policy::Caller::Agent { run })
            }
        };
        let (Some(caller), Some(request)) = (caller, self.translated(request)) else {
            self.left_out += 1;
            return;
        };
        let registering = match &request {
            Request::Register { app, registration } => {
                Some((app.clone(), registration.name.clone()))
            }
            _ => None,
        };
        let answer = self.world.call(caller, request);
        match (answer, registered, registering) {
            (Some(Answer::Registered { id, .. }), Some(recorded), _) => {
                self.ids.insert(recorded, id);
            }
            (Some(Answer::Refused(refusal)), Some(_), Some(task)) => {
                self.refused.insert(task, refusal);
            }
            _ => {}
        }
    }

    /// A request with the ids of this life.
    fn translated(&self, request: Request) -> Option<Request> {
        let here = |id: RegistrationId| self.ids.get(&id).copied();
        Some(match request {
            Request::Unregister { app, id, cancel } => Request::Unregister {
                app,
                id: here(id)?,
                cancel,
            },
            Request::DebugFire { app, id } => Request::DebugFire { app, id: here(id)? },
            other => other,
        })
    }

    fn sum_up(mut self) -> Life {
        if !self.starting {
            self.world.settle();
        }
        let mut life = Life {
            starts: BTreeMap::new(),
            dropped: BTreeMap::new(),
            refused: self.refused,
            wake_ups: 0,
            left_out: self.left_out,
            now: self.world.now(),
            device: self.world.device().clone(),
        };
        let mut awake: BTreeSet<Span> = BTreeSet::new();
        for entry in self.world.drain() {
            let Happening::Observed(observation) = &entry.what else {
                continue;
            };
            match observation.as_ref() {
                Observation::Started { task, .. } => {
                    awake.insert(entry.at);
                    *life.starts.entry(key(task)).or_default() += 1;
                }
                Observation::Dropped { task, reason } => {
                    let reasons = life.dropped.entry(key(task)).or_default();
                    *reasons.entry(*reason).or_default() += 1;
                }
                _ => {}
            }
        }
        life.wake_ups = u64::try_from(awake.len()).unwrap_or(u64::MAX);
        life
    }
}

fn key(task: &Task) -> TaskKey {
    let app: AppId = task.app.clone();
    (app, task.task.clone())
}
