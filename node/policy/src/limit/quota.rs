//! CPU and network quotas of the profile `windows8` (RES-13, RES-14): each app has so much a window, over all its
//! trigger tasks that are not critical (RES-16). What uses it up is frozen until the refill.
//!
//! Counting is the host's ([`Effect::Meter`]); when a window ends and who is frozen is decided here.

use crate::admission::{Facts, Gate, Obstacle, Words};
use crate::turn::Turn;
use crate::{
    AppId, Broken, Device, Effect, Elapsed, Key, Observation, Quota, QuotaProfile, Resource, Run,
    RunId, Source, Span, TriggerKind, WaitReason,
};

pub(crate) const GATE: Gate = Gate {
    obstacle: Obstacle::Wait(WaitReason::Quota),
    applies: |kind| !kind.is_scheduled(),
    closed: |facts| {
        rationed(facts.device, facts.kind) && spent(facts.device, &facts.registration.app).is_some()
    },
    words,
    sources: &[Source::Power],
    waived_for_test: false,
};

fn words(facts: &Facts<'_>) -> Words {
    let refill = facts.device.quotas.get(&facts.registration.app);
    Words {
        since: None,
        seen: format!("{} has used up its quota", facts.registration.app),
        needs: "the quota has to be refilled".to_owned(),
        until: refill.map(|quota| facts.now.wall.after(quota.refill.since(facts.now.elapsed))),
    }
}

/// RES-16: whether a kind of task is rationed at all.
fn rationed(device: &Device, kind: TriggerKind) -> bool {
    match device.policy.quota_profile {
        QuotaProfile::PerActivation => false,
        QuotaProfile::Windows8 if device.broken(Broken::GuaranteeIgnored) => !kind.is_scheduled(),
        QuotaProfile::Windows8 => kind.is_rationed(),
    }
}

/// Which of an app's quotas holds its runs now. The network's counts on battery only (RES-14).
fn spent(device: &Device, app: &AppId) -> Option<Resource> {
    let quota = device.quotas.get(app)?;
    let on_battery = device.readings.external_power.is(false);
    if quota.cpu_spent {
        Some(Resource::Cpu)
    } else {
        (quota.network_spent && on_battery).then_some(Resource::Network)
    }
}

impl Device {
    fn lock_screen(&self, app: &AppId) -> bool {
        self.choices
            .get(app)
            .is_some_and(|choices| choices.lock_screen)
    }

    fn quota_window(&self, app: &AppId) -> Span {
        if self.lock_screen(app) {
            self.policy.quota_window_lock_screen
        } else {
            self.policy.quota_window
        }
    }

    /// What an app may use of a resource in one window; absent = it does not count now.
    fn budget(&self, app: &AppId, resource: Resource) -> Option<u64> {
        let (policy, lock_screen) = (&self.policy, self.lock_screen(app));
        match resource {
            Resource::Cpu => {
                let time = if lock_screen {
                    policy.quota_cpu_lock_screen
                } else {
                    policy.quota_cpu
                };
                Some(time.as_millis().saturating_mul(1_000))
            }
            Resource::Network => {
                let bytes = if lock_screen {
                    policy.quota_network_lock_screen
                } else {
                    policy.quota_network
                };
                self.readings.external_power.is(false).then_some(bytes.0)
            }
        }
    }

    fn rationed_runs(&self, app: &AppId) -> Vec<RunId> {
        let runs = self.index.runs_of(app).into_iter();
        runs.filter(|id| {
            let run = self.runs.get(id);
            run.is_some_and(|run| rationed(self, run.kind) && run.state.is_alive())
        })
        .collect()
    }
}

