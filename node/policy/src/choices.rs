//! What the operator chooses for an app: its card pinned, its place on the lock screen, automatic upload, its agents on
//! or off (TRG-10, TRG-11, EXP-04 to EXP-06, MNG-07).

use crate::access::operator;
use crate::turn::Turn;
use crate::{Answer, AppId, Caller, Choice, Choices, Key, Refusal, SystemEvent};

impl Turn<'_> {
    /// What is absent stays. Pinning fires nothing; the lock screen does, for the app itself (AMB-33).
    pub(crate) fn choose(
        &mut self,
        caller: &Caller,
        app: &AppId,
        choice: Choice,
    ) -> Result<Answer, Refusal> {
        operator(caller)?;
        self.installed(app)?;
        let before = self.device.choices.get(app).cloned().unwrap_or(Choices {
            app: app.clone(),
            pinned: false,
            lock_screen: false,
            auto_upload: false,
            agents_disabled: false,
        });
        let after = Choices {
            app: app.clone(),
            pinned: choice.pinned.unwrap_or(before.pinned),
            lock_screen: choice.lock_screen.unwrap_or(before.lock_screen),
            auto_upload: choice.auto_upload.unwrap_or(before.auto_upload),
            agents_disabled: choice.agents_disabled.unwrap_or(before.agents_disabled),
        };
        if after == before {
            return Ok(Answer::Done);
        }
        self.device.choices.insert(app.clone(), after.clone());
        self.touch(Key::Choices(app.clone()));
        if after.lock_screen != before.lock_screen {
            let event = if after.lock_screen {
                SystemEvent::LockScreenApplicationAdded
            } else {
                SystemEvent::LockScreenApplicationRemoved
            };
            self.system_event(event, Some(app));
        }
        if after.auto_upload != before.auto_upload {
            self.mortality_may_have_changed(app);
        }
        self.look_at_app(app);
        Ok(Answer::Done)
    }
}
