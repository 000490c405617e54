//! What apps, senders and operators do in a life: pushes, sockets, calls, updates, choices.

use lull_policy::{
    AccessChoice, AppId, ChannelActivity, Choice, FrontState, Occurrence, Priority, Retention,
    ScheduledKind, SocketActivity,
};

use super::Drawing;
use super::apps::{subject, task};
use crate::plan::{Ask, DAY, HOUR, Kind, MINUTE, PlannedApp, PlannedPush, SECOND, Step};

impl Drawing {
    /// All of it.
    pub(super) fn traffic(&mut self, apps: &[PlannedApp]) {
        let ids: Vec<AppId> = apps.iter().map(|planned| planned.app.id.clone()).collect();
        self.pushes(&ids);
        let count = match self.kind {
            Kind::Quiet => self.a_week(2, 10),
            Kind::Busy | Kind::Faulty => self.a_week(20, 80),
        };
        for _ in 0..count {
            let (at, app) = (self.sometime(), self.random.pick(&ids).clone());
            self.occurs(at, &app);
        }
        let visits = match self.kind {
            Kind::Quiet => self.a_week(0, 4),
            Kind::Busy | Kind::Faulty => self.a_week(5, 20),
        };
        for _ in 0..visits {
            let (at, app) = (self.sometime(), self.random.pick(&ids).clone());
            self.visit(at, &app);
        }
        let choices = match self.kind {
            Kind::Quiet => self.a_week(0, 1),
            Kind::Busy | Kind::Faulty => self.a_week(0, 6),
        };
        for _ in 0..choices {
            let (at, app) = (self.sometime(), self.random.pick(&ids).clone());
            self.operator(at, &app);
        }
        if self.random.percent(30) {
            let (at, app) = (self.sometime(), self.random.pick(&ids).clone());
            self.update(at, &app);
        }
    }

    fn pushes(&mut self, apps: &[AppId]) {
        let count = match self.kind {
            Kind::Quiet => self.a_week(0, 20),
            Kind::Busy => self.a_week(40, 200),
            Kind::Faulty => self.a_week(20, 120),
        };
        let mut number = 0;
        let mut at = 0;
        for _ in 0..count {
            // Bursts: every third comes right after the one before.
            at = if self.random.percent(33) {
                at + self.random.below(3 * SECOND)
            } else {
                self.sometime()
            };
            number += 1;
            let push = PlannedPush {
                number,
                app: self.random.pick(apps).clone(),
                life: *self
                    .random
                    .pick(&[MINUTE, 30 * MINUTE, 6 * HOUR, 3 * DAY, 3 * DAY]),
                retention: *self.random.pick(&[
                    Retention::Queue,
                    Retention::Queue,
                    Retention::Latest,
                    Retention::None,
                ]),
                priority: *self.random.pick(&[
                    Priority::High,
                    Priority::Medium,
                    Priority::Low,
                    Priority::Low,
                    Priority::VeryLow,
                ]),
                collapse_key: self.random.percent(20).then_some("news"),
            };
            self.at(at, Step::Push(push));
            if self.kind == Kind::Faulty && self.random.percent(10) {
                let again = at + self.random.below(12 * HOUR);
                self.at(again, Step::PushAgain(number));
            }
        }
    }

    fn occurs(&mut self, at: u64, app: &AppId) {
        let app = app.clone();
        let occurrence = match self.random.below(10) {
            0..3 => Occurrence::Socket {
                app,
                id: subject("socket"),
                activity: *self
                    .random
                    .pick(&[SocketActivity::Activity, SocketActivity::Closed]),
            },
            3..5 => Occurrence::Channel {
                app,
                id: subject("channel"),
                activity: *self.random.pick(&[
                    ChannelActivity::Message,
                    ChannelActivity::KeepAlive,
                    ChannelActivity::Reset,
                ]),
            },
            5 => Occurrence::SmsReceived {
                app: self.random.percent(30).then_some(app),
            },
            6 => Occurrence::OnlineIdChanged,
            7 => Occurrence::FilesChanged {
                app,
                path: subject("/data"),
            },
            8 => Occurrence::Bus {
                app,
                event: subject("docked"),
            },
            _ => {
                let present = self.random.percent(50);
                let device = subject("camera");
                Occurrence::Device { device, present }
            }
        };
        self.at(at, Step::Occur(occurrence));
        if self.random.percent(3) {
            self.at(at + SECOND, Step::Occur(Occurrence::LogOff { app: None }));
        }
    }