impl Turn<'_> {
    /// A rationed run begins: its app's window begins with it, unless it is open.
    pub(crate) fn open_window(&mut self, run: &Run) {
        if !rationed(self.device, run.kind) || self.device.quotas.contains_key(&run.app) {
            return;
        }
        let refill = self.now.elapsed.after(self.device.quota_window(&run.app));
        self.begin_window(&run.app.clone(), refill);
    }

    fn begin_window(&mut self, app: &AppId, refill: Elapsed) {
        self.set_quota(
            app,
            Some(Quota {
                app: app.clone(),
                refill,
                cpu_spent: false,
                network_spent: false,
            }),
        );
        for resource in [Resource::Cpu, Resource::Network] {
            self.meter(app, resource);
        }
    }

    /// Orders the host to count one resource from now on.
    fn meter(&mut self, app: &AppId, resource: Resource) {
        let budget = self.device.budget(app, resource);
        self.effect(Effect::Meter {
            app: app.clone(),
            resource,
            budget,
        });
    }

    /// The host may have forgotten what to count.
    pub(crate) fn meter_again(&mut self) {
        let apps: Vec<AppId> = self.device.quotas.keys().cloned().collect();
        for app in apps {
            for resource in [Resource::Cpu, Resource::Network] {
                self.meter(&app, resource);
            }
        }
    }

    fn close_window(&mut self, app: &AppId) {
        self.set_quota(app, None);
        for resource in [Resource::Cpu, Resource::Network] {
            self.effect(Effect::Meter {
                app: app.clone(),
                resource,
                budget: None,
            });
        }
    }

    pub(crate) fn set_quota(&mut self, app: &AppId, quota: Option<Quota>) {
        let device = &mut *self.device;
        if let Some(old) = device.quotas.remove(app) {
            device.index.refills.remove(&(old.refill, app.clone()));
        }
        if let Some(quota) = quota {
            device.index.refills.insert((quota.refill, app.clone()));
            device.quotas.insert(app.clone(), quota);
        }
        self.touch(Key::Quota(app.clone()));
    }

    /// The host counted a quota to its end.
    pub(crate) fn quota_spent(&mut self, app: &AppId, resource: Resource) {
        let Some(quota) = self.device.quotas.get(app) else {
            return;
        };
        let quota = match resource {
            Resource::Cpu => Quota {
                cpu_spent: true,
                ..quota.clone()
            },
            Resource::Network => Quota {
                network_spent: true,
                ..quota.clone()
            },
        };
        self.set_quota(app, Some(quota));
        self.freeze_or_thaw(app);
        self.look_at_app(app);
    }

    /// RES-13: runs of an app whose quota is used up stand still; they go on when it no longer is.
    fn freeze_or_thaw(&mut self, app: &AppId) {
        let spent = spent(self.device, app);
        for run in self.device.rationed_runs(app) {
            self.set_frozen(run, spent);
        }
    }

    fn set_frozen(&mut self, run: RunId, spent: Option<Resource>) {
        let before = self.device.runs.get(&run).and_then(|run| run.suspended);
        if before.is_some() == spent.is_some() {
            return;
        }
        self.edit_run(run, |run| run.suspended = spent);
        if let Some(resource) = spent {
            self.effect(Effect::Freeze { run });
            self.observe_run(run, |task| Observation::Suspended {
                task,
                run,
                resource,
            });
        } else {
            self.effect(Effect::Thaw { run });
            // It goes on as one that has just worked.
            self.watch_idleness(run);
            self.observe_run(run, |task| Observation::Resumed { task, run });
        }
    }

    /// Power came or went: the network's quota may hold, or hold no more. Its bytes count on battery only, so counting ends
    /// with external power and begins anew without (RES-14).
    pub(crate) fn quotas_may_have_changed(&mut self, was_on_battery: bool) {
        let turned = was_on_battery != self.device.readings.external_power.is(false);
        let apps: Vec<AppId> = self.device.quotas.keys().cloned().collect();
        for app in apps {
            if turned {
                self.meter(&app, Resource::Network);
            }
            self.freeze_or_thaw(&app);
        }
    }

    /// Windows that are over. One in which nothing runs and nothing waits is not followed by another.
    pub(crate) fn refill_quotas(&mut self) {
        while let Some((refill, app)) = self.device.index.refills.first().cloned() {
            if refill > self.horizon.elapsed {
                return;
            }
            if self.device.rationed_runs(&app).is_empty() {
                self.close_window(&app);
            } else {
                let next = refill.after(self.device.quota_window(&app));
                self.begin_window(&app, next.max(self.now.elapsed.after(Span::millis(1))));
            }
            self.freeze_or_thaw(&app);
            self.look_at_app(&app);
        }
    }

    /// The profile was switched off: everything goes on.
    pub(crate) fn drop_quotas(&mut self) {
        let apps: Vec<AppId> = self.device.quotas.keys().cloned().collect();
        for app in apps {
            let frozen: Vec<RunId> = self.device.index.runs_of(&app);
            self.close_window(&app);
            for run in frozen {
                self.set_frozen(run, None);
            }
            self.look_at_app(&app);
        }
    }
}
