//! What goes wrong: power, daemon, disk, sleep, clocks, sources, the link, memory; and an app that is removed.

use lull_policy::{AppId, AppsInBackground, Policy, QuotaProfile, Source, Span};

use super::Drawing;
use crate::plan::{DAY, Down, HOUR, MINUTE, PlannedApp, SECOND, Step};

impl Drawing {
    /// All of it.
    pub(super) fn faults(&mut self, apps: &[PlannedApp]) {
        for _ in 0..self.a_week(2, 14) {
            let at = self.sometime();
            self.goes_down(at);
        }
        for _ in 0..self.a_week(0, 6) {
            let at = self.sometime();
            let source = *self.random.pick(&Source::ALL);
            self.at(at, Step::Source { source, up: false });
            let back = at + self.random.between(1, 7_200) * SECOND;
            self.at(back, Step::Source { source, up: true });
        }
        for _ in 0..self.a_week(0, 4) {
            let (at, by) = (self.sometime(), self.random.between(1, 7_200_000));
            let by = i64::try_from(by).unwrap_or(1_000);
            let back = self.random.percent(50);
            self.at(at, Step::Clock(if back { -by } else { by }));
        }
        if self.random.percent(10) {
            self.jumps();
        }
        for _ in 0..self.a_week(0, 6) {
            let at = self.sometime();
            self.at(at, Step::Link(false));
            let back = at + self.random.between(1, 20_000) * SECOND;
            self.at(back, Step::Link(true));
        }
        for _ in 0..self.a_week(0, 3) {
            let at = self.sometime();
            let takes = *self.random.pick(&[500, 5_000, 40_000]);
            self.at(at, Step::Disk(takes));
            self.at(at + 20 * MINUTE, Step::Disk(10));
        }
        for _ in 0..self.a_week(0, 3) {
            let at = self.sometime();
            let late = *self.random.pick(&[3, 400, 1_500]);
            self.at(at, Step::Late(late));
            self.at(at + 2 * HOUR, Step::Late(0));
        }
        for _ in 0..self.a_week(0, 3) {
            let at = self.sometime();
            self.at(at, Step::MemoryShort);
        }
        if self.random.percent(15) {
            let app = self.random.pick(apps).app.id.clone();
            self.removes(&app);
        }
        if self.random.percent(20) {
            self.policies();
        }
    }

    /// A clock that is two weeks off for a while. What the network repeats over it may be forgotten: a push is
    /// remembered by the wall clock.
    fn jumps(&mut self) {
        let by = i64::try_from(14 * DAY).unwrap_or(0);
        let by = if self.random.percent(50) { by } else { -by };
        let at = self.sometime();
        self.at(at, Step::Clock(by));
        let back = at + self.random.between(1, 3_000) * MINUTE;
        self.at(back, Step::Clock(-by));
        self.steps
            .retain(|planned| !matches!(planned.step, Step::PushAgain(_)));
    }

    fn goes_down(&mut self, at: u64) {
        let torn = self.random.percent(50);
        let how = *self.random.pick(&[
            Down::Stop,
            Down::Killed,
            Down::Killed,
            Down::Reboot,
            Down::PowerCut { torn },
            Down::PowerCut { torn },
            Down::Suspend,
            Down::Suspend,
        ]);
        let length = match self.random.below(3) {
            0 => self.random.between(100, 30_000),
            1 => self.random.between(1, 60) * MINUTE,
            _ => self.random.between(1, 30) * HOUR,
        };
        let length = if matches!(how, Down::Stop | Down::Killed) {
            length.min(2 * HOUR)
        } else {
            length
        };
        self.at(at, Step::Down { how, length });
    }

    fn removes(&mut self, app: &AppId) {
        let at = self.sometime();
        let installed = |version| Step::Installed {
            app: app.clone(),
            version,
        };
        self.at(at, installed(None));
        let back = at + self.random.between(1, 2_000) * MINUTE;
        self.at(back, installed(Some(1)));
        self.ask(back + SECOND, app, crate::plan::Ask::Access);
    }

    fn policies(&mut self) {
        let at = self.sometime();
        let changed = match self.random.below(4) {
            0 => Policy {
                apps_in_background: AppsInBackground::ForceDeny,
                ..Policy::default()
            },
            1 => Policy {
                quota_profile: QuotaProfile::Windows8,
                ..Policy::default()
            },
            2 => Policy {
                task_time: Span::seconds(20),
                periodic_ends_on_saver: true,
                ..Policy::default()
            },
            _ => Policy {
                push_queue: 2,
                push_attempts: 1,
                ..Policy::default()
            },
        };
        self.at(at, Step::Policy(Box::new(changed)));
        let back = at + self.random.between(1, 40) * HOUR;
        self.at(back, Step::Policy(Box::default()));
    }
}