    /// The user opens an app, which asks for something and goes again.
    fn visit(&mut self, at: u64, app: &AppId) {
        let front = |state| Step::Front {
            app: app.clone(),
            state,
        };
        // Some ask from where nobody looks at them.
        let opened = self.random.percent(85);
        if opened {
            self.at(at, front(FrontState::Foreground));
        }
        let name = task(&format!("task-{}", self.random.below(4)));
        let kind = *self
            .random
            .pick(&[ScheduledKind::Periodic, ScheduledKind::ResourceIntensive]);
        let (device, delay) = (subject("camera"), self.random.below(3) * MINUTE);
        let ask = match self.random.below(20) {
            0..7 => Ask::RequestRun(name),
            7..10 => Ask::RequestDevice { name, device },
            10..13 => Ask::AddScheduled {
                kind,
                expires: self
                    .random
                    .percent(30)
                    .then(|| self.random.between(1, 14) * DAY),
            },
            13 => Ask::RemoveScheduled(kind),
            14 => Ask::LaunchForTest { kind, delay },
            15 => Ask::Unregister {
                name,
                cancel: self.random.percent(50),
            },
            16..19 => {
                let profile = lull_policy::Profile::default();
                let mut request = self.request(&name, &profile);
                request.replace = self.random.percent(80);
                Ask::Register(Box::new(request))
            }
            _ => Ask::RemoveAccess,
        };
        let drops = ask == Ask::RemoveAccess;
        self.ask(at + SECOND, app, ask);
        if drops {
            let later = at + self.random.between(2, 7_200) * SECOND;
            self.ask(later, app, Ask::Access);
        }
        let then = *self.random.pick(&[
            FrontState::None,
            FrontState::Background,
            FrontState::Suspended,
        ]);
        let length = self.random.between(5, 1_200) * SECOND;
        if opened {
            self.at(at + length, front(then));
        }
    }

    fn operator(&mut self, at: u64, app: &AppId) {
        let later = at + self.random.between(1, 600) * MINUTE;
        match self.random.below(4) {
            0 => {
                let choice = *self
                    .random
                    .pick(&[Some(AccessChoice::Never), Some(AccessChoice::Always)]);
                self.ask(at, app, Ask::SetAccess(choice));
                self.ask(later, app, Ask::SetAccess(None));
            }
            1 => {
                let disabled = |on| {
                    Ask::Choose(Choice {
                        agents_disabled: Some(on),
                        ..Choice::default()
                    })
                };
                self.ask(at, app, disabled(true));
                self.ask(later, app, disabled(false));
            }
            2 => {
                let choice = Choice {
                    pinned: Some(self.random.percent(50)),
                    lock_screen: Some(self.random.percent(50)),
                    auto_upload: Some(self.random.percent(50)),
                    agents_disabled: None,
                };
                self.ask(at, app, Ask::Choose(choice));
            }
            _ => {
                let names = ["task-0", "task-1", "periodic"];
                let name = task(self.random.pick::<&str>(&names));
                let session = |attached| {
                    Step::Occur(Occurrence::Debugger {
                        app: app.clone(),
                        task: name.clone(),
                        attached,
                    })
                };
                self.at(at, session(true));
                self.at(later, session(false));
            }
        }
    }

    /// A new version; its app asks for access anew when it is next opened.
    pub(super) fn update(&mut self, at: u64, app: &AppId) {
        let version = Some(u32::try_from(self.random.between(2, 9)).unwrap_or(2));
        let step = Step::Installed {
            app: app.clone(),
            version,
        };
        self.at(at, step);
        let later = at + self.random.between(1, 600) * MINUTE;
        self.ask(later, app, Ask::RemoveAccess);
        self.ask(later, app, Ask::Access);
    }
}
