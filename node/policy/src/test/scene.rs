//! Devices, apps and circumstances that several tests set up, and what was told of a device since it began.

use super::*;

pub(crate) const SECOND: u64 = 1_000;
pub(crate) const HOUR: u64 = 60 * MINUTE;
pub(crate) const DAY: u64 = 24 * HOUR;
pub(crate) const PERIODIC: ScheduledKind = ScheduledKind::Periodic;
pub(crate) const INTENSIVE: ScheduledKind = ScheduledKind::ResourceIntensive;

/// An app whose one agent may be registered for everything.
pub(crate) fn app(id: &str) -> App {
    App {
        id: app_id(id),
        version: "1.0".to_owned(),
        agents: vec![AgentDeclaration {
            entry_point: EntryPoint::new("sync").unwrap(),
            types: vec![
                TaskType::General,
                TaskType::SystemEvent,
                TaskType::Timer,
                TaskType::PushNotification,
                TaskType::ControlChannel,
                TaskType::DeviceUse,
                TaskType::DeviceServicing,
                TaskType::MediaProcessing,
            ],
            memory: None,
            time: None,
            multiple_instances: false,
            resource_group: None,
        }],
        capabilities: usual_capabilities(),
        signed_by: Signer::None,
    }
}

/// As [`app`], with a scheduled agent and an update task.
pub(crate) fn full_app(id: &str) -> App {
    let mut full = app(id);
    for (entry_point, only) in [
        ("upkeep", TaskType::Scheduled),
        ("updater", TaskType::UpdateTask),
    ] {
        full.agents.push(AgentDeclaration {
            entry_point: EntryPoint::new(entry_point).unwrap(),
            types: vec![only],
            ..full.agents[0].clone()
        });
    }
    full
}

/// A run under way, for tests of pure functions over one.
pub(crate) fn run() -> Run {
    Run {
        id: RunId(1),
        registration: RegistrationId(1),
        app: app_id("mail"),
        task: task("sync"),
        entry_point: Some(EntryPoint::new("sync").unwrap()),
        number: 1,
        state: RunState::Running,
        started: Wall::from_millis(0),
        started_running: Running::from_millis(0),
        cancel_at: None,
        kill_at: None,
        cancel_reason: None,
        said: None,
        progress: None,
        push: None,
        attempt: 1,
        memory: None,
        kind: TriggerKind::Timer,
        host: HostKind::OutOfProcess,
        details: None,
        network_requested: false,
        network: true,
        suspended: None,
        debugged: false,
        termination: None,
        waived: Vec::new(),
    }
}

pub(crate) fn subject(text: &str) -> Subject {
    Subject::new(text).unwrap()
}

/// A request for a run in the app's own process.
pub(crate) fn in_process(name: &str, trigger: Trigger) -> RegistrationRequest {
    RegistrationRequest::new(task(name), None, trigger)
}

pub(crate) const fn system(event: SystemEvent) -> Trigger {
    Trigger::System {
        event,
        one_shot: false,
    }
}

/// A word for each way a call can be refused.
pub(crate) const fn refusal(answer: &Answer) -> &'static str {
    match answer {
        Answer::Refused(refusal) => match refusal {
            Refusal::AccessDenied { .. } => "access-denied",
            Refusal::InvalidArgument { .. } => "invalid-argument",
            Refusal::AlreadyExists { .. } => "already-exists",
            Refusal::LimitReached { .. } => "limit-reached",
            Refusal::NotFound { .. } => "not-found",
            Refusal::PermissionDenied { .. } => "permission-denied",
            Refusal::Unsupported { .. } => "unsupported",
            Refusal::FailedPrecondition { .. } => "failed-precondition",
        },
        _ => "ok",
    }
}

/// How a run is made to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// It says that it is done.
    Done,
    /// It returns without a word.
    Silent,
    /// It says that it cannot do its work.
    Abort,
    /// A plain command's abort.
    Status75,
    /// An unhandled error.
    Crash,
    /// It passes its memory cap.
    Memory,
    /// It passes its time.
    Time,
    /// The device is short of memory.
    Terminated,
}

impl Bench {
    /// A powered device in developer mode, with these full apps installed and allowed.
    pub(crate) fn with(ids: &[&str]) -> Self {
        let mut bench = Self::bare();
        bench.profile(Profile {
            developer_mode: true,
            ..Profile::default()
        });
        bench.install(ids.iter().map(|id| full_app(id)).collect());
        bench.read(&[Reading::ExternalPower(Level::Known(true))]);
        bench
    }

    /// As [`Bench::with`], with `mail` alone.
    pub(crate) fn full() -> Self {
        Self::with(&["mail"])
    }

    pub(crate) fn profile(&mut self, profile: Profile) {
        self.send(Event::ProfileChanged(profile));
    }

    pub(crate) fn policy(&mut self, policy: Policy) {
        self.send(Event::PolicyChanged(policy));
    }

    /// These apps are installed, and each asks for access.
    pub(crate) fn install(&mut self, apps: Vec<App>) {
        let ids: Vec<AppId> = apps.iter().map(|app| app.id.clone()).collect();
        self.send(Event::Apps(apps));
        for app in ids {
            self.ask(Request::RequestAccess { app });
        }
    }

    /// Everything that a resource-intensive agent needs, but for the settling.
    pub(crate) fn eligible(&mut self) {
        self.read(&[
            Reading::ExternalPower(Level::Known(true)),
            Reading::Battery(Level::Known(PerMille::percent(100))),
            Reading::Network(Level::Known(Network::Wifi)),
            Reading::Internet(Level::Known(true)),
            Reading::ScreenLocked(Level::Known(true)),
            Reading::Call(Level::Known(Call::None)),
        ]);
    }

