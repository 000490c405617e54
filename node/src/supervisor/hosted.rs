//! A run in the app's own process (RUN-01, RUN-03): how its conversation gets a socket, and what its end was.
//!
//! From hello to its last word it is spoken to like any other run. Its processes are the app's: so there is no cage, and its end is that
//! the other side of its socket is closed. Deliberately absent: the app's process itself (`fronts`).

use std::sync::Arc;
use std::time::Duration;

use lull_policy::{AppId, Exit, Launch};

use super::conversation::Conversation;
use super::order;
use super::seat::{End, ToRun};
use crate::fronts::{Activation, Gone};
use crate::local::Lease;

/// How long the machine may take to ask a run to cancel whose app has left (RUN-24): it has to hear of that first, which takes a commit.
const CANCEL: Duration = Duration::from_secs(2);

/// What a conversation knows of the process that its run is in.
#[derive(Debug)]
pub(super) struct Hosted {
    app: AppId,
    serial: u64,
    /// Absent once the process is known to have left: the machine hears of that before it hears of the run's end.
    lease: Option<Arc<Lease>>,
    /// It said that it is done, or that it cannot be.
    last_word: bool,
}

impl Conversation {
    /// Hands the run to the app's process, which may be on its way.
    pub(super) async fn activate(&mut self, launch: Box<Launch>) {
        let payload = launch.push.as_ref().map(|push| push.payload.clone());
        let (app, run, fronts) = (launch.app.clone(), launch.run, self.setup.fronts.clone());
        let activating = fronts.activate(&app, run, payload.unwrap_or_default());
        let activated = tokio::select! {
            activated = activating => activated,
            word = self.from_desk.recv() => match word {
                Some(ToRun::Killed) | None => Err("it was killed before it started".to_owned()),
                Some(other) => Err(format!("it was told {other:?} before it started")),
            },
        };
        match activated {
            Ok(Activation {
                socket,
                serial,
                lease,
            }) => {
                self.note = Some(order::note(&launch, None));
                self.hosted = Some(Hosted {
                    app,
                    serial,
                    lease: Some(lease),
                    last_word: false,
                });
                self.obey(ToRun::Started(Some(socket)));
            }
            Err(message) => self.end = Some(End::never(&message)),
        }
    }

    /// It said its last word.
    pub(super) fn last_word(&mut self) {
        if let Some(hosted) = &mut self.hosted {
            hosted.last_word = true;
        }
    }

    /// The other side of its socket is closed: that is its end.
    pub(super) async fn left_by_its_host(&mut self) {
        let Some(hosted) = &mut self.hosted else {
            return;
        };
        let gone = if hosted.last_word {
            Gone::Stays
        } else {
            self.setup.fronts.gone(&hosted.app, hosted.serial).await
        };
        let exit = match gone {
            Gone::Stays => Exit::Status(0),
            Gone::Died(exit) => exit,
            Gone::Left => {
                hosted.lease = None;
                let asked = self.cancel.wait_for(Option::is_some);
                // A machine that does not ask has a reason: the run had ended for it before.
                tokio::time::timeout(CANCEL, asked).await.ok();
                Exit::Status(0)
            }
        };
        self.end = Some(End::seen(exit));
    }
}
