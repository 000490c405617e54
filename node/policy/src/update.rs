//! Updates of apps (MNG-09 to MNG-12, TRG-30, TRG-35): the runs of the older version end, the version changes, the
//! update task runs, and then those hear of it that registered for that.
//!
//! Absent here: what an update does to the grant, which is [`access`](crate::access)'s.

use crate::lifecycle::{UpdateEvent, UpdateMove, update_moves};
use crate::turn::Turn;
use crate::{
    App, AppId, Broken, CancelReason, DropReason, Key, Run, SystemEvent, TaskName, TaskType,
    Trigger, TriggerKind, Update, UpdateStage,
};

impl Turn<'_> {
    /// A manifest of another version is there. What waits meets a stale grant (AMB-07).
    pub(crate) fn begin_update(&mut self, to: App) {
        let app = to.id.clone();
        self.put_update(Update {
            app: app.clone(),
            to,
            stage: UpdateStage::Draining,
        });
        self.ask_app_to_cancel(&app, CancelReason::ServicingUpdate);
        self.look_at_app(&app);
        self.drain(&app);
    }

    fn put_update(&mut self, update: Update) {
        let app = update.app.clone();
        self.device.updates.insert(app.clone(), update);
        self.touch(Key::Update(app));
    }

    /// A run of an app that is being updated ended.
    pub(crate) fn go_on_with_update(&mut self, run: &Run) {
        let Some(update) = self.device.updates.get(&run.app) else {
            return;
        };
        let event = if run.kind == TriggerKind::UpdateTask {
            UpdateEvent::TaskEnded
        } else {
            UpdateEvent::RunEnded
        };
        match update_moves(update.stage, event) {
            UpdateMove::Drain => self.drain(&run.app.clone()),
            UpdateMove::Finish => {
                self.remove_registration(run.registration, DropReason::Unregistered);
                self.finish_update(&run.app.clone());
            }
            UpdateMove::Stay => {}
        }
    }

    /// The version changes once nothing of the older one runs.
    fn drain(&mut self, app: &AppId) {
        let busy = !self.device.index.runs_of(app).is_empty()
            && !self.device.broken(Broken::NothingCancels);
        let Some(update) = self.device.updates.get(app).filter(|_| !busy).cloned() else {
            return;
        };
        self.put_app(update.to.clone());
        if self.device.broken(Broken::UpdateForgets) {
            self.forget_registrations(Some(app));
        }
        let declared = update.to.declared_for(TaskType::UpdateTask);
        let entry_point = declared.map(|agent| agent.entry_point.clone());
        let skipped = self.device.broken(Broken::UpdateSkipped);
        match entry_point.filter(|_| !skipped) {
            None => self.finish_update(app),
            Some(entry_point) => {
                self.put_update(Update {
                    stage: UpdateStage::Running,
                    ..update
                });
                let blank = self.blank(app, update_task(), Some(entry_point), Trigger::UpdateTask);
                let id = self.insert(blank);
                self.fire(id);
            }
        }
        // What waits meets the gates again: access gone stale (AMB-07), entry points gone (MNG-10).
        self.look_at_app(app);
    }

    fn finish_update(&mut self, app: &AppId) {
        if self.device.updates.remove(app).is_none() {
            return;
        }
        self.touch(Key::Update(app.clone()));
        if !self.device.broken(Broken::UpdateSkipped) {
            self.system_event(SystemEvent::ServicingComplete, Some(app));
        }
    }
}

/// The name of an update task.
fn update_task() -> TaskName {
    #[expect(clippy::expect_used, reason = "the word is a name")]
    TaskName::new("update-task").expect("a task name")
}