    /// Lets so much time pass as a host does.
    pub(crate) fn go(&mut self, millis: u64) -> Vec<Effect> {
        self.until(self.now.elapsed.as_millis() + millis)
    }

    pub(crate) fn try_add(&mut self, app: &str, kind: ScheduledKind) -> Answer {
        self.ask(Request::AddScheduled {
            app: app_id(app),
            kind,
            description: "keeps things in step".to_owned(),
            expires: None,
        })
    }

    pub(crate) fn add(&mut self, app: &str, kind: ScheduledKind) -> RegistrationId {
        match self.try_add(app, kind) {
            Answer::Registered { id, .. } => id,
            other => panic!("not scheduled: {other:?}"),
        }
    }

    pub(crate) fn remove(&mut self, app: &str, kind: ScheduledKind) -> Answer {
        let app = app_id(app);
        self.ask(Request::RemoveScheduled { app, kind })
    }

    pub(crate) fn choose(&mut self, choice: Choice) -> Answer {
        let app = app_id("mail");
        self.ask(Request::Choose { app, choice })
    }

    pub(crate) fn schedule_of(&self, kind: ScheduledKind) -> Schedule {
        let found = self.device.scheduled(&app_id("mail"), kind).unwrap();
        found.schedule.as_deref().unwrap().clone()
    }

    pub(crate) fn scheduling(&self, kind: ScheduledKind) -> Scheduling {
        self.schedule_of(kind).scheduling
    }

    /// The next run that starts, within the 40 minutes in which a periodic agent has to.
    pub(crate) fn next_run(&mut self) -> u64 {
        for _ in 0..=40 * 60 {
            if let Some(run) = self.device.runs().next() {
                return run.id.0;
            }
            self.go(SECOND);
        }
        panic!("nothing starts within 40 minutes");
    }

    pub(crate) fn report(&mut self, run: u64, report: Report) {
        let run = RunId(run);
        self.send(Event::RunReported { run, report });
    }

    pub(crate) fn finish(&mut self, run: u64, end: End) {
        self.start(run);
        let exit = match end {
            End::Done => {
                self.report(run, Report::Completed);
                Exit::Status(0)
            }
            End::Silent => Exit::Status(0),
            End::Abort => {
                let message = "no server".to_owned();
                self.report(run, Report::Aborted { message });
                Exit::Status(0)
            }
            End::Status75 => Exit::Status(75),
            End::Crash => Exit::Signal(11),
            End::Memory => Exit::MemoryExceeded,
            End::Time => {
                self.go(25 * SECOND);
                Exit::Signal(9)
            }
            End::Terminated => {
                self.send(Event::MemoryShort);
                Exit::Signal(9)
            }
        };
        self.end(run, exit);
    }

    pub(crate) fn occurs(&mut self, occurrence: Occurrence) {
        self.send(Event::Occurred(occurrence));
    }

    /// The one run under way.
    pub(crate) fn only_run(&self) -> Run {
        let runs: Vec<_> = self.device.runs().collect();
        assert_eq!(runs.len(), 1, "{runs:?}");
        runs[0].clone()
    }

    /// When runs of a task started, in real milliseconds since the bench was set up.
    pub(crate) fn starts(&self, app: &str, name: &str) -> Vec<u64> {
        let started = |told: &(u64, Observation)| match &told.1 {
            Observation::Started { task: of, .. } => {
                (of.app == app_id(app) && of.task == task(name)).then_some(told.0)
            }
            _ => None,
        };
        self.told.iter().filter_map(started).collect()
    }

    /// Why firings of a task of `mail` were dropped.
    pub(crate) fn drops(&self, name: &str) -> Vec<DropReason> {
        let dropped = |told: &(u64, Observation)| match &told.1 {
            Observation::Dropped { task: of, reason } => (of.task == task(name)).then_some(*reason),
            _ => None,
        };
        self.told.iter().filter_map(dropped).collect()
    }

    /// What a registration waits for now.
    pub(crate) fn waits_for(&self, id: RegistrationId) -> Vec<WaitReason> {
        let registration = self.device.registration(id).unwrap();
        registration.held_by.iter().collect()
    }

    /// Cancel requests so far, with their reasons.
    pub(crate) fn cancels(&self) -> Vec<(u64, CancelReason)> {
        let asked = |told: &(u64, Observation)| match &told.1 {
            Observation::CancelRequested { run, reason, .. } => Some((run.0, *reason)),
            _ => None,
        };
        self.told.iter().filter_map(asked).collect()
    }

    /// What the front client of `mail` was told so far.
    pub(crate) fn news(&self) -> Vec<(u64, Happening)> {
        let news = |told: &(u64, Observation)| match &told.1 {
            Observation::Told { news, .. } => Some((news.run.0, news.what)),
            _ => None,
        };
        self.told.iter().filter_map(news).collect()
    }

    /// What became of a push so far.
    pub(crate) fn fates(&self, id: &str) -> Vec<PushFate> {
        let fate = |told: &(u64, Observation)| match &told.1 {
            Observation::Push { id: of, fate, .. } => (*of == push_id(id)).then(|| fate.clone()),
            _ => None,
        };
        self.told.iter().filter_map(fate).collect()
    }

    /// The launch among the effects of the last event.
    pub(crate) fn launch(&self) -> Launch {
        let launches: Vec<_> = self
            .effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Launch(launch) => Some(launch),
                _ => None,
            })
            .collect();
        assert_eq!(launches.len(), 1, "one launch");
        launches[0].as_ref().clone()
    }
}

/// Runs whose kill is among effects.
pub(crate) fn kills(effects: &[Effect]) -> Vec<u64> {
    let killed = effects.iter().filter_map(|effect| match effect {
        Effect::Kill { run } => Some(run.0),
        _ => None,
    });
    killed.collect()
}
